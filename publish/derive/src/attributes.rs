//! `#[stats(...)]` and doc comments.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitInt, LitStr, Meta, Token, parenthesized};

/// What the attributes of a struct say.
#[derive(Default)]
pub(crate) struct OfStruct {
    pub(crate) prefix: Option<LitStr>,
}

impl OfStruct {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut this = Self::default();
        each(attributes, |meta| {
            if meta.path.is_ident("prefix") {
                once(&meta, &mut this.prefix)
            } else {
                Err(meta.error("unknown: on a struct there is `prefix`"))
            }
        })?;
        Ok(this)
    }
}

/// What the attributes of a field say.
#[derive(Default)]
pub(crate) struct OfField {
    pub(crate) label: Option<LitStr>,
    pub(crate) unit: Option<LitStr>,
    pub(crate) help: Option<LitStr>,
    pub(crate) attributes: Vec<(String, LitStr)>,
    pub(crate) aggregation: Option<TokenStream>,
    pub(crate) level: Option<TokenStream>,
    pub(crate) value: Option<Expr>,
    pub(crate) labels: Option<Vec<LitStr>>,
    pub(crate) cap: Option<LitInt>,
    pub(crate) error: Option<Lit>,
    pub(crate) range: Option<(Lit, Lit)>,
    pub(crate) entries: Option<LitInt>,
    pub(crate) windows: Vec<LitInt>,
    pub(crate) nested: bool,
    pub(crate) counter: bool,
}

impl OfField {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut this = Self::default();
        each(attributes, |meta| this.take(&meta))?;
        if this.help.is_none() {
            this.help = doc(attributes);
        }
        Ok(this)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let Some(name) = meta.path.get_ident().map(Ident::to_string) else {
            return Err(meta.error("unknown"));
        };
        match name.as_str() {
            "label" => once(meta, &mut self.label),
            "unit" => once(meta, &mut self.unit),
            "help" => once(meta, &mut self.help),
            "value" => {
                self.value = Some(meta.value()?.parse()?);
                Ok(())
            }
            "nested" => {
                self.nested = true;
                Ok(())
            }
            "counter" => {
                self.counter = true;
                Ok(())
            }
            "aggregation" => {
                let rules = ["sum", "min", "max", "mean", "each"];
                let rule = one_of(meta, &rules)?;
                self.aggregation = Some(quote!(::mmstats::Aggregation::#rule));
                Ok(())
            }
            "level" => {
                let level = one_of(meta, &["info", "diagnostic", "debug"])?;
                self.level = Some(quote!(::mmstats::Level::#level));
                Ok(())
            }
            "labels" => {
                let content;
                parenthesized!(content in meta.input);
                if self.labels.is_some() {
                    return Err(meta.error("said twice"));
                }
                let labels = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
                self.labels = Some(labels.into_iter().collect());
                Ok(())
            }
            "cap" => once(meta, &mut self.cap),
            "error" => once(meta, &mut self.error),
            "entries" => once(meta, &mut self.entries),
            "range" => {
                let content;
                parenthesized!(content in meta.input);
                let low = content.parse()?;
                content.parse::<Token![,]>()?;
                self.range = Some((low, content.parse()?));
                Ok(())
            }
            "windows" => {
                let content;
                parenthesized!(content in meta.input);
                let windows = Punctuated::<LitInt, Token![,]>::parse_terminated(&content)?;
                self.windows.extend(windows);
                Ok(())
            }
            "attributes" => {
                let content;
                parenthesized!(content in meta.input);
                for pair in Punctuated::<Pair, Token![,]>::parse_terminated(&content)? {
                    self.attributes.push((pair.key, pair.value));
                }
                Ok(())
            }
            _ => Err(meta.error(
                "unknown: on a field there are label, unit, help, attributes, aggregation, level, \
                 labels, cap, error, range, entries, windows, value, nested and counter",
            )),
        }
    }

    /// The label of the field called `name`.
    pub(crate) fn label_or(&self, name: &Ident) -> LitStr {
        self.label.clone().unwrap_or_else(|| {
            let name_text = name.to_string();
            LitStr::new(name_text.trim_start_matches("r#"), name.span())
        })
    }
}

/// `key = "value"`, the key a name or a string.
struct Pair {
    key: String,
    value: LitStr,
}

impl Parse for Pair {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = if input.peek(LitStr) {
            input.parse::<LitStr>()?.value()
        } else {
            input.parse::<Ident>()?.to_string()
        };
        input.parse::<Token![=]>()?;
        Ok(Self { key, value: input.parse()? })
    }
}

fn each(
    attributes: &[Attribute],
    mut take: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("stats"))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut take))
}

fn once<T: Parse>(meta: &ParseNestedMeta<'_>, place: &mut Option<T>) -> syn::Result<()> {
    if place.is_some() {
        return Err(meta.error("said twice"));
    }
    *place = Some(meta.value()?.parse()?);
    Ok(())
}

/// A string among `names`, as the variant of an enum.
fn one_of(meta: &ParseNestedMeta<'_>, names: &[&str]) -> syn::Result<Ident> {
    let text: LitStr = meta.value()?.parse()?;
    let value = text.value();
    if !names.contains(&value.as_str()) {
        return Err(syn::Error::new(text.span(), format!("one of {}", names.join(", "))));
    }
    let (first, rest) = value.split_at(1);
    Ok(Ident::new(&(first.to_uppercase() + rest), text.span()))
}

/// The doc comment as one text: lines joined by spaces, paragraphs by line breaks.
fn doc(attributes: &[Attribute]) -> Option<LitStr> {
    let mut text = String::new();
    let mut span = None;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        let Meta::NameValue(meta) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &meta.value else { continue };
        span.get_or_insert(line.span());
        for line in line.value().lines().chain(line.value().is_empty().then_some("")) {
            let line = line.trim();
            if line.is_empty() {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
            } else {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text.push_str(line);
            }
        }
    }
    let text = text.trim_end();
    span.filter(|_| !text.is_empty()).map(|span| LitStr::new(text, span))
}
