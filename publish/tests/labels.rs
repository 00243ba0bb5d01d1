//! Families by labels with names, and gauges of the whole program in a set of handles.
#![allow(missing_docs)]

use std::borrow::Cow;
use std::path::Path;

use mmstats::{
    Counter, FamilyBy, FieldOptions, Labels, Lane, Latency, Options, Publisher, Schema, State,
    Stats,
};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};

#[derive(Clone, Copy, State)]
enum Method {
    Get,
    #[state(name = "POST")]
    Post,
}

#[derive(Labels)]
struct Request<'a> {
    method: Method,
    route: &'a str,
    #[labels(name = "http.status")]
    status: u16,
    r#type: Cow<'a, str>,
    cached: bool,
}

impl<'a> Request<'a> {
    fn new(method: Method, route: &'a str, status: u16) -> Self {
        Self { method, route, status, r#type: Cow::Borrowed("text"), cached: false }
    }
}

#[derive(Stats)]
#[stats(prefix = "web")]
struct Web {
    /// Requests served.
    #[stats(cap = 3, unit = "requests", attributes(fixed = "yes"))]
    requests: FamilyBy<Counter, Request<'static>>,
    #[stats(error = 0.1)]
    latency: FamilyBy<Latency, Peer>,
}

#[derive(Labels)]
struct Peer {
    name: String,
}

/// Label, attributes and value of each field.
fn values(directory: &Path) -> Vec<String> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let mut values: Vec<_> = totals(observer.files())
        .iter()
        .filter(|total| !total.field.label.starts_with("sys."))
        .map(|total| {
            let value = match &total.reading.value {
                Some(OwnedValue::Unsigned(n)) => n.to_string(),
                Some(OwnedValue::Histogram(h)) => format!("{} values", h.count()),
                None => "none".to_owned(),
                other => panic!("{}: {other:?}", total.field.label),
            };
            let attributes = total.field.attributes.replace('\0', ",");
            format!("{}{{{attributes}}} {value}", total.field.label)
        })
        .collect();
    values.sort();
    values
}

#[test]
fn get_labels_by_name_one_field_for_each() {
    let directory = tempfile::tempdir().unwrap();
    let web: Publisher<Web> = Options::new().directory(directory.path()).start().unwrap();
    web.with(|stats| {
        // Values may live for less long than the family.
        let route = String::from("/users");
        for _ in 0..2 {
            stats.requests.get(&Request::new(Method::Get, &route, 200)).incr();
        }
        stats.requests.get(&Request::new(Method::Post, "/users", 404)).incr();
        stats.requests.get(&Request::new(Method::Post, "/", 65_535)).incr();
        stats.requests.get(&Request::new(Method::Get, "/beyond", 200)).add(5);
        stats.latency.get(&Peer { name: "a".to_owned() }).record_nanos(1_000);
    });
    let wanted = [
        "web.latency{name=a} 1 values",
        "web.latency{overflow=true} 0 values",
        "web.requests{fixed=yes,method=POST,route=/,http.status=65535,type=text,cached=false} 1",
        "web.requests{fixed=yes,method=POST,route=/users,http.status=404,type=text,cached=false} 1",
        "web.requests{fixed=yes,method=get,route=/users,http.status=200,type=text,cached=false} 2",
        "web.requests{fixed=yes,overflow=true} 5",
    ];
    assert_eq!(values(directory.path()), wanted);
}

#[test]
fn add_family_by_at_start_and_run_time_attached() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::new();
    let early = schema.add_family_by::<Counter, Peer>("early", FieldOptions::new().cap(1));
    let options = Options::new().directory(directory.path()).schema(schema);
    let publisher = options.start::<Lane>().unwrap();
    let late = publisher.add_family_by::<Counter, Peer>("late", FieldOptions::new()).unwrap();
    let lane = publisher.lane().unwrap();
    for name in ["a", "b"] {
        let peer = Peer { name: name.to_owned() };
        lane.family_by(early).unwrap().get(&peer).incr();
        lane.family_by(late).unwrap().get(&peer).incr();
    }
    let wanted = [
        "early{name=a} 1",
        "early{overflow=true} 1",
        "late{name=a} 1",
        "late{name=b} 1",
        "late{overflow=true} 0",
    ];
    assert_eq!(values(directory.path()), wanted);
}

#[test]
fn get_same_labels_same_handle() {
    let directory = tempfile::tempdir().unwrap();
    let web: Publisher<Web> = Options::new().directory(directory.path()).start().unwrap();
    web.with(|stats| {
        let one = stats.requests.get(&Request::new(Method::Get, "/", 1));
        let again = stats.requests.get(&Request::new(Method::Get, "/", 1));
        assert!(std::ptr::eq(one, again));
        let other = stats.requests.get(&Request::new(Method::Get, "/", 11));
        assert!(!std::ptr::eq(one, other));
    });
}

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
mod shared {
    use super::*;
    use mmstats::{OnDrop, SharedGauge};

    #[derive(Stats)]
    struct App {
        /// Configuration in use.
        #[stats(label = "config.version", level = "diagnostic")]
        version: SharedGauge<u64>,
        requests: Counter,
    }

    #[test]
    fn shared_gauge_in_handles_one_value_for_all_threads() {
        let directory = tempfile::tempdir().unwrap();
        let app: Publisher<App> =
            Options::new().directory(directory.path()).lanes(2).start().unwrap();
        assert_eq!(values(directory.path())[0], "config.version{} none");
        for thread in 1..=5 {
            let app = &app;
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    app.with(|stats| {
                        let before = (thread > 1).then(|| thread - 1);
                        assert_eq!(stats.version.get(), before, "set by the thread before");
                        stats.version.set(thread);
                        stats.requests.incr();
                    });
                });
            });
        }
        assert_eq!(values(directory.path()), ["config.version{} 5", "requests{} 5"]);
        app.with(|stats| stats.version.add(2));
        assert_eq!(values(directory.path())[0], "config.version{} 7");
        let handle: SharedGauge<u64> = app.lane().unwrap().version;
        std::thread::spawn(move || handle.set(9)).join().unwrap();
        assert_eq!(values(directory.path())[0], "config.version{} 9");
    }

    #[test]
    fn shared_gauge_publisher_dropped_file_keeps_value() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new().directory(directory.path()).on_drop(OnDrop::Keep);
        let app: Publisher<App> = options.start().unwrap();
        app.with(|stats| stats.version.set(3));
        drop(app);
        assert_eq!(values(directory.path())[0], "config.version{} 3");
    }

    #[cfg(unix)] // Windows refuses to cut a mapped file
    #[test]
    fn shared_gauge_own_file_truncated_is_published_in_further_file() {
        let directory = tempfile::tempdir().unwrap();
        let app: Publisher<App> =
            Options::new().directory(directory.path()).lanes(2).start().unwrap();
        app.with(|stats| stats.version.set(3));
        let file = std::fs::File::options().write(true).open(&app.paths()[0]).unwrap();
        file.set_len(0).unwrap();
        for thread in 4..=5 {
            let app = &app;
            std::thread::scope(|scope| {
                let thread = scope.spawn(move || {
                    app.with(|stats| {
                        assert_eq!(stats.version.get(), (thread > 4).then(|| thread - 1));
                        stats.version.set(thread);
                        stats.requests.incr();
                    });
                });
                thread.join().unwrap();
            });
        }
        assert_eq!(values(&app.paths()[1]), ["config.version{} 5", "requests{} 2"]);
        assert_eq!(app.lane().unwrap().version.get(), Some(5));
    }
}
