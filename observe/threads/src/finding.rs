//! Finding: something unusual about the threads of a program.

use std::fmt;
use std::time::Duration;

/// Minimum part of the time in which a busy thread runs or waits for a processor.
pub(crate) const BUSY: f64 = 0.9;

/// Something unusual about the threads of a program. Its text contains names from the program, so escape it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// The program died without closing its files: other findings describe the time of its death.
    Died,
    /// The program ended, and closed its files.
    Ended,
    /// Threads that wait for each other.
    Deadlock {
        /// The threads, in the order of the cycle; eight at most.
        steps: Vec<Step>,
        /// Number of further threads of the cycle.
        more: usize,
    },
    /// A signal stopped the process.
    Stopped,
    /// A debugger stopped the process.
    Traced,
    /// The process has ended, and its parent has not waited for it.
    Zombie,
    /// Threads wait for a device, in two looks.
    Disk {
        /// The threads, eight at most.
        threads: Vec<String>,
        /// Number of further threads.
        more: usize,
    },
    /// A thread is busy: it runs or waits for a processor nearly all the time.
    Busy {
        /// The thread.
        thread: String,
        /// Processors in use since the previous look.
        processors: f64,
        /// Part of that time in which it ran or waited for a processor.
        ready: f64,
        /// Text and age of its newest activity.
        activity: Option<(String, Option<Duration>)>,
    },
    /// Threads have waited for a lock for long, or waited when the program ended.
    Waiting {
        /// Name of the lock.
        lock: String,
        /// The threads that hold it, with a lower bound of the time.
        holder: Option<Holder>,
        /// The threads that wait, longest first; eight at most.
        threads: Vec<Waiter>,
        /// Number of further threads that wait.
        more: usize,
    },
    /// A span has been open for long, and no thread is in it.
    InNoThread {
        /// Label of the field.
        label: String,
        /// Text of the span.
        text: String,
        /// Age of the oldest span with this text.
        age: Duration,
        /// Number of spans with this text that are in no thread.
        count: usize,
        /// Number of spans with this text.
        of: usize,
    },
    /// A thread panicked.
    Panicked {
        /// Time since the panic.
        age: Duration,
        /// Thread, place and message.
        message: String,
        /// Activities of the thread at that time.
        context: Vec<String>,
    },
    /// No published value has changed for this long.
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
    /// The thread that holds it, and waits in the next step.
    pub holder: String,
    /// Time that the thread has waited; `None` if unknown.
    pub waited: Option<Duration>,
}

/// A thread that waits.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Waiter {
    /// The thread.
    pub thread: String,
    /// Time that it has waited; `None` if unknown.
    pub waited: Option<Duration>,
}

/// The threads that hold a lock.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Holder {
    /// The thread, or the first of several readers.
    pub thread: String,
    /// Number of further threads that hold it for reading.
    pub more: usize,
    /// Lower bound of the time that it is held; `None` if unknown.
    pub held: Option<Duration>,
}

impl Finding {
    /// A short name, for JSON and filters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Died => "died",
            Self::Ended => "ended",
            Self::Deadlock { .. } => "deadlock",
            Self::Stopped => "stopped",
            Self::Traced => "traced",
            Self::Zombie => "zombie",
            Self::Disk { .. } => "disk",
            Self::Busy { .. } => "busy",
            Self::Waiting { .. } => "waiting",
            Self::InNoThread { .. } => "in-no-thread",
            Self::Panicked { .. } => "panicked",
            Self::Quiet(_) => "quiet",
        }
    }

    /// Whether both are equal except for ages, shares of processors, and activities of a busy thread.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.without_details() == other.without_details()
    }

    /// A copy with all ages and shares 0, without activities of busy threads.
    fn without_details(&self) -> Self {
        let zero = |age: &mut Option<Duration>| *age = age.map(|_| Duration::ZERO);
        let mut finding = self.clone();
        match &mut finding {
            Self::Deadlock { steps, .. } => {
                steps.iter_mut().for_each(|step| zero(&mut step.waited));
            }
            Self::Busy { processors, ready, activity, .. } => {
                (*processors, *ready, *activity) = (0.0, 0.0, None);
            }
            Self::Waiting { holder, threads, .. } => {
                holder.iter_mut().for_each(|holder| zero(&mut holder.held));
                threads.iter_mut().for_each(|waiter| zero(&mut waiter.waited));
            }
            Self::InNoThread { age, .. } | Self::Panicked { age, .. } | Self::Quiet(age) => {
                *age = Duration::ZERO;
            }
            _ => {}
        }
        finding
    }

    /// Memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let texts = match self {
            Self::Deadlock { steps, .. } => {
                let step =
                    |s: &Step| size_of::<Step>() + s.thread.len() + s.lock.len() + s.holder.len();
                steps.iter().map(step).sum()
            }
            Self::Disk { threads, .. } => {
                threads.iter().map(|thread| size_of::<String>() + thread.len()).sum()
            }
            Self::Busy { thread, activity, .. } => {
                thread.len() + activity.as_ref().map_or(0, |(text, _)| text.len())
            }
            Self::Waiting { lock, holder, threads, .. } => {
                let waiter = |waiter: &Waiter| size_of::<Waiter>() + waiter.thread.len();
                let holder = holder.as_ref().map_or(0, |holder| holder.thread.len());
                lock.len() + holder + threads.iter().map(waiter).sum::<usize>()
            }
            Self::InNoThread { label, text, .. } => label.len() + text.len(),
            Self::Panicked { message, context, .. } => {
                let line = |line: &String| size_of::<String>() + line.len();
                message.len() + context.iter().map(line).sum::<usize>()
            }
            _ => 0,
        };
        size_of::<Self>() + texts
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died => f.write_str("died: this is what it did last"),
            Self::Ended => f.write_str("ended"),
            Self::Deadlock { steps, more } => deadlock(steps, *more, f),
            Self::Stopped => f.write_str("stopped (SIGSTOP)"),
            Self::Traced => f.write_str("stopped by a debugger"),
            Self::Zombie => f.write_str("ended, and its parent has not waited for it"),
            Self::Disk { threads, more } => {
                write!(f, "waits for a device: {}{}", threads.join(", "), and_more(*more))
            }
            Self::Busy { thread, processors, ready, activity } => {
                write!(f, "busy: {thread} uses {processors:.2} processors")?;
                if ready - processors >= 0.1 {
                    write!(f, " and waits for one")?;
                }
                match activity {
                    Some((text, Some(lasted))) => {
                        write!(f, "; in \"{text}\" for {}", age(*lasted))
                    }
                    Some((text, None)) => write!(f, "; in \"{text}\""),
                    None => Ok(()),
                }
            }
            Self::Waiting { lock, holder, threads, more } => {
                let names: Vec<String> = threads.iter().map(ToString::to_string).collect();
                let verb = if names.len() == 1 && *more == 0 { "waits" } else { "wait" };
                let (names, more) = (names.join(", "), and_more(*more));
                write!(f, "{names}{more} {verb} for \"{lock}\"")?;
                holder.as_ref().map_or(Ok(()), |holder| write!(f, ", {holder}"))
            }
            Self::InNoThread { label, text, age: open, count, of } => {
                write!(f, "open for {}, in no thread: \"{text}\" ({label}", age(*open))?;
                // Which of them is in a thread is not known.
                if *of > 1 { write!(f, ", {count} of {of})") } else { f.write_str(")") }
            }
            Self::Panicked { age: ago, message, context } => {
                write!(f, "panic {} ago: {message}", age(*ago))?;
                context.iter().try_for_each(|line| write!(f, "; {line}"))
            }
            Self::Quiet(quiet) => write!(f, "no change for {}", age(*quiet)),
        }
    }
}

impl fmt::Display for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.waited {
            Some(waited) => write!(f, "{} ({})", self.thread, age(waited)),
            None => f.write_str(&self.thread),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held by {}{}", self.thread, and_more(self.more))?;
        self.held.map_or(Ok(()), |held| write!(f, " for at least {}", age(held)))
    }
}

fn deadlock(steps: &[Step], more: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("deadlock: ")?;
    for (at, Step { thread, lock, holder, waited }) in steps.iter().enumerate() {
        let subject = if at == 0 { thread } else { ", which" };
        write!(f, "{subject} waits for \"{lock}\" held by {holder}")?;
        if let Some(waited) = waited {
            write!(f, " ({})", age(*waited))?;
        }
    }
    if more > 0 { write!(f, ", and so on over {more} more") } else { Ok(()) }
}

/// ` and 3 more`; empty for 0.
fn and_more(more: usize) -> String {
    if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// A duration in its two largest units: `12s`, `3m 12s`, `5h 03m`, `12d 4h`.
fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Option<Duration> = Some(Duration::from_secs(12));

    #[test]
    fn deadlock_is_told_as_a_chain() {
        let step = |thread: &str, lock: &str, holder: &str| Step {
            thread: thread.to_owned(),
            lock: lock.to_owned(),
            holder: holder.to_owned(),
            waited: TIME,
        };
        let steps =
            vec![step("worker-1", "accounts", "worker-2"), step("worker-2", "log", "worker-1")];
        assert_eq!(
            Finding::Deadlock { steps, more: 0 }.to_string(),
            "deadlock: worker-1 waits for \"accounts\" held by worker-2 (12s), which waits for \"log\" \
             held by worker-1 (12s)"
        );
    }

    #[test]
    fn waiting_names_waiters_and_holders() {
        let waiter = |thread: &str, waited| Waiter { thread: thread.to_owned(), waited };
        let holder = Holder { thread: "r".to_owned(), more: 2, held: TIME };
        let (lock, threads) = ("a".to_owned(), vec![waiter("x", TIME), waiter("y", None)]);
        let finding = Finding::Waiting { lock, holder: Some(holder), threads, more: 3 };
        let wanted = "x (12s), y and 3 more wait for \"a\", held by r and 2 more for at least 12s";
        assert_eq!(finding.to_string(), wanted);
    }

    #[test]
    fn findings_that_differ_in_their_ages_are_the_same() {
        let quiet = |seconds| Finding::Quiet(Duration::from_secs(seconds));
        assert!(quiet(60).is_same(&quiet(90)) && !quiet(60).is_same(&Finding::Stopped));
        let busy = |thread: &str, processors| Finding::Busy {
            thread: thread.to_owned(),
            processors,
            ready: 1.0,
            activity: Some((format!("work {processors}"), TIME)),
        };
        assert!(busy("a", 0.9).is_same(&busy("a", 1.0)));
        assert!(!busy("a", 0.9).is_same(&busy("b", 0.9)));
    }

    #[test]
    fn age_has_two_units() {
        let ages = [0, 7, 75, 3_725, 90_000].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0s", "7s", "1m 15s", "1h 02m", "1d 1h"]);
    }
}
