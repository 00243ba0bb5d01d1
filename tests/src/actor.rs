//! Processes for a test: told what to do by lines, waited for with a limit, ended at drop.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest wait for anything: far more than it takes, also on a busy machine, and far
/// less than for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// The program with the roles.
const PROGRAM: &str = "mmstats-actor";

/// A program of this workspace, which lies where the one that runs does, or above its tests.
///
/// # Panics
///
/// If it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a path");
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let places = this.ancestors().skip(1).take(2).map(|place| place.join(&name));
    let found = places.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no {name} beside {}: build the workspace", this.display()))
}

/// A running `mmstats-actor`.
pub struct Actor {
    child: Child,
    /// Only after it was killed.
    stdin: Option<ChildStdin>,
    lines: Option<Receiver<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Actor {
    /// In the role and the directory, with these arguments.
    pub fn start(role: &str, directory: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(program(PROGRAM));
        command.arg(role).arg(directory).args(words);
        Self::spawn(command).by_lines()
    }

    fn by_lines(mut self) -> Self {
        let out = BufReader::new(self.child.stdout.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).all(|line| send.send(line).is_ok())
        });
        self.lines = Some(lines);
        self
    }

    /// The first line is read, the rest of the output is the caller's.
    pub fn start_raw(role: &str, directory: &Path, words: &[&str]) -> (Self, ChildStdout) {
        let mut command = Command::new(program(PROGRAM));
        command.arg(role).arg(directory).args(words);
        let mut actor = Self::spawn(command);
        let mut out = actor.child.stdout.take().expect("piped");
        let mut line = [0; 6];
        out.read_exact(&mut line).expect("a line");
        assert_eq!(&line, b"ready\n");
        (actor, out)
    }

    /// In a mount namespace of its own; `None` where there is none to be had.
    #[cfg(unix)]
    pub fn start_with_mounts(role: &str, directory: &Path, words: &[&str]) -> Option<Self> {
        Self::start_apart(&["-m"], role, directory, words)
    }

    /// As process 1 of a pid namespace of its own; `None` where there is none to be had.
    /// What is killed is the process around it, which takes it along a moment later.
    #[cfg(unix)]
    pub fn start_as_first(role: &str, directory: &Path, words: &[&str]) -> Option<Self> {
        Self::start_apart(&["-p", "-f", "--kill-child"], role, directory, words)
    }

    /// In namespaces of its own, by the options of `unshare`.
    #[cfg(unix)]
    fn start_apart(flags: &[&str], role: &str, directory: &Path, words: &[&str]) -> Option<Self> {
        let unshare = || {
            let mut command = Command::new("unshare");
            if !crate::system::is_root() {
                command.arg("-r");
            }
            command.args(flags);
            command
        };
        let able = unshare().arg("true").output();
        if !able.is_ok_and(|output| output.status.success()) {
            return None;
        }
        let mut command = unshare();
        command.arg(program(PROGRAM)).arg(role).arg(directory).args(words);
        Some(Self::spawn(command).by_lines())
    }

    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let mut err = child.stderr.take().expect("piped");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        Self { child, stdin: None, lines: None, stderr: Some(stderr) }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let lines = self.lines.as_ref().expect("not raw");
        match lines.recv_timeout(LIMIT) {
            Ok(line) => line,
            Err(error) => {
                let _ = self.child.kill();
                let status = self.child.wait();
                panic!("no line: {error}; {status:?}; {}", self.errors());
            }
        }
    }

    /// The next line, if there is one by now.
    pub fn try_line(&mut self) -> Option<String> {
        self.lines.as_ref().expect("not raw").recv_timeout(Duration::from_millis(100)).ok()
    }

    /// The next line, if it comes within `time`.
    pub fn try_for(&mut self, time: Duration) -> Option<String> {
        self.lines.as_ref().expect("not raw").recv_timeout(time).ok()
    }

    /// Asks for something, and returns the answer.
    pub fn ask(&mut self, request: &str) -> String {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{request}").expect("it listens");
        self.line()
    }

    /// Asks for something to which there is no answer.
    pub fn tell(&mut self, request: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{request}").expect("it listens");
    }

    /// Ends it by a signal that it cannot catch.
    pub fn kill(&mut self) {
        // Waiting closes it, and a process that the signal takes along must not end cleanly.
        self.stdin = self.child.stdin.take();
        self.child.kill().expect("it is ours");
        let status = self.child.wait().expect("it is ours");
        assert!(was_killed(status), "it ended before: {status:?}; {}", self.errors());
    }

    /// How it ended; it must do so by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        // Whoever waits for a line from us learns that there is none.
        drop(self.child.stdin.take());
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// It must end with exit code 0.
    pub fn succeeds(&mut self) {
        let status = self.wait();
        assert!(status.success(), "{status:?}: {}", self.errors());
    }

    /// What it printed as errors, once it has ended.
    pub fn errors(&mut self) -> String {
        self.stderr.take().map_or_else(String::new, |thread| thread.join().unwrap_or_default())
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

/// By the code with which the standard library does it.
#[cfg(not(unix))]
fn was_killed(status: ExitStatus) -> bool {
    status.code() == Some(1)
}

/// A barrier at which nobody waits for ever: when one of the threads fails, the others do
/// too, instead of hanging.
pub struct Meeting {
    size: usize,
    arrived: Mutex<usize>,
    all: Condvar,
}

impl Meeting {
    /// For so many threads.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, arrived: Mutex::new(0), all: Condvar::new() }
    }

    /// Waits until as many threads are here as are expected; once only.
    pub fn wait(&self) {
        let mut arrived = self.arrived.lock().unwrap();
        *arrived += 1;
        self.all.notify_all();
        let missing = |arrived: &mut usize| *arrived < self.size;
        let (arrived, wait) = self.all.wait_timeout_while(arrived, LIMIT, missing).unwrap();
        let count = *arrived;
        // The others want to tell as well.
        drop(arrived);
        assert!(!wait.timed_out(), "{count} of {} threads came", self.size);
    }
}

/// Says that a test cannot be run here; where `CI` is set, that is a failure.
///
/// # Panics
///
/// If `CI` is set.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be run here: {why}");
    eprintln!("skipped: {why}");
}

/// How many files are in a directory, but for those that go in a moment: Windows keeps what is
/// mapped, under a temporary name.
///
/// # Panics
///
/// If it cannot be read.
#[must_use]
pub fn count_of_files(directory: &Path) -> usize {
    let is_going =
        |name: &std::ffi::OsString| cfg!(windows) && mmstats_system::name::is_temporary(name);
    let names = std::fs::read_dir(directory).expect("a directory");
    names.map(|entry| entry.expect("an entry").file_name()).filter(|name| !is_going(name)).count()
}

/// How often, or how much of it, the same is tried: less where an emulator runs the test.
#[must_use]
pub fn amount(usual: usize, emulated: usize) -> usize {
    if std::env::var_os("MMSTATS_EMULATED").is_some() { emulated } else { usual }
}

/// A directory for one test.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}
