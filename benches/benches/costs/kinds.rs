//! Updates of further kinds.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use mmstats::{
    Activity, Average, Counter, Events, Family, FieldOptions, Histogram, Rate, SharedGauge,
    StateSet, Timestamp, Window,
};
use mmstats_benches::work::loops::{self, spread};
use mmstats_benches::work::programs::{Further, Phase, Publishing};
use mmstats_benches::{Bench, Row, Target};

#[inline(never)]
#[allow(clippy::cast_precision_loss)]
fn floats(histogram: &Histogram<f64>, n: u64) {
    for i in 0..n {
        histogram.record(spread(i) as f64);
    }
}

/// Cost of the values alone.
#[inline(never)]
fn values(n: u64) {
    for i in 0..n {
        black_box(spread(i));
    }
}

#[inline(never)]
fn average(average: &Average, n: u64) {
    for _ in 0..n {
        average.record(0.5);
    }
}

#[inline(never)]
fn window(window: &Window<f64, 100>, n: u64) {
    for _ in 0..n {
        window.record(0.5);
    }
}

#[inline(never)]
fn state(state: &StateSet<Phase>, n: u64) {
    for i in 0..n {
        state.set(if i & 1 == 0 { Phase::Idle } else { Phase::Busy });
    }
}

#[inline(never)]
fn rate(rate: &Rate, n: u64) {
    for _ in 0..n {
        rate.incr();
    }
}

#[inline(never)]
fn timestamp(timestamp: &Timestamp, n: u64) {
    for i in 0..n {
        timestamp.set_nanos(i);
    }
}

#[inline(never)]
fn events(events: &Events<64>, n: u64) {
    for _ in 0..n {
        events.record("hashing block 0123456789 of the archive, then compressing it....");
    }
}

const DOING: [&str; 2] = [
    "hashing block 0123456789 of the archive, waiting",
    "compressing block 0123456789 of the archive, now",
];

#[inline(never)]
fn activity(activity: &Activity, n: u64) {
    for i in 0..n {
        let _doing = activity.begin_at(i, DOING[usize::from(i & 1 == 1)]);
    }
}

/// The stores of [`activity`] by hand: the same bytes, as visible to a reader, without any check.
#[derive(Default)]
struct ByHand {
    used: AtomicU32,
    begun: AtomicU64,
    seq: AtomicU32,
    slots: [[AtomicU64; 9]; 4],
}

#[inline(never)]
fn activity_by_hand(row: &ByHand, n: u64) {
    for i in 0..n {
        let text = DOING[usize::from(i & 1 == 1)].as_bytes();
        let number = row.begun.load(Ordering::Relaxed) + 1;
        row.begun.store(number, Ordering::Relaxed);
        let seq = row.seq.load(Ordering::Relaxed).wrapping_add(1);
        fence(Ordering::Release);
        let slot = &row.slots[seq as usize % 4];
        slot[0].store(i, Ordering::Relaxed);
        slot[1].store(number, Ordering::Relaxed);
        slot[2].store(text.len() as u64, Ordering::Relaxed);
        for (to, word) in slot[3..].iter().zip(text.as_chunks::<8>().0) {
            to.store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        row.seq.store(seq, Ordering::Release);
        row.used.store(row.used.load(Ordering::Relaxed) | 1, Ordering::Release);
        row.used.store(row.used.load(Ordering::Relaxed) & !1, Ordering::Release);
    }
}

#[inline(never)]
fn family(family: &Family<Counter, 2>, n: u64) {
    for i in 0..n {
        let code = if i & 7 == 0 { "404" } else { "200" };
        family.get(&[black_box("GET"), code]).incr();
    }
}

#[inline(never)]
fn shared(gauge: &SharedGauge<f64>, n: u64) {
    for _ in 0..n {
        gauge.set(0.5);
    }
}

pub(crate) fn rows(bench: &mut Bench) {
    type P = Publishing<Further>;
    let fa = |most| Target::FetchAdds(most);
    bench.section("publishing, further kinds");
    bench.row(Row::new("histogram of u64, record (no clock)").target(fa(1.3)), P::new, |p, n| {
        loops::histogram(&p.handles.size, n);
    });
    bench.row(Row::new("histogram of f64, record"), P::new, |p, n| floats(&p.handles.ratio, n));
    bench.row(Row::new("  of which making the values"), || (), |(), n| values(n));
    bench.row(Row::new("average, record"), P::new, |p, n| average(&p.handles.mean, n));
    bench.row(Row::new("window of 100, record"), P::new, |p, n| window(&p.handles.recent, n));
    bench.row(Row::new("state, set").target(fa(0.25)), P::new, |p, n| state(&p.handles.phase, n));
    bench.row(Row::new("timestamp, set (no clock)").target(fa(0.25)), P::new, |p, n| {
        timestamp(&p.handles.at, n);
    });
    bench
        .row(Row::new("rate, incr (with a coarse clock)"), P::new, |p, n| rate(&p.handles.hits, n));
    bench.row(Row::new("event of 64 bytes (with the clock)"), P::new, |p, n| {
        events(&p.handles.log, n);
    });
    let by_hand = "the stores of an activity by hand, without checks";
    bench.row(Row::new(by_hand), ByHand::default, |row, n| activity_by_hand(row, n));
    let row = Row::new("  activity of 48 bytes, begin and end (no clock)");
    bench.row(row.target(Target::Times(1.5, by_hand)), P::new, |p, n| {
        activity(&p.handles.doing, n);
    });
    bench.row(Row::new("family, two labels, hit and incr").target(fa(15.0)), P::new, |p, n| {
        family(&p.handles.served, n);
    });
    bench.row(
        Row::new("gauge of the whole program, set"),
        || {
            let p = P::new();
            let gauge = p.publisher.shared::<f64>("shared", FieldOptions::new());
            (gauge.expect("a gauge"), p)
        },
        |(gauge, _), n| shared(gauge, n),
    );
}
