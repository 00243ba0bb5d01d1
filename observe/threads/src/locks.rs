//! Locks, and who waits for whom: FORMAT.md, the fields `sys.lock.*`.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::published::{Activity, Published, PublishedLock, WAITS};

/// A lock that the program publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// Its number in the program, from 1.
    pub number: u64,
    /// Its name; several locks can have the same.
    pub name: String,
    /// Id of the thread that holds it, for writing if it is an `RwLock`.
    pub holder: Option<u64>,
    /// Ids of the threads that hold it for reading.
    pub readers: Vec<u64>,
    /// Number of acquisitions (for writing).
    pub acquired: u64,
    /// A moment since which the holder has it at least, in nanoseconds since 1970-01-01 UTC; `None` if
    /// no thread had to wait for this acquisition.
    pub held_since: Option<u64>,
    /// Ids of the threads that wait for it, longest first.
    pub waiting: Vec<u64>,
}

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// Name of the lock or condition.
    pub name: String,
    /// Number of the lock; of a condition that of the lock without which the thread cannot go on.
    pub lock: Option<u64>,
    /// Whether it waits for a condition (`Condvar`), as long as nothing is to be done: that is no fault.
    pub condition: bool,
    /// Since when, in nanoseconds since 1970-01-01 UTC.
    pub since: Option<u64>,
    /// Number of the wait in the thread's life.
    pub(crate) number: u64,
}

impl Wait {
    /// The wait of an activity of [`WAITS`]: `NAME #NUMBER`, `condvar NAME #NUMBER`, or another text. The names of
    /// the `locks` tell a lock from a condition.
    pub(crate) fn new(activity: &Activity, locks: &BTreeMap<u64, PublishedLock>) -> Option<Self> {
        if activity.label != WAITS {
            return None;
        }
        let parsed = activity.text.rsplit_once(" #");
        let parsed = parsed.and_then(|(name, number)| Some((name, number.parse().ok()?)));
        let (name, lock) = match parsed {
            Some((name, number)) => (name, Some(number)),
            None => (activity.text.as_str(), None),
        };
        let (since, number) = (activity.since, activity.number);
        let is_lock = lock.and_then(|lock| locks.get(&lock)).is_some_and(|lock| lock.name == name);
        let condition = name.strip_prefix("condvar ").filter(|_| !is_lock);
        let (name, condition) = (condition.unwrap_or(name).to_owned(), condition.is_some());
        Some(Self { name, lock, condition, since, number })
    }
}

/// The locks with their holders and those who wait; `waits` by thread.
pub(crate) fn locks(published: &Published, waits: &[(u64, Wait)]) -> Vec<Lock> {
    let lock = |(number, lock): (&u64, &PublishedLock)| {
        let reads = |thread: &&crate::published::PublishedThread| thread.reads.contains(number);
        let readers = published.threads.iter().filter(reads).filter_map(|thread| thread.id);
        let is_of = |wait: &Wait| wait.lock == Some(*number) && !wait.condition;
        let mut waiting: Vec<_> = waits.iter().filter(|(_, wait)| is_of(wait)).collect();
        waiting.sort_by_key(|(thread, wait)| (wait.since, *thread));
        let holder = (lock.holder != 0).then_some(lock.holder);
        Lock {
            number: *number,
            name: lock.name.clone(),
            holder,
            readers: readers.collect(),
            acquired: lock.count,
            held_since: holder
                .and(Some(lock.since))
                .filter(|since| *since != 0 && lock.noticed == lock.count),
            waiting: waiting.into_iter().map(|(thread, _)| *thread).collect(),
        }
    };
    published.locks.iter().map(lock).collect()
}

/// A thread that waits for a lock that another one holds, as one look found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    /// The thread that waits.
    pub(crate) thread: u64,
    pub(crate) lock: u64,
    pub(crate) holder: u64,
    /// Of the wait, and of the acquisition: unchanged in two looks means that nothing moved between them.
    pub(crate) wait: u64,
    pub(crate) acquired: u64,
}

/// All edges of a look.
pub(crate) fn edges(locks: &[Lock], waits: &[(u64, Wait)]) -> Vec<Edge> {
    let by_number: HashMap<u64, &Lock> = locks.iter().map(|lock| (lock.number, lock)).collect();
    let mut edges = Vec::new();
    for (thread, wait) in waits {
        let Some(lock) = wait.lock.and_then(|lock| by_number.get(&lock)) else { continue };
        let edge = |holder: u64| Edge {
            thread: *thread,
            lock: lock.number,
            holder,
            wait: wait.number,
            acquired: lock.acquired,
        };
        edges.extend(lock.holder.iter().chain(&lock.readers).copied().map(edge));
    }
    edges
}

/// The cycles of threads that wait for each other, each once, beginning with its smallest thread id.
pub(crate) fn cycles(edges: &[Edge]) -> Vec<Vec<Edge>> {
    let mut from: BTreeMap<u64, Vec<&Edge>> = BTreeMap::new();
    for edge in edges {
        from.entry(edge.thread).or_default().push(edge);
    }
    let mut found: Vec<Vec<Edge>> = Vec::new();
    let mut done: HashSet<u64> = HashSet::new();
    for start in from.keys() {
        // Depth first, with the path to here and the next edge of each of its threads.
        let mut path: Vec<(u64, usize)> = vec![(*start, 0)];
        while let Some((thread, next)) = path.last_mut() {
            let thread = *thread;
            let edge = from.get(&thread).and_then(|edges| edges.get(*next)).copied();
            *next += 1;
            let Some(edge) = edge.filter(|_| !done.contains(&thread)) else {
                done.insert(thread);
                path.pop();
                continue;
            };
            match path.iter().position(|(thread, _)| *thread == edge.holder) {
                Some(at) => {
                    let steps = path.get(at..).unwrap_or_default().iter();
                    let steps = steps.filter_map(|(thread, next)| {
                        from.get(thread).and_then(|edges| edges.get(next - 1)).map(|edge| **edge)
                    });
                    found.push(rotated(steps.collect()));
                }
                None if !done.contains(&edge.holder) => path.push((edge.holder, 0)),
                None => {}
            }
        }
    }
    found.sort_by_key(|cycle| cycle.first().map(|edge| edge.thread));
    found.dedup();
    found
}

fn rotated(mut cycle: Vec<Edge>) -> Vec<Edge> {
    let first = cycle.iter().enumerate().min_by_key(|(_, edge)| edge.thread).map(|(at, _)| at);
    cycle.rotate_left(first.unwrap_or(0));
    cycle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(thread: u64, lock: u64, holder: u64) -> Edge {
        Edge { thread, lock, holder, wait: 1, acquired: 7 }
    }

    fn threads(edges: &[Edge]) -> Vec<Vec<u64>> {
        let threads = |cycle: &Vec<Edge>| cycle.iter().map(|edge| edge.thread).collect();
        cycles(edges).iter().map(threads).collect()
    }

    #[test]
    fn cycles_finds_each_once_among_threads_that_only_wait() {
        let two = [edge(2, 1, 1), edge(1, 2, 2), edge(3, 1, 1), edge(4, 2, 2), edge(5, 9, 6)];
        assert_eq!(threads(&two), [[1, 2]]);
        assert_eq!(threads(&[edge(3, 1, 3)]), [[3]], "a thread that waits for itself");
        let three = [edge(1, 1, 2), edge(2, 2, 3), edge(3, 3, 1), edge(8, 4, 9), edge(9, 5, 8)];
        assert_eq!(threads(&three), [vec![1, 2, 3], vec![8, 9]]);
        assert_eq!(threads(&[edge(1, 1, 2), edge(2, 2, 3)]), Vec::<Vec<u64>>::new());
        // A writer waits for each reader: 1 waits for 2 and 3, and 3 for 1.
        assert_eq!(threads(&[edge(1, 1, 2), edge(1, 1, 3), edge(3, 2, 1)]), [[1, 3]]);
    }

    #[test]
    fn wait_has_name_and_number_of_the_lock() {
        let wait = |text: &str| {
            let label = WAITS.to_owned();
            let activity =
                Activity { label, text: text.to_owned(), cut: false, since: Some(5), number: 3 };
            let named =
                PublishedLock { name: "condvar lock".to_owned(), ..PublishedLock::default() };
            let wait = Wait::new(&activity, &BTreeMap::from([(7, named)]));
            wait.map(|wait| (wait.name, wait.lock, wait.condition))
        };
        assert_eq!(wait("a #b #12"), Some(("a #b".to_owned(), Some(12), false)));
        assert_eq!(wait("condvar queue #3"), Some(("queue".to_owned(), Some(3), true)));
        assert_eq!(wait("condvar lock #7"), Some(("condvar lock".to_owned(), Some(7), false)));
        assert_eq!(wait("x #y"), Some(("x #y".to_owned(), None, false)));
    }

    #[test]
    fn time_of_a_lock_is_that_of_this_acquisition() {
        let mut published = Published::default();
        let lock = |holder, count, noticed| PublishedLock {
            name: "a".to_owned(),
            holder,
            count,
            since: 100,
            noticed,
        };
        published.locks.insert(1, lock(7, 5, 5));
        published.locks.insert(2, lock(7, 6, 5));
        published.locks.insert(3, lock(0, 5, 5));
        let wait = |since| Wait {
            name: "a".to_owned(),
            lock: Some(1),
            condition: false,
            since,
            number: 1,
        };
        let locks = locks(&published, &[(9, wait(Some(20))), (8, wait(Some(10)))]);
        let shown: Vec<_> = locks.iter().map(|lock| (lock.holder, lock.held_since)).collect();
        assert_eq!(shown, [(Some(7), Some(100)), (Some(7), None), (None, None)]);
        assert_eq!(locks[0].waiting, [8, 9]);
    }
}
