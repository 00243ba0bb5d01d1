//! `mmstats threads`: findings, threads with what they do, the system's word of them.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mmstats_core::{Activity, Constant, DataType, FieldSpec, Gauge, Schema, Source as _, Text};
use serde_json::{Value, json};

use common::{image, json, mmstats, printed, run};

/// Adds a field of a lock, in which the holder or a number is written.
fn lock<'a>(label: &'static str, attributes: &'a [(&'a str, &'a str)]) -> FieldSpec<'a> {
    FieldSpec::gauge(label, DataType::U64).attributes(attributes)
}

const ACCOUNTS: [(&str, &str); 2] = [("lock", "accounts"), ("id", "1")];
const LOG: [(&str, &str); 2] = [("lock", "log"), ("id", "2")];
/// Nanoseconds since 1970: 12 and a half days ago, so that ages have the same words all day.
fn start() -> u64 {
    let ago = std::time::Duration::from_secs(12 * 86_400 + 43_200 + 1_800);
    let start = std::time::SystemTime::now() - ago;
    start.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// The image of a program with two threads that wait for each other, and a third that waits for one of
/// them; the third has a name that would clear a terminal.
fn deadlocked(path: &Path) {
    let mut schema = Schema::<16>::new();
    let mut add = |spec| schema.add(spec).unwrap();
    add(FieldSpec::info("sys.pid", Constant::U64(17)));
    add(FieldSpec::info("sys.command", Constant::Text("bank")));
    let id = add(FieldSpec::gauge("sys.tid", DataType::U64));
    let name = add(FieldSpec::text("sys.thread", 16));
    let waits = add(FieldSpec::activity("sys.lock.waits", 2, 32));
    let doing = add(FieldSpec::activity("doing", 2, 32));
    let holders =
        [&ACCOUNTS, &LOG].map(|attributes| add(lock("sys.lock.holder", attributes.as_slice())));
    let counts =
        [&ACCOUNTS, &LOG].map(|attributes| add(lock("sys.lock.count", attributes.as_slice())));
    let since = add(lock("sys.lock.since", &ACCOUNTS));
    let noticed = add(lock("sys.lock.noticed", &ACCOUNTS));
    let start = start();
    let memory = Box::leak(Box::new(mmstats_core::StaticBytes::<65536>::new())).into_memory();
    let mut writer = schema.create(memory, 4, *b"made for a test.").unwrap();
    let set = |lane: &mmstats_core::Lane<_>, field, value: u64| {
        Gauge::<u64, _>::attach(lane, field).unwrap().set(value);
    };
    let shared = writer.lane().unwrap();
    for ((holder, count), thread) in holders.into_iter().zip(counts).zip([102, 101]) {
        set(&shared, holder, thread);
        set(&shared, count, 7);
    }
    set(&shared, since, start + 1_000_000_000);
    set(&shared, noticed, 7);
    let all = [
        (101, "worker-1", "accounts #1"),
        (102, "worker-2", "log #2"),
        (103, "x\u{1b}[2J", "accounts #1"),
    ];
    for (thread, text, lock) in all {
        let lane = writer.lane().unwrap();
        set(&lane, id, thread);
        Text::<16, _>::attach(&lane, name).unwrap().set(text);
        let transfer = Activity::<32, _>::attach(&lane, doing).unwrap();
        std::mem::forget(transfer.begin(start, "transfer"));
        let wait = Activity::<32, _>::attach(&lane, waits).unwrap();
        std::mem::forget(wait.begin(start + 1_000_000_000, lock));
    }
    let opened = mmstats_core::read::Image::open(writer.region()).unwrap();
    let mut bytes = vec![0; opened.header().file_size() as usize];
    writer.region().copy(0, &mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn dead() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.mmst");
    deadlocked(&path);
    (directory, path)
}

#[test]
fn dead_program_in_deadlock_says_who_waited_for_whom() {
    let (directory, path) = dead();
    let mut command = mmstats(directory.path());
    command.args(["threads", "--table", path.to_str().unwrap()]).env("COLUMNS", "90");
    let text = printed(command.output().unwrap()).out;
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("  died")).unwrap();
    assert_eq!(
        lines[at + 1..][..9],
        [
            "  deadlock: worker-1 waits for \"accounts\" held by worker-2, which waits for \"log\" held by",
            "    worker-1",
            "  x\\u{1b}[2J waits for \"accounts\", held by worker-2",
            "  TID  NAME        DOING",
            "  101  worker-1    transfer 12d 12h › waits 12d 12h for \"accounts\" held by worker-2; holds",
            "                     \"log\"",
            "  102  worker-2    transfer 12d 12h › waits 12d 12h for \"log\" held by worker-1; holds",
            "                     \"accounts\"",
            "  103  x\\u{1b}[2J  transfer 12d 12h › waits 12d 12h for \"accounts\" held by worker-2",
        ],
        "{text}"
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 90), "{text}");
}

#[test]
fn json_has_locks_with_holders_and_fits_the_schema() {
    let (directory, path) = dead();
    let document = json(directory.path(), &["threads", "--json", path.to_str().unwrap()]);
    common::schema::Schema::load().validate("threads", &document).unwrap();
    let program = &document["programs"][0];
    assert_eq!(program["findings"][1]["code"], "deadlock");
    let lock = &program["locks"][0];
    assert_eq!(
        (&lock["name"], &lock["holder"], &lock["waiting"], &lock["acquired"]),
        (&json!("accounts"), &json!(102), &json!([101, 103]), &json!(7))
    );
    assert!(lock["held_since_at_least"].is_string(), "{lock}");
    assert_eq!(program["locks"][1]["held_since_at_least"], Value::Null);
    let thread = &program["threads"][1];
    assert_eq!((&thread["tid"], &thread["holds"]), (&json!(102), &json!([1])));
    assert!(thread["wait"]["age_seconds"].as_f64().unwrap() > 1e6, "{thread}");
    assert_eq!((&thread["state"], &thread["quiet_seconds"]), (&Value::Null, &Value::Null));
}

#[test]
fn plain_lines_have_findings_then_threads() {
    let (directory, path) = dead();
    let text = run(directory.path(), &["why", path.to_str().unwrap()]).out;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let heads: Vec<_> = lines.iter().map(|line| (line[0], line[1], line[2])).collect();
    let wanted = [
        ("17", "finding", "died"),
        ("17", "finding", "deadlock"),
        ("17", "finding", "waiting"),
        ("17", "thread", "101"),
        ("17", "thread", "102"),
        ("17", "thread", "103"),
    ];
    assert_eq!(heads, wanted, "{text}");
    assert!(lines[3..].iter().all(|line| line.len() == 9), "{text}");
}

#[test]
fn program_without_activities_says_what_it_does_not_publish() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.mmst");
    let mut schema = Schema::<16>::new();
    schema.add(FieldSpec::counter("hits")).unwrap();
    image(&path, &schema, |_| {});
    let text = run(directory.path(), &["threads", "--table", path.to_str().unwrap()]).out;
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
    let unknown = "the program did not publish what its threads do (activities, mmstats-tracing), and \
                   which locks its threads wait for (mmstats::sync)";
    assert!(text.contains(unknown), "{text}");
    assert!(!text.contains("texts of its threads"), "{text}");
    // A text of each thread tells something.
    let mut schema = Schema::<16>::new();
    schema.add(FieldSpec::text("doing", 32)).unwrap();
    image(&path, &schema, |_| {});
    let text = run(directory.path(), &["threads", "--table", path.to_str().unwrap()]).out;
    assert!(text.contains("`mmstats show` has texts of its threads: doing"), "{text}");
}

/// The first program that a new user sees says what its threads do.
#[test]
#[cfg(all(feature = "demo", target_os = "linux"))] // the program; thread ids
fn demo_says_what_its_threads_do() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = common::Publisher::start(directory.path());
    let doing = common::wait_for(|| {
        let text = run(directory.path(), &["why", &publisher.pid()]).out;
        text.lines()
            .any(|line| line.contains("\tworker-1\t") && line.contains(" block"))
            .then_some(text)
    });
    assert!(doing.contains("feeding the queue"), "{doing}");
    let table = run(directory.path(), &["why", "--table", &publisher.pid()]).out;
    assert!(!table.contains("what its threads do"), "{table}");
}

#[test]
#[cfg(target_os = "linux")] // has /proc
fn process_that_publishes_nothing_is_shown_as_the_system_knows_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let shown = run(directory.path(), &["threads", &pid]);
    let document = json(directory.path(), &["threads", "--json", &pid]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((shown.code, &*shown.err), (Some(0), ""), "{}", shown.out);
    assert!(shown.out.starts_with(&format!("{pid}\tthread\t{pid}\tcat\tsleeping\t0.00\t-\t")));
    common::schema::Schema::load().validate("threads", &document).unwrap();
    assert_eq!(document["programs"][0]["system"]["name"], "cat");

    let gone = run(directory.path(), &["threads", &pid]);
    assert_eq!((gone.code, &*gone.out), (Some(1), ""));
    assert!(gone.err.contains("no-such-pid"), "{}", gone.err);
}
