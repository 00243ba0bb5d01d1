//! Room of retired fields that other fields get: no value is seen under another label.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use mmstats_core::{
    Counter, DataType, Events, FieldSpec, Gauge, Group, MemberSpec, Record, ScalarType as _,
    Tenants, Text, Writer,
};
use mmstats_observe::{File, Observer, OwnedValue, Sources, Verdict};
use support::{Memory, Published, Setup, id, observe, only, publish, unsigned};

const HEAP: u32 = 64;

fn one<'a>(spec: &'a FieldSpec<'a>) -> Tenants<'a> {
    Tenants { specs: std::slice::from_ref(spec), is_group: false }
}

fn published(directory: &std::path::Path, specs: &[FieldSpec<'_>]) -> Published {
    let add = |writer: &mut Writer<Memory>| {
        for spec in specs {
            writer.add_room(one(spec), HEAP).unwrap();
        }
    };
    publish(directory, "a.mmst", Setup { room: 16, ..Setup::default() }, add, &[])
}

/// The text that one lane has.
fn text_of(value: Option<OwnedValue>) -> Option<String> {
    let Some(OwnedValue::Each(each)) = value else { return None };
    match each.first()?.value.clone()? {
        OwnedValue::Text { text, .. } => Some(text),
        _ => None,
    }
}

fn labels(file: &File) -> Vec<String> {
    file.fields().map(|field| field.label().to_owned()).collect()
}

#[test]
fn reused_room_is_decoded_anew() {
    reuse_room(usize::MAX);
}

/// The file is mapped whenever its values are read, with the description of the last look.
#[test]
fn reused_room_of_file_without_mapping_is_decoded_anew() {
    reuse_room(0);
}

fn reuse_room(mapped: usize) {
    let directory = tempfile::tempdir().unwrap();
    let specs = [
        FieldSpec::text("first", 16),
        FieldSpec::counter("other"),
        FieldSpec::events("log", 4, 16),
    ];
    let mut published = published(directory.path(), &specs);
    let lane = published.lane();
    let old = Text::<16, _>::attach(&lane, id(0)).unwrap();
    old.set("old");
    Counter::attach(&lane, id(1)).unwrap().add(7);
    Events::<16, _>::attach(&lane, id(2)).unwrap().record(1, "old line");
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    observer.keep_mapped(mapped);
    observer.refresh();
    assert_eq!(labels(only(&observer)), ["first", "other", "log"]);
    assert_eq!(text_of(only(&observer).value(0).value).as_deref(), Some("old"));

    old.clear();
    drop(old);
    for (index, label) in [(0, "second"), (2, "events")] {
        published.writer.retire(id(index)).unwrap();
        let spec = FieldSpec { label, ..specs[index as usize] };
        published.writer.reuse(id(index), one(&spec), HEAP).unwrap();
    }
    lane.follow_reuse();
    Text::<16, _>::attach(&lane, id(0)).unwrap().set("new");
    Events::<16, _>::attach(&lane, id(2)).unwrap().record(2, "new line");
    // With the description of the last look.
    let file = only(&observer);
    assert_eq!(labels(file), ["first", "other", "log"]);
    let gone = file.value(0);
    assert_eq!((gone.value, gone.verdict), (None, Verdict::Retired));
    assert_eq!(file.value(1).value, unsigned(7));
    assert_eq!(file.events(2, 0, 0), None);
    assert_eq!(file.values()[0].value, None);

    observer.refresh();
    let file = only(&observer);
    assert_eq!(labels(file), ["second", "other", "events"]);
    assert_eq!(text_of(file.value(0).value).as_deref(), Some("new"));
    assert_eq!(file.value(1).value, unsigned(7));
    let lines = file.events(2, 0, 0).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].line.as_ref().unwrap().text, "new line");
}

#[test]
fn file_without_mapping_says_why_it_cannot_be_read() {
    let specs = [FieldSpec::counter("hits")];
    type Harm = fn(&std::path::Path);
    let cut: Harm = |path| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    };
    let remove: Harm = |path| std::fs::remove_file(path).unwrap();
    let replace: Harm = |path| {
        let copy = path.with_extension("copy");
        std::fs::copy(path, &copy).unwrap();
        std::fs::rename(&copy, path).unwrap();
    };
    for (harm, code, message) in [
        (cut, "truncated", "became smaller"),
        (remove, "not-found", "cannot open"),
        (replace, "not-found", "was replaced"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut published = published(directory.path(), &specs);
        Counter::attach(&published.lane(), id(0)).unwrap().add(7);
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.keep_mapped(0);
        observer.refresh();
        assert_eq!(only(&observer).value(0).value, unsigned(7));
        let path = only(&observer).path().to_owned();
        harm(&path);
        assert_eq!(only(&observer).value(0).value, None);
        let problem = only(&observer).problem().unwrap();
        assert_eq!(problem.code, code, "{problem}");
        assert!(problem.message.contains(message), "{problem}");
    }
}

/// A writer that died while it used room again.
#[test]
fn unfinished_reuse_leaves_other_fields() {
    let directory = tempfile::tempdir().unwrap();
    let specs = [FieldSpec::counter("first"), FieldSpec::counter("other")];
    let mut published = published(directory.path(), &specs);
    let lane = published.lane();
    Counter::attach(&lane, id(1)).unwrap().add(7);
    published.writer.retire(id(0)).unwrap();
    let observer = observe(directory.path());
    // The number of reuses is odd, and half of the label is another one.
    published.poke(156, &1_u32.to_le_bytes());
    let bytes = std::fs::read(&published.path).unwrap();
    let label = bytes.windows(5).position(|part| part == b"first").unwrap();
    published.poke(label as u64, b"xy");
    for observer in [observer, observe(directory.path())] {
        let file = only(&observer);
        assert_eq!((file.value(0).value, file.value(1).value), (None, unsigned(7)));
    }
}

struct Pair {
    first: u64,
    second: u64,
}

impl Record for Pair {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "first", spec: FieldSpec::gauge("", DataType::U64) },
        MemberSpec { label: "second", spec: FieldSpec::gauge("", DataType::U64) },
    ];

    type Words<'a> = [u64; 2];

    fn words(&self) -> [u64; 2] {
        [self.first.to_bits(), self.second.to_bits()]
    }
}

/// Each field says in its label which value it has.
#[test]
fn observer_beside_reuses_sees_values_of_the_label() {
    let directory = tempfile::tempdir().unwrap();
    fn gauge(label: &str) -> FieldSpec<'_> {
        FieldSpec::gauge(label, DataType::U64)
    }
    let mut published = published(
        directory.path(),
        &[gauge("0"), FieldSpec::text("0", 16), FieldSpec::counter("other")],
    );
    let members = [gauge("0"), gauge("0")];
    let first =
        published.writer.add_room(Tenants { specs: &members, is_group: true }, HEAP).unwrap();
    let lane = published.lane();
    Counter::attach(&lane, id(2)).unwrap().add(7);
    let (stop, path) = (AtomicBool::new(false), directory.path());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut observer, mut seen) = (observe(path), 0);
            while !stop.load(Ordering::Relaxed) {
                let Some(file) = observer.files().first() else { continue };
                // Twice with the descriptions of one look.
                for _ in 0..2 {
                    let values = file.values();
                    for (field, reading) in file.fields().zip(values) {
                        if field.label() == "other" {
                            assert_eq!(reading.value, unsigned(7), "{reading:?}");
                            continue;
                        }
                        let value = match reading.value {
                            Some(OwnedValue::Unsigned(n)) => Some(n.to_string()),
                            other => text_of(other),
                        };
                        let Some(value) = value else { continue };
                        assert_eq!(value, field.label());
                        seen += 1;
                    }
                }
                observer.refresh();
            }
            seen
        });
        for n in 1..=5_000_u64 {
            let label = n.to_string();
            for index in [0, 1, first.index(), first.index() + 1] {
                published.writer.retire(id(index)).unwrap();
            }
            let writer = &mut published.writer;
            writer.reuse(id(0), one(&gauge(&label)), HEAP).unwrap();
            writer.reuse(id(1), one(&FieldSpec::text(&label, 16)), HEAP).unwrap();
            let members = [gauge(&label), gauge(&label)];
            writer.reuse(first, Tenants { specs: &members, is_group: true }, HEAP).unwrap();
            lane.follow_reuse();
            let gauge = Gauge::<u64, _>::attach(&lane, id(0)).unwrap();
            let text = Text::<16, _>::attach(&lane, id(1)).unwrap();
            let group = Group::<Pair, _>::attach(&lane, first).unwrap();
            gauge.set(n);
            text.set(&label);
            group.set(&Pair { first: n, second: n });
            if n % 16 == 0 {
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            gauge.clear();
            text.clear();
            published.writer.clear_values(0, first, 2);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0, "nothing was seen");
    });
}
