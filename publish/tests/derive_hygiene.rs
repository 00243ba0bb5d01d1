//! The derive macros beside names of the user that look like theirs.
#![allow(missing_docs)]
#![deny(dead_code, unused)]

/// Types, constants and variables with the names that the expansion of the macros defines or uses.
mod names {
    #![allow(non_upper_case_globals, dead_code)]
    #![allow(clippy::upper_case_acronyms)]

    use mmstats::{Counter, FamilyBy, Gauge, Group, Info, Record, State, StateSet, Stats};

    pub(crate) const prefix: u32 = 17;
    const schema: &str = "of the user";
    const plan: u8 = 0;
    const lane: u8 = 0;
    const handles: u8 = 0;
    const number: u8 = 0;
    const put: u8 = 0;
    const take: u8 = 0;

    /// A set of handles called as the macro once called its own struct.
    #[derive(Stats)]
    pub(crate) struct Plan {
        pub(crate) x: Counter,
    }

    #[derive(Clone, Copy, State)]
    pub(crate) enum Option {
        None,
        Some,
    }

    #[derive(Clone, Copy, Record)]
    pub(crate) struct Schema {
        pub(crate) label: u64,
        pub(crate) spec: f64,
    }

    #[derive(mmstats::Labels)]
    pub(crate) struct Labels {
        pub(crate) take: u8,
    }

    #[derive(Stats)]
    pub(crate) struct Lane {
        pub(crate) key: FamilyBy<Counter, Labels>,
        #[stats(nested)]
        pub(crate) plan: Plan,
        #[stats(nested, label = "second")]
        pub(crate) schema: Plan,
        pub(crate) prefix: Counter,
        pub(crate) lane: StateSet<Option>,
        pub(crate) handles: Group<Schema>,
        #[stats(value = prefix)]
        pub(crate) first: Info,
        #[stats(value = schema)]
        pub(crate) last: Info,
        pub(crate) r#struct: Gauge<u8>,
    }
}

/// Nothing in scope but names that mean something else.
mod shadowed {
    #![no_implicit_prelude]
    #![allow(dead_code, non_camel_case_types)]

    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod mmstats {}
    struct Option;
    struct Some;
    struct None;
    struct Result;
    struct Ok;
    struct Err;
    struct Vec;
    struct String;
    struct Default;
    struct Box;
    struct Into;
    struct From;
    struct Send;
    struct Sync;
    struct Sized;
    struct str;
    struct u64;
    struct u32;
    struct f64;
    struct bool;

    #[derive(::core::clone::Clone, ::core::marker::Copy, ::mmstats::State)]
    pub(crate) enum Phase {
        Starting,
        Serving,
    }

    #[derive(::core::clone::Clone, ::core::marker::Copy, ::mmstats::Record)]
    pub(crate) struct Totals {
        /// Help.
        #[stats(counter, unit = "bytes", level = "debug", aggregation = "max")]
        pub(crate) bytes: ::core::primitive::u64,
    }

    /// Help.
    #[derive(::mmstats::Stats)]
    #[stats(prefix = "shadowed")]
    pub(crate) struct Web {
        /// Help.
        #[stats(unit = "requests", level = "debug", aggregation = "max", attributes(a = "b"))]
        pub(crate) requests: ::mmstats::Counter,
        #[stats(labels("method"), cap = 3)]
        pub(crate) by_method: ::mmstats::Family<::mmstats::Counter, 1>,
        #[stats(error = 0.02, range(1000, 60_000_000_000))]
        pub(crate) latency: ::mmstats::Latency,
        #[stats(entries = 7)]
        pub(crate) log: ::mmstats::Events,
        #[stats(windows(10, 60))]
        pub(crate) rate: ::mmstats::Rate,
        #[stats(value = 7_u8 as ::core::primitive::u32)]
        pub(crate) constant: ::mmstats::Info,
        pub(crate) phase: ::mmstats::StateSet<Phase>,
        pub(crate) totals: ::mmstats::Group<Totals>,
        #[stats(nested)]
        pub(crate) inner: Inner,
    }

    #[derive(::mmstats::Stats)]
    pub(crate) struct Inner {
        pub(crate) x: ::mmstats::Flag,
        pub(crate) by: ::mmstats::FamilyBy<::mmstats::Counter, Request<'static>>,
        #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
        pub(crate) shared: ::mmstats::SharedGauge<::core::primitive::u64>,
    }

    #[derive(::mmstats::Labels)]
    pub(crate) struct Request<'a> {
        pub(crate) phase: Phase,
        pub(crate) path: &'a ::core::primitive::str,
        #[labels(name = "http.status")]
        pub(crate) status: ::core::primitive::u16,
    }
}

/// The dependency has another name.
mod renamed {
    pub(crate) mod inner {
        pub(crate) use mmstats as published;
    }

    use inner::published::{Counter, FamilyBy, Group, StateSet};

    #[derive(inner::published::Labels)]
    #[labels(crate = "inner::published")]
    pub(crate) struct Labels {
        pub(crate) phase: Phase,
    }

    #[derive(inner::published::Stats)]
    #[stats(crate = "inner::published", prefix = "renamed")]
    pub(crate) struct Web {
        #[stats(level = "debug")]
        pub(crate) requests: Counter,
        pub(crate) by: FamilyBy<Counter, Labels>,
        pub(crate) totals: Group<Totals>,
        pub(crate) phase: StateSet<Phase>,
    }

    #[derive(Clone, Copy, inner::published::Record)]
    #[stats(crate = "inner::published")]
    pub(crate) struct Totals {
        pub(crate) all: u64,
    }

    #[derive(Clone, Copy, inner::published::State)]
    #[state(crate = "crate::renamed::inner::published")]
    pub(crate) enum Phase {
        On,
    }
}

use mmstats::{Counter, Info, Options, Publisher, Stats};
use mmstats_observe::{Observer, OwnedValue, Sources};

fn start<S: Stats>() -> (tempfile::TempDir, Publisher<S>) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().directory(directory.path()).without_system_fields();
    let publisher = options.start().unwrap();
    (directory, publisher)
}

/// Label, help, attributes and value of each field.
fn fields(directory: &tempfile::TempDir) -> Vec<(String, String, String, Option<OwnedValue>)> {
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    observer.refresh();
    let mut all = Vec::new();
    for file in observer.files() {
        for field in file.fields() {
            let attributes: Vec<_> = field.attributes().map(|(k, v)| format!("{k}={v}")).collect();
            let value = file.value(field.index()).value.map(|value| value.only().clone());
            let (label, help) = (field.label().to_owned(), field.help().to_owned());
            all.push((label, help, attributes.join(","), value));
        }
    }
    all
}

fn labels(directory: &tempfile::TempDir) -> Vec<String> {
    fields(directory).into_iter().map(|(label, ..)| label).collect()
}

#[test]
fn derive_names_of_the_macro_in_scope() {
    let (directory, publisher) = start::<names::Lane>();
    publisher.with(|stats| {
        stats.key.get(&names::Labels { take: 1 }).incr();
        stats.plan.x.incr();
        stats.schema.x.incr();
        stats.prefix.incr();
        stats.lane.set(names::Option::Some);
        stats.handles.set(&names::Schema { label: 1, spec: 0.5 });
        stats.r#struct.set(1);
    });
    let fields = fields(&directory);
    let value = |label: &str| {
        fields.iter().find(|(l, ..)| l == label).and_then(|(.., value)| value.clone())
    };
    assert_eq!(value("first"), Some(OwnedValue::Unsigned(17)), "the constant, not a variable");
    let text = OwnedValue::Text { text: "of the user".to_owned(), cut: false };
    assert_eq!(value("last"), Some(text));
    let labels: Vec<_> = fields.iter().map(|(label, ..)| label.as_str()).collect();
    for wanted in ["key", "plan.x", "second.x", "prefix", "lane", "handles.label", "struct"] {
        assert!(labels.contains(&wanted), "{labels:?}");
    }
    assert_eq!(names::prefix, 17);
}

#[test]
fn derive_prelude_shadowed() {
    let (directory, publisher) = start::<shadowed::Web>();
    publisher.with(|stats| {
        stats.requests.incr();
        stats.by_method.get(&["GET"]).incr();
        stats.latency.record_nanos(5);
        stats.log.record("line");
        stats.rate.incr();
        stats.phase.set(shadowed::Phase::Serving);
        stats.totals.set(&shadowed::Totals { bytes: 3 });
        stats.inner.x.set(true);
        let phase = shadowed::Phase::Starting;
        stats.inner.by.get(&shadowed::Request { phase, path: "/", status: 200 }).incr();
        #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
        stats.inner.shared.set(1);
    });
    let labels = labels(&directory);
    for label in ["shadowed.requests", "shadowed.by_method", "shadowed.inner.x"] {
        assert!(labels.iter().any(|known| known == label), "{labels:?}");
    }
}

#[test]
fn derive_crate_path() {
    let (directory, publisher) = start::<renamed::Web>();
    publisher.with(|stats| {
        stats.requests.incr();
        stats.totals.set(&renamed::Totals { all: 1 });
        stats.phase.set(renamed::Phase::On);
        stats.by.get(&renamed::Labels { phase: renamed::Phase::On }).incr();
    });
    let wanted = ["renamed.by", "renamed.phase", "renamed.requests", "renamed.totals.all"];
    let mut labels = labels(&directory);
    labels.sort();
    labels.dedup();
    assert_eq!(labels, wanted);
}

#[test]
fn derive_info_never_read_without_warning() {
    // `dead_code` is denied in this file.
    #[derive(Stats)]
    struct Build {
        #[stats(value = "1.2")]
        version: Info,
        empty: Info,
        builds: Counter,
    }
    let (directory, publisher) = start::<Build>();
    publisher.with(|stats| stats.builds.incr());
    assert_eq!(labels(&directory), ["version", "empty", "builds"]);
}

#[test]
fn derive_keyword_as_attribute_key() {
    #[derive(Stats)]
    struct Web {
        #[stats(attributes(type = "a", r#match = "b", "c.d" = "c", self = "d"))]
        requests: Counter,
    }
    let (directory, publisher) = start::<Web>();
    publisher.with(|stats| stats.requests.incr());
    assert_eq!(fields(&directory)[0].2, "type=a,match=b,c.d=c,self=d");
}

#[test]
fn derive_help_from_each_form_of_comment() {
    macro_rules! documented {
        ($text:literal) => {
            #[derive(Stats)]
            #[allow(dead_code)]
            struct Web {
                /** Block,
                 * with stars.
                 */
                block: Counter,
                #[doc = $text]
                passed: Counter,
                #[doc = concat!("of ", "a macro")]
                #[stats(help = concat!("of ", "a macro"))]
                macro_: Counter,
            }
        };
    }
    documented!("passed on");
    let (directory, _publisher) = start::<Web>();
    let help: Vec<_> = fields(&directory).into_iter().map(|(_, help, ..)| help).collect();
    assert_eq!(help, ["Block, with stars.", "passed on", "of a macro"]);
}

#[test]
fn derive_options_are_expressions() {
    const LINES: u32 = 7;
    const LOW: u64 = 1_000;
    #[derive(Stats)]
    #[allow(dead_code)]
    struct Web {
        #[stats(range(LOW, 1e9), error = 0.1 / 2.0)]
        latency: mmstats::Latency,
        #[stats(entries = LINES)]
        log: mmstats::Events,
        #[stats(windows(LINES, 60))]
        rate: mmstats::Rate,
        #[stats(range(0x10, 18_446_744_073_709_551_615))]
        sizes: mmstats::Histogram,
        #[stats(labels("a"), cap = LINES)]
        family: mmstats::Family<Counter, 1>,
        #[stats(buckets = mmstats::Buckets::integers(0.05, 1, 1_000))]
        few: mmstats::Histogram,
    }
    let (directory, _publisher) = start::<Web>();
    // A rate is two fields.
    assert_eq!(labels(&directory).len(), 7);
}
