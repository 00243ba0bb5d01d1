//! The derive macros of `mmstats`. Use them through that crate.
#![forbid(unsafe_code)]

mod attributes;
mod record;
mod state;
mod stats;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, Fields, FieldsNamed, parse_macro_input};

/// Makes a set of handles from a struct: each field is a field of the publisher.
///
/// The label is the name of the field, the help its doc comment. On the struct:
///
/// - `#[stats(prefix = "web")]`: stands before all labels, with a dot.
///
/// On a field:
///
/// - `#[stats(label = "bytes.sent")]`: instead of the name;
/// - `#[stats(unit = "bytes")]`, `#[stats(help = "...")]`;
/// - `#[stats(attributes(method = "GET", "http.code" = "200"))]`;
/// - `#[stats(aggregation = "max")]`: `sum`, `min`, `max`, `mean` or `each`;
/// - `#[stats(level = "debug")]`: `info`, `diagnostic` or `debug`;
/// - `#[stats(value = env!("CARGO_PKG_VERSION"))]`: the constant of an `Info`;
/// - `#[stats(labels("method", "code"))]`: a `Family`, whose fields differ in the values of
///   these attributes; `#[stats(cap = 100)]`: at most so many;
/// - `#[stats(error = 0.02, range(1000, 60_000_000_000))]`: of a histogram;
/// - `#[stats(entries = 255)]`: of events; `#[stats(windows(60, 300))]`: of a rate;
/// - `#[stats(nested)]`: the field is itself a set of handles; its labels get this name
///   as a prefix.
#[proc_macro_derive(Stats, attributes(stats))]
pub fn derive_stats(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    stats::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes a struct of scalars publishable as a group, all members at once.
///
/// Members take `#[stats(label = ..., unit = ..., help = ..., aggregation = ..., level = ...)]`,
/// and `#[stats(counter)]` for a sum that only grows.
#[proc_macro_derive(Record, attributes(stats))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes the states of a `StateSet` from an enum without data.
///
/// The names are those of the variants in lower case, with `_` between words, or what
/// `#[state(name = "shutting down")]` says.
#[proc_macro_derive(State, attributes(state))]
pub fn derive_state(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    state::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// The named fields of a struct without generics, or what is wrong with it.
fn named_fields<'a>(input: &'a DeriveInput, what: &str) -> syn::Result<&'a FieldsNamed> {
    if !input.generics.params.is_empty() {
        let text = format!("{what} can be derived for a struct without generic parameters only");
        return Err(Error::new_spanned(&input.generics, text));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields),
            _ => Err(Error::new_spanned(
                &input.ident,
                format!("{what} can be derived for a struct with named fields only"),
            )),
        },
        _ => Err(Error::new_spanned(
            &input.ident,
            format!("{what} can be derived for a struct only"),
        )),
    }
}
