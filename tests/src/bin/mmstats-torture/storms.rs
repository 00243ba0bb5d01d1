//! Storms of forks and threads, process ids that are used again, one name for several programs.

use std::time::Duration;

use mmstats_observe::FileState;
use mmstats_tests::actor::{Actor, path_of, random};
use mmstats_tests::look::{look, states, unsigned};

use crate::plan::Plan;
use crate::table::{Row, Table};
use crate::tools::{PATIENCE, empty, names, place};

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    table.row("fork storm among threads", |row| fork_storm(plan, row));
    table.row("thread storm", |row| thread_storm(plan, row));
    table.row("a process id comes again", |row| {
        for _ in 0..plan.pick(3, 50) {
            row.case(process_id_again);
        }
    });
    table.row("process 1 after process 1", |row| {
        for _ in 0..plan.pick(3, 50) {
            row.case(first_after_first);
        }
    });
    table.row("one name, four programs", |row| one_name(plan, row));
}

/// Children forked at any moment from a program with threads: each updates, none is published, and
/// the parent's sums are exact.
fn fork_storm(plan: &Plan, row: &mut Row) {
    let directory = place();
    let children = plan.pick("100", "2000");
    let mut actor = Actor::start("forks", directory.path(), &[children]);
    let Some(line) = actor.try_for(Duration::from_secs(600)) else {
        return row.lose("it does not end");
    };
    let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().expect("a number")).collect();
    let [forked, failed, sum] = numbers[..] else { panic!("{line}") };
    row.add_tried(forked - failed);
    (0..failed).for_each(|_| row.lose("a child fails or hangs"));
    row.case(|| {
        let observer = look(directory.path());
        let live = observer.files().iter().all(|file| file.state() == FileState::Live);
        let programs = observer.programs().len();
        let seen = unsigned(&observer, "added");
        if live && programs == 1 && seen == u128::from(sum) {
            return Ok(());
        }
        Err(format!("{programs} programs, {seen} of {sum}: {:?}", states(&observer)))
    });
    actor.succeeds();
    row.case(|| match names(directory.path()) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("there are still {left:?}")),
    });
}

/// Short threads by `Publisher::with` and `Publisher::lane`: the sum never drops, and is exact at
/// the end.
fn thread_storm(plan: &Plan, row: &mut Row) {
    let directory = place();
    let threads = plan.pick(2_000_u64, 10_000);
    let mut actor = Actor::start("threads", directory.path(), &[&threads.to_string()]);
    actor.line();
    actor.tell("go");
    let (mut last, mut looks) = (0, 0_u64);
    let line = loop {
        if let Some(line) = actor.try_line() {
            break line;
        }
        row.case(|| {
            let observer = look(directory.path());
            let now = unsigned(&observer, "added");
            let right = now >= last;
            let told = format!("{last} became {now}");
            last = now;
            if right { Ok(()) } else { Err(told) }
        });
        looks += 1;
    };
    let told: u128 = line.parse().expect("a number");
    row.remark = format!("{threads} threads, {looks} looks");
    row.add_tried(threads);
    row.case(|| {
        let observer = look(directory.path());
        let seen = unsigned(&observer, "added");
        let owned: u32 = observer.files().iter().map(|file| file.lanes().owned).sum();
        // The main thread has one.
        if seen == told && told > 0 && owned == 1 {
            Ok(())
        } else {
            Err(format!("{seen} of {told}, {owned} lanes"))
        }
    });
    actor.succeeds();
}

/// A process with the id of a dead one does not keep the dead one's file alive.
fn process_id_again() -> Result<(), String> {
    let directory = place();
    let mut actor =
        Actor::start_as_first("recycle", directory.path(), &[]).ok_or("no pid namespaces here")?;
    match actor.line() {
        line if line == "passed" => Ok(()),
        line => Err(line),
    }
}

/// The same between containers.
fn first_after_first() -> Result<(), String> {
    let directory = place();
    let start = || Actor::start_as_first("idle", directory.path(), &["name=web"]);
    let mut a = start().ok_or("no pid namespaces here")?;
    let of_a = path_of(&a.line());
    a.ask("update 10");
    a.kill();
    // Kills `unshare` around it.
    crate::tools::until("it ends", || look(&of_a).files()[0].state() == FileState::Dead)?;
    let mut b = start().ok_or("no pid namespaces here")?;
    let of_b = path_of(&b.line());
    b.ask("update 20");
    let observer = look(directory.path());
    for (path, state, pid) in [(&of_a, FileState::Dead, 1), (&of_b, FileState::Live, 1)] {
        let file = mmstats_tests::look::file(&observer, path);
        if (file.state(), file.identity().pid) != (state, Some(pid)) {
            return Err(format!("{:?}", states(&observer)));
        }
    }
    if unsigned(&observer, "counter") != 30 { Err("a value is lost".to_owned()) } else { Ok(()) }
}

/// Four programs want one name at once: one gets it, three get an error. The same after the name is
/// free, and after its program was killed.
fn one_name(plan: &Plan, row: &mut Row) {
    let directory = place();
    let path = directory.path().join("fixed.mmst");
    for round in 0..plan.pick(10, 200) {
        row.case(|| {
            let words = ["files=fixed.mmst"];
            let mut actors: Vec<_> =
                (0..4).map(|_| Actor::start("idle", directory.path(), &words)).collect();
            let lines: Vec<_> = actors.iter_mut().map(|actor| actor.try_for(PATIENCE)).collect();
            let winners: Vec<_> = lines.iter().flatten().collect();
            if winners.len() != 1 {
                return Err(format!("{} programs got the name in round {round}", winners.len()));
            }
            for (actor, line) in actors.iter_mut().zip(&lines) {
                if line.is_some() {
                    actor.ask("update 3");
                    continue;
                }
                let failed = !actor.wait().success();
                let errors = actor.errors();
                if !failed || !errors.contains("already taken") {
                    return Err(format!("a loser says {errors}"));
                }
            }
            let observer = look(directory.path());
            if states(&observer) != [(path.clone(), FileState::Live)]
                || unsigned(&observer, "counter") != 3
            {
                return Err(format!("{:?}", states(&observer)));
            }
            let winner = lines.iter().position(Option::is_some).expect("one");
            if random().is_multiple_of(2) {
                actors[winner].kill();
            } else {
                actors[winner].ask("drop");
            }
            Ok(())
        });
        // Losers leave nothing behind.
        let left = names(directory.path());
        if left.iter().any(|left| *left != path) {
            row.lose(format!("left behind: {left:?}"));
            empty(directory.path());
        }
    }
}
