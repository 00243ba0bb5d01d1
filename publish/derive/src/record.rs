//! `#[derive(Record)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

use crate::attributes::FieldAttributes;
use crate::input::{Container, named_fields, refuse_generics};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    refuse_generics(input, "Record")?;
    let fields = named_fields(input, "Record")?;
    let Container { mmstats, .. } = Container::parse(&input.attrs, "stats", false)?;
    let name = &input.ident;
    if fields.named.is_empty() {
        return Err(Error::new_spanned(name, "a Record has at least one member"));
    }
    let mut members = Vec::new();
    let (mut types, mut words) = (quote!(()), quote!(()));
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let ty = &field.ty;
        let mut attributes = FieldAttributes::parse(&field.attrs, &mmstats)?;
        let other = attributes.other_than(&["unit", "help", "aggregation", "level"]);
        let labels = attributes.labels.as_ref().map(|labels| labels.span);
        if let Some(span) = other.map(syn::Ident::span).or(labels).or(attributes.nested) {
            let text = "a member has label, unit, help, aggregation, level and counter";
            return Err(Error::new(span, text));
        }
        attributes.add_doc(&field.attrs)?;
        let label = attributes.label_or(ident);
        let gauge = quote!(#mmstats::derive_support::FieldSpec::gauge(
            "",
            <#ty as #mmstats::ScalarType>::TYPE,
        ));
        let spec = attributes.apply(gauge, ty);
        let kind = attributes.counter.map(|_| quote!(.kind(#mmstats::Kind::Counter)));
        members.push(quote!(#mmstats::MemberSpec {
            label: #label,
            spec: #spec #kind
        }));
    }
    for field in fields.named.iter().rev() {
        let (ident, ty) = (&field.ident, &field.ty);
        types = quote!((&'a #ty, #types));
        words = quote!((&self.#ident, #words));
    }
    Ok(quote! {
        #[automatically_derived]
        impl #mmstats::Record for #name {
            const MEMBERS: &'static [#mmstats::MemberSpec] = &[#(#members,)*];

            type Words<'a> = #types;

            #[inline(always)]
            fn words(&self) -> Self::Words<'_> {
                #words
            }
        }
    })
}
