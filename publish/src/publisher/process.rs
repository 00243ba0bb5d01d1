//! Fields of the process: memory, processor time, files, threads.

use std::time::Duration;

use procfs::process::{LimitValue, Process};

use super::Publisher;
use crate::error::Error;
use crate::handles::Group;
use crate::schema::options::FieldOptions;
use crate::thread::stats::Stats;

/// Values of the process, published together.
#[derive(Debug, Clone, Copy, Default, PartialEq, mmstats_derive::Record)]
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
    /// Open files, sockets and the like.
    #[stats(label = "files.open")]
    files: u64,
    /// Maximum number of open files; 0 if there is no limit.
    #[stats(label = "files.limit", level = "diagnostic")]
    files_limit: u64,
    /// Threads.
    threads: u64,
    /// Page faults that had to wait for a disk.
    #[stats(label = "faults.major", level = "diagnostic", counter)]
    faults: u64,
}

impl Sample {
    /// Reads the values; one that the system does not tell is left unchanged.
    fn take(&mut self) {
        let Ok(process) = Process::myself() else { return };
        if let Ok(stat) = process.stat() {
            let ticks = |n: u64| {
                let nanos = u128::from(n) * Duration::from_secs(1).as_nanos();
                let nanos = nanos / u128::from(procfs::ticks_per_second().max(1));
                u64::try_from(nanos).unwrap_or(u64::MAX)
            };
            self.resident = stat.rss.saturating_mul(procfs::page_size());
            self.mapped = stat.vsize;
            self.user = ticks(stat.utime);
            self.system = ticks(stat.stime);
            self.threads = u64::try_from(stat.num_threads).unwrap_or(0);
            self.faults = stat.majflt;
        }
        if let Ok(count) = process.fd_count() {
            // Without the descriptor of the directory that is read.
            self.files = (count as u64).saturating_sub(1);
        }
        if let Ok(limits) = process.limits() {
            self.files_limit = match limits.max_open_files.soft_limit {
                LimitValue::Value(limit) => limit,
                LimitValue::Unlimited => 0,
            };
        }
    }
}

impl<S: Stats> Publisher<S> {
    /// Adds the fields `process.*`, sampled at the interval of
    /// [`Options::sample_every`](crate::Options::sample_every): resident and virtual memory,
    /// processor time, open files and their limit, threads, major page faults.
    ///
    /// A sample takes about 30 µs, more with many open files.
    ///
    /// # Errors
    ///
    /// As [`Publisher::sampled`]; [`Error::Duplicate`] if the publisher has them.
    pub fn add_process_fields(&self) -> Result<(), Error> {
        let mut sample = Sample::default();
        let sampled = move |group: &Group<Sample>| {
            sample.take();
            group.set(&sample);
        };
        self.sampled("process", FieldOptions::new(), sampled).map(drop)
    }
}
