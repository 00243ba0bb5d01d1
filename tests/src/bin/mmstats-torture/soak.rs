//! Everything at once: memory and descriptors of long-lived processes stay flat.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mmstats_observe::{FileState, Scratch};
use mmstats_tests::actor::{Actor, random};
use mmstats_tests::look::{look, states, unsigned};
use mmstats_tests::storage::{Class, Seen, read};
use mmstats_tests::system::{Signal, signal};
use mmstats_tests::word::SharedWord;

use crate::plan::Plan;
use crate::table::{Row, Table};
use crate::tools::{judge, names, pause, place, tool};

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    let mut watched = Vec::new();
    let minutes = plan.soak().as_secs_f64() / 60.0;
    table.row(format!("soak of {minutes:.1} minutes"), |row| {
        watched = everything(plan.soak(), row);
    });
    for one in &watched {
        table.row(format!("soak: {} is flat", one.name), |row| {
            row.add_tried(one.samples.len() as u64);
            row.remark = one.summary();
            if let Some(why) = one.grows() {
                row.lose(why);
            }
        });
    }
}

/// Resources of a process at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    seconds: f64,
    /// Private memory, in KiB.
    own: u64,
    /// Memory with mapped files, in KiB.
    all: u64,
    descriptors: u64,
    mappings: u64,
}

struct Watched {
    name: &'static str,
    pid: u32,
    samples: Vec<Sample>,
}

impl Watched {
    const fn new(name: &'static str, pid: u32) -> Self {
        Self { name, pid, samples: Vec::new() }
    }

    fn sample(&mut self, start: Instant) -> Result<(), String> {
        let place = format!("/proc/{}", self.pid);
        let gone = |error: std::io::Error| format!("{} has gone: {error}", self.name);
        let status = fs::read_to_string(format!("{place}/status")).map_err(gone)?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        let count = fs::read_dir(format!("{place}/fd")).map_err(gone)?.count();
        // A zombie has none.
        if number("VmRSS:") == 0 {
            return Err(format!("{} has ended", self.name));
        }
        let maps = fs::read_to_string(format!("{place}/maps")).map_err(gone)?;
        self.samples.push(Sample {
            seconds: start.elapsed().as_secs_f64(),
            own: number("RssAnon:"),
            all: number("VmRSS:"),
            descriptors: count as u64,
            mappings: maps.lines().count() as u64,
        });
        Ok(())
    }

    /// The median of a number in one of the quarters of the time.
    fn median(&self, quarter: usize, number: impl Fn(&Sample) -> u64) -> u64 {
        let size = self.samples.len() / 4;
        let samples = self.samples.iter().skip(quarter * size).take(size.max(1));
        let mut numbers: Vec<u64> = samples.map(number).collect();
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied().unwrap_or(0)
    }

    /// By how much a number grew in an hour: least squares over the last three quarters.
    #[allow(clippy::cast_precision_loss)] // Kibibytes and counts.
    fn slope(&self, number: impl Fn(&Sample) -> u64) -> f64 {
        let samples = &self.samples[self.samples.len() / 4..];
        let n = samples.len() as f64;
        let mean_x = samples.iter().map(|s| s.seconds).sum::<f64>() / n;
        let mean_y = samples.iter().map(|s| number(s) as f64).sum::<f64>() / n;
        let (mut xy, mut xx) = (0.0, 0.0);
        for sample in samples {
            let x = sample.seconds - mean_x;
            xy += x * (number(sample) as f64 - mean_y);
            xx += x * x;
        }
        if xx > 0.0 { xy / xx * 3600.0 } else { 0.0 }
    }

    fn summary(&self) -> String {
        let end = self.samples.last().copied().unwrap_or_default();
        format!(
            "{} KiB own ({:+.0} an hour), {} KiB in all, {} descriptors ({:+.1} an hour), {} mappings",
            self.median(3, |s| s.own),
            self.slope(|s| s.own),
            end.all,
            self.median(3, |s| s.descriptors),
            self.slope(|s| s.descriptors),
            self.median(3, |s| s.mappings)
        )
    }

    /// Medians of the second quarter, when all have started, and of the last one.
    fn grows(&self) -> Option<String> {
        let grown = |what: &str, number: fn(&Sample) -> u64, room: u64| {
            let (before, after) = (self.median(1, number), self.median(3, number));
            let told = format!("{} had {before} {what}, then {after}", self.name);
            (after > before + before / 20 + room).then_some(told)
        };
        // A short run ends before allocators have settled.
        let long = self.samples.last().is_some_and(|last| last.seconds > 600.0);
        let room = if long { 512 } else { 4096 };
        grown("KiB", |s| s.own, room)
            .or_else(|| grown("descriptors", |s| s.descriptors, 4))
            .or_else(|| grown("mappings", |s| s.mappings, 8))
    }
}

/// A tool that runs until this is dropped.
struct Follower(Child);

impl Follower {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = tool(directory, arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the tool"))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn everything(time: Duration, row: &mut Row) -> Vec<Watched> {
    let (directory, beside) = (place(), place());
    let at = directory.path();
    let path = at.to_str().expect("UTF-8");
    let mut server = Actor::start("server", at, &[]);
    server.line();
    let mut observer = Actor::start("observe", at, &[]);
    observer.line();
    let poll = Follower::start(at, &["poll", "server.*", "-d", "0.2", path]);
    let events = Follower::start(at, &["events", "-f", "-d", "0.2", path]);
    let mut watched = vec![
        Watched::new("the publisher", server.pid()),
        Watched::new("the observer", observer.pid()),
        Watched::new("mmstats poll", poll.0.id()),
        Watched::new("mmstats events -f", events.0.id()),
    ];
    let word_path = beside.path().join("word");
    let word = SharedWord::open(&word_path).expect("a word");
    let start = Instant::now();
    let step = (time / 240).max(Duration::from_millis(250));
    let (mut next, mut last_sum, mut round) = (step, 0, 0_usize);
    while start.elapsed() < time {
        row.case(|| disturb(round, at, path, &word_path, &word, server.pid()));
        round += 1;
        row.case(|| {
            let told: u128 = server.ask("sum").parse().expect("a number");
            let seen = unsigned(&look(at), "server.requests");
            // All reported counts are there, except those of a thread between its two counts.
            if seen >= told && seen >= last_sum {
                last_sum = seen;
                return Ok(());
            }
            Err(format!("told of {told}, {last_sum} before, there is {seen}"))
        });
        if start.elapsed() >= next {
            next += step;
            for one in &mut watched {
                if let Err(why) = one.sample(start) {
                    row.lose(why);
                    return watched;
                }
            }
        }
        pause(Duration::from_millis(60));
    }
    let looks = observer.ask("looks");
    row.remark = format!("{round} disturbances, {looks} looks, {last_sum} counted");
    server.tell("end");
    server.succeeds();
    watched
}

/// One random event.
fn disturb(
    round: usize,
    at: &Path,
    path: &str,
    word_path: &Path,
    word: &SharedWord,
    server: u32,
) -> Result<(), String> {
    let class = Class::ALL[round % Class::ALL.len()];
    let judged = |arguments: &[&str]| judge(&mut tool(at, arguments), || ()).map(drop);
    match random() % 10 {
        // A program is killed, and its last value is right.
        0..=2 => {
            word.get().store(0, Ordering::Relaxed);
            let words = [class.name(), word_path.to_str().expect("UTF-8"), "name=killed"];
            let (mut actor, _out) = Actor::start_raw("storage", at, &words);
            pause(Duration::from_millis(20));
            actor.kill();
            let told = word.get().load(Ordering::Acquire);
            let observer = look(at);
            let own = |file: &&mmstats_observe::File| {
                file.identity().pid == Some(actor.pid()) && file.state() == FileState::Dead
            };
            let file = observer.files().iter().find(own);
            let file = file.ok_or_else(|| format!("{:?}", states(&observer)))?;
            match read(file, 0, class, &mut Scratch::new())? {
                Seen::Value(n) if n == told || n == told + 1 || class == Class::Constant => Ok(()),
                Seen::Nothing if told == 0 => Ok(()),
                other => Err(format!("{}: told of {told}, there is {other:?}", class.name())),
            }
        }
        // A program that sweeps.
        3 => {
            let mut actor = Actor::start("idle", at, &["post=10", "name=tidy"]);
            actor.line();
            actor.ask("update 3");
            actor.ask("drop");
            actor.succeeds();
            Ok(())
        }
        // The publisher is stopped for a moment.
        4 => {
            signal(server, Signal::Stop).map_err(|error| error.to_string())?;
            pause(Duration::from_millis(50));
            signal(server, Signal::Continue).map_err(|error| error.to_string())
        }
        // A file of noise.
        5 => {
            let victim = at.join("noise.mmst");
            let mut bytes: Vec<u8> = names(at)
                .iter()
                .find_map(|path| fs::read(path).ok().filter(|bytes| bytes.len() > 192))
                .unwrap_or_default();
            let len = bytes.len().max(1) as u64;
            for _ in 0..20 {
                let place = usize::try_from(random() % len).expect("a place");
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = random().to_le_bytes()[0];
                }
            }
            fs::write(&victim, &bytes).map_err(|error| error.to_string())?;
            judged(&["show", path])?;
            let cut = fs::File::options().write(true).open(&victim).and_then(|f| f.set_len(100));
            judged(&["check", victim.to_str().expect("UTF-8")])?;
            fs::remove_file(&victim).and(cut).map_err(|error| error.to_string())
        }
        // A program forks.
        6 => {
            let mut actor = Actor::start("fork", at, &["drop"]);
            actor.line();
            actor.line();
            actor.ask("wait");
            actor.succeeds();
            Ok(())
        }
        // The tools.
        7 => judged(&["ls", path]),
        8 => judged(&["show", "--json", "-v", path]),
        _ => judged(&["clean", "--keep", "15", path]),
    }
}
