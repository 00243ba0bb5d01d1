//! `#[derive(State)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "State can be derived for an enum only"));
    };
    if !input.generics.params.is_empty() || data.variants.is_empty() {
        let text = "State can be derived for an enum with variants and without parameters only";
        return Err(Error::new_spanned(&input.ident, text));
    }
    let (mut names, mut variants) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "a state has no data"));
        }
        let mut name = None;
        for attribute in variant.attrs.iter().filter(|a| a.path().is_ident("state")) {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("name") {
                    return Err(meta.error("unknown: on a state there is `name`"));
                }
                name = Some(meta.value()?.parse::<LitStr>()?);
                Ok(())
            })?;
        }
        let own = || {
            let text = variant.ident.to_string();
            LitStr::new(&snake_case(text.trim_start_matches("r#")), variant.ident.span())
        };
        let name = name.unwrap_or_else(own);
        if name.value().is_empty() || name.value().len() > 63 || name.value().contains('\0') {
            return Err(Error::new_spanned(name, "a name has 1 to 63 bytes, none of them zero"));
        }
        if names.iter().any(|other: &LitStr| other.value() == name.value()) {
            return Err(Error::new_spanned(variant, "two states have this name"));
        }
        names.push(name);
        variants.push(&variant.ident);
    }
    let name = &input.ident;
    let numbers: Vec<_> = (0_u32..).take(variants.len()).collect();
    Ok(quote! {
        #[automatically_derived]
        impl ::mmstats::State for #name {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn number(self) -> u32 {
                match self { #(Self::#variants => #numbers,)* }
            }

            fn from_number(number: u32) -> ::core::option::Option<Self> {
                match number {
                    #(#numbers => ::core::option::Option::Some(Self::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    })
}

/// `ShuttingDown` as `shutting_down`.
fn snake_case(text: &str) -> String {
    let mut out = String::new();
    let mut before = None::<char>;
    for c in text.chars() {
        if c.is_uppercase() && before.is_some_and(|b| b != '_' && !b.is_uppercase()) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        before = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn words_are_joined_by_underscores() {
        for (from, to) in
            [("Idle", "idle"), ("ShuttingDown", "shutting_down"), ("IO", "io"), ("A_b", "a_b")]
        {
            assert_eq!(snake_case(from), to);
        }
    }
}
