//! A thread that stops while it has a lock of the library, as one does that waits in the program's allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use mmstats::sync::Mutex;

use crate::child::{Program, run, step};

thread_local! {
    /// Whether this thread stops when it allocates.
    static STOPS: Cell<bool> = const { Cell::new(false) };
}
static STOPPED: AtomicBool = AtomicBool::new(false);
static GOES_ON: AtomicBool = AtomicBool::new(false);
static LOCK: Mutex<u32> = Mutex::new("lock", 0);

struct Stopping;

// SAFETY: forwards to the allocator of the system.
unsafe impl GlobalAlloc for Stopping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if STOPS.get() {
            STOPPED.store(true, Relaxed);
            while !GOES_ON.load(Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Stopping = Stopping;

/// Time to use each lock once.
fn time_to_use(locks: &[Mutex<()>]) -> Duration {
    let begin = Instant::now();
    locks.iter().for_each(|lock| drop(lock.lock().unwrap()));
    begin.elapsed()
}

/// Uses locks while another thread stops in `stops`, also in a forked child, and when it has gone on.
fn use_locks_while(stops: impl FnOnce() + Send + 'static) {
    let locks: Vec<_> = (0..20).map(|n| Mutex::with_name(format!("lock {n}"), ())).collect();
    mmstats::recorder_support::change_epoch(); // Each has to look for the publisher.
    let stops = thread::spawn(|| {
        STOPS.set(true);
        stops();
    });
    while !STOPPED.load(Relaxed) {
        thread::sleep(Duration::from_millis(1));
    }
    let second = Duration::from_secs(1);
    let times = [time_to_use(&locks), time_to_use(&locks)];
    assert!(times[0] >= second && times[0] + times[1] < 10 * second, "{times:?}");
    #[cfg(target_os = "linux")] // fork
    {
        // SAFETY: has no precondition; the child uses what the test is about.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let times = [time_to_use(&locks), time_to_use(&locks)];
            let is_short = times[0] + times[1] < 10 * second;
            std::process::exit(i32::from(!is_short));
        }
        let mut status = 0;
        // SAFETY: `status` is a variable of this function.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
    }
    GOES_ON.store(true, Relaxed);
    stops.join().unwrap();
    time_to_use(&locks);
    step("all");
}

fn assert_shown(program: &mut Program, locks: usize) {
    program.at("all");
    let seen = program.look();
    assert_eq!((seen.locks.len(), seen.refused), (locks, Some(0)));
    assert!(seen.locks.values().all(|lock| lock.count == Some(1)), "{seen:#?}");
}

#[test]
fn thread_that_stops_while_it_registers_a_lock_delays_others_once() {
    let program = || {
        let _mmstats = mmstats::init();
        use_locks_while(|| drop(LOCK.lock().unwrap()));
    };
    let test = "stuck::thread_that_stops_while_it_registers_a_lock_delays_others_once";
    run(test, program, |program| assert_shown(program, 21));
}

#[test]
fn thread_that_stops_while_it_starts_the_publisher_delays_others_once() {
    let program = || use_locks_while(|| std::mem::forget(mmstats::init()));
    let test = "stuck::thread_that_stops_while_it_starts_the_publisher_delays_others_once";
    run(test, program, |program| assert_shown(program, 20));
}
