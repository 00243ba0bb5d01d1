//! Arbitrary sequences of operations of programs, compared with a plain model: the real publisher,
//! and an observer that reads after each step.
//!
//! A crash is simulated by a copy of the files at that moment, without a lock.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::Path;

use mmstats::{
    Counter, Error, FieldOptions, Gauge, Group, Key, Lane, Options, Publisher, Record, Stats, Text,
};
use mmstats_observe::{FileState, Kind, Observer, OwnedValue, Sources, totals};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    /// Adds a field, of kind 0 to 3, with one of a few names.
    Add(u8, u8),
    Retire(usize),
    /// A thread begins, and ends.
    Begin,
    End(usize),
    Publish(usize, usize, i64),
    /// The program dies here; another observer reads the files it left.
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4_u8, 0..6_u8).prop_map(|(kind, name)| Op::Add(kind, name)),
        1 => (0..8_usize).prop_map(Op::Retire),
        3 => Just(Op::Begin),
        2 => (0..4_usize).prop_map(Op::End),
        10 => (0..4_usize, 0..8_usize, any::<i64>())
            .prop_map(|(lane, field, n)| Op::Publish(lane, field, n)),
        1 => Just(Op::Crash),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Any {
    Counter(Key<Counter>),
    Gauge(Key<Gauge<i64>>),
    Text(Key<Text<16>>),
    Pair(Key<Group<Pair>>),
}

/// Two numbers published together: no reader sees halves of two values.
#[derive(Debug, Clone, Copy, Record)]
struct Pair {
    number: i64,
    complement: i64,
}

/// A field, with its state in the model.
struct Described {
    key: Any,
    label: String,
    retired: bool,
    /// Over all threads, those that ended too.
    counted: u128,
}

impl Described {
    /// Labels of the field; those of its members if it is a group.
    fn labels(key: Any, label: &str) -> Vec<String> {
        match key {
            Any::Pair(_) => ["number", "complement"].map(|name| format!("{label}.{name}")).into(),
            _ => vec![label.to_owned()],
        }
    }
}

/// A thread: its lane, and its values by number of the field.
struct Thread {
    lane: Lane,
    gauges: BTreeMap<usize, i64>,
    texts: BTreeMap<usize, String>,
}

struct World {
    publisher: Publisher<Lane>,
    fields: Vec<Described>,
    threads: Vec<Thread>,
}

impl World {
    fn new(directory: &Path) -> Self {
        let options = Options::new().directory(directory).without_system_fields();
        // Few lanes and no room: further files are opened on the way.
        let publisher = options.lanes(2).start().unwrap();
        Self { publisher, fields: Vec::new(), threads: Vec::new() }
    }

    fn act(&mut self, op: &Op) {
        match *op {
            Op::Add(kind, name) => self.add(kind, format!("f{name}")),
            Op::Retire(field) => {
                if let Some(field) = self.fields.get_mut(field) {
                    match field.key {
                        Any::Counter(key) => self.publisher.retire(key).unwrap(),
                        Any::Gauge(key) => self.publisher.retire(key).unwrap(),
                        Any::Text(key) => self.publisher.retire(key).unwrap(),
                        Any::Pair(key) => self.publisher.retire(key).unwrap(),
                    }
                    field.retired = true;
                }
            }
            Op::Begin if self.threads.len() < 4 => {
                let lane = self.publisher.lane().unwrap();
                let (gauges, texts) = Default::default();
                self.threads.push(Thread { lane, gauges, texts });
            }
            // Values of optional fields end with their thread; counters stay.
            Op::End(thread) if thread < self.threads.len() => drop(self.threads.remove(thread)),
            Op::Publish(thread, field, n) => self.publish(thread, field, n),
            _ => {}
        }
    }

    fn add(&mut self, kind: u8, label: String) {
        let added = match kind {
            0 => self.publisher.add(&label, FieldOptions::new()).map(Any::Counter),
            1 => self.publisher.add(&label, FieldOptions::new()).map(Any::Gauge),
            2 => self.publisher.add(&label, FieldOptions::new()).map(Any::Text),
            _ => self.publisher.add(&label, FieldOptions::new()).map(Any::Pair),
        };
        let group = kind == 3;
        let taken = self.fields.iter().any(|field| {
            !field.retired && field.label == label && matches!(field.key, Any::Pair(_)) == group
        });
        match added {
            Ok(key) => {
                assert!(!taken, "{label} is taken");
                self.fields.push(Described { key, label, retired: false, counted: 0 });
            }
            Err(Error::Duplicate { .. }) => assert!(taken, "{label} is free"),
            Err(other) => panic!("{other}"),
        }
    }

    fn publish(&mut self, thread: usize, at: usize, n: i64) {
        let (Some(thread), Some(field)) = (self.threads.get_mut(thread), self.fields.get_mut(at))
        else {
            return;
        };
        // Another field may have the room of a retired one.
        macro_rules! attach {
            ($key:expr) => {
                match thread.lane.attach($key) {
                    Ok(handle) => handle,
                    Err(error) => {
                        assert!(field.retired, "{error}");
                        return;
                    }
                }
            };
        }
        match field.key {
            Any::Counter(key) => {
                let n = u64::try_from(n & 0xFFFF_FFFF).unwrap();
                attach!(key).add(n);
                field.counted += u128::from(n);
            }
            Any::Gauge(key) => {
                attach!(key).set(n);
                thread.gauges.insert(at, n);
            }
            Any::Text(key) => {
                let text = n.to_string().repeat(3);
                let whole = attach!(key).set(&text);
                assert_eq!(whole, text.len() <= 16);
                thread.texts.insert(at, text.chars().take(16).collect());
            }
            Any::Pair(key) => {
                attach!(key).set(&Pair { number: n, complement: !n });
                thread.gauges.insert(at, n);
            }
        }
    }

    /// Values that an observer of the files must find, by label.
    fn wanted(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (at, field) in self.fields.iter().enumerate().filter(|(_, field)| !field.retired) {
            let numbers = self.threads.iter().filter_map(|thread| thread.gauges.get(&at).copied());
            let values = match field.key {
                Any::Counter(_) => vec![field.counted.to_string()],
                Any::Gauge(_) => vec![sum(numbers)],
                Any::Pair(_) => vec![sum(numbers.clone()), sum(numbers.map(|n| !n))],
                Any::Text(_) => {
                    let texts = self.threads.iter().filter_map(|thread| thread.texts.get(&at));
                    let mut texts: Vec<_> = texts.cloned().collect();
                    texts.sort();
                    vec![texts.join(" ")]
                }
            };
            all.extend(Described::labels(field.key, &field.label).into_iter().zip(values));
        }
        all
    }
}

fn none() -> String {
    "-".to_owned()
}

/// Sum over the threads with a value.
fn sum(numbers: impl Iterator<Item = i64>) -> String {
    numbers.map(i128::from).reduce(|a, b| a + b).map_or_else(none, |sum| sum.to_string())
}

/// Values that an observer finds, by label, in files that all have the state.
fn found(directory: &Path, state: FileState) -> BTreeMap<String, String> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    assert_eq!(observer.problems().count(), 0);
    assert!(observer.files().iter().all(|file| file.state() == state), "not all {state}");
    let value = |value: Option<OwnedValue>| match value {
        None => none(),
        Some(OwnedValue::Unsigned(n)) => n.to_string(),
        Some(OwnedValue::Signed(n)) => n.to_string(),
        Some(OwnedValue::Each(each)) => {
            let mut texts: Vec<_> = each
                .into_iter()
                .filter_map(|each| match each.value {
                    Some(OwnedValue::Text { text, .. }) => Some(text),
                    None => None,
                    other => panic!("{other:?}"),
                })
                .collect();
            texts.sort();
            texts.join(" ")
        }
        other => panic!("{other:?}"),
    };
    let mut all = BTreeMap::new();
    for total in totals(observer.files()) {
        let text = total.field.shape().to_string() == "text";
        let shown = value(total.reading.value);
        // A counter of which no thread has a lane yet has no value; that is as good as 0.
        let counter = total.field.properties.kind() == Some(Kind::Counter);
        let shown = match shown.as_str() {
            "-" if text => String::new(),
            "-" if counter => "0".to_owned(),
            _ => shown,
        };
        assert!(all.insert(total.field.label.clone(), shown).is_none(), "{}", total.field.label);
    }
    all
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Values that continue from run to run.
#[derive(Stats)]
struct Shop {
    orders: Counter,
    latency: mmstats::Timer,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn observer_of_random_operations_matches_the_model(ops in proptest::collection::vec(op(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new(directory.path());
        for op in &ops {
            world.act(op);
            prop_assert_eq!(found(directory.path(), FileState::Live), world.wanted());
            if matches!(op, Op::Crash) {
                let left = tempfile::tempdir().unwrap();
                copy(directory.path(), left.path());
                prop_assert_eq!(found(left.path(), FileState::Dead), world.wanted());
            }
        }
        world.threads.clear();
        drop(world);
        prop_assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    /// Runs that crash or end; each continues the values of the one before.
    #[test]
    fn counters_after_crashes_continue(
        runs in proptest::collection::vec(
            (proptest::collection::vec((0..3_usize, 0..1000_u64), 0..12), any::<bool>()),
            1..5,
        ),
    ) {
        let mut place = tempfile::tempdir().unwrap();
        let (mut orders, mut sum, mut count) = (0_u128, 0_u128, 0_u128);
        for (updates, crash) in runs {
            let options = Options::new().persistent(place.path().join("shop.mmst")).lanes(2);
            let shop = options.without_system_fields().start::<Shop>().unwrap();
            let threads: Vec<Shop> = (0..3).map(|_| shop.lane().unwrap()).collect();
            for (thread, n) in updates {
                threads[thread].orders.add(n);
                threads[thread].latency.record_nanos(n);
                (orders, sum, count) = (orders + u128::from(n), sum + u128::from(n), count + 1);
            }
            if crash {
                let left = tempfile::tempdir().unwrap();
                copy(place.path(), left.path());
                drop((threads, shop));
                place = left;
            } else {
                drop((threads, shop));
            }
            let mut observer = Observer::new(Sources::new().path(place.path()));
            observer.refresh();
            let all = totals(observer.files());
            let value = |label: &str| {
                let total = all.iter().find(|total| total.field.label.ends_with(label)).unwrap();
                total.reading.value.clone()
            };
            prop_assert_eq!(value("orders"), Some(OwnedValue::Unsigned(orders)));
            let Some(OwnedValue::Timer(timer)) = value("latency") else { panic!() };
            prop_assert_eq!((timer.count, timer.sum), (count, sum));
        }
    }
}
