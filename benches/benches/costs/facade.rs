//! Instrumentation by the `metrics` facade, with our recorder and the usual one.

use std::hint::black_box;
use std::sync::Arc;

use metrics::{Recorder, counter, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use mmstats::{Lane, Publisher};
use mmstats_benches::{Bench, Row};
use tempfile::TempDir;

use crate::programs::{directory, options};
use crate::publishing::Aide;

/// A recorder and its publisher.
struct Subject<R> {
    recorder: Arc<R>,
    handle: Option<PrometheusHandle>,
    _rest: Option<(Publisher<Lane>, TempDir)>,
}

fn ours() -> Subject<mmstats_metrics::Recorder> {
    let directory = directory();
    let publisher: Publisher<Lane> = options(&directory).start().expect("a publisher");
    let recorder = mmstats_metrics::Recorder::new(&publisher.registry());
    Subject { recorder: Arc::new(recorder), handle: None, _rest: Some((publisher, directory)) }
}

fn theirs() -> Subject<PrometheusRecorder> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = Some(recorder.handle());
    Subject { recorder: Arc::new(recorder), handle, _rest: None }
}

#[inline(never)]
fn plain(n: u64) {
    for _ in 0..n {
        counter!("requests").increment(1);
    }
}

#[inline(never)]
fn constant_labels(n: u64) {
    for _ in 0..n {
        counter!("served", "method" => "GET", "code" => "200").increment(1);
    }
}

#[inline(never)]
fn labels(n: u64) {
    for i in 0..n {
        let code = if i & 7 == 0 { "404" } else { "200" };
        counter!("answered", "method" => black_box("GET"), "code" => code).increment(1);
    }
}

#[inline(never)]
fn kept(counter: &metrics::Counter, n: u64) {
    for _ in 0..n {
        counter.increment(1);
    }
}

#[inline(never)]
#[allow(clippy::cast_precision_loss)]
fn histograms(handle: Option<&PrometheusHandle>, n: u64) {
    for i in 0..n {
        histogram!("latency").record((i & 1023) as f64 * 1e-3);
        // The other recorder keeps each value until this call.
        if i & 0xffff == 0xffff {
            handle.inspect(|handle| handle.run_upkeep());
        }
    }
    handle.inspect(|handle| handle.run_upkeep());
}

/// The rows of one recorder.
fn of<R: Recorder + Send + Sync + 'static>(
    bench: &mut Bench,
    names: [&'static str; 6],
    make: impl Fn() -> Subject<R> + Copy,
) {
    let [bare, constant, some, handle, record, contended] = names;
    let mut row = |name, work: fn(u64)| {
        bench.row(Row::new(name), make, move |s, n| with_local_recorder(&*s.recorder, || work(n)));
    };
    row(bare, plain);
    row(constant, constant_labels);
    row(some, labels);
    bench.row(
        Row::new(handle),
        || {
            let subject = make();
            (with_local_recorder(&*subject.recorder, || counter!("kept")), subject)
        },
        |(counter, _), n| kept(counter, n),
    );
    bench.row(Row::new(record), make, |s, n| {
        with_local_recorder(&*s.recorder, || histograms(s.handle.as_ref(), n));
    });
    bench.row_beside(
        Row::new(contended),
        false,
        || {
            let subject = make();
            let recorder = Arc::clone(&subject.recorder);
            let aide = Aide::new(move || move || with_local_recorder(&*recorder, || plain(100)));
            (aide, subject)
        },
        |(aide, _)| aide.progress(),
        |(_, s), n| with_local_recorder(&*s.recorder, || plain(n)),
    );
}

pub(crate) fn rows(bench: &mut Bench) {
    bench.section("the metrics facade");
    let names = [
        "mmstats-metrics, counter!(name).increment(1)",
        "mmstats-metrics, with two constant labels",
        "mmstats-metrics, with two labels of the moment",
        "mmstats-metrics, a counter that is kept",
        "mmstats-metrics, histogram!(name).record(x)",
        "mmstats-metrics, two threads, one counter!(name)",
    ];
    of(bench, names, ours);
    let names = [
        "exporter-prometheus, counter!(name).increment(1)",
        "exporter-prometheus, with two constant labels",
        "exporter-prometheus, with two labels of the moment",
        "exporter-prometheus, a counter that is kept",
        "exporter-prometheus, histogram!(name).record(x)",
        "exporter-prometheus, two threads, one counter!(name)",
    ];
    of(bench, names, theirs);
}
