//! A test that runs as a program of its own, and what an observer sees of its locks.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use mmstats_observe::{Observer, OwnedValue, Sources};

const ROLE: &str = "MMSTATS_TEST_SYNC";

/// A program that this test starts; it is killed at the end.
pub(crate) struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    place: tempfile::TempDir,
}

/// Calls `program` in a process of its own, and `observe` in this one. `test` is the name of the calling
/// test.
pub(crate) fn run(test: &str, program: impl FnOnce(), observe: impl FnOnce(&mut Program)) {
    if std::env::var_os(ROLE).is_some() {
        program();
        step("end");
        std::process::exit(0);
    }
    let place = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "program")
        .env("MMSTATS_PATH", place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut program = Program { child, input, output: BufReader::new(output), place };
    observe(&mut program);
    program.kill();
}

/// In the program: says where it is, and goes on when it is told to.
pub(crate) fn step(name: &str) {
    println!("\n@{name}");
    assert!(std::io::stdin().read_line(&mut String::new()).unwrap() > 0, "the test has ended");
}

impl Program {
    /// Waits until the program is at [`step`] `name`.
    pub(crate) fn at(&mut self, name: &str) {
        assert_eq!(self.at_prefix(name), "");
    }

    /// Waits for a step whose name begins with `prefix`; returns the rest.
    pub(crate) fn at_prefix(&mut self, prefix: &str) -> String {
        let mut lines = String::new();
        loop {
            assert!(self.output.read_line(&mut lines).unwrap() > 0, "no step {prefix}: {lines}");
            let name = lines.lines().last().and_then(|line| line.strip_prefix('@'));
            if let Some(rest) = name.and_then(|name| name.strip_prefix(prefix)) {
                return rest.to_owned();
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of its files.
    pub(crate) fn size(&self) -> u64 {
        let files = std::fs::read_dir(self.place.path()).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }

    /// Lets it go on, and waits for the next step.
    pub(crate) fn go(&mut self, next: &str) {
        self.input.write_all(b"\n").unwrap();
        self.at(next);
    }

    pub(crate) fn look(&self) -> Seen {
        Seen::new(self.place.path(), self.child.id())
    }

    pub(crate) fn look_at(&self, pid: u32) -> Seen {
        Seen::new(self.place.path(), pid)
    }

    /// Looks until `is_wanted`, and then once more: a look is no single moment.
    pub(crate) fn look_until(&self, is_wanted: impl Fn(&Seen) -> bool) -> Seen {
        let begin = Instant::now();
        loop {
            let seen = self.look();
            if is_wanted(&seen) {
                return self.look();
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "{seen:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it with SIGKILL, or its like.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// The published locks of a program.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Seen {
    /// By number.
    pub(crate) locks: BTreeMap<u64, Lock>,
    pub(crate) threads: BTreeMap<u64, Thread>,
    pub(crate) refused: Option<u64>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Lock {
    pub(crate) name: String,
    pub(crate) holder: Option<u64>,
    pub(crate) count: Option<u64>,
    pub(crate) since: Option<u64>,
    pub(crate) noticed: Option<u64>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Thread {
    pub(crate) name: String,
    /// Text and begin.
    pub(crate) waits: Vec<(String, u64)>,
    pub(crate) reading: Vec<u64>,
    pub(crate) more: u64,
}

impl Thread {
    pub(crate) fn waits_for(&self) -> Vec<&str> {
        self.waits.iter().map(|(text, _)| &**text).collect()
    }
}

fn number(value: &OwnedValue) -> Option<u64> {
    match value {
        OwnedValue::Unsigned(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

impl Seen {
    fn new(directory: &Path, pid: u32) -> Self {
        let mut observer = Observer::new(Sources::new().path(directory));
        observer.refresh();
        let mut seen = Self::default();
        for file in observer.files().iter().filter(|file| file.identity().pid == Some(pid)) {
            for lane in 0..file.lanes().used {
                seen.add(file, lane);
            }
        }
        for lock in seen.locks.values() {
            assert!(!lock.name.is_empty(), "{seen:#?}");
        }
        seen
    }

    fn add(&mut self, file: &mmstats_observe::File, lane: u32) {
        let values = file.lane_values(lane);
        let of = |label: &str| {
            let field = file.find(label)?;
            values[field.index()].value.clone()
        };
        let id = of("sys.tid").and_then(|id| number(&id));
        let thread = id.map(|id| self.threads.entry(id).or_default());
        let mut thread = thread;
        if let (Some(thread), Some(OwnedValue::Text { text, .. })) = (&mut thread, of("sys.thread"))
        {
            thread.name = text;
        }
        for (field, reading) in file.fields().zip(&values).filter(|(f, _)| !f.is_retired()) {
            if !field.label().starts_with("sys.lock.") {
                continue;
            }
            let attribute = |wanted| field.attributes().find(|(key, _)| *key == wanted);
            let lock = attribute("id").map(|(_, id)| {
                let lock = self.locks.entry(id.parse().unwrap()).or_default();
                lock.name = attribute("lock").unwrap().1.to_owned();
                lock
            });
            let Some(value) = &reading.value else { continue };
            let n = number(value);
            match (field.label(), lock, &mut thread) {
                ("sys.lock.holder", Some(lock), None) => lock.holder = n,
                ("sys.lock.count", Some(lock), None) => lock.count = n,
                ("sys.lock.since", Some(lock), None) => {
                    lock.since = match value {
                        OwnedValue::Unsigned(_) => n,
                        other => panic!("{other:?}"),
                    };
                }
                ("sys.lock.noticed", Some(lock), None) => lock.noticed = n,
                ("sys.lock.refused", None, None) => self.refused = n,
                ("sys.lock.reading", None, Some(thread)) => {
                    thread.reading.extend(n.filter(|n| *n != 0));
                }
                ("sys.lock.reading.more", None, Some(thread)) => thread.more = n.unwrap(),
                ("sys.lock.waits", None, thread) => {
                    let OwnedValue::Activity(value) = value else { panic!("{value:?}") };
                    let rows = value.rows.iter().map(|row| (row.text.clone(), row.since.unwrap()));
                    let rows: Vec<_> = rows.collect();
                    match thread {
                        Some(thread) => thread.waits.extend(rows),
                        None => assert!(rows.is_empty(), "{rows:?}"),
                    }
                }
                other => panic!("{other:?} in lane {lane}: {value:?}"),
            }
        }
    }

    /// The only lock with this name.
    pub(crate) fn lock(&self, name: &str) -> &Lock {
        let mut found = self.locks.values().filter(|lock| lock.name == name);
        let lock = found.next().unwrap_or_else(|| panic!("{name}: {self:#?}"));
        assert!(found.next().is_none(), "{self:#?}");
        lock
    }

    /// The number of the only lock with this name.
    pub(crate) fn id(&self, name: &str) -> u64 {
        self.lock(name);
        *self.locks.iter().find(|(_, lock)| lock.name == name).unwrap().0
    }

    /// Id and thread, by name.
    pub(crate) fn thread(&self, name: &str) -> (u64, &Thread) {
        let mut found = self.threads.iter().filter(|(_, thread)| thread.name == name);
        let (id, thread) = found.next().unwrap_or_else(|| panic!("{name}: {self:#?}"));
        (*id, thread)
    }

    /// Number of threads that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.threads.values().map(|thread| thread.waits.len()).sum()
    }
}
