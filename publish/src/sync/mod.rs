//! Named locks that publish their holders and waiting threads: [`Mutex`], [`RwLock`] and [`Condvar`], with
//! the interface of [`std::sync`], around its locks. Feature `sync`.
//!
//! ```
//! use mmstats::sync::Mutex;
//!
//! static ACCOUNTS: Mutex<Vec<u64>> = Mutex::new("accounts", Vec::new());
//!
//! let _mmstats = mmstats::init();
//! ACCOUNTS.lock().unwrap().push(100);
//! assert_eq!(ACCOUNTS.lock().unwrap().len(), 1);
//! ```
//!
//! They publish to the publisher of the whole program ([`init`](crate::init), [`global`](crate::global)).
//! The values stay when the program hangs in a deadlock and after it was killed:
//!
//! | field | content |
//! | --- | --- |
//! | `sys.lock.holder` | id of the thread that holds the lock, as in `sys.tid`; 0 for none, and while it is locked for reading; no value before the first known holder |
//! | `sys.lock.count` | number of acquisitions, including the holder's; of an `RwLock` for writing |
//! | `sys.lock.since`, `sys.lock.noticed` | if `noticed` equals the count: the holder has had the lock at least since `since`. Published when a thread begins to wait |
//! | `sys.lock.waits` | for each thread the lock that it waits for, and since when: `accounts #1`. A thread in [`Condvar::wait`] has `condvar ready #1`, with the number of the mutex that it must lock to return |
//! | `sys.lock.reading` | for each thread the numbers of at most 4 locks that it has locked for reading; `sys.lock.reading.more` has the number of others |
//! | `sys.lock.refused` | locks in use without fields: there were too many, or no room |
//!
//! The fields of a lock have the attributes `lock`, its name, and `id`, its number: locks of one name
//! stay apart. `mmstats show -v` prints them. Two looks at a deadlock show the same holders, counts and
//! waits: `publish/examples` has one (`cargo run -p mmstats --features sync --example deadlock`).
//!
//! # Costs
//!
//! To lock and unlock without contention takes three stores more than a lock of `std`, without a clock: at most
//! 1.3 times as long. A read lock, which is written down in the thread's own lane, takes about 1.4 times as
//! long, and more if the thread has another one (`cargo bench -p mmstats-benches -- sync`).
//! A thread that has to wait reads the clock and publishes its wait first. The first use of a
//! lock adds its fields, and the first wait, or first read lock, of a thread claims a lane: both take
//! some microseconds and locks of the library. A dropped lock frees its fields.
//!
//! # Limits
//!
//! - At most 256 locks are shown at the same time. Further ones work as those of `std` and are counted in
//!   `sys.lock.refused`. They may get fields when another publisher starts.
//! - Without a publisher they work as those of `std`. They publish from their first use after a publisher has
//!   started: an earlier holder is not shown, and `sys.lock.holder` has no value until then. In a forked child
//!   they publish to the child's publisher.
//! - A lock keeps each publisher under which it had fields, with all its memory, also after that is closed, and
//!   has fields under the first 64. A thread that waits or locks for reading keeps the first and the last of its
//!   publishers.
//! - A thread that begins to wait while the lock changes hands may miss the new holder: then `since` is
//!   published by the next thread that begins to wait. A thread that locks its mutex again after
//!   [`Condvar::wait`] does not publish it.
//! - In a call from within the library (by a global allocator, for example) waits are not shown, and a
//!   lock gets no fields. An allocator must not hold such a lock while it allocates.
//! - The first use of a lock under a publisher, and the first wait or read lock of a thread, allocate, take
//!   locks of the library, and may create a file: a signal handler must not be the first.
//! - Where the system gives no thread ids (see `sys.tid`), a holder is 2^64 - 1.
//! - 64-bit targets only.

mod condvar;
mod fields;
mod guard;
mod mutex;
mod program;
mod registration;
mod rwlock;
mod thread;

pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
