//! Identity, events, names, owners and problems.
#![cfg(unix)]

mod support;

use std::os::unix::fs::MetadataExt as _;

use mmstats_core::layout::header as h;
use mmstats_core::{Aggregation, Constant, Counter, DataType, Events, FieldSpec, Gauge, Text};
use mmstats_observe::{
    Damage, Event, FileState, Fold, Observer, OwnedValue, Sources, Totals, Verdict, totals,
};
use support::{Setup, id, observe, only, publish, simple, truncate, unsigned};

#[test]
fn identity_has_standard_fields() {
    let directory = tempfile::tempdir().unwrap();
    let info = FieldSpec::info;
    let fields = [
        info("sys.command", Constant::Text("web")),
        info("sys.host", Constant::Text("here")),
        info("sys.boot_id", Constant::Text("b-1")),
        info("sys.pid", Constant::U32(4_000_000_001)),
        info("sys.uid", Constant::U32(11)),
        info("sys.gid", Constant::U32(12)),
        info("sys.start_time", Constant::U64(1 << 40)),
        info("sys.pid_ns", Constant::U64(1 << 41)),
        info("sys.created", Constant::F64(0.5)),
    ];
    let _published = simple(directory.path(), "a.mmst", &fields);
    let observer = observe(directory.path());
    let identity = only(&observer).identity();
    assert_eq!(identity.command.as_deref(), Some("web"));
    assert_eq!(identity.host.as_deref(), Some("here"));
    assert_eq!(identity.boot_id.as_deref(), Some("b-1"));
    assert_eq!((identity.uid, identity.gid), (Some(11), Some(12)));
    assert_eq!(identity.pid, Some(4_000_000_001));
    assert_eq!((identity.start_time, identity.pid_ns), (Some(1 << 40), Some(1 << 41)));
    assert_eq!(identity.created, Some(0.5));
    assert_eq!(observer.programs()[0].identity(), identity);
}

#[test]
fn events_are_in_order_after_seen_number() {
    let directory = tempfile::tempdir().unwrap();
    let fields = [FieldSpec::events("log", 7, 16), FieldSpec::counter("hits")];
    let mut published = simple(directory.path(), "a.mmst", &fields);
    let observer = observe(directory.path());
    let file = only(&observer);
    assert_eq!(file.events(0, 0, 0), None, "no such lane yet");
    let lane = published.lane();
    let log = Events::<16, _>::attach(&lane, id(0)).unwrap();
    let all = |seen| file.events(0, 0, seen).unwrap();
    let numbers = |seen| all(seen).iter().map(|event| event.number).collect::<Vec<_>>();
    assert_eq!(numbers(0), []);
    for n in 1..=3 {
        assert!(log.record(1000 + n, &format!("line {n}")));
    }
    log.record(1004, "longer than sixteen bytes");
    let line = |event: &Event| {
        let line = event.line.clone().unwrap();
        (event.number, event.time, line.text, line.cut)
    };
    let found: Vec<_> = all(0).iter().map(line).collect();
    assert_eq!(found[0], (1, 1001, "line 1".to_owned(), false));
    assert_eq!(found[3], (4, 1004, "longer than sixt".to_owned(), true));
    assert_eq!(numbers(2), [3, 4]);
    assert_eq!(numbers(4), []);
    // A number of another ring: all lines are new.
    assert_eq!(numbers(5), [1, 2, 3, 4]);
    // The ring wraps; it holds the newest lines.
    assert!((5..=20).all(|n| log.record(1000 + n, "again")));
    let kept = numbers(0);
    assert_eq!((kept.last(), kept.len()), (Some(&20), 7));
    assert!(kept.is_sorted());
    assert_eq!(numbers(18), [19, 20]);
    assert_eq!(numbers(3), kept, "the lines in between were overwritten");
    assert_eq!((file.events(1, 0, 0), file.events(9, 0, 0)), (None, None), "no events");
    let size = u64::from(published.writer.region().size());
    assert!(truncate(&published.path, size - 1));
    assert_eq!(file.events(0, 0, 0), None, "a byte is missing");
}

/// Same label, other meaning: separate totals.
#[test]
fn totals_of_differing_descriptions_are_separate() {
    let directory = tempfile::tempdir().unwrap();
    let base = FieldSpec::gauge("n", DataType::U64).aggregation(Aggregation::Sum);
    let specs = [
        base,
        base,
        base.unit("bytes"),
        base.attributes(&[("route", "/a")]),
        base.aggregation(Aggregation::Max),
        FieldSpec::counter("n"),
        FieldSpec::text("n", 8),
        FieldSpec::counter("n").unit("bytes"),
        FieldSpec::counter("n").attributes(&[("route", "/a")]),
    ];
    let _files: Vec<_> = (0..)
        .zip(&specs)
        .map(|(i, spec)| {
            let mut file = simple(directory.path(), &format!("{i}.mmst"), &[*spec]);
            let lane = file.lane();
            match i {
                5 | 7 | 8 => Counter::attach(&lane, id(0)).unwrap().add(i),
                6 => assert!(Text::<8, _>::attach(&lane, id(0)).unwrap().set("five")),
                _ => Gauge::<u64, _>::attach(&lane, id(0)).unwrap().set(i),
            }
            file
        })
        .collect();
    let observer = observe(directory.path());
    let found = totals(observer.files());
    let values: Vec<_> = found.iter().map(|total| total.reading.value.clone()).collect();
    assert_eq!(values.len(), 8, "{found:#?}");
    assert_eq!(values[..5], [unsigned(1), unsigned(2), unsigned(3), unsigned(4), unsigned(5)]);
    assert_eq!(values[6..], [unsigned(7), unsigned(8)]);
    // Folds separate by the same rule.
    let mut fold = Fold::new();
    assert!(fold.is_empty());
    assert!(observer.files().iter().all(|file| fold.add(file)));
    assert!(!fold.is_empty());
    let mut all = Totals::new();
    all.update(&[], Some(&fold));
    let folded: Vec<_> = all.fields().iter().map(|total| total.reading.value.clone()).collect();
    assert_eq!(folded, [unsigned(5), unsigned(7), unsigned(8)]);
    assert_eq!(all.get("n").count(), 3);
}

#[test]
fn names_and_codes_are_stable() {
    let damage = Damage { code: "lane-state", offset: 7 };
    assert_eq!(damage.to_string(), "lane-state at byte 7");
    assert_eq!(Verdict::Damaged(damage).to_string(), "damaged: lane-state at byte 7");
    assert_eq!(format!("{:>9}|{:6}|", Verdict::Absent, FileState::Dead), "   absent|dead  |");
    assert_eq!(Verdict::Contended.name(), "contended");
    let values = [
        (OwnedValue::Unsigned(3), Some(3.0)),
        (OwnedValue::Signed(-3), Some(-3.0)),
        (OwnedValue::F32(0.5), Some(0.5)),
        (OwnedValue::F64(-0.5), Some(-0.5)),
        (OwnedValue::Bool(true), Some(1.0)),
        (OwnedValue::Bool(false), Some(0.0)),
        (support::text("3"), None),
    ];
    values.into_iter().for_each(|(value, float)| assert_eq!(value.as_f64(), float, "{value:?}"));
}

#[test]
fn file_has_instance_part_and_refused_fields() {
    let directory = tempfile::tempdir().unwrap();
    let published = simple(directory.path(), "a.mmst", &[FieldSpec::counter("hits")]);
    let mut observer = observe(directory.path());
    let metadata = std::fs::metadata(&published.path).unwrap();
    assert_eq!(only(&observer).owner(), Some(metadata.uid()));
    assert_eq!(only(&observer).size(), metadata.len());
    assert_eq!(only(&observer).fields_refused(), 0);
    published.poke(h::FIELDS_REFUSED.into(), &3_u32.to_le_bytes());
    assert_eq!(only(&observer).fields_refused(), 3);
    assert_eq!(observer.directories(), [directory.path()]);
    // Each change alone counts.
    assert!(observer.refresh().is_empty());
    let second = publish(
        directory.path(),
        "b.mmst",
        Setup { instance: 2, room: 1, ..Setup::default() },
        |_| {},
        &[],
    );
    let changes = observer.refresh();
    assert!(!changes.is_empty() && changes.added == 1);
    let mut writer = second.writer;
    writer.add(&FieldSpec::counter("more")).unwrap();
    let changes = observer.refresh();
    assert_eq!((changes.grown, changes.is_empty()), (1, false));
    writer.close();
    let changes = observer.refresh();
    assert_eq!((changes.changed, changes.is_empty()), (1, false));
    support::remove(&second.path);
    let changes = observer.refresh();
    assert_eq!((changes.vanished.len(), changes.is_empty()), (1, false));
}

/// A missing named path is a problem; a file that vanishes from a directory is not.
#[test]
fn problem_named_is_set_for_named_paths() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("bad.mmst"), "hello world").unwrap();
    let published = simple(directory.path(), "cut.mmst", &[FieldSpec::counter("hits")]);
    for named in [false, true] {
        let sources = if named {
            Sources::new().path(path("bad.mmst")).path(path("cut.mmst")).path(path("none"))
        } else {
            Sources::new().path(directory.path())
        };
        let mut observer = Observer::new(sources);
        observer.refresh();
        let mut found: Vec<_> = observer.problems().map(|p| (p.code, p.named)).collect();
        found.sort_unstable();
        let mut wanted = vec![("bad-magic", named)];
        wanted.extend(named.then_some(("not-found", true)));
        assert_eq!(found, wanted);
    }
    let mut unnamed = observe(directory.path());
    let mut named = observe(&published.path);
    assert!(truncate(&published.path, 100));
    for (observer, is) in [(&mut unnamed, false), (&mut named, true)] {
        let file = observer.files().iter().find(|file| file.path() == published.path).unwrap();
        assert!(!file.is_whole());
        assert_eq!(file.problem().map(|p| (p.code, p.named)), Some(("truncated", is)));
        observer.refresh();
        let file = observer.files().iter().find(|file| file.path() == published.path).unwrap();
        assert_eq!(file.problem().map(|problem| problem.named), Some(is));
    }
}
