//! Loops of a program that is instrumented by the facade `metrics`.

use std::hint::black_box;

use metrics::{counter, histogram};

#[inline(never)]
pub fn plain(n: u64) {
    for _ in 0..n {
        counter!("requests").increment(1);
    }
}

#[inline(never)]
pub fn constant_labels(n: u64) {
    for _ in 0..n {
        counter!("served", "method" => "GET", "code" => "200").increment(1);
    }
}

#[inline(never)]
pub fn labels(n: u64) {
    for i in 0..n {
        let code = if i & 7 == 0 { "404" } else { "200" };
        counter!("answered", "method" => black_box("GET"), "code" => code).increment(1);
    }
}

#[inline(never)]
pub fn kept(counter: &metrics::Counter, n: u64) {
    for _ in 0..n {
        counter.increment(1);
    }
}

/// `upkeep` is called every 65,536 values and at the end: another recorder keeps each value until then.
#[inline(never)]
#[allow(clippy::cast_precision_loss)]
pub fn histograms(upkeep: impl Fn(), n: u64) {
    for i in 0..n {
        histogram!("latency").record((i & 1023) as f64 * 1e-3);
        if i & 0xffff == 0xffff {
            upkeep();
        }
    }
    upkeep();
}
