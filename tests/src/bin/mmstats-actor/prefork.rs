//! A prefork server: one process listens, its children answer.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;

use mmstats::{Options, Publisher};
use mmstats_tests::everything::Everything;
use mmstats_tests::system;

use crate::lines::{hear, say};
use crate::publish::of_parent;

/// The parent publishes, listens on SOCKET and forks on request. Each worker publishes for itself,
/// counts a request, and answers it with its process id.
pub(crate) fn run(directory: &Path, words: &[String]) {
    let [socket] = words else { panic!("SOCKET") };
    let listener = UnixListener::bind(socket).expect("a socket");
    let options = || of_parent(directory);
    let parent: Publisher<Everything> = options().name("parent").start().expect("a publisher");
    let stats = parent.lane().expect("a lane");
    say(format_args!("ready {}", parent.paths()[0].display()));
    while let Some(line) = hear() {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("update", n) => stats.update(n.parse().expect("a number")),
            ("wait", pid) => {
                let killed = !system::wait_for(pid.parse().expect("a process id"));
                assert!(killed, "the worker ended by itself");
            }
            ("fork", how) => {
                if system::fork().expect("a child").is_none() {
                    system::die_with_parent().expect("no orphans");
                    let options = options().name("worker");
                    match how {
                        "mute" => mute(&parent, &stats),
                        "tidy" => work(options.post_mortems(Some(0)), &listener),
                        _ => work(options, &listener),
                    }
                }
                continue; // the child answers
            }
            (other, _) => panic!("cannot {other:?}"),
        }
        say("done");
    }
}

fn work(options: Options, listener: &UnixListener) -> ! {
    let own: Publisher<Everything> = options.start().expect("a publisher of its own");
    let stats = own.lane().expect("a lane");
    say(std::process::id());
    loop {
        let (mut client, _) = listener.accept().expect("a request");
        stats.added.incr();
        // The request of a client that has ended is counted too.
        let _ = writeln!(client, "{}", std::process::id());
    }
}

/// A child that does not publish: it uses the handles that it inherited.
fn mute(inherited: &Publisher<Everything>, stats: &Everything) -> ! {
    for n in 1..=1000 {
        stats.update(n);
        inherited.with(|stats| stats.update(n));
    }
    say(std::process::id());
    loop {
        stats.added.incr();
        inherited.with(|stats| stats.added.incr());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
