//! A program that counts as it is told, a process of its own: this test binary with `COUNTING` in its
//! environment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use mmstats::{Counter, Events, Publisher, Stats};

const COUNTING: &str = "COUNTING";

#[derive(Stats)]
struct Jobs {
    /// Jobs done.
    jobs: Counter,
    log: Events,
}

pub(crate) struct Counting {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Counting {
    /// Starts one that publishes in `directory`, and waits until it does.
    pub(crate) fn start(directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "program::program_that_counts",
            "--exact",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
        command.env(COUNTING, "yes").env("MMSTATS_PATH", directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut program = Self { child, answers };
        program.wait();
        program
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Counts, and waits until it is published.
    pub(crate) fn count(&mut self, jobs: u64) {
        self.tell(&format!("count {jobs}"));
        self.wait();
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.tell(&format!("say {text}"));
        self.wait();
    }

    /// Ends it cleanly.
    pub(crate) fn end(&mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn tell(&mut self, order: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{order}").unwrap();
    }

    fn wait(&mut self) {
        let mut line = String::new();
        while !line.ends_with("done\n") {
            line.clear();
            assert!(self.answers.read_line(&mut line).unwrap() > 0);
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, if this process is one.
#[test]
fn program_that_counts() {
    if std::env::var_os(COUNTING).is_none() {
        return;
    }
    let publisher: Publisher<Jobs> = Publisher::start().unwrap();
    let jobs = publisher.lane().unwrap();
    println!("\ndone");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        match line.split_once(' ').unwrap() {
            ("count", number) => jobs.jobs.add(number.parse().unwrap()),
            (_, text) => assert!(jobs.log.record(text)),
        }
        println!("done");
    }
}
