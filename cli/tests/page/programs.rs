//! Programs for the tests of the page: `page-programs PROGRAMS COUNTERS` publishes in `MMSTATS_PATH` until its
//! standard input ends. Each program has so many counters, a family, a gauge and a histogram; all move.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mmstats::{Counter, FieldOptions, Gauge, Histogram, Lane, Options, Publisher, Schema};

/// Time between two changes of all fields.
const PAUSE: Duration = Duration::from_millis(40);
/// Attributes of the family, and how fast each of its counters grows.
const REQUESTS: [(&str, &str, u64); 4] =
    [("GET", "200", 10), ("GET", "500", 1), ("POST", "200", 40), ("POST", "500", 2)];

/// The fields of a program, before they have a thread.
struct Declared {
    publisher: Publisher<Lane>,
    counters: Vec<mmstats::Key<Counter>>,
    requests: Vec<mmstats::Key<Counter>>,
    queue: mmstats::Key<Gauge<u64>>,
    sizes: mmstats::Key<Histogram<u64>>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let programs = arguments.next().ok_or("how many programs?")??;
    let counters = arguments.next().ok_or("how many counters?")??;
    let directory = std::env::var_os("MMSTATS_PATH").ok_or("MMSTATS_PATH says where")?;
    let declared = (0..programs).map(|number| declare(number, counters, directory.as_ref()));
    let declared = declared.collect::<Result<Vec<_>, _>>()?;
    let mut moving = Vec::new();
    for program in &declared {
        let lane = program.publisher.lane()?;
        let attach = |keys: &[mmstats::Key<Counter>]| {
            keys.iter().map(|key| lane.attach(*key)).collect::<Result<Vec<_>, _>>()
        };
        let (counters, requests) = (attach(&program.counters)?, attach(&program.requests)?);
        moving.push((counters, requests, lane.attach(program.queue)?, lane.attach(program.sizes)?));
    }
    static ENDED: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ENDED.store(true, Ordering::Relaxed);
    });
    for turn in 0_u64.. {
        if ENDED.load(Ordering::Relaxed) {
            break;
        }
        for (number, (counters, requests, queue, sizes)) in (1..).zip(&moving) {
            for (index, counter) in (1..).zip(counters) {
                counter.add(number + (turn + index) % 7);
            }
            for (counter, (_, _, speed)) in requests.iter().zip(REQUESTS) {
                counter.add(speed * number);
            }
            queue.set((turn / 5 + number) % 40);
            for value in 0..20 {
                sizes.record(100 * number + (turn % 50) * 20 + value * value * 10);
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn declare(
    number: usize,
    counters: usize,
    directory: &std::path::Path,
) -> Result<Declared, mmstats::Error> {
    let mut schema = Schema::new();
    let counters = (0..counters).map(|field| {
        let label = format!("group{}.counter{field}", field % 20);
        schema.add::<Counter>(label, FieldOptions::new())
    });
    let counters = counters.collect();
    let requests = REQUESTS.map(|(method, code, _)| {
        let options = FieldOptions::new().help("Requests that were answered.");
        let options = options.attribute("method", method).attribute("code", code);
        schema.add::<Counter>("http.requests", options)
    });
    let queue = schema.add("work.queue", FieldOptions::new().help("Requests that wait."));
    let sizes = schema.add("answer.size", FieldOptions::new().unit("bytes"));
    let options = Options::new().directory(directory).name(format!("program-{number}"));
    let publisher = options.lanes(1).schema(schema).start()?;
    Ok(Declared { publisher, counters, requests: requests.to_vec(), queue, sizes })
}
