//! SIGKILL at random instants.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mmstats_observe::{FileState, Scratch};
use mmstats_tests::actor::Actor;
use mmstats_tests::look::{look, states, unsigned};
use mmstats_tests::storage::{Class, Seen, read};
use mmstats_tests::word::SharedWord;

use crate::plan::Plan;
use crate::table::Table;
use crate::tools::{empty, names, pause, place};

/// Long enough for millions of publishes.
const MOST: Duration = Duration::from_millis(3);

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    for class in Class::ALL {
        table.row(format!("SIGKILL, {}", class.name()), |row| {
            let (directory, beside) = (place(), place());
            let path = beside.path().join("word");
            let word = SharedWord::open(&path).expect("a word");
            for _ in 0..plan.pick(25, 1000) {
                word.get().store(0, Ordering::Relaxed);
                let mut took = Duration::ZERO;
                row.case(|| {
                    killed(directory.path(), class, &path);
                    let start = Instant::now();
                    let right = dead(directory.path(), class, word.get().load(Ordering::Acquire));
                    took = start.elapsed();
                    right
                });
                row.time(took);
                empty(directory.path());
            }
        });
    }
    table.row("SIGKILL while it starts", |row| {
        let directory = place();
        for _ in 0..plan.pick(50, 1000) {
            row.case(|| while_it_starts(directory.path()));
        }
        row.case(|| nothing_stays(directory.path()));
    });
    table.row("SIGKILL while fields are added", |row| {
        let (directory, beside) = (place(), place());
        let path = beside.path().join("word");
        let word = SharedWord::open(&path).expect("a word");
        for _ in 0..plan.pick(25, 1000) {
            word.get().store(0, Ordering::Relaxed);
            row.case(|| {
                let words = [path.to_str().expect("UTF-8")];
                let (mut actor, _out) = Actor::start_raw("adding", directory.path(), &words);
                pause(MOST);
                actor.kill();
                added(directory.path(), word.get().load(Ordering::Acquire))
            });
            empty(directory.path());
        }
    });
}

fn killed(directory: &Path, class: Class, word: &Path) {
    let words = [class.name(), word.to_str().expect("UTF-8")];
    let (mut actor, _out) = Actor::start_raw("storage", directory, &words);
    pause(MOST);
    actor.kill();
}

/// The last reported value is there, or the next one; whole.
fn dead(directory: &Path, class: Class, told: u64) -> Result<(), String> {
    let observer = look(directory);
    let [file] = observer.files() else { return Err(format!("{:?}", states(&observer))) };
    if file.state() != FileState::Dead {
        return Err(format!("it is {}", file.state()));
    }
    match read(file, 0, class, &mut Scratch::new())? {
        Seen::Value(_) if class == Class::Constant => Ok(()),
        Seen::Value(n) if n == told || n == told + 1 => Ok(()),
        Seen::Nothing if told == 0 => Ok(()),
        other => Err(format!("{}: told of {told}, there is {other:?}", class.name())),
    }
}

/// There is no file or a complete one.
fn while_it_starts(directory: &Path) -> Result<(), String> {
    let mut actor = Actor::start("idle", directory, &["name=starts"]);
    pause(Duration::from_millis(5));
    actor.kill();
    let observer = look(directory);
    let states = states(&observer);
    let problems: Vec<_> = observer.problems().collect();
    if states.iter().any(|(_, state)| *state != FileState::Dead) || !problems.is_empty() {
        return Err(format!("{states:?} {problems:?}"));
    }
    states.iter().try_for_each(|(path, _)| std::fs::remove_file(path)).map_err(|e| e.to_string())
}

/// Old unfinished files are removed by the next start.
fn nothing_stays(directory: &Path) -> Result<(), String> {
    let old = std::time::SystemTime::now() - Duration::from_secs(3600);
    let left = names(directory);
    for path in &left {
        let file = std::fs::File::options().write(true).open(path).map_err(|e| e.to_string())?;
        file.set_modified(old).map_err(|e| e.to_string())?;
    }
    let mut actor = Actor::start("idle", directory, &["post=0"]);
    actor.line();
    actor.ask("drop");
    actor.succeeds();
    match names(directory) {
        now if now.is_empty() => Ok(()),
        now => Err(format!("of {} there are still {now:?}", left.len())),
    }
}

/// All reported fields are there with their values, every third one retired.
fn added(directory: &Path, told: u64) -> Result<(), String> {
    let observer = look(directory);
    let states = states(&observer);
    if states.is_empty() || states.iter().any(|(_, state)| *state != FileState::Dead) {
        return Err(format!("{states:?}"));
    }
    // The last fields, and some of the others.
    let last = told.saturating_sub(20)..=told;
    for n in (1..told).step_by(37).chain(last).filter(|n| *n > 0 && n % 3 != 0) {
        let found = unsigned(&observer, &format!("field.{n}"));
        if found != u128::from(n) {
            return Err(format!("field.{n} of {told} is {found}"));
        }
    }
    Ok(())
}
