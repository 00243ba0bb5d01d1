//! File systems that are full, limited, read-only, slow or removed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use mmstats_observe::{OwnedValue, totals};
use mmstats_tests::actor::{Actor, path_of, program};
use mmstats_tests::control::{Limit, limit};
use mmstats_tests::look::{look, states, unsigned};

use crate::plan::Plan;
use crate::table::{Row, Table, short};
use crate::tools::{disk, names, place};

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    let times = plan.pick(2, 20);
    for (name, scenarios) in [
        ("full file system at creation", &["full", "nearly-full", "private"][..]),
        ("full file system while growing", &["growth-family"]),
        ("full file system, then room", &["growth", "growth-private"]),
        ("read-only file system", &["read-only"]),
    ] {
        table.row(name, |row| {
            for _ in 0..times {
                scenarios.iter().for_each(|scenario| row.case(|| in_own_mounts(scenario)));
            }
        });
    }
    table.row("quota of the user", |row| {
        for _ in 0..times {
            match in_own_mounts("quota") {
                Err(none) if none.contains("no quotas here") => {
                    // The closest there is: a limit of the size of the file system.
                    row.remark = "NOT TRIED: a limit of the file size instead".to_owned();
                    row.not_tried = Some("this kernel has no quotas".to_owned());
                    row.case(limited);
                }
                result => row.case(|| result),
            }
        }
    });
    table.row("limit of the file size", |row| {
        for _ in 0..times {
            row.case(limited);
        }
    });
    table.row("directory removed", |row| {
        for _ in 0..times {
            row.case(|| removed(Removed::Directory));
            row.case(|| removed(Removed::Replaced));
        }
    });
    table.row("name removed", |row| {
        for _ in 0..times {
            row.case(|| removed(Removed::Name));
        }
    });
    table.row("updates under heavy writeback", |row| writeback(plan, row));
}

/// Runs the role `disk` of the actor in its own mount namespace.
fn in_own_mounts(scenario: &str) -> Result<(), String> {
    let directory = place();
    let actor = Actor::start_with_mounts("disk", directory.path(), &[scenario]);
    let mut actor = actor.ok_or("no mount namespaces here")?;
    match actor.line() {
        line if line == "passed" => {
            actor.succeeds();
            Ok(())
        }
        line => Err(line),
    }
}

/// A file above the limit of the process is an error, not the signal SIGXFSZ.
fn limited() -> Result<(), String> {
    let directory = place();
    let mut command = Command::new(program("mmstats-actor"));
    command.arg("limited").arg(directory.path());
    let output = limit(&mut command, Limit::FileSize(16 << 10)).output().expect("the actor");
    match String::from_utf8_lossy(&output.stdout).as_ref() {
        "passed\n" if output.status.success() && names(directory.path()).is_empty() => Ok(()),
        said => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(format!("{said}{:?}, {:?}; {errors}", output.status, names(directory.path())))
        }
    }
}

/// The program runs on and publishes again, with all its values, and does not touch a file that was
/// put in the place of its own.
fn removed(how: Removed) -> Result<(), String> {
    let place = place();
    let directory = place.path().join("published");
    let mut actor = Actor::start("idle", &directory, &["lanes=2"]);
    let path = path_of(&actor.line());
    let observer = look(&directory);
    if how == Removed::Name {
        fs::remove_file(&path).expect("the owner may");
    } else {
        fs::remove_dir_all(&directory).expect("the owner may");
    }
    if how == Removed::Replaced {
        fs::create_dir(&directory).expect("a directory");
        fs::write(&path, "somebody else's").expect("a file");
    }
    actor.ask("update 41");
    // More threads than lanes, and no directory for a further file.
    for _ in 0..3 {
        if !actor.ask("thread 1").starts_with("thread") {
            return Err("a thread has no lane".to_owned());
        }
    }
    actor.ask("update 42");
    // An observer that has the file open still reads it.
    let seen = unsigned(&observer, "counter");
    if !(42..=43).contains(&seen) {
        return Err(format!("the open file says {seen}"));
    }
    // So does one that comes now, soon.
    let begin = std::time::Instant::now();
    while sum(&directory, "counter") != Some(45) {
        if begin.elapsed() > std::time::Duration::from_secs(20) {
            return Err(format!("a later look says {:?}", sum(&directory, "counter")));
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    if how == Removed::Name && !path.exists() {
        return Err(format!("not under its name: {:?}", names(&directory)));
    }
    // Its threads have clones: a drop of this one closes nothing.
    if actor.ask("close") != "done" {
        return Err("it does not close".to_owned());
    }
    actor.succeeds();
    let left = fs::read_to_string(&path).ok();
    match (how, left.as_deref()) {
        (Removed::Replaced, Some("somebody else's")) => Ok(()),
        (Removed::Name | Removed::Directory, None) => Ok(()),
        (_, left) => Err(format!("{how:?}: {left:?} {:?}", states(&look(&directory)))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removed {
    Name,
    Directory,
    /// The directory; another one has a file of the same name.
    Replaced,
}

/// The sum of a field over all files, if there are any.
fn sum(directory: &Path, label: &str) -> Option<u128> {
    let found = totals(look(directory).files()).into_iter().find(|t| t.field.label == label)?;
    match found.reading.value? {
        OwnedValue::Unsigned(n) => Some(n),
        _ => None,
    }
}

/// The same program with its file in memory and on a busy disk.
fn writeback(plan: &Plan, row: &mut Row) {
    let (memory, disk) = (place(), disk());
    let seconds = plan.pick("4", "60");
    let ended = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| keep_busy(&disk.path().join("ballast"), &ended));
        let mut actors = [&memory, &disk]
            .map(|place| (Actor::start("latency", place.path(), &[seconds]), place.path()));
        let told = actors.each_mut().map(|(actor, place)| {
            let told = actor.try_for(std::time::Duration::from_secs(120)).ok_or("no line")?;
            let right = unsigned(&look(place), "latency.updates");
            actor.tell("end");
            Ok::<_, String>((told, right))
        });
        ended.store(true, Ordering::Relaxed);
        told
    });
    let mut remarks = Vec::new();
    for (name, told) in ["in memory", "on the disk"].into_iter().zip(told) {
        row.case(|| {
            let (told, seen) = told?;
            let mut numbers = told.split(' ').map(|n| n.parse::<u64>().expect("a number"));
            let mut next = || numbers.next().expect("three numbers");
            let (updates, worst, above) = (next(), next(), next());
            let time = short(std::time::Duration::from_nanos(worst));
            remarks.push(format!("{name}: worst {time}, {above} above 1 ms of {updates}"));
            if seen == u128::from(updates) { Ok(()) } else { Err(format!("{name}: {seen}")) }
        });
    }
    row.remark = remarks.join("; ");
}

/// Writes and syncs without a pause.
fn keep_busy(path: &Path, ended: &AtomicBool) {
    let megabyte = vec![7; 1 << 20];
    while !ended.load(Ordering::Relaxed) {
        let mut file = fs::File::create(path).expect("a file");
        for n in 1..=256 {
            // A full disk is busy too.
            let _ = file.write_all(&megabyte);
            if n % 32 == 0 {
                let _ = file.sync_data();
            }
            if ended.load(Ordering::Relaxed) {
                break;
            }
        }
        // The whole disk, with changes of other programs.
        let _ = Command::new("sync").arg("-f").arg(path).status();
    }
}
