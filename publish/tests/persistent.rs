//! Publishing to a file that outlives the program: the values continue, or the start is refused.
#![allow(missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use mmstats::{
    Counter, Error, Family, FieldOptions, Gauge, Lane, Options, Publisher, Stats, Timer,
};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};
use support::file_names;

#[derive(Stats)]
#[stats(prefix = "shop")]
struct Shop {
    orders: Counter,
    open: Gauge<i64>,
    latency: Timer,
    #[stats(labels("method"))]
    calls: Family<Counter, 1>,
}

#[derive(Stats)]
#[stats(prefix = "shop")]
#[allow(dead_code)] // Never started.
struct Changed {
    orders: Gauge<u64>,
    open: Gauge<i64>,
    latency: Timer,
    #[stats(labels("method"))]
    calls: Family<Counter, 1>,
}

fn start(path: &Path) -> Publisher<Shop> {
    Options::new().persistent(path).lanes(1).start().unwrap()
}

/// Label, attributes and total of all fields but constants.
fn values(directory: &Path) -> Vec<String> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let mut all: Vec<_> = totals(observer.files())
        .into_iter()
        .filter(|total| !total.field.label.starts_with("sys."))
        .map(|total| {
            let value = match total.reading.value {
                Some(OwnedValue::Unsigned(n)) => n.to_string(),
                Some(OwnedValue::Signed(n)) => n.to_string(),
                Some(OwnedValue::Timer(t)) => format!("{} {} {:?}", t.count, t.sum, t.max),
                None => "-".to_owned(),
                other => format!("{other:?}"),
            };
            format!("{} {:?} {value}", total.field.label, total.field.attributes)
        })
        .collect();
    all.sort();
    all
}

#[test]
fn persistent_restart_keeps_values() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shop.mmst");
    for run in 1..=3_u64 {
        let shop = start(&path);
        // Two lanes: the second in a file of its own.
        for thread in 0..2_u64 {
            let stats = shop.lane().unwrap();
            stats.orders.add(10 + thread);
            stats.latency.record_nanos(100 * run + thread);
            stats.calls.get(&["GET"]).incr();
            stats.open.set(7);
        }
        if run == 1 {
            let lane = shop.lane().unwrap();
            lane.calls.get(&["PUT"]).add(5);
        }
        shop.flush(false).unwrap();
        shop.flush(true).unwrap();
        let all = values(place.path());
        let find =
            |label: &str| all.iter().filter(|v| v.starts_with(label)).cloned().collect::<Vec<_>>();
        assert!(find("shop.orders")[0].ends_with(&format!(" {}", 21 * run)), "{all:?}");
        assert!(find("shop.latency")[0].contains(&format!(" {} ", 2 * run)), "{all:?}");
        // Combinations that this run has not used are kept.
        let calls = find("shop.calls");
        assert!(
            calls.iter().any(|v| v.contains("GET") && v.ends_with(&format!(" {}", 2 * run))),
            "{calls:?}"
        );
        assert!(calls.iter().any(|v| v.contains("PUT") && v.ends_with(" 5")), "{calls:?}");
        drop(shop);
        assert!(file_names(place.path()).iter().all(|name| name.starts_with("shop")));
    }
    assert!(
        values(place.path()).iter().any(|v| v.starts_with("shop.orders") && v.ends_with(" 63"))
    );
}

#[test]
fn persistent_other_schema_is_refused_and_file_kept() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shop.mmst");
    let shop = start(&path);
    shop.with(|stats| stats.orders.add(42));
    drop(shop);
    let before = std::fs::read(&path).unwrap();
    let error = Options::new().persistent(&path).start::<Changed>().unwrap_err();
    assert!(matches!(error, Error::Schema { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("shop.orders") && text.contains("shop.mmst"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(file_names(place.path()), ["shop.mmst"]);
    // One field less, and one more.
    for (fields, told) in [(0, "more"), (2, "no field")] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        let begin = |count: usize| {
            let mut schema = mmstats::Schema::new();
            for i in 0..count {
                schema.add::<Counter>(format!("f{i}"), FieldOptions::new());
            }
            Options::new().persistent(&path).schema(schema).start::<Lane>()
        };
        drop(begin(1).unwrap());
        let text = begin(fields).unwrap_err().to_string();
        assert!(text.contains(told), "{text}");
        drop(begin(1).unwrap());
    }
}

#[test]
fn persistent_file_in_use_or_foreign_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shop.mmst");
    let shop = start(&path);
    let error = Options::new().persistent(&path).start::<Shop>().unwrap_err();
    assert!(matches!(error, Error::System(_)), "{error}");
    drop(shop);
    std::fs::write(&path, "not ours").unwrap();
    let error = Options::new().persistent(&path).start::<Shop>().unwrap_err();
    assert!(matches!(error, Error::Schema { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"not ours");
}

/// Where publishing is impossible, the old file is unchanged.
#[cfg(unix)] // Windows has no limit of the size of files
#[test]
fn persistent_private_memory_keeps_old_file() {
    if let Ok(path) = std::env::var("MMSTATS_TEST_NO_ROOM") {
        Options::new().persistent(&path).start::<Shop>().unwrap_err();
        let shop: Publisher<Shop> = Options::new().persistent(&path).or_private().start().unwrap();
        assert!(shop.problem().is_some() && shop.paths().is_empty());
        shop.with(|stats| assert_eq!(stats.orders.get(), 42));
        shop.with(|stats| assert_eq!(stats.calls.get(&["GET"]).get(), 7));
        println!("\ndone");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shop.mmst");
    let shop = start(&path);
    shop.with(|stats| stats.orders.add(42));
    shop.with(|stats| stats.calls.get(&["GET"]).add(7));
    drop(shop);
    let files = ["shop.1.mmst", "shop.mmst"];
    let read = || files.map(|name| std::fs::read(place.path().join(name)).unwrap());
    let before = read();
    // A process whose files are limited to one block.
    let out = Command::new("sh")
        .args([
            "-c",
            "ulimit -f 1 && exec \"$0\" --exact persistent_private_memory_keeps_old_file --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .env("MMSTATS_TEST_NO_ROOM", &path)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&out.stdout);
    assert!(
        output.lines().any(|line| line == "done"),
        "{output}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert_eq!(file_names(place.path()), files);
    assert!(read() == before);
}

/// Values are counted once after a start that was interrupted between two files.
#[test]
fn persistent_interrupted_start_counts_values_once() {
    let place = tempfile::tempdir().unwrap();
    let [path, later, stale] =
        ["shop.mmst", "shop.1.mmst", "shop.2.mmst"].map(|n| place.path().join(n));
    // In a thread that ends: Windows does not overwrite a mapped file.
    let run = || {
        let once = || start(&path).with(|stats| stats.calls.get(&["GET"]).incr());
        std::thread::scope(|scope| scope.spawn(once).join().unwrap());
    };
    run();
    let old = std::fs::read(&later).unwrap();
    run();
    let get = |count: u64| {
        let all = values(place.path());
        let end = format!(" {count}");
        assert!(all.iter().any(|v| v.contains("GET") && v.ends_with(&end)), "{count}: {all:?}");
    };
    get(2);
    // Interrupted after the new file got its name, before the old one was removed.
    std::fs::write(&stale, &old).unwrap();
    run();
    get(3);
    assert_eq!(file_names(place.path()), ["shop.1.mmst", "shop.mmst"]);
    // Interrupted between the first file and the second.
    std::fs::write(&later, &old).unwrap();
    run();
    get(2);
}

#[test]
fn persistent_kill_keeps_values() {
    if let Ok(path) = std::env::var("MMSTATS_TEST_PERSISTENT") {
        let shop = start(Path::new(&path));
        shop.with(|stats| {
            stats.orders.add(1000);
            stats.calls.get(&["GET"]).add(3);
        });
        println!("\nready");
        std::io::stdout().flush().unwrap();
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shop.mmst");
    for run in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "persistent_kill_keeps_values", "--nocapture"])
            .env("MMSTATS_TEST_PERSISTENT", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map(Result::unwrap).any(|line| line == "ready"));
        child.kill().unwrap();
        child.wait().unwrap();
        let all = values(place.path());
        let has = |label: &str, end: String| {
            all.iter().any(|v| v.starts_with(label) && v.ends_with(&end))
        };
        assert!(has("shop.orders", format!(" {}", 1000 * run)), "{all:?}");
        assert!(has("shop.calls", format!(" {}", 3 * run)), "{all:?}");
    }
}

#[test]
fn persistent_path_without_name_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let above = place.path().join("..");
    for path in [Path::new(""), Path::new("/"), &above, place.path()] {
        let start = || Options::new().persistent(path);
        let error = start().start::<Lane>().unwrap_err();
        assert!(matches!(error, Error::System(_)), "{error}");
        // Private memory, and no file of another name.
        let private = start().or_private().start::<Lane>().unwrap();
        assert!(private.problem().is_some() && private.paths().is_empty());
    }
    assert_eq!(file_names(place.path()), [""; 0]);
}

#[test]
fn names_outside_the_rules_refused() {
    let place = tempfile::tempdir().unwrap();
    for name in
        ["a\0.mmst", "a/b.mmst", "../a.mmst", "{CMD}/x.mmst", "", ".mmst", "a", "x/{ID}.mmst"]
    {
        let options = Options::new().directory(place.path()).files(name);
        assert!(options.start::<mmstats::Lane>().is_err(), "{name:?}");
    }
    // The name of the program is made fit.
    for name in ["a\0b", "a/b", "", "..", &"x".repeat(1_000)] {
        let options = Options::new().directory(place.path()).name(name);
        assert!(options.start::<mmstats::Lane>().is_ok(), "{name:?}");
    }
    for lanes in [0, 65_537, u32::MAX] {
        let options = Options::new().directory(place.path()).lanes(lanes);
        assert!(options.start::<mmstats::Lane>().is_err(), "{lanes}");
    }
}
