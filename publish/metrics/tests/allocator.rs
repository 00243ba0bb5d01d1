//! A global allocator that counts through the facade.
#![allow(missing_docs, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use metrics::{counter, gauge, histogram};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};

static ON: AtomicBool = AtomicBool::new(false);
static TRUTH: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OWN: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

// SAFETY: forwards to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    #[allow(clippy::cast_precision_loss)] // Any value.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            if OWN.get() {
                TRUTH.fetch_add(1, Relaxed);
                counter!("allocations").increment(1);
            }
            counter!("all").increment(1);
            histogram!("sizes").record(layout.size() as f64);
            gauge!("last").set(layout.size() as f64);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            counter!("frees").increment(1);
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Uses the facade when the thread ends, after its thread-local variables.
struct AtExit;

impl Drop for AtExit {
    fn drop(&mut self) {
        counter!("exits").increment(1);
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
    OWN.set(false);
}

#[test]
fn facade_used_by_the_allocator_counts() {
    let place = tempfile::tempdir().unwrap();
    let publisher =
        mmstats::Options::new().directory(place.path()).start::<mmstats::Lane>().unwrap();
    mmstats_metrics::Recorder::new(&publisher.registry()).install().unwrap();
    ON.store(true, Relaxed);
    a_thousand();
    for _ in 0..10 {
        std::thread::spawn(a_thousand).join().unwrap();
    }
    // New metrics while the allocator uses old ones.
    for n in 0..100 {
        counter!("new", "n" => n.to_string()).increment(1);
    }
    ON.store(false, Relaxed);
    let mut observer = Observer::new(Sources::new().path(place.path()));
    observer.refresh();
    let all = totals(observer.files());
    let sum = |label: &str| -> u128 {
        let values = all.iter().filter(|total| total.field.label == label);
        values
            .map(|total| match total.reading.value {
                Some(OwnedValue::Unsigned(n)) => n,
                ref other => panic!("{label}: {other:?}"),
            })
            .sum()
    };
    let (truth, counted) = (u128::from(TRUTH.load(Relaxed)), sum("allocations"));
    assert!(truth >= 11_000 && counted >= 11_000 && counted <= truth, "{counted} of {truth}");
    assert_eq!((sum("new"), sum("exits")), (100, 11 - 1));
    assert!(sum("frees") > 10_000);
    // Updates of the library's own allocations.
    assert!(sum("metrics.lost") > 0);
}
