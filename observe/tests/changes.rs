//! Files that change while they are observed.
#![cfg(unix)] // where a file in use can be made smaller

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};

use mmstats_core::layout::{descriptor as d, header as h};
use mmstats_core::{Constant, Counter, DataType, Events, FieldSpec};
use mmstats_observe::{FileState, RawVerdict, Scalar, Verdict};
use support::{
    Setup, id, observe, only, poke, publish, put_word, reseal, simple, text, truncate, word,
};

/// A file that was truncated and extended between two refreshes has lost bytes too.
#[test]
fn file_truncated_and_extended_loses_values() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "a.mmst", &[FieldSpec::counter("hits")]);
    Counter::attach(&published.lane(), id(0)).unwrap().add(1);
    let mut observer = observe(directory.path());
    let size = only(&observer).size();
    truncate(&published.path, size - 8);
    assert!(!only(&observer).is_whole());
    truncate(&published.path, size);
    assert!(!only(&observer).is_whole(), "reads in between may have missed bytes");
    assert_eq!(only(&observer).state(), FileState::Damaged);
    let changes = observer.refresh();
    assert_eq!((changes.changed, only(&observer).state()), (1, FileState::Damaged));
    assert_eq!(only(&observer).field_count(), 0);
    assert_eq!(only(&observer).problem().unwrap().code, "truncated");
    // It is opened anew, and is whole now.
    assert_eq!(observer.refresh().changed, 1);
    assert_eq!((only(&observer).state(), only(&observer).field_count()), (FileState::Live, 1));
}

/// A scan makes no system call; it notices the fault.
#[test]
fn scan_of_missing_pages_returns_false() {
    let directory = tempfile::tempdir().unwrap();
    let labels: Vec<_> = (0..500).map(|i| format!("field {i}")).collect();
    let fields: Vec<_> = labels.iter().map(|label| FieldSpec::counter(label)).collect();
    let mut published = simple(directory.path(), "a.mmst", &fields);
    let _lane = published.lane();
    let observer = observe(directory.path());
    assert!(only(&observer).scan(0, |_, _| {}));
    truncate(&published.path, 0);
    assert!(!only(&observer).scan(0, |_, _| {}));
    assert_eq!(only(&observer).state(), FileState::Damaged);
}

/// Bytes of the heap may be in use before their field is added. They are read when it is;
/// the bytes of earlier fields are kept.
#[test]
fn field_has_strings_from_when_it_was_added() {
    let firsts = [
        FieldSpec::counter("first").unit("apples"),
        FieldSpec::info("first", Constant::U32(7)),
        FieldSpec::info("first", Constant::U64(u64::MAX)),
        FieldSpec::info("first", Constant::Text("h")),
        FieldSpec::info("first", Constant::Text("nine char")),
        FieldSpec::info("first", Constant::Bytes(&[9; 33])),
    ];
    for first in firsts {
        let directory = tempfile::tempdir().unwrap();
        let setup = Setup { room: 4, ..Setup::default() };
        let mut published = publish(directory.path(), "a.mmst", setup, |_| {}, &[first]);
        let before = fs::read(&published.path).unwrap();
        published.writer.add(&FieldSpec::counter("second").unit("oranges")).unwrap();
        let after = fs::read(&published.path).unwrap();
        let heap = word(&after, h::HEAP_OFFSET);
        let [from, to] = [&before, &after].map(|bytes| heap + word(bytes, h::HEAP_USED));
        let new = &after[from as usize..to as usize];
        assert!(new.len() > 16);
        // As left by a writer that is about to add the second field.
        published.poke(h::FIELD_COUNT.into(), &1_u32.to_le_bytes());
        published.poke(from.into(), &vec![0xAA; new.len()]);
        let mut observer = observe(directory.path());
        assert_eq!(only(&observer).field_count(), 1);
        let value = only(&observer).value(0);
        published.poke(from.into(), new);
        published.poke(h::FIELD_COUNT.into(), &2_u32.to_le_bytes());
        assert_eq!(observer.refresh().grown, 1);
        let file = only(&observer);
        let fields: Vec<_> = file.fields().map(|f| (f.damage(), f.label(), f.unit())).collect();
        assert_eq!(fields, [(None, "first", first.unit), (None, "second", "oranges")]);
        assert_eq!(file.value(0), value, "{first:?}");
        assert_eq!(value.is_consistent(), file.field(0).unwrap().is_constant());
    }
}

#[test]
fn format_1_file_grows_by_fields() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.mmstats");
    // A record: label, type, a byte and the value.
    let record = |label: &str, ty: &str, value: &[u8]| {
        let mut bytes = vec![u8::try_from(label.len()).unwrap(), 0];
        bytes.extend(label.as_bytes());
        bytes.extend([u8::try_from(ty.len()).unwrap(), 0]);
        bytes.extend(ty.as_bytes());
        bytes.push(0xFF);
        bytes.extend(value);
        bytes
    };
    let hits = |n| record("hits", "B", &[n]);
    let write = |records: &[Vec<u8>]| {
        fs::write(&path, [&[1][..], &records.concat(), &[0, 0]].concat()).unwrap();
    };
    write(&[hits(1)]);
    let mut observer = observe(&path);
    let mut totals = mmstats_observe::Totals::new();
    totals.update(observer.files(), None);
    for (grown, records) in [
        (0, vec![hits(2)]),
        (1, vec![hits(2), record("name", "4s", b"web\0")]),
        (0, vec![hits(3), record("name", "4s", b"cli\0")]),
        (1, vec![hits(3)]),
        (1, vec![record("hats", "B", &[3])]),
        (1, vec![record("hats", "b", &[4])]),
        (0, vec![record("hats", "b", &[5])]),
    ] {
        write(&records);
        let changes = observer.refresh();
        assert_eq!((changes.grown, changes.added, changes.changed), (grown, 0, 0), "{records:?}");
        let file = only(&observer);
        assert_eq!(file.field_count(), records.len());
        totals.update(observer.files(), None);
        let shown = totals.fields().iter().map(|total| total.field.label.as_str());
        assert!(shown.eq(file.fields().map(|field| field.label())), "{records:?}");
        assert_eq!(totals.fields()[0].reading.value, file.value(0).value);
        if records.len() == 2 {
            let mut raw = Vec::new();
            file.visit_lane(0, &mut mmstats_observe::Scratch::new(), |_, verdict| {
                raw.push(verdict.consistent().map(mmstats_observe::OwnedValue::from));
            });
            assert_eq!(raw[1], file.value(1).value);
            assert_eq!(totals.fields()[1].reading.value, file.value(1).value);
            assert!([text("web"), text("cli")].map(Some).contains(&raw[1]), "{raw:?}");
        }
    }
}

/// Only adjacent cells are read together.
#[test]
fn scan_reads_cells_at_their_places() {
    let directory = tempfile::tempdir().unwrap();
    // A constant has no cell: the cells of 1 and 3 are adjacent.
    let fields = [
        FieldSpec::gauge("0", DataType::U16),
        FieldSpec::counter("1"),
        FieldSpec::info("2", Constant::U32(2)),
        FieldSpec::counter("3"),
        FieldSpec::counter("4"),
    ];
    let setup = Setup { room: 2, ..Setup::default() };
    let mut published = publish(directory.path(), "a.mmst", setup, |_| {}, &fields);
    let lane = published.lane();
    for index in [1, 3, 4] {
        Counter::attach(&lane, id(index)).unwrap().add(10 + u64::from(index));
    }
    let mut bytes = fs::read(&published.path).unwrap();
    let scanned = || {
        let mut found = Vec::new();
        let observer = observe(&published.path);
        assert!(only(&observer).scan(0, |index, verdict| {
            if let RawVerdict::Consistent(Scalar::U64(n)) = verdict {
                found.push((index, n));
            }
        }));
        found
    };
    if usize::BITS >= 64 {
        assert_eq!(scanned(), [(1, 11), (3, 13), (4, 14)]);
        // The last field leaves a cell out.
        let at = word(&bytes, h::DESCRIPTOR_OFFSET) + 4 * d::SIZE;
        let place = word(&bytes, at + d::PLACE);
        put_word(&mut bytes, at + d::PLACE, place + 8);
        reseal(&mut bytes, 4);
        poke(&published.path, at.into(), &bytes[at as usize..(at + d::SIZE) as usize]);
        let cell = word(&bytes, h::LANES_OFFSET) + place + 8;
        published.poke(cell.into(), &99_u64.to_le_bytes());
        assert_eq!(scanned(), [(1, 11), (3, 13), (4, 99)]);
    }
}

#[test]
fn events_with_damaged_line_keep_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "a.mmst", &[FieldSpec::events("log", 7, 16)]);
    let log = Events::<16, _>::attach(&published.lane(), id(0)).unwrap();
    for (time, line) in [(1, "first line"), (2, "second line"), (3, "third line")] {
        assert!(log.record(time, line));
    }
    let bytes = fs::read(&published.path).unwrap();
    let at = bytes.windows(11).position(|bytes| bytes == b"second line").unwrap();
    // Not UTF-8.
    published.poke(at as u64, &[0xFF]);
    let observer = observe(directory.path());
    let events = only(&observer).events(0, 0, 0).unwrap();
    let lines: Vec<_> = events.iter().map(|event| (event.number, event.time)).collect();
    assert_eq!(lines, [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(events[1].line.clone().unwrap_err().code, "value-utf8");
    assert_eq!(events[2].line.clone().unwrap().text, "third line");
}

/// Root gives the file to another user; any other user keeps it.
#[test]
fn owner_is_of_file_not_of_observer() {
    let directory = tempfile::tempdir().unwrap();
    let published = simple(directory.path(), "a.mmst", &[FieldSpec::counter("hits")]);
    let uid = fs::metadata(&published.path).unwrap().uid();
    let given = chown(&published.path, Some(uid + 4711), None).is_ok();
    let observer = observe(directory.path());
    assert_eq!(only(&observer).owner(), Some(if given { uid + 4711 } else { uid }));
    assert!(given || uid != 0, "root may");
}

#[test]
fn copies_without_writer_show_first() {
    let directory = tempfile::tempdir().unwrap();
    let published = simple(directory.path(), "b.mmst", &[FieldSpec::counter("hits")]);
    let path = published.path.clone();
    drop(published);
    for name in ["a.mmst", "c.mmst"] {
        fs::copy(&path, directory.path().join(name)).unwrap();
    }
    let observer = observe(directory.path());
    assert_eq!(only(&observer).path(), directory.path().join("a.mmst"));
    assert_eq!(only(&observer).state(), FileState::Dead);
    let told: Vec<_> = observer.problems().map(|p| (p.code, p.path.file_name())).collect();
    let names = ["b.mmst", "c.mmst"].map(|name| ("copy", Some(std::ffi::OsStr::new(name))));
    assert_eq!(told, names);
}

#[test]
fn value_of_unclaimed_lane_is_absent() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "a.mmst", &[FieldSpec::text("what", 8)]);
    let _lane = published.lane();
    let observer = observe(directory.path());
    let file = only(&observer);
    for reading in [file.value(0), file.values()[0].clone(), file.lane_values(0)[0].clone()] {
        assert_eq!((reading.value, reading.verdict), (None, Verdict::Absent));
        assert_eq!((reading.tally.absent, reading.tally.values), (1, 0));
    }
    assert_eq!(file.value(7).tally.absent, 1, "no such field");
}
