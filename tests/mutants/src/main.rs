//! Mutation testing of `core` and `observe` in one build: `.ci/mutants` runs it.
//!
//! cargo-mutants says what the mutants are (`target/mutants/CRATE.json`). All of them are put into
//! one copy of the workspace, each as a branch that an environment variable chooses, so that the
//! compiler runs a few times and not four thousand times. Each test is run once to see which
//! mutants it reaches; then, for each mutant, the tests that reach it, quick ones first, until one
//! fails. What cannot be chosen at run time (constants) is left to cargo-mutants. The tests of `core`
//! are built a second time for a machine of 32 bits, whose code is nobody's elsewhere.

mod build;
mod mutant;
mod rewrite;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use mutant::Mutant;
use run::Answer;
use serde_json::{Value, json};

/// Whose tests run: the two, and those that use them most.
const PACKAGES: [&str; 6] =
    ["mmstats-core", "mmstats-observe", "mmstats-unix", "mmstats", "mmstats-spec", "mmstats-cli"];

/// What is mutated.
const CRATES: [&str; 2] = ["core", "observe"];

fn outcome(mutant: &Mutant, summary: &str, by: &str) -> Value {
    let scenario = json!({ "Mutant": { "name": mutant.name } });
    json!({ "scenario": scenario, "summary": summary, "by": by })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().expect("the root of the workspace"));
    let root = root.canonicalize().expect("a folder");
    // Only those whose name has it.
    let only = arguments.next().unwrap_or_default();
    let work = root.join("target/mutants");
    let mut mutants = Vec::new();
    let missed = fs::read_to_string(work.join("missed")).unwrap_or_default();
    let is_missed = |package: &str| missed.lines().any(|name| name.starts_with(package));
    // To try something, the tests of the two are enough, or of the one.
    let (crates, packages) = match only.as_str() {
        "" => (&CRATES[..], &PACKAGES[..]),
        "core" => (&CRATES[..1], &PACKAGES[..]),
        "observe" => (&CRATES[1..], &PACKAGES[..]),
        "missed" if !is_missed("observe/") => (&CRATES[..1], &PACKAGES[..1]),
        "missed" if !is_missed("core/") => (&CRATES[1..], &PACKAGES[1..2]),
        words if words.starts_with("core/") => (&CRATES[..1], &PACKAGES[..1]),
        words if words.starts_with("observe/") => (&CRATES[1..], &PACKAGES[1..2]),
        _ => (&CRATES[..], &PACKAGES[..2]),
    };
    for package in crates {
        let list = fs::read_to_string(work.join(format!("{package}.json"))).expect("a list");
        let first = u32::try_from(mutants.len()).expect("a small number");
        mutants.extend(Mutant::list(&list, first));
    }
    let begin = Instant::now();
    let built = build::build(&root, &work, &mutants, crates, packages);
    println!("{:.0?}: built; {} programs", begin.elapsed(), built.programs.len());
    let tests = run::record(&built.programs, &work);
    println!("{:.0?}: {} tests recorded", begin.elapsed(), tests.len());
    run(&work, &mutants, &built, &tests, crates, &only, &missed);
    println!("{:.0?}", begin.elapsed());
}

fn run(
    work: &Path,
    mutants: &[Mutant],
    built: &build::Built,
    tests: &[run::Test],
    crates: &[&str],
    only: &str,
    missed: &str,
) {
    let whole = only.is_empty() || CRATES.contains(&only);
    let outcomes = Mutex::new(BTreeMap::<u32, Value>::new());
    let mut rest = Vec::new();
    let mut queue = Vec::new();
    let missed: Vec<&str> = missed.lines().collect();
    for mutant in mutants {
        let chosen = match only {
            _ if whole => true,
            "missed" => missed.contains(&mutant.name.as_str()),
            part => mutant.name.contains(part),
        };
        if !chosen {
            continue;
        }
        if built.unviable.contains(&mutant.number) {
            let value = outcome(mutant, "Unviable", "");
            outcomes.lock().expect("nobody panics").insert(mutant.number, value);
        } else if built.other.contains(&mutant.number) {
            rest.push(mutant);
        } else {
            queue.push((mutant.number, mutant.package.trim_start_matches("mmstats-")));
        }
    }
    let unreached = Mutex::new(Vec::new());
    run::judge_all(&built.programs, tests, &queue, work, |number, answer| {
        let mutant = &mutants[number as usize];
        let value = match answer {
            Answer::Caught(by) => outcome(mutant, "CaughtMutant", by),
            Answer::Late(by) => outcome(mutant, "Timeout", by),
            Answer::Missed => outcome(mutant, "MissedMutant", "its tests pass"),
            Answer::Unreached if built.constant.contains(&number) => {
                unreached.lock().expect("nobody panics").push(number);
                return;
            }
            // Nobody compiles it where words have 8 bytes, and where they have 4 it is refused.
            Answer::Unreached if built.narrow.contains(&number) => outcome(mutant, "Unviable", ""),
            Answer::Unreached => outcome(mutant, "MissedMutant", "no test comes by"),
        };
        outcomes.lock().expect("nobody panics").insert(number, value);
    });
    // A function that only the compiler runs cannot be judged here either.
    rest.extend(unreached.into_inner().expect("ours").into_iter().map(|n| &mutants[n as usize]));
    let outcomes = outcomes.into_inner().expect("nobody panics");
    for package in crates {
        let part = |mutant: &Mutant| mutant.file.starts_with(&format!("{package}/"));
        let here: Vec<&Value> = (outcomes.iter())
            .filter(|(n, _)| part(&mutants[**n as usize]))
            .map(|(_, v)| v)
            .collect();
        let name = if whole { "all" } else { "some" };
        let folder = work.join(package).join(name).join("mutants.out");
        fs::create_dir_all(&folder).expect("a folder");
        let text = json!({ "outcomes": here }).to_string();
        fs::write(folder.join("outcomes.json"), text).expect("a file");
        let names: Vec<&str> =
            rest.iter().filter(|mutant| part(mutant)).map(|mutant| mutant.name.as_str()).collect();
        fs::write(work.join(package).join("rest"), names.join("\n")).expect("a file");
        println!("{package}: {} answered, {} left to cargo-mutants", here.len(), names.len());
    }
    if only.is_empty() || only == "missed" {
        let missed = outcomes.values().filter(|value| value["summary"] == "MissedMutant");
        let names: Vec<&str> =
            missed.filter_map(|value| value["scenario"]["Mutant"]["name"].as_str()).collect();
        fs::write(work.join("missed"), names.join("\n")).expect("a file");
    }
}
