//! Files that cannot be made for a while: no room, no permission, limits of the process.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mmstats_tests::actor::Actor;
use mmstats_tests::control::{Limit, limit_running};

use crate::plan::Plan;
use crate::recovery::{LONG, Workers};
use crate::shown::Shown;
use crate::table::Table;
use crate::tools::{names, pause, place};

/// User id without rights.
const USER: u32 = 54_321;

/// A program, and where this process sees its directory.
struct Place<'a> {
    workers: &'a mut Workers,
    directory: &'a Path,
}

/// Something that prevents files for a while.
struct Fault {
    name: &'static str,
    /// Arguments of the role `workers`.
    words: &'static [&'static str],
    /// The argument with which the program starts in the fault, if it can.
    at_start: Option<&'static str>,
    /// Whether all parts are one program afterwards; files of two owners are two.
    returns: bool,
    begin: fn(&mut Place),
    end: fn(&mut Place),
}

const FAULTS: [Fault; 7] = [
    Fault {
        name: "full, then room",
        words: &["tmpfs=size=3m,mode=0700"],
        at_start: Some("fill"),
        returns: true,
        begin: |place| {
            let mut file = File::create(place.directory.join("filler")).expect("a file");
            while file.write_all(&[1; 4096]).is_ok() {}
        },
        end: |place| fs::remove_file(place.directory.join("filler")).expect("the filler"),
    },
    Fault {
        name: "no file more, then some",
        words: &["tmpfs=size=8m,nr_inodes=32,mode=0700"],
        at_start: None,
        returns: true,
        begin: |place| {
            let full =
                |n: usize| File::create(place.directory.join(format!("filler.{n}"))).is_err();
            assert!((0..64).any(full), "there is a limit");
        },
        end: |place| {
            for path in names(place.directory) {
                if path.file_stem().is_some_and(|stem| stem == "filler") {
                    fs::remove_file(path).expect("a filler");
                }
            }
        },
    },
    Fault {
        name: "read-only, then not",
        words: &["tmpfs=size=3m,mode=0700"],
        at_start: Some("read-only"),
        returns: true,
        // Not possible while files are written.
        begin: |_| unreachable!(),
        end: |place| _ = place.workers.actor.ask("remount rw"),
    },
    Fault {
        name: "no permission, then some",
        words: &["user=54321"],
        at_start: None,
        returns: true,
        begin: |place| chown(place.directory, Some(0), Some(0)).expect("the super-user may"),
        end: |place| chown(place.directory, Some(USER), Some(USER)).expect("the super-user may"),
    },
    Fault {
        name: "another user, then permission",
        words: &[],
        at_start: None,
        returns: false,
        begin: |place| _ = place.workers.actor.ask("user 54321"),
        end: |place| chown(place.directory, Some(USER), Some(USER)).expect("the super-user may"),
    },
    Fault {
        name: "small files, then large ones",
        words: &[],
        at_start: None,
        returns: true,
        begin: |place| limited(place, Limit::FileSize(4096)),
        end: |place| limited(place, Limit::FileSize(u64::MAX)),
    },
    Fault {
        name: "no descriptor, then some",
        words: &[],
        at_start: None,
        returns: true,
        begin: |place| limited(place, Limit::Files(3)),
        end: |place| limited(place, Limit::Files(1024)),
    },
];

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    for fault in &FAULTS {
        table.row(format!("room: {}", fault.name), |row| {
            for n in 0..plan.pick(1, 10) {
                let mut recovery = Duration::ZERO;
                let grows = fault.at_start != Some("read-only");
                if grows {
                    row.case(|| grows_later(fault, n % 2 == 0, &mut recovery));
                }
                if let Some(word) = fault.at_start {
                    row.case(|| starts_in_it(fault, word, &mut recovery));
                }
                row.time(recovery);
            }
        });
    }
    table.row("room: closed or killed without", |row| {
        for fault in FAULTS.iter().filter(|fault| fault.at_start != Some("read-only")) {
            for killed in [false, true] {
                if plan.pick(fault.name.starts_with("full"), true) {
                    let told = |error| format!("{}, killed {killed}: {error}", fault.name);
                    row.case(|| ends_in_it(fault, killed).map_err(told));
                }
            }
        }
    });
}

fn limited(place: &Place, limit: Limit) {
    limit_running(place.workers.actor.pid(), limit).expect("a child");
}

/// Starts the program in a directory of the right owner.
fn start(fault: &Fault, at: &Path, more: &[&str]) -> Result<(Workers, PathBuf), String> {
    let directory = at.join("published");
    fs::create_dir(&directory).expect("a directory");
    // Another user passes through the place.
    for path in [at, &directory] {
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, all).expect("it is ours");
    }
    if fault.words.contains(&"user=54321") {
        chown(&directory, Some(USER), Some(USER)).expect("the super-user may");
    }
    let words: Vec<&str> =
        ["lanes=2", "keep"].iter().chain(fault.words).chain(more).copied().collect();
    let (actor, seen) = if words.iter().any(|word| word.starts_with("tmpfs")) {
        let actor = Actor::start_with_mounts("workers", &directory, &words);
        let actor = actor.ok_or("no mount namespaces here")?;
        let root = format!("/proc/{}/root", actor.pid());
        (actor, Path::new(&root).join(directory.strip_prefix("/").expect("absolute")))
    } else {
        (Actor::start("workers", &directory, &words), directory)
    };
    Ok((Workers::new(actor, &seen)?, seen))
}

/// Room for the first threads, and none for further threads and fields for a while.
fn grows_later(fault: &Fault, private: bool, recovery: &mut Duration) -> Result<(), String> {
    let at = place();
    let (mut workers, directory) =
        start(fault, at.path(), if private { &["private"] } else { &[] })?;
    workers.start(2);
    pause(Duration::from_millis(100));
    workers.is_exact_again("at first")?;
    workers.actor.ask("go");
    let result = passes(fault, &mut workers, &directory, false);
    *recovery = workers.recovery;
    result
}

/// No room at the start.
fn starts_in_it(fault: &Fault, word: &str, recovery: &mut Duration) -> Result<(), String> {
    let at = place();
    // In this order: the file system is mounted, then filled.
    let (mut workers, directory) = start(fault, at.path(), &[word, "private"])?;
    workers.start(2);
    let result = passes(fault, &mut workers, &directory, true);
    *recovery = workers.recovery;
    result
}

/// Goes through the fault, to the end of the program.
fn passes(
    fault: &Fault,
    workers: &mut Workers,
    directory: &Path,
    begun: bool,
) -> Result<(), String> {
    if !begun {
        (fault.begin)(&mut Place { workers, directory });
    }
    workers.start(5);
    let grown = workers.actor.ask("grow 30");
    workers.watch(Duration::from_millis(500))?;
    if workers.actor.ask("problem") == "none" {
        return Err("no problem in the fault".to_owned());
    }
    (fault.end)(&mut Place { workers, directory });
    workers.watch(LONG)?;
    if !fault.returns {
        return is_honest(&workers.actor.ask("close"), directory);
    }
    workers.was_whole()?;
    workers.is_exact_again("after the fault")?;
    workers.start(2);
    let grown = (grown, workers.actor.ask("grow 40"));
    if grown.1 != "done" {
        return Err(format!("no field more: {grown:?}"));
    }
    workers.watch(Duration::from_millis(100))?;
    workers.is_exact_again("later")?;
    workers.is_exact_at_the_end()
}

/// The remains of a program that ends in the fault are not shown as a whole program.
fn ends_in_it(fault: &Fault, killed: bool) -> Result<(), String> {
    let at = place();
    let (mut workers, directory) = start(fault, at.path(), &["private"])?;
    workers.start(2);
    pause(Duration::from_millis(100));
    (fault.begin)(&mut Place { workers: &mut workers, directory: &directory });
    workers.start(5);
    workers.watch(Duration::from_millis(300))?;
    let truth = workers.actor.ask("stop");
    // A file system of the process's own stays while it has an open directory.
    let open = File::open(&directory).expect("a directory");
    let held = format!("/proc/{}/fd/{}/.", std::process::id(), open.as_raw_fd());
    if killed {
        workers.actor.kill();
    } else {
        workers.actor.ask("close");
    }
    is_honest(&truth, Path::new(&held))
}

/// The values are right, or not shown as whole ones.
fn is_honest(truth: &str, directory: &Path) -> Result<(), String> {
    let shown = Shown::look(directory)?;
    let truth = serde_json::from_str(truth).map_err(|error| format!("{error}: {truth}"))?;
    match shown.difference(&truth) {
        _ if shown.shows_nothing() => Err("nothing is left of it".to_owned()),
        Some(difference) if shown.claims_whole() => {
            Err(format!("shown as whole values: {difference}"))
        }
        _ => Ok(()),
    }
}
