//! Pools, and tasks that move between threads, use `Publisher::with`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use mmstats::{Counter, Gauge, Options, Publisher, Stats};
use mmstats_tests::look::{look, total, unsigned};

use mmstats_tests::actor::directory;

#[derive(Stats)]
struct Pool {
    steps: Counter,
    in_flight: Gauge<i64>,
}

/// Each step of a task counts on the thread that runs it.
#[test]
fn tasks_that_move_between_threads_sum_exactly() {
    const TASKS: u64 = 200;
    const STEPS: u64 = 20;
    let directory = directory();
    let publisher: Publisher<Pool> =
        Options::new().directory(directory.path()).lanes(2).start().unwrap();
    let moved = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let mut rounds = 0;
    // On a busy machine one thread may run a whole round.
    while moved.load(Ordering::Relaxed) == 0 && rounds < 200 {
        rounds += 1;
        runtime.block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let (publisher, moved) = (publisher.clone(), Arc::clone(&moved));
                    tokio::spawn(async move {
                        publisher.with(|pool| pool.in_flight.add(1));
                        let mut threads = HashSet::new();
                        for step in 0..STEPS {
                            publisher.with(|pool| pool.steps.incr());
                            threads.insert(std::thread::current().id());
                            if step % 5 == 0 {
                                tokio::time::sleep(Duration::from_millis(1)).await;
                            } else {
                                tokio::task::yield_now().await;
                            }
                        }
                        publisher.with(|pool| pool.in_flight.sub(1));
                        moved.fetch_add(u64::from(threads.len() > 1), Ordering::Relaxed);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
    assert!(moved.load(Ordering::Relaxed) > 0, "no task moved, so nothing was tried");
    let observer = look(directory.path());
    assert_eq!(unsigned(&observer, "steps"), u128::from(rounds * TASKS * STEPS));
    // A task that ends on another thread leaves +1 and -1 in two lanes: the sum is right as long
    // as both threads live.
    assert_eq!(total(&observer, "in_flight").value.unwrap().as_f64(), Some(0.0));
    drop(runtime);
    assert_eq!(unsigned(&look(directory.path()), "steps"), u128::from(rounds * TASKS * STEPS));
}

/// A pool of plain threads: any free thread continues a job.
#[test]
fn jobs_of_a_thread_pool_sum_exactly() {
    const JOBS: u64 = 500;
    const STEPS: u64 = 10;
    let directory = directory();
    let publisher: Publisher<Pool> =
        Options::new().directory(directory.path()).lanes(3).start().unwrap();
    let (send, receive) = mpsc::channel();
    let receive = Mutex::new(receive);
    for _ in 0..JOBS {
        send.send(STEPS).unwrap();
    }
    let left = AtomicU64::new(JOBS);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let send = send.clone();
            let (receive, left, publisher) = (&receive, &left, &publisher);
            scope.spawn(move || {
                let start = Instant::now();
                while left.load(Ordering::Relaxed) > 0 {
                    assert!(start.elapsed() < Duration::from_secs(30), "jobs were lost");
                    let job = receive.lock().unwrap().try_recv();
                    let Ok(steps) = job else {
                        std::thread::yield_now();
                        continue;
                    };
                    publisher.with(|pool| pool.steps.incr());
                    match steps {
                        1 => drop(left.fetch_sub(1, Ordering::Relaxed)),
                        more => send.send(more - 1).unwrap(),
                    }
                }
            });
        }
    });
    let observer = look(directory.path());
    assert_eq!(unsigned(&observer, "steps"), u128::from(JOBS * STEPS));
    assert_eq!(observer.files().len(), 1);
}
