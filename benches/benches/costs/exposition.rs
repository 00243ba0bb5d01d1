//! Metrics as text and as protobuf: ours from a fresh look at a file, those of others from memory.

use std::sync::atomic::AtomicU64;

use metrics::{Recorder as _, counter, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use mmstats::{Counter, Family, Gauge, OnDrop, Publisher, Stats};
use mmstats_benches::{Bench, Row, Target};
use mmstats_export::{Catalogue, Format, Protobuf, Text};
use mmstats_observe::{Observer, Sources, Totals};
use prometheus::Encoder as _;
use prometheus_client::encoding::EncodeLabelSet;
use tempfile::TempDir;

use mmstats_benches::work::programs::{directory, options};

/// Counters, and as many gauges.
const HALF: u32 = 500;

#[derive(Stats)]
struct Metrics {
    /// Requests served.
    #[stats(labels("code"), cap = 1_000)]
    requests: Family<Counter, 1>,
    /// Connections that are open.
    #[stats(labels("peer"), cap = 1_000)]
    connections: Family<Gauge<u64>, 1>,
}

fn names() -> impl Iterator<Item = (u64, String)> {
    (0..HALF).map(|n| (u64::from(n) * 12_345, format!("number-{n}")))
}

/// A published program, and what a scrape keeps.
struct Ours {
    observer: Observer,
    totals: Totals,
    catalogue: Catalogue,
    text: Text,
    protobuf: Protobuf,
    labels: Vec<(String, String)>,
    _directory: TempDir,
}

impl Ours {
    fn new() -> Self {
        let directory = directory();
        let publisher: Publisher<Metrics> =
            options(&directory).on_drop(OnDrop::Keep).start().expect("a publisher");
        publisher.with(|metrics| {
            for (value, name) in names() {
                metrics.requests.get(&[&name]).add(value);
                metrics.connections.get(&[&name]).set(value);
            }
        });
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.refresh();
        Self {
            observer,
            totals: Totals::new(),
            catalogue: Catalogue::new(),
            text: Text::new(Format::OpenMetrics),
            protobuf: Protobuf::new(),
            labels: vec![
                ("command".to_owned(), "web".to_owned()),
                ("pid".to_owned(), "1234".to_owned()),
            ],
            _directory: directory,
        }
    }

    /// Looks, and calls `encode` with what was found.
    fn scrape<T>(
        &mut self,
        encode: impl FnOnce(&Catalogue, &mmstats_export::Target<'_>, &mut Text, &mut Protobuf) -> T,
    ) -> T {
        self.totals.update(self.observer.files(), None);
        let mut target = mmstats_export::Target::new(1, &self.labels, self.totals.fields());
        target.created = Some(1_700_000_000.25);
        target.version = Some(self.totals.version());
        self.catalogue.update(&[target]);
        encode(&self.catalogue, &target, &mut self.text, &mut self.protobuf)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    name: String,
}

fn prometheus_client() -> prometheus_client::registry::Registry {
    use prometheus_client::metrics::{counter, family, gauge};
    let requests = family::Family::<Label, counter::Counter>::default();
    let connections = family::Family::<Label, gauge::Gauge<u64, AtomicU64>>::default();
    for (value, name) in names() {
        requests.get_or_create(&Label { name: name.clone() }).inc_by(value);
        connections.get_or_create(&Label { name }).set(value);
    }
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register("requests", "Requests served", requests);
    registry.register("connections", "Connections that are open", connections);
    registry
}

fn prometheus() -> prometheus::Registry {
    let opts = |name, help| prometheus::Opts::new(name, help);
    let requests = prometheus::IntCounterVec::new(opts("requests", "Requests served."), &["code"]);
    let connections = prometheus::IntGaugeVec::new(opts("connections", "Connections."), &["peer"]);
    let (requests, connections) = (requests.expect("a family"), connections.expect("a family"));
    for (value, name) in names() {
        requests.with_label_values(&[&name]).inc_by(value);
        connections.with_label_values(&[&name]).set(value.cast_signed());
    }
    let registry = prometheus::Registry::new();
    registry.register(Box::new(requests)).expect("a new name");
    registry.register(Box::new(connections)).expect("a new name");
    registry
}

fn facade() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    recorder.describe_counter("requests".into(), None, "Requests served.".into());
    with_local_recorder(&recorder, || {
        for (value, name) in names() {
            counter!("requests", "code" => name.clone()).increment(value);
            #[allow(clippy::cast_precision_loss)] // Small.
            gauge!("connections", "peer" => name).set(value as f64);
        }
    });
    handle
}

pub(crate) fn rows(bench: &mut Bench) {
    let per = 2 * HALF;
    bench.section("metrics for a scrape, per field of 1,000");
    bench.row(
        Row::new("look, and OpenMetrics text").per(per).target(Target::FetchAdds(25.0)),
        || (Ours::new(), String::new()),
        |(ours, out), n| {
            for _ in 0..n {
                out.clear();
                ours.scrape(|catalogue, target, text, _| text.encode(catalogue, &[*target], out));
            }
        },
    );
    bench.row(
        Row::new("look, and protobuf").per(per).target(Target::FetchAdds(20.0)),
        || (Ours::new(), Vec::new()),
        |(ours, out), n| {
            for _ in 0..n {
                out.clear();
                ours.scrape(|catalogue, target, _, protobuf| {
                    protobuf.encode(catalogue, &[*target], out);
                });
            }
        },
    );
    bench.row(
        Row::new("prometheus-client, text").per(per),
        || (prometheus_client(), String::new()),
        |(registry, out), n| {
            for _ in 0..n {
                out.clear();
                prometheus_client::encoding::text::encode(out, registry).expect("text");
            }
        },
    );
    bench.row(
        Row::new("prometheus, text").per(per),
        || (prometheus(), Vec::new()),
        |(registry, out), n| {
            for _ in 0..n {
                out.clear();
                prometheus::TextEncoder::new().encode(&registry.gather(), out).expect("text");
            }
        },
    );
    bench.row(Row::new("metrics-exporter-prometheus, text").per(per), facade, |handle, n| {
        for _ in 0..n {
            std::hint::black_box(handle.render());
        }
    });
}
