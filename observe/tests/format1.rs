//! Files of the original library, compared with the output of its own reader.

use std::path::{Path, PathBuf};

use mmstats_observe::{FileState, Observer, OwnedValue, Sources, totals};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures/format-1")
}

/// Type and value in the words of the fixture.
fn words(value: &OwnedValue) -> (&'static str, String) {
    match value {
        OwnedValue::Unsigned(n) => ("integer", n.to_string()),
        OwnedValue::Signed(n) => ("integer", n.to_string()),
        OwnedValue::F32(x) => ("float", format!("{:016x}", f64::from(*x).to_bits())),
        OwnedValue::F64(x) => ("float", format!("{:016x}", x.to_bits())),
        OwnedValue::Bool(b) => ("bool", b.to_string()),
        OwnedValue::Text { text, .. } => ("text", text.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fixture_values_are_those_of_original_reader() {
    let mut observer = Observer::new(Sources::new().path(fixtures()));
    observer.refresh();
    assert_eq!(observer.problems().count(), 0);
    assert!(observer.files().len() >= 6);
    for file in observer.files() {
        let json = std::fs::read_to_string(file.path().with_extension("json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        let want = json["fields"].as_array().unwrap();
        assert_eq!(file.format(), Some(1));
        assert_eq!(file.field_count(), want.len(), "{:?}", file.path());
        let mut seen = 0;
        for ((field, reading), want) in file.fields().zip(file.values()).zip(want) {
            assert_eq!(field.label(), want["label"].as_str().unwrap());
            let (ty, value) = words(reading.value.as_ref().unwrap());
            assert_eq!(
                (ty, value.as_str()),
                (want["type"].as_str().unwrap(), want["value"].as_str().unwrap(),)
            );
            assert_eq!((field.properties().kind(), field.kind_name()), (None, "untyped"));
            assert_eq!(file.value(field.index()), reading);
            seen += 1;
        }
        assert_eq!(seen, want.len());
        let mut scanned = 0;
        assert!(file.scan(0, |_, verdict| scanned += i32::from(verdict.consistent().is_some())));
        let texts = file.fields().filter(|field| field.shape().to_string() == "text").count();
        assert_eq!(usize::try_from(scanned).unwrap(), want.len() - texts);
    }
}

#[test]
fn format_1_program_is_live_by_pid() {
    let mut observer = Observer::new(Sources::new().path(fixtures().join("web.mmstats")));
    observer.refresh();
    let file = &observer.files()[0];
    assert_eq!(file.identity().pid, Some(8039));
    assert_eq!(file.identity().uid, Some(0));
    assert_eq!(file.identity().created.map(f64::trunc), Some(1_795_375_523.0));
    assert!(
        matches!(file.state(), FileState::Live | FileState::Dead),
        "whether there is a process 8039"
    );
    let mut observer = Observer::new(Sources::new().path(fixtures().join("no-fields.mmstats")));
    observer.refresh();
    assert_eq!(observer.files()[0].state(), FileState::Unknown);
}

#[test]
fn format_1_values_are_of_last_refresh() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.mmstats");
    let file = |value: u8| [b"\x01\x04\0hits\x01\0B\xFF".as_slice(), &[value, 0, 0]].concat();
    std::fs::write(&path, file(7)).unwrap();
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    observer.refresh();
    assert_eq!(observer.files()[0].value(0).value, Some(OwnedValue::Unsigned(7)));
    overwrite(&path, &file(9));
    assert_eq!(observer.files()[0].value(0).value, Some(OwnedValue::Unsigned(7)));
    assert!(observer.refresh().is_empty());
    assert_eq!(observer.files()[0].value(0).value, Some(OwnedValue::Unsigned(9)));
    let total = &totals(observer.files())[0];
    assert_eq!(total.reading.value, Some(OwnedValue::Unsigned(9)));

    // Truncated within a record.
    overwrite(&path, &file(9)[..9]);
    assert_eq!(observer.refresh().changed, 1);
    let problem = observer.files()[0].problem().unwrap();
    assert_eq!((problem.code, problem.offset), ("format1-truncated", Some(9)));
    assert_eq!(observer.files()[0].state(), FileState::Damaged);
    overwrite(&path, &file(1));
    assert_eq!(observer.refresh().changed, 1);
    assert_eq!(observer.files()[0].value(0).value, Some(OwnedValue::Unsigned(1)));
}

/// Overwrites a file in place.
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
