//! A publisher used from within the library: by the program's allocator, by a signal handler, by
//! destructors of a thread that ends.
#![allow(missing_docs, unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use mmstats::{
    Counter, Family, FieldOptions, Group, Histogram, Key, Lane, Options, Publisher, Record,
    SharedGauge, Stats, Text,
};
use mmstats_observe::{File, Observer, OwnedValue, Sources, totals};

#[derive(Clone, Copy, Record)]
struct Sizes {
    last: u64,
    #[stats(counter)]
    bytes: u64,
}

#[derive(Stats)]
struct Memory {
    allocations: Counter,
    frees: Counter,
    sizes: Histogram,
    both: Group<Sizes>,
    #[stats(labels("class"))]
    by_class: Family<Counter, 1>,
    phase: Text<16>,
    largest: SharedGauge<u64>,
    signals: Counter,
}

/// The publishers that the allocator uses.
static MEMORY: OnceLock<Publisher<Memory>> = OnceLock::new();
static SECOND: OnceLock<(Publisher<Lane>, Key<Counter>)> = OnceLock::new();
static ON: AtomicBool = AtomicBool::new(false);
static TRUTH: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Calls of the program's own on this thread.
    static OWN: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

// SAFETY: forwards to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            if OWN.get() {
                TRUTH.fetch_add(1, Relaxed);
            }
            use_all(layout.size());
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if ON.load(Relaxed)
            && let Some(memory) = MEMORY.get()
        {
            memory.with(|memory| memory.frees.incr());
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn use_all(size: usize) {
    let size = size as u64;
    if let Some(memory) = MEMORY.get() {
        memory.with(|memory| {
            if OWN.get() {
                memory.allocations.incr();
                memory.by_class.get(&[if size < 64 { "small" } else { "large" }]).incr();
            }
            memory.sizes.record(size);
            memory.both.set(&Sizes { last: size, bytes: size });
            memory.phase.set("allocating");
            memory.largest.set(size);
        });
        // None of these may wait for a lock that this thread holds.
        let _ = (memory.problem(), mmstats::global());
        if size == 4_321 {
            let _ = memory.add::<Counter>("late", FieldOptions::new());
            let _ = memory.lane().map(drop);
        }
    }
    if let Some((second, key)) = SECOND.get() {
        second.with(|lane| {
            if let Ok(counter) = lane.attach(*key)
                && OWN.get()
            {
                counter.incr();
            }
        });
    }
}

fn value(directory: &Path, label: &str) -> u64 {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let all = totals(observer.files()).into_iter().filter(|total| total.field.label == label);
    all.map(|total| match total.reading.value {
        Some(OwnedValue::Unsigned(n)) => u64::try_from(n).unwrap(),
        other => panic!("{label}: {other:?}"),
    })
    .sum()
}

/// Samples that were not recorded.
fn refused(directory: &Path) -> u64 {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    observer.files().iter().map(File::samples_refused).sum()
}

/// Uses the publisher when the thread ends, after its thread-local variables.
struct AtExit;

impl Drop for AtExit {
    fn drop(&mut self) {
        MEMORY.get().unwrap().with(|memory| memory.by_class.get(&["exit"]).incr());
        drop(std::hint::black_box(vec![1_u8; 100]));
    }
}

fn a_thousand() {
    thread_local! {
        static AT_EXIT: AtExit = const { AtExit };
    }
    AT_EXIT.with(|_| ());
    OWN.set(true);
    for n in 0..1_000 {
        std::hint::black_box(vec![1_u8; 8 + n % 100]);
    }
    std::hint::black_box(vec![1_u8; 4_321]);
    OWN.set(false);
}

#[test]
fn publisher_used_by_the_allocator_counts() {
    let place = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    let options = || Options::new().directory(place.path()).lanes(2);
    assert!(MEMORY.set(options().start().unwrap()).is_ok());
    let other = Options::new().directory(second.path()).start::<Lane>().unwrap();
    let key = other.add::<Counter>("allocations", FieldOptions::new()).unwrap();
    assert!(SECOND.set((other, key)).is_ok());
    ON.store(true, Relaxed);
    // The allocator's use of this thread is its first.
    a_thousand();
    for _ in 0..20 {
        std::thread::spawn(a_thousand).join().unwrap();
    }
    let memory = MEMORY.get().unwrap();
    // Fields of further files, while the allocator uses the publisher.
    OWN.set(true);
    for n in 0..200 {
        memory.add::<Counter>(format!("plugin.{n}"), FieldOptions::new()).unwrap();
    }
    let key = memory.add::<Counter>("after", FieldOptions::new()).unwrap();
    memory.registry().with(|lane| lane.attach(key)).unwrap().incr();
    OWN.set(false);
    signals();
    ON.store(false, Relaxed);
    let (truth, classes) = (TRUTH.load(Relaxed), value(place.path(), "by_class"));
    assert!(truth > 21_000, "{truth}");
    let counted = value(place.path(), "allocations");
    // Left out: calls of the library itself, while it made handles.
    assert!(
        counted <= truth && counted > truth - truth / 10 && counted >= 21_021,
        "{counted} of {truth}"
    );
    assert!(classes >= 21_021, "{classes}");
    assert!(value(second.path(), "allocations") >= 21_000);
    assert!(value(place.path(), "after") == 1);
    assert!(value(place.path(), "signals") == 100);
    assert!(memory.problem().is_none());
    assert!(refused(place.path()) > 0, "calls of the library itself are counted apart");
}

/// A handler on a thread that has used the publisher.
#[cfg(unix)] // signals
fn signals() {
    extern "C" fn count(_signal: libc::c_int) {
        if let Some(memory) = MEMORY.get() {
            memory.with(|memory| memory.signals.incr());
        }
    }
    let handler: extern "C" fn(libc::c_int) = count;
    // SAFETY: the handler uses a handle of its thread that nothing else uses.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    for _ in 0..100 {
        // SAFETY: has no precondition.
        unsafe { libc::raise(libc::SIGUSR1) };
    }
}

#[cfg(not(unix))] // signals
fn signals() {
    MEMORY.get().unwrap().with(|memory| memory.signals.add(100));
}
