//! Fields that come and go: the room of retired ones goes to new ones.

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use mmstats::{
    Counter, Error, FieldOptions, Gauge, Histogram, Key, Lane, Options, Publisher, Rate, Text,
    Timer,
};
use mmstats_observe::{File, Observer, OwnedValue, Sources};
use support::look;

fn start(directory: &Path) -> Publisher<Lane> {
    Options::new().directory(directory).without_system_fields().start().unwrap()
}

/// Label and value of all live fields with a value in lane order.
fn seen(file: &File) -> Vec<(String, String)> {
    let shown = |value: OwnedValue| match value {
        OwnedValue::Unsigned(n) => Some(n.to_string()),
        OwnedValue::Each(each) => match each.first()?.value.clone()? {
            OwnedValue::Text { text, .. } => Some(text),
            _ => None,
        },
        _ => None,
    };
    let values = file.values().into_iter().map(|reading| reading.value.and_then(shown));
    let labels = file.fields().map(|field| field.label().to_owned());
    labels.zip(values).filter_map(|(label, value)| Some((label, value?))).collect()
}

fn all(directory: &Path) -> Vec<(String, String)> {
    let mut all: Vec<_> = look(directory).files().iter().flat_map(seen).collect();
    all.sort();
    all
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn text(publisher: &Publisher<Lane>, label: &str, value: &str) -> Key<Text<64>> {
    let key = publisher.add::<Text<64>>(label, FieldOptions::new()).unwrap();
    publisher.with(|lane| lane.attach(key).map(|text| text.set(value))).unwrap();
    key
}

#[test]
fn fields_one_at_a_time_stay_in_two_files() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path());
    let (mut last, mut lasting) = (None, 0);
    for n in 0..20_000 {
        if let Some(key) = last.take() {
            publisher.retire(key).unwrap();
        }
        last = Some(text(&publisher, &format!("conn.{n}"), &n.to_string()));
        if n % 1000 == 0 {
            let key =
                publisher.add::<Counter>(format!("lasting.{n}"), FieldOptions::new()).unwrap();
            publisher.with(|lane| lane.attach(key).map(|counter| counter.add(n))).unwrap();
            lasting += 1;
        }
    }
    assert!(publisher.paths().len() <= 2, "{:?}", publisher.paths());
    let mut all = all(directory.path());
    assert_eq!(all.remove(0), ("conn.19999".to_owned(), "19999".to_owned()));
    assert_eq!(all.len(), lasting);
    for (label, value) in all {
        assert_eq!(label, format!("lasting.{value}"));
    }
}

#[test]
fn every_kind_gives_its_room_to_its_kind() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path());
    let lane = publisher.lane().unwrap();
    for n in 0..500_u64 {
        let options = FieldOptions::new;
        let counter = publisher.add::<Counter>(format!("counter{n}"), options()).unwrap();
        let gauge = publisher.add::<Gauge<f64>>(format!("gauge{n}"), FieldOptions::new()).unwrap();
        let timer = publisher.add::<Timer>(format!("timer{n}"), FieldOptions::new()).unwrap();
        let rate = publisher.add::<Rate>(format!("rate{n}"), FieldOptions::new()).unwrap();
        let sizes = publisher.add::<Histogram>(format!("sizes{n}"), FieldOptions::new()).unwrap();
        lane.attach(counter).unwrap().add(n);
        lane.attach(gauge).unwrap().set(1.5);
        lane.attach(timer).unwrap().record_nanos(n);
        lane.attach(rate).unwrap().incr();
        lane.attach(sizes).unwrap().record(n);
        assert_eq!(lane.attach(sizes).unwrap().count(), 1, "values of another field");
        assert_eq!(lane.attach(timer).unwrap().totals().count, 1);
        publisher.retire(counter).unwrap();
        publisher.retire(gauge).unwrap();
        publisher.retire(timer).unwrap();
        publisher.retire(rate).unwrap();
        publisher.retire(sizes).unwrap();
    }
    // The cells of a histogram need a larger file.
    assert!(publisher.paths().len() <= 3, "{:?}", publisher.paths());
    assert_eq!(all(directory.path()), []);
}

#[test]
fn key_of_earlier_field_reaches_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path());
    let lane = publisher.lane().unwrap();
    let old = publisher.add::<Counter>("old", FieldOptions::new()).unwrap();
    lane.attach(old).unwrap().add(5);
    publisher.retire(old).unwrap();
    let new = publisher.add::<Counter>("new", FieldOptions::new()).unwrap();
    assert!(lane.attach(old).is_err(), "the key of the earlier field");
    publisher.retire(old).unwrap();
    lane.attach(new).unwrap().add(3);
    assert_eq!(all(directory.path()), pairs(&[("new", "3")]));
    // Its name is free again.
    assert!(matches!(
        publisher.add::<Counter>("new", FieldOptions::new()),
        Err(Error::Duplicate { .. })
    ));
    publisher.add::<Counter>("old", FieldOptions::new()).unwrap();
}

#[test]
fn room_waits_for_the_last_handle() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path());
    let lane = publisher.lane().unwrap();
    let old = publisher.add::<Gauge<u64>>("old", FieldOptions::new()).unwrap();
    let handle = lane.attach(old).unwrap();
    let clone = handle.clone();
    handle.set(5);
    publisher.retire(old).unwrap();
    // Another handle of the retired field changes nothing.
    drop(lane.attach(old).unwrap());
    drop(handle);
    for (n, label) in (1..).zip(["a", "b", "c"]) {
        let key = publisher.add::<Gauge<u64>>(label, FieldOptions::new()).unwrap();
        lane.attach(key).unwrap().set(n);
        clone.set(99);
    }
    assert_eq!(all(directory.path()), pairs(&[("a", "1"), ("b", "2"), ("c", "3")]));
    drop(clone);
    let key = publisher.add::<Gauge<u64>>("d", FieldOptions::new()).unwrap();
    assert_eq!(lane.attach(key).unwrap().get(), None, "a value of the earlier field");
    assert_eq!(all(directory.path()).len(), 3);
}

/// The value of a thread that does nothing any more keeps the room, until the thread ends.
#[test]
fn room_waits_for_the_owner_of_a_value() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path());
    let old = publisher.add::<Gauge<u64>>("old", FieldOptions::new()).unwrap();
    let (set, is_set) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let add = |label: &str| {
        let key = publisher.add::<Gauge<u64>>(label, FieldOptions::new()).unwrap();
        let one = |pair: &(String, String)| pair.0 == label;
        assert!(!all(directory.path()).iter().any(one), "{label} has a value of an earlier field");
        publisher.with(|lane| lane.attach(key).map(|gauge| gauge.set(1))).unwrap();
    };
    std::thread::scope(|scope| {
        let publisher = &publisher;
        scope.spawn(move || {
            publisher.with(|lane| lane.attach(old).map(|gauge| gauge.set(5))).unwrap();
            set.send(()).unwrap();
            let _ = ended.recv();
        });
        is_set.recv().unwrap();
        publisher.retire(old).unwrap();
        add("a");
        add("b");
        drop(end);
    });
    add("c");
    assert_eq!(all(directory.path()), pairs(&[("a", "1"), ("b", "1"), ("c", "1")]));
}

/// Threads that add, use and retire fields, and an observer that sees no value under the label of
/// another field.
#[test]
fn observer_beside_many_threads_sees_values_of_the_label() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let observer = scope.spawn(|| {
            let mut observer = Observer::new(Sources::new().path(directory.path()));
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                observer.refresh();
                for (label, value) in observer.files().iter().flat_map(seen) {
                    assert_eq!(label, value);
                    count += 1;
                }
            }
            count
        });
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let publisher = &publisher;
                scope.spawn(move || {
                    for n in 0..1_500 {
                        let label = format!("{thread}.{n}");
                        let key = text(publisher, &label, &label);
                        if n % 32 == 0 {
                            std::thread::yield_now();
                        }
                        publisher.retire(key).unwrap();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        assert!(observer.join().unwrap() > 0, "nothing was seen");
    });
    assert!(publisher.paths().len() <= 2, "{:?}", publisher.paths());
}

#[test]
fn rooms_of_hidden_publisher_are_used_again() {
    let hidden: Publisher<Lane> = Options::new().hidden().start().unwrap();
    let old = text(&hidden, "old", "1");
    hidden.retire(old).unwrap();
    // The lane loses its value when its owner attaches another field.
    text(&hidden, "first", "2");
    let new = text(&hidden, "new", "3");
    assert!(hidden.with(|lane| lane.attach(old).is_err()), "the room has a new field");
    assert!(hidden.with(|lane| lane.attach(new).is_ok()));
}
