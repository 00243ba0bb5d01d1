//! Runs a writer over descriptions, and compares the documents of two readers with them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mmstats_core::floor_char_boundary;
use serde_json::{Value, json};

use crate::compare::difference;
use crate::run::{command, wait};

/// A field of a description.
#[derive(Debug, Clone)]
struct Asked {
    kind: Kind,
    label: String,
    unit: String,
    help: String,
    /// Empty for none.
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Text(usize),
}

/// Fields, and whether they are within the limits.
struct Case {
    name: &'static str,
    fields: Vec<Asked>,
    good: bool,
}

fn field(kind: Kind, label: &str, value: &str) -> Asked {
    let text =
        |part: &str| if matches!(kind, Kind::Text(_)) { String::new() } else { part.to_owned() };
    let (label, value) = (label.to_owned(), value.to_owned());
    Asked { kind, label, unit: text("bytes"), help: "What it is.".to_owned(), value }
}

fn cases() -> Vec<Case> {
    use Kind::{Counter, Gauge, Text};
    let good = |name, fields| Case { name, fields, good: true };
    let bad = |name, fields| Case { name, fields, good: false };
    let plain = |kind, value| field(kind, "field", value);
    let with = |change: fn(&mut Asked)| {
        let mut asked = plain(Counter, "1");
        change(&mut asked);
        vec![asked]
    };
    vec![
        good("nothing", vec![]),
        good("a counter", vec![plain(Counter, "17")]),
        good("the largest counter", vec![plain(Counter, "18446744073709551615")]),
        good("a gauge", vec![plain(Gauge, "-0.125")]),
        good("a gauge without a value", vec![plain(Gauge, "")]),
        good("a text", vec![plain(Text(24), "serving")]),
        good("a text of four slots", vec![plain(Text(200), "serving requests")]),
        good("a text without a value", vec![plain(Text(8), "")]),
        good("a text that fits exactly", vec![plain(Text(4), "abcd")]),
        good("a text that is cut", vec![plain(Text(4), "abcde")]),
        good("a text that is cut between characters", vec![plain(Text(4), "abcä")]),
        good("a text that is cut in a long character", vec![plain(Text(6), "abc😀d")]),
        good(
            "forty fields, every third without a value",
            (0..40)
                .map(|n| match n % 3 {
                    0 => field(Counter, &format!("counter.{n}"), &n.to_string()),
                    1 => field(Gauge, &format!("gauge.{n}"), ""),
                    _ => field(Text(1 + n), &format!("text.{n}"), "ü".repeat(n).as_str()),
                })
                .collect(),
        ),
        good("the longest label", with(|f| f.label = "l".repeat(255))),
        good(
            "the longest unit and help",
            with(|f| (f.unit, f.help) = ("u".repeat(63), "h".repeat(4096))),
        ),
        good("no unit and no help", with(|f| (f.unit, f.help) = (String::new(), String::new()))),
        good("a label that is not ASCII", with(|f| f.label = "größe \"x\" \\ </a>".to_owned())),
        bad("a label that is too long", with(|f| f.label = "l".repeat(256))),
        bad("no label", with(|f| f.label = String::new())),
        bad("a unit that is too long", with(|f| f.unit = "u".repeat(64))),
        bad("a help text that is too long", with(|f| f.help = "h".repeat(4097))),
        bad("a text without capacity", vec![plain(Text(0), "")]),
        bad("a text of too large a capacity", vec![plain(Text(1_048_561), "")]),
    ]
}

impl Asked {
    fn line(&self) -> String {
        let kind = match self.kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Gauge => "gauge".to_owned(),
            Kind::Text(n) => format!("text{n}"),
        };
        format!("{kind}\t{}\t{}\t{}\t{}\n", self.label, self.unit, self.help, self.value)
    }

    /// The document that a reader must print.
    fn document(&self) -> Value {
        let absent = json!({ "verdict": "absent" });
        let (ty, kind, rule, storage, count, value) = match self.kind {
            Kind::Counter => ("u64", "counter", "sum", "atomic", 1, json!({ "u64": self.value })),
            Kind::Gauge => {
                let bits = self.value.parse::<f64>().map(|x| format!("{:016x}", x.to_bits()));
                let value = bits.map_or(absent, |bits| json!({ "f64": bits }));
                ("f64", "gauge", "sum", "atomic", 1, value)
            }
            Kind::Text(n) if self.value.is_empty() => {
                ("text", "gauge", "each", "latched", n, absent)
            }
            Kind::Text(n) => {
                let end = floor_char_boundary(&self.value, n);
                let text = self.value.get(..end).unwrap_or_default();
                let value = json!({ "text": text, "cut": end < self.value.len() });
                ("text", "gauge", "each", "latched", n, value)
            }
        };
        json!({
            "label": self.label, "unit": self.unit, "help": self.help, "attributes": {},
            "type": ty, "kind": kind, "aggregation": rule, "storage": storage,
            "count": count.to_string(), "lanes": [value],
        })
    }
}

const LIMIT: Duration = Duration::from_secs(5);

/// Whether the writer is right.
pub(crate) fn write(writer: &str, readers: &[String]) -> Result<bool, Box<dyn std::error::Error>> {
    let ours = std::env::current_exe()?.with_file_name("conform-reader");
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/readers/python/conform_reader.py");
    let defaults = [ours.display().to_string(), format!("python3 {python}")];
    let readers = if readers.is_empty() { &defaults[..] } else { readers };
    if readers.len() < 2 {
        return Err("one reader alone proves nothing: name two".into());
    }
    let (mut passed, mut failed) = (0, 0);
    let directory = tempfile::tempdir()?;
    for (number, case) in cases().iter().enumerate() {
        let description = directory.path().join(format!("{number}.txt"));
        let file = directory.path().join(format!("{number}.mmst"));
        std::fs::write(&description, case.fields.iter().map(Asked::line).collect::<String>())?;
        match one(writer, readers, case, &description, &file) {
            Ok(()) => passed += 1,
            Err(why) if why.starts_with("the writer does not start") => return Err(why.into()),
            Err(why) => {
                println!("FAILED {}: {why}", case.name);
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed, 0 skipped");
    Ok(failed == 0)
}

fn one(
    writer: &str,
    readers: &[String],
    case: &Case,
    description: &Path,
    file: &Path,
) -> Result<(), String> {
    let child = Command::new("sh")
        .args(["-c", &format!("exec {writer} \"$1\" \"$2\""), "sh"])
        .args([description, file])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let (status, _, err) = wait(&mut child.map_err(|e| e.to_string())?, LIMIT)?;
    let said = String::from_utf8_lossy(&err).lines().last().unwrap_or_default().to_owned();
    match (status.code(), case.good) {
        (Some(126 | 127), _) => return Err(format!("the writer does not start: {said}")),
        (Some(0), true) => {}
        (Some(1), false) if !file.exists() => return Ok(()),
        (_, good) => {
            let wanted = if good { "0" } else { "1, without a file" };
            return Err(format!("{status}, not {wanted} (it said: {said})"));
        }
    }
    let fields: Vec<Value> = case.fields.iter().map(Asked::document).collect();
    let wanted =
        json!({ "format": "3.0", "state": "closed", "lanes": ["owned"], "fields": fields });
    for reader in readers {
        let mut command = command(reader, "", file);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let (status, out, _) = wait(&mut child.map_err(|e| e.to_string())?, LIMIT)?;
        if !status.success() {
            return Err(format!("{reader}: {status}: {}", String::from_utf8_lossy(&out).trim()));
        }
        let got: Value = serde_json::from_slice(&out).map_err(|e| format!("{reader}: {e}"))?;
        if let Some(why) = difference(&wanted, &got, true) {
            return Err(format!("{reader}: {why}"));
        }
    }
    Ok(())
}
