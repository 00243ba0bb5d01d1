//! Recordings of a real program.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats::{Activity, Counter, Family, Gauge, Histogram, Options, Stats, Timer};
use mmstats_history::{OnFrame, Sampler};
use mmstats_observe::Sources;
use mmstats_recording::{Limits, Recorder, Store};
use serde_json::Value;

use crate::common;

#[derive(Stats)]
pub(crate) struct Web {
    #[stats(labels("status"))]
    requests: Family<Counter, 1>,
    #[stats(unit = "bytes")]
    queue: Gauge<u64>,
    #[stats(unit = "seconds")]
    busy: Timer,
    #[stats(error = 0.05, range(1, 1_000_000))]
    sizes: Histogram<u64>,
    pub(crate) doing: Activity<24>,
}

/// A directory with a recording of one program, beside the directory of its files.
pub(crate) struct Recorded {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) file: PathBuf,
    /// A moment at which the queue was this long.
    pub(crate) moments: Vec<(SystemTime, u64)>,
    pub(crate) publisher: mmstats::Publisher<Web>,
}

impl Recorded {
    pub(crate) fn stats(&self) -> PathBuf {
        self.directory.path().join("stats")
    }

    pub(crate) fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }
}

/// Looks at the files of a directory 50 times a second, and records it.
pub(crate) fn start(stats: &Path, file: &Path) -> (Sampler, Recorder) {
    let every = Duration::from_millis(20);
    let (store, _) = Store::open(file, Limits::default()).unwrap();
    let recorder = Recorder::new(store, every, "test");
    let mut options = mmstats_history::Options::new(Sources::new().path(stats));
    options.every = every;
    options.on_look = Some(recorder.on_look(|_| Some("running")));
    let writer = recorder.clone();
    options.on_frame = Some(OnFrame::new(move |frame| writer.record(frame)));
    (Sampler::start(options).unwrap(), recorder)
}

/// A program without a recording yet.
pub(crate) fn published() -> Recorded {
    let directory = tempfile::tempdir().unwrap();
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let file = directory.path().join("web.jsonl.gz");
    let publisher = Options::new().directory(&stats).start::<Web>().unwrap();
    Recorded { directory, file, moments: Vec::new(), publisher }
}

/// Sets the queue to 1, 2, 3, each for some looks.
pub(crate) fn recorded() -> Recorded {
    let mut web = published();
    let lane = web.publisher.lane().unwrap();
    let doing = lane.doing.begin("GET /");
    let (sampler, recorder) = start(&web.stats(), &web.file);
    for queue in 1..=3_u64 {
        lane.queue.set(queue);
        lane.requests.get(&["200"]).add(10 * queue);
        lane.requests.get(&["500"]).add(queue);
        lane.busy.record(Duration::from_millis(queue));
        (1..=100).for_each(|n| lane.sizes.record(n * queue));
        let seen = sampler.looks();
        sampler.wait(seen + 3, Duration::from_secs(10));
        web.moments.push((SystemTime::now(), queue));
        sampler.wait(sampler.looks() + 1, Duration::from_secs(10));
    }
    drop(sampler);
    recorder.finish();
    std::mem::forget(doing);
    std::mem::forget(lane);
    web
}

pub(crate) fn at(time: SystemTime) -> String {
    format!("@{}", time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64())
}

pub(crate) fn find<'a>(document: &'a Value, label: &str) -> &'a Value {
    common::field(document, label)
}
