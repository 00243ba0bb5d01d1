//! A moment without locks: no thread forks while another one holds a lock that its child
//! could want.
//!
//! A child has only the thread that forked. A lock that another thread held at that moment is
//! held for ever in the child. So whoever takes such a lock takes [`Held`] first, and a fork
//! waits until nobody has one; meanwhile nobody gets one.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use super::table::{FORK_ROUNDS, pause};

/// While a thread has one, other threads do not fork. Several of a thread count as one.
#[derive(Debug)]
pub struct Held(
    /// It belongs to its thread.
    PhantomData<*const ()>,
);

/// Waits while another thread forks, and then keeps others from forking until the result is
/// dropped: for moments, in which a lock is held that a forked child would want.
///
/// A thread that forks waits for about a fifth of a second and no longer, since a holder may
/// be stuck in a slow file system and the program must go on.
#[must_use]
pub fn hold() -> Held {
    if DEPTH.get() == 0 {
        enter();
    }
    DEPTH.set(DEPTH.get() + 1);
    Held(PhantomData)
}

fn enter() {
    let mut round = 0_u32;
    loop {
        // Must be SeqCst, as the two accesses in `close` are: of a thread that enters and
        // one that forks, at least one must see the other.
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

impl Drop for Held {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth == 0 {
            HOLDERS.fetch_sub(1, SeqCst);
        }
    }
}

/// Before a fork: nobody gets a [`Held`] from here on, and those who have one are waited for.
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

/// After a fork, in the child, where there is no other thread.
pub(super) fn open_in_child() {
    HOLDERS.store(usize::from(DEPTH.get() > 0), SeqCst);
    FORKS.store(0, SeqCst);
}

/// Threads that have a [`Held`].
static HOLDERS: AtomicUsize = AtomicUsize::new(0);
/// Threads that are about to fork.
static FORKS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::{Duration, Instant};

    /// The counters are of the whole process.
    fn alone() -> MutexGuard<'static, ()> {
        static ONE: Mutex<()> = Mutex::new(());
        ONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn nobody_enters_while_a_thread_forks() {
        let _alone = alone();
        close();
        let entered = std::thread::spawn(|| drop(hold()));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!entered.is_finished());
        open_in_parent();
        entered.join().unwrap();
    }

    #[test]
    fn a_thread_that_forks_waits_for_holders_but_not_for_itself() {
        let _alone = alone();
        let (outer, inner) = (hold(), hold());
        let start = Instant::now();
        close();
        // The wait for nobody is shorter than the longest wait: it does not even begin.
        assert!(start.elapsed() < Duration::from_millis(150), "{:?}", start.elapsed());
        // One that has it already may take it again, also now.
        drop(hold());
        open_in_parent();
        drop((outer, inner));

        let (send, received) = std::sync::mpsc::channel();
        let holder = std::thread::spawn(move || {
            let held = hold();
            send.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        received.recv().unwrap();
        close();
        assert_eq!(HOLDERS.load(SeqCst), 0, "it waited");
        open_in_parent();
        holder.join().unwrap();
    }

    #[test]
    fn a_thread_that_forks_does_not_wait_for_ever() {
        let _alone = alone();
        let (send, received) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let holder = std::thread::spawn(move || {
            let held = hold();
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
