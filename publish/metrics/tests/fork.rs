//! The facade in a forked child.
#![allow(missing_docs, unsafe_code)]
#![cfg(target_os = "linux")] // fork

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use metrics::{Unit, counter, describe_counter, describe_histogram, gauge, histogram};
use mmstats::{Lane, Options};
use mmstats_metrics::Recorder;
use mmstats_observe::{Observer, OwnedValue, Sources};

const PARENT: &str = "MMSTATS_TEST_FORK";

/// Publishes, forks, and publishes in the child as `how` says.
fn parent(how: &str) -> ! {
    let _guard = mmstats_metrics::install().unwrap();
    describe_counter!("new", "Only in the child.");
    describe_histogram!("sizes", Unit::Bytes, "Sizes of answers.");
    let (kept, depth, sizes) = (counter!("kept"), gauge!("depth"), histogram!("sizes"));
    let use_all = |n: u64| {
        kept.increment(n);
        counter!("requests").increment(n);
        counter!("outside").absolute(n);
        #[allow(clippy::cast_precision_loss)] // Small.
        depth.set(n as f64);
        sizes.record(1.0);
    };
    use_all(1);
    // SAFETY: this thread is the only one that uses the library.
    let child = unsafe { libc::fork() };
    if child == 0 {
        counter!("new").increment(5); // Before there is a publisher: seen nowhere.
        let _mine = match how {
            "install" => Some(mmstats_metrics::install().unwrap()),
            "init" => Some(mmstats::init()),
            _ => {
                let own = Box::leak(Box::new(Options::new().start::<Lane>().unwrap()));
                Recorder::new(&own.registry()).install().unwrap();
                None
            }
        };
        use_all(1_000);
        counter!("new").increment(3);
        std::thread::spawn(|| counter!("new").increment(4)).join().unwrap();
        println!("ready {}", std::process::id());
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// The values of the program with this process id.
fn values(directory: &Path, pid: u32) -> Vec<(String, u64)> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let mut all = Vec::new();
    for file in observer.files().iter().filter(|file| file.identity().pid == Some(pid)) {
        for total in mmstats_observe::totals([file]) {
            let number = match total.reading.value {
                Some(OwnedValue::Unsigned(n)) => u64::try_from(n).unwrap(),
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Small.
                Some(OwnedValue::F64(n)) => n as u64,
                Some(OwnedValue::Histogram(h)) => u64::try_from(h.count()).unwrap(),
                _ => continue,
            };
            let label = total.field.label.clone();
            if !label.starts_with("sys.") && !label.starts_with("process.") {
                all.push((label, number));
            }
        }
    }
    all.sort();
    all
}

/// Unit and help of a field of the program with this process id.
fn about(directory: &Path, pid: u32, label: &str) -> (String, String) {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let mut of_program =
        observer.files().iter().filter(|file| file.identity().pid == Some(pid)).flat_map(|file| {
            let all = mmstats_observe::totals([file]);
            all.into_iter().filter(|total| total.field.label == label)
        });
    let field = of_program.next().unwrap().field;
    (field.unit.as_str().to_owned(), (*field.help).to_owned())
}

#[test]
fn child_that_publishes_shows_its_metrics() {
    if let Ok(how) = std::env::var(PARENT) {
        parent(&how);
    }
    for how in ["install", "init", "own"] {
        let place = tempfile::tempdir().unwrap();
        let mut program = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_publishes_shows_its_metrics", "--nocapture"])
            .env(PARENT, how)
            .env("MMSTATS_PATH", place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = program.stdout.take().unwrap();
        let mut text = String::new();
        let child = loop {
            let mut byte = [0];
            assert_eq!(out.read(&mut byte).unwrap(), 1, "{how}: {text}");
            text.push(char::from(byte[0]));
            let line = text.strip_suffix('\n').and_then(|text| text.lines().last());
            if let Some(pid) = line.and_then(|line| line.split("ready ").nth(1)) {
                break pid.parse().unwrap();
            }
        };
        let (of_parent, of_child) =
            (values(place.path(), program.id()), values(place.path(), child));
        let described = ["sizes", "new"].map(|label| about(place.path(), child, label));
        // SAFETY: has no precondition; the child is still there, because it only sleeps.
        unsafe { libc::kill(i32::try_from(child).unwrap(), libc::SIGKILL) };
        program.kill().unwrap();
        program.wait().unwrap();
        let pairs = |pairs: &[(&str, u64)]| -> Vec<_> {
            pairs.iter().map(|(label, n)| ((*label).to_owned(), *n)).collect()
        };
        let wanted = [("depth", 1), ("kept", 1), ("outside", 1), ("requests", 1), ("sizes", 1)];
        assert_eq!(of_parent, pairs(&wanted), "{how}");
        let wanted = [
            ("depth", 1_000),
            ("kept", 1_000),
            ("new", 7),
            ("outside", 1_000),
            ("requests", 1_000),
            ("sizes", 1),
        ];
        assert_eq!(of_child, pairs(&wanted), "{how}");
        let wanted = [("bytes", "Sizes of answers."), ("", "Only in the child.")];
        assert_eq!(described, wanted.map(|(a, b)| (a.to_owned(), b.to_owned())), "{how}");
    }
}
