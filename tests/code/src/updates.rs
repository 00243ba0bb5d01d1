//! One function for each update of each handle, and some with planted faults.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats::{
    Activity, ActivityRow, Array, Average, Blob, Counter, Events, Family, FamilyBy, Flag, Gauge,
    Group, Histogram, Labels, Latency, Publisher, Rate, Record, SharedActivity, SharedGauge, State,
    StateSet, Stats, Text, Timer, Timestamp, Window,
};
use mmstats_core::{InProgress, StaticMemory};

/// Eight members.
#[derive(Debug, Clone, Copy, Record)]
pub struct Moment {
    /// Member `a`.
    pub a: f64,
    /// Member `b`.
    pub b: f64,
    /// Member `c`.
    pub c: f64,
    /// Member `d`.
    pub d: f64,
    /// Member `e`.
    pub e: f64,
    /// Member `f`.
    pub f: f64,
    /// Member `g`.
    pub g: u64,
    /// Member `h`.
    pub h: bool,
}

/// Three states.
#[derive(Debug, Clone, Copy, State)]
pub enum Phase {
    /// `idle`.
    Idle,
    /// `busy`.
    Busy,
    /// `full`.
    Full,
}

/// Labels of a family by name.
#[derive(Debug, Labels)]
pub struct Request<'a> {
    /// A text.
    pub path: &'a str,
    /// A number.
    pub status: u16,
    /// A state.
    pub phase: Phase,
}

/// For the thread-local route.
#[derive(Debug, Stats)]
pub struct Few {
    /// A counter.
    pub counter: Counter,
}

macro_rules! updates {
    ($($(#[$attribute:meta])* $name:ident($($argument:ident: $type:ty),*) $body:block)*) => {
        $($(#[$attribute])* #[inline(never)] fn $name($($argument: $type),*) $body)*

        /// Names and addresses of all functions. Functions of the same code may be one.
        #[must_use]
        #[inline(never)]
        pub fn all() -> Vec<(&'static str, usize)> {
            vec![$((stringify!($name), black_box($name as fn($($type),*)) as usize)),*]
        }
    };
}

updates! {
    counter_incr(h: &Counter) { h.incr() }
    counter_add(h: &Counter, n: u64) { h.add(n) }
    counter_set(h: &Counter, n: u64) { h.set(n) }
    counter_incr_thread_local(p: &Publisher<Few>) { p.with(|few| few.counter.incr()) }

    gauge_u8_set(h: &Gauge<u8>, n: u8) { h.set(n) }
    gauge_i32_add(h: &Gauge<i32>, n: i32) { h.add(n) }
    gauge_u64_set(h: &Gauge<u64>, n: u64) { h.set(n) }
    gauge_i64_add(h: &Gauge<i64>, n: i64) { h.add(n) }
    gauge_i64_sub(h: &Gauge<i64>, n: i64) { h.sub(n) }
    gauge_f32_set(h: &Gauge<f32>, x: f32) { h.set(x) }
    gauge_f64_set(h: &Gauge<f64>, x: f64) { h.set(x) }
    gauge_f64_add(h: &Gauge<f64>, x: f64) { h.add(x) }
    gauge_f64_clear(h: &Gauge<f64>) { h.clear() }
    flag_set(h: &Flag, on: bool) { h.set(on) }
    shared_gauge_set(h: &SharedGauge<u64>, n: u64) { h.set(n) }
    shared_gauge_add(h: &SharedGauge<u64>, n: u64) { h.add(n) }
    state_set(h: &StateSet<Phase>, phase: Phase) { h.set(phase) }
    state_clear(h: &StateSet<Phase>) { h.clear() }
    timestamp_set_nanos(h: &Timestamp, n: u64) { h.set_nanos(n) }
    timestamp_set_now(h: &Timestamp) { h.set_now() }
    timestamp_clear(h: &Timestamp) { h.clear() }

    text_8_set(h: &Text<8>, text: &str) { h.set(text); }
    text_64_set(h: &Text<64>, text: &str) { h.set(text); }
    text_4096_set(h: &Text<4096>, text: &str) { h.set(text); }
    text_64_clear(h: &Text<64>) { h.clear() }
    blob_64_set(h: &Blob<64>, bytes: &[u8]) { h.set(bytes); }
    blob_64_clear(h: &Blob<64>) { h.clear() }
    array_8_f64_set(h: &Array<f64, 8>, values: &[f64; 8]) { h.set(values) }
    array_8_u8_set(h: &Array<u8, 8>, values: &[u8; 8]) { h.set(values) }
    array_9_u16_set(h: &Array<u16, 9>, values: &[u16; 9]) { h.set(values) }
    group_8_set(h: &Group<Moment>, moment: &Moment) { h.set(moment) }

    timer_record_nanos(h: &Timer, n: u64) { h.record_nanos(n) }
    in_progress_begin(h: &InProgress<StaticMemory>, now: u64) { black_box(h.begin(now)); }
    in_progress_end(h: &InProgress<StaticMemory>, begun: u64) { h.end(begun, || begun) }
    average_record(h: &Average, x: f64) { h.record(x) }
    window_record(h: &Window<f64, 100>, x: f64) { h.record(x) }
    histogram_u64_record(h: &Histogram, n: u64) { h.record(n) }
    histogram_f64_record(h: &Histogram<f64>, x: f64) { h.record(x) }
    latency_record_nanos(h: &Latency, n: u64) { h.record_nanos(n) }
    rate_incr(h: &Rate) { h.incr() }
    events_64_record(h: &Events<64>, text: &str) { h.record(text); }
    activity_48_begin_end(h: &Activity, since: u64, text: &str) { drop(h.begin_at(since, text)); }
    activity_48_set(h: &Activity, row: &ActivityRow, text: &str) { h.set_row(row, text); }
    activity_48_end(h: &Activity, row: ActivityRow) { h.end_row(row); }
    shared_activity_48_begin_end(h: &SharedActivity, since: u64, text: &str) {
        drop(h.begin_at(since, text));
    }
    family_hit(h: &Family<Counter, 2>, values: &[&str; 2]) { h.get(values).incr() }
    family_by_hit(h: &FamilyBy<Counter, Request<'static>>, labels: &Request<'static>) {
        h.get(labels).incr();
    }
}

/// Functions that must be refused: see `tests/budgets.rs`.
pub mod planted {
    use super::{AtomicU64, Ordering, black_box};

    updates! {
        lock_prefix(word: &AtomicU64) { word.fetch_add(1, Ordering::Relaxed); }
        exchange(word: &AtomicU64) { black_box(word.swap(1, Ordering::Relaxed)); }
        compare_exchange(word: &AtomicU64) {
            let _ = black_box(word.compare_exchange(1, 2, Ordering::Relaxed, Ordering::Relaxed));
        }
        fence(word: &AtomicU64) {
            word.store(1, Ordering::Relaxed);
            std::sync::atomic::fence(Ordering::SeqCst);
        }
        panic_path(words: &[AtomicU64], at: usize) { words[at].store(1, Ordering::Relaxed) }
        call(word: &AtomicU64) {
            black_box(vec![1_u8; 100]);
            word.store(1, Ordering::Relaxed);
        }
        tail_call(words: &[u64], to: &mut [u64; 1000]) {
            if let Some(words) = words.first_chunk::<1000>() {
                to.copy_from_slice(words);
            }
        }
        too_long(words: &[AtomicU64; 8]) {
            words.iter().for_each(|word| word.store(1, Ordering::Relaxed));
        }
    }
}
