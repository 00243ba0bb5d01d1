//! Families: a field for each combination of attribute values.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use mmstats::{
    Counter, Error, Family, FamilyKey, FieldOptions, Gauge, Group, Key, Lane, Level, Options,
    Publisher, Record, Schema, Stats, Text, Timer,
};
use mmstats_observe::{Observer, OwnedValue, Sources, Total, totals};

fn all(directory: &Path) -> Vec<Total> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    totals(observer.files())
}

/// Attributes, as `key=value,...`, and value of each field of a family.
fn series(directory: &Path, label: &str) -> BTreeMap<String, u128> {
    let found = all(directory).into_iter().filter(|total| total.field.label == label);
    found
        .map(|total| {
            let pairs = total.field.attributes().map(|(key, value)| format!("{key}={value}"));
            let attributes = pairs.collect::<Vec<_>>().join(",");
            match total.reading.value {
                Some(OwnedValue::Unsigned(n)) => (attributes, n),
                None => (attributes, 0),
                other => panic!("{other:?}"),
            }
        })
        .collect()
}

fn start(directory: &Path, schema: Schema) -> Publisher<Lane> {
    let options = Options::new().directory(directory).without_system_fields();
    options.schema(schema).start().unwrap()
}

fn expect<const N: usize>(pairs: [(&str, u128); N]) -> BTreeMap<String, u128> {
    pairs.into_iter().map(|(attributes, n)| (attributes.to_owned(), n)).collect()
}

#[derive(Stats)]
#[stats(prefix = "web")]
struct Web {
    /// Requests served.
    #[stats(labels("method", "code"), unit = "requests", level = "diagnostic")]
    requests: Family<Counter, 2>,
    #[stats(nested)]
    disk: Disk,
}

#[derive(Stats)]
struct Disk {
    #[stats(label = "read", labels("device"), cap = 2, attributes(kind = "ssd"))]
    reads: Family<Timer, 1>,
}

#[test]
fn family_adds_field_for_each_combination() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().directory(directory.path()).lanes(2);
    let web: Publisher<Web> = options.start().unwrap();
    assert_eq!(series(directory.path(), "web.requests"), expect([("overflow=true", 0)]));
    let stats = web.lane().unwrap();
    let ok = stats.requests.get(&["GET", "200"]);
    ok.incr();
    // The first field is found after many others.
    for code in 300..600 {
        stats.requests.get(&["POST", &code.to_string()]).add(code);
    }
    ok.incr();
    assert!(std::ptr::eq(ok, stats.requests.get(&["GET", "200"])));
    // Other threads find the same fields, also through `with`.
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| web.with(|stats| stats.requests.get(&["GET", "200"]).add(10)));
            scope.spawn(|| web.lane().unwrap().requests.get(&["POST", "404"]).incr());
        }
    });
    let seen = series(directory.path(), "web.requests");
    assert_eq!(seen.len(), 302);
    assert_eq!(seen["method=GET,code=200"], 52);
    assert_eq!(seen["method=POST,code=404"], 409);
    assert!((405..600).all(|n| seen[&format!("method=POST,code={n}")] == n));
    for total in all(directory.path()).iter().filter(|t| t.field.label == "web.requests") {
        let field = &total.field;
        assert_eq!((field.unit.as_str(), &*field.help), ("requests", "Requests served."));
        assert_eq!(field.properties.level(), Level::Diagnostic);
    }
    for device in ["sda", "sdb", "sdc"] {
        stats.disk.reads.get(&[device]).record(Duration::from_nanos(3));
    }
    let reads = all(directory.path()).into_iter().filter(|t| t.field.label == "web.disk.read");
    let mut attributes: Vec<_> = reads.map(|total| total.field.attributes.to_string()).collect();
    attributes.sort();
    let wanted = ["kind=ssd\0device=sda", "kind=ssd\0device=sdb", "kind=ssd\0overflow=true"];
    assert_eq!(attributes, wanted);
    drop((stats, web));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn family_distinguishes_values() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::new();
    let key = schema.add_family::<Counter, 2>("f", ["a", "b"], FieldOptions::new());
    let publisher = start(directory.path(), schema);
    let family = publisher.lane().unwrap().family(key).unwrap();
    let values = [["x", "yz"], ["xy", "z"], ["xyz", ""], ["", "xyz"], ["", ""], ["x", "y z"]];
    for (n, values) in (1..).zip(&values) {
        family.get(values).add(n);
    }
    values.iter().for_each(|values| family.get(values).add(10));
    assert_eq!(
        series(directory.path(), "f"),
        expect([
            ("overflow=true", 0),
            ("a=x,b=yz", 11),
            ("a=xy,b=z", 12),
            ("a=xyz,b=", 13),
            ("a=,b=xyz", 14),
            ("a=,b=", 15),
            ("a=x,b=y z", 16),
        ])
    );
}

/// All threads together add at most `cap` fields; each finds those of the others, and further
/// combinations are counted in the overflow field.
#[test]
fn family_beyond_cap_counts_in_overflow() {
    const THREADS: usize = 8;
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::new();
    let key = schema.add_family::<Counter, 1>("f", ["n"], FieldOptions::new().cap(50));
    let other = schema.add_family::<Counter, 1>("none", ["n"], FieldOptions::new().cap(0));
    let publisher = start(directory.path(), schema);
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (publisher, barrier) = (&publisher, &barrier);
            scope.spawn(move || {
                let family = publisher.lane().unwrap().family(key).unwrap();
                barrier.wait();
                for n in 0..200 {
                    // Each thread in another order.
                    let n = (n + thread * 25) % 200;
                    family.get(&[&n.to_string()]).incr();
                }
            });
        }
    });
    let seen = series(directory.path(), "f");
    assert_eq!(seen.len(), 51);
    assert!(seen.iter().all(|(name, n)| name == "overflow=true" || *n == THREADS as u128));
    assert_eq!(seen["overflow=true"], (150 * THREADS) as u128);

    let lane = publisher.lane().unwrap();
    let family = lane.family(other).unwrap();
    family.get(&["1"]).incr();
    family.get(&["2"]).incr();
    assert_eq!(series(directory.path(), "none"), expect([("overflow=true", 2)]));
    // A later thread finds the fields, too.
    let known = seen.keys().find_map(|name| name.strip_prefix("n=")).unwrap();
    lane.family(key).unwrap().get(&[known]).incr();
    assert_eq!(series(directory.path(), "f")[&format!("n={known}")], THREADS as u128 + 1);
}

#[test]
fn family_default_cap_is_1000() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Schema::new());
    let key = publisher.add_family::<Counter, 1>("f", ["n"], FieldOptions::new()).unwrap();
    let family = publisher.lane().unwrap().family(key).unwrap();
    (0..1500).for_each(|n| family.get(&[&n.to_string()]).incr());
    let seen = series(directory.path(), "f");
    assert_eq!((seen.len(), seen["overflow=true"]), (1001, 500));
}

/// Values that no attribute can have are counted in the overflow field.
#[test]
fn family_invalid_values_count_in_overflow() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Schema::new());
    let fixed = FieldOptions::new().cap(3).attribute("fixed", "v".repeat(100));
    let key = publisher.add_family::<Counter, 2>("f", ["a", "b"], fixed).unwrap();
    let family = publisher.lane().unwrap().family(key).unwrap();
    let long = "x".repeat(4097);
    for bad in [["\0", "b"], ["a", "b\0c"], [&long, ""], [&long[..2100], &long[..2100]]] {
        family.get(&bad).incr();
        family.get(&bad).incr();
    }
    // Too long only together with its key and the other attributes.
    family.get(&[&long[..4090], ""]).incr();
    // None of these took room from the cap.
    for good in [["1", ""], ["2", "\u{1F980}"], [&long[..3900], ""]] {
        family.get(&good).incr();
    }
    let seen = series(directory.path(), "f");
    assert_eq!(seen.len(), 4);
    assert_eq!(seen.values().filter(|n| **n == 1).count(), 3);
    assert_eq!(seen.values().sum::<u128>(), 8 + 1 + 3);
}

#[derive(Record)]
struct Sizes {
    #[stats(counter)]
    bytes: u64,
    #[stats(counter)]
    packets: u64,
}

#[test]
fn family_takes_every_handle_type() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Schema::new());
    fn add<H: mmstats::Field>(publisher: &Publisher<Lane>, label: &str) -> Family<H, 1> {
        let options = FieldOptions::new().cap(2);
        let key = publisher.add_family::<H, 1>(label, ["k"], options).unwrap();
        publisher.lane().unwrap().family(key).unwrap()
    }
    let gauges = add::<Gauge<f64>>(&publisher, "gauge");
    let timers = add::<Timer>(&publisher, "timer");
    let texts = add::<Text<20>>(&publisher, "text");
    let groups = add::<Group<Sizes>>(&publisher, "group");
    for (n, value) in (1_u32..).zip(["one", "two", "three", "four"]) {
        gauges.get(&[value]).set(f64::from(n));
        timers.get(&[value]).record(Duration::from_nanos(n.into()));
        texts.get(&[value]).set(value);
        groups.get(&[value]).set(&Sizes { bytes: n.into(), packets: 1 });
    }
    let found: HashMap<(String, String), String> = all(directory.path())
        .into_iter()
        .map(|t| {
            ((t.field.label, t.field.attributes.to_string()), format!("{:?}", t.reading.value))
        })
        .collect();
    assert_eq!(found.len(), 5 * 3);
    let get = |label: &str, attributes: &str| {
        found
            .iter()
            .find(|((l, a), _)| l == label && a.trim_end_matches('\0') == attributes)
            .map_or_else(
                || panic!("no {label} {attributes}: {found:?}"),
                |(_, value)| value.clone(),
            )
    };
    assert!(get("gauge", "k=two").contains("2.0") && get("gauge", "overflow=true").contains("4.0"));
    assert!(get("timer", "overflow=true").contains("count: 2"));
    assert!(get("text", "k=one").contains("one") && get("text", "overflow=true").contains("four"));
    assert_eq!(get("group.bytes", "k=two"), "Some(Unsigned(2))");
    assert_eq!(get("group.packets", "overflow=true"), "Some(Unsigned(1))");
}

#[test]
fn family_names_of_other_fields_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::new();
    let taken: Key<Gauge<u64>> = schema.add("f", FieldOptions::new().attribute("k", "taken"));
    let publisher = start(directory.path(), schema);
    let key = publisher.add_family::<Counter, 1>("f", ["k"], FieldOptions::new()).unwrap();
    let again = publisher.add_family::<Counter, 1>("f", ["other"], FieldOptions::new());
    let again = again.unwrap_err();
    assert!(matches!(again, Error::Duplicate { .. }), "{again}");
    let lane = publisher.lane().unwrap();
    let family = lane.family(key).unwrap();
    for _ in 0..3 {
        family.get(&["taken"]).incr();
        lane.family(key).unwrap().get(&["taken"]).incr();
    }
    lane.attach(taken).unwrap().set(77);
    assert_eq!(series(directory.path(), "f"), expect([("k=taken", 77), ("overflow=true", 6)]));
    // The name of a field of the family is taken.
    family.get(&["mine"]).incr();
    let mine = FieldOptions::new().attribute("k", "mine");
    let mine = publisher.add::<Counter>("f", mine).unwrap_err();
    assert!(matches!(mine, Error::Duplicate { .. }), "{mine}");

    // The name of the overflow field.
    let key = publisher.add_family::<Counter, 1>("g", ["overflow"], FieldOptions::new()).unwrap();
    lane.family(key).unwrap().get(&["true"]).incr();
    assert_eq!(series(directory.path(), "g"), expect([("overflow=true", 1)]));
}

#[test]
fn family_invalid_declaration_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(directory.path(), Schema::new());
    for labels in [["two words", "b"], ["a", "a"], ["fixed", "b"], ["", "b"]] {
        let fixed = FieldOptions::new().attribute("fixed", "v");
        let error = publisher.add_family::<Counter, 2>("f", labels, fixed.clone()).unwrap_err();
        assert!(matches!(&error, Error::Field { label, .. } if label == "f"), "{error}");
        let mut schema = Schema::new();
        schema.add_family::<Counter, 2>("f", labels, fixed);
        let options = Options::new().directory(directory.path()).schema(schema);
        let at_start = options.start::<Lane>().unwrap_err();
        assert_eq!(at_start.to_string(), error.to_string());
    }
    assert!(series(directory.path(), "f").is_empty(), "nothing is left of them");
}

#[test]
fn family_key_of_other_publisher_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = start(directory.path(), Schema::new());
    let there = start(directory.path(), Schema::new());
    let key = here.add_family::<Counter, 2>("f", ["a", "b"], FieldOptions::new()).unwrap();
    assert!(matches!(there.lane().unwrap().family(key), Err(Error::Attach(_))));
    there.add_family::<Counter, 1>("f", ["a"], FieldOptions::new()).unwrap();
    let error = there.lane().unwrap().family(key).unwrap_err();
    assert_eq!(error.to_string(), "the family has 1 labels, the handle 2");
}

/// Without room for another file, new combinations are counted in the overflow field. Handles
/// work after closing.
#[test]
fn family_without_room_counts_in_overflow() {
    let directory = tempfile::tempdir().unwrap();
    let longest = format!("{}.mmst", "w".repeat(mmstats_system::name::MAX - 5));
    let mut schema = Schema::new();
    let key: FamilyKey<Counter, 1> = schema.add_family("f", ["k"], FieldOptions::new());
    let late: FamilyKey<Counter, 1> = schema.add_family("late", ["k"], FieldOptions::new());
    let options = Options::new().directory(directory.path()).files(longest).schema(schema);
    let publisher: Publisher<Lane> = options.reserve(1, 100).start().unwrap();
    let lane = publisher.lane().unwrap();
    let family = lane.family(key).unwrap();
    let begin = std::time::Instant::now();
    ["a", "b", "c", "a", "b"].iter().for_each(|value| family.get(&[value]).incr());
    assert_eq!(series(directory.path(), "f"), expect([("k=a", 2), ("overflow=true", 3)]));
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    observer.refresh();
    let refused = observer.files()[0].fields_refused();
    assert!(
        (1..=1 + begin.elapsed().as_secs()).contains(&u64::from(refused)),
        "{refused}: once a second"
    );
    let late = lane.family(late).unwrap();
    publisher.close();
    late.get(&["a"]).incr();
    family.get(&["d"]).incr();
}

/// The standard constants are in each file.
#[test]
fn run_time_files_have_standard_constants() {
    let place = tempfile::tempdir().unwrap();
    let options = mmstats::Options::new().directory(place.path()).name("shop");
    let publisher = options.start::<mmstats::Lane>().unwrap();
    publisher.add::<mmstats::Counter>("late", mmstats::FieldOptions::new()).unwrap();
    assert_eq!(publisher.paths().len(), 2);
    let sources = mmstats_observe::Sources::new().path(place.path());
    let mut observer = mmstats_observe::Observer::new(sources);
    observer.refresh();
    for file in observer.files() {
        assert_eq!(file.identity().pid, Some(std::process::id()));
        assert_eq!(file.identity().command.as_deref(), Some("shop"));
    }
}
