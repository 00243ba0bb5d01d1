//! There is no fork here: a process begins with nothing of another one's.

/// Whether this process was forked off one that had opened a file for writing: no.
#[must_use]
pub const fn forked() -> bool {
    false
}

/// How many forks lie behind this process: none.
#[must_use]
pub const fn generation() -> u64 {
    0
}
