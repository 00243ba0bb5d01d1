//! The runtime tokio: tasks that move between threads, and blocking work.
#![allow(missing_docs)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use std::time::Duration;

use support::{Seen, age, defaults, program, wait};
use tokio::sync::oneshot;
use tracing::{Instrument, info_span, instrument};

#[instrument]
async fn request(number: u64, wakes: oneshot::Receiver<()>) {
    step(number).await;
    let _ = wakes.await;
}

#[instrument]
async fn step(number: u64) {
    for _ in 0..3 {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[instrument]
fn blocking(number: u64, go_on: &std::sync::Barrier) {
    go_on.wait();
    go_on.wait();
}

/// A runtime whose threads use the layer.
fn runtime(program: &support::Program) -> tokio::runtime::Runtime {
    let dispatch = program.dispatch.clone();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name("worker")
        .enable_all()
        .on_thread_start(move || {
            let guard = tracing::dispatcher::set_default(&dispatch);
            std::mem::forget(guard); // Until the thread ends.
        })
        .build()
        .unwrap()
}

#[test]
fn span_whose_future_never_wakes_stays_open_with_its_age() {
    let program = program(defaults());
    let runtime = runtime(&program);
    let mut wakers = Vec::new();
    let mut tasks = Vec::new();
    for number in 0..40 {
        let (wake, wakes) = oneshot::channel();
        wakers.push(wake);
        tasks.push(runtime.spawn(request(number, wakes)));
    }
    // All but one wake.
    let never = wakers.remove(17);
    for (number, task) in tasks.into_iter().enumerate().filter(|(number, _)| *number != 17) {
        let _ = wakers.remove(0).send(());
        runtime.block_on(task).unwrap();
        let _ = number;
    }
    let place = program.place.path();
    let seen =
        wait(place, |seen| seen.open.len() == 1 && age(&seen.open[0]) > Duration::from_millis(500));
    assert!(seen.open()[0].starts_with("request{number=17 wakes="), "{seen:?}");
    assert!(seen.stacks.is_empty(), "no thread is in it: {seen:?}");
    let ended =
        |seen: &Seen, name| (Seen::latency(&seen.busy, name).0, Seen::latency(&seen.idle, name).0);
    assert_eq!(ended(&seen, "request"), (39, 39));
    assert_eq!(ended(&seen, "step"), (40, 40));
    let (_, idle) = Seen::latency(&seen.idle, "step");
    assert!(idle >= 3.0, "it slept for three milliseconds: {idle}");
    let _ = never.send(());
    wait(place, |seen| seen.open.is_empty() && ended(seen, "request") == (40, 40));
}

#[test]
fn blocking_work_is_on_the_stack_of_its_thread() {
    let program = program(defaults());
    let runtime = runtime(&program);
    let go_on = std::sync::Arc::new(std::sync::Barrier::new(2));
    let outer = program.run(|| info_span!("outer"));
    let task = {
        let go_on = std::sync::Arc::clone(&go_on);
        runtime.spawn(
            async move {
                let outer = tracing::Span::current();
                tokio::task::spawn_blocking(move || outer.in_scope(|| blocking(1, &go_on))).await
            }
            .instrument(outer),
        )
    };
    go_on.wait();
    let place = program.place.path();
    // The task waits, so its thread has left the span.
    let seen = wait(place, |seen| seen.stacks.values().map(Vec::len).sum::<usize>() == 2);
    assert_eq!(seen.open.len(), 2);
    assert_eq!(seen.stack("worker")[0], "outer");
    assert!(seen.stack("worker")[1].starts_with("blocking{number=1"), "{seen:?}");
    go_on.wait();
    runtime.block_on(task).unwrap().unwrap();
    wait(place, |seen| seen.open.is_empty() && seen.stacks.is_empty());
}

#[test]
fn many_tasks_are_all_counted() {
    let program = program(defaults());
    let runtime = runtime(&program);
    let tasks: Vec<_> = (0..2_000).map(|n| runtime.spawn(step(n))).collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let place = program.place.path();
    let seen = wait(place, |seen| seen.open.is_empty() && seen.stacks.is_empty());
    let timed = Seen::latency(&seen.busy, "step").0;
    assert_eq!(u128::from(timed) + seen.untracked, 2_000);
    // Tasks move between threads, one at a time.
    assert_eq!(Seen::latency(&seen.idle, "step").0, timed);
}
