//! The inner loops: separate functions, so that `objdump` shows the timed code.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats::{Array, Counter, Flag, Gauge, Group, Publisher, Text, Timer};

use crate::programs::{One, Record8, Ten};

#[inline(never)]
pub(crate) fn counter(counter: &Counter, n: u64) {
    for _ in 0..n {
        counter.incr();
    }
}

#[inline(never)]
pub(crate) fn counters(counters: &[Counter; 50], n: u64) {
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
pub(crate) fn thread_local(publisher: &Publisher<One>, n: u64) {
    for _ in 0..n {
        count_one(black_box(publisher));
    }
}

/// Ten separate lookups: none uses the result of another.
#[inline(never)]
pub(crate) fn thread_local_ten(publisher: &Publisher<Ten>, n: u64) {
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
pub(crate) fn gauge(gauge: &Gauge<f64>, n: u64) {
    for _ in 0..n {
        gauge.set(0.5);
    }
}

#[inline(never)]
pub(crate) fn gauge_add(gauge: &Gauge<i64>, n: u64) {
    for _ in 0..n {
        gauge.add(1);
    }
}

#[inline(never)]
pub(crate) fn flag(flag: &Flag, n: u64) {
    for _ in 0..n {
        flag.set(true);
    }
}

#[inline(never)]
pub(crate) fn timer_record(timer: &Timer, n: u64) {
    for i in 0..n {
        timer.record_nanos(i);
    }
}

#[inline(never)]
pub(crate) fn timer_section(timer: &Timer, n: u64) {
    for _ in 0..n {
        timer.time(|| ());
    }
}

#[inline(never)]
pub(crate) fn clock_twice(n: u64) {
    for _ in 0..n {
        black_box(std::time::Instant::now().elapsed());
    }
}

#[inline(never)]
pub(crate) fn text(field: &Text<64>, texts: &[&str; 2], n: u64) {
    for i in 0..n {
        field.set(texts[usize::from(i & 1 == 1)]);
    }
}

#[inline(never)]
pub(crate) fn group(group: &Group<Record8>, records: &[Record8; 2], n: u64) {
    for i in 0..n {
        group.set(&records[usize::from(i & 1 == 1)]);
    }
}

#[inline(never)]
pub(crate) fn array(array: &Array<f64, 8>, values: &[[f64; 8]; 2], n: u64) {
    for i in 0..n {
        array.set(&values[usize::from(i & 1 == 1)]);
    }
}

#[inline(never)]
pub(crate) fn shared(word: &AtomicU64, n: u64) {
    for _ in 0..n {
        word.fetch_add(1, Ordering::Relaxed);
    }
}
