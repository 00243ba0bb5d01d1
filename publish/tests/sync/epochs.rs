//! Publishers that start late, end, and are started again; forked children.

use std::thread;

use mmstats::sync::{Mutex, RwLock};

use crate::child::{run, step};

static LOCK: Mutex<u32> = Mutex::new("lock", 0);
static TABLE: RwLock<u32> = RwLock::new("table", 0);

#[test]
fn publisher_that_starts_later_shows_what_is_known() {
    let program = || {
        let held = LOCK.lock().unwrap();
        let read = TABLE.read().unwrap();
        let mmstats = mmstats::init();
        step("started");
        // Locked before the publisher started: nobody knows by whom.
        let waiter = thread::Builder::new().name("waiter".to_owned());
        let waiter = waiter
            .spawn(|| {
                let held = LOCK.lock().unwrap();
                step("taken over");
                drop(held);
            })
            .unwrap();
        step("waits");
        drop(held);
        waiter.join().unwrap();
        drop(read);
        let read = TABLE.read().unwrap();
        step("read");
        drop(mmstats);
        drop((LOCK.lock().unwrap(), read));
        drop(TABLE.read().unwrap());
        step("closed");
        // Another publisher.
        let held = LOCK.lock().unwrap();
        let mmstats = mmstats::init();
        drop(held);
        let held = (LOCK.lock().unwrap(), TABLE.read().unwrap());
        step("again");
        drop((held, mmstats));
    };
    run("epochs::publisher_that_starts_later_shows_what_is_known", program, |program| {
        program.at("started");
        assert_eq!(program.look().locks.len(), 0);
        program.go("waits");
        let seen = program.look_until(|seen| seen.waiting() == 1);
        let lock = seen.lock("lock");
        // Held by whom is not known, but since when at least.
        assert_eq!((lock.holder, lock.count, lock.noticed), (None, Some(0), Some(0)));
        assert_eq!(lock.since, Some(seen.thread("waiter").1.waits[0].1));
        program.go("taken over");
        let seen = program.look();
        assert_eq!(seen.lock("lock").holder, Some(seen.thread("waiter").0));
        assert_eq!(seen.lock("lock").count, Some(1));
        program.go("read");
        let seen = program.look();
        let reading: Vec<_> = seen.threads.values().flat_map(|thread| &thread.reading).collect();
        assert_eq!(reading, [&seen.id("table")]);
        program.go("closed");
        assert_eq!(program.look().locks.len(), 0);
        program.go("again");
        let seen = program.look();
        let lock = seen.lock("lock");
        assert!(lock.holder.unwrap() != 0);
        assert_eq!(lock.count, Some(1));
        let reading: Vec<_> = seen.threads.values().flat_map(|thread| &thread.reading).collect();
        assert_eq!(reading, [&seen.id("table")]);
        assert_eq!(seen.locks.len(), 2);
        program.go("end");
    });
}

/// A recorder whose publisher ends changes the epoch, and nothing else.
#[test]
fn change_of_another_publisher_keeps_fields() {
    let program = || {
        let _mmstats = mmstats::init();
        let (held, read) = (LOCK.lock().unwrap(), TABLE.read().unwrap());
        step("before");
        mmstats::recorder_support::change_epoch();
        let more = (TABLE.read().unwrap(), Mutex::new("new", ()));
        drop(more.1.lock());
        step("changed");
        drop((held, read));
        drop(LOCK.lock().unwrap());
        step("after");
        drop(more);
    };
    run("epochs::change_of_another_publisher_keeps_fields", program, |program| {
        program.at("before");
        let before = program.look();
        program.go("changed");
        let changed = program.look();
        assert_eq!(before.lock("lock"), changed.lock("lock"));
        assert_eq!(before.id("lock"), changed.id("lock"));
        let table = changed.id("table");
        let reading: Vec<_> = changed.threads.values().flat_map(|t| t.reading.clone()).collect();
        assert_eq!(reading, [table, table]);
        program.go("after");
        let after = program.look();
        assert_eq!((after.lock("lock").holder, after.lock("lock").count), (Some(0), Some(2)));
        assert_eq!(after.id("lock"), changed.id("lock"));
        let reading: Vec<_> = after.threads.values().flat_map(|t| t.reading.clone()).collect();
        assert_eq!(reading, [table]);
    });
}

#[test]
#[cfg(target_os = "linux")] // fork
fn forked_child_shows_its_locks_in_its_publisher() {
    let program = || {
        let _mmstats = mmstats::init();
        let held = LOCK.lock().unwrap();
        drop(TABLE.write().unwrap());
        // SAFETY: has no precondition; this thread is the only one that uses the library.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(held); // The copy of the child.
            drop(TABLE.read().unwrap()); // Before the child publishes.
            let _mine = mmstats::init();
            let held = LOCK.lock().unwrap();
            let read = TABLE.read().unwrap();
            step(&format!("child {}", std::process::id()));
            drop((held, read));
            step("child has ended");
            std::process::exit(0);
        }
        let mut status = 0;
        // SAFETY: `status` is a variable of this function.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
        step("parent");
        drop(held);
    };
    run("epochs::forked_child_shows_its_locks_in_its_publisher", program, |program| {
        let child: u32 = program.at_prefix("child ").parse().unwrap();
        let (of_parent, of_child) = (program.look(), program.look_at(child));
        let parent = of_parent.lock("lock");
        assert!(parent.holder.is_some_and(|id| id != 0 && id != u64::from(child)));
        assert_eq!(parent.count, Some(1));
        let lock = of_child.lock("lock");
        // The main thread of the child has its process id.
        assert_eq!((lock.holder, lock.count), (Some(child.into()), Some(1)));
        assert_eq!(of_child.threads[&u64::from(child)].reading, [of_child.id("table")]);
        assert_eq!(of_child.lock("table").count, Some(0));
        assert!(of_child.id("lock") != of_parent.id("lock"));
        program.go("child has ended");
        program.go("parent");
        assert_eq!(program.look().lock("lock"), parent);
        program.go("end");
    });
}

#[test]
fn locks_are_shown_by_each_of_many_publishers() {
    let program = || {
        for n in 1..=7 {
            let _mmstats = mmstats::init();
            drop((LOCK.lock().unwrap(), TABLE.write().unwrap()));
            let held = (LOCK.lock().unwrap(), TABLE.read().unwrap());
            let builder = thread::Builder::new().name("waiter".to_owned());
            let waiter = builder.spawn(|| drop(LOCK.lock().unwrap())).unwrap();
            step(&format!("publisher {n}"));
            drop(held);
            waiter.join().unwrap();
            step(&format!("end of {n}"));
        }
    };
    run("epochs::locks_are_shown_by_each_of_many_publishers", program, |program| {
        program.at("publisher 1");
        for n in 1..=7 {
            let seen = program.look_until(|seen| seen.waiting() == 1);
            let lock = seen.lock("lock");
            assert!(lock.holder.is_some_and(|holder| holder != 0));
            assert_eq!((lock.count, lock.noticed), (Some(2), Some(2)));
            let reading: Vec<_> = seen.threads.values().flat_map(|t| &t.reading).collect();
            assert_eq!((reading, seen.lock("table").count), (vec![&seen.id("table")], Some(1)));
            program.go(&format!("end of {n}"));
            let seen = program.look();
            assert_eq!((seen.lock("lock").holder, seen.lock("lock").count), (Some(0), Some(3)));
            program.go(&if n < 7 { format!("publisher {}", n + 1) } else { "end".to_owned() });
        }
    });
}

#[test]
fn lock_under_more_publishers_than_it_keeps_is_refused_once() {
    let program = || {
        for _ in 1..=64 {
            let _mmstats = mmstats::init();
            drop(LOCK.lock().unwrap());
        }
        let _mmstats = mmstats::init();
        drop(LOCK.lock().unwrap());
        step("refused");
        mmstats::recorder_support::change_epoch();
        drop((LOCK.lock().unwrap(), TABLE.read().unwrap()));
        step("again");
    };
    run("epochs::lock_under_more_publishers_than_it_keeps_is_refused_once", program, |program| {
        program.at("refused");
        let seen = program.look();
        assert_eq!((seen.locks.len(), seen.refused), (0, Some(1)));
        program.go("again");
        let seen = program.look();
        assert_eq!((seen.locks.len(), seen.refused), (1, Some(1)));
        assert_eq!(seen.lock("table").count, Some(0));
    });
}
