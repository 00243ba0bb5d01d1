//! Deadlocks: cycles of threads that wait for each other.

use std::collections::{HashMap, HashSet};

use crate::locks::{Link, Lock};
use crate::report::Thread;

/// Holders and waiting threads of locks in one look. Entries that are equal in two looks lasted in between.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// The lock that each thread waits for, and the number of the wait.
    waits: HashMap<u64, (u64, u64)>,
    /// The holder of each lock, and the number of the acquisition.
    holders: HashMap<u64, (u64, u64)>,
    /// Locks with the threads that hold them for reading.
    readers: HashSet<(u64, u64)>,
}

impl Standing {
    pub(crate) fn new(threads: &[Thread], locks: &[Lock]) -> Self {
        let wait = |thread: &Thread| {
            let wait = thread.wait.as_ref()?;
            Some((thread.id?, (wait.lock?, wait.number)))
        };
        let holder = |lock: &Lock| Some((lock.number, (lock.holder?, lock.acquired)));
        let readers = |lock: &Lock| {
            let number = lock.number;
            lock.readers.clone().into_iter().map(move |reader| (number, reader))
        };
        Self {
            waits: threads.iter().filter_map(wait).collect(),
            holders: locks.iter().filter_map(holder).collect(),
            readers: locks.iter().flat_map(readers).collect(),
        }
    }

    /// The holders and waiting threads that are the same in both looks.
    pub(crate) fn unchanged(&self, before: &Self) -> Self {
        let both = |now: &HashMap<u64, (u64, u64)>, before: &HashMap<u64, (u64, u64)>| {
            let same = |(key, value): &(&u64, &(u64, u64))| before.get(key) == Some(value);
            now.iter().filter(same).map(|(key, value)| (*key, *value)).collect()
        };
        Self {
            waits: both(&self.waits, &before.waits),
            holders: both(&self.holders, &before.holders),
            readers: self.readers.intersection(&before.readers).copied().collect(),
        }
    }

    /// Cycles of threads, each waiting for a lock that the next one holds; a thread is in at most one. The time is
    /// linear in the number of threads and locks.
    pub(crate) fn cycles(&self) -> Vec<Vec<Link>> {
        let mut holders: HashMap<u64, Vec<u64>> = HashMap::new();
        for (lock, (holder, _)) in &self.holders {
            holders.entry(*lock).or_default().push(*holder);
        }
        for (lock, reader) in &self.readers {
            holders.entry(*lock).or_default().push(*reader);
        }
        let stuck = self.stuck(&holders);
        // One stuck holder of each lock, so that the time does not grow with readers times waiters.
        let next = holders.iter().filter_map(|(lock, holders)| {
            let stuck = holders.iter().filter(|holder| stuck.contains(holder));
            Some((*lock, stuck.min().copied()?))
        });
        let next: HashMap<u64, u64> = next.collect();
        let mut starts: Vec<u64> = stuck.iter().copied().collect();
        starts.sort_unstable();
        let mut done: HashSet<u64> = HashSet::new();
        let mut cycles = Vec::new();
        for start in starts {
            // Follows the waits from holder to holder, until a thread repeats.
            let (mut path, mut places) = (Vec::new(), HashMap::new());
            let mut thread = start;
            while !done.contains(&thread) {
                if let Some(at) = places.insert(thread, path.len()) {
                    cycles.push(path.split_off(at));
                    break;
                }
                let Some((lock, _)) = self.waits.get(&thread) else { break };
                let Some(holder) = next.get(lock).copied() else { break };
                path.push(Link { thread, lock: *lock, holder });
                thread = holder;
            }
            done.extend(places.into_keys());
        }
        for cycle in &mut cycles {
            let first = cycle.iter().enumerate().min_by_key(|(_, step)| step.thread);
            let first = first.map_or(0, |(at, _)| at);
            cycle.rotate_left(first);
        }
        cycles.sort_by_key(|cycle| cycle.first().map(|step| step.thread));
        cycles
    }

    /// The threads that wait for a lock with a holder that is one of them.
    fn stuck(&self, holders: &HashMap<u64, Vec<u64>>) -> HashSet<u64> {
        let mut waiting: HashMap<u64, Vec<u64>> = HashMap::new();
        for (thread, (lock, _)) in &self.waits {
            waiting.entry(*lock).or_default().push(*thread);
        }
        let mut held: HashMap<u64, Vec<u64>> = HashMap::new();
        // The number of holders of each lock that wait.
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for lock in waiting.keys() {
            let waits = |holder: &&u64| self.waits.contains_key(holder);
            let waits = holders.get(lock).into_iter().flatten().filter(waits);
            let mut count = 0;
            for holder in waits {
                held.entry(*holder).or_default().push(*lock);
                count += 1;
            }
            counts.insert(*lock, count);
        }
        let mut stuck: HashSet<u64> = self.waits.keys().copied().collect();
        let mut free: Vec<u64> =
            counts.iter().filter(|(_, count)| **count == 0).map(|(lock, _)| *lock).collect();
        while let Some(lock) = free.pop() {
            for thread in waiting.get(&lock).into_iter().flatten() {
                stuck.remove(thread);
                for lock in held.get(thread).into_iter().flatten() {
                    if let Some(count) = counts.get_mut(lock) {
                        *count -= 1;
                        if *count == 0 {
                            free.push(*lock);
                        }
                    }
                }
            }
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads with the lock that they wait for; locks with their holders; locks with their readers.
    fn standing(waits: &[(u64, u64)], holders: &[(u64, u64)], readers: &[(u64, u64)]) -> Standing {
        Standing {
            waits: waits.iter().map(|(thread, lock)| (*thread, (*lock, 1))).collect(),
            holders: holders.iter().map(|(lock, holder)| (*lock, (*holder, 7))).collect(),
            readers: readers.iter().copied().collect(),
        }
    }

    fn threads(standing: &Standing) -> Vec<Vec<u64>> {
        let threads = |cycle: &Vec<Link>| cycle.iter().map(|step| step.thread).collect();
        standing.cycles().iter().map(threads).collect()
    }

    #[test]
    fn cycles_are_found_among_threads_that_only_wait() {
        let waits = [(2, 1), (1, 2), (3, 1), (4, 2), (5, 9)];
        assert_eq!(threads(&standing(&waits, &[(1, 1), (2, 2), (9, 6)], &[])), [[1, 2]]);
        assert_eq!(threads(&standing(&[(3, 1)], &[(1, 3)], &[])), [[3]], "it waits for itself");
        let waits = [(1, 1), (2, 2), (3, 3), (8, 4), (9, 5)];
        let holders = [(1, 2), (2, 3), (3, 1), (4, 9), (5, 8)];
        assert_eq!(threads(&standing(&waits, &holders, &[])), [vec![1, 2, 3], vec![8, 9]]);
        let chain = standing(&[(1, 1), (2, 2)], &[(1, 2), (2, 3)], &[]);
        assert_eq!(threads(&chain), Vec::<Vec<u64>>::new());
        // A writer waits for each reader: 1 for 2 and 3, and 3 for 1.
        assert_eq!(threads(&standing(&[(1, 1), (3, 2)], &[(2, 1)], &[(1, 2), (1, 3)])), [[1, 3]]);
        // The first of two holders leads to no cycle.
        let both = standing(&[(1, 1), (2, 3), (3, 2)], &[(2, 1), (3, 9)], &[(1, 2), (1, 3)]);
        assert_eq!(threads(&both), [[1, 3]]);
    }

    #[test]
    fn only_what_did_not_move_is_unchanged() {
        let now = standing(&[(1, 1), (2, 2)], &[(1, 2), (2, 1)], &[(3, 4)]);
        assert_eq!(threads(&now.unchanged(&now)), [[1, 2]]);
        let mut before = standing(&[(1, 1), (2, 2)], &[(1, 2), (2, 1)], &[(3, 4)]);
        before.holders.insert(2, (1, 6));
        assert!(threads(&now.unchanged(&before)).is_empty(), "acquired again");
        let mut before = standing(&[(1, 1), (2, 2)], &[(1, 2), (2, 1)], &[]);
        before.waits.insert(1, (1, 2));
        assert!(threads(&now.unchanged(&before)).is_empty(), "another wait");
    }

    #[test]
    fn cycles_of_hostile_numbers_take_their_size() {
        const MANY: u64 = 20_000;
        // All threads read a lock and wait for it.
        let waits: Vec<_> = (1..=MANY).map(|thread| (thread, 1)).collect();
        let readers: Vec<_> = (1..=MANY).map(|thread| (1, thread)).collect();
        assert_eq!(threads(&standing(&waits, &[], &readers)), [[1]]);
        // A long cycle.
        let waits: Vec<_> = (1..=MANY).map(|thread| (thread, thread)).collect();
        let holders: Vec<_> = (1..=MANY).map(|lock| (lock, lock % MANY + 1)).collect();
        let found = threads(&standing(&waits, &holders, &[]));
        assert_eq!((found.len(), found[0].len()), (1, 20_000));
        // A long chain to a thread that runs.
        assert!(threads(&standing(&waits[1..], &holders, &[])).is_empty());
    }
}
