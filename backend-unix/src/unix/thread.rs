//! Threads that the library starts in a program.
#![allow(unsafe_code)] // Changes the signal mask; each block has its proof.

use std::io;
use std::mem::MaybeUninit;
use std::thread::{Builder, JoinHandle};

use mmstats_system::docs;

#[doc = docs!(thread::spawn)]
pub fn spawn(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    // The new thread inherits the mask, so there is no moment at which it takes a signal.
    let _blocked = Blocked::new()?;
    Builder::new().name(name.to_owned()).spawn(work)
}

/// The signals of this thread are blocked while it lives.
struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    fn new() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `set` has room for a set, which the call initialises.
        unsafe { libc::sigfillset(set.as_mut_ptr()) };
        for signal in FAULTS {
            // SAFETY: the set was initialised; the number is that of a signal.
            unsafe { libc::sigdelset(set.as_mut_ptr(), signal) };
        }
        let mut before = MaybeUninit::uninit();
        // SAFETY: the first set is initialised, the second has room for the answer. The mask belongs
        // to this thread alone.
        let code =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr()) };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        // SAFETY: the call succeeded, so it stored the former mask.
        Ok(Self { before: unsafe { before.assume_init() } })
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is a former mask of this thread; no answer is asked for.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut())
        };
    }
}

/// Signals that a thread raises by its own instructions. The system ends a program that blocks one
/// of them at that moment: the handler for truncated files would not be called.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGBUS, libc::SIGSEGV, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this thread blocks `signal`.
    fn is_blocked(signal: libc::c_int) -> bool {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: without a set nothing is changed; `mask` has room for the answer.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr()) };
        // SAFETY: the call stored the mask.
        unsafe { libc::sigismember(mask.as_ptr(), signal) == 1 }
    }

    #[test]
    fn spawn_blocks_signals_of_the_new_thread_only() {
        let asynchronous =
            [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGALRM, libc::SIGCHLD];
        let before = asynchronous.map(is_blocked);
        let (send, receive) = std::sync::mpsc::channel();
        let work =
            move || send.send((asynchronous.map(is_blocked), FAULTS.map(is_blocked))).unwrap();
        spawn("mmstats-test", Box::new(work)).unwrap().join().unwrap();
        assert_eq!(receive.recv().unwrap(), ([true; 5], [false; 6]));
        assert_eq!(asynchronous.map(is_blocked), before);
    }
}
