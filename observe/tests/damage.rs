//! Damaged, truncated, removed and replaced files, and paths that are no files.

mod support;

use std::fs;
// Pipes, sockets and links exist on unix only.
#[cfg(unix)]
use std::os::unix::{fs::symlink, net::UnixListener};
#[cfg(unix)]
use std::process::Command;

use mmstats_core::layout::{descriptor as d, header as h};
use mmstats_core::{Counter, DataType, FieldSpec, Flag};
use mmstats_observe::{FileState, Observer, OwnedValue, Problem, Sources, Totals, Verdict, totals};
use support::{
    Published, cut, id, observe, only, poke, remove, replace, simple, unsigned, value, walk,
};

const FIELDS: [FieldSpec<'_>; 3] = [
    FieldSpec::counter("hits"),
    FieldSpec::gauge("on", DataType::Bool),
    FieldSpec::text("text", 64),
];

fn counting(directory: &std::path::Path, name: &str, hits: u64) -> Published {
    let mut published = simple(directory, name, &FIELDS);
    Counter::attach(&published.lane(), id(0)).unwrap().add(hits);
    published
}

/// Whether a file is still whole: Windows refuses to truncate a mapped file.
fn refused(file: &mmstats_observe::File) -> bool {
    assert!(file.values().iter().all(|reading| !matches!(reading.verdict, Verdict::Damaged(_))));
    assert_eq!((file.state(), file.problem().is_none()), (FileState::Live, true));
    true
}

fn codes(observer: &Observer) -> Vec<&'static str> {
    observer.problems().map(|problem| problem.code).collect()
}

#[test]
fn truncated_file_is_reported_and_others_are_read() {
    for size in [0, 100, 4096] {
        let directory = tempfile::tempdir().unwrap();
        // Several pages, so that the lanes lie in pages that are cut off.
        let labels: Vec<_> = (0..500).map(|i| format!("field {i}")).collect();
        let fields: Vec<_> = labels.iter().map(|label| FieldSpec::counter(label)).collect();
        let mut short = simple(directory.path(), "b.mmst", &fields);
        Counter::attach(&short.lane(), id(0)).unwrap().add(5);
        let _first = counting(directory.path(), "a.mmst", 1);
        let _last = counting(directory.path(), "c.mmst", 2);
        let mut observer = observe(directory.path());
        let mut all = Totals::new();
        all.update(observer.files(), None);
        assert_eq!(all.fields().len(), 3 + 500);

        let file = &observer.files()[1];
        if !cut(&short.path, size) && refused(file) {
            continue;
        }
        // No refresh yet: the fault happens while values are read.
        assert_eq!(file.state(), FileState::Live);
        let readings = file.values();
        assert!(readings.iter().all(|reading| {
            matches!(reading.verdict, Verdict::Damaged(damage) if damage.code == "truncated")
                && reading.value.is_none()
        }));
        assert_eq!(file.state(), FileState::Damaged);
        assert_eq!(file.problem().unwrap().code, "truncated");
        assert!(!file.scan(0, |_, _| {}));
        assert!(matches!(file.value(0).verdict, Verdict::Damaged(_)));
        assert_eq!(codes(&observer), ["truncated"]);
        all.update(observer.files(), None);
        assert_eq!(all.fields().len(), 3);
        assert_eq!(all.get("hits").next().unwrap().reading.value, unsigned(3));

        let changes = observer.refresh();
        assert_eq!(observer.files()[1].state(), FileState::Damaged);
        assert_eq!((changes.added, changes.vanished.len()), (0, 0));
        assert_eq!(codes(&observer), ["truncated"]);
        observer.refresh();
        assert_eq!(codes(&observer), [if size == 4096 { "file-size" } else { "too-short" }]);
        walk(&observer);
        assert_eq!(value(&observer.files()[2], "hits").value, unsigned(2));
    }
}

/// The rest of the page reads as zero, without a fault.
#[test]
fn truncation_inside_page_is_noticed() {
    for handles in [0, 9] {
        let directory = tempfile::tempdir().unwrap();
        let short = counting(directory.path(), "a.mmst", 1);
        let _other = counting(directory.path(), "b.mmst", 2);
        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.keep_handles(handles);
        observer.refresh();
        let file = &observer.files()[0];
        assert!(file.is_whole());
        if !cut(&short.path, file.size() - 8) && refused(file) {
            continue;
        }
        assert_eq!(file.state(), FileState::Live);
        assert!(file.values().iter().all(|r| matches!(r.verdict, Verdict::Damaged(_))));
        assert_eq!((file.state(), file.problem().unwrap().code), (FileState::Damaged, "truncated"));
        observer.refresh();
        assert_eq!(observer.files()[0].state(), FileState::Damaged);
        assert_eq!(totals(observer.files())[0].reading.value, unsigned(2));

        let mut observer = Observer::new(Sources::new().path(directory.path()));
        observer.keep_handles(handles);
        observer.refresh();
        let path = observer.files()[1].path();
        assert!(cut(path, observer.files()[1].size() - 8));
        assert!(totals(observer.files()).is_empty());
    }
}

#[test]
fn truncation_is_noticed_at_refresh() {
    let directory = tempfile::tempdir().unwrap();
    let published = counting(directory.path(), "a.mmst", 1);
    let mut observer = observe(&published.path);
    let size = only(&observer).size();
    if !cut(&published.path, size - 8) && refused(only(&observer)) {
        return;
    }
    assert_eq!(observer.refresh().changed, 1);
    let problem = only(&observer).problem().unwrap();
    assert_eq!((problem.code, problem.offset), ("truncated", Some(size - 8)));
    assert!(problem.named);
    assert_eq!(only(&observer).values(), []);
}

#[test]
fn totals_leave_out_file_truncated_during_update() {
    let directory = tempfile::tempdir().unwrap();
    let labels: Vec<_> = (0..500).map(|i| format!("field {i}")).collect();
    let fields: Vec<_> = labels.iter().map(|label| FieldSpec::counter(label)).collect();
    let mut files: Vec<_> =
        (0..4).map(|i| simple(directory.path(), &format!("{i}.mmst"), &fields)).collect();
    for published in &mut files {
        Counter::attach(&published.lane(), id(499)).unwrap().add(1);
    }
    let observer = observe(directory.path());
    if !cut(&files[1].path, 0) && refused(&observer.files()[1]) {
        return;
    }
    assert!(cut(&files[2].path, 0));
    let all = totals(observer.files());
    assert_eq!(all[499].reading.value, unsigned(2));
    assert_eq!((all[499].files, all[499].reading.tally.values), (2, 2));
}

#[test]
fn vanished_and_replaced_files_stay_readable() {
    let directory = tempfile::tempdir().unwrap();
    let mut writers = Vec::new();
    let mut made = |name, hits| {
        let published = counting(directory.path(), name, hits);
        let path = published.path.clone();
        // Windows removes and renames no file that is open for writing.
        if cfg!(unix) {
            writers.push(published);
        }
        path
    };
    let first = made("a.mmst", 1);
    made("b.mmst", 2);
    let mut observer = observe(directory.path());
    assert_eq!(observer.files().len(), 2);

    remove(&first);
    let changes = observer.refresh();
    assert_eq!((changes.added, changes.vanished.len()), (0, 1));
    assert_eq!(value(&changes.vanished[0], "hits").value, unsigned(1));
    assert_eq!(observer.files().len(), 1);

    // Another file with the name.
    replace(&made("c.mmst", 3), &directory.path().join("b.mmst"));
    let changes = observer.refresh();
    assert_eq!((changes.added, changes.vanished.len()), (1, 1));
    assert_eq!(value(&changes.vanished[0], "hits").value, unsigned(2));
    assert_eq!(value(only(&observer), "hits").value, unsigned(3));

    // Another image in the same file.
    let fourth = made("d.mmst", 4);
    let mut bytes = fs::read(&fourth).unwrap();
    bytes[h::INSTANCE as usize] ^= 1;
    seal_header(&mut bytes);
    fs::remove_file(&fourth).unwrap();
    poke(&directory.path().join("b.mmst"), 0, &bytes);
    let changes = observer.refresh();
    assert_eq!((changes.added, changes.vanished.len()), (1, 1));
    assert_eq!(value(only(&observer), "hits").value, unsigned(4));
    assert!(observer.refresh().is_empty());

    // A named file that was removed.
    let mut named = observe(&directory.path().join("b.mmst"));
    assert_eq!(named.problems().count(), 0);
    remove(&directory.path().join("b.mmst"));
    assert_eq!(named.refresh().vanished.len(), 1);
    let problem = named.problems().next().unwrap();
    assert_eq!((problem.code, problem.named), ("not-found", true));
    assert_eq!(observer.refresh().vanished.len(), 1);
    assert_eq!(observer.problems().count(), 0);
}

fn seal_header(bytes: &mut [u8]) {
    let mut sum = mmstats_core::checksum::Fletcher64::new();
    sum.range(&bytes[..120], 0, 120);
    let sum = sum.finish();
    bytes[120..128].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn path_of_no_regular_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let good = counting(directory.path(), "good.mmst", 1);
    assert_eq!(good.path, path("good.mmst"));
    fs::create_dir(path("directory.mmst")).unwrap();
    #[cfg(unix)]
    let _socket = {
        symlink(&good.path, path("link.mmst")).unwrap();
        symlink("nowhere", path("dangling.mmst")).unwrap();
        assert!(Command::new("mkfifo").arg(path("pipe.mmst")).status().unwrap().success());
        UnixListener::bind(path("socket.mmst")).unwrap()
    };
    let refused = |name: &str| (name.to_owned(), "not-regular", false);
    // As above.
    let unix = |name| cfg!(unix).then(|| refused(name));
    fs::write(path("empty.mmst"), "").unwrap();
    fs::write(path("other.txt"), "not looked at").unwrap();
    let observer = observe(directory.path());
    let mut found: Vec<_> = observer
        .problems()
        .map(|p| (p.path.file_name().unwrap().to_str().unwrap().to_owned(), p.code, p.named))
        .collect();
    found.sort();
    let want = [
        unix("dangling.mmst"),
        Some(refused("directory.mmst")),
        Some(("empty.mmst".to_owned(), "too-short", false)),
        unix("link.mmst"),
        unix("pipe.mmst"),
        unix("socket.mmst"),
    ];
    assert_eq!(found, want.into_iter().flatten().collect::<Vec<_>>());
    assert_eq!(observer.files().len(), 2, "the good and the empty one");
    // Named by the user they are refused too, and so is a device.
    #[cfg(unix)]
    {
        for name in ["link.mmst", "pipe.mmst", "socket.mmst"] {
            let observer = observe(&path(name));
            let problem = observer.problems().next().unwrap();
            assert_eq!((problem.code, problem.named), ("not-regular", true), "{problem}");
            assert!(observer.files().is_empty());
        }
        // Once, although its directory was named too.
        let sources = Sources::new().path(directory.path()).path(path("link.mmst"));
        let mut both = Observer::new(sources);
        both.refresh();
        let links: Vec<_> = both.problems().filter(|p| p.path == path("link.mmst")).collect();
        assert!(matches!(links.as_slice(), [Problem { named: true, .. }]), "{links:?}");
    }
    // The null device of each system.
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    let device = observe(std::path::Path::new(null));
    assert_eq!(codes(&device), ["not-regular"]);
    // A named directory with the suffix is searched.
    assert_eq!(codes(&observe(&path("directory.mmst"))), [""; 0]);
    let missing = observe(&path("missing"));
    assert_eq!(codes(&missing), ["not-found"]);
}

#[test]
fn file_with_two_names_is_shown_once() {
    let directory = tempfile::tempdir().unwrap();
    let published = counting(directory.path(), "a.mmst", 7);
    fs::hard_link(&published.path, directory.path().join("b.mmst")).unwrap();
    let sources = Sources::new().path(directory.path()).path(&published.path);
    let mut observer = Observer::new(sources);
    observer.refresh();
    assert!(only(&observer).named(), "found in the directory, then named");
    assert!(observer.refresh().is_empty());
    assert_eq!(totals(observer.files())[0].reading.value, unsigned(7));
}

#[test]
fn broken_header_has_code_and_offset() {
    let directory = tempfile::tempdir().unwrap();
    let broken = |name: &str, change: &dyn Fn(&mut Vec<u8>), seal: bool| {
        // Without a writer: Windows replaces no file that is open for writing.
        let path = counting(directory.path(), name, 1).path.clone();
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        if seal {
            seal_header(&mut bytes);
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let observer = observe(&path);
        let problem: Problem = observer.problems().next().unwrap().clone();
        assert!(problem.named && problem.path == path);
        let state = only(&observer).state();
        walk(&observer);
        (state, problem.code, problem.offset.unwrap())
    };
    use FileState::{Damaged, Foreign};
    let at = u64::from;
    let magic = broken("magic.mmst", &|b| b[0] = b'x', true);
    assert_eq!(magic, (Foreign, "bad-magic", 0));
    let major = broken("major.mmst", &|b| b[8] = 9, true);
    assert_eq!(major, (Foreign, "unsupported-major", at(h::MAJOR)));
    let minor = broken("minor.mmst", &|b| b[12] = 9, true);
    assert_eq!(minor, (Foreign, "unsupported-minor", at(h::MIN_MINOR)));
    let bit = broken("bit.mmst", &|b| b[52] ^= 1, false);
    assert_eq!(bit, (Damaged, "header-checksum", at(h::CHECKSUM)));
    let size = broken("size.mmst", &|b| b.truncate(1000), false);
    assert_eq!(size, (Damaged, "file-size", at(h::FILE_SIZE)));
    let state = broken("state.mmst", &|b| b[128] = 9, false);
    assert_eq!(state, (Damaged, "bad-state", at(h::STATE)));
    let count = broken("count.mmst", &|b| b[132] = 99, false);
    assert_eq!(count, (Damaged, "field-count", at(h::FIELD_COUNT)));
    let text = broken("text.mmst", &|b| b[..5].copy_from_slice(b"hello"), false);
    assert_eq!(text, (Foreign, "bad-magic", 0));
    let one = broken("one.mmst", &|b| b[0] = 1, false);
    assert_eq!((one.0, one.1), (Damaged, "format1-truncated"));
}

#[test]
fn damaged_field_or_value_keeps_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = counting(directory.path(), "a.mmst", 1);
    let lane = published.lane();
    Counter::attach(&lane, id(0)).unwrap().add(10);
    Flag::attach(&lane, id(1)).unwrap().set(true);
    let bytes = fs::read(&published.path).unwrap();
    let word = |at: u32| u32::from_le_bytes(bytes[at as usize..][..4].try_into().unwrap());
    let descriptor = |index: u32| word(h::DESCRIPTOR_OFFSET) + index * d::SIZE;
    let lane_base = |index: u32| word(h::LANES_OFFSET) + index * word(h::LANE_STRIDE);

    // An invalid bool.
    let cell = lane_base(1) + word(descriptor(1) + d::PLACE);
    published.poke(cell.into(), &[2]);
    let observer = observe(directory.path());
    let file = only(&observer);
    let on = value(file, "on");
    let Verdict::Damaged(damage) = on.verdict else { panic!("{on:?}") };
    assert_eq!((damage.code, damage.offset), ("value-range", cell));
    assert_eq!((on.value, on.tally.damaged, on.tally.absent), (None, 1, 1));
    assert_eq!(value(file, "hits").value, unsigned(11));
    assert!(matches!(file.values()[1].verdict, Verdict::Damaged(_)));
    assert!(matches!(file.lane_values(1)[1].verdict, Verdict::Damaged(_)));
    assert_eq!(file.lane_values(0)[1].verdict, Verdict::Absent);

    // A lane in an unknown state: the sum has the other lanes, and the verdict.
    published.poke(lane_base(1).into(), &[9]);
    let hits = value(file, "hits");
    assert_eq!((hits.value, hits.tally.values, hits.tally.damaged), (unsigned(1), 1, 1));
    assert!(matches!(hits.verdict, Verdict::Damaged(damage) if damage.code == "lane-state"));
    let total = &totals(observer.files())[0].reading;
    assert_eq!((&total.value, total.tally.damaged), (&unsigned(1), 1));
    assert!(matches!(total.verdict, Verdict::Damaged(_)));
    published.poke(lane_base(1).into(), &[1]);

    // One bit of a label.
    let label = word(descriptor(0) + d::LABEL);
    published.poke(u64::from(label) + 2, b"H");
    assert_eq!(value(file, "hits").value, unsigned(11), "reads use the checked copy");
    let observer = observe(directory.path());
    let file = only(&observer);
    assert_eq!(file.state(), FileState::Live);
    let damage = file.field(0).unwrap().damage().unwrap();
    assert_eq!((damage.code, damage.offset), ("field-checksum", descriptor(0) + d::CHECKSUM));
    assert_eq!(file.field(0).unwrap().label(), "");
    assert_eq!(file.values()[0].verdict, Verdict::Damaged(damage));
    assert_eq!(file.value(0).verdict, Verdict::Damaged(damage));
    assert_eq!(file.lane_values(0)[0].verdict, Verdict::Damaged(damage));
    assert_eq!((file.field_count(), file.fields().len()), (3, 3));
    assert_eq!(file.field(1).unwrap().label(), "on");
    assert_eq!(file.find("text").unwrap().index(), 2);
    assert_eq!(totals(observer.files()).len(), 2);
    walk(&observer);
}

#[test]
fn thousand_files_with_tenth_damaged_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let labels: Vec<_> = (0..50).map(|i| format!("field {i}")).collect();
    let fields: Vec<_> = labels.iter().map(|label| FieldSpec::counter(label)).collect();
    // The files are closed at once, to stay below the limit of open files.
    for i in 0..1000_u64 {
        let mut published = simple(directory.path(), &format!("{i}.mmst"), &fields);
        Counter::attach(&published.lane(), id(49)).unwrap().add(i);
        let path = published.path.clone();
        drop(published);
        if i % 10 == 3 {
            match i % 4 {
                0 => assert!(cut(&path, i)),
                1 => poke(&path, 60, &[0xFF]),
                2 => fs::write(&path, i.to_string()).unwrap(),
                _ => poke(&path, 128, &[77]),
            }
        }
    }
    let mut observer = observe(directory.path());
    assert_eq!(observer.files().len(), 1000);
    assert_eq!(observer.problems().count(), 100);
    let want: u128 = (0..1000).filter(|i| i % 10 != 3).sum();
    let all = totals(observer.files());
    assert_eq!((all.len(), all[49].files), (50, 900));
    assert_eq!(all[49].reading.value, Some(OwnedValue::Unsigned(want)));
    assert!(all[49].reading.is_consistent());
    assert!(observer.refresh().is_empty());
    assert_eq!(observer.problems().count(), 100);
    let dead = observer.files().iter().filter(|file| file.state() == FileState::Dead).count();
    assert_eq!(dead, 900);
}
