//! `#[derive(Record)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

use crate::attributes::OfField;
use crate::named_fields;

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = named_fields(input, "Record")?;
    let name = &input.ident;
    if fields.named.is_empty() {
        return Err(Error::new_spanned(name, "a Record has at least one member"));
    }
    let (mut members, mut words) = (Vec::new(), Vec::new());
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let ty = &field.ty;
        let said = OfField::parse(&field.attrs)?;
        let family = said.labels.is_some() || said.cap.is_some();
        if said.nested || family || said.value.is_some() || !said.attributes.is_empty() {
            return Err(Error::new_spanned(
                field,
                "a member takes label, unit, help, aggregation, level and counter",
            ));
        }
        let label = said.label_or(ident);
        let mut spec = quote!(::mmstats::derive_support::FieldSpec::gauge(
            "",
            <#ty as ::mmstats::ScalarType>::TYPE
        ));
        if let Some(unit) = &said.unit {
            spec.extend(quote!(.unit(#unit)));
        }
        if let Some(help) = &said.help {
            spec.extend(quote!(.help(#help)));
        }
        if let Some(rule) = &said.aggregation {
            spec.extend(quote!(.aggregation(#rule)));
        }
        if let Some(level) = &said.level {
            spec.extend(quote!(.level(#level)));
        }
        if said.counter {
            spec.extend(quote!(.kind(::mmstats::Kind::Counter)));
        }
        members.push(quote!(::mmstats::MemberSpec { label: #label, spec: #spec }));
        words.push(quote!(put(::mmstats::ScalarType::to_bits(self.#ident));));
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::mmstats::Record for #name {
            const MEMBERS: &'static [::mmstats::MemberSpec] = &[#(#members,)*];

            #[inline(always)]
            fn words(&self, put: &mut impl ::core::ops::FnMut(u64)) {
                #(#words)*
            }
        }
    })
}
