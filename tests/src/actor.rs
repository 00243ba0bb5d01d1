//! Processes for a test: they obey lines, are waited for with a limit, and end at drop.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest wait for anything, far above what a busy machine needs.
const LIMIT: Duration = Duration::from_secs(60);

/// The program with the roles.
const PROGRAM: &str = "mmstats-actor";

/// Path of a program of this workspace: beside the running one, or a folder above it.
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
    /// Starts the role in the directory, with these arguments.
    pub fn start(role: &str, directory: &Path, words: &[&str]) -> Self {
        Self::start_program(&program(PROGRAM), role, directory, words)
    }

    /// Starts the role in a copy of the program, which may have another name.
    pub fn start_program(program: &Path, role: &str, directory: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(program);
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

    /// Starts a role. The caller reads its output after the first line.
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

    /// Starts a role in its own mount namespace; `None` if the system has none.
    #[cfg(unix)]
    pub fn start_with_mounts(role: &str, directory: &Path, words: &[&str]) -> Option<Self> {
        Self::start_apart(&["-m"], role, directory, words)
    }

    /// Starts a role as process 1 of its own pid namespace; `None` if the system has none.
    /// [`kill`](Self::kill) kills `unshare` around it; process 1 dies a moment later.
    #[cfg(unix)]
    pub fn start_as_first(role: &str, directory: &Path, words: &[&str]) -> Option<Self> {
        Self::start_apart(&["-p", "-f", "--kill-child"], role, directory, words)
    }

    /// Starts a role in its own namespaces, by the options of `unshare`.
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

    /// Sends a request, and returns the answer.
    pub fn ask(&mut self, request: &str) -> String {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{request}").expect("the actor reads its input");
        self.line()
    }

    /// Sends a request that has no answer.
    pub fn tell(&mut self, request: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{request}").expect("the actor reads its input");
    }

    /// Kills it by a signal that it cannot catch.
    pub fn kill(&mut self) {
        // `wait` closes the input, at which processes that die with this one would end cleanly.
        self.stdin = self.child.stdin.take();
        self.child.kill().expect("a child of this process");
        let status = self.child.wait().expect("a child of this process");
        assert!(
            was_killed(status),
            "the actor ended before the signal: {status:?}; {}",
            self.errors()
        );
    }

    /// Closes its input and waits until it ends.
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        drop(self.child.stdin.take());
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "the actor does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it ends, with exit code 0.
    pub fn succeeds(&mut self) {
        let status = self.wait();
        assert!(status.success(), "{status:?}: {}", self.errors());
    }

    /// Its standard error, after its end.
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

/// The standard library ends a process with this code.
#[cfg(not(unix))]
fn was_killed(status: ExitStatus) -> bool {
    status.code() == Some(1)
}

/// A barrier with a time limit: if one thread fails, the others fail instead of hanging.
pub struct Meeting {
    size: usize,
    arrived: Mutex<usize>,
    all: Condvar,
}

impl Meeting {
    /// A barrier for `size` threads.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, arrived: Mutex::new(0), all: Condvar::new() }
    }

    /// Waits until all threads have arrived; once only.
    pub fn wait(&self) {
        let mut arrived = self.arrived.lock().unwrap();
        *arrived += 1;
        self.all.notify_all();
        let missing = |arrived: &mut usize| *arrived < self.size;
        let (arrived, wait) = self.all.wait_timeout_while(arrived, LIMIT, missing).unwrap();
        let count = *arrived;
        // The other threads report too.
        drop(arrived);
        assert!(!wait.timed_out(), "{count} of {} threads came", self.size);
    }
}

/// Prints that a test cannot be run on this system; with `CI` set, that is a failure.
///
/// # Panics
///
/// If `CI` is set.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be run here: {why}");
    eprintln!("skipped: {why}");
}

/// Number of files in a directory, without mapped files that Windows removes later: they have
/// temporary names.
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

/// `usual`, or `emulated` if an emulator runs the test.
#[must_use]
pub fn amount(usual: usize, emulated: usize) -> usize {
    if crate::system::is_emulated() { emulated } else { usual }
}

/// A directory for one test.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// The path in the first line of the role `idle`: `ready TID PATH`.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn path_of(ready: &str) -> PathBuf {
    PathBuf::from(ready.splitn(3, ' ').nth(2).expect("a path"))
}

/// Random bits, from the seed of the standard library's maps.
#[must_use]
pub fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
