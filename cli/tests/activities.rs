//! Activities in the output of the commands.

mod common;

use std::path::Path;

use mmstats_core::{Activity, FieldSpec, InProgress, Schema};
use serde_json::json;

use common::{field, image, image_of_lanes, json, run};

/// An image whose lane does two things of one field, and nothing of another.
fn program(path: &Path) {
    let mut schema = Schema::<16>::new();
    let doing = schema.add(FieldSpec::activity("doing", 2, 16)).unwrap();
    schema.add(FieldSpec::activity("nothing", 2, 16)).unwrap();
    image(path, &schema, |writer| {
        let activity = Activity::<16, _>::attach(&writer.lane().unwrap(), doing).unwrap();
        let since = 1_700_000_000_000_000_007;
        std::mem::forget(activity.begin(since, "parse\u{1b}[2J"));
        std::mem::forget(activity.begin(0, "longer than sixteen"));
        assert!(!activity.begin(0, "no row").is_shown());
    });
}

#[test]
fn show_prints_a_line_for_each_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    program(&path);
    let text = path.to_str().unwrap();
    let printed = run(dir.path(), &["show", "-v", text]).out;
    let lines: Vec<&str> = printed.lines().collect();
    let at = lines.iter().position(|line| line.contains("doing[0]")).unwrap();
    assert!(lines[at].ends_with("2 in progress; 1 found no row"), "{}", lines[at]);
    assert!(
        lines[at + 1].ends_with("d  \"parse\\u{1b}[2J\"")
            || lines[at + 1].ends_with("h  \"parse\\u{1b}[2J\""),
        "{}",
        lines[at + 1]
    );
    assert!(lines[at + 2].ends_with("-  \"longer than sixt\" (cut)"), "{}", lines[at + 2]);
    assert!(printed.contains("nothing in progress"), "{printed}");
    assert!(printed.contains("text activity, lanes: each"), "{printed}");

    let piped = run(dir.path(), &["show", text]).out;
    assert!(piped.contains("[1:1700000000000000007:parse"), "{piped}");
    assert!(piped.contains("2:0:longer than sixt] refused=1\t"), "{piped}");
}

/// One row stands for all lanes that do nothing.
#[test]
fn show_of_idle_lanes_has_no_row_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    let mut schema = Schema::<16>::new();
    let doing = schema.add(FieldSpec::activity("doing", 2, 16)).unwrap();
    schema.add(FieldSpec::activity("nothing", 2, 16)).unwrap();
    let full = schema.add(FieldSpec::activity("full", 1, 16)).unwrap();
    image_of_lanes(&path, &schema, 3, |writer| {
        let lanes: Vec<_> = (0..3).map(|_| writer.lane().unwrap()).collect();
        let attach = |lane: usize, field| Activity::<16, _>::attach(&lanes[lane], field).unwrap();
        std::mem::forget(attach(1, doing).begin(0, "parse"));
        // One that found no row is told, also when nothing is in progress any more.
        let full = attach(2, full);
        let first = full.begin(0, "first");
        assert!(!full.begin(0, "second").is_shown());
        drop(first);
    });
    let text = path.to_str().unwrap();
    let printed = run(dir.path(), &["show", text]).out;
    let rows = |label: &str| -> Vec<&str> {
        printed.lines().filter(|line| line.starts_with(label)).collect()
    };
    assert_eq!((rows("doing").len(), rows("nothing").len()), (1, 1), "{printed}");
    assert!(rows("doing")[0].starts_with("doing[1]\t[1:0:parse]\t"), "{printed}");
    assert!(rows("nothing")[0].starts_with("nothing\t[]\t"), "{printed}");
    assert_eq!(rows("full").len(), 1, "{printed}");
    assert!(rows("full")[0].starts_with("full[2]\t[] refused=1\t"), "{printed}");
    let document = json(dir.path(), &["show", "--json", text]);
    let value = &field(&document, "nothing")["value"];
    assert_eq!((&value["rows"], &value["refused"]), (&json!([]), &json!(0)), "{value}");
}

#[test]
fn sections_in_progress_are_shown_with_their_least_age() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    let mut schema = Schema::<16>::new();
    schema.add(FieldSpec::timer("took")).unwrap();
    let running = schema.add(FieldSpec::running("took.running")).unwrap();
    let one = schema.add(FieldSpec::running("one.running")).unwrap();
    let none = schema.add(FieldSpec::running("none.running")).unwrap();
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        let attach = |field| InProgress::attach(&lane, field).unwrap();
        attach(running).begin(1_700_000_000_000_000).unwrap();
        attach(running).begin(1_800_000_000_000_000).unwrap();
        attach(none).end(attach(none).begin(7).unwrap(), || 9);
        attach(one).begin(1_700_000_000_000_000).unwrap();
    });
    let text = path.to_str().unwrap();
    let printed = run(dir.path(), &["show", "-v", text]).out;
    let line = |name: &str| printed.lines().find(|line| line.contains(name)).unwrap_or_default();
    let took = line("took.running");
    assert!(took.contains("2 in progress, the oldest for at least "), "{printed}");
    assert!(line("one.running").contains("1 in progress, for at least "), "{printed}");
    assert!(line("none.running").ends_with("nothing in progress"), "{printed}");
    assert!(printed.contains("u64 running, lanes: sum"), "{printed}");
    let lanes = run(dir.path(), &["show", "-v", "--lanes", text]).out;
    assert_eq!(lanes.matches("2 in progress, the oldest").count(), 1, "{lanes}");
    let piped = run(dir.path(), &["show", text]).out;
    assert!(piped.contains("2:1700000000000000000"), "{piped}");

    let document = json(dir.path(), &["show", "--json", text]);
    let value = &field(&document, "took.running")["value"];
    assert_eq!((&value["count"], &value["since"]), (&json!(2), &json!("2023-11-14T22:13:20Z")));
    assert!(value["at_least_seconds"].as_f64().unwrap() > 9e7, "{value}");
    let none = &field(&document, "none.running")["value"];
    assert_eq!(none, &json!({"count": 0, "since": null, "at_least_seconds": null}));
    let polled = json(dir.path(), &["poll", "-c1", "--json", "took.running", text]);
    assert_eq!(polled["fields"][0]["value"], 2, "{polled}");
}

#[test]
fn json_has_rows_with_begin_and_age() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    program(&path);
    let text = path.to_str().unwrap();
    let document = json(dir.path(), &["show", "--json", text]);
    let value = &field(&document, "doing")["value"];
    assert_eq!(
        (&value["refused"], &value["contended"], &value["damaged"]),
        (&json!(1), &json!(0), &json!(0))
    );
    let [first, second] = value["rows"].as_array().unwrap().as_slice() else { panic!("{value}") };
    assert_eq!(first["since"], "2023-11-14T22:13:20.000000007Z");
    assert!(first["age_seconds"].as_f64().unwrap() > 9e7, "{first}");
    assert_eq!((&first["text"], &first["number"]), (&json!("parse\u{1b}[2J"), &json!(1)));
    assert_eq!(
        (&second["since"], &second["age_seconds"], &second["number"]),
        (&json!(null), &json!(null), &json!(2))
    );

    let polled = json(dir.path(), &["poll", "-c1", "--json", "doing", text]);
    assert_eq!(polled["fields"][0]["value"], 2, "{polled}");
}

#[test]
fn check_and_dump_name_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    program(&path);
    let text = path.to_str().unwrap();
    let checked = run(dir.path(), &["check", text]);
    assert!(checked.out.contains("no rule broken"), "{}", checked.out);
    let dumped = run(dir.path(), &["dump", text]).out;
    for want in ["used rows", "refused", "row 1, in use, seq: 1", "row 1 slot 1"] {
        assert!(dumped.contains(want), "{want} not in {dumped}");
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures/valid");
    let damaged = fixtures.join("kind-activity-damaged.mmst");
    let checked = run(dir.path(), &["check", damaged.to_str().unwrap()]);
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.out.contains("row 0") && checked.out.contains("value-length"),
        "{}",
        checked.out
    );
    assert!(checked.out.contains("row 2") && checked.out.contains("value-utf8"), "{}", checked.out);
}
