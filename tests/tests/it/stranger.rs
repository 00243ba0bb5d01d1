//! The reader in `spec/readers/python`, written from the documents alone, reads files of this
//! library, also while the program lives.

use std::path::Path;
use std::process::Command;

use mmstats::{
    Array, Counter, Flag, Gauge, Group, Info, Options, Publisher, Record, Stats, Text, Timer,
};
use serde_json::{Value, json};

use mmstats_tests::actor::{directory, skip};

#[derive(Record)]
struct Load {
    one: f64,
    ready: bool,
    queue: u16,
}

#[derive(Stats)]
#[stats(prefix = "app")]
struct App {
    /// Counted in two threads.
    #[stats(unit = "bytes", attributes(route = "/"))]
    big: Counter,
    small: Gauge<i8>,
    #[expect(dead_code, reason = "never set")]
    never: Gauge<f64>,
    on: Flag,
    doing: Text<16>,
    spread: Array<i16, 5>,
    latency: Timer,
    load: Group<Load>,
    #[stats(value = "1.2 ❤")]
    version: Info,
}

/// The fields as the reader prints them, or `None` where there is no Python.
fn read(path: &Path) -> Option<(String, Value)> {
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/readers/python/mmstats_reader.py");
    let output = match Command::new("python3").arg(reader).arg(path).output() {
        Ok(output) => output,
        Err(error) => {
            skip(&format!("python3: {error}"));
            return None;
        }
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let document = serde_json::from_str(&text).unwrap();
    Some((text, document))
}

#[test]
fn reader_in_python_agrees_with_the_publisher() {
    let directory = directory();
    let app: Publisher<App> = Options::new().directory(directory.path()).start().unwrap();
    let stats = app.lane().unwrap();
    stats.big.set(u64::MAX);
    stats.small.set(-7);
    stats.on.set(true);
    stats.doing.set("longer than sixteen");
    stats.spread.set(&[1, -1, 2, -2, i16::MIN]);
    stats.latency.record_nanos(30);
    stats.latency.record_nanos(10);
    stats.load.set(&Load { one: 0.25, ready: true, queue: 513 });
    std::thread::scope(|scope| {
        scope.spawn(|| app.with(|stats| stats.big.add(2)));
    });

    let Some((text, document)) = read(&app.paths()[0]) else { return };
    assert_eq!(document["state"], "live");
    let field = |label: &str| {
        let fields = document["fields"].as_array().unwrap();
        let found = fields.iter().find(|field| field["label"] == label);
        found.unwrap_or_else(|| panic!("no {label} in {document}")).clone()
    };
    // Two lanes; the sum passes 64 bits, and serde_json would round it.
    assert!(text.contains("18446744073709551617"), "{text}");
    let big = field("app.big");
    assert_eq!((&big["unit"], &big["kind"]), (&json!("bytes"), &json!("counter")));
    assert_eq!(big["help"], "Counted in two threads.");
    assert_eq!(big["attributes"], json!({"route": "/"}));
    assert_eq!(field("app.small")["value"], -7);
    assert_eq!(field("app.never")["verdict"], "absent");
    assert_eq!(field("app.on")["value"], json!(1), "the sum of a bool counts");
    assert!(field("app.doing").to_string().contains("longer than sixt"));
    assert_eq!(field("app.spread")["value"], json!([1, -1, 2, -2, -32768]));
    assert_eq!(
        field("app.latency")["value"],
        json!({"count": 2, "sum": 40, "min": 10, "max": 30, "last": 10})
    );
    assert_eq!(field("app.load.one")["value"], 0.25);
    assert_eq!(field("app.load.queue")["value"], 513);
    assert_eq!(field("app.version")["value"], "1.2 ❤");
    assert_eq!(field("sys.pid")["value"], std::process::id());
}
