//! Bytes a sample of 60 fields at 10 Hz. `MMSTATS_SECONDS` is the time.

use std::time::{Duration, Instant};

use mmstats::{Counter, Field, FieldOptions, Gauge, Histogram, Lane, Publisher, Timer};
use mmstats_history::{Options, Sampler};
use mmstats_observe::Sources;
use mmstats_recording::{Limits, Recorder, Store};

/// A sequence that no compressor guesses.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        let step = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = step.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Handles of new fields.
fn add<H: Field>(publisher: &Publisher<Lane>, lane: &Lane, kind: &str, count: usize) -> Vec<H> {
    let add = |n| {
        let label = format!("service.{kind}.number{n}");
        lane.attach(publisher.add::<H>(label, FieldOptions::new()).unwrap()).unwrap()
    };
    (0..count).map(add).collect()
}

/// Most fields change between two looks. The standard fields, which do not, are not counted as samples.
#[test]
fn sample_of_60_fields_at_10_hz_takes_4_5_bytes_at_most() {
    let seconds = std::env::var("MMSTATS_SECONDS").ok().and_then(|n| n.parse().ok());
    let seconds = Duration::from_secs(seconds.unwrap_or(12));
    let directory = tempfile::tempdir().unwrap();
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let publisher = mmstats::Options::new().directory(&stats).start::<Lane>().unwrap();
    let lane = publisher.lane().unwrap();
    let counters: Vec<Counter> = add(&publisher, &lane, "counter", 36);
    let gauges: Vec<Gauge<i64>> = add(&publisher, &lane, "gauge", 18);
    let timers: Vec<Timer> = add(&publisher, &lane, "timer", 4);
    let histograms: Vec<Histogram<u64>> = add(&publisher, &lane, "histogram", 2);
    let file = directory.path().join("size.jsonl.gz");
    let every = Duration::from_millis(100);
    let recorder = Recorder::new(Store::open(&file, Limits::default()).unwrap().0, every, "test");
    let mut options = Options::new(Sources::new().path(&stats));
    options.every = every;
    options.on_look = Some(recorder.on_look(|_| None));
    options.on_frame = Some(recorder.on_frame());
    let sampler = Sampler::start(options).unwrap();
    let (start, mut random) = (Instant::now(), Random(7));
    while start.elapsed() < seconds {
        // Rates differ: from one in ten seconds to many in each look.
        for (n, counter) in (0_u64..).zip(&counters) {
            counter.add(random.below(4 + n * n) * u64::from(random.below(100) < 10 + 5 * n));
        }
        for (n, gauge) in (0_i64..).zip(&gauges) {
            let step = i64::try_from(random.below(41)).unwrap() - 20;
            gauge.set(1_000 * n + step);
        }
        for timer in &timers {
            timer.record(Duration::from_nanos(100_000 + random.below(900_000)));
        }
        histograms.iter().for_each(|histogram| histogram.record(random.below(1_000_000)));
        std::thread::sleep(every);
    }
    drop(sampler);
    recorder.finish();
    let status = recorder.status();
    #[allow(clippy::cast_precision_loss)] // Far below 2^53.
    let bytes = status.size as f64 / (status.looks as f64 * 60.0);
    println!("{} looks, {} bytes: {bytes:.2} bytes a sample", status.looks, status.size);
    // A short recording has one keyframe, and not those of ten minutes divided by their samples.
    let keyframe = if seconds < Duration::from_secs(60) { 3_000 } else { 0 };
    assert!(status.size <= status.looks * 60 * 9 / 2 + keyframe, "{bytes}");
}
