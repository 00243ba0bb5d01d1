//! `#[stats(...)]` on a field.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, Field, Ident, Lit, LitStr, Path, Token, Type, parenthesized,
};

use crate::doc;
use crate::input::{TWICE, check_key, for_each_key, put, set_once, text, variable};

/// Attributes of a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) label: Option<LitStr>,
    /// Attributes in which the fields of a family differ.
    pub(crate) labels: Option<Labels>,
    pub(crate) nested: Option<Span>,
    pub(crate) counter: Option<Span>,
    options: Vec<Setting>,
}

/// The list `labels(...)`.
pub(crate) struct Labels {
    pub(crate) span: Span,
    pub(crate) keys: Vec<LitStr>,
}

/// One option: a call of the method of this name.
struct Setting {
    /// At the place of the attribute, so that errors are shown there.
    method: Ident,
    arguments: TokenStream,
}

impl FieldAttributes {
    /// Reads the attributes of a field; `mmstats` is the path of the crate.
    pub(crate) fn parse(attributes: &[Attribute], mmstats: &Path) -> syn::Result<Self> {
        let mut this = Self::default();
        for_each_key(attributes, "stats", |meta| this.take(&meta, mmstats))?;
        Ok(this)
    }

    /// Adds the doc comment as help, if none was given.
    pub(crate) fn add_doc(&mut self, attributes: &[Attribute]) -> syn::Result<()> {
        if !self.has("help")
            && let Some(text) = doc::help(attributes)?
        {
            let method = Ident::new("help", text.span());
            self.options.insert(0, Setting { method, arguments: quote!(#text) });
        }
        Ok(())
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>, mmstats: &Path) -> syn::Result<()> {
        let Some(name) = meta.path.get_ident().map(Ident::to_string) else {
            return Err(meta.error(UNKNOWN));
        };
        match name.as_str() {
            "label" => set_once(meta, &mut self.label),
            "nested" => put(meta, &mut self.nested, meta.path.span()),
            "counter" => put(meta, &mut self.counter, meta.path.span()),
            "unit" => {
                let unit: LitStr = meta.value()?.parse()?;
                self.set(meta, unit)
            }
            "aggregation" => {
                let rule = one_of(meta, &["sum", "min", "max", "mean", "each"])?;
                self.set(meta, quote!(#mmstats::Aggregation::#rule))
            }
            "level" => {
                let level = one_of(meta, &["info", "diagnostic", "debug"])?;
                self.set(meta, quote!(#mmstats::Level::#level))
            }
            "help" | "value" | "cap" | "error" | "entries" | "rows" | "buckets" => {
                let value: Expr = meta.value()?.parse()?;
                self.set(meta, value)
            }
            "running" => self.set(meta, TokenStream::new()),
            "range" => {
                let bounds = list::<Expr>(meta)?;
                let [low, high] = &bounds[..] else {
                    return Err(meta.error("a range has two numbers"));
                };
                let (low, high) = (float(low)?, float(high)?);
                self.set(meta, quote!(#low, #high))
            }
            "windows" => {
                let windows = list::<Expr>(meta)?;
                self.set(meta, quote!([#(#windows),*]))
            }
            "labels" => {
                let (span, keys) = (meta.path.span(), list::<LitStr>(meta)?);
                if keys.is_empty() {
                    return Err(meta.error("a family has at least one label"));
                }
                keys.iter().try_for_each(|key| check_key(&key.value(), key.span()))?;
                put(meta, &mut self.labels, Labels { span, keys })
            }
            "attributes" => {
                let method = Ident::new("attribute", meta.path.span());
                for Pair { key, value } in list::<Pair>(meta)? {
                    let (method, arguments) = (method.clone(), quote!(#key, #value));
                    self.options.push(Setting { method, arguments });
                }
                Ok(())
            }
            _ => Err(meta.error(UNKNOWN)),
        }
    }

    /// Takes an option that may be given once.
    fn set(&mut self, meta: &ParseNestedMeta<'_>, arguments: impl ToTokens) -> syn::Result<()> {
        let method = meta.path.require_ident()?.clone();
        if self.has(&method.to_string()) {
            return Err(meta.error(TWICE));
        }
        self.options.push(Setting { method, arguments: arguments.into_token_stream() });
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.method == name)
    }

    /// The first option that is not one of `allowed`.
    pub(crate) fn other_than(&self, allowed: &[&str]) -> Option<&Ident> {
        let methods = self.options.iter().map(|option| &option.method);
        methods.into_iter().find(|method| !allowed.iter().any(|name| *method == name))
    }

    /// `start` with the options set: a block that calls their methods one by one.
    ///
    /// A method that the type does not have is an error at `ty` and at the attribute.
    pub(crate) fn apply(&self, start: TokenStream, ty: &Type) -> TokenStream {
        let mut value = variable("options");
        // Errors are shown at this span; the name alone hides the variable.
        value.set_span(ty.span());
        let calls = self
            .options
            .iter()
            .map(|Setting { method, arguments }| quote!(let #value = #value.#method(#arguments);));
        quote!({ let #value = #start; #(#calls)* #value })
    }

    /// The label of the field called `name`.
    pub(crate) fn label_or(&self, name: &Ident) -> LitStr {
        self.label.clone().unwrap_or_else(|| text(name))
    }
}

const UNKNOWN: &str = "unknown option: a field has label, unit, help, attributes, aggregation, \
                       level, nested, labels, cap, error, range, buckets, entries, rows, running, \
                       windows, value and counter";

/// `key = "value"`; the key is a name, also a keyword, or a string.
struct Pair {
    key: String,
    value: LitStr,
}

impl Parse for Pair {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (key, span) = if input.peek(LitStr) {
            let key = input.parse::<LitStr>()?;
            (key.value(), key.span())
        } else {
            let key = input.call(Ident::parse_any)?;
            (key.unraw().to_string(), key.span())
        };
        check_key(&key, span)?;
        input.parse::<Token![=]>()?;
        Ok(Self { key, value: input.parse()? })
    }
}

/// Items in parentheses, separated by commas.
fn list<T: Parse>(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<T>> {
    let content;
    parenthesized!(content in meta.input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// `value` as an f64; integer literals may be larger than an i32.
fn float(value: &Expr) -> syn::Result<TokenStream> {
    Ok(match value {
        Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) if literal.suffix().is_empty() => {
            let number: u128 = literal.base10_parse()?;
            quote!((#number as ::core::primitive::f64))
        }
        other => quote!((#other) as ::core::primitive::f64),
    })
}

/// A string among `names`, as the variant of an enum.
fn one_of(meta: &ParseNestedMeta<'_>, names: &[&str]) -> syn::Result<Ident> {
    let text: LitStr = meta.value()?.parse()?;
    let value = text.value();
    if !names.contains(&value.as_str()) {
        return Err(Error::new(text.span(), format!("must be one of {}", names.join(", "))));
    }
    let (first, rest) = value.split_at(1);
    Ok(Ident::new(&(first.to_uppercase() + rest), text.span()))
}

/// Whether the type of `field` is called `Info`: a handle without methods.
pub(crate) fn is_info(field: &Field) -> bool {
    let Type::Path(path) = &field.ty else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "Info")
}
