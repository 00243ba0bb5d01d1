//! `mmstats poll`: rows of rates and values, like vmstat.

mod rates;
mod sample;
mod table;

pub(crate) use rates::gained;

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use mmstats_observe::Kind;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use self::sample::{Cell, Column, Sample, Sampler, Wanted};
use crate::args::Poll;
use crate::output::Output;
use crate::targets::{Targets, complain, places};
use crate::value::Exact;
use crate::{escape, globs, json};

pub(crate) fn run(args: &Poll, output: &mut Output) -> io::Result<()> {
    let fields = globs::split(&args.fields);
    let wanted: Result<Vec<Wanted>, String> =
        fields.iter().map(|field| Wanted::new(&args.prefix, field)).collect();
    let wanted = match wanted {
        Ok(wanted) if !wanted.is_empty() => wanted,
        Ok(_) => {
            output.usage("no field is named; `mmstats show` lists them");
            return Ok(());
        }
        Err(text) => {
            output.usage(&text);
            return Ok(());
        }
    };
    let targets = Targets::parse(&args.targets);
    let named = !targets.is_empty();
    let mut sampler = Sampler::new(targets, wanted);
    let mut sample = sampler.sample();
    complain(&sampler.observer, output);
    let mut said: HashSet<PathBuf> =
        sampler.observer.problems().map(|problem| problem.path.clone()).collect();
    if !ready(&sampler, &sample, output) {
        return Ok(());
    }
    let mut table = table::Table::new(&args.prefix);
    let (start, mut rows) = (Instant::now(), 0_u64);
    loop {
        if args.json {
            json::line(output, &Document { columns: &sampler.columns, sample: &sample })?;
        } else {
            table.print(&sampler.columns, &sample.cells, output.screen(), output)?;
        }
        output.flush()?;
        rows += 1;
        if args.count.is_some_and(|count| rows >= count) {
            return Ok(());
        }
        if named && !sample.active {
            output.note("no program that was named is live any more");
            return Ok(());
        }
        wait_until(start, args.delay, rows);
        sample = sampler.sample();
        // What went wrong meanwhile, once a file: one truncated under us, for instance.
        for problem in sampler.observer.problems() {
            match (said.insert(problem.path.clone()), problem.named) {
                (true, true) => output.fail(&problem.to_string()),
                (true, false) => output.note(&problem.to_string()),
                (false, _) => {}
            }
        }
    }
}

/// Whether there is something to look at; otherwise says what is missing.
fn ready(sampler: &Sampler, sample: &Sample, output: &mut Output) -> bool {
    if sample.programs == 0 {
        if !output.has_failed() {
            let places = places(&sampler.observer);
            output.fail(&format!("no live program{places}; try `mmstats ls`"));
        }
        return false;
    }
    let mut ready = true;
    let mut labels = None;
    for wanted in sampler.unmatched() {
        let labels = labels.get_or_insert_with(|| sampler.labels());
        let text = escape::text(&wanted.text);
        let near = nearest(&wanted.text, labels);
        let near: Vec<_> = near.iter().map(|label| format!("'{}'", escape::text(label))).collect();
        let hint = if near.is_empty() {
            "; `mmstats show` lists all".to_owned()
        } else {
            format!("; near it are {}", near.join(", "))
        };
        output.fail(&format!("no field '{text}'{hint}"));
        ready = false;
    }
    ready
}

/// The labels most like `text`, at most three.
fn nearest<'a>(text: &str, labels: &[&'a str]) -> Vec<&'a str> {
    let plain = text.replace(['*', '?'], "").to_lowercase();
    let score = |label: &str| {
        let label = label.to_lowercase();
        let end = label.rsplit('.').next().unwrap_or_default();
        let inside = !plain.is_empty() && (label.contains(&plain) || plain.contains(&label));
        let alike = strsim::normalized_damerau_levenshtein(&plain, &label)
            .max(strsim::normalized_damerau_levenshtein(&plain, end));
        if inside { 1.0 + alike } else { alike }
    };
    let mut scored: Vec<(f64, &str)> = labels.iter().map(|label| (score(label), *label)).collect();
    scored.retain(|(score, _)| *score >= 0.5);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by_key(|(_, label)| *label);
    scored.into_iter().take(3).map(|(_, label)| label).collect()
}

/// Rows come at fixed times, so that late ones do not add up.
fn wait_until(start: Instant, delay: Duration, rows: u64) {
    let due = u32::try_from(rows).ok().and_then(|rows| delay.checked_mul(rows));
    let left = due.and_then(|due| due.checked_sub(start.elapsed()));
    // Far behind, perhaps after the machine slept: the next row is as long as the others.
    std::thread::sleep(left.unwrap_or(delay));
}

/// A line of `--json`.
struct Document<'a> {
    columns: &'a [Column],
    sample: &'a Sample,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = self.sample.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &time.as_secs_f64())?;
        map.serialize_entry("seconds", &self.sample.elapsed.map(|e| e.as_secs_f64()))?;
        map.serialize_entry("programs", &self.sample.programs)?;
        map.serialize_entry("fields", &Fields(self))?;
        map.end()
    }
}

struct Fields<'a>(&'a Document<'a>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cell) in self.0.columns.iter().zip(&self.0.sample.cells) {
            map.serialize_entry(&*column.label, &Field { column, cell })?;
        }
        map.end()
    }
}

struct Field<'a> {
    column: &'a Column,
    cell: &'a Cell,
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("unit", &self.column.unit)?;
        match self.cell {
            Cell::Rate(rate) => map.serialize_entry("rate", &finite(*rate))?,
            Cell::Value(value) => map.serialize_entry("value", &Exact(value))?,
            Cell::Timer(rate, mean) => {
                map.serialize_entry("rate", &finite(*rate))?;
                map.serialize_entry("mean_seconds", mean)?;
            }
            Cell::Missing => {
                let key = match self.column.kind {
                    Some(Kind::Counter | Kind::Timer) => "rate",
                    _ => "value",
                };
                map.serialize_entry(key, &None::<f64>)?;
            }
        }
        map.end()
    }
}

/// JSON has no number for the others.
fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_labels_are_offered() {
        let labels = ["http.requests", "http.errors", "db.reads", "sys.pid"];
        assert_eq!(nearest("requsts", &labels), ["http.requests"]);
        assert_eq!(nearest("errors", &labels)[0], "http.errors");
        assert_eq!(nearest("HTTP.*", &labels), ["http.errors", "http.requests"]);
        assert!(nearest("zzzzzzzzz", &labels).is_empty());
    }
}
