//! Spans and events of tracing: its registry alone, with our layer, and with the usual one.

use std::hint::black_box;
use std::time::Instant;

use mmstats::{Lane, Publisher};
use mmstats_benches::{Bench, Row, Target};
use tempfile::TempDir;
use tracing::span::Id;
use tracing::{Dispatch, Span, dispatcher, info, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;

use mmstats_benches::work::programs::{directory, options};

/// A subscriber, and what it publishes in.
struct Subject {
    dispatch: Dispatch,
    span: Span,
    _rest: Option<(Publisher<Lane>, TempDir)>,
}

fn subject(dispatch: Dispatch, rest: Option<(Publisher<Lane>, TempDir)>) -> Subject {
    let span = dispatcher::with_default(&dispatch, || info_span!("request", path = "/index.html"));
    Subject { dispatch, span, _rest: rest }
}

fn registry() -> Subject {
    subject(Dispatch::new(tracing_subscriber::registry()), None)
}

fn ours() -> Subject {
    let directory = directory();
    let publisher: Publisher<Lane> = options(&directory).start().expect("a publisher");
    let layer = mmstats_tracing::Layer::new(&publisher.registry()).expect("a layer");
    subject(Dispatch::new(tracing_subscriber::registry().with(layer)), Some((publisher, directory)))
}

/// The usual layer, which writes a line for each event to nowhere.
fn lines() -> Subject {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    subject(Dispatch::new(tracing_subscriber::registry().with(layer)), None)
}

/// The usual layer, with the latencies of spans that end.
fn latencies() -> Subject {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let layer = layer.with_span_events(FmtSpan::CLOSE);
    subject(Dispatch::new(tracing_subscriber::registry().with(layer)), None)
}

#[inline(never)]
fn enter_and_exit(span: &Span, n: u64) {
    for _ in 0..n {
        drop(span.enter());
    }
}

#[inline(never)]
fn open_and_close(n: u64) {
    for _ in 0..n {
        drop(info_span!("request", path = "/index.html").entered());
    }
}

#[inline(never)]
fn events(n: u64) {
    for bytes in 0..n {
        info!(bytes, "sent");
    }
}

/// A layer that only reads the clock, as often as ours.
struct Clock;

impl<S: tracing::Subscriber> Layer<S> for Clock {
    fn on_enter(&self, _span: &Id, _context: Context<'_, S>) {
        black_box(Instant::now());
    }

    fn on_exit(&self, _span: &Id, _context: Context<'_, S>) {
        black_box(Instant::now());
    }
}

fn clock() -> Subject {
    subject(Dispatch::new(tracing_subscriber::registry().with(Clock)), None)
}

pub(crate) fn rows(bench: &mut Bench) {
    bench.section("tracing");
    bench.row_over(
        Row::new("mmstats-tracing, enter and exit over registry and clock")
            .target(Target::FetchAdds(4.0)),
        || (ours(), clock()),
        |(ours, _), n| dispatcher::with_default(&ours.dispatch, || enter_and_exit(&ours.span, n)),
        |(_, clock), n| {
            dispatcher::with_default(&clock.dispatch, || enter_and_exit(&clock.span, n));
        },
    );
    let all: [(_, fn() -> Subject); 4] = [
        (
            [
                "tracing's registry alone, enter and exit",
                "tracing's registry alone, open, enter, exit, close",
                "tracing's registry alone, event",
            ],
            registry,
        ),
        (
            [
                "mmstats-tracing, enter and exit",
                "mmstats-tracing, open, enter, exit, close",
                "mmstats-tracing, event",
            ],
            ours,
        ),
        (
            [
                "fmt layer, enter and exit",
                "fmt layer, open, enter, exit, close",
                "fmt layer, event",
            ],
            lines,
        ),
        (
            [
                "fmt layer with latencies, enter and exit",
                "fmt layer with latencies, open, enter, exit, close",
                "fmt layer with latencies, event",
            ],
            latencies,
        ),
    ];
    for ([enter, open, event], make) in all {
        bench.row(Row::new(enter), make, |s, n| {
            dispatcher::with_default(&s.dispatch, || enter_and_exit(&s.span, n));
        });
        bench.row(Row::new(open), make, |s, n| {
            dispatcher::with_default(&s.dispatch, || open_and_close(n));
        });
        bench.row(Row::new(event), make, |s, n| {
            dispatcher::with_default(&s.dispatch, || events(n));
        });
    }
}
