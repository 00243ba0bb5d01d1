//! Puts the mutants into the source: each one is a branch that is taken when its number is chosen.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, ImplItemFn, ItemFn, Pat};

use crate::mutant::{Genre, Mutant, Place};

/// What each crate gets at its root. A `const fn` that the compiler evaluates is not mutated.
const CHOOSER: &str = r#"
mod mutants {
    extern crate std;
    use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
    use std::io::Write;

    const UNREAD: u32 = u32::MAX;
    const RECORD: u32 = u32::MAX - 1;
    static CHOSEN: AtomicU32 = AtomicU32::new(UNREAD);
    static SEEN: [AtomicU8; 16384] = [const { AtomicU8::new(0) }; 16384];

    const fn compiled(_: u32) -> bool {
        false
    }

    #[inline(always)]
    fn chosen(number: u32) -> bool {
        let chosen = CHOSEN.load(Relaxed);
        if chosen >= RECORD { slow(number) } else { chosen == number }
    }

    #[cold]
    fn slow(number: u32) -> bool {
        if CHOSEN.load(Relaxed) == UNREAD {
            let value = match std::env::var("MUTANT") {
                Ok(word) if word == "record" => RECORD,
                Ok(word) => word.parse().unwrap_or(RECORD - 1),
                Err(_) => RECORD - 1,
            };
            CHOSEN.store(value, Relaxed);
        }
        let chosen = CHOSEN.load(Relaxed);
        if chosen != RECORD {
            return chosen == number;
        }
        if SEEN[number as usize].swap(1, Relaxed) == 0 {
            if let Some(path) = std::env::var_os("MUTANTS_SEEN") {
                let file = std::fs::File::options().append(true).create(true).open(path);
                file.unwrap().write_all(std::format!("{number}\n").as_bytes()).unwrap();
            }
        }
        false
    }

    pub(crate) const fn mutant(number: u32) -> bool {
        core::intrinsics::const_eval_select((number,), compiled, chosen)
    }
}
pub(crate) use mutants::mutant;
"#;

/// What came out.
pub struct Rewritten {
    /// The source with all mutants in it.
    pub text: String,
    /// Those that found no place.
    pub lost: Vec<u32>,
    /// Those that cannot compile: `a || let b = c`.
    pub refused: Vec<u32>,
    /// Those in a `const fn`, which may run while the compiler does.
    pub constant: Vec<u32>,
}

/// Puts the mutants of one file into its text.
pub fn rewrite(text: &str, root: bool, mutants: &[&Mutant], left_out: &BTreeSet<u32>) -> Rewritten {
    let mut file = syn::parse_file(text).expect("it compiles");
    let mut places: BTreeMap<(Genre, Place), Vec<&Mutant>> = BTreeMap::new();
    let mut apart = Vec::new();
    for mutant in mutants {
        // A reference of another type than the iterator's: the compiler looks further than here.
        if mutant.replacement.starts_with("::std::iter::once(Box::leak") {
            apart.push(mutant.number);
            continue;
        }
        places.entry((mutant.genre, mutant.start)).or_default().push(mutant);
    }
    let mut rewriter = Rewriter {
        places,
        left_out,
        constant: Vec::new(),
        in_constant: false,
        refused: Vec::new(),
    };
    rewriter.visit_file_mut(&mut file);
    let lost = rewriter.places.values().flatten().map(|mutant| mutant.number);
    let lost = lost.chain(apart).collect();
    if root {
        file.attrs.push(syn::parse_quote!(#![allow(internal_features)]));
        file.attrs.push(syn::parse_quote!(#![feature(core_intrinsics, const_eval_select)]));
        file.items.extend(syn::parse_file(CHOOSER).expect("ours").items);
    }
    Rewritten {
        text: quote!(#file).to_string(),
        lost,
        refused: rewriter.refused,
        constant: rewriter.constant,
    }
}

struct Rewriter<'a> {
    /// Those that wait for their place.
    places: BTreeMap<(Genre, Place), Vec<&'a Mutant>>,
    /// Those that do not compile.
    left_out: &'a BTreeSet<u32>,
    constant: Vec<u32>,
    in_constant: bool,
    refused: Vec<u32>,
}

impl<'a> Rewriter<'a> {
    fn take(&mut self, genre: Genre, span: Span) -> Vec<&'a Mutant> {
        let start = Place { line: span.start().line, column: span.start().column + 1 };
        let mut found = self.places.remove(&(genre, start)).unwrap_or_default();
        found.retain(|mutant| !self.left_out.contains(&mutant.number));
        if self.in_constant {
            self.constant.extend(found.iter().map(|mutant| mutant.number));
        }
        found
    }

    /// At the start of a body: leave with another value.
    fn body(&mut self, constant: bool, block: &mut Block) {
        let Some(first) = block.stmts.first() else { return };
        let outside = std::mem::replace(&mut self.in_constant, constant);
        let found = self.take(Genre::FnValue, first.span());
        visit_mut::visit_block_mut(self, block);
        let (iterators, found): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|mutant| mutant.replacement.starts_with("::std::iter::"));
        if !iterators.is_empty() {
            *block = either(block, &iterators);
        }
        for mutant in found.iter().rev() {
            let number = mutant.number;
            let value = tokens(&mutant.replacement);
            let early = syn::parse_quote!(if crate::mutant(#number) { return #value; });
            block.stmts.insert(0, early);
        }
        self.in_constant = outside;
    }
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("cargo-mutants writes Rust")
}

/// `if` this mutant is chosen that expression, else the other.
fn choose(number: u32, then: TokenStream, otherwise: &Expr) -> Expr {
    syn::parse_quote!((if crate::mutant(#number) { #then } else { #otherwise }))
}

/// A body of the type `impl Iterator` has one type only: what it was, then one of the others, of
/// which both may be nothing.
fn either(body: &Block, mutants: &[&Mutant]) -> Block {
    let numbers = mutants.iter().map(|mutant| mutant.number);
    let branches = mutants.iter().map(|mutant| {
        let (number, value) = (mutant.number, tokens(&mutant.replacement));
        quote!(if crate::mutant(#number) { other = Some(::std::boxed::Box::new(#value)); })
    });
    syn::parse_quote!({
        let mut other: Option<::std::boxed::Box<dyn Iterator<Item = _> + '_>> = None;
        #(#branches)*
        let original = if #(crate::mutant(#numbers))||* { None } else { Some(#body) };
        original.into_iter().flatten().chain(other.into_iter().flatten())
    })
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl VisitMut for Rewriter<'_> {
    fn visit_item_fn_mut(&mut self, item: &mut ItemFn) {
        self.body(item.sig.constness.is_some(), &mut item.block);
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut ImplItemFn) {
        self.body(item.sig.constness.is_some(), &mut item.block);
    }

    fn visit_trait_item_fn_mut(&mut self, item: &mut syn::TraitItemFn) {
        if let Some(block) = &mut item.default {
            self.body(false, block);
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let original = expr.clone();
        visit_mut::visit_expr_mut(self, expr);
        match &original {
            Expr::Binary(binary) if !has_let(&original) => {
                let (left, right) = (&binary.left, &binary.right);
                for mutant in self.take(Genre::Binary, binary.op.span()) {
                    let operator = tokens(&mutant.replacement);
                    // Another operator binds otherwise.
                    let changed = quote!(((#left) #operator (#right)));
                    *expr = choose(mutant.number, changed, expr);
                }
            }
            Expr::Binary(binary) => {
                let found = self.take(Genre::Binary, binary.op.span());
                self.refused.extend(found.iter().map(|mutant| mutant.number));
            }
            Expr::Unary(unary) => {
                let inner = &unary.expr;
                for mutant in self.take(Genre::Unary, unary.op.span()) {
                    *expr = choose(mutant.number, quote!(#inner), expr);
                }
            }
            Expr::Struct(structure) if structure.rest.is_some() => {
                for (index, field) in structure.fields.iter().enumerate() {
                    for mutant in self.take(Genre::Field, field.span()) {
                        let mut less = structure.clone();
                        less.fields = (structure.fields.iter().enumerate())
                            .filter(|(other, _)| *other != index)
                            .map(|(_, field)| field.clone())
                            .collect();
                        if !less.fields.is_empty() {
                            less.fields.push_punct(syn::token::Comma::default());
                        }
                        *expr = choose(mutant.number, quote!(#less), expr);
                    }
                }
            }
            _ => {}
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        let deleted = self.take(Genre::Arm, arm.span());
        let (pattern, mut guard) = match &arm.pat {
            Pat::Guard(guarded) => ((*guarded.pat).clone(), Some((*guarded.guard).clone())),
            pattern => (pattern.clone(), None),
        };
        let place = guard.as_ref().map(Spanned::span);
        let replaced = place.map(|span| self.take(Genre::Guard, span)).unwrap_or_default();
        visit_mut::visit_arm_mut(self, arm);
        if let Some(guard) = &mut guard {
            self.visit_expr_mut(guard);
        }
        for mutant in &replaced {
            let number = mutant.number;
            let old = guard.expect("a guard was replaced");
            guard = Some(if mutant.replacement == "true" {
                syn::parse_quote!((crate::mutant(#number) || (#old)))
            } else {
                syn::parse_quote!((!crate::mutant(#number) && (#old)))
            });
        }
        for mutant in &deleted {
            let number = mutant.number;
            guard = Some(match guard {
                Some(old) => syn::parse_quote!(!crate::mutant(#number) && (#old)),
                None => syn::parse_quote!(!crate::mutant(#number)),
            });
        }
        if let Some(guard) = guard {
            arm.pat = Pat::Guard(syn::PatGuard {
                attrs: Vec::new(),
                pat: Box::new(pattern),
                if_token: syn::token::If::default(),
                guard: Box::new(guard),
            });
        }
    }

    // What the compiler evaluates knows nothing of a choice.
    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_trait_item_const_mut(&mut self, _: &mut syn::TraitItemConst) {}
    fn visit_variant_mut(&mut self, _: &mut syn::Variant) {}
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}
    fn visit_expr_const_mut(&mut self, _: &mut syn::ExprConst) {}
    fn visit_generic_argument_mut(&mut self, _: &mut syn::GenericArgument) {}
    fn visit_pat_mut(&mut self, _: &mut Pat) {}
    fn visit_expr_repeat_mut(&mut self, repeat: &mut syn::ExprRepeat) {
        self.visit_expr_mut(&mut repeat.expr);
    }
}
