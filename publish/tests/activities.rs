//! Activities of threads and of the program, as an observer sees them.
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // For shared activities.

use mmstats::{Activity, FieldOptions, Lane, Options, Publisher, SharedActivity, Stats};
use mmstats_observe::{ActivityValue, Observer, OwnedValue, Sources};

#[derive(Stats)]
struct Server {
    /// What a thread does.
    #[stats(rows = 3)]
    doing: Activity<16>,
    /// What is in flight.
    #[stats(rows = 40)]
    flights: SharedActivity,
}

/// The texts of a field in all lanes, sorted, and how many found no row.
fn look(directory: &std::path::Path, label: &str) -> (Vec<String>, u64) {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    // What is added at run time is in a file of its own.
    let (mut all, mut refused) = (ActivityValue::default(), 0);
    for file in observer.files() {
        for field in file.fields().filter(|field| field.label() == label) {
            let reading = file.value(field.index());
            let Some(OwnedValue::Each(lanes)) = reading.value else { panic!("{label}") };
            for lane in lanes {
                let Some(OwnedValue::Activity(value)) = lane.value else { panic!("{lane:?}") };
                all.rows.extend(value.rows);
                refused += value.refused.unwrap_or(0);
            }
        }
    }
    let mut texts: Vec<String> = all.rows.into_iter().map(|row| row.text).collect();
    texts.sort();
    (texts, refused)
}

fn start(directory: &std::path::Path) -> Publisher<Server> {
    Options::new().directory(directory).start().unwrap()
}

#[test]
fn activities_of_threads_vanish_with_them() {
    let place = tempfile::tempdir().unwrap();
    let server = start(place.path());
    let stats = server.lane().unwrap();
    let _main = stats.doing.begin("main");
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let stats = server.lane().unwrap();
                let outer = stats.doing.begin("outer");
                let inner = stats.doing.begin_fmt(format_args!("inner {}", 1));
                assert_eq!(look(place.path(), "doing").0, ["inner 1", "main", "outer"]);
                drop(outer);
                inner.set("inner 2");
                assert_eq!(look(place.path(), "doing").0, ["inner 2", "main"]);
                // Not ended before the thread ends.
                std::mem::forget(stats.doing.begin("forgotten"));
                assert_eq!(look(place.path(), "doing").0, ["forgotten", "inner 2", "main"]);
            })
            .join()
            .unwrap();
    });
    assert_eq!(look(place.path(), "doing").0, ["main"]);
    // The next thread has the lane without what the last one left.
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let stats = server.lane().unwrap();
                let all: Vec<_> = (0..4).map(|n| stats.doing.begin_at(n, "of the next")).collect();
                assert_eq!(
                    look(place.path(), "doing"),
                    (
                        vec![
                            "main".to_owned(),
                            "of the next".to_owned(),
                            "of the next".to_owned(),
                            "of the next".to_owned()
                        ],
                        1
                    )
                );
                drop(all);
            })
            .join()
            .unwrap();
    });
}

#[test]
fn shared_activities_end_on_another_thread() {
    let place = tempfile::tempdir().unwrap();
    let server = start(place.path());
    let flights = server.lane().unwrap().flights.clone();
    let begun: Vec<_> = (0..41).map(|n| flights.begin_fmt(format_args!("flight {n:02}"))).collect();
    let (texts, refused) = look(place.path(), "flights");
    assert_eq!((texts.len(), refused), (40, 1));
    std::thread::scope(|scope| {
        for begun in begun {
            scope.spawn(move || {
                begun.set("landing");
                drop(begun);
            });
        }
    });
    assert_eq!(look(place.path(), "flights"), (vec![], 1));
    let row = flights.begin_row(7, "raw").unwrap();
    assert_eq!(look(place.path(), "flights").0, ["raw"]);
    flights.end_row(row);
    let rows: Vec<_> = std::iter::from_fn(|| flights.try_begin_row(7, "try")).collect();
    assert_eq!((rows.len(), look(place.path(), "flights").1), (40, 1));
    flights.refuse();
    assert_eq!(look(place.path(), "flights").1, 2);
    rows.into_iter().for_each(|row| flights.end_row(row));
}

#[test]
fn activities_are_added_at_run_time() {
    let place = tempfile::tempdir().unwrap();
    let publisher: Publisher<Lane> = Options::new().directory(place.path()).start().unwrap();
    let key = publisher.add::<Activity<8>>("late", FieldOptions::new().rows(1)).unwrap();
    let late = publisher.lane().unwrap().attach(key).unwrap();
    let _row = late.begin("one");
    let shared = publisher.shared_activity::<8>("shared", FieldOptions::new()).unwrap();
    let guard = shared.begin("two");
    assert_eq!(look(place.path(), "late").0, ["one"]);
    assert_eq!(look(place.path(), "shared").0, ["two"]);
    fn is_send<T: Send>(_: &T) {}
    is_send(&guard);
    let too_many = publisher.add::<Activity<8>>("many", FieldOptions::new().rows(65));
    assert!(too_many.is_err());
}
