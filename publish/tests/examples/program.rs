//! A running example, and its fields seen from outside.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mmstats_observe::{
    FieldInfo, File, FileState, HistogramValue, Observer, OwnedValue, Reading, Sources, Total,
    totals,
};

use crate::support::file_names;

/// Limit of each wait.
const LIMIT: Duration = Duration::from_secs(20);

/// A running example, which publishes in a directory of its own.
pub(crate) struct Program {
    path: PathBuf,
    child: Child,
    input: Option<ChildStdin>,
    directory: tempfile::TempDir,
}

impl Program {
    /// Starts an example, and waits for its line that the values are in place.
    pub(crate) fn start(name: &str) -> Self {
        Self::until(name, &[], "ready").0
    }

    /// Starts an example, and waits for a line that starts with `prefix`; returns that line too.
    pub(crate) fn until(name: &str, words: &[&str], start: &'static str) -> (Self, String) {
        let path = built(name);
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(&path)
            .args(words)
            .env("MMSTATS_PATH", directory.path())
            .env_remove("MMSTATS_FILES")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let program = Self { path, child, input, directory };
        let (sender, ready) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            // A missing line drops the sender, which ends the wait.
            if let Some(line) = lines.find(|line| line.starts_with(start)) {
                let _ = sender.send(line);
            }
            lines.for_each(drop);
        });
        match ready.recv_timeout(LIMIT) {
            Ok(line) => (program, line),
            Err(error) => panic!("{name} is not ready: {error}"),
        }
    }

    /// The program's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its fields as they are now.
    pub(crate) fn look(&self) -> Seen {
        let mut observer = Observer::new(Sources::new().path(self.directory.path()));
        observer.refresh();
        let problems: Vec<_> = observer.problems().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{problems:?}");
        let identity = observer.programs()[0].identity();
        assert_eq!(identity.pid, Some(self.child.id()));
        let totals = totals(observer.files());
        Seen { observer, totals }
    }

    /// Writes to its standard input.
    pub(crate) fn write(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the condition holds.
    pub(crate) fn wait(&self, what: &str, is: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is() {
            assert!(begin.elapsed() < LIMIT, "{}: not {what}", self.path.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert!(!status.success(), "the example ended before the signal: {status}");
    }

    /// Closes its standard input, which ends it; its file must be gone.
    pub(crate) fn end(mut self) {
        self.input = None;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < LIMIT, "{} does not end", self.path.display());
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(0));
        assert_eq!(file_names(self.directory.path()), [""; 0]);
    }
}

impl Drop for Program {
    /// Kills it, so that a failed test leaves no process.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The executable of an example, which cargo put beside the directory of the tests.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.rs"));
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    // `cargo test --test examples` builds no examples, so an old one may be there.
    assert!(
        modified(&path) >= modified(&source) && path.is_file(),
        "{} is missing or old: cargo build -p mmstats --examples",
        path.display()
    );
    path
}

/// The fields of a program at one moment.
pub(crate) struct Seen {
    observer: Observer,
    totals: Vec<Total>,
}

impl Seen {
    pub(crate) fn state(&self) -> FileState {
        self.observer.programs()[0].state()
    }

    /// Number of fields with this label.
    pub(crate) fn count(&self, label: &str) -> usize {
        self.totals.iter().filter(|total| total.field.label == label).count()
    }

    fn total(&self, label: &str) -> &Total {
        assert_eq!(self.count(label), 1, "{label}");
        self.totals.iter().find(|total| total.field.label == label).unwrap()
    }

    /// The description of the one field with this label.
    pub(crate) fn field(&self, label: &str) -> &FieldInfo {
        &self.total(label).field
    }

    /// The value, if there is one, of the one field with this label, which must be of this kind.
    pub(crate) fn reading(&self, kind: &str, label: &str) -> Reading {
        let total = self.total(label);
        assert_eq!(total.field.kind_name(), kind, "{label}");
        total.reading.clone()
    }

    /// The value of the one field with this label, which must be of this kind.
    pub(crate) fn value(&self, kind: &str, label: &str) -> OwnedValue {
        let reading = self.reading(kind, label);
        assert!(reading.is_consistent(), "{label}: {reading:?}");
        reading.value.unwrap()
    }

    pub(crate) fn histogram(&self, label: &str) -> HistogramValue {
        match self.value("histogram", label) {
            OwnedValue::Histogram(histogram) => *histogram,
            other => panic!("{label}: {other:?}"),
        }
    }

    /// The value of one field of a family.
    pub(crate) fn series(
        &self,
        kind: &str,
        label: &str,
        attributes: &[(&str, &str)],
    ) -> Option<OwnedValue> {
        let is = |total: &&Total| {
            let field = &total.field;
            field.label == label && field.attributes().eq(attributes.iter().copied())
        };
        let total = self.totals.iter().find(is);
        let total = total.unwrap_or_else(|| panic!("{label} has no {attributes:?}"));
        assert_eq!(total.field.kind_name(), kind, "{label}");
        total.reading.value.clone()
    }

    /// The lines of events of all threads, by time.
    pub(crate) fn lines(&self, label: &str) -> Vec<String> {
        let (file, index) = self.place(label);
        let lanes = 0..file.lanes().used;
        let mut all: Vec<_> = lanes.flat_map(|lane| file.events(index, lane, 0).unwrap()).collect();
        all.sort_by_key(|event| event.time);
        all.into_iter().map(|event| event.line.unwrap().text).collect()
    }

    /// The file of a field, and the number of the field there.
    pub(crate) fn place(&self, label: &str) -> (&File, usize) {
        let mut files = self.observer.files().iter();
        let found = files.find_map(|file| Some((file, file.find(label)?.index())));
        found.unwrap_or_else(|| panic!("there is no {label}"))
    }
}
