//! Bounded memory and time for each input.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Counts allocated bytes.
#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// What an input may cost, in proportion to its size.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes allocated at a time.
    pub memory: usize,
    /// The same for each byte of the input.
    pub memory_each: usize,
    /// Processor time. Fuzzers are built with checks that make everything some 20 times slower.
    pub time: Duration,
    /// The same for each byte of the input.
    pub time_each: Duration,
}

/// What an input did cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Most bytes allocated at a time.
    pub memory: usize,
    /// Processor time of this thread.
    pub time: Duration,
}

impl Limits {
    /// Of what allocates nothing but the buffers of the caller. A constant text may say that it
    /// has room for 1 MiB, and be short.
    pub const CORE: Self = Self {
        memory: (1 << 20) + (64 << 10),
        memory_each: 8,
        time: Duration::from_millis(500),
        time_each: Duration::from_micros(50),
    };
    /// Of what keeps values as Rust types, and text of them.
    pub const TOOLS: Self = Self { memory: 4 << 20, memory_each: 1024, ..Self::CORE };

    /// Does something with an input of `size` bytes.
    ///
    /// # Panics
    ///
    /// If it took more than is allowed.
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

/// Not by the clock: other programs want the processor too.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}
