//! The output of every command with `--json` against `schema/output.json` and JSON.md.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use common::schema::Schema;
use common::{all_kinds, fixtures, run};

/// Documents of every command, with the name of the command.
fn documents(directory: &Path) -> Vec<(&'static str, Value)> {
    // A program in two files.
    let parts = |name: &str| format!("{}/../valid/{name}", fixtures().display());
    let (first, second) = (parts("atomic-bool.mmst"), parts("later-part.mmst"));
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (kinds, damaged, legacy) = (path("kinds.mmst"), path("damaged.mmst"), path("web.mmstats"));
    all_kinds(Path::new(&kinds));
    let mut bytes = std::fs::read(&kinds).unwrap();
    // A line of events, and the help of a field.
    for text in [b"ready", b"Serve"] {
        let at = bytes.windows(5).position(|window| window == text).unwrap();
        bytes[at] = 0xff;
    }
    std::fs::write(&damaged, bytes).unwrap();
    std::fs::copy(fixtures().join("web.mmstats"), &legacy).unwrap();
    let mut documents = Vec::new();
    for (command, arguments) in [
        ("ls", &["ls", "--json"][..]),
        ("show", &["show", "--json", &kinds]),
        ("show", &["show", "--json", &kinds, &damaged, &legacy]),
        ("show", &["show", "--json", "--lanes", &damaged]),
        ("show", &["show", "--json", &first, &second]),
        ("poll", &["poll", "--json", "-c2", "-d0.01", "*", &kinds]),
        ("poll", &["poll", "--json", "-c1", "-d0.01", "*", &damaged, &legacy]),
        ("events", &["events", "--json", &damaged]),
    ] {
        documents.extend(lines(directory, arguments).map(|document| (command, document)));
    }
    documents
}

fn lines(directory: &Path, arguments: &[&str]) -> impl Iterator<Item = Value> {
    let printed = run(directory, arguments);
    let documents: Vec<Value> =
        printed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!documents.is_empty(), "{arguments:?}: {}", printed.err);
    documents.into_iter()
}

#[test]
fn output_of_commands_matches_schema() {
    let dir = tempfile::tempdir().unwrap();
    let schema = Schema::load();
    for (command, document) in documents(dir.path()) {
        schema.validate(command, &document).unwrap_or_else(|e| panic!("{command}{e}\n{document}"));
    }
}

/// Output with a key more, a key less, or a value of another type is refused. Only keys that
/// JSON.md calls absent, and keys of the program's own choice, may be missing.
#[test]
fn schema_refuses_changed_output() {
    let dir = tempfile::tempdir().unwrap();
    let schema = Schema::load();
    let mut accepted = BTreeSet::new();
    for (command, document) in documents(dir.path()) {
        for (place, changed) in changes(&document) {
            if schema.validate(command, &changed).is_ok() {
                accepted.insert(format!("{command}{place}"));
            }
        }
    }
    let accepted: Vec<&str> = accepted.iter().map(String::as_str).collect();
    let optional = [
        "events - time_text",
        "ls.files[] - died_before",
        "poll.fields[].value - 300",
        "poll.fields[].value - 60",
        "poll.fields[].value - busy",
        "show.files[] - incomplete",
        "show.files[] - parts",
        "show.files[].fields[] - lane",
        "show.files[].fields[].attributes - code",
        "show.files[].fields[].value - 300",
        "show.files[].fields[].value - 60",
        "show.files[].fields[].value - busy",
    ];
    assert_eq!(accepted, optional);
}

/// All documents that differ from `document` in one place, with a name of the place.
fn changes(document: &Value) -> Vec<(String, Value)> {
    let mut changes = Vec::new();
    change(document, &mut |place, changed| changes.push((place, changed)));
    changes
}

fn change(value: &Value, found: &mut dyn FnMut(String, Value)) {
    match value {
        Value::Object(map) => {
            let mut more = map.clone();
            more.insert("unexpected".to_owned(), json!([{}]));
            found(" + key".to_owned(), Value::Object(more));
            for (key, member) in map {
                let mut fewer = map.clone();
                fewer.remove(key);
                found(format!(" - {key}"), Value::Object(fewer));
                change(member, &mut |place, changed| {
                    let mut other = map.clone();
                    other.insert(key.clone(), changed);
                    found(format!(".{key}{place}"), Value::Object(other));
                });
            }
        }
        Value::Array(items) => {
            found(" = number".to_owned(), json!(1));
            for (n, item) in items.iter().enumerate() {
                change(item, &mut |place, changed| {
                    let mut other = items.clone();
                    other[n] = changed;
                    found(format!("[]{place}"), Value::Array(other));
                });
            }
        }
        _ => found(" = object".to_owned(), json!({"unexpected": [{}]})),
    }
}

#[test]
fn every_key_is_described() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/JSON.md")).unwrap();
    let keys = Schema::load().keys();
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        assert!(document.contains(&format!("| `{key}` |")), "JSON.md does not describe {key}");
    }
}

/// The examples of JSON.md are documents of their section's command.
#[test]
fn examples_match_schema() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/JSON.md")).unwrap();
    let (schema, mut seen) = (Schema::load(), BTreeSet::new());
    for section in document.split("\n## ").skip(1) {
        let command = section.lines().next().unwrap().trim_matches('`').to_owned();
        for block in section.split("```json\n").skip(1) {
            let text = block.split("```").next().unwrap();
            let example: Value = serde_json::from_str(text).unwrap();
            schema.validate(&command, &example).unwrap_or_else(|e| panic!("{command}{e}"));
            seen.insert(command.clone());
        }
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        ["alert", "diff", "events", "ls", "poll", "show", "threads"]
    );
}
