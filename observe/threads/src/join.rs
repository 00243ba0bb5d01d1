//! Joins published data about threads with data of the system.

use std::collections::{BTreeMap, HashMap};

use mmstats_observe::{FileState, ProgramId};

use crate::locks::{Lock, Wait};
use crate::published::{Published, PublishedLock, PublishedThread};
use crate::report::{Publishes, Report, Thread};
use crate::system::{Known, SystemThread};

/// A report without findings.
pub(crate) fn report(
    at: u64,
    published: Option<(Option<ProgramId>, FileState, Published)>,
    system: Option<Known>,
) -> Report {
    let (program, state, published) = match published {
        Some((program, state, published)) => (program, Some(state), published),
        None => (None, None, Published::default()),
    };
    let not_looked_at = system.as_ref().map_or(0, Known::not_looked_at);
    let (process, known) =
        system.map_or((None, Vec::new()), |known| (Some(known.process), known.threads));
    let publishes = Publishes {
        thread_ids: published.has_thread_ids,
        activities: published.has_activities,
        locks: published.has_locks,
    };
    // If only some threads were looked at, a missing one may still live.
    let knows_all = process.is_some() && not_looked_at == 0;
    // The name of the first thread is that of the process.
    let is_first =
        |thread: &&SystemThread| process.as_ref().is_some_and(|p| u64::from(p.id) == thread.id);
    let first = known.iter().find(is_first).map(|thread| thread.own_id);
    let (mut threads, reads) = join(published.threads, (known, knows_all), first, &published.locks);
    let mut locks: Vec<Lock> =
        published.locks.into_iter().map(|(number, lock)| Lock::new(number, lock)).collect();
    connect(&mut threads, reads, &mut locks);
    set_titles(&mut threads);
    Report {
        program,
        state,
        process,
        at,
        threads,
        threads_left_out: not_looked_at.saturating_add(published.lanes_left_out),
        activities: published.activities,
        activities_left_out: published.activities_left_out,
        locks,
        locks_left_out: published.locks_left_out,
        publishes,
        panics: published.panics,
        values: published.values,
        ..Report::default()
    }
}

/// The threads, by id, and pairs of thread and lock that it holds for reading.
fn join(
    published: Vec<PublishedThread>,
    (known, knows_all): (Vec<SystemThread>, bool),
    first: Option<u64>,
    locks: &BTreeMap<u64, PublishedLock>,
) -> (Vec<Thread>, Vec<(u64, u64)>) {
    let mut known: HashMap<u64, SystemThread> =
        known.into_iter().map(|thread| (thread.own_id, thread)).collect();
    // If no id matches, they are ids of another pid namespace.
    let is_known = |thread: &PublishedThread| thread.id.is_some_and(|id| known.contains_key(&id));
    let knows_all = knows_all && published.iter().any(is_known);
    let (mut threads, mut reads) = (Vec::new(), Vec::new());
    for thread in published {
        let system = thread.id.and_then(|id| known.remove(&id));
        // Also for threads that ended: a lock stays held if its reader never released it.
        if let Some(id) = thread.id {
            reads.extend(thread.reads.iter().map(|lock| (id, *lock)));
        }
        // The thread has ended without handing its lane back, e.g. cancelled.
        if knows_all && thread.id.is_some() && system.is_none() {
            continue;
        }
        // The system's name of the first thread is that of the process.
        let keeps_name = thread.id == first && thread.name.is_some();
        let name = name(thread.name, system.as_ref().filter(|_| !keeps_name));
        threads.push(Thread {
            id: thread.id,
            name,
            published: true,
            // The innermost wait: a signal handler can wait during another one.
            wait: thread.waits.last().map(|wait| Wait::new(wait, locks)),
            system,
            activities: thread.activities,
            more_holds: thread.more_reads,
            values: thread.values,
            ..Thread::default()
        });
    }
    threads.extend(known.into_values().map(|system| Thread {
        id: Some(system.own_id),
        name: Some(system.name.clone()),
        system: Some(system),
        ..Thread::default()
    }));
    threads.sort_by_key(|thread| thread.id);
    (threads, reads)
}

/// The system's name, which may be newer; the published one if the system cut it to 15 bytes.
fn name(published: Option<String>, system: Option<&SystemThread>) -> Option<String> {
    let Some(system) = system else { return published };
    let is_cut = |long: &String| system.name.len() == 15 && long.starts_with(&system.name);
    published.filter(is_cut).or_else(|| Some(system.name.clone()))
}

/// Fills in the readers and waiting threads of locks, and the locks held by threads.
fn connect(threads: &mut [Thread], mut reads: Vec<(u64, u64)>, locks: &mut [Lock]) {
    let place: HashMap<u64, usize> =
        locks.iter().enumerate().map(|(at, lock)| (lock.number, at)).collect();
    reads.sort_unstable();
    reads.dedup();
    for (thread, lock) in reads {
        if let Some(lock) = place.get(&lock).and_then(|at| locks.get_mut(*at)) {
            lock.readers.push(thread);
        }
    }
    let mut waits: Vec<(u64, Option<u64>, u64)> = threads
        .iter()
        .filter_map(|thread| {
            let wait = thread.wait.as_ref().filter(|wait| !wait.condition)?;
            Some((wait.lock?, wait.since, thread.id?))
        })
        .collect();
    waits.sort_unstable();
    for (lock, _, thread) in waits {
        if let Some(lock) = place.get(&lock).and_then(|at| locks.get_mut(*at)) {
            lock.waiting.push(thread);
        }
    }
    let mut holds: HashMap<u64, Vec<u64>> = HashMap::new();
    for lock in locks.iter() {
        for holder in lock.holder.iter().chain(&lock.readers) {
            holds.entry(*holder).or_default().push(lock.number);
        }
    }
    for thread in threads {
        thread.holds = thread.id.and_then(|id| holds.remove(&id)).unwrap_or_default();
    }
}

/// Sets titles: the name, with the id if several threads have that name.
pub(crate) fn set_titles(threads: &mut [Thread]) {
    let mut same: HashMap<String, usize> = HashMap::new();
    for name in threads.iter().filter_map(|thread| thread.name.clone()) {
        *same.entry(name).or_default() += 1;
    }
    for thread in threads {
        let name = thread.name.as_ref().filter(|name| !name.is_empty());
        thread.title = match (name, thread.id) {
            (Some(name), Some(id)) if same.get(name).is_some_and(|same| *same > 1) => {
                format!("{name} ({id})")
            }
            (Some(name), _) => name.clone(),
            (None, Some(id)) => format!("thread {id}"),
            (None, None) => "a thread".to_owned(),
        };
    }
}
