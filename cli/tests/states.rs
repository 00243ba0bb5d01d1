//! The state of recorded programs: one word for it in all commands, and the moment that is shown.
#![cfg(unix)] // pseudo terminals

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats::{Counter, Gauge, Options, Stats};
use mmstats_history::{OnFrame, Sampler};
use mmstats_observe::Sources;
use mmstats_recording::{Limits, Recorder, Recording, Store};
use serde_json::Value;

use common::http::Server;
use common::pty::Terminal;
use common::{Publisher, json, mmstats, run};

#[derive(Stats)]
#[stats(prefix = "web")]
struct Web {
    requests: Counter,
    queue: Gauge<u64>,
}

/// A program, which ends cleanly when this is dropped.
struct Running {
    _lane: Web,
    _publisher: mmstats::Publisher<Web>,
}

/// A directory of programs, and a recording of it.
struct Place {
    directory: tempfile::TempDir,
    stats: PathBuf,
    file: String,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stats = directory.path().join("stats");
        std::fs::create_dir(&stats).unwrap();
        let file = directory.path().join("web.jsonl.gz").to_str().unwrap().to_owned();
        Self { directory, stats, file }
    }

    fn web(&self) -> Running {
        let publisher = Options::new().directory(&self.stats).name("web").start::<Web>().unwrap();
        let lane = publisher.lane().unwrap();
        lane.requests.add(5);
        lane.queue.set(7);
        Running { _lane: lane, _publisher: publisher }
    }

    /// Records while `during` runs; it gets a function that waits for some looks. An existing recording is continued.
    fn record(&self, every: Duration, during: impl FnOnce(&dyn Fn())) {
        let (store, _) = Store::open(Path::new(&self.file), Limits::default()).unwrap();
        let recorder = Recorder::new(store, every, "test");
        let mut options = mmstats_history::Options::new(Sources::new().path(&self.stats));
        options.every = every;
        options.on_look = Some(recorder.on_look(|_| Some("running")));
        let writer = recorder.clone();
        options.on_frame = Some(OnFrame::new(move |frame| writer.record(frame)));
        let sampler = Sampler::start(options).unwrap();
        let wait = || {
            sampler.wait(sampler.looks() + 5, Duration::from_secs(20));
        };
        // Threads are looked at once a second.
        std::thread::sleep(Duration::from_millis(1_200));
        wait();
        during(&wait);
        wait();
        drop(sampler);
        recorder.finish();
    }

    /// The times of the looks.
    fn looks(&self) -> Vec<SystemTime> {
        let recording = Recording::open([&self.file]).unwrap();
        let (mut frames, mut looks) = (recording.frames(), Vec::new());
        while let Some(state) = frames.next().unwrap() {
            looks.push(state.time());
        }
        looks
    }

    fn replay(&self) -> std::process::Command {
        let mut command = mmstats(self.directory.path());
        command.args(["replay", &self.file]);
        command
    }

    fn page(&self) -> Server {
        Server::run(self.replay().args(["--serve", "--listen", "127.0.0.1:0"]))
    }

    fn table(&self, arguments: &[&str]) -> String {
        let mut command = mmstats(self.directory.path());
        let printed = command.args(arguments).env("COLUMNS", "200").output().unwrap();
        common::printed(printed).out
    }
}

const EVERY: Duration = Duration::from_millis(20);

/// `@1796000000.250`.
fn at(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap();
    format!("@{}.{:03}", since.as_secs(), since.subsec_millis())
}

/// The first look is before, and the last one after the clock was set back.
#[test]
fn recording_with_clock_set_back_has_all_looks() {
    let place = Place::new();
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/recording/counter.jsonl");
    let text = std::fs::read_to_string(seed).unwrap();
    let back = text.replace("\"time\":1001.4,", "\"time\":990.4,");
    let back = back.replace("\"time\":1001.7,", "\"time\":990.7,");
    assert_ne!(text, back);
    let plain = place.file.trim_end_matches(".gz");
    std::fs::write(plain, &back).unwrap();
    let zipped = std::process::Command::new("gzip").args(["-nc", plain]).output().unwrap();
    // A block has its size in the header.
    let mut block = zipped.stdout;
    block[3] = 4;
    let size = u16::try_from(block.len() + 7).unwrap().to_le_bytes();
    block.splice(10..10, [6, 0, b'B', b'C', 2, 0, size[0], size[1]]);
    std::fs::write(&place.file, block).unwrap();
    let dir = place.directory.path();
    let printed = run(dir, &["convert", "csv", &place.file]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert_eq!(printed.out.lines().count(), 1 + text.lines().count(), "{}", printed.out);
}

#[test]
fn recorded_program_that_ended_cleanly_is_closed_in_all_commands() {
    let place = Place::new();
    let web = place.web();
    place.record(EVERY, |wait| {
        drop(web);
        wait();
    });
    let (dir, file) = (place.directory.path(), place.file.as_str());
    let shown = place.table(&["show", "--table", file]);
    assert!(shown.contains("  closed  ended "), "{shown}");
    // Its other fields have rates: it is the name that is wrong.
    let misspelt = run(dir, &["poll", "web.request", file]);
    assert!(misspelt.err.contains("no field 'web.request'"), "{}", misspelt.err);
    assert!(!shown.contains("  up "), "{shown}");
    let document = json(dir, &["show", "--json", file]);
    assert_eq!(document["files"][0]["state"], "closed", "{document}");
    assert_eq!(document["files"][0]["process"], Value::Null, "{document}");
    #[cfg(target_os = "linux")] // what threads do is in `/proc`
    {
        let threads = place.table(&["threads", "--table", file]);
        assert!(threads.contains("  closed  ended "), "{threads}");
    }
    let looks = place.looks();
    let (first, last) = (at(looks[0]), at(looks[looks.len() - 1]));
    let differs = run(dir, &["diff", "--at", &first, "--at", &last, file, file]);
    assert!(differs.out.contains("~\tstate\trunning\tclosed\t"), "{}", differs.out);
    for name in [None, Some("web")] {
        let mut arguments = vec!["poll", "-d0.02", "web.requests,web.queue", file];
        arguments.extend(name);
        let polled = run(dir, &arguments);
        let last: Vec<&str> = polled.out.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["-", "-"], "{}", polled.out);
        assert!(polled.out.contains(" 7"), "{}", polled.out);
        let messages: Vec<&str> = polled.err.lines().collect();
        assert_eq!(messages, [format!("mmstats: web[{}] ended", std::process::id())]);
    }
    let program = place.page().program();
    assert_eq!((&program["state"], &program["gone"]), (&"closed".into(), &true.into()));
    let mut terminal = Terminal::start(&place.replay(), 100, 30);
    terminal.wait_for("closed");
    terminal.press("6");
    let details = terminal.wait_for("closed, ended ");
    assert!(details.contains("running at ") && details.contains("closed, its files gone at "));
    assert!(!details.contains("live"), "{details}");
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn poll_of_recording_reports_a_death_and_the_command_for_the_last_values() {
    let place = Place::new();
    let mut publisher = Publisher::start(&place.stats);
    place.record(EVERY, |wait| {
        publisher.kill();
        wait();
    });
    let (dir, file, pid) = (place.directory.path(), place.file.as_str(), publisher.pid());
    let all = run(dir, &["poll", "-d0.02", "demo.blocks,demo.busy", file]);
    let named = run(dir, &["poll", "-d0.02", "demo.blocks,demo.busy", file, &pid]);
    assert_eq!((&named.out, &named.err), (&all.out, &all.err));
    let last: Vec<&str> = all.out.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(last, ["-", "-"], "{}", all.out);
    let died = format!("mmstats: mmstats-demo[{pid}] died; `mmstats show --at @");
    assert!(all.err.starts_with(&died) && all.err.lines().count() == 1, "{}", all.err);
    let command = all.err.split('`').nth(1).unwrap();
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    let shown = json(dir, &[&arguments[..], &["--json"]].concat());
    assert_eq!(shown["files"][0]["state"], "dead", "{command}");
    // As the word of the live program was.
    let shown = place.table(&["show", "--table", file]);
    assert!(shown.contains("  dead  died "), "{shown}");
}

#[test]
fn replay_of_program_after_a_gap_has_no_values() {
    let place = Place::new();
    let web = place.web();
    place.record(EVERY, |_| ());
    let begin = SystemTime::now();
    drop(web);
    std::thread::sleep(Duration::from_millis(1_500));
    let mut other = Publisher::start(&place.stats);
    place.record(EVERY, |_| ());
    other.kill();
    let page = place.page();
    let document = page.json("/api/1/programs");
    let programs = document["programs"].as_array().unwrap();
    let web = programs.iter().find(|program| program["command"] == "web").unwrap();
    assert_eq!(web["state"], "unknown", "{web}");
    assert_eq!(web["findings"][0]["code"], "not-recorded", "{web}");
    assert_eq!(web["busiest"], Value::Null, "{web}");
    let id = web["id"].as_str().unwrap();
    let value = |time: Option<SystemTime>| {
        let time = time.map_or_else(String::new, |time| format!("?at={}", &at(time)[1..]));
        let document = page.json(&format!("/api/1/programs/{id}{time}"));
        let mut fields = document["fields"].as_array().unwrap().iter();
        fields.find(|field| field["label"] == "web.queue").unwrap()["value"].clone()
    };
    assert_eq!(value(None), Value::Null);
    assert_eq!(value(Some(begin + Duration::from_millis(700))), Value::Null, "in the gap");
    assert_eq!(value(Some(place.looks()[4])), 7);
    let terminal = Terminal::start(&place.replay(), 100, 30);
    terminal.wait_for("the recording has nothing of it for ");
    terminal.press("q");
}

#[test]
fn show_of_recording_names_the_moment_of_its_look() {
    let place = Place::new();
    let _web = place.web();
    place.record(EVERY, |_| ());
    let looks = place.looks();
    let look = looks[looks.len() - 4];
    let fraction = format!(".{:03} ", look.duration_since(UNIX_EPOCH).unwrap().subsec_millis());
    for command in ["show", "threads"] {
        if command == "threads" && !cfg!(target_os = "linux") {
            continue;
        }
        let shown = place.table(&[command, "--table", "--at", &at(look), &place.file]);
        let header = shown.lines().next().unwrap();
        assert!(header.contains("  at ") && header.contains(&fraction), "{shown}");
    }
}

/// A time is that of the look at or before it; one that counts from the end that of a look a little later too.
#[test]
fn time_before_the_end_is_that_of_the_nearest_look() {
    let place = Place::new();
    let _web = place.web();
    place.record(Duration::from_millis(200), |_| ());
    let dir = place.directory.path();
    let looks = place.looks();
    let (before, look) = (looks[looks.len() - 5], looks[looks.len() - 4]);
    let end = looks[looks.len() - 1];
    let shown = |time: &str| {
        let document = json(dir, &["show", "--json", "--at", time, &place.file]);
        let since = Duration::from_secs_f64(document["time"].as_f64().unwrap() + 0.000_5);
        UNIX_EPOCH + Duration::new(since.as_secs(), since.subsec_millis() * 1_000_000)
    };
    let early = |millis| look - Duration::from_millis(millis);
    let ago = |millis| format!("-{}ms", end.duration_since(early(millis)).unwrap().as_millis());
    assert_eq!(shown(&at(early(10))), before);
    assert_eq!(shown(&ago(10)), look, "within a tenth of the pace");
    assert_eq!(shown(&ago(60)), before);
    // So begin the rows of a part.
    let csv = run(dir, &["convert", "csv", "--from", &ago(10), &place.file]).out;
    let times: std::collections::BTreeSet<&str> =
        csv.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(times.len(), 4, "{times:?}");
    assert!(times.iter().all(|time| time.len() == "2026-11-29T21:35:10.250Z".len()), "{times:?}");
}

#[test]
fn diff_of_directory_without_live_program_compares_what_ended() {
    let place = Place::new();
    let mut publisher = Publisher::start(&place.stats);
    publisher.kill();
    let stats = place.stats.to_str().unwrap();
    let printed = run(&place.stats, &["diff", &publisher.pid(), stats]);
    assert_eq!((printed.code, &*printed.out), (Some(0), ""), "{}", printed.err);
    let empty = place.directory.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    let printed = run(&place.stats, &["diff", stats, empty]);
    assert_eq!(printed.code, Some(1), "{}", printed.err);
    let message = format!("mmstats: {empty}: there is no program to compare");
    assert!(printed.err.starts_with(&message), "{}", printed.err);
}
