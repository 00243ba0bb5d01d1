//! Fields of the process: memory, processor time, files, threads.

use std::time::Duration;

use procfs::process::{LimitValue, Process};

use super::Publisher;
use crate::error::Error;
use crate::handles::{Gauge, Group};
use crate::schema::options::FieldOptions;
use crate::thread::stats::Stats;

/// Values of the process that the system tells at once, published together.
#[derive(Debug, Clone, Copy, PartialEq, mmstats_derive::Record)]
struct Sample {
    /// Memory in use that is not swapped out.
    #[stats(label = "memory.resident", unit = "bytes")]
    resident: u64,
    /// Memory that is mapped, in use or not.
    #[stats(label = "memory.virtual", unit = "bytes", level = "diagnostic")]
    mapped: u64,
    /// Processor time in the program.
    #[stats(label = "cpu.user", unit = "nanoseconds", counter)]
    user: u64,
    /// Processor time in the system for the program.
    #[stats(label = "cpu.system", unit = "nanoseconds", counter)]
    system: u64,
    /// Threads.
    threads: u64,
    /// Page faults that had to wait for a disk.
    #[stats(label = "faults.major", level = "diagnostic", counter)]
    faults: u64,
}

impl Sample {
    /// `None` if the system does not tell.
    fn take() -> Option<Self> {
        let stat = Process::myself().ok()?.stat().ok()?;
        let ticks = |n: u64| {
            let nanos = u128::from(n) * Duration::from_secs(1).as_nanos();
            let nanos = nanos / u128::from(procfs::ticks_per_second().max(1));
            u64::try_from(nanos).unwrap_or(u64::MAX)
        };
        Some(Self {
            resident: stat.rss.saturating_mul(procfs::page_size()),
            mapped: stat.vsize,
            user: ticks(stat.utime),
            system: ticks(stat.stime),
            threads: u64::try_from(stat.num_threads).ok()?,
            faults: stat.majflt,
        })
    }
}

fn open_files() -> Option<u64> {
    let count = Process::myself().ok()?.fd_count().ok()?;
    // Without the descriptor of the directory that is read.
    Some((count as u64).saturating_sub(1))
}

/// `None` also if there is no limit.
fn limit_of_files() -> Option<u64> {
    match Process::myself().ok()?.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(limit),
        LimitValue::Unlimited => None,
    }
}

impl<S: Stats> Publisher<S> {
    /// Adds the fields `process.*`, sampled at the interval of
    /// [`Options::sample_every`](crate::Options::sample_every): resident and virtual memory,
    /// processor time, open files and their limit, threads, major page faults.
    ///
    /// What the system does not tell (without `/proc`, or at the limit of open files) is absent. No
    /// callback of the program delays these fields. A sample takes about 30 µs, more with many open
    /// files.
    ///
    /// # Errors
    ///
    /// As [`Publisher::sampled`]; [`Error::Duplicate`] if the publisher has them.
    pub fn add_process_fields(&self) -> Result<(), Error> {
        let group = |group: &Group<Sample>| match Sample::take() {
            Some(sample) => {
                group.set(&sample);
                true
            }
            None => false,
        };
        self.sampled_by_library("process", FieldOptions::new(), group)?;
        let files = FieldOptions::new().help("Open files, sockets and the like.");
        self.sampled_by_library("process.files.open", files, |gauge| set(gauge, open_files()))?;
        let limit =
            FieldOptions::new().help("Maximum number of open files; absent without a limit.");
        let limit = limit.level(mmstats_core::Level::Diagnostic);
        let set_limit = |gauge: &Gauge<u64>| set(gauge, limit_of_files());
        self.sampled_by_library("process.files.limit", limit, set_limit)
    }

    fn sampled_by_library<H: crate::Field + 'static>(
        &self,
        label: &str,
        options: FieldOptions<H>,
        callback: impl FnMut(&H) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        self.add_sampled(label.to_owned(), options, true, callback).map(drop)
    }
}

fn set(gauge: &Gauge<u64>, value: Option<u64>) -> bool {
    if let Some(value) = value {
        gauge.set(value);
    }
    value.is_some()
}
