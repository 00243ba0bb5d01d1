//! Gate that separates forks from locks: a child inherits no lock that another thread holds.
//!
//! A child has only the thread that forked. A lock that another thread held at that moment stays
//! locked in the child for ever. A thread therefore takes an [`Inhibitor`] before such a lock. A
//! fork waits until there is no inhibitor, and no thread gets one meanwhile.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use mmstats_system::docs;

use super::backoff::{FORK_ROUNDS, pause};

#[doc = docs!(fork::Inhibitor)]
#[derive(Debug)]
pub struct Inhibitor(
    /// Not `Send`: it belongs to its thread.
    PhantomData<*const ()>,
);

#[doc = docs!(fork::inhibit)]
#[must_use]
pub fn inhibit() -> Inhibitor {
    if DEPTH.get() == 0 {
        enter();
    }
    DEPTH.set(DEPTH.get() + 1);
    Inhibitor(PhantomData)
}

fn enter() {
    let mut round = 0_u32;
    loop {
        // Must be SeqCst, like the two accesses in `close`, because of a thread that enters and one
        // that forks at least one must see the other's increment.
        HOLDERS.fetch_add(1, SeqCst);
        if FORKS.load(SeqCst) == 0 {
            return;
        }
        HOLDERS.fetch_sub(1, SeqCst);
        while FORKS.load(SeqCst) > 0 {
            pause(round);
            round = round.saturating_add(1);
        }
    }
}

impl Drop for Inhibitor {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth == 0 {
            HOLDERS.fetch_sub(1, SeqCst);
        }
    }
}

/// Before a fork: no thread gets an [`Inhibitor`] from here on; waits for existing ones.
pub(super) fn close() {
    FORKS.fetch_add(1, SeqCst);
    let own = usize::from(DEPTH.get() > 0);
    for round in 0..FORK_ROUNDS {
        if HOLDERS.load(SeqCst) <= own {
            return;
        }
        pause(round);
    }
}

/// After a fork, in the parent.
pub(super) fn open_in_parent() {
    FORKS.fetch_sub(1, SeqCst);
}

/// After a fork, in the child, which has no other thread.
pub(super) fn open_in_child() {
    HOLDERS.store(usize::from(DEPTH.get() > 0), SeqCst);
    FORKS.store(0, SeqCst);
}

/// Threads that have an [`Inhibitor`].
static HOLDERS: AtomicUsize = AtomicUsize::new(0);
/// Threads that are about to fork.
static FORKS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::{Duration, Instant};

    /// Serialises the tests: the counters belong to the process.
    pub(in super::super) fn alone() -> MutexGuard<'static, ()> {
        static ONE: Mutex<()> = Mutex::new(());
        ONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn inhibit_while_a_thread_forks_waits() {
        let _alone = alone();
        close();
        let entered = std::thread::spawn(|| drop(inhibit()));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!entered.is_finished());
        open_in_parent();
        entered.join().unwrap();
    }

    #[test]
    fn close_waits_for_other_threads_only() {
        let _alone = alone();
        let (outer, inner) = (inhibit(), inhibit());
        let start = Instant::now();
        close();
        // Much shorter than the longest wait.
        assert!(start.elapsed() < Duration::from_millis(150), "{:?}", start.elapsed());
        // A holder gets a second inhibitor even while a fork waits.
        drop(inhibit());
        open_in_parent();
        drop((outer, inner));

        let (send, received) = std::sync::mpsc::channel();
        let holder = std::thread::spawn(move || {
            let held = inhibit();
            send.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        received.recv().unwrap();
        close();
        assert_eq!(HOLDERS.load(SeqCst), 0, "`close` waited for the holder");
        open_in_parent();
        holder.join().unwrap();
    }

    #[test]
    fn close_with_blocked_holder_gives_up() {
        let _alone = alone();
        let (send, received) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let holder = std::thread::spawn(move || {
            let held = inhibit();
            send.send(()).unwrap();
            let _ = ended.recv();
            drop(held);
        });
        received.recv().unwrap();
        close();
        open_in_parent();
        drop(end);
        holder.join().unwrap();
        assert_eq!((HOLDERS.load(SeqCst), FORKS.load(SeqCst)), (0, 0));
    }
}
