//! `#[derive(Labels)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, LitStr};

use crate::input::{Container, check_key, name_or, named_fields, text, variable};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = named_fields(input, "Labels")?;
    let Container { mmstats, .. } = Container::parse(&input.attrs, "labels", false)?;
    if fields.named.is_empty() {
        return Err(Error::new_spanned(&input.ident, "a family has at least one label"));
    }
    let (mut keys, mut values) = (Vec::<LitStr>::new(), Vec::new());
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let key = name_or(&field.attrs, "labels", "a label", text(ident))?;
        check_key(&key.value(), key.span())?;
        if keys.iter().any(|other| other.value() == key.value()) {
            return Err(Error::new(key.span(), "two labels have this name"));
        }
        keys.push(key);
        let ty = &field.ty;
        let value = quote_spanned!(ty.span()=> <#ty as #mmstats::LabelValue>);
        values.push(quote!(
            #value::as_label(&self.#ident, &mut #mmstats::LabelBuffer::new())
        ));
    }
    let (name, take) = (&input.ident, variable("take"));
    let (generics, arguments, conditions) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #mmstats::Labels for #name #arguments #conditions {
            const KEYS: &'static [&'static ::core::primitive::str] = &[#(#keys),*];

            #[inline]
            fn with_values<__MmstatsResult>(
                &self,
                #take: impl ::core::ops::FnOnce(&[&::core::primitive::str]) -> __MmstatsResult,
            ) -> __MmstatsResult {
                #take(&[#(#values),*])
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn error(input: &syn::DeriveInput) -> String {
        expand(input).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn expand_misuse_refused() {
        assert_eq!(
            error(&syn::parse_quote!(
                struct Empty {}
            )),
            "a family has at least one label"
        );
        let twice = error(&syn::parse_quote! {
            struct Request { a: u8, #[labels(name = "a")] b: u8 }
        });
        assert_eq!(twice, "two labels have this name");
        let bad = error(&syn::parse_quote! {
            struct Request { #[labels(name = "a b")] a: u8 }
        });
        assert!(bad.starts_with("the key of an attribute"), "{bad}");
        let unknown = error(&syn::parse_quote! {
            struct Request { #[labels(key = "a")] a: u8 }
        });
        assert_eq!(unknown, "unknown option: a label has `name`");
        let tuple = error(&syn::parse_quote!(
            struct Request(u8);
        ));
        assert_eq!(tuple, "Labels can be derived for a struct with named fields only");
    }
}
