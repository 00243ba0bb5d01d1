//! Has a reader look at a file while it is being written as fast as possible.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mmstats::{Array, FieldOptions, Gauge, Histogram, Key, Lane, Options, Publisher, Stats, Text};
use serde_json::Value;

use crate::run::command;

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

/// Whether all values were whole and increased: first while a writer publishes without a pause for
/// `seconds`, then for a third of that with a pause after each publish, so that a reader has no
/// reason to be contended again and again.
pub(crate) fn stress(reader: &str, seconds: u64) -> Result<bool, Box<dyn std::error::Error>> {
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
    match failure {
        Some(why) => {
            println!("FAILED {why}\n0 passed, 1 failed, 0 skipped");
            Ok(false)
        }
        None => {
            println!("1 passed, 0 failed, 0 skipped");
            Ok(true)
        }
    }
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

/// Looks for this long from the first look on, and at least ten times.
fn watch(reader: &str, path: &std::path::Path, time: Duration) -> Watched {
    let mut command = command(reader, "--repeat 1000000000", path);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let (send, lines) = mpsc::sync_channel(16);
    // Ends with the reader, or with the first line that is not received.
    std::thread::spawn(move || BufReader::new(out).lines().try_for_each(|line| send.send(line)));
    let (mut seen, mut failure, mut enough) = (Seen::default(), None, false);
    let mut begin = None;
    loop {
        let line = match lines.recv_timeout(SILENCE) {
            Ok(line) => line?,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                failure = Some(format!("it printed nothing for {} s", SILENCE.as_secs()));
                break;
            }
        };
        let checked = serde_json::from_str(&line).map_err(|e| format!("no JSON: {e}"));
        failure = checked.and_then(|document| check(&document, &mut seen)).err();
        enough = begin.get_or_insert_with(Instant::now).elapsed() > time && seen.looks >= 10;
        if failure.is_some() || enough {
            break;
        }
    }
    let ended = child.try_wait()?;
    let _ = child.kill();
    let status = child.wait()?;
    if failure.is_none() && !enough {
        // It does not repeat, or does not even start.
        let status = ended.unwrap_or(status);
        failure = Some(format!("it ended by itself after {} looks, with {status}", seen.looks));
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
