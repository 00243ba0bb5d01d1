//! A million updates of every kind, in a mode where a system call is death.

use std::hint::black_box;
use std::path::Path;

use mmstats::{Options, Publisher};
use mmstats_tests::everything::Everything;
use mmstats_tests::system;

use crate::say;

pub(crate) fn run(directory: &Path, words: &[String]) {
    let [updates, system_calls] = words else { panic!("UPDATES SYSTEM-CALLS") };
    let updates: u32 = updates.parse().expect("a number");
    let system_calls: u32 = system_calls.parse().expect("a number");
    let options = Options::new().directory(directory).lanes(2);
    let publisher: Publisher<Everything> = options.start().expect("a publisher");
    let stats = publisher.lane().expect("a lane");
    // The first call of a thread takes its lane.
    publisher.with(|stats| stats.update(0));
    say("ready");
    if let Err(error) = system::enter_strict_mode() {
        say(format_args!("skipped: no strict mode here: {error}"));
        return;
    }
    for n in 1..=updates {
        stats.update(black_box(n));
        publisher.with(|stats| stats.update(black_box(n)));
    }
    for _ in 0..system_calls {
        system::harmless_system_call();
    }
    system::exit_in_strict_mode();
}
