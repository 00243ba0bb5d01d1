//! `mmstats alert`: exit codes of monitoring plugins, of real programs.

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use mmstats::{Counter, Events, Family, Gauge, Latency, Options, Stats, Timestamp};
use mmstats_core::layout::header as h;
use serde_json::Value;

use common::{Printed, all_kinds, run, wait_for};

#[derive(Stats)]
struct Web {
    #[stats(labels("status"))]
    errors: Family<Counter, 1>,
    requests: Counter,
    #[stats(unit = "bytes")]
    queue: Gauge<u64>,
    /// It has no value.
    #[allow(dead_code)] // it is read from outside
    never: Gauge<u64>,
    beat: Timestamp,
    #[stats(unit = "s")]
    started: Gauge<u64>,
    latency: Latency,
}

fn web(directory: &Path) -> mmstats::Publisher<Web> {
    let publisher = Options::new().directory(directory).start::<Web>().unwrap();
    let lane = publisher.lane().unwrap();
    lane.queue.set(100);
    lane.beat.set(SystemTime::now() - Duration::from_secs(60));
    lane.requests.add(7);
    lane.started.set(0);
    (1..=100).for_each(|n| lane.latency.record(Duration::from_millis(n)));
    // A gauge has no value any more when its thread gives the lane back.
    std::mem::forget(lane);
    publisher
}

fn alert(directory: &Path, arguments: &[&str]) -> Printed {
    let mut all = vec!["alert"];
    all.extend(arguments);
    run(directory, &all)
}

fn code(directory: &Path, arguments: &[&str]) -> Option<i32> {
    alert(directory, arguments).code
}

/// The directory of a test: its process publishes in those of all tests.
fn place(directory: &tempfile::TempDir) -> String {
    directory.path().to_str().unwrap().to_owned()
}

#[test]
fn each_operator_has_the_code_of_its_severity() {
    let dir = tempfile::tempdir().unwrap();
    let _web = web(dir.path());
    let pid = place(&dir);
    for (condition, holds) in [
        ("queue > 99", true),
        ("queue > 100", false),
        ("queue >= 100", true),
        ("queue >= 101", false),
        ("queue < 101", true),
        ("queue < 100", false),
        ("queue <= 100B", true),
        ("queue <= 99", false),
        ("queue == 100", true),
        ("queue == 0.1kB", true),
        ("queue == 101", false),
        ("queue != 101", true),
        ("queue != 100", false),
        ("q* > 99", true),
        ("rate(requests) == 0", true),
        ("rate(requests) > 0", false),
        ("age(beat) > 59s", true),
        ("age(beat) > 1h", false),
        ("p99(latency) > 90ms", true),
        ("p50(latency) > 90ms", false),
    ] {
        let delay = "--delay=0.05";
        let critical = alert(dir.path(), &[delay, &pid, condition]);
        assert_eq!(critical.code, Some(if holds { 2 } else { 0 }), "{condition}: {}", critical.out);
        let start = if holds { "CRITICAL - " } else { "OK - " };
        assert!(critical.out.starts_with(start), "{condition}: {}", critical.out);
        assert_eq!(critical.out.lines().count(), 1, "{}", critical.out);
        let warning = code(dir.path(), &[delay, &pid, "--warn", condition]);
        assert_eq!(warning, Some(i32::from(holds)), "{condition}");
        let critical = code(dir.path(), &[delay, &pid, "--crit", condition]);
        assert_eq!(critical, Some(if holds { 2 } else { 0 }), "{condition}");
    }
    // The worst one counts.
    let both = ["--warn", "queue > 50", "--crit", "queue > 99", &pid];
    assert_eq!(code(dir.path(), &both), Some(2));
    let both = ["--warn", "queue > 50", "--crit", "queue > 100", &pid];
    let printed = alert(dir.path(), &both);
    assert_eq!(printed.code, Some(1));
    let (text, data) = printed.out.trim_end().split_once(" | ").unwrap();
    assert!(text.starts_with("WARNING - ") && text.ends_with(": queue is 100 B, > 50"), "{text}");
    assert_eq!(data, "'queue'=100B;~:50;~:100");
}

#[test]
fn age_of_events_is_that_of_the_selected_ones() {
    #[derive(Stats)]
    struct Logs {
        #[stats(label = "log", attributes(kind = "error"))]
        errors: Events,
        #[stats(label = "log", attributes(kind = "quiet"))]
        #[allow(dead_code)] // it has no line
        quiet: Events,
    }
    let dir = tempfile::tempdir().unwrap();
    let logs = Options::new().directory(dir.path()).start::<Logs>().unwrap();
    logs.with(|logs| logs.errors.record("failed"));
    let at = place(&dir);
    for (condition, wanted) in [
        ("age(log{kind=\"error\"}) < 1h", 2),
        ("age(log) < 1h", 2),
        // It has no line.
        ("age(log{kind=\"quiet\"}) < 1h", 3),
    ] {
        let printed = alert(dir.path(), &[&at, condition]);
        assert_eq!(printed.code, Some(wanted), "{condition}: {}", printed.out);
    }
}

#[test]
fn rate_is_that_of_the_interval_and_of_families_the_sum() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = web(dir.path());
    let stop = Arc::new(AtomicBool::new(false));
    let worker = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let lane = publisher.lane().unwrap();
            while !stop.load(Ordering::Relaxed) {
                for status in ["500", "503", "200"] {
                    lane.errors.get(&[status]).add(10);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    };
    let pid = place(&dir);
    wait_for(|| (code(dir.path(), &[&pid, "errors > 0"]) == Some(2)).then_some(()));
    let codes: Vec<_> = [
        "rate(errors{status=\"5*\"}) > 100",
        "rate(errors{status=\"5*\"}) > 1e6",
        // A member that never counted.
        "rate(errors{status=\"404\"}) > 0",
        "errors{status=\"404\"} > 0",
        "rate(errors{colour=\"404\"}) > 0",
    ]
    .iter()
    .map(|condition| code(dir.path(), &["--delay=0.3", &pid, condition]))
    .collect();
    stop.store(true, Ordering::Relaxed);
    worker.join().unwrap();
    assert_eq!(codes, [Some(2), Some(0), Some(0), Some(0), Some(3)]);
}

#[test]
fn wrong_command_line_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let _web = web(dir.path());
    let pid = place(&dir);
    for arguments in [
        &[][..],
        &[&*pid],
        &["--nonsense", &pid, "queue > 1"],
        &[&pid, "queue"],
        &[&pid, "queue >"],
        &[&pid, "queue > much"],
        &[&pid, "queue > 5parsecs"],
        &[&pid, "mean(queue) > 5"],
        &[&pid, "queue[ > 5"],
        &["", "queue > 1"],
        &["--for", "soon", &pid, "queue > 1"],
        &["--timeout", "5s", &pid, "queue > 1"],
        &["--delay", "0", &pid, "queue > 1"],
        &["--warn", &pid],
    ] {
        let printed = alert(dir.path(), arguments);
        assert_eq!(printed.code, Some(3), "{arguments:?}: {}", printed.out);
        let first = "UNKNOWN - the command line is wrong: ";
        assert!(printed.out.starts_with(first), "{arguments:?}: {}", printed.out);
        assert!(!printed.err.is_empty());
    }
    // One line says all of it.
    for (arguments, words) in [
        (&[][..], "required arguments were not provided: <PID/NAME/PATH>"),
        (&["--for"], "a value is required for '--for <DURATION>'"),
        (&[&*pid], "no condition is given"),
        (&[&*pid, "queue => 1"], "=> is no operator: there are >= <= == != > <"),
        (&["--for", "x\n\ny|z", &pid, "queue > 1"], "invalid value 'x"),
    ] {
        let printed = alert(dir.path(), arguments);
        assert!(printed.out.contains(words), "{arguments:?}: {}", printed.out);
        assert_eq!((printed.out.lines().count(), printed.out.contains('|')), (1, false));
    }
    let with_color = run(dir.path(), &["--color", "never", "alert", "--nonsense"]);
    assert_eq!(with_color.code, Some(3));
    assert_eq!(code(dir.path(), &["--help"]), Some(0));
}

#[test]
fn what_is_not_known_is_unknown_unless_it_cannot_change_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = web(dir.path());
    let pid = place(&dir);
    for (arguments, reason) in [
        (&["4000000000", "queue > 1"][..], "no-such-pid"),
        (&["no-such-program", "queue > 1"], "no-such-program"),
        (&["no-such-program", "dead"], "no-such-program"),
        (&["./no-such-file.mmst", "queue > 1"], "not-found"),
        (&[&pid, "queu > 1"], "near it are 'queue'"),
        (&[&pid, "never > 1"], "it has no value yet"),
        (&[&pid, "latency > 1"], "a histogram is no number"),
        (&[&pid, "rate(queue) > 1"], "a field of kind gauge has no rate"),
        (&[&pid, "p99(queue) > 1"], "a field of kind gauge has no quantiles"),
        (&[&pid, "age(queue) > 1"], "has no age"),
        (&[&pid, "queue > 5s"], "not that of the condition"),
        (&[&pid, "deadlock"], "does not publish its locks"),
        (&["--recent", "-d0.05", &pid, "p99(latency) > 1"], "nothing was recorded"),
        (&[&pid, "--crit", "never > 1", "--warn", "queue > 1"], "it has no value yet"),
    ] {
        let printed = alert(dir.path(), arguments);
        assert_eq!(printed.code, Some(3), "{arguments:?}: {}", printed.out);
        assert!(printed.out.starts_with("UNKNOWN - "), "{}", printed.out);
        assert!(printed.out.contains(reason), "{arguments:?}: {}", printed.out);
    }
    // A worse one cannot be hidden by one that is not known.
    assert_eq!(code(dir.path(), &[&pid, "queue > 1", "--warn", "never > 1"]), Some(2));
    drop(publisher);

    let path = dir.path().join("part.mmst");
    all_kinds(&path);
    let whole = std::fs::read(&path).unwrap();
    let file = path.to_str().unwrap();
    assert_eq!(code(dir.path(), &[file, "requests > 7"]), Some(0));
    let mut bytes = whole.clone();
    bytes[h::PARTS as usize..][..4].copy_from_slice(&3_u32.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    for (condition, want) in [
        ("requests > 6", 2),
        ("requests > 7", 3),
        ("requests < 7", 0),
        ("requests < 8", 3),
        ("p99(sizes) > 1", 3),
    ] {
        let printed = alert(dir.path(), &[file, condition]);
        assert_eq!(printed.code, Some(want), "{condition}: {}", printed.out);
    }
    // An unreadable file.
    bytes[0] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(code(dir.path(), &[file, "requests > 6"]), Some(3));
}

/// A process with a fault: this binary with `ALERT_CHILD` in its environment.
struct Program(Child);

impl Program {
    fn start(directory: &Path, what: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child_program", "--exact", "--nocapture", "--test-threads", "1"]);
        command.env("ALERT_CHILD", what).env("MMSTATS_PATH", directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two threads and two locks: both end their work, or wait for each other.
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats::sync`.
fn lock_two(stuck: bool) {
    use std::sync::Barrier;
    let accounts = Arc::new(mmstats::sync::Mutex::new("accounts", 0));
    let log = Arc::new(mmstats::sync::Mutex::new("log", 0));
    let both = Arc::new(Barrier::new(2));
    for number in 0..2 {
        let (accounts, log, both) = (accounts.clone(), log.clone(), both.clone());
        std::thread::spawn(move || {
            let (first, second) = if number == 0 { (&accounts, &log) } else { (&log, &accounts) };
            let held = first.lock().unwrap();
            both.wait();
            if !stuck {
                drop(held);
            }
            let _second = second.lock().unwrap();
            std::thread::sleep(Duration::from_secs(3_600));
        });
    }
}

#[test]
fn child_program() {
    let Ok(what) = std::env::var("ALERT_CHILD") else { return };
    let directory = std::env::var_os("MMSTATS_PATH").unwrap();
    let _global = mmstats::init();
    let _web = web(Path::new(&directory));
    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats::sync`.
    if what == "locks" || what == "deadlock" {
        lock_two(what == "deadlock");
    }
    loop {
        std::thread::sleep(Duration::from_secs(3_600));
    }
}

/// Waits until a program publishes the fields of these tests.
fn wait_until_ready(directory: &Path, pid: &str) {
    wait_for(|| (code(directory, &[pid, "queue == 100"]) == Some(2)).then_some(()));
}

#[test]
fn program_that_died_is_never_ok() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start(dir.path(), "plain");
    let pid = program.pid();
    wait_until_ready(dir.path(), &pid);
    assert_eq!(code(dir.path(), &[&pid, "dead"]), Some(0));
    program.kill();
    for (arguments, want) in [
        (&[&*pid, "dead"][..], 2),
        (&[&pid, "--warn", "dead"], 1),
        (&[&pid, "queue > 100"], 3),
        (&[&pid, "queue == 100"], 2),
        (&[&pid, "-d0.05", "rate(requests) > 10"], 3),
        (&[&pid, "age(beat) > 5s"], 2),
    ] {
        let printed = alert(dir.path(), arguments);
        assert_eq!(printed.code, Some(want), "{arguments:?}: {}", printed.out);
        // What became of it is said once.
        assert!(printed.out.matches(" died about ").count() <= 1, "{arguments:?}: {}", printed.out);
    }
    let printed = alert(dir.path(), &[&pid, "queue > 100"]);
    assert!(printed.out.contains(" died about "), "{}", printed.out);
    // A file that is named is judged by its last values.
    for file in common::files(dir.path()) {
        let file = file.to_str().unwrap();
        let want = code(dir.path(), &[file, "queue > 100"]);
        assert!(matches!(want, Some(0 | 3)), "{want:?}: no such field in the other one");
    }
}

/// What died in a directory counts for `dead` alone: others may have taken its place.
#[test]
fn directory_with_files_of_a_dead_program_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let living = Program::start(dir.path(), "plain");
    let mut other = Program::start(dir.path(), "plain");
    wait_until_ready(dir.path(), &living.pid());
    wait_until_ready(dir.path(), &other.pid());
    assert_eq!(code(dir.path(), &[&place, "dead"]), Some(0));
    let pid = other.pid();
    other.kill();
    let printed = alert(dir.path(), &[&place, "dead"]);
    assert_eq!(printed.code, Some(2), "{}", printed.out);
    assert!(printed.out.contains(&format!("[{pid}] died about ")), "{}", printed.out);
    assert!(!printed.out.contains(&format!("[{}]", living.pid())), "{}", printed.out);
    assert_eq!(code(dir.path(), &[&place, "--warn", "dead", "queue > 100"]), Some(1));
    // A path of it from another place, and one that ends with a separator.
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    for path in [format!("./{name}/"), format!("../{name}")] {
        let mut command = common::mmstats(dir.path());
        let in_it = if path.starts_with("..") { dir.path() } else { dir.path().parent().unwrap() };
        command.current_dir(in_it).args(["alert", &path, "dead"]);
        assert_eq!(common::printed(command.output().unwrap()).code, Some(2), "{path}");
    }
    drop(living);
    assert_eq!(code(dir.path(), &[&place, "dead"]), Some(2));
    assert_eq!(code(dir.path(), &[&place, "queue > 100"]), Some(3));
    assert_eq!(run(dir.path(), &["clean"]).code, Some(0));
    assert_eq!(code(dir.path(), &[&place, "dead"]), Some(3));
}

/// Values do not tell that a program does nothing any more.
#[cfg(target_os = "linux")] // elsewhere the system does not tell the state of a process
#[test]
fn program_that_is_stopped_is_called_so() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path(), "plain");
    let pid = program.pid();
    wait_until_ready(dir.path(), &pid);
    let printed = alert(dir.path(), &[&pid, "stopped"]);
    assert_eq!(printed.code, Some(0), "{}", printed.out);
    assert!(printed.out.contains("]: not stopped"), "{}", printed.out);
    common::signal(program.0.id(), "STOP");
    wait_for(|| (code(dir.path(), &[&pid, "stopped"]) == Some(2)).then_some(()));
    let printed = alert(dir.path(), &[&pid, "queue > 100"]);
    assert_eq!(printed.code, Some(0));
    assert!(printed.out.contains(&format!("[{pid}], stopped: queue is 100")), "{}", printed.out);
    assert!(printed.out.contains("| 'queue'=100B"), "{}", printed.out);
    let document = alert(dir.path(), &["--json", &pid, "queue > 100"]).out;
    assert!(document.contains("\"process\":\"stopped\""), "{document}");
    common::signal(program.0.id(), "CONT");
    wait_for(|| (code(dir.path(), &[&pid, "stopped"]) == Some(0)).then_some(()));
    assert!(!alert(dir.path(), &[&pid, "queue > 100"]).out.contains("stopped"));
}

#[test]
fn program_that_dies_meanwhile_ends_the_wait_for_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start(dir.path(), "plain");
    let pid = program.pid();
    wait_until_ready(dir.path(), &pid);
    let mut command = common::mmstats(dir.path());
    command.args(["alert", "--wait", "-d0.05", &pid, "queue > 100"]);
    let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    program.kill();
    let printed = common::printed(waiting.wait_with_output().unwrap());
    assert_eq!(printed.code, Some(3), "{}", printed.out);
    assert!(printed.out.contains(" died about "), "{}", printed.out);
}

#[test]
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats::sync`.
fn deadlock_is_critical_and_locks_without_one_are_ok() {
    let dir = tempfile::tempdir().unwrap();
    for (what, want) in [("deadlock", 2), ("locks", 0)] {
        let program = Program::start(dir.path(), what);
        let pid = program.pid();
        wait_until_ready(dir.path(), &pid);
        let printed = wait_for(|| {
            let printed = alert(dir.path(), &[&pid, "deadlock"]);
            (printed.code == Some(want)).then_some(printed)
        });
        if want == 2 {
            assert!(printed.out.contains("waits for \"accounts\" held by"), "{}", printed.out);
        }
    }
}

#[test]
fn condition_has_to_hold_without_interruption() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = web(dir.path());
    let pid = place(&dir);
    let start = std::time::Instant::now();
    let held = ["--for", "300ms", "-d0.05", &pid, "queue == 100"];
    let printed = alert(dir.path(), &held);
    assert_eq!(printed.code, Some(2), "{}", printed.out);
    assert!(start.elapsed() >= Duration::from_millis(300));
    // It does not hold any more after a while.
    let mut command = common::mmstats(dir.path());
    command.args(["alert", "--for", "1h", "-d0.05", &pid, "queue == 100"]);
    let waiting = command.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let lane = publisher.lane().unwrap();
    lane.queue.add(1);
    let printed = common::printed(waiting.wait_with_output().unwrap());
    assert_eq!(printed.code, Some(0), "{}", printed.out);
}

#[test]
fn wait_ends_when_the_condition_holds_or_time_is_out() {
    let dir = tempfile::tempdir().unwrap();
    let _web = web(dir.path());
    let pid = place(&dir);
    let late = ["--wait", "--timeout", "200ms", "-d0.05", &pid, "queue > 100"];
    assert_eq!(code(dir.path(), &late), Some(0));
    let late = ["--wait", "--timeout", "200ms", "-d0.05", "no-such-program", "queue > 100"];
    assert_eq!(code(dir.path(), &late), Some(3));
    assert_eq!(code(dir.path(), &["--wait", "4000000000", "queue > 100"]), Some(3));
    // A program that is not there yet.
    let mut command = common::mmstats(dir.path());
    let other = dir.path().join("later.mmst");
    let name = "web";
    command.args(["alert", "--wait", "--timeout", "20s", "-d0.05", name, "dead"]);
    let waiting = command.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    all_kinds(&other);
    let printed = common::printed(waiting.wait_with_output().unwrap());
    assert_eq!(printed.code, Some(2), "{}", printed.out);
}

/// What is named may come later, whatever was there before.
#[test]
fn wait_is_for_what_is_not_there_and_for_the_next_of_a_name() {
    let dir = tempfile::tempdir().unwrap();
    all_kinds(&dir.path().join("old.mmst"));
    let late = |name: &str, condition: &str| {
        alert(dir.path(), &["--wait", "--timeout", "300ms", "-d0.05", name, condition])
    };
    let begin = std::time::Instant::now();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (name, condition) in [
        ("./no-such-path", "dead"),
        ("x.mmst", "dead"),
        (missing, "dead"),
        ("web", "dead"),
        ("web", "ui >= 0"),
    ] {
        let before = begin.elapsed();
        let printed = late(name, condition);
        assert_eq!(printed.code, Some(3), "{name}: {}", printed.out);
        assert!(begin.elapsed() - before >= Duration::from_millis(300), "{name}");
        assert!(printed.err.contains("mmstats: waiting: "), "{name}: {}", printed.err);
    }
    // They come.
    let path = dir.path().join("later.mmst");
    let mut command = common::mmstats(dir.path());
    command.args(["alert", "--wait", "--timeout", "20s", "-d0.05", path.to_str().unwrap(), "dead"]);
    let waiting = command.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    all_kinds(&path);
    let printed = common::printed(waiting.wait_with_output().unwrap());
    assert_eq!(printed.code, Some(2), "{}", printed.out);
}

/// A field of another kind never has what the condition is about.
#[test]
fn wait_for_condition_that_can_never_hold_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let _web = web(dir.path());
    let pid = place(&dir);
    for condition in ["p99(requests) > 1", "p99(queue) > 1", "age(queue) > 1s", "queue > 5s"] {
        let begin = std::time::Instant::now();
        let printed = alert(dir.path(), &["--wait", "--timeout", "1m", "-d0.05", &pid, condition]);
        assert!(begin.elapsed() < Duration::from_secs(30), "{condition}");
        assert_eq!(printed.code, Some(3), "{condition}: {}", printed.out);
    }
    // A gauge of seconds may be a moment later.
    let arguments = ["--wait", "--timeout", "300ms", "-d0.05", &pid, "age(started) > 1s"];
    let printed = alert(dir.path(), &arguments);
    assert!(printed.err.contains("waiting: "), "{}", printed.err);
    // A field may come; what is wrong with its name is said at once.
    for condition in ["queu > 1", "queu > 1MiB"] {
        let arguments = ["--wait", "--timeout", "300ms", "-d0.05", &pid, condition];
        let printed = alert(dir.path(), &arguments);
        assert!(printed.err.contains("waiting: "), "{condition}: {}", printed.err);
        assert!(printed.err.contains("near it are 'queue'"), "{condition}: {}", printed.err);
    }
}

#[test]
fn json_fits_the_schema() {
    let dir = tempfile::tempdir().unwrap();
    let _web = web(dir.path());
    let pid = place(&dir);
    let schema = common::schema::Schema::load();
    let conditions =
        ["--json", "--warn", "queue > 50", &pid, "never > 1", "dead", "age(beat) < 5s"];
    let printed = alert(dir.path(), &conditions);
    let document: Value = serde_json::from_str(&printed.out).unwrap();
    schema.validate("alert", &document).unwrap_or_else(|why| panic!("{why}: {document}"));
    assert_eq!((printed.code, &document["status"]), (Some(3), &"unknown".into()));
    assert_eq!(document["exit_code"], 3);
    let result = &document["conditions"][3]["results"][0];
    assert_eq!(document["conditions"][3]["severity"], "warning");
    assert_eq!((&result["value"], &result["holds"]), (&100.into(), &true.into()));
    assert_eq!(document["conditions"][0]["results"][0]["holds"], Value::Null);
    for arguments in [&["--json", "4000000000", "dead"][..], &["--json", &pid, "queue > 100"]] {
        let document: Value = serde_json::from_str(&alert(dir.path(), arguments).out).unwrap();
        schema.validate("alert", &document).unwrap_or_else(|why| panic!("{why}: {document}"));
    }
}
