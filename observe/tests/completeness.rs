//! A reading of a program knows what it does not cover.

mod support;

use std::path::Path;
use std::thread;
use std::time::Duration;

use mmstats_core::layout::header as h;
use mmstats_core::{Counter, FieldSpec};
use mmstats_observe::{Completeness, Observer, Program, Sources, Totals};
use support::{Published, Setup, observe, publish, unsigned};

/// Part `part` of instance 7, with a counter of the value 1.
fn part(directory: &Path, part: u32) -> Published {
    let setup = Setup { instance: 7, part, ..Setup::default() };
    let fields = [FieldSpec::counter("hits")];
    let mut published = publish(directory, &format!("web.{part}.mmst"), setup, |_| {}, &fields);
    let lane = published.lane();
    Counter::attach(&lane, support::id(0)).unwrap().add(1);
    published
}

fn completeness(observer: &Observer) -> Completeness {
    let programs = observer.programs();
    let [program] = &programs[..] else { panic!("{} programs", programs.len()) };
    program.completeness()
}

#[test]
fn completeness_of_program_without_a_part_names_it() {
    for missing in 0..3_u32 {
        let directory = tempfile::tempdir().unwrap();
        let mut parts: Vec<_> = (0..3).map(|at| part(directory.path(), at)).collect();
        parts[0].writer.set_parts(3);
        let mut observer = observe(directory.path());
        assert!(completeness(&observer).is_complete());
        support::remove(&parts[missing as usize].path);
        observer.refresh();
        let completeness = completeness(&observer);
        assert!(!completeness.is_complete());
        assert_eq!(completeness.missing_parts, vec![missing..missing + 1; 1]);
        assert_eq!(completeness.to_string(), format!("part {missing} of 3 missing"));
    }
}

#[test]
fn completeness_of_truncated_part_counts_as_missing() {
    let directory = tempfile::tempdir().unwrap();
    let mut parts: Vec<_> = (0..2).map(|at| part(directory.path(), at)).collect();
    parts[0].writer.set_parts(2);
    if !support::cut(&parts[1].path, 100) {
        return;
    }
    let observer = observe(directory.path());
    let programs = observer.programs();
    let program = programs.iter().find(|program| program.instance().is_some()).unwrap();
    assert_eq!(program.completeness().to_string(), "part 1 of 2 missing");
}

#[test]
fn completeness_has_refused_lanes_fields_and_samples() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = part(directory.path(), 0);
    published.writer.set_lanes_refused(3);
    let mut observer = observe(directory.path());
    assert_eq!(completeness(&observer).lanes_refused, 3);
    assert_eq!(completeness(&observer).to_string(), "the values of 3 lanes are in no file");
    published.writer.set_lanes_refused(0);
    observer.refresh();
    assert!(completeness(&observer).is_complete());
    published.poke(h::FIELDS_REFUSED.into(), &2_u32.to_le_bytes());
    observer.refresh();
    assert_eq!(completeness(&observer).to_string(), "2 fields did not fit into the files");
}

/// Samples that were refused would not have been right: the program is complete without them.
#[cfg(target_pointer_width = "64")] // words of 64 bits are not read while an image is live elsewhere
#[test]
fn completeness_adds_refused_samples_of_lanes_and_parts() {
    let directory = tempfile::tempdir().unwrap();
    let parts: Vec<_> = (0..2).map(|at| part(directory.path(), at)).collect();
    parts.iter().zip([3_u64, 4]).for_each(|(part, count)| {
        let header = mmstats_core::read::Header::read(part.writer.region()).unwrap();
        let place = header.lanes_offset() + mmstats_core::layout::lane::SAMPLES_REFUSED;
        part.poke(place.into(), &count.to_le_bytes());
    });
    let completeness = completeness(&observe(directory.path()));
    assert_eq!(completeness.samples_refused, 7);
    assert!(completeness.is_complete() && completeness.to_string().is_empty(), "{completeness}");
}

/// A part that gets its name a moment later is no missing part.
#[test]
fn refresh_waits_for_part_that_is_being_opened() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = part(directory.path(), 0);
    let mut observer = observe(directory.path());
    first.writer.set_parts(2);
    let place = directory.path().to_owned();
    let opens = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        part(&place, 1)
    });
    let changes = observer.refresh();
    let second = opens.join().unwrap();
    assert_eq!(changes.added, 1);
    assert!(completeness(&observer).is_complete(), "{}", completeness(&observer));
    drop(second);
}

/// A program that stays incomplete delays the first refresh only.
#[test]
fn refresh_waits_once_for_missing_part() {
    let directory = tempfile::tempdir().unwrap();
    let _second = part(directory.path(), 1);
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    let since = std::time::Instant::now();
    observer.refresh();
    assert!(since.elapsed() >= Duration::from_millis(38), "it was looked at again");
    let since = std::time::Instant::now();
    (0..10).for_each(|_| drop(observer.refresh()));
    assert!(since.elapsed() < Duration::from_millis(380), "{:?}", since.elapsed());
    assert!(!completeness(&observer).is_complete());
}

/// A forged file of another user neither hides a program nor becomes part of it.
#[cfg(unix)] // Windows cannot give a file away
#[test]
fn program_with_instance_of_another_user_is_another_program() {
    let directory = tempfile::tempdir().unwrap();
    let real = part(directory.path(), 0);
    // Earlier by name; also as a part that the program does not have.
    for (name, part) in [("a.mmst", 0), ("b.mmst", 1)] {
        let setup = Setup { instance: 7, part, ..Setup::default() };
        let forged = publish(directory.path(), name, setup, |_| {}, &[FieldSpec::counter("hits")]);
        if std::os::unix::fs::chown(&forged.path, Some(12_345), None).is_err() {
            assert!(std::env::var_os("CI").is_none(), "cannot be run here: needs the super-user");
            return eprintln!("skipped: only root can make a file of another user");
        }
        // The forger keeps it locked.
        std::mem::forget(forged);
    }
    let observer = observe(directory.path());
    assert_eq!(observer.problems().count(), 0, "{:?}", observer.problems().next());
    let programs = observer.programs();
    let owners: Vec<_> =
        programs.iter().map(|program| (program.owner(), program.files().len())).collect();
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&real.path).unwrap());
    assert_eq!(owners, [(Some(12_345), 2), (Some(own), 1)]);
    assert!(programs.iter().all(|program| program.completeness().is_complete()));
    assert_eq!(programs[1].totals()[0].reading.value, unsigned(1));
}

/// Values of files beyond the limit of mappings are read from another opening.
#[test]
fn values_of_files_without_mapping_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let fields = [FieldSpec::counter("hits")];
    let mut all: Vec<_> = (0..5)
        .map(|at| support::simple(directory.path(), &format!("{at}.mmst"), &fields))
        .collect();
    let mut counters = Vec::new();
    for published in &mut all {
        let lane = published.lane();
        counters.push((Counter::attach(&lane, support::id(0)).unwrap(), lane));
    }
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    observer.keep_mapped(2);
    let mut totals = Totals::new();
    for round in 1..4 {
        counters.iter_mut().for_each(|(counter, _)| counter.add(1));
        assert_eq!(observer.refresh().added, if round == 1 { 5 } else { 0 });
        for file in observer.files() {
            assert_eq!(file.value(0).value, unsigned(round), "{}", file.path().display());
            assert_eq!(file.values()[0].value, unsigned(round));
            assert_eq!(file.lane_values(0)[0].value, unsigned(round));
            assert!(file.is_whole() && file.lane(0).is_some());
            assert_eq!(file.field(0).unwrap().label(), "hits");
        }
        totals.update(observer.files(), None);
        assert_eq!(totals.fields()[0].reading.value, unsigned(5 * round));
    }
    // Another file with the name of one without mapping.
    support::remove(&all[4].path);
    let _other = support::simple(directory.path(), "4.mmst", &fields);
    let gone = &observer.files()[4];
    assert_eq!(gone.value(0).value, None);
    assert!(!gone.is_whole());
    let changes = observer.refresh();
    assert_eq!((changes.added, changes.vanished.len()), (1, 1));
    assert_eq!(Program::group(observer.files()).len(), 5);
}
