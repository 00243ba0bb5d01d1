//! Which scenarios are run, and how large.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::table::{Row, Table};
use crate::{damage, disks, explained, hostile, kills, planted, soak, speed, stops, storms, tests};

pub(crate) const USAGE: &str = "\
mmstats-torture [--full] [--soak MINUTES] [--tests PROGRAM] [--list] [SCENARIO...]
  --full           the full size (a quarter of an hour) instead of the quick one
  --soak MINUTES   the length of the scenario soak; without --full 20 seconds
  --tests PROGRAM  the compiled tests of tests/it, which some rows run
  --list           the names of the scenarios
  SCENARIO...      only those whose names begin so";

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    full: bool,
    soak: Option<Duration>,
    pub(crate) tests: Option<PathBuf>,
    pub(crate) list: bool,
    only: Vec<String>,
}

/// A scenario: one or several rows.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Far more than it takes on a busy machine, in seconds: quick, full.
    limit: (u64, u64),
    run: fn(&Plan, &mut Table),
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "kill", limit: (300, 1800), run: kills::run },
    Scenario { name: "stop", limit: (120, 900), run: stops::run },
    Scenario { name: "speed", limit: (120, 900), run: speed::run },
    Scenario { name: "disk", limit: (120, 600), run: disks::run },
    Scenario { name: "damage", limit: (240, 1200), run: damage::run },
    Scenario { name: "hostile", limit: (300, 1200), run: hostile::run },
    Scenario { name: "storm", limit: (240, 900), run: storms::run },
    Scenario { name: "planted", limit: (120, 600), run: planted::run },
    Scenario { name: "tests", limit: (300, 900), run: tests::run },
    Scenario { name: "soak", limit: (120, 4 * 3600), run: soak::run },
];

impl Plan {
    pub(crate) fn of(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut plan, mut arguments) = (Self::default(), arguments);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--help" => return Err(String::new()),
                "--full" => plan.full = true,
                "--list" => plan.list = true,
                "--tests" => plan.tests = Some(value()?.into()),
                "--soak" => {
                    let minutes = value()?;
                    let minutes: u64 =
                        minutes.parse().map_err(|_| format!("{minutes}: minutes"))?;
                    plan.soak = Some(Duration::from_secs(minutes * 60));
                }
                name if SCENARIOS.iter().any(|s| s.name.starts_with(name)) => {
                    plan.only.push(argument);
                }
                other => return Err(format!("no scenario {other:?}")),
            }
        }
        Ok(plan)
    }

    /// The number for this size.
    pub(crate) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.full { full } else { quick }
    }

    /// How long the soak lasts.
    pub(crate) fn soak(&self) -> Duration {
        let default = self.pick(Duration::from_secs(20), Duration::from_secs(30 * 60));
        self.soak.unwrap_or(default)
    }
}

/// Runs the scenarios, prints the table and the last line.
pub(crate) fn run(plan: &Plan) -> ExitCode {
    let start = Instant::now();
    let wanted = |scenario: &&Scenario| {
        plan.only.is_empty() || plan.only.iter().any(|only| scenario.name.starts_with(only))
    };
    let mut table = Table::default();
    for scenario in SCENARIOS.iter().filter(wanted) {
        eprintln!("== {}", scenario.name);
        let limit = Duration::from_secs(plan.pick(scenario.limit.0, scenario.limit.1));
        let limit = if scenario.name == "soak" { plan.soak() + limit } else { limit };
        let (send, done) = channel();
        let plan = plan.clone();
        std::thread::spawn(move || {
            let mut table = Table::sending(&send);
            (scenario.run)(&plan, &mut table);
        });
        let end = Instant::now() + limit;
        let mut explained: Vec<(&str, bool)> =
            explained::lines(scenario.name).map(|line| (line, false)).collect();
        loop {
            match done.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(mut row) => {
                    let about =
                        |(line, _): &&mut (&str, bool)| explained::is_about(line, &row.name);
                    match explained.iter_mut().find(about) {
                        Some((_, found)) => *found = true,
                        None => row.lose("tests/README.md does not explain this row"),
                    }
                    table.add(row);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let mut row = Row::new(format!("{}: the rest", scenario.name));
                    row.lose(format!("it takes longer than {} s", limit.as_secs()));
                    table.add(row);
                    // Its processes end with this one, since their input ends.
                    return end_of(&table, start);
                }
            }
        }
        for (line, _) in explained.iter().filter(|(_, found)| !found) {
            let mut row = Row::new(*line);
            row.lose("only tests/README.md has this row");
            table.add(row);
        }
    }
    end_of(&table, start)
}

fn end_of(table: &Table, start: Instant) -> ExitCode {
    print!("{table}");
    println!("{} s", start.elapsed().as_secs());
    let (passed, failed) = table.counts();
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
