//! Runs the tests: once to see which mutants each reaches, then for each mutant those.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};

use crate::build::Program;

/// A test of one program.
#[derive(Debug)]
pub struct Test {
    program: usize,
    name: String,
    time: Duration,
    reaches: BTreeSet<u32>,
}

/// How a run of some tests ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All passed.
    Passed,
    /// One failed, or the program died.
    Failed,
    /// It had to be ended.
    Late,
}

/// Longer ones run alone, after all the others.
const SHORT: Duration = Duration::from_millis(60);
/// What a mutant may take of memory: no more than this, lest it takes all.
const MEMORY: u64 = 6 << 30;

/// Runs some tests of a program, alone in its process group.
fn run(
    program: &Program,
    tests: &[&str],
    mutant: &str,
    seen: Option<&Path>,
    scratch: &Path,
    limit: Duration,
) -> End {
    fs::create_dir_all(scratch).expect("a folder");
    let mut command = Command::new(&program.path);
    command
        .args(["-Zunstable-options", "--fail-fast", "-q", "--exact"])
        .args(tests)
        .current_dir(&program.folder)
        .env("MUTANT", mutant)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .env("RUST_BACKTRACE", "0")
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    if let Some(seen) = seen {
        command.env("MUTANTS_SEEN", seen);
    }
    let memory = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    let limited = move || Ok(setrlimit(Resource::As, memory)?);
    // SAFETY: between fork and exec there is one system call, and no allocation.
    unsafe { command.pre_exec(limited) };
    let mut child = command.spawn().expect("a test program");
    let group = Pid::from_child(&child);
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    let end = loop {
        match child.try_wait().expect("our child") {
            Some(status) if status.success() => break End::Passed,
            Some(_) => break End::Failed,
            None if begin.elapsed() > limit => break End::Late,
            None => std::thread::sleep(pause),
        }
        pause = (pause * 5 / 4).min(Duration::from_millis(20));
    };
    // What it has started: it is the first of its group.
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
    let _ = fs::remove_dir_all(scratch);
    end
}

/// The tests of a program that run without being asked for.
fn list(program: &Program) -> Vec<String> {
    let names = |more: &[&str]| {
        let output = Command::new(&program.path)
            .args(["--list", "--format", "terse"])
            .args(more)
            .current_dir(&program.folder)
            .output()
            .expect("a test program");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    names(&[]).difference(&names(&["--ignored"])).cloned().collect()
}

/// Each test alone: what it reaches, and how long it takes.
pub fn record(programs: &[Program], work: &Path) -> Vec<Test> {
    let names: Vec<(usize, String)> = (0..programs.len())
        .flat_map(|program| list(&programs[program]).into_iter().map(move |name| (program, name)))
        .collect();
    let found = Mutex::new(Vec::new());
    each(names.len(), |index, worker| {
        let (program, name) = &names[index];
        let seen = work.join(format!("seen-{worker}"));
        let scratch = work.join(format!("scratch-{worker}"));
        let _ = fs::remove_file(&seen);
        let begin = Instant::now();
        let limit = Duration::from_secs(300);
        let end = run(&programs[*program], &[name], "record", Some(&seen), &scratch, limit);
        let time = begin.elapsed();
        if end != End::Passed {
            println!("left out: {} {name}: {end:?}", programs[*program].name);
            return;
        }
        let text = fs::read_to_string(&seen).unwrap_or_default();
        let reaches = text.lines().filter_map(|line| line.parse().ok()).collect();
        let test = Test { program: *program, name: name.clone(), time, reaches };
        found.lock().expect("nobody panics").push(test);
    });
    let mut tests = found.into_inner().expect("nobody panics");
    tests.sort_by_key(|test| test.time);
    tests
}

/// Two at a time.
fn each(count: usize, work: impl Fn(usize, usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    work(index, worker);
                }
            });
        }
    });
}

/// The answer about one mutant.
#[derive(Debug, Clone)]
pub enum Answer {
    /// By this program (its last failed).
    Caught(String),
    /// By running out of time.
    Late(String),
    /// All that reach it passed.
    Missed,
    /// No test comes by.
    Unreached,
}

/// Runs what reaches the mutant: short tests of its own crate, long ones, then other crates.
fn judge(programs: &[Program], tests: &[Test], number: u32, own: &str, scratch: &Path) -> Answer {
    let reaching: Vec<&Test> = tests.iter().filter(|test| test.reaches.contains(&number)).collect();
    if reaching.is_empty() {
        return Answer::Unreached;
    }
    for foreign in [false, true] {
        let is_foreign = |test: &Test| programs[test.program].package != own;
        // Of other crates only quick ones.
        let here = reaching
            .iter()
            .filter(|test| is_foreign(test) == foreign && !(foreign && test.time >= SHORT));
        let (short, long): (Vec<&Test>, Vec<&Test>) = here.partition(|test| test.time < SHORT);
        let mut batches: BTreeMap<usize, Vec<&Test>> = BTreeMap::new();
        for test in short {
            batches.entry(test.program).or_default().push(test);
        }
        let mut batches: Vec<Vec<&Test>> = batches.into_values().collect();
        batches.sort_by_key(|batch| {
            let time = batch.iter().map(|test| test.time).sum::<Duration>();
            (programs[batch[0].program].narrow, time)
        });
        batches.extend(long.into_iter().map(|test| vec![test]));
        for batch in batches {
            let program = &programs[batch[0].program];
            let names: Vec<&str> = batch.iter().map(|test| test.name.as_str()).collect();
            let usual: Duration = batch.iter().map(|test| test.time).sum();
            let limit = Duration::from_secs(5) + 10 * usual;
            let run = |mutant: &str| run(program, &names, mutant, None, scratch, limit);
            match run(&number.to_string()) {
                End::Passed => {}
                // Not for what fails by itself now and then.
                End::Failed | End::Late if run("none") != End::Passed => {
                    println!("fails without a mutant: {} {names:?}", program.name);
                }
                End::Failed => return Answer::Caught(program.name.clone()),
                End::Late => return Answer::Late(program.name.clone()),
            }
        }
    }
    Answer::Missed
}

/// All of them.
pub fn judge_all(
    programs: &[Program],
    tests: &[Test],
    mutants: &[(u32, &str)],
    work: &Path,
    done: impl Fn(u32, &Answer) + Sync,
) {
    let count = AtomicUsize::new(0);
    each(mutants.len(), |index, worker| {
        let (number, own) = mutants[index];
        let scratch = work.join(format!("scratch-{worker}"));
        let answer = judge(programs, tests, number, own, &scratch);
        done(number, &answer);
        let count = count.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(100) {
            println!("{count} of {}", mutants.len());
        }
    });
}
