//! Bounded memory and time for each input.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Counts allocated bytes.
#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// Limits of the cost of an input.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes allocated at a time, for any input.
    pub memory: usize,
    /// Further bytes allocated for each byte of the input.
    pub memory_each: usize,
    /// Processor time for any input, with checks that make fuzzers some 20 times slower.
    pub time: Duration,
    /// Further processor time for each byte of the input.
    pub time_each: Duration,
}

/// Cost of an input.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Most bytes allocated at a time.
    pub memory: usize,
    /// Processor time of this thread.
    pub time: Duration,
}

impl Limits {
    /// Limits of the core, where only buffers of the caller are allocated. A short constant text may claim a
    /// capacity of 1 MiB.
    pub const CORE: Self = Self {
        memory: (1 << 20) + (64 << 10),
        memory_each: 8,
        time: Duration::from_millis(500),
        time_each: Duration::from_micros(50),
    };
    /// Limits of the observer and the tools, which keep values as Rust types and text.
    pub const TOOLS: Self = Self { memory: 4 << 20, memory_each: 1024, ..Self::CORE };

    /// Runs `act` on an input of `size` bytes.
    ///
    /// # Panics
    ///
    /// If a limit is exceeded.
    pub fn hold<T>(self, size: usize, act: impl FnOnce() -> T) -> (T, Cost) {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let begin = thread_time();
        let answer = act();
        let time = thread_time().saturating_sub(begin);
        let memory = ALLOCATOR.peak_usage().saturating_sub(before);
        let most = self.memory + self.memory_each * size;
        assert!(memory <= most, "{memory} bytes allocated for {size} bytes, allowed are {most}");
        let most = self.time + self.time_each * u32::try_from(size).unwrap_or(u32::MAX);
        assert!(time <= most, "{time:?} for {size} bytes, allowed are {most:?}");
        (answer, Cost { memory, time })
    }
}

/// Processor time of this thread: wall-clock time includes other programs.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}
