//! `mmstats top` on a pseudo terminal, whose screen a terminal emulator reads.
#![cfg(target_os = "linux")] // /proc, and a controlling terminal by a program of util-linux

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use mmstats::{Counter, FieldOptions, Histogram, Lane, Options, Publisher, Text};
use mmstats_core::{Activity, Constant, Events, FieldSpec, InProgress, Schema};

use common::pty::Terminal;
use common::{Publisher as Demo, files, image, mmstats, signal};

/// A binary that is given the directory as the only place of files.
fn top(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = mmstats(directory);
    command.arg("top").args(arguments).env("TZ", "UTC");
    command
}

#[derive(mmstats::Stats)]
struct Stats {
    /// What this is about.
    #[stats(label = "http.requests")]
    requests: Counter,
    #[stats(label = "http.bytes", unit = "bytes")]
    bytes: Counter,
    doing: Text<32>,
    #[stats(label = "http.size", unit = "bytes")]
    size: Histogram<u64>,
}

fn publisher(directory: &Path) -> Publisher<Stats> {
    Options::new().directory(directory).start().unwrap()
}

/// The line of the screen that contains `text`.
fn line<'a>(screen: &'a str, text: &str) -> &'a str {
    screen.lines().find(|line| line.contains(text)).unwrap_or_default()
}

/// Whether the line of a field has this value.
fn shows(screen: &str, field: &str, value: &str) -> bool {
    line(screen, field).split_whitespace().any(|word| word == value)
}

#[test]
fn start_screen_lists_programs_and_enter_opens_one() {
    let directory = tempfile::tempdir().unwrap();
    let (first, _second) = (Demo::start(directory.path()), Demo::start(directory.path()));
    let terminal = Terminal::start(&top(directory.path(), &[]), 100, 30);
    terminal.wait_for("2 programs");
    // Its row; on a busy machine there may be findings too.
    let row = |screen: &str, text: &str| {
        screen.lines().any(|line| {
            !line.starts_with('!') && line.contains(&first.pid()) && line.contains(text)
        })
    };
    terminal.wait("its state", |screen| row(screen, "running"));
    terminal.wait("a counter", |screen| row(screen, "bytes_"));
    terminal.press("/");
    terminal.press(&first.pid());
    terminal.press("\r\r");
    terminal.wait_for(&format!("pid {}  running", first.pid()));
    terminal.wait_for("    bytes_in ");
    terminal.press("4");
    terminal.wait_for("TID");
    terminal.press("2");
    terminal.wait_for("demo.compress");
    terminal.press("q");
}

#[test]
fn search_shows_only_matching_fields() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.requests.add(17);
    stats.bytes.add(5);
    let terminal = Terminal::start(&top(directory.path(), &[]), 80, 24);
    terminal.wait_for("requests");
    terminal.press("/byt");
    let screen = terminal.wait("only bytes", |screen| !screen.contains("requests"));
    assert!(screen.contains("bytes"), "{screen}");
    terminal.press("\x1b");
    terminal.wait_for("requests");
}

#[test]
fn killed_program_stays_with_its_last_values() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Demo::start(directory.path());
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 80, 24);
    // Absent until a thread has begun.
    terminal.wait("bytes", |screen| line(screen, " bytes_in").contains("iB"));
    // A thread names itself after it has begun.
    terminal.press("4");
    terminal.wait_for("worker-");
    terminal.press("1");
    terminal.settle();
    program.kill();
    terminal.wait_for("dead");
    terminal.wait_for("these are its last values");
    let value =
        |screen: &str| line(screen, " bytes_in").split_whitespace().nth(1).map(str::to_owned);
    let last = value(&terminal.screen());
    assert!(last.as_ref().is_some_and(|last| last != "0" && last != "-"), "{last:?}");
    // Also after the file is gone.
    for path in files(directory.path()) {
        std::fs::remove_file(path).unwrap();
    }
    let screen = terminal.wait_for("its file is gone");
    assert_eq!(value(&screen), last, "{screen}");
    // The threads are those of the look before its end.
    terminal.press("4");
    let screen = terminal.wait("its threads", |screen| {
        let mut threads = screen.lines().skip_while(|line| !line.contains("TID")).skip(1);
        screen.contains("the process has ended; its threads")
            && threads.any(|line| line.contains("worker-"))
    });
    assert!(!screen.contains("sleeping") && !screen.contains("running"), "{screen}");
}

#[test]
fn program_that_was_dead_before_says_when_it_died() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Demo::start(directory.path());
    common::wait_for(|| (!common::files(directory.path()).is_empty()).then_some(()));
    program.kill();
    let terminal = Terminal::start(&top(directory.path(), &[]), 120, 24);
    let screen = terminal.wait_for("these are its last values");
    let found = line(&screen, "died ~");
    assert!(found.contains(" UTC, <1m ago") || found.contains(" UTC, 1m ago"), "{screen}");
    // A group is selected: the details are those of the program.
    terminal.press("6");
    let screen = terminal.wait_for("the program; in Fields");
    assert!(line(&screen, "created").contains(" UTC"), "{screen}");
    assert!(shows(&screen, "process", &program.pid()), "{screen}");
    assert!(line(&screen, "state").contains("dead, died ~"), "{screen}");
}

#[test]
fn chart_of_a_dead_program_ends_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Demo::start(directory.path());
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 120, 30);
    terminal.wait("bytes", |screen| line(screen, " bytes_in").contains("iB"));
    terminal.press("/queue\r3----");
    // A span of 10 s.
    terminal.wait_for("-10s");
    terminal.wait("a line up to now", |screen| last_column(screen) > 110);
    program.kill();
    terminal.wait_for("these are its last values");
    // The line moves to the left.
    terminal.wait("a line that has ended", |screen| last_column(screen) < 100);
}

/// The last column of a chart with dots.
fn last_column(screen: &str) -> usize {
    let is_dot = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
    let last = |line: &str| line.chars().enumerate().filter(|(_, c)| is_dot(*c)).last();
    screen.lines().filter_map(last).map(|(column, _)| column).max().unwrap_or(0)
}

#[test]
fn name_of_a_live_program_leaves_out_those_that_had_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (Demo::start(directory.path()), Demo::start(directory.path()));
    let third = Demo::start(directory.path());
    first.kill();
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1", "mmstats-demo"]), 100, 24);
    let screen = terminal.wait_for("2 programs");
    assert!(line(&screen, &first.pid()).is_empty(), "{screen}");
    // One that ends meanwhile stays.
    second.kill();
    terminal.wait("its end", |screen| {
        screen.lines().any(|line| line.contains(&second.pid()) && line.contains(" dead "))
    });
    let screen = terminal.screen();
    assert!(line(&screen, &first.pid()).is_empty(), "{screen}");
    assert!(screen.contains(&third.pid()), "{screen}");
    // Compared with a program: the screen says with which.
    terminal.press("gd");
    terminal.wait_for(&format!("compared with mmstats-demo {}", third.pid()));
    terminal.press("j\r");
    terminal.wait("the head", |screen| {
        let head = screen.lines().next().unwrap_or_default();
        head.contains(&format!("compared with mmstats-demo {}", third.pid()))
    });
}

#[test]
fn rewound_screen_shows_what_was_recorded_then_and_a_freeze_leaves_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    let terminal = Terminal::start(&top(directory.path(), &["-d0.05"]), 80, 24);
    terminal.wait_for("requests");
    // A step each second; keys are pressed in the middle of one.
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut step = 0;
    let mut publish = |until: u32| {
        while step < until {
            step += 1;
            let due = start + second * step;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            stats.requests.add(1);
        }
        let middle = start + second * step + second / 2;
        std::thread::sleep(middle.saturating_duration_since(Instant::now()));
    };
    publish(5);
    terminal.press(" ");
    let frozen = terminal.wait_for("ago,");
    assert!(shows(&frozen, "requests", "5"), "{frozen}");
    // The screen stays as it is while values go on.
    publish(10);
    let screen = terminal.screen();
    assert!(shows(&screen, "requests", "5"), "{screen}");
    // Each second before and after the freeze has its value.
    let left = (1..=4).rev().map(|value| ("\x1b[D", value));
    for (key, value) in left.chain((2..=9).map(|value| ("\x1b[C", value))) {
        terminal.press(key);
        terminal.wait(&format!("{value}"), |screen| shows(screen, "requests", &value.to_string()));
    }
    terminal.press(" ");
    terminal.wait("now", |screen| shows(screen, "requests", "10"));
}

#[test]
fn lanes_marks_details_and_differences_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.requests.add(17);
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 100, 30);
    terminal.wait_for("requests");
    terminal.press("/requests\r");
    terminal.press("u");
    // The name of this thread is that of the test.
    terminal.wait_for("    lanes_marks_");
    terminal.press("m");
    terminal.wait_for("* http.requests");
    terminal.press("3");
    terminal.wait_for("━ http.requests/s");
    terminal.press("6");
    let screen = terminal.wait_for("What this is about.");
    assert!(shows(&screen, "exactly", "17"), "{screen}");
    terminal.press("y");
    terminal.wait_for("copied 17");
    let copied = b"\x1b]52;c;MTc=";
    assert!(terminal.bytes().windows(copied.len()).any(|bytes| bytes == copied));
    terminal.press("1d");
    terminal.wait_for("compared with");
    stats.requests.add(25);
    terminal.wait("the difference", |screen| shows(screen, "requests", "+25"));
    terminal.press("?");
    terminal.wait_for("any key closes this");
}

#[test]
fn activities_are_shown_with_the_oldest_and_each_row_in_the_details() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::<16>::new();
    let doing = schema.add(FieldSpec::activity("doing", 4, 16)).unwrap();
    schema.add(FieldSpec::activity("idle", 4, 16)).unwrap();
    let running = schema.add(FieldSpec::running("took.running")).unwrap();
    image(&directory.path().join("x.mmst"), &schema, |writer| {
        let lane = writer.lane().unwrap();
        let activity = Activity::<16, _>::attach(&lane, doing).unwrap();
        InProgress::attach(&lane, running).unwrap().begin(1_000_000).unwrap();
        // Ages that stay for half an hour.
        for (hours, text) in [(0, "unknown"), (50, "wait"), (77, "parse")] {
            let begin = SystemTime::now() - Duration::from_secs(3600 * hours + 1800);
            let begin = begin.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
            let since = if hours == 0 { 0 } else { u64::try_from(begin).unwrap() };
            std::mem::forget(activity.begin(since, text));
        }
    });
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 100, 30);
    let screen = terminal.wait_for("3, oldest 3d 5h, \"parse\"");
    assert!(line(&screen, "running").contains("1, oldest at least "), "{screen}");
    assert!(line(&screen, "idle").contains("nothing in progress"), "{screen}");
    terminal.press("/doing\r");
    terminal.press("6");
    let screen = terminal.wait_for("3d 5h  \"parse\"");
    assert!(line(&screen, "2d 2h").contains("\"wait\""), "{screen}");
    assert!(screen.contains("-  \"unknown\""), "{screen}");
}

/// Text that would control a terminal.
const NASTY: &str = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n\t\u{1b}[2Jx";

#[test]
fn hostile_texts_reach_the_terminal_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hostile.mmst");
    let label = format!("label{NASTY}.{NASTY}");
    let attributes = [("k", NASTY)];
    let mut schema = Schema::<16>::new();
    let counter = FieldSpec::counter(&label).unit(NASTY).help(NASTY);
    let counter = schema.add(counter.attributes(&attributes)).unwrap();
    let text = schema.add(FieldSpec::text("text", 200)).unwrap();
    let events = schema.add(FieldSpec::events("log", 3, 200)).unwrap();
    schema.add(FieldSpec::info("sys.command", Constant::Text(NASTY))).unwrap();
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        mmstats_core::Counter::attach(&lane, counter).unwrap().add(1);
        mmstats_core::Text::<200, _>::attach(&lane, text).unwrap().set(NASTY);
        Events::<200, _>::attach(&lane, events).unwrap().record(7, NASTY);
    });
    let terminal = Terminal::start(&top(directory.path(), &["--color=never"]), 300, 50);
    terminal.wait_for("owned");
    // Each view, the details of each field, the names of lanes, marks, a copy, the start screen.
    for keys in
        ["j", "j", "u", "m", "y", "3", "5", "6", "k", "2", "d", "1", "s", "s", "\x7f\x7f\x7f"]
    {
        terminal.press(keys);
        terminal.settle();
    }
    terminal.wait_for("program");
    terminal.press("q");
    let bytes = terminal.bytes();
    let text = String::from_utf8_lossy(&bytes);
    for harmful in ["\u{1b}]0", "\u{7}o", "\u{9b}", "\u{202e}", "\u{1b}[2Jx"] {
        assert!(!text.contains(harmful), "{harmful:?}");
    }
    // Operating system commands: only the copy.
    let commands = text.matches("\u{1b}]").count();
    assert_eq!(commands, text.matches("\u{1b}]52;").count());
}

#[test]
fn terminal_is_restored_after_every_end() {
    let directory = tempfile::tempdir().unwrap();
    let _publisher = publisher(directory.path());
    let start = || {
        let terminal = Terminal::start(&top(directory.path(), &[]), 80, 24);
        terminal.wait_for("requests");
        terminal
    };
    for keys in ["q", "\x03"] {
        let mut terminal = start();
        terminal.press(keys);
        assert_eq!(terminal.end().code(), Some(0), "{keys:?}");
        terminal.assert_restored(keys);
    }
    for name in ["TERM", "INT", "HUP"] {
        let mut terminal = start();
        signal(terminal.child.id(), name);
        assert_eq!(terminal.end().code(), Some(0), "{name}");
        terminal.assert_restored(name);
    }
    // There is no terminal to restore, but the command must end.
    let mut terminal = start();
    terminal.close();
    terminal.end();
}

#[test]
fn every_size_is_drawn_and_a_new_size_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.size.record(100);
    stats.doing.set("a text");
    let mut terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 80, 24);
    terminal.wait_for("requests");
    for (columns, rows) in [(40, 12), (300, 60), (20, 5), (1, 1), (120, 3), (80, 24)] {
        terminal.resize(columns, rows);
        for (key, text) in [
            ("2", "HISTOGRAM"),
            ("3", "3 Chart"),
            ("4", "TID"),
            ("5", "no events"),
            ("6", "exactly"),
            ("7", "it does not publish its locks"),
            ("1", "FIELD"),
        ] {
            terminal.press(key);
            if columns >= 40 && rows >= 12 {
                terminal.wait_for(text);
            }
        }
        if columns >= 20 && rows >= 5 {
            terminal.settle();
        }
        assert!(terminal.child.try_wait().unwrap().is_none(), "{columns} x {rows}");
    }
    terminal.wait_for("requests");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    terminal.assert_restored("after sizes");
}

#[test]
fn narrow_screen_cuts_no_help_no_state_and_no_number() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.requests.add(1_234_567_890_123);
    for size in [1_000, 2_000, 40_000] {
        stats.size.record(size);
    }
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 40, 24);
    let screen = terminal.wait_for("requests");
    let head = screen.lines().next().unwrap_or_default();
    assert!(head.contains(&format!("pid {}  running", std::process::id())), "{screen}");
    let foot = screen.lines().last().unwrap_or_default();
    assert!(foot.trim_end().ends_with("space freeze"), "{screen}");
    assert!(shows(&screen, "requests", "1.23T"), "{screen}");
    // All of the help can be read: each word of it is on the screen at some time.
    terminal.press("?");
    let mut read = terminal.wait_for("Keys;");
    let end = Instant::now() + Duration::from_secs(20);
    while !read.contains("this list; end") && Instant::now() < end {
        terminal.press("j");
        terminal.wait("a line more", |screen| !read.ends_with(screen));
        read.push_str(&terminal.screen());
    }
    for words in ["with Shift 10", "1,000 a second", "copy the exact value", "this list; end"] {
        assert!(read.contains(words), "{words}: {read}");
    }
}

#[test]
fn histograms_say_of_which_time_their_quantiles_are() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    (0..1_000).for_each(|_| stats.size.record(1_000_000));
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 100, 24);
    terminal.wait_for("requests");
    terminal.press("2");
    let row = |screen: &str| line(screen, "http.size ").to_owned();
    // Nothing was recorded since the first look: these are those of all time.
    let is_all = |screen: &str| shows(screen, "http.size ", "all") && row(screen).contains("KiB");
    terminal.wait("all values", is_all);
    stats.size.record(10);
    let screen = terminal.wait("the new value", |screen| {
        !shows(screen, "http.size ", "all") && row(screen).contains(" B ")
    });
    assert!(!row(&screen).contains("KiB"), "{screen}");
    assert!(line(&screen, "http.size: last ").contains(", 1 value"), "{screen}");
}

#[test]
fn times_say_their_zone() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    publisher.lane().unwrap().requests.add(1);
    let terminal = Terminal::start(&top(directory.path(), &["-d0.1"]), 100, 24);
    terminal.wait_for("requests");
    terminal.press("/sys.created\r");
    terminal.wait("the start", |screen| line(screen, "sys.created").contains(" UTC"));
    terminal.press("d");
    terminal.wait("the head", |screen| {
        screen
            .lines()
            .next()
            .is_some_and(|head| head.contains("compared with ") && head.contains(" UTC"))
    });
    terminal.press(" ");
    terminal.wait("the foot", |screen| {
        screen.lines().last().is_some_and(|foot| foot.contains("ago, ") && foot.contains(" UTC"))
    });
}

#[test]
fn mouse_selects_tabs_and_lines() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    publisher.lane().unwrap().requests.add(1);
    let terminal = Terminal::start(&top(directory.path(), &[]), 80, 24);
    terminal.wait_for("requests");
    // The tab `5 Events`, whose column is counted from 1.
    let screen = terminal.screen();
    let row = screen.lines().position(|line| line.contains("5 Events")).unwrap() + 1;
    let column = line(&screen, "5 Events").find("5 Events").unwrap() + 1;
    terminal.press(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"));
    terminal.wait_for("no events");
    terminal.press("1");
    let screen = terminal.wait_for("requests");
    let row = screen.lines().position(|line| line.contains("requests")).unwrap() + 1;
    let click = format!("\x1b[<0;5;{row}M\x1b[<0;5;{row}m");
    terminal.press(&click);
    // A click on the selected line opens it.
    terminal.settle();
    terminal.press(&click);
    terminal.wait_for("What this is about.");
}

#[test]
fn top_takes_names_and_says_that_it_needs_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let lane = Options::new().directory(directory.path()).name("other").start::<Lane>().unwrap();
    lane.add::<Counter>("passing", FieldOptions::new()).unwrap();
    let terminal = Terminal::start(&top(directory.path(), &["no-such-command"]), 80, 24);
    terminal.wait_for("no program to show");
    terminal.wait_for("! no-such-command: no program of this name");
    let printed = common::run(directory.path(), &["top"]);
    assert_eq!(printed.code, Some(2));
    assert!(printed.err.contains("needs a terminal"), "{}", printed.err);
}

#[test]
fn demo_uses_the_same_screen() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = mmstats(directory.path());
    command.args(["demo", "--threads", "2"]);
    let mut terminal = Terminal::start(&command, 80, 24);
    terminal.wait_for("elsewhere: mmstats show");
    terminal.wait_for("bytes_in");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    terminal.assert_restored("demo");
    terminal.wait_for("ended cleanly");
    assert!(files(directory.path()).is_empty());
}
