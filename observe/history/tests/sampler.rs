//! The sampler over real files of publishers in this process.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mmstats::{Counter, FieldOptions, Lane, Publisher, Text};
use mmstats_history::{Moment, Options, ProgramKey, Sampler, Select, Watch};
use mmstats_observe::{FieldKey, Number, OwnedValue, Sources};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(mmstats::Stats)]
struct Stats {
    requests: Counter,
    doing: Text<16>,
}

fn sampler(directory: &Path, every: u64) -> Sampler {
    let mut options = Options::new(Sources::new().path(directory));
    options.every = Duration::from_millis(every);
    Sampler::start(options).unwrap()
}

fn publisher(directory: &Path) -> Publisher<Stats> {
    mmstats::Options::new().directory(directory).start().unwrap()
}

/// The last reading of a field of the only program.
fn value(sampler: &Sampler, label: &str) -> Option<OwnedValue> {
    sampler.read(|history| {
        let fields = history.programs().first()?.fields();
        let field = fields.iter().find(|field| field.info.label == label)?;
        field.reading.value.as_ref().map(|value| value.only().clone())
    })
}

fn wait_for(sampler: &Sampler, label: &str, wanted: &OwnedValue) {
    let mut seen = 0;
    let end = std::time::Instant::now() + PATIENCE;
    while value(sampler, label).as_ref() != Some(wanted) {
        assert!(std::time::Instant::now() < end, "{label}: {:?}", value(sampler, label));
        seen = sampler.wait(seen, Duration::from_secs(1));
    }
}

fn unsigned(n: u128) -> OwnedValue {
    OwnedValue::Unsigned(n)
}

fn text(text: &str) -> OwnedValue {
    OwnedValue::Text { text: text.to_owned(), cut: false }
}

#[test]
fn rewound_values_are_those_seen_then() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    let sampler = sampler(directory.path(), 20);
    let mut seen: BTreeMap<Moment, (OwnedValue, OwnedValue)> = BTreeMap::new();
    for step in 1..=20_u64 {
        stats.requests.add(step);
        stats.doing.set(if step % 3 == 0 { "third" } else { "other" });
        let total = step * (step + 1) / 2;
        wait_for(&sampler, "requests", &unsigned(total.into()));
        let doing = text(if step % 3 == 0 { "third" } else { "other" });
        wait_for(&sampler, "doing", &doing);
        seen.insert(sampler.clock().now(), (unsigned(total.into()), doing));
        // Moments are exact to a millisecond.
        std::thread::sleep(Duration::from_millis(2));
    }
    sampler.read(|history| {
        let program = &history.programs()[0];
        for (at, (requests, doing)) in &seen {
            for (label, expected) in [("requests", requests), ("doing", doing)] {
                let field = program.fields().iter().find(|field| field.info.label == label);
                let found = field.unwrap().value_at(*at);
                assert_eq!(found.as_ref().map(OwnedValue::only), Some(expected), "{label} {at:?}");
            }
        }
    });
}

#[test]
fn program_that_ended_stays_with_its_last_values() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.requests.add(41);
    let sampler = sampler(directory.path(), 20);
    wait_for(&sampler, "requests", &unsigned(41));
    drop(stats);
    drop(publisher);
    let mut seen = sampler.looks();
    let is_gone =
        |sampler: &Sampler| sampler.read(|history| history.programs()[0].condition().is_gone());
    let end = std::time::Instant::now() + PATIENCE;
    while !is_gone(&sampler) {
        assert!(std::time::Instant::now() < end, "still there");
        seen = sampler.wait(seen, Duration::from_secs(1));
    }
    assert_eq!(value(&sampler, "requests"), Some(unsigned(41)));
}

/// Program and key of a field of the only program.
fn key(sampler: &Sampler, label: &str) -> (ProgramKey, FieldKey) {
    sampler.read(|history| {
        let program = &history.programs()[0];
        let field = program.fields().iter().find(|field| field.info.label == label).unwrap();
        (program.key, field.info.key())
    })
}

fn watch(sampler: &Sampler, label: &str, milliseconds: u64) -> Watch {
    let (program, field) = key(sampler, label);
    let every = Duration::from_millis(milliseconds);
    Watch { program, field, label: label.to_owned(), every, lanes: true }
}

fn wait_until(what: &str, mut question: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !question() {
        assert!(std::time::Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn watched_field_is_seen_between_the_looks_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    let sampler = sampler(directory.path(), 60_000);
    sampler.wait(0, PATIENCE);
    sampler.watch(vec![watch(&sampler, "requests", 5)]);
    stats.requests.add(7);
    wait_until("not seen", || value(&sampler, "requests") == Some(unsigned(7)));
    assert_eq!(sampler.looks(), 1);
    assert!(sampler.watched_looks() > 0);
    let numbers = sampler.read(|history| {
        let program = &history.programs()[0];
        let field = program.fields().iter().find(|field| field.info.label == "requests").unwrap();
        field.numbers().unwrap().at(sampler.clock().now())
    });
    assert_eq!(numbers, Some(Number::Unsigned(7)));
    // Another field is watched now: once a look has seen that, none sees this one.
    sampler.watch(vec![watch(&sampler, "doing", 5)]);
    stats.doing.set("watched");
    wait_until("doing is not seen", || value(&sampler, "doing") == Some(text("watched")));
    stats.requests.add(1);
    stats.doing.set("later");
    wait_until("doing is not seen", || value(&sampler, "doing") == Some(text("later")));
    assert_eq!(value(&sampler, "requests"), Some(unsigned(7)));
    assert_eq!(sampler.looks(), 1);
}

#[test]
fn looks_during_a_long_read_are_recorded_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    let sampler = sampler(directory.path(), 60_000);
    sampler.wait(0, PATIENCE);
    sampler.watch(vec![watch(&sampler, "requests", 5)]);
    wait_until("no look", || sampler.watched_looks() > 0);
    // Values at moments within the read, each after a look that began after it was published.
    let mut published = Vec::new();
    sampler.read(|_| {
        for step in 1..=4_u64 {
            stats.requests.add(1);
            let before = sampler.watched_looks();
            wait_until("no look", || sampler.watched_looks() >= before + 2);
            published.push((sampler.clock().now(), step));
            // Moments are exact to a millisecond.
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    wait_until("not recorded", || value(&sampler, "requests") == Some(unsigned(4)));
    for (at, step) in &published {
        let found = sampler.read(|history| {
            let fields = history.programs()[0].fields();
            fields.iter().find(|field| field.info.label == "requests").unwrap().value_at(*at)
        });
        assert_eq!(found, Some(unsigned((*step).into())), "{published:?}");
    }
}

#[test]
fn selected_programs_are_taken_in_and_stay() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (publisher(directory.path()), publisher(directory.path()));
    first.lane().unwrap().requests.add(1);
    second.lane().unwrap().requests.add(2);
    let wanted: Arc<Mutex<HashSet<ProgramKey>>> = Arc::default();
    let mut options = Options::new(Sources::new().path(directory.path()));
    options.every = Duration::from_millis(20);
    let (selected, asked) = (Arc::clone(&wanted), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&asked);
    options.select = Some(Select::new(move |programs| {
        *seen.lock().unwrap() = programs.iter().map(ProgramKey::of).collect();
        selected.lock().unwrap().clone()
    }));
    let sampler = Sampler::start(options).unwrap();
    let shown = || -> Vec<ProgramKey> {
        sampler.read(|history| history.programs().iter().map(|program| program.key).collect())
    };
    wait_until("both are asked for", || asked.lock().unwrap().len() == 2);
    assert_eq!(shown(), []);
    let key = asked.lock().unwrap()[1];
    wanted.lock().unwrap().insert(key);
    wait_until("it is taken in", || shown() == [key]);
    wanted.lock().unwrap().clear();
    let looks = sampler.looks();
    sampler.wait(looks + 1, PATIENCE);
    assert_eq!(shown(), [key]);
}

#[test]
fn problems_of_the_last_look_are_in_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let sampler = sampler(&directory.path().join("missing"), 20);
    sampler.wait(0, PATIENCE);
    let codes = || -> Vec<&'static str> {
        sampler.read(|history| history.problems().iter().map(|problem| problem.code).collect())
    };
    assert_eq!(codes(), ["not-found"]);
    std::fs::create_dir(directory.path().join("missing")).unwrap();
    wait_until("still a problem", || codes().is_empty());
}

#[test]
fn lanes_of_a_watched_field_have_threads_and_values() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(directory.path());
    let stats = publisher.lane().unwrap();
    stats.requests.add(3);
    let sampler = sampler(directory.path(), 20);
    sampler.wait(0, PATIENCE);
    std::thread::scope(|scope| {
        let other = std::thread::Builder::new().name("other".to_owned());
        let other = other.spawn_scoped(scope, || {
            let stats = publisher.lane().unwrap();
            stats.requests.add(4);
            wait_for(&sampler, "requests", &unsigned(7));
            sampler.watch(vec![watch(&sampler, "requests", 50)]);
            let lanes = || {
                sampler.read(|history| {
                    let fields = history.programs()[0].fields();
                    let field = fields.iter().find(|field| field.info.label == "requests").unwrap();
                    let lanes = field.lanes().iter().map(|lane| {
                        let value = lane.reading.value.clone();
                        (lane.name.clone().unwrap_or_default(), lane.thread.is_some(), value)
                    });
                    lanes.collect::<Vec<_>>()
                })
            };
            wait_until("no lanes", || lanes().len() == 2);
            let lanes = lanes();
            assert!(lanes.iter().all(|(_, thread, _)| *thread), "{lanes:?}");
            let other = lanes.iter().find(|(name, ..)| name == "other");
            assert_eq!(other.and_then(|(.., value)| value.clone()), Some(unsigned(4)), "{lanes:?}");
        });
        other.unwrap().join().unwrap();
    });
}

#[test]
fn past_takes_the_budget_and_watched_fields_keep_theirs_longest() {
    let directory = tempfile::tempdir().unwrap();
    let options = mmstats::Options::new().directory(directory.path());
    let publisher = options.start::<Lane>().unwrap();
    let lane = publisher.lane().unwrap();
    let counters: Vec<_> = (0..100)
        .map(|number| {
            let key = publisher.add::<Counter>(format!("counter.{number}"), FieldOptions::new());
            let counter = lane.attach(key.unwrap()).unwrap();
            counter.add(1);
            counter
        })
        .collect();
    let mut options = Options::new(Sources::new().path(directory.path()));
    (options.every, options.budget) = (Duration::from_millis(10), 500 << 10);
    let sampler = Sampler::start(options).unwrap();
    sampler.wait(0, PATIENCE);
    wait_for(&sampler, "counter.99", &unsigned(1));
    sampler.watch(vec![watch(&sampler, "counter.7", 10)]);
    let mut seen = 0;
    for _ in 0..300 {
        counters.iter().for_each(|counter| counter.add(1));
        seen = sampler.wait(seen, PATIENCE);
    }
    sampler.read(|history| {
        assert!(history.bytes() <= history.budget() + history.budget() / 8, "{}", history.bytes());
        let fields = history.programs()[0].fields();
        let span = |label: &str| {
            let field = fields.iter().find(|field| field.info.label == label).unwrap();
            field.numbers().unwrap().span()[0]
        };
        assert!(span("counter.7") > 2 * span("counter.8"), "{:?}", span("counter.7"));
        assert!(span("counter.8") > Duration::ZERO);
    });
}
