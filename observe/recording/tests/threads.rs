//! Threads in recordings, of publishers in this process.
// /proc, and locks, which need words of 64 bits.
#![cfg(all(target_os = "linux", target_pointer_width = "64", target_has_atomic = "64"))]

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, SystemTime};

use mmstats::sync::Mutex;
use mmstats_history::{Options, ProgramKey, Sampler};
use mmstats_observe::Sources;
use mmstats_recording::{Limits, Recorder, Recording, State, Store, Threads, repair};

#[derive(mmstats::Stats)]
struct Work {
    doing: mmstats::Activity<32>,
}

static ACCOUNTS: Mutex<u64> = Mutex::new("accounts", 0);
static LOG: Mutex<u64> = Mutex::new("log", 0);
static BOTH: Barrier = Barrier::new(2);

/// Two threads that wait for each other until the end of this process.
fn lock_up() {
    let lock = |name: &str, first: &'static Mutex<u64>, second: &'static Mutex<u64>| {
        let work = move || {
            let _first = first.lock();
            BOTH.wait();
            drop(second.lock());
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(work).unwrap();
    };
    lock("transfer", &ACCOUNTS, &LOG);
    lock("audit", &LOG, &ACCOUNTS);
}

fn start(directory: &Path, file: &Path, has_threads: bool) -> (Sampler, Recorder) {
    let every = Duration::from_millis(100);
    let recorder = Recorder::new(Store::open(file, Limits::default()).unwrap().0, every, "test");
    let recorder = if has_threads { recorder } else { recorder.without_threads() };
    let mut options = Options::new(Sources::new().path(directory));
    options.every = every;
    options.on_look = Some(recorder.on_look(|_| None));
    options.on_frame = Some(recorder.on_frame());
    (Sampler::start(options).unwrap(), recorder)
}

/// The codes of the findings, and the names of the threads; `None` if there is no report.
fn told(threads: &Threads) -> Option<(Vec<&'static str>, Vec<String>)> {
    let Threads::Looked { report, .. } = threads else { return None };
    let codes = report.findings.iter().map(mmstats_threads::Finding::code).collect();
    Some((codes, report.threads.iter().filter_map(|thread| thread.name.clone()).collect()))
}

fn has_deadlock(threads: &Threads) -> bool {
    told(threads).is_some_and(|(codes, _)| codes.contains(&"deadlock"))
}

/// The program of a state, and what its threads did.
fn threads(state: &State) -> (ProgramKey, Threads) {
    let program = state.programs().next().unwrap();
    (program.look().key, state.threads(program))
}

/// The first time at which a deadlock is told, and the number of looks with a deadlock.
fn first_deadlock(recording: &Recording) -> (Option<SystemTime>, usize) {
    let (mut frames, mut first, mut count) = (recording.frames(), None, 0);
    while let Some(state) = frames.next().unwrap() {
        if has_deadlock(&threads(state).1) {
            first = first.or(Some(state.time()));
            count += 1;
        }
    }
    (first, count)
}

struct Place {
    _directory: tempfile::TempDir,
    stats: PathBuf,
    file: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let (stats, file) = (directory.path().join("stats"), directory.path().join("a.jsonl.gz"));
    std::fs::create_dir(&stats).unwrap();
    Place { _directory: directory, stats, file }
}

#[test]
fn deadlock_is_told_from_its_look_on_and_not_before() {
    let place = place();
    let options = mmstats::Options::new().directory(&place.stats);
    let publisher = options.name("bank").init::<Work>().unwrap();
    let lane = publisher.lane().unwrap();
    let activity = lane.doing.begin("serve");
    let (sampler, recorder) = start(&place.stats, &place.file, true);
    std::thread::sleep(Duration::from_millis(2_500));
    let locked = SystemTime::now();
    lock_up();
    activity.set("wait for the end");
    std::thread::sleep(Duration::from_millis(4_500));
    let end = SystemTime::now();
    drop((sampler, activity));
    recorder.finish();
    let status = recorder.status();
    assert_eq!((status.problem, status.threads_left_out), (None, 0));

    let recording = Recording::open([&place.file]).unwrap();
    let (first, looks) = first_deadlock(&recording);
    let late = first.unwrap().duration_since(locked).unwrap();
    // Two looks find it unchanged.
    assert!(late > Duration::from_millis(500) && late < Duration::from_secs(4), "{late:?}");
    assert!(looks >= 5, "{looks}");
    let before = recording.at(locked - Duration::from_millis(100)).unwrap().unwrap();
    let (codes, names) = told(&threads(&before).1).unwrap();
    assert_eq!(codes, [""; 0]);
    assert!(!names.iter().any(|name| name == "audit"), "{names:?}");
    let at_end = recording.at(end).unwrap().unwrap();
    let Threads::Looked { report, .. } = threads(&at_end).1 else { panic!("no report") };
    let finding = report.findings[0].to_string();
    assert!(finding.starts_with("deadlock: "), "{finding}");
    for text in ["transfer waits for \"log\" held by audit (", "audit waits for \"accounts\""] {
        let text = text.trim_start_matches("audit ");
        assert!(finding.contains(text), "{finding}");
    }
    let age = end.duration_since(locked).unwrap().as_secs();
    let ages = [format!("({}s)", age - 1), format!("({age}s)"), format!("({}s)", age - 2)];
    assert!(ages.iter().any(|age| finding.contains(age)), "{ages:?} {finding}");
    let serves = report.threads.iter().flat_map(|thread| &thread.activities);
    assert_eq!(serves.map(|one| &*one.text).collect::<Vec<_>>(), ["wait for the end"]);
    assert!(report.process.as_ref().is_some_and(|process| process.memory > 0));

    // The same at the moments of a replay, also if it does not begin at the beginning.
    let key = threads(&at_end).0;
    for from in [None, Some(locked)] {
        let recording = Recording::open([&place.file]).unwrap();
        let mut replay = recording.replay(64 << 20, from, None).unwrap();
        let now = replay.sampler.clock().now();
        let day = |at| replay.sampler.clock().time_of_day(at);
        let found = replay.threads.at(key, now);
        assert!(has_deadlock(&found));
        let Threads::Looked { before, .. } = found else { panic!("no report") };
        assert!(before.is_some());
        let mut at = now;
        while has_deadlock(&replay.threads.at(key, at)) {
            at = at.before(Duration::from_millis(10));
        }
        let changed = day(at).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let first = first.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((changed - first).abs() < 0.05, "{changed} {first}");
        let early = at.before(Duration::from_secs(3));
        let (codes, _) = told(&replay.threads.at(key, early)).expect("a report");
        // On a busy machine its threads may be told as waiting for a processor.
        assert!(!codes.contains(&"deadlock"), "{codes:?}");
    }

    // A file that is cut is told until the cut.
    let bytes = std::fs::read(&place.file).unwrap();
    let cut = place.file.with_file_name("cut.jsonl.gz");
    // As short as a look is lost: a busy machine makes few.
    let lost = (1..bytes.len()).step_by(20).find_map(|lost| {
        std::fs::write(&cut, &bytes[..bytes.len() - lost]).unwrap();
        let recording = Recording::open([&cut]).unwrap();
        let (found, less) = first_deadlock(&recording);
        (less < looks).then(|| (recording.cuts().count(), found, less))
    });
    let (cuts, found, less) = lost.unwrap();
    assert_eq!((cuts, found), (1, first));
    assert!(less > 0, "{less} of {looks}");
    let whole = place.file.with_file_name("whole.jsonl.gz");
    repair(&cut, &whole).unwrap();
    assert_eq!(first_deadlock(&Recording::open([&whole]).unwrap()), (first, less));
    // What a dead program did last is told as of its death.
    drop(publisher);
}

#[test]
fn recording_without_threads_says_so() {
    let place = place();
    let options = mmstats::Options::new().directory(&place.stats);
    let _publisher = options.name("quiet").start::<mmstats::Lane>().unwrap();
    let (sampler, recorder) = start(&place.stats, &place.file, false);
    std::thread::sleep(Duration::from_millis(500));
    drop(sampler);
    recorder.finish();
    drop(recorder);
    let recording = Recording::open([&place.file]).unwrap();
    let mut frames = recording.frames();
    let key = {
        let state = frames.next().unwrap().unwrap();
        assert_eq!(state.threads_every(), None);
        let (key, threads) = threads(state);
        assert!(matches!(threads, Threads::NotRecorded));
        key
    };
    let mut replay = Recording::open([&place.file]).unwrap().replay(1 << 20, None, None).unwrap();
    let now = replay.sampler.clock().now();
    assert!(matches!(replay.threads.at(key, now), Threads::NotRecorded));

    // A recorder with threads continues the file.
    let (sampler, recorder) = start(&place.stats, &place.file, true);
    std::thread::sleep(Duration::from_millis(1_500));
    drop(sampler);
    recorder.finish();
    let mut replay = Recording::open([&place.file]).unwrap().replay(1 << 20, None, None).unwrap();
    let now = replay.sampler.clock().now();
    assert!(matches!(replay.threads.at(key, now), Threads::Looked { .. }));
    let first = mmstats_history::Moment::default();
    assert!(matches!(replay.threads.at(key, first), Threads::NotRecorded));
}
