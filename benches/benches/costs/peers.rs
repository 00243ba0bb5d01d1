//! Libraries that keep metrics in the process, on the same machine in the same run.

use mmstats_benches::{Bench, Row};
use prometheus::IntCounter;
use prometheus_client::metrics::counter::Counter;

#[inline(never)]
fn prometheus(counter: &IntCounter, n: u64) {
    for _ in 0..n {
        counter.inc();
    }
}

#[inline(never)]
fn prometheus_client(counter: &Counter, n: u64) {
    for _ in 0..n {
        counter.inc();
    }
}

pub(crate) fn rows(bench: &mut Bench) {
    bench.section("peers");
    bench.row(
        Row::new("prometheus, counter"),
        || IntCounter::new("requests", "Served.").expect("a counter"),
        |counter, n| prometheus(counter, n),
    );
    bench.row(Row::new("prometheus-client, counter"), Counter::default, |counter, n| {
        prometheus_client(counter, n);
    });
}
