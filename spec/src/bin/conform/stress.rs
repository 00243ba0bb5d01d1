//! Has a reader look at a file while it is being written as fast as possible.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mmstats::{Array, Histogram, Options, Publisher, Stats, Text};
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
}

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    looks: u64,
    whole: u64,
    contended: u64,
    few: u64,
    numbers: u64,
    words: u64,
    sizes: u64,
    steps: u64,
}

/// Whether all values were whole and went on.
pub(crate) fn stress(reader: &str, seconds: u64) -> Result<bool, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let options = Options::new().directory(directory.path()).lanes(1).without_system_fields();
    let publisher: Publisher<Payload> = options.start()?;
    let path = publisher.paths().remove(0);
    let stop = AtomicBool::new(false);
    let (seen, failure) = std::thread::scope(|scope| {
        scope.spawn(|| publish(&publisher, &stop));
        let result = watch(reader, &path, Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        result
    })
    .map_err(|e| e.to_string())?;
    let Seen { looks, whole, contended, steps, .. } = seen;
    println!("{looks} looks: {whole} values whole, {contended} contended, {steps} times further");
    let failure = failure.or_else(|| match (looks, steps) {
        (0..10, _) => Some("fewer than ten looks".to_owned()),
        (_, 0..5) => Some("no progress".to_owned()),
        _ => None,
    });
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

fn publish(publisher: &Publisher<Payload>, stop: &AtomicBool) {
    let Ok(stats) = publisher.lane() else { return };
    let mut n = 0u64;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        // Most of the time nothing else: this is where a reader that does not look again is caught.
        for _ in 0..16 {
            n += 1;
            stats.few.set(&std::array::from_fn(|k| n.wrapping_mul(k as u64 + 1)));
        }
        stats.numbers.set(&std::array::from_fn(|k| n.wrapping_mul(k as u64 + 1)));
        let word = n.to_string();
        let times = 64 / (word.len() + 1);
        stats.words.set([word.as_str()].repeat(times.max(1)).join(" ").as_str());
        stats.sizes.record(n % 1_000_000);
        // Without any rest hardly a pass of a reader in a slow language would be undisturbed.
        if n.is_multiple_of(17 * 256) {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

type Watched = Result<(Seen, Option<String>), Box<dyn std::error::Error + Send + Sync>>;

fn watch(reader: &str, path: &std::path::Path, time: Duration) -> Watched {
    let mut command = command(reader, "--repeat 1000000000", path);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let (mut seen, mut failure) = (Seen::default(), None);
    let begin = Instant::now();
    for line in BufReader::new(out).lines() {
        let checked = serde_json::from_str(&line?).map_err(|e| format!("no JSON: {e}"));
        failure = checked.and_then(|document| check(&document, &mut seen)).err();
        if failure.is_some() || begin.elapsed() > time {
            break;
        }
    }
    let ended = child.try_wait()?;
    let _ = child.kill();
    let status = child.wait()?;
    if failure.is_none() && begin.elapsed() <= time {
        // It does not repeat, or does not even start.
        let status = ended.unwrap_or(status);
        failure = Some(format!("it ended by itself after {} looks, with {status}", seen.looks));
    }
    Ok((seen, failure))
}

fn check(document: &Value, seen: &mut Seen) -> Result<(), String> {
    seen.looks += 1;
    let before = (seen.few, seen.numbers, seen.words, seen.sizes);
    for (label, last) in [
        ("few", &mut seen.few),
        ("numbers", &mut seen.numbers),
        ("words", &mut seen.words),
        ("sizes", &mut seen.sizes),
    ] {
        let fields = document["fields"].as_array().into_iter().flatten();
        let field = fields.into_iter().find(|f| f["label"] == label).ok_or("a field is missing")?;
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
        let now = whole(label, value).ok_or_else(|| format!("{label} is mixed: {value}"))?;
        if now < *last {
            return Err(format!("{label} went back from {last} to {now}"));
        }
        (*last, seen.whole) = (now, seen.whole + 1);
    }
    seen.steps += u64::from(before < (seen.few, seen.numbers, seen.words, seen.sizes));
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
