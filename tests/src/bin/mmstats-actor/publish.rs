//! Publishing, and looking.

use std::io::Write;
#[cfg(target_os = "linux")] // exec
use std::os::unix::process::CommandExt;
use std::path::Path;
#[cfg(target_os = "linux")] // as below
use std::process::{Command, Stdio};

use mmstats::{Access, Counter, OnDrop, Options, Publisher, Stats};
use mmstats_observe::FileState;
#[cfg(target_os = "linux")] // as below
use mmstats_tests::control::set_umask;
use mmstats_tests::everything::Everything;
use mmstats_tests::look::{look as observe, unsigned};
use mmstats_tests::payload::{ELEMENTS, Eight, Payload, array_of, text_of};
#[cfg(target_os = "linux")] // users
use mmstats_tests::system;

#[cfg(target_os = "linux")] // which lets one stand in for the C library
use crate::clock;
use crate::lines::{hear, say};

/// The smallest publisher.
#[derive(Debug, Stats)]
struct One {
    hits: Counter,
}

/// Options of a program whose children publish too. qemu-user ends a child that starts a thread if
/// its parent had several ones (an assertion in its plugins/core.c): under it there is no watcher.
#[cfg(target_os = "linux")]
pub(crate) fn of_parent(directory: &Path) -> Options {
    let options = Options::new().directory(directory).post_mortems(None);
    if system::is_emulated() { options.without_watcher() } else { options }
}

/// Options from words: `files=TEMPLATE`, `name=NAME`, `lanes=N`, `keep`, `post=N` for the number of
/// post-mortems to keep, `access=WHO`; and of the process `umask=OCTAL`, `user=ID`, and
/// `clock=SECONDS`, the offset of its clock.
pub(crate) fn options(directory: &Path, words: &[String]) -> Options {
    let mut options = Options::new().directory(directory).post_mortems(None);
    for word in words {
        options = match word.split_once('=').unwrap_or((word, "")) {
            ("files", template) => options.files(template),
            ("name", name) => options.name(name),
            ("lanes", lanes) => options.lanes(lanes.parse().expect("a number of lanes")),
            ("keep", _) => options.on_drop(OnDrop::Keep),
            ("post", keep) => options.post_mortems(Some(keep.parse().expect("a number"))),
            #[cfg(target_os = "linux")]
            ("clock", seconds) => {
                clock::set(seconds.parse().expect("seconds"));
                options
            }
            #[cfg(target_os = "linux")] // Windows has no umask
            ("umask", octal) => {
                set_umask(u16::from_str_radix(octal, 8).expect("permissions"));
                options
            }
            ("access", "owner") => options.access(Access::Owner),
            ("access", "group") => options.access(Access::Group),
            ("access", "everybody") => options.access(Access::Everybody),
            #[cfg(target_os = "linux")]
            ("user", id) => {
                system::become_user(id.parse().expect("a user")).expect("the super-user may");
                options
            }
            (other, _) => panic!("no option {other:?}"),
        };
    }
    options
}

/// Publishes and obeys the lines of its input.
pub(crate) fn idle(directory: &Path, words: &[String]) {
    let publisher: Publisher<Everything> =
        options(directory, words).start().unwrap_or_else(|error| {
            // No panic: printing a stack takes long.
            eprintln!("no publisher: {error}");
            std::process::exit(1);
        });
    let stats = publisher.lane().expect("a lane");
    let tid = thread_id();
    say(format_args!("ready {tid} {}", publisher.paths()[0].display()));
    while let Some(line) = hear() {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("update", n) => stats.update(n.parse().expect("a number")),
            ("thread", n) => {
                let n = n.parse().expect("a number");
                let publisher = publisher.clone();
                // Keeps its lane.
                std::thread::spawn(move || {
                    publisher.with(|stats| stats.update(n));
                    say(format_args!("thread {}", thread_id()));
                    loop {
                        std::thread::park();
                    }
                });
                continue; // the thread answers
            }
            ("panic", n) => {
                let n = n.parse().expect("a number");
                let publisher = publisher.clone();
                let thread = std::thread::spawn(move || {
                    let stats = publisher.lane().expect("a lane");
                    stats.update(n);
                    // As `panic!`, without the message.
                    std::panic::resume_unwind(Box::new("on purpose"));
                });
                assert!(thread.join().is_err(), "the thread panicked");
            }
            // Also while threads have it.
            ("close", _) => publisher.close(),
            ("drop", _) => {
                drop((stats, publisher));
                say("dropped");
                while hear().is_some() {}
                return;
            }
            #[cfg(target_os = "linux")]
            ("clock", seconds) => {
                // Within a timed section.
                let seconds = seconds.parse().expect("seconds");
                stats.timer.time(|| clock::set(seconds));
            }
            ("look", label) => {
                let observer = observe(directory);
                let live = observer.files().iter().filter(|file| file.state() == FileState::Live);
                let sum = unsigned(&observer, label);
                say(format_args!("{} of {} live, {sum}", live.count(), observer.files().len()));
                continue;
            }
            #[cfg(target_os = "linux")] // fork
            ("spawn", how) => {
                let mut command = Command::new("sleep");
                command.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                if how == "fork" {
                    system::by_fork(&mut command);
                }
                // Outlives this process; the test ends it.
                say(command.spawn().expect("a child").id());
                continue;
            }
            #[cfg(target_os = "linux")] // Windows has no exec
            ("exec", words) => {
                let program = std::env::current_exe().expect("a path");
                let mut command = Command::new(program);
                let error = command.arg("idle").arg(directory).args(words.split(' ')).exec();
                panic!("still here: {error}");
            }
            ("exit", _) => std::process::exit(3),
            ("abort", _) => std::process::abort(),
            (other, _) => panic!("cannot {other:?}"),
        }
        say("done");
    }
}

/// Publishes many files, one publisher each.
pub(crate) fn many(directory: &Path, words: &[String]) {
    let (count, words) = words.split_first().expect("how many");
    let count: u64 = count.parse().expect("a number");
    let publishers: Vec<_> = (0..count)
        .map(|_| {
            let publisher: Publisher<One> =
                options(directory, words).lanes(1).start().expect("a publisher");
            publisher.lane().expect("a lane").hits.set(7);
            publisher
        })
        .collect();
    say(format_args!("ready {}", publishers.len()));
    while hear().is_some() {}
    // Ends without destructors in every case.
    std::process::exit(0);
}

/// Id of this thread, not by the code under test.
#[cfg(not(windows))] // as below
pub(crate) fn thread_id() -> String {
    let link = std::fs::read_link("/proc/thread-self").expect("/proc");
    link.file_name().expect("a thread").to_string_lossy().into_owned()
}

/// A name of this thread.
#[cfg(windows)] // where there is no other way to its number than the one under test
pub(crate) fn thread_id() -> String {
    format!("{:?}", std::thread::current().id())
}

/// Publishes self-checking values as fast as possible; reports the last number from time to time.
pub(crate) fn payload(directory: &Path, words: &[String]) {
    let (kinds, words) = words.split_first().expect("which kinds");
    let publisher: Publisher<Payload> = options(directory, words).start().expect("a publisher");
    let stats = publisher.lane().expect("a lane");
    let (text, group) = (kinds.contains("text"), kinds.contains("group"));
    let (array, report) = (kinds.contains("array"), kinds.contains("report"));
    let (mut buffer, mut string) = ([0; ELEMENTS], String::new());
    let mut out = std::io::stdout();
    say("ready");
    for n in 1.. {
        if text {
            text_of(n, &mut string);
            stats.text.set(&string);
        }
        if group {
            stats.group.set(&Eight::of(n));
        }
        if array {
            array_of(n, &mut buffer);
            stats.array.set(&buffer);
        }
        stats.count.set(n);
        if report && n % 16 == 0 && out.write_all(&n.to_le_bytes()).and(out.flush()).is_err() {
            return;
        }
    }
}

/// Prints the total of a counter in the published files.
pub(crate) fn look(directory: &Path, labels: &[String]) {
    let observer = observe(directory);
    for label in labels {
        say(unsigned(&observer, label));
    }
}

/// `USER LABEL`: the total that this user reads.
#[cfg(target_os = "linux")]
pub(crate) fn look_as(directory: &Path, words: &[String]) {
    let [user, label] = words else { panic!("USER LABEL") };
    system::become_user(user.parse().expect("a user")).expect("the super-user may");
    let observer = observe(directory);
    match observer.files().iter().any(|file| file.state().is_readable()) {
        true => say(unsigned(&observer, label)),
        false => say("nothing"),
    }
}
