//! Names of files that are removed while their program publishes at full speed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mmstats_tests::actor::{Actor, random};
use mmstats_tests::system::{Signal, signal};

use crate::plan::Plan;
use crate::recovery::{LONG, Workers};
use crate::table::Table;
use crate::tools::{names, pause, place};

/// What happens to the directory, and to the files of the program in order of their parts.
type Fault = fn(&Path, &[PathBuf]);

const FAULTS: [(&str, Fault); 7] = [
    ("part 0", |_, parts| remove(&parts[..1])),
    ("a middle part", |_, parts| remove(&parts[1..2])),
    ("all parts", |_, parts| remove(parts)),
    ("directory made again", |directory, _| {
        // The program may publish again in the meantime.
        while fs::remove_dir_all(directory).is_err() {}
        make(directory);
    }),
    ("directory replaced", |directory, _| {
        fs::rename(directory, directory.with_extension("aside")).expect("a directory");
        make(directory);
    }),
    ("renamed", |directory, parts| {
        rename(parts, &directory.join(format!("renamed-{}.mmst", random())));
    }),
    ("moved away", |directory, parts| rename(parts, &directory.with_extension("away"))),
];

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    for (n, (name, fault)) in FAULTS.into_iter().enumerate() {
        table.row(format!("removed: {name}"), |row| {
            for time in 0..plan.pick(1, 20) {
                let mut recovery = Duration::ZERO;
                let word = if (n + time) % 2 == 0 { "private" } else { "lanes=2" };
                row.case(|| at_full_speed(fault, word, &mut recovery));
                row.time(recovery);
            }
        });
    }
    table.row("removed: of a quiet program", |row| {
        // It has one file.
        let one = FAULTS.iter().filter(|(name, _)| *name != "a middle part");
        for (name, fault) in one.take(plan.pick(2, FAULTS.len())) {
            for word in ["keep", "sampled"] {
                let mut recovery = Duration::ZERO;
                let told = |error| format!("{name}, {word}: {error}");
                row.case(|| while_quiet(*fault, word, &mut recovery).map_err(told));
                row.time(recovery);
            }
        }
    });
    table.row("removed while stopped", |row| {
        for (name, fault) in &FAULTS[..plan.pick(2, FAULTS.len())] {
            let mut recovery = Duration::ZERO;
            row.case(|| {
                // Under another name in the directory it is still seen.
                let seen = *name == "renamed";
                while_stopped(*fault, seen, &mut recovery)
                    .map_err(|error| format!("{name}: {error}"))
            });
            row.time(recovery);
        }
    });
}

fn started(directory: &Path, word: &str, threads: usize) -> Result<Workers, String> {
    make(directory);
    let actor = Actor::start("workers", directory, &["lanes=2", "keep", word]);
    let mut workers = Workers::new(actor, directory)?;
    workers.start(threads);
    pause(Duration::from_millis(200));
    workers.is_exact_again("at first")?;
    workers.actor.ask("go");
    Ok(workers)
}

fn paths(workers: &mut Workers) -> Vec<PathBuf> {
    serde_json::from_str(&workers.actor.ask("paths")).expect("paths")
}

/// The fault at two random instants; all values are exact soon after, and at the end.
fn at_full_speed(fault: Fault, word: &str, recovery: &mut Duration) -> Result<(), String> {
    let place = place();
    let directory = place.path().join("published");
    let mut workers = started(&directory, word, 5)?;
    let mut all = || {
        for when in ["after the first time", "after the second time"] {
            let parts = paths(&mut workers);
            if parts.len() < 3 {
                return Err(format!("{when}: only {} parts: {parts:?}", parts.len()));
            }
            pause(Duration::from_millis(100));
            fault(&directory, &parts);
            workers.watch(LONG)?;
            workers.is_exact_again(when)?;
            // Another thread needs a lane.
            workers.start(1);
            // The next fault of the kind finds its place free.
            tidy(place.path());
        }
        workers.watch(Duration::from_millis(100))?;
        workers.was_whole()?;
        workers.is_exact_at_the_end()
    };
    let result = all();
    *recovery = workers.recovery;
    result
}

/// No thread starts or ends, and nobody asks for a problem; with the word `sampled` a field is sampled.
fn while_quiet(fault: Fault, word: &str, recovery: &mut Duration) -> Result<(), String> {
    let place = place();
    let directory = place.path().join("published");
    let mut workers = started(&directory, word, 2)?;
    let parts = paths(&mut workers);
    fault(&directory, &parts);
    workers.watch(Duration::from_millis(500))?;
    workers.is_exact_again("after the fault")?;
    *recovery = workers.recovery;
    workers.is_exact_at_the_end()
}

/// While the program cannot do anything, no tool shows what is left as the whole, unless all of it is
/// `seen` after the fault.
fn while_stopped(fault: Fault, seen: bool, recovery: &mut Duration) -> Result<(), String> {
    let place = place();
    let directory = place.path().join("published");
    let mut workers = started(&directory, "lanes=2", 5)?;
    let parts = paths(&mut workers);
    signal(workers.actor.pid(), Signal::Stop).expect("a child");
    fault(&directory, &parts);
    let honest = if seen { Ok(()) } else { workers.is_not_whole() };
    signal(workers.actor.pid(), Signal::Continue).expect("a child");
    honest?;
    workers.watch(Duration::from_millis(200))?;
    workers.is_exact_again("after it went on")?;
    workers.is_exact_at_the_end()?;
    *recovery = workers.recovery;
    Ok(())
}

fn remove(parts: &[PathBuf]) {
    // Some may be gone already.
    parts.iter().for_each(|path| _ = fs::remove_file(path));
}

/// Renames the first file that has its name.
fn rename(parts: &[PathBuf], to: &Path) {
    assert!(parts.iter().any(|path| fs::rename(path, to).is_ok()), "a file has its name");
}

fn make(directory: &Path) {
    fs::create_dir(directory).expect("a directory");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("it is ours");
}

/// Removes what the faults put beside the directory.
fn tidy(place: &Path) {
    for path in names(place) {
        match path.extension().and_then(|end| end.to_str()) {
            Some("aside") => fs::remove_dir_all(&path).expect("a directory"),
            Some("away") => fs::remove_file(&path).expect("a file"),
            _ => {}
        }
    }
}
