//! A lock of `mmstats::sync` in the program's allocator, also while the library itself allocates.
#![allow(missing_docs, unsafe_code)]
#![cfg(all(feature = "sync", target_pointer_width = "64", target_has_atomic = "64"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use mmstats::sync::{Condvar, Mutex, RwLock};
use mmstats::{Guard, Options};

static ON: AtomicBool = AtomicBool::new(false);
static TRUTH: AtomicU64 = AtomicU64::new(0);
/// Locked by each allocation, but not while it allocates.
static ALLOCATIONS: Mutex<u64> = Mutex::new("allocations", 0);
static FREES: RwLock<u64> = RwLock::new("frees", 0);

struct Counting;

// SAFETY: forwards to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            TRUTH.fetch_add(1, Relaxed);
            *ALLOCATIONS.lock().unwrap() += 1;
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            drop(FREES.read());
            *FREES.write().unwrap() += 1;
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn allocator_with_locks_counts_and_does_not_hang() {
    let place = tempfile::tempdir().unwrap();
    let start = || -> Guard { Options::new().directory(place.path()).init().unwrap() };
    ON.store(true, Relaxed);
    for _ in 0..3 {
        let mmstats = start();
        let (shared, ready) = (Mutex::new("shared", vec![0]), Condvar::new("ready"));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (shared, ready) = (&shared, &ready);
                scope.spawn(move || {
                    for n in 0..200 {
                        let own = Mutex::with_name(format!("own {thread}"), n);
                        shared.lock().unwrap().push(*own.lock().unwrap());
                        ready.notify_one();
                    }
                });
            }
            let held = ready.wait_while(shared.lock().unwrap(), |all| all.len() <= 100);
            drop(held);
        });
        assert_eq!(shared.into_inner().unwrap().len(), 801);
        mmstats.close();
        drop(vec![1, 2, 3]);
        drop(mmstats);
    }
    ON.store(false, Relaxed);
    assert_eq!(*ALLOCATIONS.lock().unwrap(), TRUTH.load(Relaxed));
    assert!(*FREES.read().unwrap() > 2_400);
}
