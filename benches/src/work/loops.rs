//! The inner loops: separate functions, so that `objdump` shows the timed code.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats::{Array, Counter, Flag, Gauge, Group, Histogram, Publisher, Text, Timer};

use super::programs::{One, Record8, Ten};

#[inline(never)]
pub fn counter(counter: &Counter, n: u64) {
    for _ in 0..n {
        counter.incr();
    }
}

#[inline(never)]
pub fn counters(counters: &[Counter; 50], n: u64) {
    for _ in 0..n {
        for counter in counters {
            counter.incr();
        }
    }
}

/// A function of a program that has only the publisher.
#[inline(never)]
fn count_one(publisher: &Publisher<One>) {
    publisher.with(|one| one.requests.incr());
}

#[inline(never)]
pub fn thread_local(publisher: &Publisher<One>, n: u64) {
    for _ in 0..n {
        count_one(black_box(publisher));
    }
}

/// Ten separate lookups: none uses the result of another.
#[inline(never)]
pub fn thread_local_ten(publisher: &Publisher<Ten>, n: u64) {
    for _ in 0..n {
        publisher.with(|ten| ten.a.incr());
        publisher.with(|ten| ten.b.incr());
        publisher.with(|ten| ten.c.incr());
        publisher.with(|ten| ten.d.incr());
        publisher.with(|ten| ten.e.incr());
        publisher.with(|ten| ten.f.incr());
        publisher.with(|ten| ten.g.incr());
        publisher.with(|ten| ten.h.incr());
        publisher.with(|ten| ten.i.incr());
        publisher.with(|ten| ten.j.incr());
    }
}

#[inline(never)]
pub fn gauge(gauge: &Gauge<f64>, n: u64) {
    for _ in 0..n {
        gauge.set(0.5);
    }
}

#[inline(never)]
pub fn gauge_add(gauge: &Gauge<i64>, n: u64) {
    for _ in 0..n {
        gauge.add(1);
    }
}

#[inline(never)]
pub fn flag(flag: &Flag, n: u64) {
    for _ in 0..n {
        flag.set(true);
    }
}

#[inline(never)]
pub fn timer_record(timer: &Timer, n: u64) {
    for i in 0..n {
        timer.record_nanos(i);
    }
}

#[inline(never)]
pub fn timer_section(timer: &Timer, n: u64) {
    for _ in 0..n {
        timer.time(|| ());
    }
}

#[inline(never)]
pub fn clock_twice(n: u64) {
    for _ in 0..n {
        black_box(std::time::Instant::now().elapsed());
    }
}

/// Two texts of 64 bytes.
pub const TEXTS: [&str; 2] = [
    "hashing block 0123456789 of the archive, then compressing it....",
    "compressing block 0123456789 of the archive, writing it after it",
];
const _: () = assert!(TEXTS[0].len() == 64 && TEXTS[1].len() == 64);

#[inline(never)]
pub fn text(field: &Text<64>, texts: &[&str; 2], n: u64) {
    for i in 0..n {
        field.set(texts[usize::from(i & 1 == 1)]);
    }
}

#[inline(never)]
pub fn group(group: &Group<Record8>, records: &[Record8; 2], n: u64) {
    for i in 0..n {
        group.set(&records[usize::from(i & 1 == 1)]);
    }
}

#[inline(never)]
pub fn array(array: &Array<f64, 8>, values: &[[f64; 8]; 2], n: u64) {
    for i in 0..n {
        array.set(&values[usize::from(i & 1 == 1)]);
    }
}

#[inline(never)]
pub fn shared(word: &AtomicU64, n: u64) {
    for _ in 0..n {
        word.fetch_add(1, Ordering::Relaxed);
    }
}

/// Values over the range of some thousand buckets, so that branches are not predicted.
#[must_use]
pub const fn spread(i: u64) -> u64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (30 + (i & 15))
}

#[inline(never)]
pub fn histogram(histogram: &Histogram, n: u64) {
    for i in 0..n {
        histogram.record(spread(i));
    }
}
