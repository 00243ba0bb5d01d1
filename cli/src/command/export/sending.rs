//! Sending again and again, and waiting while a server does not answer.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use clap::Args;
use mmstats_export::Losses;

use super::queue::Queue;
use crate::backend::reason;
use crate::command::args::{interrupt, seconds, up_to};
use crate::output::Output;
use crate::text::escape;

/// Options for sending: interval and memory.
#[derive(Debug, Args)]
pub(super) struct Pace {
    /// Seconds between two sendings.
    #[arg(short, long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) delay: Duration,

    /// Memory for what waits to be sent, beside the newest totals, in MiB.
    #[arg(long, value_name = "MIB", default_value = "16",
          value_parser = up_to::<16_384>)]
    queue: u16,
}

impl Pace {
    pub(super) fn queue<T>(&self) -> Queue<T> {
        Queue::new(usize::from(self.queue) << 20)
    }
}

/// Address and interval of sending.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) to: String,
    pub(super) every: Duration,
}

/// Result of sending a piece.
#[derive(Debug)]
pub(super) enum Outcome {
    Sent,
    /// A temporary failure: its reason, and the time to wait if the server gave one.
    Later(String, Option<Duration>),
    /// The server rejected it, for this reason.
    Refused(String),
}

/// Why a server was not reached; `server` is what should listen.
pub(super) fn unreached(error: &io::Error, server: &str) -> String {
    let why = reason(error);
    let help = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(": does {server} listen there?"),
        _ if why.starts_with("failed to lookup") => ": is the name of the host right?".to_owned(),
        _ => String::new(),
    };
    format!("cannot connect: {why}{help}")
}

/// Least and largest time between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Maximum time to send the waiting pieces at the end.
const END: Duration = Duration::from_secs(5);

/// Repeats `fill`, which adds pieces and tells which fields have no place among them, and `send`, until a signal comes; then sends the waiting pieces for
/// some seconds.
///
/// A failure is reported once, until sending succeeds again; a field that is left out once.
pub(super) fn send_again<T>(
    sending: &Sending,
    queue: &mut Queue<T>,
    output: &mut Output,
    mut fill: impl FnMut(&mut Queue<T>) -> Losses,
    mut send: impl FnMut(&T, &[u8]) -> Outcome,
) -> io::Result<()> {
    let interrupted = interrupt()?;
    let to = escape::text(&sending.to);
    let mut log = Log::default();
    let mut next = Instant::now();
    let mut attempt = next;
    let mut pause = RETRY.0;
    let mut end = None;
    loop {
        // A server that answers gets all of a sending before the next look.
        let is_free = queue.len() == 0 || Instant::now() < attempt;
        if Instant::now() >= next && is_free && end.is_none() {
            queue.start();
            log.left_out(&fill(queue), output);
            next += sending.every;
            // Times that have passed are left out.
            next = next.max(Instant::now());
        }
        // One at a time: a signal may come.
        if Instant::now() >= attempt
            && let Some((kind, piece)) = queue.first()
        {
            match send(kind, piece) {
                Outcome::Sent => {
                    queue.pop();
                    log.succeeded(&to, queue.take_dropped(), output);
                    pause = RETRY.0;
                }
                Outcome::Later(reason, wait) => {
                    let text = format!("{to}: {}", escape::text(&reason));
                    log.failed(
                        &format!("{text}; it is tried again, meanwhile all waits (--queue)"),
                        output,
                    );
                    attempt = Instant::now() + wait.unwrap_or(pause).min(RETRY.1);
                    pause = (pause * 2).min(RETRY.1);
                }
                Outcome::Refused(reason) => {
                    queue.pop();
                    log.failed(&format!("{to} refused: {}", escape::text(&reason)), output);
                }
            }
        }
        if let Some(end) = end
            && (queue.len() == 0 || Instant::now() >= end)
        {
            break;
        }
        let due = match (queue.len() > 0, end) {
            (_, Some(end)) => attempt.min(end),
            (true, None) => next.min(attempt),
            (false, None) => next,
        };
        match interrupted.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            // A second signal ends it at once.
            _ if end.is_some() => break,
            _ => {
                queue.start();
                log.left_out(&fill(queue), output);
                attempt = Instant::now();
                end = Some(attempt + END);
            }
        }
    }
    if queue.len() > 0 {
        output.fail(&format!("{to}: {} pieces were not sent", queue.len()));
    }
    Ok(())
}

/// Reports failures, each once.
#[derive(Debug, Default)]
struct Log {
    failure: Option<String>,
    /// Whether it was said that a sending has no room.
    has_told: bool,
    /// Fields that were said to be left out.
    left_out: HashSet<String>,
}

/// Maximum number of fields that are said to be left out.
const MAX_LEFT_OUT: usize = 100;

impl Log {
    fn left_out(&mut self, losses: &Losses, output: &mut Output) {
        for collision in losses.collisions() {
            if self.left_out.len() < MAX_LEFT_OUT && self.left_out.insert(collision.clone()) {
                output.note(&format!("left out: {}", escape::text(collision)));
            }
        }
    }

    fn failed(&mut self, text: &str, output: &mut Output) {
        if self.failure.as_deref() != Some(text) {
            output.note(text);
            self.failure = Some(text.to_owned());
        }
    }

    fn succeeded(&mut self, to: &str, dropped: u64, output: &mut Output) {
        if self.failure.take().is_some() {
            let lost = if dropped > 0 {
                format!("; {dropped} sendings were dropped meanwhile")
            } else {
                String::new()
            };
            output.note(&format!("{to} answers again{lost}"));
        } else if dropped > 0 && !std::mem::replace(&mut self.has_told, true) {
            // The totals of one sending take all room.
            output.note(&format!(
                "{to}: final values or lines have no room and were dropped (--queue)"
            ));
        }
    }
}
