//! `mmstats demo`: starts a program that publishes, and shows its file.
//!
//! This process knows the process id of the other one, and ends it through a pipe; all values
//! are read from the file.

mod child;
mod lines;
pub(crate) mod publisher;
mod work;

use std::io::{self, Read as _, Write};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use mmstats_observe::{FileState, Observer, Program, Sources};

use self::child::{End, PATIENCE};
use self::lines::{commands_to_try, number_line};
use super::args::{exit_codes, up_to};
use super::top;
use crate::model::row;
use crate::output::Output;
use crate::render::program::header;
use crate::text::escape;

/// Time between two lines in a pipe.
const LINE: Duration = Duration::from_secs(1);
/// Duration in a pipe without `--seconds`.
const PIPED_SECONDS: u32 = 10;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A child process hashes and compresses the bytes of this program with several threads, and\n",
    "publishes counters, gauges and timers. This process only knows the child's process id: all\n",
    "values come from the file. Ctrl-C ends both and removes the file; if the child is killed,\n",
    "the file stays for `mmstats show --all`.\n",
    "\nExamples:\n",
    "  mmstats demo\n",
    "  mmstats demo --seconds 30 --threads 8\n",
    "  mmstats demo --seconds 3 | cat\n"
))]
pub(crate) struct Demo {
    /// End after this many seconds; 0 is never [default: 0 on a terminal, 10 in a pipe].
    #[arg(short, long, value_name = "N", value_parser = whole_seconds)]
    pub(crate) seconds: Option<u32>,

    /// Number of working threads.
    #[arg(short, long, value_name = "N", default_value = "4",
          value_parser = up_to::<256>)]
    pub(crate) threads: u16,
}

fn whole_seconds(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "not a whole number of seconds".to_owned())
}

pub(crate) fn run(args: &Demo, output: &mut Output) -> io::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    if let Err(error) = ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed)) {
        output.note(&format!("Ctrl-C will not end both cleanly: {error}"));
    }
    let started = child::start(args.threads);
    let started = started.map_err(|e| output.fail(&format!("cannot start the publisher: {e}")));
    let Ok(mut child) = started else { return Ok(()) };
    let mut watch =
        Watch { observer: Observer::new(Sources::new().pid(child.id())), pid: child.id(), stop };
    let result = match watch.find(&mut child) {
        Ok(()) => watch.follow(args.seconds, &mut child, output),
        Err(None) => Ok(()),
        Err(Some(text)) => {
            if !text.is_empty() {
                output.fail(&text);
            }
            Ok(())
        }
    };
    // Also after a broken pipe: the child must not keep running.
    let end = child::end(&mut child);
    result?;
    watch.conclude(end, &mut child, output)
}

/// The watching side.
struct Watch {
    observer: Observer,
    pid: u32,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn program(&self) -> Option<Program<'_>> {
        self.observer.programs().into_iter().find(|program| program.state().is_readable())
    }

    /// Waits for the file of the child. The error is a message, `None` after Ctrl-C; an empty one if the child has
    /// ended, whose own words come later.
    fn find(&mut self, child: &mut Child) -> Result<(), Option<String>> {
        let start = Instant::now();
        loop {
            self.observer.refresh();
            if self.program().is_some() {
                return Ok(());
            }
            if self.stopped() {
                return Err(None);
            }
            if !matches!(child.try_wait(), Ok(None)) {
                return Err(Some(String::new()));
            }
            if start.elapsed() > PATIENCE {
                return Err(Some(format!("no file of the publisher, pid {}, appeared", self.pid)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Shows the fields until the time is over, the child ends or Ctrl-C.
    fn follow(
        &mut self,
        seconds: Option<u32>,
        child: &mut Child,
        output: &mut Output,
    ) -> io::Result<()> {
        let is_screen = output.screen().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let seconds = seconds.unwrap_or(if is_screen { 0 } else { PIPED_SECONDS });
        let limit = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        let start = Instant::now();
        if is_screen {
            let stop = Arc::clone(&self.stop);
            return top::watch_process(self.pid, output, stop, || {
                let over = limit.is_some_and(|limit| start.elapsed() >= limit);
                over || !matches!(child.try_wait(), Ok(None))
            });
        }
        self.introduce(output)?;
        for turn in 1_u32.. {
            let due = LINE.saturating_mul(turn).min(limit.unwrap_or(Duration::MAX));
            self.sleep_until(start + due, child);
            self.observer.refresh();
            if let Some(program) = self.program() {
                number_line(start.elapsed(), &row::combined(&program), output)?;
            }
            let over = limit.is_some_and(|limit| start.elapsed() >= limit);
            if over || self.stopped() || !matches!(child.try_wait(), Ok(None)) {
                break;
            }
        }
        Ok(())
    }

    /// Returns early after Ctrl-C or the end of the child.
    fn sleep_until(&self, due: Instant, child: &mut Child) {
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            if left.is_zero() || self.stopped() || !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// The first lines of piped output.
    fn introduce(&self, output: &mut Output) -> io::Result<()> {
        if let Some(program) = self.program() {
            let header = header(&program, SystemTime::now());
            writeln!(output, "{}", header.render(usize::MAX))?;
        }
        for line in commands_to_try(self.pid) {
            writeln!(output, "{line}")?;
        }
        output.flush()
    }

    /// The last lines of output.
    fn conclude(&mut self, end: End, child: &mut Child, output: &mut Output) -> io::Result<()> {
        let is_new = self.program().is_none();
        let path = self.program().and_then(|p| p.files().first().map(|f| f.path().to_owned()));
        self.observer.refresh();
        let left = self.program().filter(|program| program.state() == FileState::Dead).is_some();
        let mut messages = String::new();
        if let Some(stderr) = child.stderr.take() {
            // The child ended, so the pipe does too.
            let _ = stderr.take(4096).read_to_string(&mut messages);
        }
        for message in messages.lines() {
            output.note(&escape::text(message));
        }
        match end {
            // It has said why it did not begin.
            End::Early(status) if !status.success() && is_new && !messages.is_empty() => {
                output.set_failed();
            }
            // Early: Ctrl-C in a terminal reaches both processes.
            End::Asked(status) | End::Early(status) if status.success() => {
                // No path: the file was gone before.
                let gone = path.as_ref().is_none_or(|path| !path.exists());
                let file = if gone { ", and its file is gone" } else { "" };
                writeln!(output, "The publisher, pid {}, ended cleanly{file}.", self.pid)?;
            }
            End::Asked(status) | End::Early(status) => {
                output.fail(&format!("the publisher, pid {}, died: {status}", self.pid));
            }
            End::Killed => output.fail("the publisher did not end when asked, and was killed"),
            End::Unknown(error) => {
                output.fail(&format!("the publisher cannot be waited for: {error}"));
            }
        }
        if left {
            writeln!(output, "Its last values are still there:")?;
            writeln!(output, "  mmstats show {}", self.pid)?;
            writeln!(output, "  mmstats clean --dry-run")?;
        }
        Ok(())
    }
}
