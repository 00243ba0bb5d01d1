//! Recorded panics, in child processes, because hook and exit belong to the process.
#![allow(missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use mmstats::{Activity, Counter, FieldOptions, Lane, OnDrop, Options, Publisher, Text};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};

const CHILD: &str = "MMSTATS_TEST_PANICS";

fn start() -> Option<Publisher<Lane>> {
    let directory = std::env::var(CHILD).ok()?;
    Some(Options::new().directory(directory).lanes(1).start().unwrap())
}

fn child(name: &str, directory: &Path) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, directory)
        .output()
        .unwrap()
}

/// The lines of the field `panics`, of all lanes, by time and text.
fn panics(directory: &Path) -> Vec<String> {
    let mut lines = lines(directory);
    lines.sort();
    lines.into_iter().map(|(_, text)| text).collect()
}

/// The lines of the field `panics` as they were written, if one lane has them.
fn panics_in_order(directory: &Path) -> Vec<String> {
    lines(directory).into_iter().map(|(_, text)| text).collect()
}

/// The lines of the field `panics` with their times.
fn lines(directory: &Path) -> Vec<(u64, String)> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let mut lines = Vec::new();
    for file in observer.files() {
        for lane in 0..file.lanes().used {
            let of = |index| file.events(index, lane, 0).unwrap_or_default();
            for event in (0..file.fields().len()).flat_map(of) {
                lines.push((event.time, event.line.unwrap().text));
            }
        }
    }
    lines
}

#[test]
fn record_panics_writes_lines_of_threads() {
    if let Some(publisher) = start() {
        publisher.record_panics().unwrap();
        publisher.record_panics().unwrap();
        let calls = publisher.add::<Counter>("calls", FieldOptions::new()).unwrap();
        publisher.with(|lane| lane.attach(calls).unwrap().add(7));
        for number in 0..3 {
            let thread = std::thread::Builder::new().name(format!("worker-{number}"));
            let panics = move || match number {
                0 => panic!("a text\nof two lines"),
                1 => panic!("number {number} {}", "x".repeat(300)),
                _ => std::panic::panic_any(17),
            };
            thread.spawn(panics).unwrap().join().unwrap_err();
        }
        // This panic drops the publisher.
        panic!("the end");
    }
    let place = tempfile::tempdir().unwrap();
    let out = child("record_panics_writes_lines_of_threads", place.path());
    assert!(!out.status.success());
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(stderr.contains("a text\nof two lines"), "the usual hook is called: {stderr}");
    let lines = panics(place.path());
    let starts = ["worker-0", "worker-1", "worker-2", "record_panics_writes_lines_of_threads"];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    for (line, name) in lines.iter().zip(starts) {
        let start = format!("thread '{name}' at publish/tests/panics.rs:");
        assert!(line.starts_with(&start), "{line}");
    }
    assert!(lines[0].ends_with(": a text\nof two lines"), "{lines:?}");
    assert!(lines[1].contains(": number 1 xxx") && lines[1].len() == 240, "{lines:?}");
    assert!(lines[2].ends_with(": (not a text)"), "{lines:?}");
    assert!(lines[3].ends_with(": the end"), "{lines:?}");
    // The last values are kept, as after a crash.
    let mut observer = Observer::new(Sources::new().path(place.path()));
    observer.refresh();
    let all = totals(observer.files());
    let calls = all.iter().find(|t| t.field.label == "calls").unwrap();
    assert_eq!(calls.reading.value, Some(OwnedValue::Unsigned(7)));
}

/// The lane of the lines is claimed before, so panics without a free lane are recorded. Of many at
/// once the last ones are kept.
#[test]
fn record_panics_without_free_lane() {
    if let Some(publisher) = start() {
        publisher.record_panics().unwrap();
        let _lane = publisher.lane().unwrap();
        std::thread::scope(|scope| {
            let panics = |_| scope.spawn(|| std::panic::catch_unwind(|| panic!("one of many")));
            let all: Vec<_> = (0..200).map(panics).collect();
            all.into_iter().for_each(|thread| drop(thread.join().unwrap()));
        });
        std::process::abort();
    }
    let place = tempfile::tempdir().unwrap();
    child("record_panics_without_free_lane", place.path());
    let lines = panics(place.path());
    assert_eq!(lines.len(), 31, "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with(": one of many")), "{lines:?}");
}

/// Panics after the publisher ended are not recorded; a second publisher has its own field.
#[test]
fn record_panics_of_second_publisher() {
    if let Ok(directory) = std::env::var(CHILD) {
        let options = || Options::new().directory(&directory).on_drop(OnDrop::Keep);
        for number in 0..2 {
            let publisher = options().start::<Lane>().unwrap();
            publisher.record_panics().unwrap();
            let caught = std::panic::catch_unwind(|| panic!("in {number}"));
            assert!(caught.is_err());
            drop(publisher);
            let caught = std::panic::catch_unwind(|| panic!("after {number}"));
            assert!(caught.is_err());
        }
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let out = child("record_panics_of_second_publisher", place.path());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let lines = panics(place.path());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with(": in 0") && lines[1].ends_with(": in 1"), "{lines:?}");
}

/// What the thread was doing follows its panic, also while it holds the publisher's locks.
#[test]
fn record_panics_writes_activities_and_texts_of_the_thread() {
    if let Some(publisher) = start() {
        publisher.record_panics().unwrap();
        let add = |label: &str| publisher.add::<Activity>(label, FieldOptions::new().rows(20));
        let (doing, queries) = (add("doing").unwrap(), add("queries").unwrap());
        let idle = publisher.add::<Activity<8>>("idle", FieldOptions::new()).unwrap();
        let state = publisher.add::<Text<16>>("state", FieldOptions::new()).unwrap();
        let unset = publisher.add::<Text<16>>("unset", FieldOptions::new()).unwrap();
        // Of another thread, which does not panic.
        let other = publisher.lane().unwrap().attach(doing).unwrap();
        let _other = other.begin("other");
        let panics = || {
            let lane = publisher.lane().unwrap();
            let (doing, queries) = (lane.attach(doing).unwrap(), lane.attach(queries).unwrap());
            let (_idle, _unset) = (lane.attach(idle).unwrap(), lane.attach(unset).unwrap());
            lane.attach(state).unwrap().set("half \"done\"");
            let ended = doing.begin("ended");
            let _outer = doing.begin_at(1, "outer");
            drop(ended);
            let _inner = doing.begin("inner");
            let _no_time = doing.begin_at(0, "innermost");
            let long = "q".repeat(48);
            let _many: Vec<_> = (0..10).map(|_| queries.begin(&long)).collect();
            let _last = queries.begin("last");
            panic!("on purpose");
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("worker".to_owned());
            thread.spawn_scoped(scope, panics).unwrap().join().unwrap_err();
        });
        std::process::abort();
    }
    let place = tempfile::tempdir().unwrap();
    child("record_panics_writes_activities_and_texts_of_the_thread", place.path());
    let lines = panics_in_order(place.path());
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("thread 'worker' at "), "{lines:?}");
    assert!(lines[0].ends_with(": on purpose"), "{lines:?}");
    assert!(lines[1].starts_with("  thread 'worker' in doing: outer ("), "{lines:?}");
    assert!(lines[1].contains(") > inner (") && lines[1].ends_with(") > innermost"), "{lines:?}");
    assert!(lines[2].starts_with("  thread 'worker' in queries: ... > qqq"), "{lines:?}");
    assert!(lines[2].contains(") > last (") && lines[2].len() <= 240, "{lines:?}");
    assert_eq!(lines[3], "  thread 'worker' had state=\"half \\\"done\\\"\"");
}

/// A panic has a message and at most four further lines, of one time.
#[test]
fn record_panics_of_a_thread_with_many_activities_says_how_many_more() {
    if let Some(publisher) = start() {
        publisher.record_panics().unwrap();
        let jobs = FieldOptions::new().cap(200);
        let jobs = publisher.add_family::<Activity, 1>("job", ["number"], jobs).unwrap();
        let state = publisher.add::<Text<16>>("state", FieldOptions::new()).unwrap();
        let panics = |count: u64, has_text: bool| {
            let lane = publisher.lane().unwrap();
            let (jobs, state) = (lane.family(jobs).unwrap(), lane.attach(state).unwrap());
            if has_text {
                state.set("half");
            } else {
                state.clear();
            }
            let all: Vec<_> = (0..count).map(|n| jobs.get(&[&n.to_string()])).collect();
            // The oldest first, but for the last three fields.
            let since = |n: u64| if n + 3 < count { 1_000 + n } else { 100 };
            let _begun: Vec<_> =
                (0..).zip(&all).map(|(n, job)| job.begin_at(since(n), &format!("j{n}"))).collect();
            panic!("with {count}");
        };
        for (count, has_text) in [(100, true), (100, false), (4, false), (4, true)] {
            let worker = std::thread::Builder::new().name("w".to_owned());
            std::thread::scope(|scope| {
                let panics = || panics(count, has_text);
                worker.spawn_scoped(scope, panics).unwrap().join().unwrap_err();
            });
        }
        std::process::abort();
    }
    let place = tempfile::tempdir().unwrap();
    child("record_panics_of_a_thread_with_many_activities_says_how_many_more", place.path());
    let all = lines(place.path());
    let panics: Vec<_> = all.chunk_by(|a, b| a.0 == b.0).collect();
    let shown: Vec<Vec<&str>> =
        panics.iter().map(|lines| lines.iter().map(|(_, text)| &**text).collect()).collect();
    assert_eq!(shown.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 5, 5], "{shown:?}");
    for lines in &shown {
        assert!(lines[0].starts_with("thread 'w' at "), "{lines:?}");
        assert!(lines[1..].iter().all(|line| line.starts_with("  thread 'w' ")), "{lines:?}");
    }
    let is_of = |line: &str, job: &str| line.contains(&format!(": {job} ("));
    let [text, no_text, four, four_and_text] = &shown[..] else { unreachable!() };
    assert!(is_of(text[1], "j95") && is_of(text[2], "j96"), "{text:?}");
    assert_eq!(
        text[3..],
        ["  thread 'w' had state=\"half\"", "  thread 'w' in 98 more activities"]
    );
    assert!(is_of(no_text[1], "j94") && is_of(no_text[3], "j96"), "{no_text:?}");
    assert_eq!(no_text[4], "  thread 'w' in 97 more activities");
    assert!(is_of(four[1], "j0") && is_of(four[4], "j3"), "{four:?}");
    assert_eq!(four_and_text[4], "  thread 'w' in 2 more activities", "{four_and_text:?}");
}

/// The lines about a thread take long where there are many fields; they keep no other thread from
/// recording its message.
#[test]
fn record_panics_of_threads_at_once_loses_none() {
    const THREADS: usize = 7;
    if let Some(publisher) = start() {
        publisher.record_panics().unwrap();
        let doing: [_; 3] = std::array::from_fn(|n| {
            publisher.add::<Activity>(format!("doing.{n}"), FieldOptions::new()).unwrap()
        });
        for n in 0..2_000 {
            publisher.add::<Counter>(format!("counter.{n}"), FieldOptions::new()).unwrap();
        }
        let all_in = std::sync::Barrier::new(THREADS);
        std::thread::scope(|scope| {
            let panics = |n| {
                let (publisher, all_in) = (&publisher, &all_in);
                let work = move || {
                    let lane = publisher.lane().unwrap();
                    let all = doing.map(|key| lane.attach(key).unwrap());
                    let _rows = all.each_ref().map(|doing| doing.begin("work"));
                    all_in.wait();
                    panic!("number {n}");
                };
                let thread = std::thread::Builder::new().name(format!("w{n}"));
                thread.spawn_scoped(scope, work).unwrap()
            };
            let all: Vec<_> = (0..THREADS).map(panics).collect();
            all.into_iter().for_each(|thread| drop(thread.join().unwrap_err()));
        });
        std::process::abort();
    }
    let place = tempfile::tempdir().unwrap();
    child("record_panics_of_threads_at_once_loses_none", place.path());
    let mut lines = lines(place.path());
    lines.sort_by_key(|(time, _)| *time); // Stable: those of a panic stay in order.
    assert_eq!(lines.len(), THREADS * 4, "{lines:?}");
    let mut numbers: Vec<_> = (0..THREADS).collect();
    for panic in lines.chunk_by(|a, b| a.0 == b.0) {
        assert_eq!(panic.len(), 4, "{panic:?}");
        let number = numbers.iter().position(|n| panic[0].1.ends_with(&format!(": number {n}")));
        let number = numbers.remove(number.unwrap());
        for (n, (_, line)) in panic[1..].iter().enumerate() {
            let start = format!("  thread 'w{number}' in doing.{n}: work (");
            assert!(line.starts_with(&start), "{panic:?}");
        }
    }
    assert!(numbers.is_empty(), "{numbers:?}");
}
