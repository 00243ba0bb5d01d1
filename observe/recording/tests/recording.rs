//! Recordings of publishers in this process.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mmstats::{Counter, Gauge, Histogram, Text, Timer};
use mmstats_history::{OnFrame, Options, Sampler};
use mmstats_observe::{OwnedValue, Reading, Sources};
use mmstats_recording::{Limits, Recorder, Recording, State, Store, repair};

#[derive(mmstats::Stats)]
struct Stats {
    requests: Counter,
    queue: Gauge<i64>,
    load: Gauge<f64>,
    doing: Text<16>,
    #[stats(unit = "seconds")]
    latency: Timer,
    #[stats(error = 0.05, range(1, 1_000_000))]
    sizes: Histogram<u64>,
}

/// The labels and readings of each look.
type Looks = Vec<Vec<(String, Reading)>>;

/// Records for a time while `work` runs; returns what the looks found.
fn record(file: &Path, directory: &Path, limits: Limits, work: impl FnOnce()) -> Looks {
    let (store, _) = Store::open(file, limits).unwrap();
    let every = Duration::from_millis(20);
    let recorder = Recorder::new(store, every, "test");
    let mut options = Options::new(Sources::new().path(directory));
    options.every = every;
    options.on_look = Some(recorder.on_look(|_| None));
    let looks = Arc::new(Mutex::new(Looks::new()));
    let (taken, writer) = (Arc::clone(&looks), recorder.clone());
    options.on_frame = Some(OnFrame::new(move |frame| {
        writer.record(frame);
        let fields = frame.history.programs().iter().flat_map(mmstats_history::Program::fields);
        let readings = fields.map(|field| (field.info.label.clone(), (*field.reading).clone()));
        taken.lock().unwrap().push(readings.collect());
    }));
    let sampler = Sampler::start(options).unwrap();
    sampler.wait(0, Duration::from_secs(10));
    work();
    let seen = sampler.looks();
    sampler.wait(seen + 1, Duration::from_secs(10));
    drop(sampler);
    recorder.finish();
    assert_eq!(recorder.status().problem, None);
    let looks = looks.lock().unwrap();
    assert_eq!(recorder.status().looks, looks.len() as u64);
    looks.clone()
}

/// The looks of a recording.
fn read(recording: &Recording) -> Looks {
    let mut frames = recording.frames();
    let mut looks = Looks::new();
    while let Some(state) = frames.next().unwrap() {
        let totals = state.programs().flat_map(mmstats_recording::RecordedProgram::totals);
        let readings = totals.map(|total| (total.field.label.clone(), total.reading.clone()));
        looks.push(readings.collect());
    }
    looks
}

fn publish(directory: &Path, steps: u64) -> impl FnOnce() {
    let publisher = mmstats::Options::new().directory(directory).start::<Stats>().unwrap();
    move || {
        let stats = publisher.lane().unwrap();
        for step in 0..steps {
            stats.requests.add(u64::MAX / 7 * (step % 2) + step);
            stats.queue.set(i64::try_from(step).unwrap() - 20);
            #[allow(clippy::cast_precision_loss)]
            stats.load.set(if step % 9 == 0 { f64::INFINITY } else { 0.1 * step as f64 });
            stats.doing.set(
                ["idle", "<busy>", "\u{1b}[2J", "a longer text than fits"]
                    [usize::try_from(step % 4).unwrap()],
            );
            stats.latency.record(Duration::from_micros(step * step));
            stats.sizes.record(step * 977);
            std::thread::sleep(Duration::from_millis(7));
        }
    }
}

#[test]
fn looks_of_a_recording_are_those_that_were_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.jsonl.gz");
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let looks = record(&file, &stats, Limits::default(), publish(&stats, 200));
    let recording = Recording::open([&file]).unwrap();
    assert_eq!(recording.cuts().count(), 0);
    let found = read(&recording);
    assert_eq!(found.len(), looks.len());
    for (found, made) in found.iter().zip(&looks) {
        assert_eq!(found, made);
    }
    assert!(looks.len() > 30, "{}", looks.len());
    let histogram =
        |(_, reading): &(String, Reading)| matches!(reading.value, Some(OwnedValue::Histogram(_)));
    assert!(found.last().unwrap().iter().any(histogram));
    // As a history.
    let sampler = recording.sampler(64 << 20, None, None).unwrap();
    sampler.read(|history| {
        let program = &history.programs()[0];
        for (field, (label, reading)) in program.fields().iter().zip(looks.last().unwrap()) {
            assert_eq!((&field.info.label, &*field.reading), (label, reading));
        }
        let now = sampler.clock().now();
        let field = program.fields().iter().find(|field| field.info.label == "queue").unwrap();
        assert_ne!(field.value_at(now.before(Duration::from_millis(500))), field.reading.value);
    });
    // At a moment.
    let (from, to) = recording.span();
    assert!(from < to && to <= SystemTime::now());
    assert!(recording.at(from - Duration::from_millis(1)).unwrap().is_none());
    assert!(recording.at(to).unwrap().unwrap().time() == to);
    let middle = from + to.duration_since(from).unwrap() / 2;
    let state = recording.at(middle).unwrap().unwrap();
    assert!(
        state.time() <= middle
            && middle.duration_since(state.time()).unwrap() < Duration::from_secs(1)
    );
}

#[test]
fn recording_that_is_cut_anywhere_has_all_looks_before() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.jsonl.gz");
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let looks = record(&file, &stats, Limits::default(), publish(&stats, 400));
    let bytes = std::fs::read(&file).unwrap();
    let cut = directory.path().join("cut.jsonl.gz");
    let mut last = 0;
    for step in 1..=40 {
        let size = bytes.len() * step / 40;
        std::fs::write(&cut, &bytes[..size]).unwrap();
        let Ok(recording) = Recording::open([&cut]) else {
            assert!(step < 20, "{step}");
            continue;
        };
        let found = read(&recording);
        assert!(found.len() >= last && found[..] == looks[..found.len()]);
        last = found.len();
        let repaired = directory.path().join(format!("repaired{step}.jsonl.gz"));
        repair(&cut, &repaired).unwrap();
        let repaired = Recording::open([&repaired]).unwrap();
        assert_eq!(repaired.cuts().count(), 0);
        assert_eq!(read(&repaired).len(), found.len());
        assert!(repair(&cut, repaired.paths().next().unwrap()).is_err());
    }
    assert_eq!(last, looks.len());
}

#[test]
fn fields_without_room_are_counted_in_the_recording() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.jsonl.gz");
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let publisher = mmstats::Options::new().directory(&stats).start::<mmstats::Lane>().unwrap();
    for n in 0..2_000 {
        let options = mmstats::FieldOptions::new();
        publisher.add::<mmstats::Counter>(format!("field.{n}"), options).unwrap();
    }
    let every = Duration::from_millis(20);
    let recorder = Recorder::new(Store::open(&file, Limits::default()).unwrap().0, every, "test");
    let mut options = Options::new(Sources::new().path(&stats));
    (options.every, options.budget) = (every, 1 << 20);
    options.on_look = Some(recorder.on_look(|_| None));
    options.on_frame = Some(recorder.on_frame());
    let sampler = Sampler::start(options).unwrap();
    sampler.wait(sampler.looks() + 2, Duration::from_secs(10));
    let left_out = sampler.read(|history| history.programs()[0].left_out());
    drop(sampler);
    recorder.finish();
    assert!(left_out > 100, "{left_out}");
    let recording = Recording::open([&file]).unwrap();
    let state = recording.at(recording.span().1).unwrap().unwrap();
    let unrecorded =
        |state: &State| state.programs().map(|one| one.look().unrecorded).sum::<usize>();
    assert_eq!(unrecorded(&state), left_out);
    let sampler = recording.sampler(64 << 20, None, None).unwrap();
    assert_eq!(sampler.read(|history| history.programs()[0].unrecorded), left_out);
}

#[test]
fn recording_goes_on_behind_a_cut_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.jsonl.gz");
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let first = record(&file, &stats, Limits::default(), publish(&stats, 300)).len();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 40]).unwrap();
    let second = record(&file, &stats, Limits::default(), publish(&stats, 60)).len();
    let recording = Recording::open([&file]).unwrap();
    let found = read(&recording).len();
    assert!(recording.cuts().count() == 0 && found > second + first / 2 && found <= first + second);
    // Another recorder at the same time is refused, and another file stays as it is.
    let held = Store::open(&file, Limits::default()).unwrap();
    let error = Store::open(&file, Limits::default()).unwrap_err();
    assert!(error.to_string().ends_with("another recorder writes it"), "{error}");
    drop(held);
    let other = directory.path().join("other");
    std::fs::write(&other, "my diary").unwrap();
    assert!(Store::open(&other, Limits::default()).is_err());
    assert_eq!(std::fs::read(&other).unwrap(), b"my diary");
}

#[test]
fn quota_removes_the_oldest_files_of_this_recording_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.jsonl.gz");
    let stats = directory.path().join("stats");
    std::fs::create_dir(&stats).unwrap();
    let foreign = directory.path().join("a.0001.jsonl.gz");
    std::fs::write(&foreign, "mine").unwrap();
    let mut limits = Limits::default();
    (limits.size, limits.quota) = (Some(4_000), Some(20_000));
    record(&file, &stats, limits, publish(&stats, 900));
    let sizes = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
    let sizes = sizes.filter(|entry| entry.path().is_file() && entry.path() != foreign);
    let files: Vec<_> =
        sizes.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect();
    assert!(files.len() > 1, "{files:?}");
    assert!(files.iter().map(|(_, size)| size).sum::<u64>() <= 20_000, "{files:?}");
    assert!(!file.exists() && foreign.exists());
    // In each order: those of a second have the same time of day.
    let mut paths: Vec<_> = files.into_iter().map(|(path, _)| path).collect();
    paths.sort();
    let looks = read(&Recording::open(&paths).unwrap());
    assert!(looks.len() > 20);
    paths.reverse();
    assert_eq!(read(&Recording::open(&paths).unwrap()), looks);
}
