//! `#[derive(State)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, LitStr, Variant};

use crate::input::{Container, name_or, text, variable};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "State can be derived for an enum only"));
    };
    if !input.generics.params.is_empty() || data.variants.is_empty() {
        let text = "State can be derived for an enum with variants and without parameters only";
        return Err(Error::new_spanned(&input.ident, text));
    }
    let Container { mmstats, .. } = Container::parse(&input.attrs, "state", false)?;
    let names = names(data)?;
    let name = &input.ident;
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let numbers: Vec<_> = (0_u32..).take(variants.len()).collect();
    let number = variable("number");
    Ok(quote! {
        #[automatically_derived]
        impl #mmstats::State for #name {
            const NAMES: &'static [&'static ::core::primitive::str] = &[#(#names),*];

            fn number(self) -> ::core::primitive::u32 {
                match self { #(Self::#variants => #numbers,)* }
            }

            fn from_number(#number: ::core::primitive::u32) -> ::core::option::Option<Self> {
                match #number {
                    #(#numbers => ::core::option::Option::Some(Self::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }
        }

        #[automatically_derived]
        impl #mmstats::LabelValue for #name {
            fn as_label<'a>(
                &'a self,
                _: &'a mut #mmstats::LabelBuffer,
            ) -> &'a ::core::primitive::str {
                match self { #(Self::#variants => #names,)* }
            }
        }
    })
}

/// The names of the states; two that are equal are an error.
fn names(data: &DataEnum) -> syn::Result<Vec<LitStr>> {
    let mut names: Vec<LitStr> = Vec::new();
    for variant in &data.variants {
        let name = name(variant)?;
        if names.iter().any(|other| other.value() == name.value()) {
            return Err(Error::new_spanned(variant, "two states have this name"));
        }
        names.push(name);
    }
    Ok(names)
}

fn name(variant: &Variant) -> syn::Result<LitStr> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(Error::new_spanned(variant, "a state has no data"));
    }
    let ident = &variant.ident;
    let default = LitStr::new(&snake_case(&text(ident).value()), ident.span());
    let name = name_or(&variant.attrs, "state", "a state", default)?;
    if !(1..=63).contains(&name.value().len()) || name.value().contains('\0') {
        return Err(Error::new_spanned(name, "a name has 1 to 63 bytes, none of them zero"));
    }
    Ok(name)
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
