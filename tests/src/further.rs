//! Handles of the kinds other than plain scalars and texts, and an update of each.

use std::time::{Duration, UNIX_EPOCH};

use mmstats::{
    Average, Counter, Events, Family, Histogram, Latency, Rate, State, StateSet, Stats, Timer,
    Timestamp, Window,
};

/// Three states, in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, State)]
pub enum Phase {
    /// Numbers divisible by 3.
    Idle,
    /// Numbers with the remainder 1.
    Busy,
    /// Numbers with the remainder 2.
    Full,
}

/// One field of every further kind.
#[derive(Debug, Stats)]
pub struct Further {
    /// The numbers of the updates.
    pub sizes: Histogram,
    /// Their halves.
    pub halves: Histogram<f64>,
    /// The numbers as nanoseconds, twice.
    pub latency: Latency,
    /// The numbers.
    pub average: Average,
    /// The last numbers.
    pub window: Window<u64, 10>,
    /// A state by the number.
    pub phase: StateSet<Phase>,
    /// Cleared and set.
    pub again: StateSet<Phase>,
    /// The number as nanoseconds.
    pub moment: Timestamp,
    /// Cleared and set to the number as seconds.
    pub second: Timestamp,
    /// Last digit of the number.
    #[stats(labels("digit"))]
    pub digits: Family<Counter, 1>,
    /// The number as a duration.
    pub timer: Timer,
    /// One for each update.
    pub rate: Rate,
    /// These read the clock: sections that take no time.
    pub sections: Timer,
    /// The same.
    pub latencies: Latency,
    /// Now.
    pub now: Timestamp,
    /// The number as text, two lines for each.
    pub log: Events<16>,
}

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

impl Further {
    /// Update number `n`: every handle, every way to update it that reads no clock.
    pub fn update(&self, n: u32) {
        let wide = u64::from(n);
        self.sizes.record(wide);
        self.halves.record(f64::from(n) / 2.0);
        self.latency.record_nanos(wide);
        self.latency.record(Duration::from_nanos(wide));
        self.average.record(f64::from(n));
        self.window.record(wide);
        let phase = [Phase::Idle, Phase::Busy, Phase::Full][(n % 3) as usize];
        self.phase.set(phase);
        self.again.clear();
        self.again.set(phase);
        self.moment.set_nanos(wide);
        self.second.clear();
        self.second.set(UNIX_EPOCH + Duration::from_secs(wide));
        self.digits.get(&[DIGITS[(n % 10) as usize]]).incr();
        self.timer.record(Duration::from_nanos(wide));
    }

    /// Updates that read the coarse clock, a page of memory on every machine.
    pub fn update_by_coarse_clock(&self) {
        self.rate.incr();
    }

    /// Updates that read the clock: no system call where the vDSO serves it.
    pub fn update_by_clock(&self, n: u32) {
        self.sections.time(|| ());
        self.latencies.time(|| ());
        self.now.set_now();
        self.log.record_fmt(format_args!("{n}"));
        self.log.record(["even", "odd"][(n % 2) as usize]);
    }
}
