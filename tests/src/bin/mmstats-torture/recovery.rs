//! A program whose threads publish at full speed while its files are lost, and become exact again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mmstats_tests::actor::Actor;
use serde_json::Value;

use crate::shown::Shown;
use crate::tools::{pause, tool};

/// Longest time from the end of a fault to exact values.
const RECOVERY: Duration = Duration::from_secs(10);
/// A value that is older than this is not shown as a current one.
const LAG: Duration = Duration::from_secs(3);
/// Time after which a sum that no longer grows is noticed.
pub(crate) const LONG: Duration = LAG.saturating_add(Duration::from_secs(1));

/// The role `workers`, and what is seen of it.
pub(crate) struct Workers {
    pub(crate) actor: Actor,
    directory: PathBuf,
    /// Numbers of counts that were published at these times.
    floors: Vec<(Instant, u64)>,
    /// The last count that was shown as a whole one.
    last: u64,
    /// Number of looks that showed a whole one.
    whole: u64,
    /// Longest time until values were exact again.
    pub(crate) recovery: Duration,
}

impl Workers {
    /// Takes a program that has said `ready`; `directory` is where this process sees its files.
    pub(crate) fn new(mut actor: Actor, directory: &Path) -> Result<Self, String> {
        match actor.line() {
            line if line == "ready" => Ok(Self {
                actor,
                directory: directory.to_owned(),
                floors: Vec::new(),
                last: 0,
                whole: 0,
                recovery: Duration::ZERO,
            }),
            line => Err(line),
        }
    }

    /// Starts further threads, and lets all of them publish.
    pub(crate) fn start(&mut self, workers: usize) {
        self.actor.ask(&format!("workers {workers}"));
        self.actor.ask("go");
    }

    /// Looks without a pause for `time`: no smaller sum is shown as a whole one, and from [`LAG`] on
    /// none that is older.
    pub(crate) fn watch(&mut self, time: Duration) -> Result<(), String> {
        let begin = Instant::now();
        while begin.elapsed() < time {
            let start = Instant::now();
            let floor = self.counted()?;
            self.floors.push((start, floor));
            let shown = Shown::look(&self.directory)?;
            let ceiling = self.counted()? + WORKERS;
            if !shown.claims_whole() {
                continue;
            }
            self.whole += 1;
            let count = shown.number("counter");
            let old = self.floors.iter().rfind(|(at, _)| start.duration_since(*at) >= LAG);
            let least = old.map_or(0, |(_, floor)| *floor).max(self.last);
            if !(least..=ceiling).contains(&count) {
                let range = format!("{least} to {ceiling}");
                return Err(format!("shown as a whole one: {count}, not {range}"));
            }
            self.last = count;
            pause(Duration::from_millis(20));
        }
        Ok(())
    }

    /// While it was watched, its sum was shown as a whole one.
    pub(crate) fn was_whole(&self) -> Result<(), String> {
        if self.whole > 0 { Ok(()) } else { Err("no look showed a whole sum".to_owned()) }
    }

    fn counted(&mut self) -> Result<u64, String> {
        self.actor.ask("floor").parse().map_err(|error| format!("no number: {error}"))
    }

    /// Waits until all values are exact and no problem is said, while no thread publishes.
    pub(crate) fn is_exact_again(&mut self, when: &str) -> Result<(), String> {
        let truth = self.actor.ask("stop");
        self.is_exact(&truth, when, true)
    }

    /// Closes the program, whose files stay: they are exact.
    pub(crate) fn is_exact_at_the_end(&mut self) -> Result<(), String> {
        let truth = self.actor.ask("close");
        self.is_exact(&truth, "closed", false)?;
        self.actor.succeeds();
        Ok(())
    }

    fn is_exact(&mut self, truth: &str, when: &str, asks: bool) -> Result<(), String> {
        let start = Instant::now();
        let truth: Value =
            serde_json::from_str(truth).map_err(|error| format!("{error}: {truth}"))?;
        loop {
            let shown = Shown::look(&self.directory)?;
            let (difference, reservation) = (shown.difference(&truth), shown.reservation());
            let found = match (&difference, reservation) {
                (None, None) => {
                    // Not asked before: that may lead to another attempt.
                    let problem = if asks { self.actor.ask("problem") } else { "none".to_owned() };
                    if problem == "none" {
                        self.recovery = self.recovery.max(start.elapsed());
                        self.last = shown.number("counter");
                        return Ok(());
                    }
                    format!("problem: {problem}")
                }
                (Some(difference), None) if start.elapsed() > LAG && !shown.shows_nothing() => {
                    return Err(format!("{when}: shown as whole values: {difference}"));
                }
                found => format!("{found:?}"),
            };
            if start.elapsed() > RECOVERY {
                return Err(format!("{when}: not in {RECOVERY:?}: {found}"));
            }
            pause(Duration::from_millis(50));
        }
    }

    /// While the program is stopped no tool shows its values as whole ones.
    pub(crate) fn is_not_whole(&self) -> Result<(), String> {
        let shown = Shown::look(&self.directory)?;
        if shown.claims_whole() {
            return Err(format!("show: {} counts as whole ones", shown.number("counter")));
        }
        let said = |arguments: &[&str], lists: &str| {
            let printed = crate::tools::judge(&mut tool(&self.directory, arguments), || ())?;
            let words = [&printed.out, &printed.err].map(|text| text.contains("incomplete"));
            if printed.code == 0 && printed.out.contains(lists) && !words.contains(&true) {
                return Err(format!("{arguments:?}: no word of missing files: {}", printed.out));
            }
            Ok(())
        };
        said(&["ls"], "mmstats-actor")?;
        said(&["ls", "--json"], "mmstats-actor")?;
        said(&["show"], "counter")?;
        said(&["poll", "counter", "-c", "1", "-d", "0.1"], "counter")?;
        said(&["poll", "counter", "-c", "1", "-d", "0.1", "--json"], "counter")?;
        said(&["events"], "mmstats-actor")
    }
}

/// Updates that may be published and not counted yet: one of each thread.
const WORKERS: u64 = 16;
