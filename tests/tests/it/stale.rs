//! 10,000 programs that died left their files: the next one starts without delay.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use mmstats_observe::FileState;
use mmstats_tests::look::{look, unsigned};

use mmstats_tests::actor::{Actor, amount, directory, path_of};

/// How many a process makes: less than it may have open anywhere.
const BATCH: usize = 400;
/// Limit for steps of a tenth of a second in memory, and most of a second on a slow disk.
const LIMIT: Duration = Duration::from_secs(15);

fn files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn start_among_many_dead_files_is_quick() {
    let directory = directory();
    let count = amount(10_000, 2_000);
    for _ in 0..count / BATCH {
        // Each start looks at all files of its directory.
        let apart = self::directory();
        let mut actor = Actor::start("many", apart.path(), &[&BATCH.to_string()]);
        assert_eq!(actor.line(), format!("ready {BATCH}"));
        actor.kill();
        for path in files(apart.path()) {
            std::fs::rename(&path, directory.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let all = files(directory.path());
    assert_eq!(all.len(), count);
    // From all over the place: the last 8.
    let mut newest: Vec<_> = all.iter().step_by(count / 8).cloned().collect();
    for path in &newest {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now()).unwrap();
    }
    let mut others: Vec<Actor> =
        (0..2).map(|_| Actor::start("many", directory.path(), &["3"])).collect();
    others.iter_mut().for_each(|actor| assert_eq!(actor.line(), "ready 3"));

    let start = Instant::now();
    let observer = look(directory.path());
    let live = observer.files().iter().filter(|file| file.state() == FileState::Live).count();
    assert_eq!((live, observer.files().len()), (6, count + 6));
    assert_eq!(unsigned(&observer, "hits"), (count as u128 + 6) * 7);
    let looked = start.elapsed();
    drop(observer);

    // Two at the same time, and both tidy up.
    let start = Instant::now();
    let mut programs: Vec<Actor> =
        (0..2).map(|_| Actor::start("idle", directory.path(), &["post=8"])).collect();
    let paths: Vec<_> = programs.iter_mut().map(|actor| path_of(&actor.line())).collect();
    let started = start.elapsed();
    eprintln!("{count} dead files: looked at in {looked:?}, two programs start in {started:?}");
    assert!(looked < LIMIT && started < LIMIT, "{looked:?} {started:?}");
    // A start has a bounded time for tidying; the next ones go on.
    for _ in 0..500 {
        if files(directory.path()).len() <= 16 {
            break;
        }
        let mut more = Actor::start("idle", directory.path(), &["post=8"]);
        more.line();
        more.succeeds();
    }

    let observer = look(directory.path());
    let with = |state| {
        let files = observer.files().iter().filter(move |file| file.state() == state);
        files.map(|file| file.path().to_owned()).collect::<Vec<_>>()
    };
    newest.sort();
    assert_eq!(with(FileState::Dead), newest, "the newest 8 stay");
    let live = with(FileState::Live);
    assert!(paths.iter().all(|path| live.contains(path)), "{live:?}");
    assert_eq!((live.len(), files(directory.path()).len()), (8, 16));
    for program in &mut programs {
        assert_eq!(program.ask("look hits"), "8 of 16 live, 98");
    }
}
