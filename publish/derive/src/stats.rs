//! `#[derive(Stats)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Ident, LitStr};

use crate::attributes::{FieldAttributes, Labels, is_info};
use crate::input::{Container, named_fields, refuse_generics, variable};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    refuse_generics(input, "Stats")?;
    let fields = named_fields(input, "Stats")?;
    let name = &input.ident;
    let Container { mmstats, prefix: own_prefix } = Container::parse(&input.attrs, "stats", true)?;
    let own_prefix = own_prefix.unwrap_or_else(|| LitStr::new("", name.span()));
    let [schema, prefix, plan, lane, handles] =
        ["schema", "prefix", "plan", "lane", "handles"].map(variable);

    let (mut keys, mut declare, mut attach) = (Vec::new(), Vec::new(), Vec::new());
    let mut constants = Vec::new();
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let ty = &field.ty;
        let mut attributes = FieldAttributes::parse(&field.attrs, &mmstats)?;
        if let Some(span) = attributes.counter {
            return Err(Error::new(span, "`counter` is for the members of a Record"));
        }
        let label = attributes.label_or(ident);
        let label = quote!(#mmstats::derive_support::join(&#prefix, #label));
        if attributes.nested.is_some() {
            let labels = attributes.labels.as_ref().map(|labels| labels.span);
            if let Some(span) = attributes.other_than(&[]).map(Ident::span).or(labels) {
                return Err(Error::new(span, "a nested set of handles has `label` only"));
            }
            let nested = quote!(<#ty as #mmstats::Stats>);
            keys.push(quote!(#ident: #nested::Plan));
            declare.push(quote!(#ident: #nested::declare(#schema, &#label)));
            attach.push(quote!(#ident: #nested::attach(&#plan.#ident, #lane)?));
            continue;
        }
        attributes.add_doc(&field.attrs)?;
        let options = attributes.apply(quote!(#mmstats::FieldOptions::new()), ty);
        let (member, labels) = match &attributes.labels {
            Some(Labels { span, keys }) => {
                ("LabeledMember", Some(quote_spanned!(*span=> [#(#keys),*],)))
            }
            None => ("Member", None),
        };
        if is_info(field) {
            constants.push(ident);
        }
        let member = Ident::new(member, ty.span());
        let member = quote_spanned!(ty.span()=> <#ty as #mmstats::derive_support::#member>);
        keys.push(quote!(#ident: #member::Key));
        declare.push(quote!(#ident: #member::declare(#schema, #label, #labels #options)));
        attach.push(quote!(#ident: #member::attach(#lane, #plan.#ident)?));
    }

    Ok(quote! {
        const _: () = {
            #[doc(hidden)]
            pub struct __MmstatsPlan { #(#keys,)* }

            #[automatically_derived]
            impl #mmstats::Stats for #name {
                type Plan = __MmstatsPlan;

                fn declare(
                    #schema: &mut #mmstats::Schema,
                    #prefix: &::core::primitive::str,
                ) -> __MmstatsPlan {
                    let #prefix = #mmstats::derive_support::join(#prefix, #own_prefix);
                    let _ = (&#schema, &#prefix);
                    __MmstatsPlan { #(#declare,)* }
                }

                fn attach(
                    #plan: &__MmstatsPlan,
                    #lane: &#mmstats::Lane,
                ) -> ::core::result::Result<Self, #mmstats::Error> {
                    let _ = (#plan, #lane);
                    let #handles = Self { #(#attach,)* };
                    // A constant has no other use of its handle.
                    let _ = (#(&#handles.#constants,)*);
                    ::core::result::Result::Ok(#handles)
                }

                fn local() -> &'static ::std::thread::LocalKey<#mmstats::derive_support::Local<Self>> {
                    ::std::thread_local! {
                        static __MMSTATS_LOCAL: #mmstats::derive_support::Local<#name> =
                            const { #mmstats::derive_support::Local::new() };
                    }
                    &__MMSTATS_LOCAL
                }
            }
        };
    })
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn expand_crate_path_replaces_default() {
        let input = syn::parse_quote! {
            #[stats(crate = "other::renamed")]
            struct Web {
                #[stats(level = "debug", aggregation = "max")]
                worst: Gauge<u64>,
                #[stats(labels("a"))]
                family: Family<Counter, 1>,
                #[stats(nested)]
                nested: Inner,
            }
        };
        let code = expand(&input).unwrap().to_string();
        assert!(code.contains("other :: renamed :: Schema"));
        assert!(!code.contains(":: mmstats"), "{code}");
    }

    fn error(input: &syn::DeriveInput) -> String {
        expand(input).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn expand_misplaced_option_refused() {
        let nested = error(&syn::parse_quote! {
            struct Web { #[stats(nested, unit = "bytes")] inner: Inner }
        });
        assert_eq!(nested, "a nested set of handles has `label` only");
        let counter = error(&syn::parse_quote! {
            struct Web { #[stats(counter)] requests: Counter }
        });
        assert_eq!(counter, "`counter` is for the members of a Record");
        let unknown = error(&syn::parse_quote! {
            struct Web { #[stats(units = "bytes")] requests: Counter }
        });
        assert!(unknown.starts_with("unknown option"), "{unknown}");
    }

    #[test]
    fn expand_option_twice_refused() {
        let once = error(&syn::parse_quote! {
            struct Web { #[stats(unit = "bytes")] #[stats(unit = "bytes")] requests: Counter }
        });
        assert_eq!(once, "given twice");
    }

    #[test]
    fn expand_key_outside_rule_refused() {
        for key in ["a b", "ä", ""] {
            let bad = error(&syn::parse_quote! {
                struct Web { #[stats(attributes(#key = "x"))] requests: Counter }
            });
            assert!(bad.starts_with("the key of an attribute has 1 to 63"), "{bad}");
        }
        let bad = error(&syn::parse_quote! {
            struct Web { #[stats(attributes(größe = "x"))] requests: Counter }
        });
        assert!(bad.starts_with("the key of an attribute has 1 to 63"), "{bad}");
    }
}
