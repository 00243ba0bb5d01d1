//! A program that publishes what it is told on its standard input, for `tests/servers`:
//!
//! - without arguments: a field of each kind; an order a line, answered by `done`;
//! - `many PROGRAMS [FIELDS [KINDS [FIRST]]]`: so many programs with 50 or so many fields, until its standard input
//!   ends. They are counters, or with the kinds `mixed` of ten fields seven counters, two gauges and a histogram.
//!   Each has the number of its program, from `FIRST` or 0. Given kinds, programs have the fields of the system too.

use std::io::BufRead as _;
use std::time::Duration;

use mmstats::{
    Counter, Events, Family, FieldOptions, Gauge, Histogram, Lane, Latency, Options, Publisher,
    Schema, State, StateSet, Stats, Timer,
};

#[derive(Clone, Copy, State)]
enum Phase {
    Idle,
    Busy,
    Broken,
}

#[derive(Stats)]
#[stats(prefix = "shop")]
struct Shop {
    /// Orders taken.
    orders: Counter,
    /// Bytes sent.
    #[stats(unit = "bytes")]
    sent: Counter,
    /// Degrees of the oven, "hot"\
    #[stats(unit = "celsius")]
    oven: Gauge<f64>,
    /// From order to bill.
    bill: Timer,
    /// Size of an order.
    #[stats(unit = "bytes", error = 0.02, range(100, 1_000_000))]
    size: Histogram,
    /// From order to delivery.
    #[stats(error = 0.02)]
    delivery: Latency,
    /// What the cook does.
    cook: StateSet<Phase>,
    /// Requests by method and code.
    #[stats(labels("method", "code"))]
    requests: Family<Counter, 2>,
    /// What was said.
    log: Events,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => shop(),
        ["many", ref rest @ ..] => many(rest),
        _ => panic!("nothing, or many PROGRAMS [FIELDS [KINDS [FIRST]]]"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn shop() {
    let shop: Publisher<Shop> = Options::new().start().expect("a publisher");
    shop.record_panics().expect("room for panics");
    let stats = shop.lane().expect("a lane");
    println!("done");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line of text");
        let (order, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let numbers = || rest.split(' ').map(number);
        match order {
            "orders" => stats.orders.add(number(rest)),
            "sent" => stats.sent.add(number(rest)),
            "oven" => stats.oven.set(rest.parse().expect("a number")),
            "bill" => numbers().for_each(|time| stats.bill.record(Duration::from_nanos(time))),
            "size" => numbers().for_each(|size| stats.size.record(size)),
            "delivery" => {
                numbers().for_each(|time| stats.delivery.record(Duration::from_nanos(time)));
            }
            "cook" => stats.cook.set(match rest {
                "idle" => Phase::Idle,
                "busy" => Phase::Busy,
                _ => Phase::Broken,
            }),
            "requests" => {
                let (attributes, count) = rest.rsplit_once(' ').expect("METHOD CODE COUNT");
                let (method, code) = attributes.split_once(' ').expect("METHOD CODE COUNT");
                stats.requests.get(&[method, code]).add(number(count));
            }
            "say" => assert!(stats.log.record(rest), "the line is too long"),
            "panic" => {
                let text = rest.to_owned();
                assert!(std::thread::spawn(move || panic!("{text}")).join().is_err(), "a panic");
            }
            _ => panic!("no such order: {line}"),
        }
        println!("done");
    }
}

fn many(arguments: &[&str]) {
    let at = |index: usize, default| arguments.get(index).map_or(default, |text| number(text));
    let is_mixed = match arguments.get(2) {
        None | Some(&"counters") => false,
        Some(&"mixed") => true,
        Some(kinds) => panic!("neither counters nor mixed: {kinds}"),
    };
    let has_system = arguments.len() > 2;
    let (programs, fields, first) = (at(0, 1), at(1, 50), at(3, 0));
    let numbers = first..first + programs;
    // A gauge counts while its lane is in use.
    let publishers: Vec<(Lane, Publisher<Lane>)> =
        numbers.map(|program| one_of_many(program, fields, is_mixed, has_system)).collect();
    println!("done");
    let _ = std::io::stdin().read_line(&mut String::new());
    drop(publishers);
}

/// A program whose fields have its number.
fn one_of_many(
    program: u64,
    fields: u64,
    is_mixed: bool,
    has_system: bool,
) -> (Lane, Publisher<Lane>) {
    let mut schema = Schema::new();
    let (mut counters, mut gauges, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    for field in 0..fields {
        let label = format!("many.{field:02}");
        match field % 10 {
            7 | 8 if is_mixed => gauges.push(schema.add::<Gauge<f64>>(label, FieldOptions::new())),
            9 if is_mixed => histograms.push(schema.add::<Latency>(label, FieldOptions::new())),
            _ => counters.push(schema.add::<Counter>(label, FieldOptions::new())),
        }
    }
    let mut options = Options::new().schema(schema).without_watcher().lanes(1).post_mortems(None);
    if !has_system {
        options = options.without_system_fields();
    }
    let publisher: Publisher<Lane> = options.name("many").start().expect("a publisher");
    let lane = publisher.lane().expect("a lane");
    for key in counters {
        lane.attach(key).expect("a counter").add(program);
    }
    for key in gauges {
        lane.attach(key).expect("a gauge").set(f64::from(u32::try_from(program).expect("small")));
    }
    for key in histograms {
        let histogram = lane.attach(key).expect("a histogram");
        // From a microsecond to some milliseconds, as answers of a service.
        let mut time = Duration::from_micros(1);
        for _ in 0..100 {
            histogram.record(time);
            time = time * 11 / 10;
        }
        histogram.record(Duration::from_micros(program));
    }
    (lane, publisher)
}
