//! The struct or enum of a derive: its fields, and its attributes as a whole.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::{
    Attribute, Data, DataStruct, DeriveInput, Error, Fields, FieldsNamed, Ident, LitStr, Path,
};

/// An error if the struct has generic parameters.
pub(crate) fn refuse_generics(input: &DeriveInput, derive: &str) -> syn::Result<()> {
    if input.generics.params.is_empty() {
        return Ok(());
    }
    let text = format!("{derive} can be derived for a struct without generic parameters only");
    Err(Error::new_spanned(&input.generics, text))
}

/// The named fields of a struct; anything else is an error.
pub(crate) fn named_fields<'a>(
    input: &'a DeriveInput,
    derive: &str,
) -> syn::Result<&'a FieldsNamed> {
    let text = match &input.data {
        Data::Struct(DataStruct { fields: Fields::Named(fields), .. }) => return Ok(fields),
        Data::Struct(_) => format!("{derive} can be derived for a struct with named fields only"),
        _ => format!("{derive} can be derived for a struct only"),
    };
    Err(Error::new_spanned(&input.ident, text))
}

/// Attributes of the whole struct or enum.
pub(crate) struct Container {
    /// Path of the crate `mmstats`.
    pub(crate) mmstats: Path,
    pub(crate) prefix: Option<LitStr>,
}

impl Container {
    /// Reads `#[name(...)]`; `prefix` is known only where `with_prefix` says so.
    pub(crate) fn parse(
        attributes: &[Attribute],
        name: &str,
        with_prefix: bool,
    ) -> syn::Result<Self> {
        let (mut mmstats, mut prefix) = (None::<LitStr>, None);
        for_each_key(attributes, name, |meta| {
            if meta.path.is_ident("crate") {
                set_once(&meta, &mut mmstats)
            } else if with_prefix && meta.path.is_ident("prefix") {
                set_once(&meta, &mut prefix)
            } else if with_prefix {
                Err(meta.error("unknown option: a struct has `prefix` and `crate`"))
            } else {
                Err(meta.error("unknown option: only `crate` is known here"))
            }
        })?;
        let mmstats = match mmstats {
            Some(path) => path.parse_with(Path::parse_mod_style)?,
            None => syn::parse_quote!(::mmstats),
        };
        Ok(Self { mmstats, prefix })
    }
}

/// Calls `take` for each key of `#[name(...)]`.
pub(crate) fn for_each_key(
    attributes: &[Attribute],
    name: &str,
    mut take: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident(name))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut take))
}

/// Parses the value of `key = value`; a second one is an error.
pub(crate) fn set_once<T: Parse>(
    meta: &ParseNestedMeta<'_>,
    slot: &mut Option<T>,
) -> syn::Result<()> {
    if slot.is_some() {
        return Err(meta.error(TWICE));
    }
    *slot = Some(meta.value()?.parse()?);
    Ok(())
}

/// Sets `slot`; a second time is an error.
pub(crate) fn put<T>(
    meta: &ParseNestedMeta<'_>,
    slot: &mut Option<T>,
    value: T,
) -> syn::Result<()> {
    slot.replace(value).map_or(Ok(()), |_| Err(meta.error(TWICE)))
}

pub(crate) const TWICE: &str = "given twice";

/// The name given by `#[attribute(name = "...")]`, the only option of `item`; otherwise `default`.
pub(crate) fn name_or(
    attributes: &[Attribute],
    attribute: &str,
    item: &str,
    default: LitStr,
) -> syn::Result<LitStr> {
    let mut name = None;
    for_each_key(attributes, attribute, |meta| {
        if meta.path.is_ident("name") {
            set_once(&meta, &mut name)
        } else {
            Err(meta.error(format!("unknown option: {item} has `name`")))
        }
    })?;
    Ok(name.unwrap_or(default))
}

/// The text of a name, without the `r#` of a keyword.
pub(crate) fn text(name: &Ident) -> LitStr {
    LitStr::new(&name.unraw().to_string(), name.span())
}

/// A variable of the generated code.
///
/// The span hides it from expressions of the user. The name differs from constants of the user,
/// which would make the binding a pattern.
pub(crate) fn variable(name: &str) -> Ident {
    Ident::new(&format!("__mmstats_{name}"), Span::mixed_site())
}

/// The rule for keys of attributes: FORMAT.md section 5.
pub(crate) fn check_key(key: &str, span: Span) -> syn::Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if (1..=63).contains(&key.len()) && key.chars().all(allowed) {
        Ok(())
    } else {
        Err(Error::new(span, "the key of an attribute has 1 to 63 of `A-Z a-z 0-9 _ . -`"))
    }
}
