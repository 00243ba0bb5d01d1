//! Recordings of real programs: `show --at`, `diff`, conversions.

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats::{Activity, Counter, Family, Gauge, Histogram, Options, Stats, Timer};
use mmstats_history::{OnFrame, Sampler};
use mmstats_observe::{OwnedValue, Sources};
use mmstats_recording::{Limits, RecordedProgram, Recorder, Recording, Store};
use serde_json::Value;

use common::{json, run};

#[derive(Stats)]
struct Web {
    #[stats(labels("status"))]
    requests: Family<Counter, 1>,
    #[stats(unit = "bytes")]
    queue: Gauge<u64>,
    #[stats(unit = "seconds")]
    busy: Timer,
    #[stats(error = 0.05, range(1, 1_000_000))]
    sizes: Histogram<u64>,
    doing: Activity<24>,
}

/// A directory with a recording of one program, beside the directory of its files.
struct Recorded {
    directory: tempfile::TempDir,
    file: PathBuf,
    /// A moment at which the queue was this long.
    moments: Vec<(SystemTime, u64)>,
    _publisher: mmstats::Publisher<Web>,
}

impl Recorded {
    fn stats(&self) -> PathBuf {
        self.directory.path().join("stats")
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }
}

/// Looks at the files of a directory 50 times a second, and records it.
fn start(stats: &Path, file: &Path) -> (Sampler, Recorder) {
    let every = Duration::from_millis(20);
    let (store, _) = Store::open(file, Limits::default()).unwrap();
    let recorder = Recorder::new(store, every, "test");
    let mut options = mmstats_history::Options::new(Sources::new().path(stats));
    options.every = every;
    options.on_look = Some(recorder.on_look(|_| Some("running")));
    let writer = recorder.clone();
    options.on_frame = Some(OnFrame::new(move |frame| writer.record(frame)));
    (Sampler::start(options).unwrap(), recorder)
}

/// Sets the queue to 1, 2, 3, each for some looks.
fn recorded() -> Recorded {
    let directory = tempfile::tempdir().unwrap();
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let file = directory.path().join("web.jsonl.gz");
    let publisher = Options::new().directory(&stats).start::<Web>().unwrap();
    let lane = publisher.lane().unwrap();
    let doing = lane.doing.begin("GET /");
    let (sampler, recorder) = start(&stats, &file);
    let mut moments = Vec::new();
    for queue in 1..=3_u64 {
        lane.queue.set(queue);
        lane.requests.get(&["200"]).add(10 * queue);
        lane.requests.get(&["500"]).add(queue);
        lane.busy.record(Duration::from_millis(queue));
        (1..=100).for_each(|n| lane.sizes.record(n * queue));
        let seen = sampler.looks();
        sampler.wait(seen + 3, Duration::from_secs(10));
        moments.push((SystemTime::now(), queue));
        sampler.wait(sampler.looks() + 1, Duration::from_secs(10));
    }
    drop(sampler);
    recorder.finish();
    std::mem::forget(doing);
    std::mem::forget(lane);
    Recorded { directory, file, moments, _publisher: publisher }
}

fn at(time: SystemTime) -> String {
    format!("@{}", time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64())
}

fn find<'a>(document: &'a Value, label: &str) -> &'a Value {
    common::field(document, label)
}

#[test]
fn show_at_prints_what_show_printed_then() {
    let web = recorded();
    let schema = common::schema::Schema::load();
    for (time, queue) in &web.moments {
        let document = json(&web.stats(), &["show", "--json", "--at", &at(*time), web.file()]);
        schema.validate("show", &document).unwrap_or_else(|why| panic!("{why}: {document}"));
        assert_eq!(find(&document, "queue")["value"], *queue);
        let then = time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((document["time"].as_f64().unwrap() - then).abs() < 5.0);
    }
    // At the end all values are those of the program now.
    let place = web.stats();
    let place = place.to_str().unwrap();
    for form in
        [&["--plain"][..], &["--plain", "--level=debug"], &["--plain", "-F", "requests{status=5*}"]]
    {
        let mut live = vec!["show"];
        live.extend(form);
        let mut then = live.clone();
        live.push(place);
        then.push(web.file());
        let (live, then) = (run(&web.stats(), &live), run(&web.stats(), &then));
        assert_eq!((then.code, &*then.err), (Some(0), ""));
        let changing = |line: &&str| !line.starts_with("sys.") && !line.starts_with("doing");
        let lines = |text: &str| -> Vec<String> {
            text.lines().filter(changing).map(str::to_owned).collect()
        };
        assert_eq!(lines(&then.out), lines(&live.out), "{form:?}");
        assert!(!lines(&then.out).is_empty());
    }
    let live = json(&web.stats(), &["show", "--json", place]);
    let then = json(&web.stats(), &["show", "--json", web.file()]);
    for key in ["path", "format", "instance", "pid", "command", "owner", "state", "process"] {
        assert_eq!(then["files"][0][key], live["files"][0][key], "{key}");
    }
    // Ages are as of then.
    std::thread::sleep(Duration::from_millis(1_500));
    let then = json(&web.stats(), &["show", "--json", web.file()]);
    let age = find(&then, "doing")["value"]["rows"][0]["age_seconds"].as_f64().unwrap();
    let since = web.moments[2].0.duration_since(web.moments[0].0).unwrap().as_secs_f64();
    assert!(age < since + 1.4, "{age}");
}

#[test]
fn show_at_says_what_the_recording_does_not_have() {
    let web = recorded();
    let dir = web.directory.path();
    for (arguments, code, words) in [
        (&["show", "--at", "@1000", web.file()][..], 1, "before the recording, which begins at"),
        (&["show", "--at", "2100-01-01T00:00:00Z", web.file()], 0, "the last look before"),
        (&["show", "--at", "-1h", web.file()], 1, "before the recording"),
        (&["show", "--at", "soon", web.file()], 2, "not a time like"),
        (&["show", "--at", "-5m", "no-such-program"], 2, "--at needs a recording"),
        (&["show", "--lanes", web.file()], 2, "a recording has no lanes"),
        (&["show", web.file(), "no-such-program"], 1, "no such program"),
        (&["show", "-F", "queu", web.file()], 1, "near it are 'queue'"),
    ] {
        let printed = run(dir, arguments);
        assert_eq!(printed.code, Some(code), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
    }
    let pid = std::process::id().to_string();
    assert_eq!(run(dir, &["show", web.file(), &pid]).code, Some(0));
    // A cut tail is said.
    let bytes = std::fs::read(&web.file).unwrap();
    let cut = dir.join("cut.jsonl.gz");
    std::fs::write(&cut, &bytes[..bytes.len() - 10]).unwrap();
    let printed = run(dir, &["show", cut.to_str().unwrap()]);
    assert!(printed.err.contains("no whole block"), "{}", printed.err);
}

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

#[test]
fn diff_has_what_differs_between_two_moments_and_now() {
    let web = recorded();
    let dir = web.directory.path();
    let (first, second) = (at(web.moments[0].0), at(web.moments[1].0));
    let two = ["diff", "--at", &first, "--at", &second, web.file(), web.file()];
    let printed = run(dir, &two);
    assert_eq!((printed.code, &*printed.err), (Some(0), ""));
    let line = |label: &str| -> Vec<&str> {
        let mut lines = printed.out.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        lines.find(|line| line[1] == label).unwrap_or_else(|| panic!("{label}: {}", printed.out))
    };
    assert_eq!(line("queue"), ["~", "queue", "1", "2", "1", "bytes"]);
    assert_eq!(
        line("requests{status=\"500\"}"),
        ["~", "requests{status=\"500\"}", "1", "3", "2", ""]
    );
    assert!(line("busy")[4].starts_with("count=1 sum=2000000"), "{}", printed.out);
    assert!(line("sizes")[4].starts_with("count=100 sum=10100"), "{}", printed.out);
    assert!(!printed.out.contains("sys."), "{}", printed.out);
    // Backwards.
    let back =
        run(dir, &["diff", "--at", &second, "--at", &first, "-F", "queue", web.file(), web.file()]);
    assert_eq!(back.out, "~\tqueue\t2\t1\t-1\tbytes\n");
    // A recording and now: nothing has changed since its end.
    let place = web.stats();
    let now = run(&place, &["diff", web.file(), place.to_str().unwrap()]);
    assert_eq!((now.code, &*now.out), (Some(0), ""), "{}", now.err);
    let now = ["diff", "--json", "--at", &first, web.file(), place.to_str().unwrap()];
    let document = json(&place, &now);
    let schema = common::schema::Schema::load();
    schema.validate("diff", &document).unwrap_or_else(|why| panic!("{why}: {document}"));
    let fields = document["programs"][0]["fields"].as_array().unwrap();
    let queue = fields.iter().find(|field| field["label"] == "queue").unwrap();
    let values = ["before", "after", "difference"].map(|key| queue[key].as_i64().unwrap());
    assert_eq!(values, [1, 3, 2]);
}

#[test]
fn diff_of_dead_files_has_added_and_gone_fields_and_identity() {
    use mmstats_core::{Constant, Counter as CoreCounter, FieldSpec, Schema};
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, pid: u64, other: &'static str, value: u64| {
        let mut schema = Schema::<16>::new();
        schema.add(FieldSpec::info("sys.pid", Constant::U64(pid))).unwrap();
        let hits = schema.add(FieldSpec::counter("hits")).unwrap();
        schema.add(FieldSpec::counter(other)).unwrap();
        let path = dir.path().join(name);
        common::image(&path, &schema, |writer| {
            CoreCounter::attach(&writer.lane().unwrap(), hits).unwrap().add(value);
        });
        common::set_instance(&path, u32::try_from(pid).unwrap());
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (write("a.mmst", 1, "old", 7), write("b.mmst", 2, "new", 9));
    let printed = run(dir.path(), &["diff", &a, &b]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    let lines: Vec<&str> = printed.out.lines().collect();
    assert_eq!(
        lines,
        ["~\tpid\t1\t2\t-\t", "~\thits\t7\t9\t2\t", "-\told\t0\t-\t-\t", "+\tnew\t-\t0\t-\t"]
    );
    let table = run(dir.path(), &["diff", "--table", &a, &b]).out;
    assert!(table.contains("+2") && table.contains("B - A"), "{table}");
    for (arguments, code) in [
        (&["diff", &a, "no-such-program"][..], 1),
        (&["diff", "--at", "-5m", &a, &b], 2),
        (&["diff", &a], 2),
    ] {
        assert_eq!(run(dir.path(), arguments).code, Some(code), "{arguments:?}");
    }
}

/// Their number is the same on both sides.
#[test]
fn diff_of_activities_shows_their_texts() {
    let directory = tempfile::tempdir().unwrap();
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let file = directory.path().join("web.jsonl.gz");
    let publisher = Options::new().directory(&stats).start::<Web>().unwrap();
    let lane = publisher.lane().unwrap();
    let first = lane.doing.begin("GET /a");
    let (sampler, recorder) = start(&stats, &file);
    sampler.wait(sampler.looks() + 3, Duration::from_secs(10));
    let before = at(SystemTime::now());
    drop(first);
    let second = lane.doing.begin("GET /b");
    sampler.wait(sampler.looks() + 3, Duration::from_secs(10));
    drop(sampler);
    recorder.finish();
    let file = file.to_str().unwrap();
    let sides = ["--at", &before, "--at", "-1ms", "-F", "doing", file, file];
    let printed = run(directory.path(), &[&["diff", "--table"], &sides[..]].concat());
    drop(second);
    for text in ["\"GET /a\"", "\"GET /b\""] {
        assert!(printed.out.contains(text), "{}{}", printed.out, printed.err);
    }
}

/// Rows that are too wide for the table stand on lines of their own; nothing is cut.
#[test]
fn diff_table_is_as_wide_as_the_terminal() {
    let web = recorded();
    let [first, last] = [0, 2].map(|n: usize| at(web.moments[n].0));
    let arguments = ["diff", "--table", "--at", &first, "--at", &last, web.file(), web.file()];
    let table = |columns: &str| {
        let mut command = common::mmstats(web.directory.path());
        let printed = command.args(arguments).env("COLUMNS", columns).output().unwrap();
        let printed = common::printed(printed);
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        printed.out
    };
    let wide = table("400");
    assert!(wide.lines().all(|line| !line.trim_start().starts_with("A  ")), "{wide}");
    for columns in [40, 60, 80, 120] {
        let narrow = table(&columns.to_string());
        let longest = narrow.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= columns, "{longest} of {columns}:\n{narrow}");
        assert!(!narrow.contains('…'), "{narrow}");
        // The same words, apart from the heads of lines.
        for word in wide.split_whitespace().filter(|word| *word != "UNIT" && *word != "FIELD") {
            assert!(narrow.contains(word), "{word} of\n{wide}is not in\n{narrow}");
        }
    }
    // A number and its unit stand together, and the unit nowhere else.
    assert!(!wide.contains("nanoseconds") && wide.contains(" ms"), "{wide}");
    let narrow = table("40");
    let first = |line: &str| line.split_whitespace().next().map(|word| word.replace(',', ""));
    let is_unit =
        |line: &str| first(line).is_some_and(|word| ["ms", "µs", "ns", "s"].contains(&&*word));
    assert!(!narrow.lines().any(|line| line.starts_with("   ") && is_unit(line)), "{narrow}");
    let narrow = table("50");
    let (sizes, next) = (narrow.find("~  sizes").unwrap(), narrow.find("   B - A  +200").unwrap());
    assert!(sizes < next, "{narrow}");
}

/// The fields of a line of CSV.
fn csv(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    fields
}

#[test]
fn csv_has_a_row_for_each_field_and_look() {
    let web = recorded();
    let printed = run(web.directory.path(), &["convert", "csv", web.file()]);
    assert_eq!((printed.code, &*printed.err), (Some(0), ""));
    let mut lines = printed.out.split_terminator("\r\n").map(csv);
    assert_eq!(lines.next().unwrap(), ["time", "program", "field", "attributes", "value"]);
    let rows: Vec<Vec<String>> = lines.collect();
    assert!(rows.iter().all(|row| row.len() == 5), "{rows:?}");
    let values = |field: &str, attributes: &str| -> Vec<&str> {
        let matches = |row: &&Vec<String>| row[2] == field && row[3] == attributes;
        rows.iter().filter(matches).map(|row| &*row[4]).collect()
    };
    let mut queue = values("queue", "");
    assert!(queue.len() >= 9 && values("requests", "status=\"500\"").len() >= 9, "{queue:?}");
    queue.retain(|value| !value.is_empty());
    queue.dedup();
    assert_eq!(queue, ["1", "2", "3"]);
    assert_eq!(values("requests", "status=\"200\"").last(), Some(&"60"));
    // A part of it.
    let (from, to) = (at(web.moments[0].0), at(web.moments[1].0));
    let part = ["convert", "csv", "--from", &from, "--to", &to, web.file()];
    let printed = run(web.directory.path(), &part);
    let part: Vec<Vec<String>> = printed.out.split_terminator("\r\n").map(csv).collect();
    let queue = part.iter().filter(|row| row[2] == "queue").map(|row| &*row[4]);
    let mut queue: Vec<&str> = queue.collect();
    queue.dedup();
    assert_eq!(queue, ["1", "2"]);
}

#[test]
fn convert_that_finds_nothing_says_what_there_is() {
    let web = recorded();
    let dir = web.directory.path();
    std::fs::write(dir.join("diary.txt"), "my diary").unwrap();
    for (arguments, words) in [
        (&["csv", "absent.gz"][..], "absent.gz: cannot open it: no such file"),
        (&["csv", "diary.txt"], "diary.txt: it is no recording"),
        (&["csv", web.file(), "no-such-program"], ": no-such-program; it has past-"),
        (&["openmetrics", web.file(), "no-such-program"], ": no-such-program; it has past-"),
        (&["csv", "--from", "2100-01-01T00:00:00Z", web.file()], "no look from 2100-01-01"),
        (&["csv", "--from", "-1ms", "--to", "-1h", web.file()], "no look from"),
    ] {
        let output = common::mmstats(dir).arg("convert").args(arguments).current_dir(dir).output();
        let printed = common::printed(output.unwrap());
        assert_eq!(printed.code, Some(1), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
    }
}

#[test]
fn recording_in_place_of_a_program_is_known_as_one() {
    let web = recorded();
    let file = web.file();
    std::fs::write(web.directory.path().join("broken.gz"), [0x1f]).unwrap();
    let broken = web.directory.path().join("broken.gz");
    let broken = broken.to_str().unwrap();
    let mut commands =
        vec![vec!["check", file], vec!["clean", file], vec!["dump", file], vec!["scan", file]];
    for path in [file, broken] {
        commands.extend([
            vec!["alert", path, "dead"],
            vec!["alert", "--wait", path, "dead"],
            vec!["events", path],
            vec!["ls", path],
        ]);
        #[cfg(feature = "top")]
        commands.push(vec!["top", path]);
        #[cfg(feature = "serve")]
        commands.push(vec!["serve", path]);
        #[cfg(feature = "export")]
        commands.push(vec!["export", "prometheus", "--once", path]);
    }
    for arguments in commands {
        let printed = run(web.directory.path(), &arguments);
        let code = match arguments[0] {
            "check" => 1,
            "alert" => 3,
            _ => 2,
        };
        assert_eq!(printed.code, Some(code), "{arguments:?}");
        let words = "of `mmstats record`: `show`, `poll`";
        assert_eq!(printed.err.matches(words).count(), 1, "{arguments:?}: {}", printed.err);
        let is_answer = ["alert", "check"].contains(&arguments[0]);
        assert!(printed.out.is_empty() || is_answer, "{arguments:?}: {}", printed.out);
    }
    // A forgotten -o.
    let printed = run(web.directory.path(), &["record", file]);
    assert!(printed.err.contains("`--output FILE`"), "{}", printed.err);
    assert_eq!(printed.code, Some(2));
}

/// They are told from names of programs.
#[test]
fn recording_that_cannot_be_read_is_not_taken_for_a_program() {
    let web = recorded();
    let dir = web.directory.path();
    let whole = std::fs::read(web.file()).unwrap();
    std::fs::write(dir.join("cut.jsonl.gz"), &whole[..40]).unwrap();
    std::fs::write(dir.join("empty.jsonl.gz"), "").unwrap();
    std::fs::write(dir.join("text.gz"), "my diary, which is no file of gzip").unwrap();
    for (file, words) in [
        ("absent.jsonl.gz", "cannot open it: no such file"),
        ("cut.jsonl.gz", "it is cut or damaged before its first block ends"),
        ("empty.jsonl.gz", "it is empty"),
        ("text.gz", "it is no file of gzip"),
    ] {
        let commands = [&["show", "--at", "-3s", file][..], &["poll", "*", file], &["show", file]];
        for arguments in commands {
            let mut command = common::mmstats(&web.stats());
            let output = command.args(arguments).current_dir(dir).output();
            let printed = common::printed(output.unwrap());
            assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
            assert_eq!(printed.code, Some(1), "{arguments:?}: {}", printed.err);
        }
    }
    let mut command = common::mmstats(&web.stats());
    let printed = common::printed(command.args(["replay", "web"]).output().unwrap());
    assert!(printed.err.contains("`mmstats record -o FILE web`"), "{}", printed.err);
}

/// By commands that read them, in the same words.
#[test]
fn recording_without_the_program_says_which_it_has() {
    let web = recorded();
    let dir = web.directory.path();
    let words = "the recording has no such program at ";
    for arguments in [
        &["show", web.file(), "nosuch"][..],
        &["poll", "requests", web.file(), "nosuch"],
        &["convert", "csv", web.file(), "nosuch"],
        #[cfg(feature = "threads")]
        &["threads", web.file(), "nosuch"],
    ] {
        let printed = run(dir, arguments);
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(": nosuch; it has past-"), "{arguments:?}: {}", printed.err);
        assert!(!printed.err.contains("no field"), "{arguments:?}: {}", printed.err);
        assert_eq!(printed.code, Some(1), "{arguments:?}");
    }
}

/// The message is about the time of the recording, not about now.
#[test]
fn recording_without_programs_says_when_it_last_had_one() {
    let web = recorded();
    let dir = web.directory.path();
    let text = dir.join("diary.txt");
    std::fs::write(&text, "my diary, which is no image").unwrap();
    let empty = dir.join("empty.jsonl.gz");
    // A recorder that continues the file and finds no program, or an unreadable file alone.
    for (source, file) in [(&dir.join("none"), &web.file), (&text, &empty)] {
        let (sampler, recorder) = start(source, file);
        sampler.wait(sampler.looks() + 3, Duration::from_secs(10));
        drop(sampler);
        recorder.finish();
    }
    let printed = run(dir, &["show", web.file()]);
    assert!(printed.err.contains("the recording has no program at "), "{}", printed.err);
    assert!(printed.err.contains("it had past-"), "{}", printed.err);
    let printed = run(dir, &["show", empty.to_str().unwrap()]);
    assert!(printed.err.contains("the recording has no program at "), "{}", printed.err);
    assert_eq!((printed.code, &*printed.out), (Some(1), ""));
    let future = ["replay", "--from", "2100-01-01T00:00:00Z", web.file()];
    assert!(run(dir, &future).err.contains("no look from 2100-01-01"));
}

/// The message is about the program, not about a missing field.
#[test]
fn poll_of_a_time_after_the_end_of_the_program_says_that_it_had_ended() {
    let web = recorded();
    let Recorded { directory, file, _publisher, .. } = web;
    drop(_publisher);
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

#[test]
fn openmetrics_has_series_together_in_the_order_of_time() {
    let web = recorded();
    let printed = run(web.directory.path(), &["convert", "openmetrics", web.file()]);
    assert_eq!((printed.code, &*printed.err), (Some(0), ""));
    assert!(printed.out.ends_with("# EOF\n"));
    assert!(printed.out.contains("# TYPE requests counter\n"), "{}", printed.out);
    assert!(printed.out.contains("# TYPE busy_seconds summary\n"), "{}", printed.out);
    let mut seen = std::collections::HashMap::new();
    let (mut before, mut values) = (String::new(), Vec::new());
    for line in printed.out.lines().filter(|line| !line.starts_with('#')) {
        let (series, rest) = line.rsplit_once("} ").unwrap();
        let (value, time) = rest.split_once(' ').unwrap();
        let time: f64 = time.parse().unwrap();
        let last = seen.insert(series.to_owned(), time);
        // Those of histograms and summaries alternate.
        let is_single = !series.contains("_bucket{")
            && !series.contains("_sum{")
            && !series.contains("_count{");
        if is_single {
            assert!(last.is_none() || before == series, "{series} is in two places");
            before = series.to_owned();
        }
        assert!(last.is_none_or(|last| last < time), "{line}");
        if series.starts_with("queue_bytes{") {
            values.push(value.to_owned());
        }
    }
    values.dedup();
    assert_eq!(values, ["1", "2", "3"]);
    let none = run(web.directory.path(), &["convert", "openmetrics", "no-such-file.gz"]);
    assert_eq!(none.code, Some(1), "{}", none.err);
}

/// The folder with the binaries of Prometheus and a Python with prometheus-client.
const PROMETHEUS: &str = "MMSTATS_PROMETHEUS";

/// A Prometheus on loopback.
struct Server(std::process::Child, u16);

impl Server {
    fn start(tools: &std::path::Path, data: &std::path::Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = data.join("empty.yml");
        std::fs::write(&config, "").unwrap();
        let mut command = std::process::Command::new(tools.join("prometheus"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", data.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.stderr(std::process::Stdio::null());
        Self(command.spawn().unwrap(), port)
    }

    /// The JSON of an answer; `None` while the server is not ready.
    fn get(&self, path: &str) -> Option<Value> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.1)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs Prometheus: MMSTATS_PROMETHEUS=FOLDER"]
fn converted_blocks_answer_in_prometheus() {
    let Some(tools) = std::env::var_os(PROMETHEUS).map(PathBuf::from) else {
        return common::cannot_be_run("no MMSTATS_PROMETHEUS");
    };
    let web = recorded();
    let dir = web.directory.path();
    let text = run(dir, &["convert", "openmetrics", web.file()]).out;
    let file = dir.join("web.om");
    std::fs::write(&file, &text).unwrap();
    let data = dir.join("data");
    let created = std::process::Command::new(tools.join("promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &data])
        .output()
        .unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    // All samples of a series, as a server has them.
    let server = Server::start(&tools, &data);
    let until = web.moments[2].0 + Duration::from_secs(60);
    let until = until.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let query = format!("requests_total%7Bstatus%3D%22500%22%7D%5B1h%5D&time={until}");
    let answer = common::wait_for(|| {
        let answer = server.get(&format!("/api/v1/query?query={query}"))?;
        (!answer["data"]["result"].as_array()?.is_empty()).then_some(answer)
    });
    let found: Vec<(f64, f64)> = answer["data"]["result"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sample| {
            let time = (sample[0].as_f64().unwrap() * 1e3).round();
            (sample[1].as_str().unwrap().parse().unwrap(), time)
        })
        .collect();
    let wanted: Vec<(f64, f64)> = text
        .lines()
        .filter(|line| line.starts_with("requests_total{") && line.contains("status=\"500\""))
        .map(|line| {
            let (value, time) = line.rsplit_once("} ").unwrap().1.split_once(' ').unwrap();
            (value.parse().unwrap(), (time.parse::<f64>().unwrap() * 1e3).round())
        })
        .collect();
    assert!(wanted.len() >= 9, "{text}");
    assert_eq!(found, wanted);
    // The strict parser of Python's client reads it. Of a series with several samples at a time it keeps those of the
    // first time alone: histograms are given to it one time after the other.
    let script = "import sys\nfrom prometheus_client.openmetrics.parser import text_fd_to_metric_families as read\n\
                  print(sum(len(f.samples) for f in read(open(sys.argv[1]))))";
    let parse = |text: &str| -> usize {
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(tools.join("python"));
        let parsed = command.args(["-c", script]).arg(&file).output().unwrap();
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
        String::from_utf8(parsed.stdout).unwrap().trim().parse().unwrap()
    };
    let is_sample = |line: &str| !line.starts_with('#');
    let keep = |wanted: &dyn Fn(&str) -> bool| -> String {
        text.lines().filter(|line| wanted(line)).map(|line| format!("{line}\n")).collect()
    };
    let single = keep(&|line| !line.contains("sizes") && !line.contains("busy_seconds"));
    assert_eq!(parse(&single), single.lines().filter(|line| is_sample(line)).count());
    let times: std::collections::BTreeSet<&str> = text
        .lines()
        .filter(|line| is_sample(line))
        .map(|line| line.rsplit_once(' ').unwrap().1)
        .collect();
    for time in [times.first().unwrap(), times.last().unwrap()] {
        let one = keep(&|line| !is_sample(line) || line.ends_with(&format!(" {time}")));
        assert!(one.contains("sizes_bucket{"), "{one}");
        assert_eq!(parse(&one), one.lines().filter(|line| is_sample(line)).count());
    }
}
