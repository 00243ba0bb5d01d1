//! Has a reader look at a file while it is being written as fast as possible.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use mmstats::{Array, FieldOptions, Gauge, Histogram, Key, Lane, Options, Publisher, Stats, Text};
use serde_json::Value;

use crate::run::command;
use crate::steps::{FIELDS as STEPPED, IMAGE, Steps};

/// Values that show by themselves whether they are whole.
#[derive(Stats)]
struct Payload {
    /// n, 2n, 3n, 4n, in two slots, of which one is being written half of the time.
    few: Array<u64, 4>,
    /// n, 2n, 3n, ... in four slots.
    numbers: Array<u64, 8>,
    /// One number, again and again.
    words: Text<64>,
    /// The elements add up to the total.
    sizes: Histogram,
    /// Fields that come and go: see [`ROOMS`].
    #[stats(nested)]
    room: Lane,
}

/// The labels, and the rule for their values.
const FIELDS: [(&str, &str); 4] = [
    ("few", "n, 2n, 3n, 4n"),
    ("numbers", "n, 2n, 3n, and so on up to 8n"),
    ("words", "a text that repeats one number"),
    ("sizes", "elements that add up to their total"),
];

/// Number of fields `room.N` of value N that are retired together; others take their room at once.
const ROOMS: u64 = 16;

/// Time between them.
const TENANCY: Duration = Duration::from_millis(50);

/// How long the writer rests after each publish in the second part.
const REST: Duration = Duration::from_millis(1);

/// Maximum time without output of the reader.
const SILENCE: Duration = Duration::from_secs(10);

/// Maximum number of looks, received after a writer has stopped between two stores, until one has the newest values.
/// A pipe can hold some tens of documents from before.
const LOOKS: u32 = 100;

/// Number of interruptions that follow each other so closely that a reader gets through no attempt.
const STORM: u32 = 200;

/// Results of reads, for the fields in the order of `FIELDS`.
#[derive(Debug, Default)]
struct Seen {
    looks: u64,
    contended: u64,
    /// Looks in which a field said more than before.
    further: u64,
    whole: [u64; 4],
    last: [u64; 4],
    /// Values of fields that come and go.
    rooms: u64,
    /// Looks with a damaged field.
    damaged: u64,
}

/// Whether a reader is right about a file that is being written, in four parts: a writer that makes its stores one
/// by one and stops after each; one that makes a few of them while the reader is in the middle of a look; one
/// that publishes without a pause; and one that rests after each publish, so that a reader has no reason to be
/// contended again and again.
pub(crate) fn stress(reader: &str, seconds: u64) -> Result<bool, Box<dyn std::error::Error>> {
    let failure = match stepped(reader, seconds).map_err(|e| e.to_string())? {
        Some(why) => Some(why),
        None => published(reader, seconds)?,
    };
    if let Some(why) = failure {
        println!("FAILED {why}\n0 passed, 1 failed, 0 skipped");
        return Ok(false);
    }
    println!("1 passed, 0 failed, 0 skipped");
    Ok(true)
}

/// Why a reader is wrong about a file of single stores.
fn stepped(
    reader: &str,
    seconds: u64,
) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("stepped.mmst");
    std::fs::write(&path, IMAGE)?;
    let mut steps = Steps::new(std::fs::File::options().write(true).open(&path)?);
    let mut looks = Looks::start(reader, &path)?;
    let (begin, time) = (Instant::now(), Duration::from_secs(seconds.div_ceil(3)));
    let mut stores = 0;
    // A slow reader still has to find some values of each field.
    while begin.elapsed() < time || (stores < 40 * STEPPED && begin.elapsed() < 4 * time) {
        if let Err(why) = steps
            .store(stores % STEPPED)
            .map_err(|e| e.to_string())
            .and_then(|_| settle(&mut steps, &mut looks))
        {
            return Ok(Some(looks.reason(why)));
        }
        stores += 1;
    }
    println!(
        "a writer that stops after each store: {} looks, {stores} stores, the newest values found after each",
        looks.count
    );
    let steps = Mutex::new(steps);
    let stop = AtomicBool::new(false);
    let (mut moved, mut contended) = (0, 0);
    let first = looks.count;
    let (failure, times) = std::thread::scope(|scope| {
        let reader = looks.child.id();
        let (steps, stop) = (&steps, &stop);
        let writer = scope.spawn(move || interrupt(steps, reader, stop));
        let (begin, time) = (Instant::now(), Duration::from_secs(2 * seconds));
        let mut failure = None;
        while failure.is_none() && (begin.elapsed() < time || looks.count < first + 10) {
            let judged = looks.next().and_then(|(document, end)| {
                steps.lock().unwrap_or_else(PoisonError::into_inner).judge(&document, end)
            });
            match judged {
                Ok(found) => {
                    moved += found.moved;
                    contended += found.contended;
                }
                Err(why) => failure = Some(why),
            }
        }
        stop.store(true, Ordering::Relaxed);
        let written =
            writer.join().unwrap_or_else(|_| Err(std::io::Error::other("the writer panicked")));
        written.map(|times| (failure, times))
    })?;
    println!(
        "a writer between the loads of the reader, {times} times: {} looks, {moved} values met that were replaced meanwhile, \
         {contended} contended",
        looks.count - first
    );
    Ok(match failure {
        Some(why) => Some(looks.reason(why)),
        None if moved + contended == 0 => Some("no look met a moving value".to_owned()),
        None => None,
    })
}

/// Looks until one has found the newest values.
fn settle(steps: &mut Steps, looks: &mut Looks) -> Result<(), String> {
    let stopped = Instant::now();
    let mut after = 0;
    loop {
        let (document, end) = looks.next()?;
        if steps.judge(&document, end)?.newest {
            return Ok(());
        }
        after += u32::from(end > stopped);
        if after == LOOKS {
            let fields = &document["fields"];
            return Err(format!(
                "{LOOKS} looks did not find the newest values of a writer that has stopped between two stores: {fields}"
            ));
        }
    }
}

/// Makes some stores again and again while the reader is stopped, wherever it is. Returns how often.
fn interrupt(steps: &Mutex<Steps>, reader: u32, stop: &AtomicBool) -> std::io::Result<u64> {
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
        // Now and then no attempt of a reader is undisturbed.
        let bursts = if steps.random(256) == 0 { STORM } else { 1 };
        let rest = if bursts > 1 { 2 + steps.random(8) } else { 10 + steps.random(200) };
        for _ in 0..bursts {
            pause(reader, true);
            let result = steps.burst();
            pause(reader, false);
            result?;
            times += 1;
            if bursts > 1 {
                spin(Duration::from_micros(rest));
            }
        }
        drop(steps);
        // A sleep leaves the processor to the reader and takes longer.
        if times % 2 == 0 {
            spin(Duration::from_micros(rest));
        } else {
            std::thread::sleep(Duration::from_micros(rest));
        }
    }
    Ok(times)
}

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Stops the reader, or lets it go on. A reader that has ended is found by its output.
#[cfg(unix)] // signals
fn pause(reader: u32, stops: bool) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(pid) = i32::try_from(reader).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, if stops { Signal::STOP } else { Signal::CONT });
    }
}

/// Without signals the scheduler decides when the reader is interrupted.
#[cfg(not(unix))] // as above
const fn pause(_reader: u32, _stops: bool) {}

/// Why a reader is wrong about the file of a publisher.
fn published(reader: &str, seconds: u64) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let options = Options::new()
        .directory(directory.path())
        .lanes(1)
        .without_system_fields()
        .reserve(64, 4096);
    let publisher: Publisher<Payload> = options.start()?;
    let path = publisher.paths().remove(0);
    let (stop, rests) = (AtomicBool::new(false), AtomicBool::new(false));
    let failure = std::thread::scope(|scope| {
        let (begun, begins) = mpsc::channel::<()>();
        let (publisher, stop, rests) = (&publisher, &stop, &rests);
        scope.spawn(move || publish(publisher, stop, rests, begun));
        // A file without a lane has no values. This returns when there is one, or there will be none.
        let _ = begins.recv();
        let fast = watch(reader, &path, Duration::from_secs(seconds));
        let result = fast.and_then(|(seen, failure)| {
            report("without a rest", &seen);
            if failure.is_some() {
                return Ok(failure);
            }
            rests.store(true, Ordering::Relaxed);
            let time = Duration::from_secs((seconds / 3).max(1));
            let (seen, failure) = watch(reader, &path, time)?;
            report("with rests", &seen);
            Ok(failure.or_else(|| unfair(&seen)))
        });
        stop.store(true, Ordering::Relaxed);
        result
    })
    .map_err(|e| e.to_string())?;
    Ok(failure)
}

fn report(writer: &str, seen: &Seen) {
    let Seen { looks, contended, further, whole, rooms, damaged, .. } = seen;
    let values: u64 = whole.iter().sum();
    println!(
        "a writer {writer}: {looks} looks, {further} of them found more than the one before; \
         {values} values whole, {contended} contended; {rooms} of fields that come and go, {damaged} looks with \
         damage"
    );
}

/// The field that was whole too rarely while the writer rested.
fn unfair(seen: &Seen) -> Option<String> {
    let mut fields = FIELDS.iter().zip(seen.whole);
    let ((label, _), whole) = fields.find(|(_, whole)| whole * 4 < seen.looks)?;
    Some(format!(
        "{label} is whole in {whole} of {} looks while the writer rests {} ms after each publish; \
         it has to be in a quarter of them",
        seen.looks,
        REST.as_millis()
    ))
}

fn publish(
    publisher: &Publisher<Payload>,
    stop: &AtomicBool,
    rests: &AtomicBool,
    begun: mpsc::Sender<()>,
) {
    let Ok(stats) = publisher.lane() else { return };
    drop(begun);
    let mut n = 0u64;
    let (mut rooms, mut moved) = (Vec::new(), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let rest = || {
            if rests.load(Ordering::Relaxed) {
                std::thread::sleep(REST);
            }
        };
        n += 1;
        // Publishing takes most of the time: this catches a reader that does not check seq again.
        for _ in 0..16 {
            n += 1;
            stats.few.set(&std::array::from_fn(|k| n.wrapping_mul(k as u64 + 1)));
            rest();
        }
        stats.numbers.set(&std::array::from_fn(|k| n.wrapping_mul(k as u64 + 1)));
        rest();
        let word = n.to_string();
        let times = 64 / (word.len() + 1);
        stats.words.set([word.as_str()].repeat(times.max(1)).join(" ").as_str());
        rest();
        stats.sizes.record(n % 1_000_000);
        rest();
        if moved.elapsed() > TENANCY {
            rooms = move_in(publisher, &stats.room, n, rooms);
            moved = Instant::now();
        }
        // Without any rest hardly a pass of a reader in a slow language would be undisturbed.
        if n.is_multiple_of(17 * 256) {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Retires fields, and gives their room to others.
fn move_in(
    publisher: &Publisher<Payload>,
    lane: &Lane,
    first: u64,
    old: Vec<Key<Gauge<u64>>>,
) -> Vec<Key<Gauge<u64>>> {
    old.into_iter().filter_map(|key| publisher.retire(key).err()).for_each(drop);
    let add = |n: u64| {
        let key = publisher.add::<Gauge<u64>>(format!("room.{n}"), FieldOptions::new()).ok()?;
        lane.attach(key).ok()?.set(n);
        Some(key)
    };
    (first..first + ROOMS).filter_map(add).collect()
}

type Watched = Result<(Seen, Option<String>), Box<dyn std::error::Error + Send + Sync>>;

/// A reader that prints one document after the other.
struct Looks {
    child: Child,
    lines: mpsc::Receiver<std::io::Result<(String, Instant)>>,
    /// Number of documents so far.
    count: u64,
    /// Whether its output has ended.
    ended: bool,
}

impl Looks {
    fn start(reader: &str, path: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut command = command(reader, "--repeat 1000000000", path);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        let (send, lines) = mpsc::sync_channel(16);
        // Ends with the reader, or with the first line that is not received.
        std::thread::spawn(move || {
            let stamped = |line: std::io::Result<String>| line.map(|line| (line, Instant::now()));
            BufReader::new(out).lines().map(stamped).try_for_each(|line| send.send(line))
        });
        Ok(Self { child, lines, count: 0, ended: false })
    }

    /// The next document, and when it was received.
    fn next(&mut self) -> Result<(Value, Instant), String> {
        let (line, at) = match self.lines.recv_timeout(SILENCE) {
            Ok(line) => line.map_err(|e| e.to_string())?,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                self.ended = true;
                return Err(String::new());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(format!("it printed nothing for {} s", SILENCE.as_secs()));
            }
        };
        let document = serde_json::from_str(&line).map_err(|e| format!("no JSON: {e}"))?;
        self.count += 1;
        Ok((document, at))
    }

    /// Why the reader failed: `why`, or that it has ended.
    fn reason(&mut self, why: String) -> String {
        if !self.ended {
            return why;
        }
        let status = self.child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        // It does not repeat, or does not even start.
        format!("it ended by itself after {} looks, with {status}", self.count)
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks for this long from the first look on, and at least ten times.
fn watch(reader: &str, path: &Path, time: Duration) -> Watched {
    let mut looks = Looks::start(reader, path)?;
    let (mut seen, mut failure, mut begin) = (Seen::default(), None, None);
    while failure.is_none() {
        let checked = looks.next().and_then(|(document, _)| check(&document, &mut seen));
        failure = checked.err().map(|why| looks.reason(why));
        if begin.get_or_insert_with(Instant::now).elapsed() > time && seen.looks >= 10 {
            break;
        }
    }
    if failure.is_none() && seen.damaged * 10 > seen.looks {
        failure = Some(format!("{} of {} looks found damage", seen.damaged, seen.looks));
    }
    if failure.is_none() && seen.rooms == 0 {
        failure = Some("no value of a field that comes and goes".to_owned());
    }
    if failure.is_none() && seen.further < 5 {
        failure = Some(format!("{} of {} looks found more", seen.further, seen.looks));
    }
    Ok((seen, failure))
}

fn check(document: &Value, seen: &mut Seen) -> Result<(), String> {
    seen.looks += 1;
    let before = seen.last;
    for (k, (label, form)) in FIELDS.iter().enumerate() {
        let (last, whole_ones) = match (seen.last.get_mut(k), seen.whole.get_mut(k)) {
            (Some(last), Some(whole)) => (last, whole),
            _ => continue,
        };
        let fields = document["fields"].as_array().into_iter().flatten();
        let field =
            fields.into_iter().find(|f| f["label"] == *label).ok_or("a field is missing")?;
        let value = &field["lanes"][0];
        match value["verdict"].as_str() {
            // Before the first value.
            Some("absent") if *last == 0 => continue,
            Some("contended") => {
                seen.contended += 1;
                continue;
            }
            None => {}
            Some(other) => return Err(format!("{label}: {other}: {value}")),
        }
        let now = whole(label, value)
            .ok_or_else(|| format!("{label} is mixed: {value}; it has to be {form}"))?;
        if now < *last {
            return Err(format!("{label} went back from {last} to {now}"));
        }
        *last = now;
        *whole_ones += 1;
    }
    rooms(document, seen)?;
    seen.further += u64::from(before.iter().zip(seen.last).any(|(before, now)| *before < now));
    Ok(())
}

/// Counts the values of fields that come and go, each of which its label says.
fn rooms(document: &Value, seen: &mut Seen) -> Result<(), String> {
    let mut damaged = false;
    for field in document["fields"].as_array().into_iter().flatten() {
        damaged |= !field["damaged"].is_null();
        let number = field["label"].as_str().and_then(|label| label.strip_prefix("room."));
        let value = &field["lanes"][0]["u64"];
        if let Some(number) = number.filter(|_| !value.is_null()) {
            if value != number {
                return Err(format!("room.{number} has the value of another field: {value}"));
            }
            seen.rooms += 1;
        }
    }
    // A retired field is, while the writer does not run between two stores of a description.
    seen.damaged += u64::from(damaged);
    Ok(())
}

/// The number that a value says, if all of it belongs together.
fn whole(label: &str, value: &Value) -> Option<u64> {
    let numbers = |value: &Value| -> Option<Vec<u64>> {
        value.as_array()?.iter().map(|n| n.as_str()?.parse().ok()).collect()
    };
    match label {
        "few" | "numbers" => {
            let all = numbers(&value["u64"])?;
            let n = *all.first()?;
            let good = |(k, v): (u64, &u64)| *v == n.wrapping_mul(k);
            (1..).zip(&all).all(good).then_some(n)
        }
        "words" => {
            let text = value["text"].as_str()?;
            let first = text.split(' ').next()?;
            if text.is_empty() {
                return Some(0);
            }
            text.split(' ').all(|word| word == first).then_some(first.parse().ok()?)
        }
        _ => {
            let total = value["total"].as_str()?.parse().ok()?;
            (numbers(&value["u64"])?.iter().sum::<u64>() == total).then_some(total)
        }
    }
}
