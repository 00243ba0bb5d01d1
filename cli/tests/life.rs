//! Files of dead programs: many of them, from containers, with times in the future.

mod common;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // as above
use mmstats_windows as backend;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mmstats::{Counter, OnDrop, Options, Publisher, Stats};
use mmstats_core::layout::header;
use mmstats_core::{Constant, FieldSpec, Gauge, Schema};
use serde_json::Value;

use common::{files, image, json, run};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// An image of a program that began in the future.
fn from_the_future(path: &Path, ahead: Duration) {
    began(path, SystemTime::now() + ahead);
}

/// An image of a program that began long ago.
fn from_the_past(path: &Path, ago: Duration) {
    began(path, SystemTime::now() - ago);
}

fn began(path: &Path, time: SystemTime) {
    let created = time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let mut schema = Schema::<16>::new();
    schema.add(FieldSpec::info("sys.created", Constant::F64(created)).unit("seconds")).unwrap();
    schema.add(FieldSpec::info("sys.command", Constant::Text("tomorrow"))).unwrap();
    schema.add(FieldSpec::counter("hits")).unwrap();
    image(path, &schema, |_| ());
}

fn set_modified(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn program_from_future_has_no_age() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tomorrow.mmst");
    from_the_future(&path, YEAR);
    // Holds the lock, as a live program does.
    let writer = backend::reopen(&path).unwrap();
    set_modified(&path, SystemTime::now() + YEAR);

    let state = |state: &str| {
        let printed = run(dir.path(), &["ls"]);
        assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
        let cells: Vec<&str> = printed.out.split('\t').collect();
        assert_eq!(cells[..4], ["-", "tomorrow", state, "-"]);
        let listed = &json(dir.path(), &["ls", "--json"])["files"][0];
        assert_eq!((&listed["age"], listed["state"].as_str()), (&Value::Null, Some(state)));
        let printed = run(dir.path(), &["show", "--all"]);
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        let printed = run(dir.path(), &["poll", "-d0.01", "-c2", "hits", path.to_str().unwrap()]);
        assert!(!printed.err.contains("panic"), "{}", printed.err);
    };
    state("live");
    assert_eq!(run(dir.path(), &["clean"]).code, Some(0));
    assert!(path.exists(), "removed, though live");
    drop(writer);
    state("dead");

    // A credible modification time gives the age.
    set_modified(&path, SystemTime::now() - Duration::from_secs(100));
    let age = json(dir.path(), &["ls", "--json"])["files"][0]["age"].as_f64().unwrap();
    assert!((100.0..160.0).contains(&age), "{age}");
    assert_eq!(run(dir.path(), &["clean"]).code, Some(0));
    assert!(!path.exists(), "kept, though dead");
}

/// A time in the future is no sign of a change.
#[test]
fn dead_program_with_time_in_the_future_has_no_time_of_death() {
    let dir = tempfile::tempdir().unwrap();
    let path = publish(dir.path(), 1).remove(0);
    set_modified(&path, SystemTime::now() + YEAR);
    let listed = &json(dir.path(), &["ls", "--json"])["files"][0];
    assert_eq!((&listed["died"], &listed["changed"]), (&Value::Null, &Value::Null), "{listed}");
    let shown = run(dir.path(), &["show", "--all", "--table"]).out;
    assert!(!shown.contains("ended"), "{shown}");
}

/// A copy without the time of the file says only that its program died before.
#[cfg(target_os = "linux")] // tells when a file was created
#[test]
fn copied_file_has_time_before_which_its_program_ended() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("web.mmst");
    from_the_future(&original, Duration::ZERO);
    let listed = |path: &Path| {
        json(dir.path(), &["ls", "--json", path.to_str().unwrap()])["files"][0].clone()
    };
    if std::fs::metadata(&original).unwrap().created().is_err() {
        return common::cannot_be_run("the file system does not tell when a file was created");
    }
    assert!(listed(&original)["died"].is_f64() && listed(&original)["died_before"].is_null());
    // One whose program began long before the file was created.
    let copy = dir.path().join("copy.mmst");
    from_the_past(&copy, 2 * YEAR);
    let found = listed(&copy);
    assert_eq!((&found["died"], &found["changed"]), (&Value::Null, &Value::Null), "{found}");
    assert!(found["died_before"].is_f64(), "{found}");
    let show = run(dir.path(), &["show", "--table", copy.to_str().unwrap()]).out;
    assert!(show.contains("died before ") && show.contains("when the file was copied"), "{show}");
    let cleaned = run(dir.path(), &["clean", "--dry-run", copy.to_str().unwrap()]).out;
    assert!(cleaned.contains("died before "), "{cleaned}");
    // `cp -p` keeps the time.
    let then = SystemTime::now() - YEAR;
    set_modified(&copy, then);
    let found = listed(&copy);
    let died = then.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((found["died"].as_f64().unwrap() - died).abs() < 1.0, "{found}");
    assert_eq!(found.get("died_before"), None);
}

/// A program may create its file long after its begin: it touches it, and its copies of values have times.
#[cfg(target_os = "linux")] // tells when a file was created
#[test]
fn file_that_its_program_created_late_has_time_of_death() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("late.mmst");
    from_the_past(&path, 2 * YEAR);
    if std::fs::metadata(&path).unwrap().created().is_err() {
        return common::cannot_be_run("the file system does not tell when a file was created");
    }
    let died = || {
        let listed = &json(dir.path(), &["ls", "--json"])["files"][0];
        (listed["died"].as_f64(), listed["died_before"].as_f64().is_some())
    };
    assert_eq!(died(), (None, true));
    set_modified(&path, SystemTime::now() + Duration::from_secs(60));
    assert!(matches!(died(), (Some(_), false)), "{:?}", died());

    // Values are copied from memory that no reader sees.
    let ten = Duration::from_secs(10);
    for (later, is_copy) in [(Duration::ZERO, true), (ten, false)] {
        let time = (SystemTime::now() + later).duration_since(UNIX_EPOCH).unwrap();
        let mut schema = Schema::<16>::new();
        schema.add(FieldSpec::info("sys.created", Constant::F64(1e9)).unit("seconds")).unwrap();
        let mirrored = schema.add(FieldSpec::timestamp("sys.mirrored")).unwrap();
        std::fs::remove_file(&path).unwrap();
        image(&path, &schema, |writer| {
            let lane = writer.lane().unwrap();
            let nanos = u64::try_from(time.as_nanos()).unwrap();
            Gauge::<u64, _>::attach(&lane, mirrored).unwrap().set(nanos);
        });
        let (about, before) = died();
        assert_eq!((about.is_none(), before), (is_copy, is_copy), "{later:?}");
        assert!(about.is_none_or(|about| (about - time.as_secs_f64()).abs() < 0.01));
    }
}

/// A program whose name is lost publishes its values again, in a new file.
#[cfg(target_os = "linux")] // tells when a file was created
#[test]
fn killed_program_that_published_again_has_time_of_death() {
    let dir = tempfile::tempdir().unwrap();
    let mut publisher = common::Publisher::start(dir.path());
    if std::fs::metadata(&publisher.path).unwrap().created().is_err() {
        return common::cannot_be_run("the file system does not tell when a file was created");
    }
    // Longer than a start takes.
    std::thread::sleep(Duration::from_secs(11));
    std::fs::remove_file(&publisher.path).unwrap();
    let path = common::wait_for(|| files(dir.path()).into_iter().next());
    // Longer than a copy takes.
    std::thread::sleep(Duration::from_secs(2));
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    publisher.kill();
    let listed = &json(dir.path(), &["ls", "--json", path.to_str().unwrap()])["files"][0];
    let died = listed["died"].as_f64().unwrap_or_else(|| panic!("{listed}"));
    assert!((died - killed).abs() < 5.0, "{killed}: {listed}");
    assert_eq!(listed.get("died_before"), None, "{listed}");
}

/// Files with times in the future and in the past are counted apart.
#[test]
fn clean_keeps_newest_of_both_times() {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<_> = publish(dir.path(), 4);
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    for (path, time) in paths.iter().zip([now + 2 * hour, now + hour, now - hour, now - 2 * hour]) {
        set_modified(path, time);
    }
    assert_eq!(run(dir.path(), &["clean", "--keep", "1"]).code, Some(0));
    let there = paths.iter().map(|path| path.exists()).collect::<Vec<_>>();
    assert_eq!(there, [true, false, true, false]);
}

/// Another container may have a process with the same id and start time.
#[test]
#[cfg(target_os = "linux")]
fn clean_compares_pid_namespaces() {
    let dir = tempfile::tempdir().unwrap();
    let facts = backend::process::facts();
    let (boot, ours) = (facts.boot_id.unwrap(), facts.pid_ns.unwrap());
    for (namespace, stays) in [(ours, true), (ours + 1, false)] {
        let path = dir.path().join("first.mmst");
        let mut schema = Schema::<16>::new();
        let mut add = |label, value| schema.add(FieldSpec::info(label, value)).map(drop).unwrap();
        add("sys.pid", Constant::U64(facts.pid.into()));
        add("sys.start_time", Constant::U64(facts.start_time.unwrap()));
        add("sys.pid_ns", Constant::U64(namespace));
        add("sys.boot_id", Constant::Text(&boot));
        image(&path, &schema, |_| ());
        let printed = run(dir.path(), &["clean"]);
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        assert_eq!(path.exists(), stays, "{}", printed.out);
        assert_eq!(printed.out.contains("a copy, or from before an exec"), stays);
    }
}

#[derive(Stats)]
struct One {
    hits: Counter,
}

/// Files of so many programs that ended, copies of one with instances of their own: to publish ten
/// thousand takes minutes on a busy machine.
fn copies(directory: &Path, count: usize) {
    let original = publish(directory, 1).remove(0);
    let mut bytes = std::fs::read(&original).unwrap();
    for number in 1..count {
        bytes[header::INSTANCE as usize..][..8].copy_from_slice(&(number as u64).to_le_bytes());
        common::sum_header(&mut bytes);
        std::fs::write(directory.join(format!("copy-{number}.mmst")), &bytes).unwrap();
    }
}

/// Files of programs that ended.
fn publish(directory: &Path, count: usize) -> Vec<std::path::PathBuf> {
    let one = |_| {
        let options = Options::new().directory(directory).lanes(1).post_mortems(None);
        let one: Publisher<One> = options.on_drop(OnDrop::Keep).start().unwrap();
        one.with(|stats| stats.hits.add(7));
        one.paths().remove(0)
    };
    // The thread ends, so that no file stays mapped: Windows would not remove it.
    std::thread::scope(|scope| scope.spawn(|| (0..count).map(one).collect()).join().unwrap())
}

/// Every command ends, also beside other work.
#[test]
fn commands_handle_ten_thousand_files() {
    // In memory if possible, as by default: removing many files from a disk is slow.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(place).unwrap();
    // wine is slow: another process serves every file.
    let wine = cfg!(windows) && std::env::var_os("WINEPREFIX").is_some();
    let count = match std::env::var_os("MMSTATS_EMULATED") {
        Some(_) => 2_000,
        None if wine => 300,
        None => 10_000,
    };
    copies(dir.path(), count);
    let timed = |arguments: &[&str]| {
        let start = Instant::now();
        let printed = run(dir.path(), arguments);
        eprintln!("{arguments:?} takes {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(180), "{arguments:?}");
        assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
        printed.out
    };
    let listed = timed(&["ls"]);
    assert_eq!(listed.lines().filter(|line| line.contains("\tclosed\t")).count(), count);
    let shown = timed(&["show", "--all"]);
    assert!(shown.lines().count() >= count, "{}", shown.lines().count());
    assert_eq!(timed(&["clean", "--keep", "8"]).lines().count(), count);
    assert_eq!(files(dir.path()).len(), 8);
}
