//! Sections of timers in progress, as an observer sees them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use mmstats::{Family, FieldOptions, Lane, Latency, Options, Publisher, Stats, Timer};
use mmstats_observe::{Kind, Observer, OwnedValue, RunningValue, Sources};

#[derive(Stats)]
struct Server {
    /// A timer that shows its sections.
    #[stats(running, level = "diagnostic")]
    requests: Timer,
    plain: Timer,
    #[stats(running)]
    queries: Latency,
    #[stats(labels("shard"), running)]
    shards: Family<Latency, 1>,
}

/// The sections of all lanes, and of all files, of the fields with this label; `None` if there are none.
fn look(directory: &Path, label: &str) -> Option<RunningValue> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let mut sum: Option<RunningValue> = None;
    for file in observer.files() {
        for field in file.fields().filter(|field| field.label() == label) {
            assert_eq!(field.properties().kind(), Some(Kind::Running));
            match file.value(field.index()).value {
                Some(OwnedValue::Running(value)) => sum.get_or_insert_default().merge(&value),
                None => {}
                other => panic!("{other:?}"),
            }
        }
    }
    sum
}

fn number(directory: &Path, label: &str) -> u128 {
    look(directory, label).map_or(0, |value| value.number)
}

/// Whether the time is within a minute before now.
fn is_recent(value: RunningValue) -> bool {
    let since = SystemTime::UNIX_EPOCH + Duration::from_nanos(value.since.unwrap());
    SystemTime::now().duration_since(since).is_ok_and(|age| age < Duration::from_secs(60))
}

#[test]
fn running_sections_are_counted_until_they_end_however_they_do() {
    let place = tempfile::tempdir().unwrap();
    let server: Publisher<Server> = Options::new().directory(place.path()).start().unwrap();
    let stats = server.lane().unwrap();
    assert_eq!(look(place.path(), "requests.running"), None, "none has begun");
    let outer = stats.requests.start();
    let first = look(place.path(), "requests.running").unwrap();
    assert!(first.number == 1 && is_recent(first), "{first:?}");
    // Until the coarse clock has gone on.
    loop {
        let query = stats.queries.start();
        if look(place.path(), "queries.running").unwrap().since > first.since {
            break query.discard();
        }
        query.discard();
        std::thread::sleep(Duration::from_millis(1));
    }
    // Another handle of the field, in the same lane.
    let other = stats.requests.clone();
    let inner = other.start();
    assert_eq!(look(place.path(), "requests.running"), Some(RunningValue { number: 2, ..first }));
    drop(outer);
    let left = look(place.path(), "requests.running").unwrap();
    assert!(left.number == 1 && left.since > first.since, "a lower bound of the age: {left:?}");
    inner.discard();
    assert_eq!(look(place.path(), "requests.running"), Some(RunningValue::default()));
    assert_eq!(stats.requests.totals().count, 1, "one was discarded");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        stats.requests.time(|| std::panic::resume_unwind(Box::new(())));
    }));
    assert!(panicked.is_err());
    assert_eq!(number(place.path(), "requests.running"), 0);
    assert_eq!(stats.requests.totals().count, 2);

    let _plain = stats.plain.start();
    assert_eq!(look(place.path(), "plain.running"), None, "not declared with the option");
    let _query = stats.queries.start();
    assert_eq!(number(place.path(), "queries.running"), 1);
    let shard = stats.shards.get(&["a"]);
    let _shard = shard.start();
    assert_eq!(number(place.path(), "shards.running"), 1);
}

#[test]
fn running_sections_of_threads_add_up_and_go_with_their_threads() {
    let place = tempfile::tempdir().unwrap();
    let server: Publisher<Server> = Options::new().directory(place.path()).start().unwrap();
    let stats = server.lane().unwrap();
    let _here = stats.requests.start();
    let first = look(place.path(), "requests.running").unwrap();
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let stats = server.lane().unwrap();
                let _there = stats.requests.start();
                std::mem::forget(stats.requests.start());
                let both = look(place.path(), "requests.running");
                assert_eq!(both, Some(RunningValue { number: 3, ..first }));
            })
            .join()
            .unwrap();
    });
    assert_eq!(look(place.path(), "requests.running"), Some(first), "also one that never ended");
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let stats = server.lane().unwrap();
                let _new = stats.requests.start();
                assert_eq!(
                    number(place.path(), "requests.running"),
                    2,
                    "in the same lane as before"
                );
            })
            .join()
            .unwrap();
    });
}

#[test]
fn running_sections_of_fields_added_at_run_time() {
    let place = tempfile::tempdir().unwrap();
    let publisher: Publisher<Lane> = Options::new().directory(place.path()).start().unwrap();
    let key = publisher.add::<Timer>("late", FieldOptions::new().running()).unwrap();
    let plain = publisher.add::<Timer>("plain", FieldOptions::new()).unwrap();
    let last = publisher.add::<Latency>("last", FieldOptions::new().running()).unwrap();
    let lane = publisher.lane().unwrap();
    let (late, plain) = (lane.attach(key).unwrap(), lane.attach(plain).unwrap());
    let last = lane.attach(last).unwrap();
    let _late = (late.start(), late.start());
    let _plain = plain.start();
    assert_eq!(number(place.path(), "late.running"), 2);
    assert_eq!(number(place.path(), "last.running"), 0);
    let _last = last.start();
    assert_eq!(number(place.path(), "last.running"), 1);
}

#[test]
fn running_sections_of_a_persistent_program_begin_anew() {
    let place = tempfile::tempdir().unwrap();
    let start = || -> Publisher<Server> {
        Options::new().persistent(place.path().join("server.mmst")).lanes(1).start().unwrap()
    };
    let server = start();
    let stats = server.lane().unwrap();
    stats.requests.record_nanos(5);
    std::mem::forget(stats.requests.start());
    assert_eq!(number(place.path(), "requests.running"), 1);
    drop((stats, server));
    let server = start();
    let stats = server.lane().unwrap();
    assert_eq!(number(place.path(), "requests.running"), 0);
    let _request = stats.requests.start();
    assert_eq!(number(place.path(), "requests.running"), 1);
}
