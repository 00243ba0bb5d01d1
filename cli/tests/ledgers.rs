//! The ledger of an application: what is missing in it is said, and its sums are shown once.
#![cfg(unix)] // names of ledgers have the user id

mod common;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::schema::Schema as JsonSchema;
use common::{PATIENCE, image, json, run, set_instance};
use mmstats_core::{Constant, Counter, FieldSpec, Schema};
use mmstats_unix::ledger::LedgerName;
use serde_json::Value;

fn instance(number: u32) -> [u8; 16] {
    let mut instance = *b"made for a test.";
    instance[..4].copy_from_slice(&number.to_le_bytes());
    instance
}

/// A dead worker of the application `shop`, with a log.
fn worker(directory: &Path, number: u32, jobs: u64) -> PathBuf {
    let path = directory.join(format!("worker-{number}.mmst"));
    let mut schema = Schema::<16>::new();
    schema.add(FieldSpec::info("sys.application", Constant::Text("shop"))).unwrap();
    schema.add(FieldSpec::info("sys.command", Constant::Text("worker"))).unwrap();
    let counter = schema.add(FieldSpec::counter("jobs")).unwrap();
    let gauge = schema.add(FieldSpec::gauge("depth", mmstats_core::DataType::U64)).unwrap();
    schema.add(FieldSpec::events("log", 3, 32)).unwrap();
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        Counter::attach(&lane, counter).unwrap().add(jobs);
        mmstats_core::Gauge::<u64, _>::attach(&lane, gauge).unwrap().set(9);
    });
    set_instance(&path, number);
    path
}

/// A ledger that took in `workers`, of which `incomplete` lack something.
fn ledger(
    directory: &Path,
    generation: u64,
    (workers, took_in): (&[u32], u64),
    jobs: u64,
    incomplete: u64,
) -> PathBuf {
    let owner = std::fs::metadata(directory).unwrap().uid();
    let path = directory.join(LedgerName::new("shop", owner, generation).to_string());
    let names: Vec<u8> = workers.iter().flat_map(|number| instance(*number)).collect();
    let mut schema = Schema::<16>::new();
    for (label, value) in [
        ("ledger.application", Constant::Text("shop")),
        ("ledger.generation", Constant::U64(generation)),
        ("ledger.instances", Constant::U64(took_in)),
        ("ledger.incomplete", Constant::U64(incomplete)),
        ("ledger.supersedes", Constant::Bytes(&names)),
    ] {
        schema.add(FieldSpec::info(label, value)).unwrap();
    }
    let counter = schema.add(FieldSpec::counter("jobs")).unwrap();
    image(&path, &schema, |writer| {
        Counter::attach(&writer.lane().unwrap(), counter).unwrap().add(jobs);
        writer.close();
    });
    set_instance(&path, 1_000_000);
    path
}

/// The fields with a label in the programs of a state.
fn values(document: &Value, state: &str, label: &str) -> Vec<Value> {
    let files = document["files"].as_array().unwrap().iter();
    let files = files.filter(|file| file["state"] == state);
    let fields = files.flat_map(|file| file["fields"].as_array().unwrap());
    fields.filter(|field| field["label"] == label).map(|field| field["value"].clone()).collect()
}

#[test]
fn show_of_superseded_program_has_no_sums() {
    let dir = tempfile::tempdir().unwrap();
    let path = worker(dir.path(), 1, 7);
    ledger(dir.path(), 1, (&[1], 1), 7, 0);
    let place = dir.path().to_str().unwrap();
    for arguments in [
        &["show", "--json", "--all", place][..],
        &["show", "--json", "--all", "--lanes", place],
        &["show", "--json", "--all", "shop"],
    ] {
        let document = json(dir.path(), arguments);
        JsonSchema::load().validate("show", &document).unwrap();
        assert_eq!(values(&document, "ledger", "jobs"), [7], "{document}");
        assert_eq!(values(&document, "dead", "jobs"), [0; 0], "{document}");
        assert_eq!(values(&document, "dead", "depth"), [9], "{document}");
        let superseded = |file: &Value| file["superseded"] == true && file["state"] == "dead";
        assert!(document["files"].as_array().unwrap().iter().any(superseded), "{document}");
    }
    let row = json(dir.path(), &["poll", "jobs", "--json", "-c1", "-d0.01", "shop"]);
    assert_eq!(row["fields"][0]["total"], 7, "{row}");
    // A file that is named is shown with its sums.
    let document = json(dir.path(), &["show", "--json", "--all", path.to_str().unwrap()]);
    assert_eq!(values(&document, "dead", "jobs"), [7], "{document}");
    assert_eq!(document["files"].as_array().unwrap().len(), 1);
}

#[test]
fn show_of_process_has_no_ledger_of_others() {
    let dir = tempfile::tempdir().unwrap();
    worker(dir.path(), 1, 7);
    ledger(dir.path(), 1, (&[1], 1), 7, 0);
    let path = dir.path().join("web.mmst");
    common::all_kinds(&path);
    let document = json(dir.path(), &["show", "--json", "1234"]);
    let files = document["files"].as_array().unwrap();
    assert_eq!(files.len(), 1, "{document}");
    assert_eq!(files[0]["path"], path.to_str().unwrap());
}

#[test]
fn ledger_of_incomplete_workers_is_said_and_code_is_3() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 1, (&[1], 5), 7, 2);
    let text = "something of 2 ended workers is missing";
    for arguments in [
        &["ls"][..],
        &["ls", "--json"],
        &["show"],
        &["show", "--json"],
        &["poll", "jobs", "--json", "-c1", "-d0.01"],
    ] {
        let printed = run(dir.path(), arguments);
        assert_eq!(printed.code, Some(3), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(text), "{arguments:?}: {}", printed.err);
        if arguments.contains(&"--json") {
            let document: Value = serde_json::from_str(&printed.out).unwrap();
            JsonSchema::load().validate(arguments[0], &document).unwrap();
            if arguments[0] == "poll" {
                assert_eq!(document["incomplete_programs"], 1, "{document}");
            } else {
                let incomplete = &document["files"][0]["incomplete"];
                assert_eq!(incomplete["instances_incomplete"], 2, "{document}");
                assert_eq!(incomplete["reason"], text);
            }
        }
    }
}

/// Is set when it is dropped.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(all(target_os = "linux", feature = "top"))] // a command on a terminal of its own
#[test]
fn top_says_that_the_ledger_has_the_sums_of_a_program() {
    let dir = tempfile::tempdir().unwrap();
    worker(dir.path(), 1, 7);
    ledger(dir.path(), 1, (&[1], 1), 7, 0);
    let mut command = common::mmstats(dir.path());
    command.arg("top");
    let terminal = common::pty::Terminal::start(&command, 100, 24);
    terminal.wait_for("worker: its sums are in the ledger of its application");
    terminal.wait_for("ledger ");
}

/// Workers end faster than they are read.
#[test]
fn commands_whose_look_does_not_settle_end_with_code_3() {
    let dir = tempfile::tempdir().unwrap();
    // So many that a look takes longer than a ledger.
    for n in 0..300 {
        std::fs::write(dir.path().join(format!("z{n}.mmst")), "x").unwrap();
    }
    let stage = dir.path().join("stage");
    std::fs::create_dir(&stage).unwrap();
    let ledgers: Vec<(PathBuf, Vec<u8>)> = (1..=500)
        .map(|generation| {
            let path = ledger(&stage, generation, (&[], 1_000 * generation), 7, 0);
            (dir.path().join(path.file_name().unwrap()), std::fs::read(path).unwrap())
        })
        .collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also after a panic: the scope waits for its thread.
        let _end = SetAtEnd(&over);
        scope.spawn(|| {
            let (temporary, mut before) = (stage.join("next"), None::<&Path>);
            for (path, bytes) in ledgers.iter().cycle() {
                std::fs::write(&temporary, bytes).unwrap();
                std::fs::rename(&temporary, path).unwrap();
                before.replace(path).map(std::fs::remove_file);
                // Rarely from the last one to the first, less often than looks.
                std::thread::sleep(Duration::from_millis(2));
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut missing = Vec::new();
        for arguments in [&["ls"][..], &["show"], &["poll", "jobs", "--json", "-c1", "-d0.01"]] {
            let begin = Instant::now();
            let found = loop {
                let printed = run(dir.path(), arguments);
                if printed.err.contains("(unsettled)") {
                    break Some(printed);
                }
                if begin.elapsed() > PATIENCE {
                    break None;
                }
            };
            let Some(printed) = found else {
                missing.push(format!("{arguments:?} always settles"));
                continue;
            };
            if printed.code != Some(3) {
                missing.push(format!("{arguments:?}: {:?} {}", printed.code, printed.err));
            }
        }
        assert!(missing.is_empty(), "{missing:?}");
    });
}
