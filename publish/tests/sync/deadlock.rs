//! The example of a deadlock, seen from outside.

use std::time::{Duration, SystemTime};

use crate::child::{Seen, run};

#[path = "../../examples/deadlock.rs"]
mod example;

/// The threads of a cycle, by the rule of FORMAT.md: two looks show the same holders and counts.
fn cycle(before: &Seen, after: &Seen) -> Vec<String> {
    let waits_for = |seen: &Seen, thread: u64| -> Option<(u64, u64)> {
        let (text, _) = seen.threads.get(&thread)?.waits.first()?;
        let lock = text.rsplit_once(" #")?.1.parse().ok()?;
        Some((lock, seen.locks.get(&lock)?.holder?))
    };
    for &start in after.threads.keys() {
        let (mut at, mut path) = (start, Vec::new());
        while let Some((lock, holder)) = waits_for(after, at) {
            if waits_for(before, at) != Some((lock, holder))
                || before.locks[&lock].count != after.locks[&lock].count
                || path.len() > after.threads.len()
            {
                break;
            }
            path.push(after.threads[&at].name.clone());
            at = holder;
            if at == start {
                return path;
            }
        }
    }
    Vec::new()
}

#[test]
fn deadlock_of_six_threads_is_seen_live_and_after_kill() {
    let program = || example::main().unwrap();
    run("deadlock::deadlock_of_six_threads_is_seen_live_and_after_kill", program, |program| {
        let before = program.look_until(|seen| seen.waiting() == 6);
        let live = program.look();
        program.kill();
        let dead = program.look();
        assert_eq!((&before, &live), (&live, &dead));

        let (transfer, audit) = (live.thread("transfer"), live.thread("audit"));
        let (accounts, log) = (live.lock("accounts"), live.lock("log"));
        // Once at the start of the example, once by the thread that has it.
        assert_eq!((accounts.holder, accounts.count), (Some(transfer.0), Some(2)));
        assert_eq!((log.holder, log.count), (Some(audit.0), Some(2)));
        let text = |name| format!("{name} #{}", live.id(name));
        assert_eq!(transfer.1.waits_for(), [&text("log")]);
        assert_eq!(audit.1.waits_for(), [&text("accounts")]);
        for n in 1..=4 {
            assert_eq!(live.thread(&format!("inquiry-{n}")).1.waits_for(), [&text("accounts")]);
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        for lock in [accounts, log] {
            // Held at least since one of its first waiters began.
            assert_eq!(lock.noticed, lock.count);
            let mut waits = live.threads.values().flat_map(|thread| &thread.waits);
            let is_of = |(text, since): &(String, u64)| {
                text.starts_with(&lock.name) && lock.since == Some(*since)
            };
            assert!(waits.any(is_of), "{live:#?}");
            let age = now - Duration::from_nanos(lock.since.unwrap());
            assert!(age < Duration::from_secs(60), "{age:?}");
        }
        let mut found = cycle(&before, &live);
        found.sort();
        assert_eq!(found, ["audit", "transfer"]);
        // A lock that was given on meanwhile is none.
        let mut moved = before.clone();
        moved.locks.get_mut(&live.id("log")).unwrap().count = Some(1);
        assert_eq!(cycle(&moved, &live), Vec::<String>::new());
    });
}
