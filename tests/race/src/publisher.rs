//! The same through `mmstats` and `mmstats-observe`: lanes, families, fields added at run time.
//!
//! The observer maps the file at another address, and ThreadSanitizer does not know that the memory is
//! the same: it checks the data that threads of the publisher share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mmstats::{
    Activity, Counter, Events, Family, FieldOptions, Gauge, Histogram, Options, Publisher,
    SharedActivity, Stats, Text,
};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};

use crate::meetings::Meetings;

/// The published fields.
#[derive(Stats)]
struct Few {
    counter: Counter,
    gauge: Gauge<i64>,
    text: Text<32>,
    sizes: Histogram,
    log: Events<32>,
    #[stats(labels("digit"))]
    digits: Family<Counter, 1>,
    doing: Activity,
    requests: SharedActivity,
}

fn update(few: &Few, n: u64) {
    few.counter.incr();
    few.gauge.set(1);
    few.text.set("some text");
    few.sizes.record(n);
    few.log.record("a line");
    // Both begin on this thread; the shared one has threads beside it.
    let (doing, request) = (few.doing.begin("a step"), few.requests.begin("a request"));
    request.set("the same request");
    few.digits.get(&[["0", "1", "2", "3"][(n % 4) as usize]]).incr();
    drop((doing, request));
}

pub(crate) fn run() {
    let directory = std::env::temp_dir().join(format!("mmstats-race-{}", std::process::id()));
    let publisher: Publisher<Few> =
        Options::new().directory(&directory).lanes(4).start().expect("a publisher");
    let shared = publisher.shared::<u64>("shared", FieldOptions::new()).expect("a field");
    let done = [const { AtomicBool::new(false) }; 2];
    let write = |done: &AtomicBool| {
        while !done.load(Ordering::Relaxed) {
            if let Ok(key) = publisher.add::<Counter>("late", FieldOptions::new()) {
                publisher.retire(key).expect("the field exists");
            }
            let few = publisher.lane().expect("a lane");
            for n in 0..200 {
                publisher.with(|few| update(few, n));
                update(&few, n);
                shared.set(n);
                shared.add(1);
            }
        }
    };
    thread::scope(|scope| {
        let [first, second] = &done;
        let writers = [scope.spawn(|| write(first)), scope.spawn(|| write(second))];
        let mut observer = Observer::new(Sources::new().path(&directory));
        let (mut meetings, mut last) = (Meetings::new(), None);
        loop {
            observer.refresh();
            let all = totals(observer.files());
            let counter = all.into_iter().find(|total| total.field.label == "counter");
            let now = counter.and_then(|total| total.reading.value);
            let met = matches!(now, Some(OwnedValue::Unsigned(_))) && now != last;
            // More updates between two looks than in the image program.
            if !(0..20).all(|_| meetings.go_on(met)) {
                break;
            }
            last = now;
        }
        // In turn: a thread that ends releases its lane.
        for (writer, done) in writers.into_iter().zip(&done) {
            done.store(true, Ordering::Relaxed);
            writer.join().expect("a writer");
        }
    });
    drop(publisher);
    std::fs::remove_dir_all(&directory).expect("the owner may");
}
