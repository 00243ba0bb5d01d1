//! Processes for a test: told what to do by lines, waited for with a limit, ended at drop.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest wait for anything: far more than it takes, also on a busy machine, and far
/// less than for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// The program with the roles.
const PROGRAM: &str = env!("CARGO_BIN_EXE_mmstats-actor");

/// A running `mmstats-actor`.
pub(crate) struct Actor {
    child: Child,
    /// Only after it was killed.
    stdin: Option<ChildStdin>,
    lines: Option<Receiver<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Actor {
    pub(crate) fn start(role: &str, directory: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
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
    pub(crate) fn start_raw(role: &str, directory: &Path, words: &[&str]) -> (Self, ChildStdout) {
        let mut command = Command::new(PROGRAM);
        command.arg(role).arg(directory).args(words);
        let mut actor = Self::spawn(command);
        let mut out = actor.child.stdout.take().expect("piped");
        let mut line = [0; 6];
        out.read_exact(&mut line).expect("a line");
        assert_eq!(&line, b"ready\n");
        (actor, out)
    }

    /// In a mount namespace of its own; `None` where there is none to be had.
    pub(crate) fn start_with_mounts(role: &str, directory: &Path, words: &[&str]) -> Option<Self> {
        Self::start_apart(&["-m"], role, directory, words)
    }

    /// As process 1 of a pid namespace of its own; `None` where there is none to be had.
    /// What is killed is the process around it, which takes it along a moment later.
    pub(crate) fn start_as_first(role: &str, directory: &Path, words: &[&str]) -> Option<Self> {
        Self::start_apart(&["-p", "-f", "--kill-child"], role, directory, words)
    }

    /// In namespaces of its own, by the options of `unshare`.
    fn start_apart(flags: &[&str], role: &str, directory: &Path, words: &[&str]) -> Option<Self> {
        let unshare = || {
            let mut command = Command::new("unshare");
            if !mmstats_tests::system::is_root() {
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
        command.args([PROGRAM.as_ref(), role.as_ref(), directory.as_os_str()]).args(words);
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

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
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
    pub(crate) fn try_line(&mut self) -> Option<String> {
        self.lines.as_ref().expect("not raw").recv_timeout(Duration::from_millis(100)).ok()
    }

    /// Asks for something, and returns the answer.
    pub(crate) fn ask(&mut self, request: &str) -> String {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{request}").expect("it listens");
        self.line()
    }

    /// Asks for something to which there is no answer.
    pub(crate) fn tell(&mut self, request: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{request}").expect("it listens");
    }

    /// Ends it by a signal that it cannot catch.
    pub(crate) fn kill(&mut self) {
        // Waiting closes it, and a process that the signal takes along must not end cleanly.
        self.stdin = self.child.stdin.take();
        self.child.kill().expect("it is ours");
        let status = self.child.wait().expect("it is ours");
        assert_eq!(status.signal(), Some(9), "it ended before: {status:?}; {}", self.errors());
    }

    /// How it ended; it must do so by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
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
    pub(crate) fn succeeds(&mut self) {
        let status = self.wait();
        assert!(status.success(), "{status:?}: {}", self.errors());
    }

    /// What it printed as errors, once it has ended.
    pub(crate) fn errors(&mut self) -> String {
        self.stderr.take().map_or_else(String::new, |thread| thread.join().unwrap_or_default())
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A barrier at which nobody waits for ever: when one of the threads fails, the others do
/// too, instead of hanging.
pub(crate) struct Meeting {
    size: usize,
    arrived: Mutex<usize>,
    all: Condvar,
}

impl Meeting {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, arrived: Mutex::new(0), all: Condvar::new() }
    }

    /// Waits until as many threads are here as are expected; once only.
    pub(crate) fn wait(&self) {
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

/// A directory for one test.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}
