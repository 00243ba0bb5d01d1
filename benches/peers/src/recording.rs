//! Updates.

use std::sync::atomic::AtomicU64;

use hdrhistogram::Histogram as Hdr;
use mmstats_benches::work::loops;
use mmstats_benches::work::programs::{Further, Kinds, One, Publishing};
use mmstats_benches::{Base, Contest, Subject};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::floor;

/// Repeats a call.
#[inline(never)]
fn repeat(n: u64, mut work: impl FnMut(u64)) {
    (0..n).for_each(&mut work);
}

/// A meter whose values are read on request only.
fn meter() -> (SdkMeterProvider, opentelemetry::metrics::Meter) {
    let reader = ManualReader::builder().build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("peers");
    (provider, meter)
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn groups(contest: &mut Contest) {
    contest.group("counter", |group| {
        group.add(Subject::floor("by hand: load and store", AtomicU64::new(0), |word, n| {
            floor::counter(word, n);
        }));
        let ours = Subject::ours("mmstats", Publishing::<One>::new(), |p, n| {
            loops::counter(&p.handles.requests, n);
        });
        group.add(ours.at_most(2.0, Base::Floor));
        let counter = prometheus::IntCounter::new("requests", "Served.").expect("a counter");
        group.add(Subject::peer("prometheus", counter, |counter, n| {
            repeat(n, |_| counter.inc());
        }));
        group.add(Subject::peer("prometheus-client", Counter::<u64>::default(), |counter, n| {
            repeat(n, |_| {
                counter.inc();
            });
        }));
        let (provider, meter) = meter();
        let counter = meter.u64_counter("requests").build();
        group.add(Subject::peer("opentelemetry", (counter, provider), |(counter, _), n| {
            repeat(n, |_| counter.add(1, &[]));
        }));
        #[cfg(feature = "iceoryx2")]
        group.add(crate::blackboard::write());
        #[cfg(pcp)]
        group.add(crate::pcp::counter());
    });
    contest.group("counter, found by the thread", |group| {
        group.add(Subject::floor("by hand: a thread-local pointer", (), |(), n| {
            floor::thread_local(n);
        }));
        let ours = Subject::ours("mmstats, Publisher::with", Publishing::<One>::new(), |p, n| {
            loops::thread_local(&p.publisher, n);
        });
        group.add(ours.at_most(4.0, Base::Floor));
    });
    contest.group("timer, record", |group| {
        group.add(Subject::floor(
            "by hand: a slot of 5 words",
            floor::Latch::<5>::default(),
            |t, n| {
                floor::timer(t, n);
            },
        ));
        let ours = Subject::ours("mmstats", Publishing::<Kinds>::new(), |p, n| {
            loops::timer_record(&p.handles.latency, n);
        });
        group.add(ours.at_most(2.0, Base::Floor));
        let peer = Histogram::new((0..15).map(|i| 10_f64.powi(i)));
        group.add(Subject::peer("prometheus-client, histogram of 15 buckets", peer, |peer, n| {
            repeat(n, |i| peer.observe(i as f64));
        }));
    });
    contest.group("timed section", |group| {
        group.add(Subject::part("two reads of the clock", (), |(), n| loops::clock_twice(n)));
        let floor = "by hand: two reads of the clock and a fetch_add";
        group.add(Subject::floor(floor, AtomicU64::new(0), |word, n| floor::section(word, n)));
        let ours = Subject::ours("mmstats, Timer::time", Publishing::<Kinds>::new(), |p, n| {
            loops::timer_section(&p.handles.latency, n);
        });
        group.add(ours.at_most(1.0, Base::Floor));
    });
    contest.group("histogram, record", |group| {
        let floor = "by hand: an element and a slot of 5 words";
        group.add(Subject::floor(floor, floor::Journal::default(), |journal, n| {
            floor::histogram(journal, n);
        }));
        let ours = Subject::ours("mmstats", Publishing::<Further>::new(), |p, n| {
            loops::histogram(&p.handles.size, n);
        });
        group.add(ours.at_most(2.0, Base::Floor).at_most(1.0, Base::BestPeer));
        let peer = Hdr::<u64>::new_with_bounds(1, 3_600_000_000_000, 2).expect("a histogram");
        group.add(Subject::peer("hdrhistogram, no reader", peer, |peer, n| {
            repeat(n, |i| peer.saturating_record(loops::spread(i)));
        }));
        let peer = Histogram::new((0..15).map(|i| 10_f64.powi(i)));
        group.add(Subject::peer("prometheus-client, 15 buckets", peer, |peer, n| {
            repeat(n, |i| peer.observe(loops::spread(i) as f64));
        }));
        let options = prometheus::HistogramOpts::new("size", "Sizes.")
            .buckets((0..15).map(|i| 10_f64.powi(i)).collect());
        let peer = prometheus::Histogram::with_opts(options).expect("a histogram");
        group.add(Subject::peer("prometheus, 15 buckets", peer, |peer, n| {
            repeat(n, |i| peer.observe(loops::spread(i) as f64));
        }));
        let (provider, meter) = meter();
        let peer = meter.u64_histogram("size").build();
        group.add(Subject::peer("opentelemetry, 15 buckets", (peer, provider), |(peer, _), n| {
            repeat(n, |i| peer.record(loops::spread(i), &[]));
        }));
    });
    contest.group("text of 64 bytes, set", |group| {
        group.add(Subject::floor(
            "by hand: a slot of 9 words",
            floor::Latch::<9>::default(),
            |c, n| {
                floor::text(c, n);
            },
        ));
        let ours = Subject::ours("mmstats", Publishing::<Kinds>::new(), |p, n| {
            loops::text(&p.handles.doing, &loops::TEXTS, n);
        });
        group.add(ours.at_most(2.0, Base::Floor));
    });
}
