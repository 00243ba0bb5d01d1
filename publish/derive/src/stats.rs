//! `#[derive(Stats)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

use crate::attributes::{OfField, OfStruct};
use crate::named_fields;

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = named_fields(input, "Stats")?;
    let name = &input.ident;
    let prefix = OfStruct::parse(&input.attrs)?.prefix;
    let prefix = prefix.map_or_else(String::new, |text| text.value());

    let (mut plan, mut declare, mut attach) = (Vec::new(), Vec::new(), Vec::new());
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let ty = &field.ty;
        let said = OfField::parse(&field.attrs)?;
        let label = said.label_or(ident);
        if said.counter {
            return Err(Error::new_spanned(field, "`counter` is for the members of a Record"));
        }
        if said.nested {
            plan.push(quote!(#ident: <#ty as ::mmstats::Stats>::Plan));
            declare.push(quote!(#ident: <#ty as ::mmstats::Stats>::declare(
                schema, &::mmstats::derive_support::join(&prefix, #label)
            )));
            attach.push(quote!(#ident: <#ty as ::mmstats::Stats>::attach(&plan.#ident, lane)?));
            continue;
        }
        let mut options = quote!(::mmstats::FieldOptions::new());
        if let Some(unit) = &said.unit {
            options.extend(quote!(.unit(#unit)));
        }
        if let Some(help) = &said.help {
            options.extend(quote!(.help(#help)));
        }
        for (key, value) in &said.attributes {
            options.extend(quote!(.attribute(#key, #value)));
        }
        if let Some(rule) = &said.aggregation {
            options.extend(quote!(.aggregation(#rule)));
        }
        if let Some(level) = &said.level {
            options.extend(quote!(.level(#level)));
        }
        if let Some(value) = &said.value {
            options.extend(quote!(.value(#value)));
        }
        if let Some(error) = &said.error {
            options.extend(quote!(.error(#error)));
        }
        if let Some((low, high)) = &said.range {
            options.extend(quote!(.range((#low) as f64, (#high) as f64)));
        }
        if let Some(entries) = &said.entries {
            options.extend(quote!(.entries(#entries)));
        }
        if !said.windows.is_empty() {
            let windows = &said.windows;
            options.extend(quote!(.windows([#(#windows),*])));
        }
        if let Some(labels) = &said.labels {
            if let Some(cap) = &said.cap {
                options.extend(quote!(.cap(#cap)));
            }
            let family = quote!(<#ty as ::mmstats::derive_support::AnyFamily>);
            plan.push(quote!(#ident: #family::Key));
            declare.push(quote!(#ident: #family::declare(
                schema, ::mmstats::derive_support::join(&prefix, #label), [#(#labels),*], #options
            )));
            attach.push(quote!(#ident: #family::attach(lane, plan.#ident)?));
            continue;
        }
        if said.cap.is_some() {
            return Err(Error::new_spanned(field, "`cap` is for a family: a field with `labels`"));
        }
        plan.push(quote!(#ident: ::mmstats::Key<#ty>));
        declare.push(quote!(#ident: schema.add::<#ty>(
            ::mmstats::derive_support::join(&prefix, #label), #options
        )));
        attach.push(quote!(#ident: lane.attach(plan.#ident)?));
    }

    Ok(quote! {
        const _: () = {
            #[doc(hidden)]
            pub struct Plan { #(#plan,)* }

            #[automatically_derived]
            impl ::mmstats::Stats for #name {
                type Plan = Plan;

                fn declare(schema: &mut ::mmstats::Schema, prefix: &str) -> Plan {
                    let prefix = ::mmstats::derive_support::join(prefix, #prefix);
                    let _ = (&schema, &prefix);
                    Plan { #(#declare,)* }
                }

                fn attach(
                    plan: &Plan,
                    lane: &::mmstats::Lane,
                ) -> ::core::result::Result<Self, ::mmstats::Error> {
                    let _ = (plan, lane);
                    ::core::result::Result::Ok(Self { #(#attach,)* })
                }

                fn local() -> &'static ::std::thread::LocalKey<::mmstats::Local<Self>> {
                    ::std::thread_local! {
                        static LOCAL: ::mmstats::Local<#name> =
                            const { ::mmstats::Local::new() };
                    }
                    &LOCAL
                }
            }
        };
    })
}
