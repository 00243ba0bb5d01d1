//! Programs that are stopped: all of them, or one thread.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mmstats_observe::{FileState, Observer, Scratch};
use mmstats_tests::actor::Actor;
use mmstats_tests::control::Frozen;
use mmstats_tests::look::{look, states};
use mmstats_tests::storage::{Class, Seen, read};
use mmstats_tests::system::{Signal, signal};
use mmstats_tests::word::SharedWord;

use crate::plan::Plan;
use crate::table::Table;
use crate::tools::{pause, place, until};

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    table.row("SIGSTOP in mid-publish", |row| {
        for class in Class::ALL.into_iter().filter(|class| *class != Class::Constant) {
            let (directory, beside) = (place(), place());
            let path = beside.path().join("word");
            let word = SharedWord::open(&path).expect("a word");
            let words = [class.name(), path.to_str().expect("UTF-8")];
            let (actor, _out) = Actor::start_raw("storage", directory.path(), &words);
            for _ in 0..plan.pick(10, 100) {
                pause(Duration::from_millis(2));
                row.case(|| stopped(&actor, directory.path(), class, word.get()));
            }
        }
    });
    table.row("one thread under a debugger", |row| {
        let (directory, beside) = (place(), place());
        let paths = [beside.path().join("a"), beside.path().join("b")];
        let words = paths.each_ref().map(|path| SharedWord::open(path).expect("a word"));
        let arguments = paths.each_ref().map(|path| path.to_str().expect("UTF-8"));
        let mut actor = Actor::start("pair", directory.path(), &arguments);
        let tids = actor.line();
        let tids: Vec<u32> = tids.split(' ').map(|tid| tid.parse().expect("a number")).collect();
        for round in 0..plan.pick(20, 500) {
            let victim = round % 2;
            pause(Duration::from_millis(1));
            row.case(|| frozen(tids[victim], directory.path(), victim, &words));
        }
    });
}

/// The published value is the reported one or the next one; whole.
fn steady(observer: &Observer, lane: u32, class: Class, told: u64) -> Result<(), String> {
    let [file] = observer.files() else { return Err(format!("{:?}", states(observer))) };
    if file.state() != FileState::Live {
        return Err(format!("it is {}", file.state()));
    }
    let mut scratch = Scratch::new();
    let seen = read(file, lane, class, &mut scratch)?;
    let right = match seen {
        Seen::Value(n) => n == told || n == told + 1,
        Seen::Nothing => told == 0,
        Seen::Contended => false,
    };
    if !right {
        return Err(format!("{}: told of {told}, there is {seen:?}", class.name()));
    }
    match read(file, lane, class, &mut scratch)? {
        again if again == seen => Ok(()),
        again => Err(format!("{}: {seen:?}, then {again:?}, though it stands", class.name())),
    }
}

fn stopped(actor: &Actor, directory: &Path, class: Class, word: &AtomicU64) -> Result<(), String> {
    signal(actor.pid(), Signal::Stop).map_err(|error| error.to_string())?;
    let stat = format!("/proc/{}/stat", actor.pid());
    let is_stopped = || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    };
    let result = until("stopped", is_stopped)
        .and_then(|_| steady(&look(directory), 0, class, word.load(Ordering::Acquire)));
    let told = word.load(Ordering::Acquire);
    signal(actor.pid(), Signal::Continue).map_err(|error| error.to_string())?;
    result?;
    until("the thread continues", || word.load(Ordering::Acquire) > told).map(drop)
}

/// The lane of the frozen thread is constant, that of the other one changes.
fn frozen(
    tid: u32,
    directory: &Path,
    victim: usize,
    words: &[SharedWord; 2],
) -> Result<(), String> {
    let frozen = Frozen::thread(tid).map_err(|error| format!("ptrace: {error}"))?;
    let lane = u32::try_from(victim).expect("0 or 1");
    let observer = look(directory);
    let load = |index: usize| words[index].get().load(Ordering::Acquire);
    steady(&observer, lane, Class::Latched4096, load(victim))?;
    let other = load(1 - victim);
    until("the other thread continues", || load(1 - victim) > other)?;
    steady(&observer, lane, Class::Latched4096, load(victim))?;
    let (told, file) = (load(victim), &observer.files()[0]);
    match read(file, 1 - lane, Class::Latched4096, &mut Scratch::new())? {
        Seen::Value(n) if n < other => return Err(format!("{n} after {other}")),
        _ => {}
    }
    drop(frozen);
    until("the thread continues", || load(victim) > told).map(drop)
}
