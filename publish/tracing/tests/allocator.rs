//! Enter and exit allocate nothing.
#![allow(missing_docs, unsafe_code)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use support::{Seen, defaults, program};
use tracing::{Instrument, info_span};

thread_local! {
    /// Number of allocations of this thread.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: forwards to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Number of allocations of this thread in `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[test]
fn enter_and_exit_allocate_nothing() {
    let program = program(defaults());
    program.run(|| {
        let spans: Vec<_> = (0..60).map(|n| info_span!("span", n, text = "some text")).collect();
        // The registry's own stack grows once.
        let nested = |spans: &[tracing::Span]| {
            let entered: Vec<_> = spans.iter().map(tracing::Span::enter).collect();
            drop(entered);
        };
        nested(&spans);
        let mut entered = Vec::with_capacity(60);
        let count = allocations(|| {
            for _ in 0..100 {
                entered.extend(spans.iter().map(tracing::Span::enter));
                // The innermost first, and the outermost first.
                while let Some(one) = entered.pop() {
                    drop(one);
                }
                entered.extend(spans.iter().map(tracing::Span::enter));
                entered.drain(..);
            }
        });
        assert_eq!(count, 0);
        // Spans that another thread opened, of which this one has no text yet.
        std::thread::scope(|scope| {
            let spans = &spans;
            scope.spawn(move || {
                program_run_on_another_thread(spans);
            });
        });
        drop(entered);
    });
    let seen = program.seen();
    assert_eq!(Seen::latency(&seen.busy, "span").0, 60);
}

fn program_run_on_another_thread(spans: &[tracing::Span]) {
    // The first use claims a lane.
    spans[0].in_scope(|| ());
    let count = allocations(|| {
        for span in &spans[1..] {
            span.in_scope(|| ());
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn polls_of_a_task_allocate_nothing() {
    let program = program(defaults());
    program.run(|| {
        let mut task = Box::pin(std::future::pending::<()>().instrument(info_span!("task", n = 1)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = task.as_mut().poll(&mut context);
        let count = allocations(|| {
            for _ in 0..1_000 {
                let _ = task.as_mut().poll(&mut context);
            }
        });
        assert_eq!(count, 0);
        assert_eq!(program.seen().open(), ["task{n=1}"]);
    });
}
