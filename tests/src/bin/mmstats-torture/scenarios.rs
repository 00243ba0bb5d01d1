//! The list of scenarios, and the loop that runs them.

use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::table::{Row, Table};
use crate::{churn, damage, disks, hostile, kills, neighbours, planted, programs, removed, room};
use crate::{soak, speed, stops, storms};

/// A scenario: one or several rows.
struct Scenario {
    name: &'static str,
    /// Far more than it takes on a busy machine, in seconds: quick, full.
    limit: (u64, u64),
    run: fn(&Plan, &mut Table),
}

const SCENARIOS: [Scenario; 14] = [
    Scenario { name: "kill", limit: (300, 1800), run: kills::run },
    Scenario { name: "stop", limit: (120, 900), run: stops::run },
    Scenario { name: "speed", limit: (120, 900), run: speed::run },
    Scenario { name: "disk", limit: (120, 600), run: disks::run },
    Scenario { name: "removed", limit: (240, 1800), run: removed::run },
    Scenario { name: "room", limit: (240, 1800), run: room::run },
    Scenario { name: "programs", limit: (240, 1800), run: programs::run },
    Scenario { name: "damage", limit: (240, 1200), run: damage::run },
    Scenario { name: "hostile", limit: (300, 1200), run: hostile::run },
    Scenario { name: "neighbours", limit: (300, 1800), run: neighbours::run },
    Scenario { name: "storm", limit: (240, 900), run: storms::run },
    Scenario { name: "churn", limit: (240, 900), run: churn::run },
    Scenario { name: "planted", limit: (120, 600), run: planted::run },
    Scenario { name: "soak", limit: (120, 4 * 3600), run: soak::run },
];

pub(crate) fn names() -> [&'static str; SCENARIOS.len()] {
    SCENARIOS.map(|scenario| scenario.name)
}

/// Runs the scenarios of the plan, prints the table and the last line.
pub(crate) fn run(plan: &Plan) -> ExitCode {
    let start = Instant::now();
    let mut table = Table::default();
    for scenario in SCENARIOS.iter().filter(|scenario| plan.includes(scenario.name)) {
        eprintln!("== {}", scenario.name);
        let limit = Duration::from_secs(plan.pick(scenario.limit.0, scenario.limit.1));
        let limit = if scenario.name == "soak" { plan.soak() + limit } else { limit };
        let (send, rows) = channel();
        let (plan, run) = (plan.clone(), scenario.run);
        std::thread::spawn(move || run(&plan, &mut Table::sending(&send)));
        let end = Instant::now() + limit;
        loop {
            match rows.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(row) => table.add(row),
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
