//! A reader never sees a value that was not published.
//!
//! One process publishes at full speed, two threads of another read without a pause.

use std::time::{Duration, Instant};

use mmstats_observe::{RawVerdict, Scratch};
use mmstats_tests::look::{look, states};
use mmstats_tests::payload::Numbers;

use mmstats_tests::actor::{Actor, directory};

#[derive(Debug, Default)]
struct Tally {
    values: u64,
    new: u64,
    contended: u64,
}

/// Reads the fields of one kind for 0.9 s, then until 1,000 new values or 4 s; every value must be
/// whole and none older than the one before.
fn watch(directory: &std::path::Path, kind: &str) -> Tally {
    let observer = look(directory);
    let [file] = observer.files() else { panic!("{:?}", states(&observer)) };
    let (mut scratch, mut tally, mut last) = (Scratch::new(), Tally::default(), 0);
    let start = Instant::now();
    let enough = |tally: &Tally| tally.new >= 1000 || start.elapsed() > Duration::from_secs(4);
    while start.elapsed() < Duration::from_millis(900) || !enough(&tally) {
        let (mut numbers, mut contended, mut consistent) = (Numbers::default(), false, 0);
        let whole = file.visit_lane(0, &mut scratch, |field, verdict| {
            if !field.label().starts_with(kind) {
                return;
            }
            match verdict {
                RawVerdict::Consistent(value) => {
                    numbers.take(&field, value).unwrap();
                    consistent += 1;
                }
                RawVerdict::Contended => contended = true,
                RawVerdict::Absent => {}
                other => panic!("{}: {other:?}", field.label()),
            }
        });
        assert!(whole, "{:?}", file.problem());
        assert!(!contended || consistent == 0, "{kind}: verdicts of a group from different reads");
        tally.contended += u64::from(contended);
        let number = match kind {
            "text" => numbers.text,
            "group" => numbers.group,
            _ => numbers.array,
        };
        if let Some(number) = number {
            assert!(number >= last, "{kind}: {number} after {last}");
            tally.values += 1;
            tally.new += u64::from(number > last);
            last = number;
        }
    }
    tally
}

/// One kind at a time: all at once would mostly wait for a processor.
#[test]
fn reads_at_full_speed_are_never_torn() {
    for kind in ["text", "group", "array"] {
        let directory = directory();
        let (_actor, _out) = Actor::start_raw("payload", directory.path(), &[kind]);
        let tallies = std::thread::scope(|scope| {
            let watch = || watch(directory.path(), kind);
            let watchers = [scope.spawn(watch), scope.spawn(watch)];
            watchers.map(|watcher| watcher.join().unwrap())
        });
        for tally in tallies {
            println!("{kind}: {tally:?}");
            assert!(tally.new > 20, "too few new values: {tally:?}");
            // At most 5 % of reads may be contended.
            assert!(tally.contended * 20 <= tally.values, "{kind}: {tally:?}");
        }
    }
}
