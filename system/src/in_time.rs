//! File systems that do not answer: work on them is done in a thread that can be left behind.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Longest wait for file systems in the search for a directory: a disk under load may take seconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// Number of threads that may be left behind; from then on there is no answer at once.
const MAX_LEFT: usize = 4;
/// Threads that were left behind, and whose file system has not answered yet.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Does `work` on `path` in a thread of its own, and waits for it, for the time `limit` at most.
///
/// A file system that does not answer (of a network, or of a program in user space) keeps a thread in
/// the system for ever. That thread is left behind: it ends when the file system answers, or with the
/// process. `spawn` starts it. Without a thread `work` is done here.
///
/// # Errors
///
/// Those of `work`, and [`ErrorKind::NoAnswer`].
pub fn in_time<T: Send + 'static>(
    spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>,
    path: &Path,
    limit: Duration,
    work: impl Fn() -> Result<T> + Clone + Send + 'static,
) -> Result<T> {
    let silent = || Error::new("use directory", path, ErrorKind::NoAnswer);
    if LEFT.load(Relaxed) >= MAX_LEFT {
        return Err(silent());
    }
    let (send, receive) = sync_channel(1);
    // Set by the first of both: the thread that has an answer, and the one that waits no longer.
    let over = Arc::new(AtomicBool::new(false));
    let (there, over_there) = (work.clone(), Arc::clone(&over));
    let started = spawn(Box::new(move || {
        let result = there();
        if over_there.swap(true, Relaxed) {
            LEFT.fetch_sub(1, Relaxed);
        } else {
            let _ = send.send(result);
        }
    }));
    let Ok(thread) = started else { return work() };
    let answer = receive.recv_timeout(limit).or_else(|error| match error {
        RecvTimeoutError::Timeout if !over.load(Relaxed) => {
            // Counted before the thread can count it as ended.
            LEFT.fetch_add(1, Relaxed);
            if over.swap(true, Relaxed) {
                // The answer came just now.
                LEFT.fetch_sub(1, Relaxed);
                return receive.recv().map_err(|_| RecvTimeoutError::Disconnected);
            }
            Err(error)
        }
        RecvTimeoutError::Timeout => receive.recv().map_err(|_| RecvTimeoutError::Disconnected),
        RecvTimeoutError::Disconnected => Err(error),
    });
    let result = match answer {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => return Err(silent()),
        // The thread panicked.
        Err(RecvTimeoutError::Disconnected) => work(),
    };
    // It ends now. The program has as many threads as before.
    let _ = thread.join();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn(work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().spawn(work)
    }

    /// One test, because threads that are left behind are counted for the process.
    #[test]
    fn in_time_without_an_answer_gives_up() {
        let path = Path::new("/x");
        let error = || Error::new("use directory", path, ErrorKind::NotFound);
        assert_eq!(in_time(spawn, path, LIMIT, || Ok(7)).unwrap(), 7);
        let failed = in_time(spawn, path, LIMIT, move || Err::<(), _>(error()));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(
            in_time(|_| Err(io::ErrorKind::WouldBlock.into()), path, LIMIT, || Ok(8)).unwrap(),
            8
        );
        // Work that takes its time in many threads is no silence.
        std::thread::scope(|scope| {
            for _ in 0..4 * MAX_LEFT {
                scope.spawn(|| {
                    let slow = in_time(spawn, path, LIMIT, || {
                        std::thread::sleep(LIMIT / 10);
                        Ok(9)
                    });
                    assert_eq!(slow.unwrap(), 9);
                });
            }
        });
        for _ in 0..MAX_LEFT + 20 {
            let silent = in_time(spawn, path, LIMIT, || {
                std::thread::sleep(Duration::from_secs(3600));
                Ok(())
            });
            assert_eq!(silent.unwrap_err().kind(), ErrorKind::NoAnswer);
        }
        // The later ones left no thread behind: they did not wait.
        assert_eq!(LEFT.load(Relaxed), MAX_LEFT);
    }
}
