//! Scenarios that are tests already (tests/it): run here, counted as rows.

use std::process::Command;
use std::time::Instant;

use crate::plan::Plan;
use crate::table::Table;

const ROWS: [(&str, &[&str]); 8] = [
    ("clock jumps", &["clock::"]),
    ("children of every kind", &["fork::", "prefork::", "exec::", "daemon::"]),
    ("containers that share a directory", &["containers::"]),
    ("names and directories that are none", &["failures::"]),
    ("truncation under a reader", &["truncated::"]),
    ("sweeping keeps what is not dead", &["sweep::"]),
    ("threads, pools and their lanes", &["threads::", "pools::"]),
    ("no system call in an update", &["seccomp::"]),
];

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    let Some(tests) = &plan.tests else {
        table.row("tests", |row| row.lose("--tests PROGRAM is missing: use tests/torture"));
        return;
    };
    for (name, modules) in ROWS {
        table.row(name, |row| {
            for _ in 0..plan.pick(1, 5) {
                let start = Instant::now();
                let output = Command::new(tests).args(modules).env("CI", "true").output();
                let output = match output {
                    Ok(output) => output,
                    Err(error) => return row.lose(format!("{}: {error}", tests.display())),
                };
                row.time(start.elapsed());
                let out = String::from_utf8_lossy(&output.stdout);
                let passed = out.lines().filter(|line| line.ends_with("... ok")).count();
                row.add_tried(passed as u64);
                let failed = out.lines().filter(|line| line.ends_with("... FAILED"));
                failed.for_each(|line| row.lose(line));
                let mut lines = out.lines().skip_while(|line| !line.contains("panicked at"));
                let why = [lines.next(), lines.next()].map(Option::unwrap_or_default);
                if !output.status.success() || passed == 0 {
                    row.lose(format!("{passed} passed; {}", why.join(" ")));
                }
            }
        });
    }
}
