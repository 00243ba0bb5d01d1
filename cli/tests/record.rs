//! `mmstats record` and `replay` with the program of the demo.
#![cfg(unix)] // signals and pseudo terminals

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use mmstats_recording::Recording;

use common::pty::Terminal;
use common::{PATIENCE, Publisher, mmstats, printed, run};

/// A recorder of all programs of a directory, ten times a second.
fn start(directory: &Path, file: &Path) -> Child {
    let mut command = mmstats(directory);
    command.args(["record", "--every", "0.1", "-o"]).arg(file);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Records for a time, and ends the recorder by SIGTERM.
fn record(directory: &Path, file: &Path, time: Duration) {
    let mut recorder = start(directory, file);
    wait_for_file(file);
    std::thread::sleep(time);
    let pid = recorder.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert!(recorder.wait().unwrap().success());
}

fn wait_for_file(file: &Path) {
    let end = Instant::now() + PATIENCE;
    while file.metadata().map_or(0, |metadata| metadata.len()) == 0 {
        assert!(Instant::now() < end, "nothing is written");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The values of a counter, with their times in milliseconds.
fn series(file: &Path, label: &str) -> Vec<(u128, u128)> {
    let recording = Recording::open([file]).unwrap();
    let mut frames = recording.frames();
    let mut series = Vec::new();
    while let Some(state) = frames.next().unwrap() {
        let time = state.time().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        for total in state.programs().flat_map(mmstats_recording::RecordedProgram::totals) {
            if let (true, Some(mmstats_observe::OwnedValue::Unsigned(n))) =
                (total.field.label == label, &total.reading.value)
            {
                series.push((time, *n));
            }
        }
    }
    series
}

struct Place {
    _directory: tempfile::TempDir,
    stats: PathBuf,
    file: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let (stats, file) = (directory.path().join("stats"), directory.path().join("web.jsonl.gz"));
    std::fs::create_dir(&stats).unwrap();
    Place { _directory: directory, stats, file }
}

/// `MMSTATS_KILLS` is the number of times.
#[test]
fn recorder_that_is_killed_loses_a_second_at_most() {
    let kills = std::env::var("MMSTATS_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let place = place();
    let _publisher = Publisher::start(&place.stats);
    let mut worst = Duration::ZERO;
    for kill in 0..kills {
        let file = place.file.with_file_name(format!("{kill}.jsonl.gz"));
        let mut recorder = start(&place.stats, &file);
        wait_for_file(&file);
        std::thread::sleep(Duration::from_millis(1_000 + 137 * (kill % 10)));
        let killed = SystemTime::now();
        recorder.kill().unwrap();
        recorder.wait().unwrap();
        let recording = Recording::open([&file]).unwrap();
        let lost = killed.duration_since(recording.span().1).unwrap_or_default();
        worst = worst.max(lost);
        assert!(!series(&file, "demo.bytes_in").is_empty());
    }
    println!("{kills} kills, at most {worst:?} lost");
    assert!(worst <= Duration::from_secs(1), "{worst:?}");
}

/// The code of RECORDING.md in a language.
fn recipe(language: &str) -> String {
    let guide = include_str!("../RECORDING.md");
    let (_, code) = guide.split_once(&format!("```{language}\n")).unwrap();
    code.split_once("```").unwrap().0.to_owned()
}

/// What a command prints.
fn output(command: &mut Command) -> String {
    let printed = printed(command.output().unwrap());
    assert_eq!(printed.code, Some(0), "{command:?}: {}", printed.err);
    printed.out
}

/// The recipe for pandas, with the little of pandas that it needs.
#[test]
fn python_rebuilds_a_series_exactly() {
    if Command::new("python3").arg("--version").output().is_err() {
        return eprintln!("skipped: no python3");
    }
    let place = place();
    let _publisher = Publisher::start(&place.stats);
    record(&place.stats, &place.file, Duration::from_secs(3));
    let pandas = "import sys, types\npd = types.SimpleNamespace(\n    to_datetime=lambda times, unit: times,\n    \
                  Series=lambda values, index, dtype: list(zip(index, values)))\n";
    let code = recipe("python").replace("import pandas as pd\n", pandas);
    let print = "for time, value in series(sys.argv[1], sys.argv[2]): print(time, value)\n";
    let label = "demo.bytes_in";
    let mut python = Command::new("python3");
    python.args(["-c", &(code + print)]).arg(&place.file).arg(label);
    let wanted = lines(&series(&place.file, label));
    assert!(wanted.lines().count() > 3, "{wanted}");
    assert_eq!(output(&mut python), wanted);
}

fn lines(series: &[(u128, u128)]) -> String {
    series.iter().map(|(time, value)| format!("{time} {value}\n")).collect()
}

/// The recipes for pandas, jq and DuckDB. `MMSTATS_PYTHON` is a Python that has pandas and duckdb.
#[test]
#[ignore = "needs pandas, duckdb and jq: MMSTATS_PYTHON=FILE"]
fn recipes_of_the_guide_have_what_was_published() {
    let python = std::env::var_os("MMSTATS_PYTHON").expect("MMSTATS_PYTHON names a Python");
    let place = place();
    let _publisher = Publisher::start(&place.stats);
    record(&place.stats, &place.file, Duration::from_secs(3));
    let label = "demo.bytes_in";
    let all = series(&place.file, label);
    let print = "import sys\nfor time, value in series(sys.argv[1], sys.argv[2]).items(): print(time.value // 10**6, value)\n";
    let mut pandas = Command::new(&python);
    pandas.args(["-c", &(recipe("python") + print)]).arg(&place.file).arg(label);
    assert_eq!(output(&mut pandas), lines(&all));
    // The others have the changes alone, by number; the first value may be in the keyframe.
    let mut changes = all;
    changes.dedup_by_key(|(_, value)| *value);
    changes.remove(0);
    assert!(changes.len() > 10, "{changes:?}");
    let file = place.file.to_str().unwrap();
    let code = recipe("sh").replace("web.jsonl.gz", file);
    let (names, values) = code.split_once('\n').unwrap();
    let names = output(Command::new("sh").args(["-c", names]));
    let field = names.lines().find_map(|line| line.strip_suffix(&format!("\t{label}"))).unwrap();
    let with_field = |code: &str| code.replace("\"7\"", &format!("\"{field}\""));
    let found = |text: String| -> String {
        let pair = |line: &str| {
            let (time, value) = line.split_once('\t').unwrap();
            format!("{:.0} {value}\n", time.parse::<f64>().unwrap() * 1e3)
        };
        text.lines().map(pair).collect()
    };
    let values = output(Command::new("sh").args(["-c", &with_field(values)]));
    let values = found(values);
    assert!(values.ends_with(&lines(&changes)), "{values}\n{changes:?}");
    let print = "import duckdb, sys\nfor time, value in duckdb.sql(sys.argv[1]).fetchall(): print(time, value, sep='\\t')";
    let sql = with_field(&recipe("sql")).replace("web.jsonl.gz", file);
    let rows = output(Command::new(&python).args(["-c", print, &sql]));
    assert_eq!(found(rows), values);
}

#[test]
fn replay_shows_the_end_and_goes_back_in_time() {
    let place = place();
    let mut publisher = Publisher::start(&place.stats);
    record(&place.stats, &place.file, Duration::from_secs(4));
    publisher.kill();
    let last = series(&place.file, "demo.bytes_in").last().unwrap().1;
    assert!(last > 0);
    let mut command = mmstats(&place.stats);
    command.arg("replay").arg(&place.file);
    let terminal = Terminal::start(&command, 100, 30);
    let line = |screen: &str| {
        let found = screen.lines().find(|line| line.contains(" bytes_in"));
        found.map(str::to_owned)
    };
    let end = line(
        &terminal.wait("a value", |screen| line(screen).is_some_and(|line| line.contains("iB"))),
    );
    terminal.press("\x1b[D\x1b[D");
    terminal.wait("an earlier value", |screen| line(screen).is_some() && line(screen) != end);
    terminal.press(" ");
    terminal.wait_for("a recording stands still");
    terminal.press("4");
    terminal.wait_for("sleeping");
    terminal.press("q");
}

#[test]
fn replay_on_a_page_has_the_past_of_the_recording() {
    let place = place();
    let mut publisher = Publisher::start(&place.stats);
    record(&place.stats, &place.file, Duration::from_secs(2));
    publisher.kill();
    let last = series(&place.file, "demo.bytes_in").last().unwrap().1;
    let mut command = mmstats(&place.stats);
    command.args(["replay", "--serve", "--listen", "127.0.0.1:0"]).arg(&place.file);
    let server = common::http::Server::run(&mut command);
    let about = server.json("/api/1/about");
    assert_eq!(about["live"], false, "{about}");
    let span = about["to"].as_f64().unwrap() - about["from"].as_f64().unwrap();
    assert!((1.0..60.0).contains(&span), "{about}");
    let program = server.json(&format!("/api/1/programs/{}", server.id()));
    let fields = program["fields"].as_array().unwrap();
    let field = fields.iter().find(|field| field["label"] == "demo.bytes_in").unwrap();
    assert_eq!(field["value"].as_u64().map(u128::from), Some(last), "{field}");
    assert_eq!(server.get("/metrics").status, 404);
}

#[test]
fn replay_of_another_file_is_an_error_that_names_it() {
    let place = place();
    let text = place.file.to_str().unwrap();
    for (bytes, message) in [
        (&b"my diary"[..], "it is no recording: it is no file of gzip"),
        (&[], "it is no recording: it is empty"),
    ] {
        std::fs::write(&place.file, bytes).unwrap();
        let printed = run(&place.stats, &["replay", text]);
        assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""));
        assert!(printed.err.replace('\n', " ").contains(message), "{}", printed.err);
        let recorder = run(&place.stats, &["record", "-o", text, "1"]);
        assert_eq!(recorder.code, Some(1), "{}", recorder.err);
        if !bytes.is_empty() {
            assert_eq!(std::fs::read(&place.file).unwrap(), bytes);
        }
    }
    let missing = run(&place.stats, &["replay", "/no/such.jsonl.gz"]);
    assert!(
        missing.code == Some(1) && missing.err.contains("/no/such.jsonl.gz"),
        "{}",
        missing.err
    );
}

#[test]
fn repair_writes_the_whole_blocks_into_a_file_of_its_own() {
    let place = place();
    let _publisher = Publisher::start(&place.stats);
    record(&place.stats, &place.file, Duration::from_secs(3));
    let bytes = std::fs::read(&place.file).unwrap();
    std::fs::write(&place.file, &bytes[..bytes.len() - 60]).unwrap();
    let text = place.file.to_str().unwrap();
    let printed = run(&place.stats, &["replay", "--repair", text]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    let repaired = place.file.with_file_name("web-repaired.jsonl.gz");
    assert_eq!(series(&repaired, "demo.bytes_in"), series(&place.file, "demo.bytes_in"));
    assert!(Command::new("gzip").arg("-t").arg(&repaired).status().unwrap().success());
    let again = run(&place.stats, &["replay", "--repair", text]);
    assert_eq!(again.code, Some(1), "{}", again.err);
}
