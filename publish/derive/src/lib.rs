//! The derive macros of `mmstats`. Use them through that crate.
#![forbid(unsafe_code)]

mod attributes;
mod doc;
mod input;
mod labels;
mod record;
mod state;
mod stats;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Makes a set of handles from a struct: each field is a field of the publisher.
///
/// The label is the name of the field, the help its doc comment.
///
/// ```
/// use mmstats::{Counter, Family, Latency, Stats};
///
/// #[derive(Stats)]
/// #[stats(prefix = "web")]
/// struct Web {
///     /// Requests served.
///     #[stats(labels("method", "code"))]
///     requests: Family<Counter, 2>,
///     /// From request to answer.
///     #[stats(error = 0.02)]
///     latency: Latency,
///     #[stats(nested)]
///     cache: Cache,
/// }
///
/// #[derive(Stats)]
/// struct Cache {
///     /// Lookups that found their key: `web.cache.hits`.
///     hits: Counter,
/// }
/// ```
///
/// | on the struct | |
/// | --- | --- |
/// | `prefix = "web"` | put before all labels, with a dot |
/// | `crate = "path"` | path of `mmstats`, where the dependency is renamed or re-exported |
///
/// | on a field | |
/// | --- | --- |
/// | `label = "bytes.sent"` | label; default: the name of the field |
/// | `unit = "bytes"` | unit |
/// | `help = "..."` | help; default: the doc comment. Any expression that is a `&str` |
/// | `attributes(method = "GET", "http.code" = "200")` | attributes |
/// | `aggregation = "max"` | how lanes combine: `sum`, `min`, `max`, `mean` or `each` |
/// | `level = "debug"` | importance: `info`, `diagnostic` or `debug` |
/// | `nested` | the field is itself a set of handles; its labels get this label as a prefix |
/// | `labels("method", "code")` | of a `Family`: the attributes in which its fields differ |
/// | `cap = 100` | of a family: maximum number of combinations |
/// | `value = env!("CARGO_PKG_VERSION")` | of an `Info`: the constant |
/// | `error = 0.02`, `range(1000, 60_000_000_000)`, `buckets = ...` | of a histogram or latency |
/// | `entries = 255` | of events: number of lines kept by each thread |
/// | `rows = 4` | of an activity: number of rows, 1 to 64 |
/// | `running` | of a timer or latency: shows the sections in progress |
/// | `windows(60, 300)` | of a rate: windows, in seconds |
///
/// Values of options are expressions. An option of another kind of field does not compile:
///
/// ```compile_fail,E0277
/// use mmstats::{Counter, Stats};
///
/// #[derive(Stats)]
/// struct Web {
///     #[stats(error = 0.02)]
///     requests: Counter,
/// }
/// ```
#[proc_macro_derive(Stats, attributes(stats))]
pub fn derive_stats(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    stats::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes the labels of a `FamilyBy` from a struct: each field is one label.
///
/// The key is the name of the field, or the one given with `#[labels(name = "http.status")]`.
/// The struct takes `#[labels(crate = "path")]`.
///
/// ```
/// use mmstats::{Counter, FamilyBy, Labels, Stats};
///
/// #[derive(Labels)]
/// struct Request<'a> {
///     method: &'a str,
///     #[labels(name = "http.status")]
///     status: u16,
/// }
///
/// #[derive(Stats)]
/// struct Web {
///     requests: FamilyBy<Counter, Request<'static>>,
/// }
///
/// fn served(stats: &Web, method: &str, status: u16) {
///     stats.requests.get(&Request { method, status }).incr();
/// }
/// ```
#[proc_macro_derive(Labels, attributes(labels))]
pub fn derive_labels(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    labels::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes a struct of scalars publishable as a group, all members at once.
///
/// Members take `#[stats(label = ..., unit = ..., help = ..., aggregation = ..., level = ...)]`
/// as fields of `Stats` do, and `#[stats(counter)]` for a sum that only grows. The struct takes
/// `#[stats(crate = "path")]`.
///
/// ```
/// use mmstats::{Group, Record, Stats};
///
/// #[derive(Clone, Copy, Record)]
/// struct Traffic {
///     #[stats(counter, unit = "bytes")]
///     sent: u64,
///     #[stats(unit = "ratio", aggregation = "mean")]
///     load: f64,
/// }
///
/// #[derive(Stats)]
/// struct Link {
///     traffic: Group<Traffic>,
/// }
/// ```
#[proc_macro_derive(Record, attributes(stats))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes the states of a `StateSet` from an enum without data. They are values of labels too.
///
/// The name of a state is that of its variant in lower case, with `_` between words, or
/// the one given with `#[state(name = "shutting down")]`. The enum takes
/// `#[state(crate = "path")]`.
///
/// ```
/// use mmstats::{State, StateSet, Stats};
///
/// #[derive(Clone, Copy, State)]
/// enum Phase {
///     Starting,
///     #[state(name = "shutting down")]
///     ShuttingDown,
/// }
///
/// #[derive(Stats)]
/// struct Server {
///     phase: StateSet<Phase>,
/// }
/// ```
#[proc_macro_derive(State, attributes(state))]
pub fn derive_state(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    state::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}
