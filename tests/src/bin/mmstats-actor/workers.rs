//! Threads that publish every kind of field at full speed by every route, and the exact values.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use mmstats::{
    Array, Average, Blob, Counter, Events, Family, FieldOptions, Flag, Gauge, Group, Histogram,
    Key, Lane, Latency, Options, Publisher, Rate, Record, Registry, SharedGauge, State, StateSet,
    Stats, Text, Timer, Timestamp, Window,
};
use mmstats_tests::system;
use serde_json::{Value, json};

use crate::lines::{hear, say};
use crate::publish::options;

#[derive(Debug, Clone, Copy, State)]
enum Phase {
    Idle,
    Busy,
}

#[derive(Debug, Clone, Copy, PartialEq, Record)]
struct Pair {
    number: u64,
    twice: u64,
}

/// Every kind of handle. The first ones keep their values when a thread ends, others lose them.
#[derive(Debug, Stats)]
struct Work {
    counter: Counter,
    timer: Timer,
    histogram: Histogram<u64>,
    average: Average,
    latency: Latency,
    rate: Rate,
    #[stats(labels("k"))]
    family: Family<Counter, 1>,
    #[stats(labels("k"))]
    times: Family<Timer, 1>,
    log: Events<32>,
    #[stats(aggregation = "max")]
    level: Gauge<u64>,
    balance: Gauge<i64>,
    flag: Flag,
    phase: StateSet<Phase>,
    text: Text<24>,
    blob: Blob<8>,
    array: Array<u64, 3>,
    group: Group<Pair>,
    window: Window<u64, 4>,
    moment: Timestamp,
}

impl Work {
    /// Update number `n`, from 1, of what threads leave behind.
    fn count(&self, n: u64) {
        self.counter.incr();
        self.timer.record_nanos(step(n));
        self.histogram.record(step(n));
        #[allow(clippy::cast_precision_loss)] // below 1,001
        self.average.record(step(n) as f64);
        self.latency.record_nanos(step(n));
        self.rate.add(2);
        self.family.get(&[if n.is_multiple_of(2) { "even" } else { "odd" }]).incr();
        self.times.get(&["all"]).record_nanos(step(n));
    }

    /// Update number `n`, from 1, of what vanishes with the thread.
    fn set(&self, worker: usize, n: u64) {
        self.level.set(n);
        self.balance.set(-n.cast_signed());
        self.flag.set(true);
        self.phase.set(if n.is_multiple_of(2) { Phase::Idle } else { Phase::Busy });
        self.text.set(&text(worker, n));
        self.blob.set(&n.to_le_bytes());
        self.array.set(&[n, 1, 2 * n]);
        self.group.set(&Pair { number: n, twice: 2 * n });
        self.window.record(n);
        self.moment.set_nanos(n);
        if n.is_multiple_of(64) {
            self.log.record_fmt(format_args!("{worker} {n}"));
        }
    }
}

/// What update number `n` records: 1 to 1,000.
fn step(n: u64) -> u64 {
    n % 1000 + 1
}

/// The sum of [`step`] from 1 to `n`.
fn steps(n: u64) -> u64 {
    let (rounds, rest) = (n / 1000, n % 1000);
    rounds * 500_500 + rest * (rest + 1) / 2 + rest
}

fn text(worker: usize, n: u64) -> String {
    format!("worker {worker} at {n}")
}

/// The way of a worker to its handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// `Publisher::with`, in one thread.
    With,
    /// `Publisher::lane`, kept.
    Lane,
    /// `Publisher::with`, in a new thread for each 50 updates.
    Short,
    /// Fields added at run time, attached for each update.
    Added,
    /// The facade `metrics`.
    Facade,
}

const ROUTES: [Route; 5] = [Route::With, Route::Lane, Route::Short, Route::Added, Route::Facade];

/// A worker's number, route, and number of updates so far.
struct Worker {
    number: usize,
    route: Route,
    done: AtomicU64,
}

struct Program {
    publisher: Publisher<Work>,
    sampled: bool,
    shared: Option<SharedGauge<u64>>,
    workers: Vec<Arc<Worker>>,
    /// Workers hold it for reading while they update.
    gate: Arc<RwLock<()>>,
    /// Fields added one by one, and the sum of their values.
    grown: Vec<Key<Counter>>,
    grown_sum: u64,
}

/// `[OPTION...]`, the options of [`options`], and `private` for private memory as second choice,
/// `sampled` for a sampled field, `tmpfs=OPTIONS` for a file system of its own, `fill` and `read-only` for its state at the start.
///
/// Obeys `workers N`, `stop` (answers the exact values), `go`, `floor` (answers a number of counts that
/// are published), `grow N`, `problem`, `paths`, `user ID`,
/// `remount OPTION`, `close` (answers the exact values).
pub(crate) fn run(directory: &Path, words: &[String]) {
    let (mut private, mut sampled) = (false, false);
    let mut others = Vec::new();
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("private", _) => private = true,
            ("sampled", _) => sampled = true,
            ("tmpfs", options) => mount(directory, options),
            ("fill", _) => fill(directory),
            ("read-only", _) => remount(directory, "ro"),
            _ => others.push(word.clone()),
        }
    }
    let options = options(directory, &others);
    let options = if private { options.or_private() } else { options };
    let publisher: Publisher<Work> = match options.start() {
        Ok(publisher) => publisher,
        Err(error) => return say(format_args!("no publisher: {error}")),
    };
    let _ = mmstats_metrics::Recorder::new(&publisher.registry()).install();
    if sampled {
        let callback = |gauge: &Gauge<u64>| gauge.set(7);
        publisher.sampled("sampled", FieldOptions::new(), callback).expect("a field");
    }
    let mut program = Program {
        sampled,
        shared: publisher.shared("shared", FieldOptions::new()).ok(),
        publisher,
        workers: Vec::new(),
        gate: Arc::default(),
        grown: Vec::new(),
        grown_sum: 0,
    };
    say("ready");
    let gate = Arc::clone(&program.gate);
    let mut stopped = Some(gate.write().expect("no panic"));
    while let Some(line) = hear() {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("workers", n) => {
                program.add_workers(n.parse().expect("a number"));
                say("done");
            }
            ("go", _) => {
                stopped = None;
                say("done");
            }
            ("stop", _) => {
                stopped.get_or_insert_with(|| gate.write().expect("no panic"));
                say(program.truth());
            }
            ("floor", _) => say(program.counted()),
            ("grow", n) => say(program.grow(n.parse().expect("a number"))),
            ("problem", _) => match program.publisher.problem() {
                Some(problem) => say(problem),
                None => say("none"),
            },
            ("user", id) => {
                system::become_user(id.parse().expect("a user")).expect("the super-user may");
                say("done");
            }
            ("remount", option) => {
                remount(directory, option);
                say("done");
            }
            ("paths", _) => say(json!(program.publisher.paths())),
            ("close", _) => {
                stopped.get_or_insert_with(|| gate.write().expect("no panic"));
                let truth = program.truth();
                program.publisher.close();
                say(truth);
            }
            (other, _) => panic!("cannot {other:?}"),
        }
    }
    // Without destructors: threads still use the handles.
    std::process::exit(0);
}

fn mount(directory: &Path, options: &str) {
    let mut mount = Command::new("mount");
    let status = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(directory).status();
    assert!(status.is_ok_and(|status| status.success()), "a tmpfs can be mounted");
}

fn remount(directory: &Path, option: &str) {
    let option = format!("remount,{option}");
    let status = Command::new("mount").args(["-o", &option]).arg(directory).status();
    assert!(status.is_ok_and(|status| status.success()), "a tmpfs can be remounted");
}

fn fill(directory: &Path) {
    let mut file = std::fs::File::create(directory.join("filler")).expect("a file");
    while file.write_all(&[1; 4096]).is_ok() {}
}

impl Program {
    fn add_workers(&mut self, count: usize) {
        for _ in 0..count {
            let number = self.workers.len();
            let route = ROUTES[number % ROUTES.len()];
            let worker = Arc::new(Worker { number, route, done: AtomicU64::new(0) });
            self.workers.push(Arc::clone(&worker));
            let (publisher, gate) = (self.publisher.clone(), Arc::clone(&self.gate));
            std::thread::spawn(move || worker.work(&publisher, &gate));
        }
    }

    /// Adds fields up to `count`, and adds one to each.
    fn grow(&mut self, count: usize) -> String {
        let registry = self.publisher.registry();
        while self.grown.len() < count {
            let label = format!("grown.{}", self.grown.len());
            match registry.add::<Counter>(label, FieldOptions::new()) {
                Ok(key) => self.grown.push(key),
                Err(error) => return format!("refused: {error}"),
            }
        }
        for key in &self.grown {
            let added = registry.with(|lane| lane.attach(*key).map(|counter| counter.incr()));
            self.grown_sum += u64::from(added.is_ok());
        }
        "done".to_owned()
    }

    /// Sum over the workers by [`Route`] of a function of the number of updates.
    fn sum(&self, routes: &[Route], of: impl Fn(u64) -> u64) -> u64 {
        self.of(routes).map(|worker| of(worker.done.load(Ordering::Acquire))).sum()
    }

    fn of(&self, routes: &[Route]) -> impl Iterator<Item = &Worker> {
        self.workers.iter().map(|worker| &**worker).filter(|worker| routes.contains(&worker.route))
    }

    fn counted(&self) -> u64 {
        self.sum(&COUNTING, |n| n)
    }

    /// The right values while no worker runs: by label; of `sum:LABEL` over all fields of that label.
    fn truth(&mut self) -> Value {
        let (counts, total) = (self.counted(), self.sum(&COUNTING, steps));
        if let Some(shared) = &self.shared {
            shared.set(counts);
        }
        let of_steps = json!({"count": counts, "sum": total});
        let mut truth = BTreeMap::from([
            ("counter", json!(counts)),
            ("timer", of_steps.clone()),
            ("histogram", of_steps.clone()),
            ("average", of_steps.clone()),
            ("latency", of_steps.clone()),
            ("rate", json!(2 * counts)),
            ("sum:family", json!(counts)),
            ("sum:times", of_steps),
        ]);
        if self.shared.is_some() {
            truth.insert("shared", json!(counts));
        }
        let live: Vec<(usize, u64)> = self
            .of(&SETTING)
            .map(|worker| (worker.number, worker.done.load(Ordering::Acquire)))
            .filter(|(_, n)| *n > 0)
            .collect();
        if !live.is_empty() {
            let sum = live.iter().map(|(_, n)| n).sum::<u64>();
            let most = live.iter().map(|(_, n)| *n).max().unwrap_or(0);
            let last = |n: u64| (n.saturating_sub(3).max(1)..=n).map(|n| (1, n));
            let window = live.iter().flat_map(|(_, n)| last(*n));
            let window = window.fold((0, 0), |(count, sum), (one, n)| (count + one, sum + n));
            let idle = live.iter().filter(|(_, n)| n % 2 == 0).count();
            let phases = [("idle", idle), ("busy", live.len() - idle)];
            let phases: BTreeMap<_, _> = phases.into_iter().filter(|(_, n)| *n > 0).collect();
            let mut texts: Vec<_> = live.iter().map(|(worker, n)| text(*worker, *n)).collect();
            texts.sort_unstable();
            let hex =
                |n: u64| n.to_le_bytes().iter().fold(String::new(), |s, b| s + &format!("{b:02x}"));
            let mut blobs: Vec<_> = live.iter().map(|(_, n)| hex(*n)).collect();
            blobs.sort_unstable();
            let lines = live.iter().filter(|(_, n)| *n >= 64);
            let mut lines: Vec<_> =
                lines.map(|(worker, n)| format!("{worker} {}", n / 64 * 64)).collect();
            lines.sort_unstable();
            truth.extend([
                ("level", json!(most)),
                ("balance", json!(-sum.cast_signed())),
                ("flag", json!(live.len())),
                ("phase", json!(phases)),
                ("text", json!(texts)),
                ("blob", json!(blobs)),
                ("array", json!([sum, live.len(), 2 * sum])),
                ("group.number", json!(sum)),
                ("group.twice", json!(2 * sum)),
                ("window", json!({"count": window.0, "sum": window.1})),
                ("moment", json!(most)),
                ("log", json!(lines)),
            ]);
        }
        if self.sampled {
            truth.insert("sampled", json!(7));
        }
        let added = self.sum(&[Route::Added], |n| n);
        if added > 0 {
            truth.insert("added.counter", json!(added));
        }
        let facade = self.sum(&[Route::Facade], |n| n);
        if facade > 0 {
            let total = self.sum(&[Route::Facade], steps);
            truth.insert("sum:facade.counter", json!(facade));
            truth.insert("facade.gauge", json!(self.of(&[Route::Facade]).count()));
            truth.insert("facade.histogram", json!({"count": facade, "sum": total}));
        }
        if !self.grown.is_empty() {
            truth.insert("grown.*", json!(self.grown_sum));
        }
        json!(truth)
    }
}

/// Routes whose updates [`Work::count`] counts.
const COUNTING: [Route; 3] = [Route::With, Route::Lane, Route::Short];
/// Routes whose handles have values as long as the program runs.
const SETTING: [Route; 2] = [Route::With, Route::Lane];

impl Worker {
    /// Updates without a pause while the gate is open.
    fn work(&self, publisher: &Publisher<Work>, gate: &RwLock<()>) {
        let registry = publisher.registry();
        let (mut lane, mut key) = (None, None);
        while let Ok(_open) = gate.read() {
            match self.route {
                Route::With => (0..32).for_each(|_| publisher.with(|work| self.both(work))),
                Route::Lane => {
                    if lane.is_none() {
                        lane = publisher.lane().ok();
                    }
                    match &lane {
                        Some(work) => (0..32).for_each(|_| self.both(work)),
                        None => std::thread::sleep(Duration::from_millis(1)),
                    }
                }
                Route::Short => std::thread::scope(|scope| {
                    scope.spawn(|| (0..50).for_each(|_| publisher.with(|work| self.next(work))));
                }),
                Route::Added => (0..32).for_each(|_| self.added(&registry, &mut key)),
                Route::Facade => (0..32).for_each(|_| self.facade()),
            }
        }
    }

    fn n(&self) -> u64 {
        self.done.load(Ordering::Relaxed) + 1
    }

    fn finish(&self, n: u64) {
        self.done.store(n, Ordering::Release);
    }

    fn next(&self, work: &Work) {
        let n = self.n();
        work.count(n);
        self.finish(n);
    }

    fn both(&self, work: &Work) {
        work.set(self.number, self.n());
        self.next(work);
    }

    fn added(&self, registry: &Registry, key: &mut Option<Key<Counter>>) {
        if key.is_none() {
            *key = registry.add("added.counter", FieldOptions::new()).ok();
        }
        let counted = key.and_then(|key| {
            registry.with(|lane| lane.attach(key).map(|counter| counter.incr())).ok()
        });
        match counted {
            Some(()) => self.finish(self.n()),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }

    fn facade(&self) {
        let n = self.n();
        metrics::counter!("facade.counter", "k" => if n.is_multiple_of(2) { "even" } else { "odd" })
            .increment(1);
        #[allow(clippy::cast_precision_loss)] // below 1,001
        metrics::histogram!("facade.histogram").record(step(n) as f64);
        if n == 1 {
            metrics::gauge!("facade.gauge").increment(1.0);
        }
        self.finish(n);
    }
}

/// `PARTS [keep=N] [user=ID]`: fields until there are so many files, with the values 1, 2, 3, ...
///
/// Says the number of fields and the paths.
pub(crate) fn parts(directory: &Path, words: &[String]) {
    let (parts, words) = words.split_first().expect("how many files");
    let parts: usize = parts.parse().expect("a number");
    let mut options = Options::new().directory(directory).lanes(1).reserve(1, 64);
    for word in words {
        options = match word.split_once('=') {
            Some(("keep", keep)) => options.post_mortems(Some(keep.parse().expect("a number"))),
            Some(("user", id)) => {
                system::become_user(id.parse().expect("a user")).expect("the super-user may");
                options
            }
            _ => panic!("no option {word:?}"),
        };
    }
    let publisher: Publisher<Lane> = options.start().expect("a publisher");
    let lane = publisher.lane().expect("a lane");
    let mut count = 0;
    while count == 0 || publisher.paths().len() < parts {
        count += 1;
        let label = format!("shard.{count}");
        // Long texts fill the files with few fields; each has twice the room of the one before.
        let help = FieldOptions::new().help(format!("{count:04000}"));
        let key = publisher.add::<Counter>(label, help).expect("room");
        lane.attach(key).expect("a handle").add(count);
    }
    say(json!({"fields": count, "paths": publisher.paths()}));
    while hear().is_some() {}
    std::process::exit(0);
}
