//! Something unusual about the threads of a program.

use std::fmt;
use std::time::Duration;

/// Something unusual. Its text has names from the program, so escape it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// The program died without closing its files: all else is as of its death.
    Died,
    /// The program ended, and closed its files.
    Ended,
    /// A thread panicked.
    Panicked {
        /// Time since then.
        age: Duration,
        /// Thread, place and message.
        text: String,
    },
    /// Threads that wait for each other: none goes on.
    Deadlock(Vec<Step>),
    /// A signal stopped the process.
    Stopped,
    /// A debugger stopped the process.
    Traced,
    /// The process has ended, and its parent has not waited for it.
    Zombie,
    /// Threads wait for a device.
    Disk(Vec<String>),
    /// A thread uses a whole processor, or would if it had one.
    Busy {
        /// The thread.
        thread: String,
        /// Processors in use since the look before.
        processors: f64,
        /// Part of that time in which it ran or waited for a processor.
        ready: f64,
        /// What it does, the newest of its activities, and for how long.
        activity: Option<(String, Option<Duration>)>,
    },
    /// Threads wait for a lock for long.
    Waiting {
        /// Name of the lock.
        lock: String,
        /// The thread that holds it, and for how long at least.
        holder: Option<(String, Option<Duration>)>,
        /// The threads that wait, longest first, and for how long.
        threads: Vec<(String, Option<Duration>)>,
    },
    /// Something is in progress for long, and no thread does it now.
    InNoThread {
        /// Label of the field.
        label: String,
        /// What it is.
        text: String,
        /// How long the oldest with this text has been in progress.
        age: Duration,
        /// Number with this text that are in no thread.
        count: usize,
        /// Number with this text.
        of: usize,
    },
    /// Nothing that the program publishes has changed for this long.
    Quiet(Duration),
}

/// A part of a deadlock: a thread that waits for a lock.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The thread that waits.
    pub thread: String,
    /// Name of the lock.
    pub lock: String,
    /// The thread that holds it: the next step's.
    pub holder: String,
    /// How long the thread has waited.
    pub age: Option<Duration>,
}

impl Finding {
    /// A short name, for JSON and filters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Died => "died",
            Self::Ended => "ended",
            Self::Panicked { .. } => "panicked",
            Self::Deadlock(_) => "deadlock",
            Self::Stopped => "stopped",
            Self::Traced => "traced",
            Self::Zombie => "zombie",
            Self::Disk(_) => "disk",
            Self::Busy { .. } => "busy",
            Self::Waiting { .. } => "waiting",
            Self::InNoThread { .. } => "in-no-thread",
            Self::Quiet(_) => "quiet",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died => f.write_str("died: this is what it did last"),
            Self::Ended => f.write_str("ended"),
            Self::Panicked { age: since, text } => write!(f, "panic {} ago: {text}", age(*since)),
            Self::Deadlock(steps) => deadlock(steps, f),
            Self::Stopped => f.write_str("stopped (SIGSTOP)"),
            Self::Traced => f.write_str("stopped by a debugger"),
            Self::Zombie => f.write_str("ended, and its parent has not waited for it"),
            Self::Disk(threads) => write!(f, "waits for a device: {}", threads.join(", ")),
            Self::Busy { thread, processors, ready, activity } => {
                write!(f, "busy: {thread} uses {processors:.2} processors")?;
                if ready - processors >= 0.1 {
                    write!(f, " and waits for one")?;
                }
                match activity {
                    Some((text, Some(for_))) => write!(f, ", in \"{text}\" for {}", age(*for_)),
                    Some((text, None)) => write!(f, ", in \"{text}\""),
                    None => Ok(()),
                }
            }
            Self::Waiting { lock, holder, threads } => waiting(lock, holder.as_ref(), threads, f),
            Self::InNoThread { label, text, age: for_, count, of } => {
                write!(f, "in progress for {}, in no thread: \"{text}\" ({label}", age(*for_))?;
                // Which of them is in a thread is not known.
                if *of > 1 { write!(f, ", {count} of {of})") } else { f.write_str(")") }
            }
            Self::Quiet(for_) => write!(f, "no change for {}", age(*for_)),
        }
    }
}

fn deadlock(steps: &[Step], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("deadlock: ")?;
    for (at, Step { thread, lock, holder, age: waited }) in steps.iter().enumerate() {
        let who = if at == 0 { thread } else { ", which" };
        write!(f, "{who} waits for \"{lock}\" held by {holder}")?;
        if let Some(waited) = waited {
            write!(f, " ({})", age(*waited))?;
        }
    }
    Ok(())
}

fn waiting(
    lock: &str,
    holder: Option<&(String, Option<Duration>)>,
    threads: &[(String, Option<Duration>)],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let names: Vec<String> = threads
        .iter()
        .map(|(name, waited)| match waited {
            Some(waited) => format!("{name} ({})", age(*waited)),
            None => name.clone(),
        })
        .collect();
    let verb = if names.len() == 1 { "waits" } else { "wait" };
    write!(f, "{} {verb} for \"{lock}\"", names.join(", "))?;
    match holder {
        Some((holder, Some(held))) => write!(f, ", held by {holder} for at least {}", age(*held)),
        Some((holder, None)) => write!(f, ", held by {holder}"),
        None => Ok(()),
    }
}

/// A duration in its two largest units: `0.4s`, `12s`, `3m 12s`, `5h 03m`, `12d 4h`.
fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{:.1}s", duration.as_secs_f64()),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlock_is_told_as_a_chain() {
        let step = |thread: &str, lock: &str, holder: &str| Step {
            thread: thread.to_owned(),
            lock: lock.to_owned(),
            holder: holder.to_owned(),
            age: Some(Duration::from_secs(12)),
        };
        let steps =
            vec![step("worker-1", "accounts", "worker-2"), step("worker-2", "log", "worker-1")];
        assert_eq!(
            Finding::Deadlock(steps).to_string(),
            "deadlock: worker-1 waits for \"accounts\" held by worker-2 (12s), which waits for \"log\" \
             held by worker-1 (12s)"
        );
    }

    #[test]
    fn age_has_two_units() {
        let ages = [0, 7, 75, 3_725, 90_000].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0.0s", "7s", "1m 15s", "1h 02m", "1d 1h"]);
    }
}
