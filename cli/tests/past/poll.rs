//! `mmstats poll` of recordings.

use std::path::Path;
use std::time::Duration;

use mmstats_observe::OwnedValue;
use mmstats_recording::{RecordedProgram, Recording};
use serde_json::Value;

use crate::common::{self, run};
use crate::recorded::{Recorded, at, recorded, start};

/// The rows of `poll --json`.
fn rows(directory: &Path, arguments: &[&str]) -> Vec<Value> {
    let printed = run(directory, arguments);
    assert_eq!((printed.code, &*printed.err), (Some(0), ""), "{arguments:?}");
    printed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn column<'a>(row: &'a Value, label: &str) -> &'a Value {
    let fields = row["fields"].as_array().unwrap();
    fields.iter().find(|field| field["label"] == label).unwrap_or_else(|| panic!("{label}: {row}"))
}

#[test]
fn poll_of_recording_has_rows_of_what_was_published() {
    let web = recorded();
    let all = ["poll", "--json", "-d", "0.001", "requests,queue,busy,sizes", web.file()];
    let rows = rows(web.directory.path(), &all);
    let schema = common::schema::Schema::load();
    // Each look but the first is a row.
    let recording = Recording::open([&web.file]).unwrap();
    let (mut frames, mut looks) = (recording.frames(), Vec::new());
    while let Some(state) = frames.next().unwrap() {
        let value = |label: &str| -> u128 {
            let totals = state.programs().flat_map(RecordedProgram::totals);
            let values =
                totals.filter(|total| total.field.label == label).map(|total| {
                    match total.reading.value.as_ref() {
                        Some(OwnedValue::Unsigned(n)) => *n,
                        Some(OwnedValue::Timer(timer)) => timer.count,
                        _ => 0,
                    }
                });
            values.sum()
        };
        looks.push((state.at(), ["requests", "queue", "busy"].map(value)));
    }
    assert_eq!(rows.len(), looks.len() - 1);
    for (row, pair) in rows.iter().zip(looks.windows(2)) {
        schema.validate("poll", row).unwrap_or_else(|why| panic!("{why}: {row}"));
        let [(then, [requests_then, _, busy_then]), (at, [requests, queue, busy])] = *pair else {
            panic!("{pair:?}")
        };
        let seconds = at.since(then).as_secs_f64();
        assert!((row["seconds"].as_f64().unwrap() - seconds).abs() < 1e-9, "{row}");
        let number = |value: &Value| value.as_u64().map(u128::from);
        let total = &column(row, "requests")["total"];
        assert_eq!(number(total).unwrap_or(0), requests, "{row}");
        let is_rate = |found: &Value, of: u128| {
            let of = f64::from(u32::try_from(of).unwrap()) / seconds;
            // The last digit of `seconds` is rounded in the row.
            (found.as_f64().unwrap() - of).abs() <= 1e-12 * of
        };
        // What begins within the first interval counts from its start.
        if requests_then > 0 {
            assert!(is_rate(&column(row, "requests")["rate"], requests - requests_then), "{row}");
        }
        assert_eq!(number(&column(row, "queue")["value"]).unwrap_or(0), queue, "{row}");
        if busy_then > 0 {
            assert!(is_rate(&column(row, "busy")["rate"], busy - busy_then), "{row}");
            assert_eq!(number(&column(row, "busy")["total"]["count"]), Some(busy), "{row}");
        }
    }
    let last = rows.last().unwrap();
    assert_eq!(column(last, "requests")["total"], 66);
    assert_eq!(column(last, "sizes")["total"]["count"], 300);
    // The columns are those of the live program.
    let place = web.stats();
    let live = ["poll", "--json", "-d", "0.02", "-c", "1", all[4], place.to_str().unwrap()];
    let live = self::rows(&place, &live).remove(0);
    let shapes = |row: &Value| -> Vec<Vec<String>> {
        let fields = row["fields"].as_array().unwrap();
        let texts = ["label", "type", "kind", "unit", "aggregation"];
        fields.iter().map(|field| texts.map(|key| field[key].to_string()).to_vec()).collect()
    };
    assert_eq!(shapes(last), shapes(&live));
    for label in ["requests", "busy", "sizes"] {
        assert_eq!(column(last, label)["total"], column(&live, label)["total"], "{label}");
    }
}

#[test]
fn poll_of_recording_has_the_rows_of_a_part_and_a_delay() {
    let web = recorded();
    let dir = web.directory.path();
    let (from, to) = (at(web.moments[0].0), at(web.moments[1].0));
    let part = [
        "poll",
        "--json",
        "-d",
        "0.001",
        "--from",
        &from,
        "--to",
        &to,
        "requests,queue",
        web.file(),
    ];
    let found = rows(dir, &part);
    assert_eq!(column(&found[found.len() - 1], "queue")["value"], 2);
    assert_eq!(column(&found[0], "queue")["value"], 1);
    // Each row covers the time since the row before: the rates add up to the totals.
    let recording = Recording::open([&web.file]).unwrap();
    let length = recording.span().1.duration_since(recording.span().0).unwrap();
    let delay = (length / 4).as_secs_f64().to_string();
    let found = rows(dir, &["poll", "--json", "-d", &delay, "requests", web.file()]);
    assert!((3..=5).contains(&found.len()), "{}", found.len());
    let counted: f64 = found[1..]
        .iter()
        .map(|row| {
            column(row, "requests")["rate"].as_f64().unwrap() * row["seconds"].as_f64().unwrap()
        })
        .sum();
    let total = |row: &Value| column(row, "requests")["total"].as_f64().unwrap();
    let gained = total(&found[found.len() - 1]) - total(&found[0]);
    assert!((counted - gained).abs() < 1e-6, "{counted} {gained}");
    let table = run(dir, &["poll", "--table", "-d", "0.001", "requests", web.file()]);
    assert!(table.out.contains("requests"), "{}", table.out);
    for (arguments, code, words) in [
        (
            &["poll", "--from", "@1000", "--to", "@2000", "queue", web.file()][..],
            1,
            "the recording is from",
        ),
        (&["poll", "--follow", "queue", web.file()], 2, "--follow is for programs"),
        (&["poll", "--from", "-5m", "queue", "no-such-program"], 2, "need a recording"),
        (&["poll", "--from", "soon", "queue", web.file()], 2, "not a time like"),
        (&["poll", "queu", web.file()], 1, "near it are 'queue'"),
        (&["poll", "queue", web.file(), "no-such-program"], 1, "no such program"),
    ] {
        let printed = run(dir, arguments);
        assert_eq!(printed.code, Some(code), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
    }
}

#[test]
fn poll_of_recording_says_where_nothing_was_recorded() {
    let web = recorded();
    std::thread::sleep(Duration::from_millis(1_300));
    let (sampler, recorder) = start(&web.stats(), &web.file);
    sampler.wait(sampler.looks() + 5, Duration::from_secs(10));
    drop(sampler);
    recorder.finish();
    let arguments = ["poll", "--json", "-d", "0.001", "requests", web.file()];
    let printed = run(web.directory.path(), &arguments);
    assert_eq!(printed.code, Some(0));
    assert_eq!(printed.err.matches("nothing was recorded from").count(), 1, "{}", printed.err);
    // The row behind it covers all of it.
    let rows = printed.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let longest = rows.filter_map(|row| row["seconds"].as_f64()).fold(0.0, f64::max);
    assert!(longest >= 1.3, "{longest}");
}

/// The message is about the program, not about a missing field.
#[test]
fn poll_of_a_time_after_the_end_of_the_program_says_that_it_had_ended() {
    let web = recorded();
    let Recorded { directory, file, publisher, .. } = web;
    drop(publisher);
    let dead = directory.path().join("dead.mmst");
    common::all_kinds(&dead);
    let (sampler, recorder) = start(&dead, &file);
    sampler.wait(sampler.looks() + 3, Duration::from_secs(10));
    drop(sampler);
    recorder.finish();
    let printed =
        run(directory.path(), &["poll", "--from", "-30ms", "load", file.to_str().unwrap()]);
    assert!(printed.err.contains("had ended before: there are no rates"), "{}", printed.err);
    assert!(!printed.err.contains("no field"), "{}", printed.err);
    assert_eq!(printed.code, Some(1));
}
