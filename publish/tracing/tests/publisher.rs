//! Layers and their publishers: filters, several layers, a publisher that is absent or closed.
#![allow(missing_docs)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use mmstats::{Counter, FieldOptions, Lane, Options};
use mmstats_tracing::Layer;
use support::{Seen, defaults, program, seen};
use tracing::{debug, debug_span, info, info_span};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::prelude::*;

/// One test at a time has the publisher of the program.
static GLOBAL: Mutex<()> = Mutex::new(());

#[test]
fn filters_of_the_layer_are_heeded() {
    let place = tempfile::tempdir().unwrap();
    let publisher = Options::new().directory(place.path()).start::<Lane>().unwrap();
    let layer = Layer::new(&publisher.registry()).unwrap();
    let filter = EnvFilter::new("info,noisy=off,[chosen]=debug");
    // Another layer sees all.
    let all = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter)).with(all);
    tracing::subscriber::with_default(subscriber, || {
        let _noisy = info_span!(target: "noisy", "hidden").entered();
        let shown = info_span!("shown").entered();
        let hidden = debug_span!("hidden").entered();
        info!("kept");
        debug!("not kept");
        let (_, seen) = (hidden.exit(), seen(place.path()));
        assert_eq!(seen.open(), ["shown"]);
        assert_eq!(support::texts(seen.stacks.values().next().unwrap()), ["shown"]);
        drop(shown);
    });
    let seen = seen(place.path());
    assert_eq!(seen.lines, ["INFO publisher in shown: kept"]);
    assert_eq!(seen.busy.keys().collect::<Vec<_>>(), ["(overflow)", "shown"]);
    assert_eq!((seen.levels["info"], seen.levels["debug"]), (1, 0));
}

#[test]
fn layers_of_one_publisher_share_its_fields() {
    let place = tempfile::tempdir().unwrap();
    let publisher = Options::new().directory(place.path()).start::<Lane>().unwrap();
    let layer = || Layer::new(&publisher.registry()).unwrap();
    for round in 1..3 {
        let a = layer().with_filter(filter_fn(|metadata| metadata.target() == "a"));
        let b = layer().with_filter(filter_fn(|metadata| metadata.target() == "b"));
        let subscriber = tracing_subscriber::registry().with(a).with(b);
        tracing::subscriber::with_default(subscriber, || {
            let _a = info_span!(target: "a", "of a").entered();
            let _b = info_span!(target: "b", "of b").entered();
            let seen = seen(place.path());
            assert_eq!(seen.open(), ["of a", "of b"]);
            assert_eq!(support::texts(seen.stacks.values().next().unwrap()), ["of a", "of b"]);
        });
        let seen = seen(place.path());
        assert_eq!(Seen::latency(&seen.busy, "of a").0, round);
    }
}

#[test]
fn layer_without_a_publisher_shows_spans_when_there_is_one() {
    let _one = GLOBAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = tempfile::tempdir().unwrap();
    let subscriber = tracing_subscriber::registry().with(mmstats_tracing::layer());
    tracing::subscriber::with_default(subscriber, || {
        let outer = info_span!("outer", n = 1).entered();
        let waits = info_span!("waits");
        info!("lost");
        {
            let guard = Options::new().directory(place.path()).init::<Lane>().unwrap();
            let inner = info_span!("inner").entered();
            let first = seen(place.path());
            assert_eq!(first.open(), ["outer{n=1}", "waits", "inner"]);
            assert_eq!(
                support::texts(first.stacks.values().next().unwrap()),
                ["outer{n=1}", "inner"]
            );
            assert!(first.stacks.values().next().unwrap()[0].since < first.open[2].since);
            drop(inner);
            drop(guard);
        }
        // Closed: nothing fails.
        info!("lost");
        drop(info_span!("lost").entered());
        let again = tempfile::tempdir().unwrap();
        let _guard = Options::new().directory(again.path()).init::<Lane>().unwrap();
        info!("kept");
        drop(waits);
        drop(outer);
        let seen = seen(again.path());
        assert_eq!(seen.lines, ["INFO publisher in outer: kept"]);
        assert_eq!(Seen::latency(&seen.busy, "outer").0, 1);
        assert!(seen.open.is_empty() && seen.stacks.is_empty());
    });
}

#[test]
fn layer_of_a_closed_publisher_does_no_harm() {
    let program = program(defaults());
    program.run(|| {
        let span = info_span!("before").entered();
        program.publisher.close();
        info!("after");
        drop(info_span!("after").entered());
        drop(span);
    });
    assert!(Layer::new(&program.publisher.registry()).is_err());
}

#[test]
fn dropped_layer_lets_its_publisher_close() {
    let place = tempfile::tempdir().unwrap();
    let publisher = Options::new().directory(place.path()).start::<Lane>().unwrap();
    let layer = Layer::new(&publisher.registry()).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || info_span!("span").in_scope(|| ()));
    drop(publisher);
    // Another thread that sets up a span looks at all subscribers, and may hold this one for a moment.
    let start = Instant::now();
    while std::fs::read_dir(place.path()).unwrap().count() > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "a publisher removes its files at its close"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn field_of_the_same_name_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let publisher = Options::new().directory(place.path()).start::<Lane>().unwrap();
    publisher.add::<Counter>("spans", FieldOptions::new()).unwrap();
    let error = Layer::new(&publisher.registry()).unwrap_err();
    assert!(matches!(error, mmstats::Error::Duplicate { .. }), "{error}");
}

#[test]
fn level_filter_of_a_subscriber_leaves_the_layer_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let publisher = Options::new().directory(place.path()).start::<Lane>().unwrap();
    let layer = Layer::new(&publisher.registry()).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer).with(LevelFilter::INFO);
    tracing::subscriber::with_default(subscriber, || {
        let _hidden = debug_span!("hidden").entered();
        let _shown = info_span!("shown").entered();
        assert_eq!(seen(place.path()).open(), ["shown"]);
    });
}

#[test]
fn threads_that_end_count_what_they_end() {
    /// Ends a span and says something when the variables of its thread are gone.
    struct AtExit(tracing::Dispatch, Option<tracing::Span>);

    impl Drop for AtExit {
        fn drop(&mut self) {
            drop(self.1.take());
            tracing::dispatcher::with_default(&self.0, || tracing::warn!("at the end"));
        }
    }

    thread_local! {
        static AT_EXIT: std::cell::RefCell<Option<AtExit>> = const { std::cell::RefCell::new(None) };
    }

    let program = program(defaults());
    let dispatch = program.dispatch.clone();
    std::thread::spawn(move || {
        // Before the layer's own variable, so dropped after it.
        AT_EXIT.with(|_| ());
        tracing::dispatcher::with_default(&dispatch, || {
            let span = info_span!("kept");
            span.in_scope(|| ());
            AT_EXIT.set(Some(AtExit(dispatch.clone(), Some(span))));
        });
    })
    .join()
    .unwrap();
    let seen = program.seen();
    assert_eq!(Seen::latency(&seen.busy, "kept").0, 1);
    assert_eq!(Seen::latency(&seen.idle, "kept").0, 1);
    assert!(seen.open.is_empty());
}
