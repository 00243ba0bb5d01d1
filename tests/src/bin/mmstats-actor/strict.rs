//! Updates of every kind in a mode that kills at a system call.

use std::hint::black_box;
use std::path::Path;
use std::time::{Instant, SystemTime};

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use mmstats::FieldOptions;
use mmstats::{Options, Publisher};
use mmstats_tests::everything::Everything;
use mmstats_tests::further::Further;
use mmstats_tests::system;

use crate::lines::say;

/// Work in the strict mode.
pub(crate) fn run(directory: &Path, words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["clock"] => clock(),
        [updates, system_calls, clock] => {
            let number = |word: &str| word.parse().expect("a number");
            update(directory, number(updates), number(system_calls), clock == "clock");
        }
        _ => panic!("clock, or UPDATES SYSTEM-CALLS clock|no-clock"),
    }
}

/// Enters the strict mode; if a clock is read, the mode with a filter, since the strict one disables
/// the time stamp counter.
fn enter(clock: bool) -> bool {
    say("ready");
    if clock { system::enter_exit_only_mode() } else { system::enter_strict_mode() }
        .inspect_err(|error| say(format_args!("skipped: no such mode here: {error}")))
        .is_ok()
}

/// Reads the clocks, which kills the process where that is a system call.
fn clock() {
    if enter(true) {
        black_box((Instant::now(), SystemTime::now()));
        system::exit_in_strict_mode();
    }
}

fn update(directory: &Path, updates: u32, system_calls: u32, clock: bool) {
    // Another thread would keep the process when this one exits.
    let options = || Options::new().directory(directory).lanes(3).without_watcher();
    let publisher: Publisher<Everything> = options().name("everything").start().expect("files");
    let further: Publisher<Further> = options().name("further").start().expect("files");
    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // There are none elsewhere.
    let (shared, added) = (
        further.shared::<u64>("shared", FieldOptions::new()).expect("a field"),
        further.shared::<i64>("shared_added", FieldOptions::new()).expect("a field"),
    );
    let (plain, plain_further) =
        (publisher.lane().expect("a lane"), further.lane().expect("a lane"));
    let update_further = |stats: &Further, n| {
        stats.update(n);
        stats.update_by_coarse_clock();
        if clock {
            stats.update_by_clock(n);
        }
    };
    // The first calls of a thread claim its lane and look up its fields.
    publisher.with(|stats| stats.update(0));
    further.with(|stats| update_further(stats, 0));
    for n in 1..10 {
        further.with(|stats| stats.update(n));
        plain_further.update(n);
    }
    plain_further.update(0);
    if !enter(clock) {
        return;
    }
    for n in 1..=updates {
        plain.update(black_box(n));
        publisher.with(|stats| stats.update(black_box(n)));
        update_further(&plain_further, black_box(n));
        further.with(|stats| update_further(stats, black_box(n)));
        #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
        {
            shared.set(n.into());
            added.add(3);
            added.sub(2);
        }
    }
    for _ in 0..system_calls {
        system::harmless_system_call();
    }
    system::exit_in_strict_mode();
}
