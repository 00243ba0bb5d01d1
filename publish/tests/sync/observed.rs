//! The fields of locks, as an observer in another process sees them.

use std::sync::mpsc;
use std::thread;

use mmstats::sync::{Condvar, Mutex, RwLock};

use crate::child::{run, step};

static FIRST: Mutex<u32> = Mutex::new("first", 0);
static SECOND: Mutex<u32> = Mutex::new("second", 0);
static CONFIG: RwLock<u32> = RwLock::new("config", 0);
static READY: Condvar = Condvar::new("ready #9");

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(work).unwrap()
}

#[test]
fn uncontended_lock_shows_holder_and_count_without_time() {
    let program = || {
        let _mmstats = mmstats::init();
        let held = FIRST.lock().unwrap();
        step("held");
        drop(held);
        step("free");
        for _ in 0..10 {
            *FIRST.lock().unwrap() += 1;
        }
        let held = FIRST.try_lock().unwrap();
        spawn("other", || assert!(FIRST.try_lock().is_err())).join().unwrap();
        step("tried");
        // Not in the order of the locks.
        let second = SECOND.lock().unwrap();
        drop(held);
        step("second");
        drop(second);
        step("all");
    };
    run("observed::uncontended_lock_shows_holder_and_count_without_time", program, |program| {
        program.at("held");
        let seen = program.look();
        let lock = seen.lock("first");
        // The thread has no lane: it has not waited.
        let main = lock.holder.unwrap();
        assert!(main != 0);
        if cfg!(target_os = "linux") {
            let task = format!("/proc/{}/task/{main}", program.id());
            assert!(std::path::Path::new(&task).exists(), "{task}");
        }
        assert_eq!((lock.count, lock.since, lock.noticed), (Some(1), None, None));
        assert_eq!((seen.refused, seen.locks.len(), seen.waiting()), (Some(0), 1, 0));
        program.go("free");
        let lock = program.look().lock("first").clone();
        assert_eq!((lock.holder, lock.count), (Some(0), Some(1)));
        program.go("tried");
        let lock = program.look().lock("first").clone();
        assert_eq!((lock.holder, lock.count, lock.noticed), (Some(main), Some(12), None));
        program.go("second");
        let seen = program.look();
        let of = |name| (seen.lock(name).holder, seen.lock(name).count);
        assert_eq!([of("first"), of("second")], [(Some(0), Some(12)), (Some(main), Some(1))]);
        program.go("all");
        assert_eq!(program.look().lock("second").holder, Some(0));
    });
}

#[test]
fn waits_are_shown_until_they_end() {
    let program = || {
        let _mmstats = mmstats::init();
        let held = FIRST.lock().unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|n| {
                spawn(&format!("waiter-{n}"), || {
                    *FIRST.lock().unwrap() += 1;
                    step("had it");
                })
            })
            .collect();
        step("held");
        drop(held);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        step("all");
    };
    run("observed::waits_are_shown_until_they_end", program, |program| {
        program.at("held");
        let seen = program.look_until(|seen| seen.waiting() == 3);
        let lock = seen.lock("first");
        assert_eq!((lock.count, lock.noticed), (Some(1), Some(1)));
        let waits = || seen.threads.values().flat_map(|thread| &thread.waits).map(|wait| wait.1);
        assert!(waits().any(|since| lock.since == Some(since)), "{seen:#?}");
        let first = waits().min();
        for _ in 0..3 {
            program.go("had it");
        }
        let seen = program.look();
        let lock = seen.lock("first");
        assert_eq!((lock.holder, lock.count, seen.waiting()), (Some(0), Some(4), 0));
        // One that waited knows since when it has the lock.
        assert!(lock.noticed == lock.count && lock.since > first, "{lock:?}");
        program.go("all");
    });
}

#[test]
fn readers_are_shown_up_to_four_for_each_thread() {
    let program = || {
        let _mmstats = mmstats::init();
        let locks: Vec<_> = (1..=6).map(|n| RwLock::with_name(format!("lock {n}"), n)).collect();
        let mut held: Vec<_> = locks.iter().map(|lock| Some(lock.read().unwrap())).collect();
        thread::scope(|scope| {
            let reads = || {
                let again = (locks[0].read().unwrap(), locks[0].try_read().unwrap());
                step("six");
                drop(again.0);
                step("again");
            };
            thread::Builder::new().name("second".to_owned()).spawn_scoped(scope, reads).unwrap();
        });
        // In another order than they were locked, and those beyond the table.
        for n in [1, 5, 0] {
            held[n] = None;
        }
        step("three");
        held[0] = Some(locks[0].read().unwrap());
        held[1] = Some(locks[1].read().unwrap());
        step("five");
        held.clear();
        step("none");
        let writer = locks[2].write().unwrap();
        step("writer");
        drop(writer);
    };
    run("observed::readers_are_shown_up_to_four_for_each_thread", program, |program| {
        let reading = |program: &crate::child::Program, name: &str| {
            let seen = program.look();
            let (_, thread) = seen.thread(name);
            let names = thread.reading.iter().map(|id| seen.locks[id].name.clone());
            let mut names: Vec<_> = names.collect();
            names.sort();
            (names, thread.more)
        };
        // The test's own thread has the name of the test.
        program.at("six");
        let main = {
            let seen = program.look();
            let main = seen.threads.values().find(|thread| thread.name != "second").unwrap();
            assert!(main.name.starts_with("observed") || main.name == "main", "{main:?}");
            main.name.clone()
        };
        let locks = |all: &[u32]| all.iter().map(|n| format!("lock {n}")).collect::<Vec<_>>();
        assert_eq!(reading(program, &main), (locks(&[1, 2, 3, 4]), 2));
        assert_eq!(reading(program, "second"), (locks(&[1, 1]), 0));
        let holders = program.look().locks.into_values().map(|lock| (lock.holder, lock.count));
        assert!(holders.into_iter().all(|lock| lock == (None, Some(0))));
        program.go("again");
        assert_eq!(reading(program, "second"), (locks(&[1]), 0));
        program.go("three");
        assert_eq!(reading(program, &main), (locks(&[3, 4]), 1));
        program.go("five");
        assert_eq!(reading(program, &main), (locks(&[1, 2, 3, 4]), 1));
        program.go("none");
        assert_eq!(reading(program, &main), (vec![], 0));
        program.go("writer");
        let seen = program.look();
        assert_eq!(seen.lock("lock 3").holder, Some(seen.thread(&main).0));
        assert_eq!(seen.lock("lock 3").count, Some(1));
    });
}

#[test]
fn writer_that_waits_for_readers_is_shown_and_holder_is_none() {
    let program = || {
        let _mmstats = mmstats::init();
        *CONFIG.write().unwrap() = 1;
        let reader = CONFIG.read().unwrap();
        let writer = spawn("writer", || drop(CONFIG.write().unwrap()));
        step("waits");
        drop(reader);
        writer.join().unwrap();
        let held = CONFIG.write().unwrap();
        let reader = spawn("reader", || drop(CONFIG.read().unwrap()));
        step("reader waits");
        drop(held);
        reader.join().unwrap();
        step("all");
    };
    run(
        "observed::writer_that_waits_for_readers_is_shown_and_holder_is_none",
        program,
        |program| {
            program.at("waits");
            let seen = program.look_until(|seen| seen.waiting() == 1);
            let id = seen.id("config");
            let text = format!("config #{id}");
            assert_eq!(seen.thread("writer").1.waits_for(), [&text]);
            let readers: Vec<_> =
                seen.threads.values().flat_map(|thread| &thread.reading).collect();
            assert_eq!(readers, [&id]);
            // The readers are not the writer that had it before.
            let lock = seen.lock("config");
            assert_eq!((lock.holder, lock.count, lock.noticed), (Some(0), Some(1), None));
            program.go("reader waits");
            let seen = program.look_until(|seen| seen.waiting() == 1);
            assert_eq!(seen.thread("reader").1.waits_for(), [&text]);
            let lock = seen.lock("config");
            assert_eq!((lock.count, lock.noticed), (Some(3), Some(3)));
            assert!(lock.holder.unwrap() != 0);
            program.go("all");
            assert_eq!(
                (program.look().waiting(), program.look().lock("config").holder),
                (0, Some(0))
            );
        },
    );
}

#[test]
fn condvar_wait_shows_its_mutex_and_frees_it() {
    let program = || {
        let _mmstats = mmstats::init();
        let waiter = spawn("waiter", || {
            let held = READY.wait_while(FIRST.lock().unwrap(), |n| *n == 0).unwrap();
            step("woken");
            drop(held);
        });
        step("waits");
        // Notified, but without its mutex it cannot go on.
        let mut held = FIRST.lock().unwrap();
        *held = 1;
        READY.notify_all();
        step("notified");
        drop(held);
        waiter.join().unwrap();
    };
    run("observed::condvar_wait_shows_its_mutex_and_frees_it", program, |program| {
        program.at("waits");
        let seen = program.look_until(|seen| seen.waiting() == 1);
        let text = format!("condvar ready #9 #{}", seen.id("first"));
        let (waiter, thread) = seen.thread("waiter");
        assert_eq!(thread.waits_for(), [&text]);
        assert_eq!((seen.lock("first").holder, seen.lock("first").count), (Some(0), Some(1)));
        program.go("notified");
        let seen = program.look();
        assert_eq!(seen.thread("waiter").1.waits_for(), [&text]);
        let holder = seen.lock("first").holder.unwrap();
        assert!(holder != 0 && holder != waiter);
        program.go("woken");
        let seen = program.look();
        assert_eq!((seen.lock("first").holder, seen.waiting()), (Some(waiter), 0));
        assert_eq!(seen.lock("first").count, Some(3));
        program.go("end");
    });
}

#[test]
fn locks_beyond_the_limit_are_counted_and_work() {
    let program = || {
        let _mmstats = mmstats::init();
        let mut locks: Vec<_> =
            (0..300).map(|n| Mutex::with_name(format!("lock {n}"), n)).collect();
        for _ in 0..2 {
            locks.iter().for_each(|lock| *lock.lock().unwrap() += 1);
        }
        let held = locks[299].lock().unwrap();
        assert_eq!(*held, 301);
        step("all");
        drop(held);
        // Another look for the publisher changes nothing.
        mmstats::recorder_support::change_epoch();
        locks.iter().for_each(|lock| drop(lock.lock()));
        step("again");
        locks.truncate(290);
        step("fewer without fields");
        locks.drain(..10);
        mmstats::recorder_support::change_epoch();
        locks.iter().for_each(|lock| drop(lock.lock()));
        step("ten get fields");
        locks.truncate(100);
        let later = Mutex::new("later", ());
        drop(later.lock());
        step("fewer");
        drop((later, locks));
        step("none");
    };
    run("observed::locks_beyond_the_limit_are_counted_and_work", program, |program| {
        program.at("all");
        let seen = program.look();
        assert_eq!((seen.locks.len(), seen.refused), (256, Some(44)));
        assert!(seen.locks.values().all(|lock| lock.count == Some(2)));
        for (step, refused) in [("again", 44), ("fewer without fields", 34), ("ten get fields", 24)]
        {
            program.go(step);
            let seen = program.look();
            assert_eq!((seen.locks.len(), seen.refused), (256, Some(refused)), "{step}");
        }
        program.go("fewer");
        let seen = program.look();
        assert_eq!((seen.locks.len(), seen.refused), (101, Some(0)));
        assert_eq!(seen.lock("later").count, Some(1));
        program.go("none");
        let seen = program.look();
        assert_eq!((seen.locks.len(), seen.refused), (0, Some(0)));
    });
}

#[test]
fn locks_of_one_name_stay_apart_and_dropped_ones_vanish() {
    let program = || {
        let _mmstats = mmstats::init();
        let (one, two) = (Mutex::new("same", ()), Mutex::new("same", ()));
        let (held, _) = (one.lock().unwrap(), two.lock().unwrap());
        drop(two.lock());
        step("two");
        drop(held);
        drop(one);
        step("one");
        drop(two);
        step("none");
        // Many times, as a server does for each connection: the room is used again.
        let long = "a name \0 of more than 255 bytes: ".to_owned() + &"\u{e4}".repeat(300);
        for n in 0..2_000 {
            let mutex =
                Mutex::with_name(if n % 2 == 0 { "same".to_owned() } else { long.clone() }, n);
            *mutex.lock().unwrap() += 1;
        }
        let again = Mutex::new("same", ());
        let held = again.lock().unwrap();
        step("again");
        drop(held);
    };
    run("observed::locks_of_one_name_stay_apart_and_dropped_ones_vanish", program, |program| {
        program.at("two");
        let locks: Vec<_> = program.look().locks.into_iter().collect();
        let [(one, first), (two, second)] = &locks[..] else { panic!("{locks:?}") };
        assert_eq!((&*first.name, &*second.name), ("same", "same"));
        assert!(one < two && first.holder != Some(0) && second.holder == Some(0));
        assert_eq!((first.count, second.count), (Some(1), Some(2)));
        program.go("one");
        assert_eq!(program.look().locks.into_keys().collect::<Vec<_>>(), [*two]);
        program.go("none");
        assert_eq!(program.look().locks.len(), 0);
        let size = program.size();
        program.go("again");
        let seen = program.look();
        assert_eq!((seen.locks.len(), seen.refused), (1, Some(0)));
        let lock = seen.lock("same");
        assert_eq!((lock.count, lock.since, lock.noticed), (Some(1), None, None));
        assert!(lock.holder.is_some_and(|holder| holder != 0));
        assert_eq!(program.size(), size, "the files grow");
    });
}

#[test]
fn long_name_is_cut_in_waits_and_number_stays() {
    let program = || {
        let _mmstats = mmstats::init();
        let mutex: &'static Mutex<()> =
            Box::leak(Box::new(Mutex::with_name("\u{20ac}".repeat(99), ())));
        let _held = mutex.lock().unwrap();
        spawn("waiter", || drop(mutex.lock()));
        step("waits");
    };
    run("observed::long_name_is_cut_in_waits_and_number_stays", program, |program| {
        program.at("waits");
        let seen = program.look_until(|seen| seen.waiting() == 1);
        let id = seen.locks.keys().next().unwrap();
        let text = format!("{} #{id}", "\u{20ac}".repeat(20));
        assert_eq!(seen.thread("waiter").1.waits_for(), [&text]);
        assert_eq!(seen.locks[id].name, "\u{20ac}".repeat(85));
    });
}

#[test]
fn panic_with_lock_frees_it_and_ended_threads_leave_nothing() {
    let program = || {
        let _mmstats = mmstats::init();
        let ended = spawn("panics", || {
            let _config = CONFIG.read().unwrap();
            let _held = FIRST.lock().unwrap();
            std::panic::resume_unwind(Box::new("no message"));
        });
        ended.join().unwrap_err();
        assert!(FIRST.is_poisoned());
        step("poisoned");
        let held = FIRST.lock().unwrap_or_else(mmstats::sync::PoisonError::into_inner);
        step("held");
        drop(held);
        // A guard that is forgotten is held for ever.
        spawn("forgets", || std::mem::forget(SECOND.lock().unwrap())).join().unwrap();
        step("forgotten");
        let (sender, receiver) = mpsc::channel::<()>();
        let reader = spawn("reader", move || {
            std::mem::forget(CONFIG.read().unwrap());
            receiver.recv().unwrap_err();
        });
        step("reader");
        drop(sender);
        reader.join().unwrap();
        step("all");
    };
    run("observed::panic_with_lock_frees_it_and_ended_threads_leave_nothing", program, |program| {
        program.at("poisoned");
        let seen = program.look();
        assert_eq!((seen.lock("first").holder, seen.lock("first").count), (Some(0), Some(1)));
        assert!(seen.threads.values().all(|thread| thread.reading.is_empty()));
        program.go("held");
        assert!(program.look().lock("first").holder.unwrap() != 0);
        program.go("forgotten");
        assert!(program.look().lock("second").holder.unwrap() != 0);
        program.go("reader");
        let reads = |thread: &crate::child::Thread| !thread.reading.is_empty();
        let seen = program.look_until(|seen| seen.threads.values().any(reads));
        assert_eq!(seen.thread("reader").1.reading, [seen.id("config")]);
        program.go("all");
        let seen = program.look();
        assert!(seen.locks.len() == 3, "{seen:#?}");
        assert!(seen.threads.values().all(|thread| thread.reading.is_empty()), "{seen:#?}");
    });
}

#[test]
fn locks_that_come_and_go_in_many_threads_keep_their_values() {
    let program = || {
        let _mmstats = mmstats::init();
        let all: Vec<_> = (0..4)
            .map(|thread| {
                spawn(&format!("thread-{thread}"), move || {
                    let mut kept: Vec<Mutex<u32>> = Vec::new();
                    for n in 0..1_000_u32 {
                        let mutex = Mutex::with_name(format!("lock {thread}"), n);
                        drop(mutex.lock());
                        if kept.len() < 20 {
                            kept.push(mutex);
                        } else {
                            kept[n as usize % 20] = mutex;
                        }
                    }
                    kept
                })
            })
            .collect();
        let kept: Vec<_> = all.into_iter().map(|thread| thread.join().unwrap()).collect();
        step("kept");
        drop(kept);
    };
    run("observed::locks_that_come_and_go_in_many_threads_keep_their_values", program, |program| {
        program.at("kept");
        let seen = program.look();
        assert_eq!((seen.locks.len(), seen.refused), (80, Some(0)));
        for lock in seen.locks.values() {
            assert_eq!((lock.holder, lock.count), (Some(0), Some(1)), "{lock:?}");
            assert_eq!((lock.since, lock.noticed), (None, None), "{lock:?}");
        }
    });
}
