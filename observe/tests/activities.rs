//! Activities: what is in progress in each lane.

mod support;

use std::path::Path;

use mmstats_core::{Activity, FieldSpec};
use mmstats_observe::{ActivityValue, Observer, OwnedValue, Reading, Sources, Verdict};
use support::{id, observe, only, simple, value};

const FIELDS: [FieldSpec<'_>; 1] = [FieldSpec::activity("doing", 3, 16)];

/// Number of activities without a row. Machines of 32 bits cannot read it of a live image: then it equals all.
#[derive(Debug, Clone, Copy)]
struct Refused(Option<u64>);

impl PartialEq for Refused {
    fn eq(&self, other: &Self) -> bool {
        let unknown = self.0.is_none() || other.0.is_none();
        self.0 == other.0 || (unknown && cfg!(target_pointer_width = "32"))
    }
}

/// Texts with their times, numbers of contended and of damaged rows, and of activities without a row.
type Shown<'a> = (Vec<(&'a str, Option<u64>)>, [u64; 2], Refused);

fn shown(value: Option<&OwnedValue>) -> Shown<'_> {
    let Some(OwnedValue::Activity(value)) = value else { panic!("{value:?}") };
    let rows = value.rows.iter().map(|row| (&*row.text, row.since)).collect();
    (rows, [value.contended.into(), value.damaged.into()], Refused(value.refused))
}

fn lanes(reading: &Reading) -> Vec<Shown<'_>> {
    let Some(OwnedValue::Each(lanes)) = &reading.value else { panic!("{reading:?}") };
    lanes.iter().map(|lane| shown(lane.value.as_ref())).collect()
}

#[test]
fn rows_are_listed_by_lane_in_the_order_of_their_begins() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "a.mmst", &FIELDS);
    let lane = published.lane();
    let one = Activity::<16, _>::attach(&lane, id(0)).unwrap();
    let other = Activity::<16, _>::attach(&published.lane(), id(0)).unwrap();
    let first = one.begin(100, "first");
    let second = one.begin(0, "second");
    drop(first);
    let third = one.begin_fmt(300, format_args!("third"));
    let _more: Vec<_> = (0..3).map(|n| one.begin(n, "more")).collect();
    let _own = other.begin(7, "of another lane");
    let observer = observe(directory.path());
    let reading = value(only(&observer), "doing");
    assert_eq!(reading.verdict, Verdict::Consistent);
    let rows = vec![("second", None), ("third", Some(300)), ("more", None)];
    let own = vec![("of another lane", Some(7))];
    assert_eq!(
        lanes(&reading),
        [(rows.clone(), [0, 0], Refused(Some(2))), (own, [0, 0], Refused(Some(0)))]
    );
    drop((second, third));
    // The same field in one lane.
    let one = &only(&observer).lane_values(0)[0];
    assert_eq!(shown(one.value.as_ref()), (vec![("more", None)], [0, 0], Refused(Some(2))));
    published.writer.hand_back(0);
    let one = &only(&observer).lane_values(0)[0];
    assert_eq!(
        shown(one.value.as_ref()),
        (vec![], [0, 0], Refused(Some(2))),
        "an ended thread does nothing"
    );
}

#[test]
fn rows_of_a_dead_program_stay() {
    let directory = tempfile::tempdir().unwrap();
    let mut published = simple(directory.path(), "a.mmst", &FIELDS);
    let activity = Activity::<16, _>::attach(&published.lane(), id(0)).unwrap();
    std::mem::forget(activity.begin(5, "killed here"));
    drop(activity);
    drop(published.file);
    let observer = observe(directory.path());
    let reading = value(only(&observer), "doing");
    assert_eq!(lanes(&reading), [(vec![("killed here", Some(5))], [0, 0], Refused(Some(0)))]);
}

#[test]
fn damaged_row_damages_the_reading_and_no_other_row() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures/valid");
    let path = fixtures.join("kind-activity-damaged.mmst");
    let mut observer = Observer::new(Sources::new().path(path));
    observer.refresh();
    let file = only(&observer);
    let reading = value(file, "doing");
    let Verdict::Damaged(damage) = reading.verdict else { panic!("{reading:?}") };
    assert_eq!(damage.code, "value-length");
    let at = Some(1_700_000_000_000_000_000);
    assert_eq!(lanes(&reading), [(vec![("good", at)], [0, 2], Refused(Some(0)))]);
    // Counted once.
    assert_eq!((reading.tally.values, reading.tally.damaged), (0, 1));
    let Some(OwnedValue::Each(each)) = &reading.value else { panic!("{reading:?}") };
    assert_eq!(each[0].verdict, reading.verdict);
    let lane = &file.lane_values(0)[1];
    assert_eq!((lane.verdict, lane.tally), (reading.verdict, reading.tally));
    assert_eq!(shown(lane.value.as_ref()), (vec![("good", at)], [0, 2], Refused(Some(0))));
    let in_progress = ActivityValue { damaged: 2, contended: 1, ..ActivityValue::default() };
    assert_eq!(in_progress.in_progress(), 3);
}
