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
    /// Whether it mostly waits: it runs at the same time as its neighbours that do.
    waits: bool,
    run: fn(&Plan, &mut Table),
}

impl Scenario {
    const fn new(name: &'static str, limit: (u64, u64), run: fn(&Plan, &mut Table)) -> Self {
        Self { name, limit, waits: false, run }
    }

    const fn that_waits(self) -> Self {
        Self { waits: true, ..self }
    }
}

const SCENARIOS: [Scenario; 14] = [
    Scenario::new("kill", (300, 1800), kills::run),
    Scenario::new("stop", (120, 900), stops::run),
    Scenario::new("speed", (120, 900), speed::run),
    Scenario::new("disk", (120, 600), disks::run),
    Scenario::new("removed", (240, 1800), removed::run).that_waits(),
    Scenario::new("room", (240, 1800), room::run).that_waits(),
    Scenario::new("programs", (240, 1800), programs::run),
    Scenario::new("damage", (240, 1200), damage::run),
    Scenario::new("hostile", (300, 1200), hostile::run),
    Scenario::new("neighbours", (300, 1800), neighbours::run),
    Scenario::new("storm", (240, 900), storms::run),
    Scenario::new("churn", (240, 900), churn::run),
    Scenario::new("planted", (120, 600), planted::run),
    Scenario::new("soak", (120, 4 * 3600), soak::run),
];

pub(crate) fn names() -> [&'static str; SCENARIOS.len()] {
    SCENARIOS.map(|scenario| scenario.name)
}

/// Runs the scenarios of the plan, prints the table and the last line.
pub(crate) fn run(plan: &Plan) -> ExitCode {
    let start = Instant::now();
    let mut table = Table::default();
    for together in SCENARIOS.chunk_by(|a, b| a.waits && b.waits) {
        let (send, rows) = channel();
        let (mut longest, mut names) = (Duration::ZERO, Vec::new());
        for scenario in together.iter().filter(|scenario| plan.includes(scenario.name)) {
            eprintln!("== {}", scenario.name);
            let limit = Duration::from_secs(plan.pick(scenario.limit.0, scenario.limit.1));
            let limit = if scenario.name == "soak" { plan.soak() + limit } else { limit };
            longest = longest.max(limit);
            names.push(scenario.name);
            let (plan, run, send) = (plan.clone(), scenario.run, send.clone());
            std::thread::spawn(move || run(&plan, &mut Table::sending(&send)));
        }
        drop(send);
        let end = Instant::now() + longest;
        loop {
            match rows.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(row) => table.add(row),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let mut row = Row::new(format!("{}: the rest", names.join(", ")));
                    row.lose(format!("it takes longer than {} s", longest.as_secs()));
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
