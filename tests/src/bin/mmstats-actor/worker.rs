//! A worker of an application, which lives for a moment.

use std::path::Path;
use std::sync::atomic::Ordering;

use mmstats::{Counter, Options, Publisher, Stats};
use mmstats_tests::word::SharedWord;

#[derive(Stats)]
struct Work {
    jobs: Counter,
}

/// Counts N jobs, each between a word BEGUN and a word DONE, and ends cleanly.
pub(crate) fn run(directory: &Path, words: &[String]) {
    let [begun, done, jobs] = words else { panic!("BEGUN DONE N") };
    let word = |path: &String| SharedWord::open(Path::new(path)).expect("a word");
    let (begun, done) = (word(begun), word(done));
    let options = Options::new().directory(directory).name("worker").application("shop");
    let worker: Publisher<Work> = options.start().expect("a publisher");
    let work = worker.lane().expect("a lane");
    for _ in 0..jobs.parse::<u64>().expect("a number") {
        begun.get().fetch_add(1, Ordering::SeqCst);
        work.jobs.incr();
        done.get().fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
}
