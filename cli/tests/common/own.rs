//! A program that publishes: the test `program` of this binary, in a process of its own.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::{files, wait_for};

pub(crate) struct Program {
    pub(crate) child: Child,
    input: ChildStdin,
}

impl Program {
    /// Starts it, and waits until it publishes in `directory`.
    pub(crate) fn start(directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "program"]);
        command.env("MMSTATS_PATH", directory).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let program = Self { child, input };
        wait_for(|| (!files(directory).is_empty()).then_some(()));
        program
    }

    /// Gives it a line by its standard input.
    pub(crate) fn does(&mut self, text: &str) {
        writeln!(self.input, "{text}").unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
