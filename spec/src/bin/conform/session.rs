//! A reader that is started once and gets the paths of files by its standard input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How a failure begins when there is no shell, or it did not find the command, or may not run it.
pub(crate) const UNABLE: &str = "the reader does not start: ";

/// The reader, from the first question on. One that ended, failed or was too slow is started anew for the next.
pub(crate) struct Session {
    reader: String,
    running: Option<Running>,
}

struct Running {
    child: Child,
    answers: Receiver<std::io::Result<String>>,
}

impl Session {
    pub(crate) fn new(reader: &str) -> Self {
        Self { reader: reader.to_owned(), running: None }
    }

    /// Its exit code and output for a file.
    pub(crate) fn ask(&mut self, path: &Path, limit: Duration) -> Result<(i32, String), String> {
        let running = match self.running.take() {
            Some(running) => running,
            None => Running::start(&self.reader).map_err(|e| format!("{UNABLE}sh: {e}"))?,
        };
        let (running, answer) = running.ask(path, limit)?;
        self.running = Some(running);
        Ok(answer)
    }
}

impl Running {
    fn start(reader: &str) -> std::io::Result<Self> {
        let words = if reader.contains("{file}") {
            reader.replace("{file}", "--stdin")
        } else {
            format!("{reader} --stdin")
        };
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec {words}"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().expect("piped");
        let (sender, answers) = sync_channel(1);
        // Ends with the reader, or with the first line that is not received.
        std::thread::spawn(move || {
            BufReader::new(out).lines().try_for_each(|line| sender.send(line))
        });
        Ok(Self { child, answers })
    }

    /// Exit code and output for one file, and the reader for the next one; a reader that fails is ended.
    fn ask(mut self, path: &Path, limit: Duration) -> Result<(Self, (i32, String)), String> {
        let input = self.child.stdin.as_mut().expect("piped");
        // A reader that has ended says so below.
        let _ = writeln!(input, "{}", path.display()).and_then(|()| input.flush());
        let line = match self.answers.recv_timeout(limit) {
            Ok(line) => line.map_err(|_| "it does not print UTF-8")?,
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("no answer after {} s", limit.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_err(|e| e.to_string())?;
                return Err(match status.code() {
                    Some(126 | 127) => format!("{UNABLE}{status}"),
                    _ => format!("ended by {status}, without an answer"),
                });
            }
        };
        let (code, document) = line.split_once(' ').unwrap_or((&line, ""));
        let code = code.parse().map_err(|_| format!("no exit code in its answer {line:?}"))?;
        Ok((self, (code, document.to_owned())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
