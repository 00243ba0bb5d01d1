//! The report of a run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::run::{Good, Outcome};

/// Prints the failures and the closing line. With known failures, exactly these must fail, of those
/// that were run; one that is no fixture (of `all`) is a mistake.
pub(crate) fn print(outcomes: &[Outcome], known: &str, all: &BTreeSet<&str>) -> bool {
    let lines = known.lines().map(str::trim);
    let mut known: BTreeSet<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (mut passed, mut failed, mut skipped, mut expected, mut mute) = (0, 0, 0, 0, 0);
    for outcome in outcomes {
        let listed = known.remove(outcome.id.as_str());
        match &outcome.result {
            Err(_) if listed => expected += 1,
            Err(why) => {
                println!("FAILED {}: {why}", outcome.id);
                failed += 1;
            }
            Ok(_) if listed => {
                println!("FAILED {}: known to fail, but it does not", outcome.id);
                failed += 1;
            }
            Ok(good) => match good {
                Good::Passed => passed += 1,
                Good::Mute => (passed, mute) = (passed + 1, mute + 1),
                Good::Skipped => skipped += 1,
            },
        }
    }
    for id in known.difference(all) {
        println!("FAILED {id}: known to fail, but there is no such fixture");
        failed += 1;
    }
    if expected > 0 {
        println!("{expected} failed as known");
    }
    if mute > 0 {
        println!(
            "{mute} refusals had no code, as those of a reader that only crashes: try --strict"
        );
    }
    if passed + failed == 0 && skipped > 0 {
        println!(
            "nothing passed: the reader exits with 2 for all of them, which says that it cannot say"
        );
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    failed == 0 && passed > 0
}

/// The report for programs.
pub(crate) fn json(reader: &str, outcomes: &[Outcome]) -> String {
    let all: Vec<_> = outcomes
        .iter()
        .map(|outcome| match &outcome.result {
            Ok(Good::Passed | Good::Mute) => json!({ "id": outcome.id, "result": "passed" }),
            Ok(Good::Skipped) => json!({ "id": outcome.id, "result": "skipped" }),
            Err(why) => json!({ "id": outcome.id, "result": "failed", "why": why }),
        })
        .collect();
    format!("{:#}\n", json!({ "format": "3.0", "reader": reader, "fixtures": all }))
}

/// Prints passed of all by reader and folder; the first failures below.
pub(crate) fn table(rows: &[(String, Vec<Outcome>)]) -> bool {
    let folders: BTreeSet<&str> =
        rows.iter().flat_map(|(_, all)| all.iter().map(|o| o.folder.as_str())).collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(6);
    // As wide as the name and the largest cell, which has the same number twice.
    let cells = |folder: Option<&str>| {
        let all = rows.iter().map(|(_, all)| {
            all.iter().filter(|o| folder.is_none_or(|folder| o.folder == folder)).count()
        });
        let widest = all.max().unwrap_or(0).to_string().len() * 2 + 1;
        widest.max(folder.unwrap_or("all").len())
    };
    print!("{:width$}", "reader");
    for folder in &folders {
        let cells = cells(Some(folder));
        print!("  {folder:>cells$}");
    }
    let last = cells(None);
    println!("  {:>last$}", "all");
    let mut good = true;
    for (name, outcomes) in rows {
        let mut count: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for outcome in outcomes {
            let entry = count.entry(&outcome.folder).or_default();
            entry.0 += usize::from(matches!(outcome.result, Ok(Good::Passed | Good::Mute)));
            entry.1 += 1;
        }
        let cell = |(passed, all): (usize, usize)| format!("{passed}/{all}");
        print!("{name:width$}");
        let mut sum = (0, 0);
        for folder in &folders {
            let these = count.get(folder).copied().unwrap_or_default();
            sum = (sum.0 + these.0, sum.1 + these.1);
            let cells = cells(Some(folder));
            print!("  {:>cells$}", cell(these));
        }
        println!("  {:>last$}", cell(sum));
        good &= outcomes.iter().all(|outcome| outcome.result.is_ok());
    }
    for (name, outcomes) in rows {
        let failures = outcomes.iter().filter_map(|o| Some((o, o.result.as_ref().err()?)));
        failures.take(20).for_each(|(outcome, why)| println!("{name}: {}: {why}", outcome.id));
    }
    let count = |good| {
        let all = rows.iter().flat_map(|(_, all)| all);
        all.filter(|o| o.result.as_ref().ok() == Some(&good)).count()
    };
    let failed = rows.iter().flat_map(|(_, all)| all).filter(|o| o.result.is_err()).count();
    let passed = count(Good::Passed) + count(Good::Mute);
    println!("{passed} passed, {failed} failed, {} skipped", count(Good::Skipped));
    good && !rows.is_empty()
}
