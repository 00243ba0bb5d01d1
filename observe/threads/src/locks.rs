//! Locks and waits of threads: the fields `sys.lock.*`.

use std::collections::BTreeMap;

use crate::published::{Activity, PublishedLock};

/// A published lock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// Its number in the program, from 1.
    pub number: u64,
    /// Its name; several locks can have the same.
    pub name: String,
    /// Id of the thread that holds it, for writing if it is an `RwLock`.
    pub holder: Option<u64>,
    /// Ids of the threads that hold it for reading, in order.
    pub readers: Vec<u64>,
    /// Number of acquisitions, for writing if it is an `RwLock`.
    pub acquired: u64,
    /// A time since which the holder has held it at least, in nanoseconds since 1970-01-01 UTC; `None` if no thread
    /// has waited during this acquisition.
    pub held_since: Option<u64>,
    /// Ids of the threads that wait for it, longest first.
    pub waiting: Vec<u64>,
}

impl Lock {
    /// A lock without readers and waiting threads.
    pub(crate) fn new(number: u64, lock: PublishedLock) -> Self {
        let holder = (lock.holder != 0).then_some(lock.holder);
        let is_noticed = lock.since != 0 && lock.noticed == lock.count;
        Self {
            number,
            name: lock.name,
            holder,
            readers: Vec::new(),
            acquired: lock.count,
            held_since: (holder.is_some() && is_noticed).then_some(lock.since),
            waiting: Vec::new(),
        }
    }
}

/// Part of a deadlock: a thread that waits for a lock held by another one, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// The thread that waits.
    pub(crate) thread: u64,
    pub(crate) lock: u64,
    pub(crate) holder: u64,
}

/// The lock that a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// Name of the lock or condition.
    pub name: String,
    /// Number of the lock; for a condition, of the mutex that the thread must lock to return.
    pub lock: Option<u64>,
    /// Whether the thread waits for a condition (`Condvar`), which is not unusual.
    pub condition: bool,
    /// Start of the wait in nanoseconds since 1970-01-01 UTC.
    pub since: Option<u64>,
    /// Number of the wait among those of the thread.
    pub(crate) number: u64,
}

impl Wait {
    /// Parses the text of a wait: `NAME #NUMBER`, `condvar NAME #NUMBER`, or another one. The names of `locks`
    /// distinguish a lock named `condvar ...` from a condition.
    pub(crate) fn new(activity: &Activity, locks: &BTreeMap<u64, PublishedLock>) -> Self {
        let parsed = activity.text.rsplit_once(" #");
        let parsed = parsed.and_then(|(name, number)| Some((name, number.parse().ok()?)));
        let (name, lock) = match parsed {
            Some((name, number)) => (name, Some(number)),
            None => (activity.text.as_str(), None),
        };
        let is_lock = lock.and_then(|lock| locks.get(&lock)).is_some_and(|lock| lock.name == name);
        let condition = name.strip_prefix("condvar ").filter(|_| !is_lock);
        Self {
            name: condition.unwrap_or(name).to_owned(),
            lock,
            condition: condition.is_some(),
            since: activity.since,
            number: activity.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(name: &str) -> PublishedLock {
        PublishedLock { name: name.to_owned(), holder: 7, count: 5, since: 100, noticed: 5 }
    }

    #[test]
    fn wait_has_name_and_number_of_the_lock() {
        let locks = BTreeMap::from([(4, lock("condvar x"))]);
        let wait = |text: &str| {
            let (label, text) = (String::new(), text.to_owned());
            let wait =
                Wait::new(&Activity { label, text, cut: false, since: Some(5), number: 3 }, &locks);
            (wait.name, wait.lock, wait.condition)
        };
        assert_eq!(wait("a #b #12"), ("a #b".to_owned(), Some(12), false));
        assert_eq!(wait("condvar queue #3"), ("queue".to_owned(), Some(3), true));
        assert_eq!(wait("condvar x #4"), ("condvar x".to_owned(), Some(4), false));
        assert_eq!(wait("x #y"), ("x #y".to_owned(), None, false));
    }

    #[test]
    fn time_of_a_lock_is_that_of_this_acquisition() {
        let held = |lock| {
            let lock = Lock::new(1, lock);
            (lock.holder, lock.held_since)
        };
        assert_eq!(held(lock("a")), (Some(7), Some(100)));
        assert_eq!(held(PublishedLock { count: 6, ..lock("a") }), (Some(7), None));
        assert_eq!(held(PublishedLock { holder: 0, ..lock("a") }), (None, None));
    }
}
