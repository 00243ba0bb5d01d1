//! `mmstats demo`: a program that publishes, and this one, which watches it.
//!
//! The two share a process id and, for the end, a pipe. All that is shown is read from
//! the file.

pub(crate) mod publisher;
mod screen;
mod work;

use std::io::{self, Read as _, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mmstats_observe::{Observer, OwnedValue, Program, Sources, State};

use crate::args::Demo;
use crate::output::Output;
use crate::render::fields;
use crate::view::{self, Row};
use crate::{escape, value};

/// Between two frames on a terminal.
const FRAME: Duration = Duration::from_millis(250);
/// Between two lines in a pipe.
const LINE: Duration = Duration::from_secs(1);
/// How long the child may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where `--seconds` is not given and nobody sits at a terminal.
const PIPED_SECONDS: u32 = 10;

pub(crate) fn run(args: &Demo, output: &mut Output) -> io::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    if let Err(error) = ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed)) {
        output.note(&format!("Ctrl-C will not end both cleanly: {error}"));
    }
    let mut child = match start(args.threads) {
        Ok(child) => child,
        Err(error) => {
            output.fail(&format!("cannot start the publisher: {error}"));
            return Ok(());
        }
    };
    let mut watch = Watch {
        observer: Observer::new(Sources::new().pid(child.id())),
        pid: child.id(),
        stop,
        before: None,
    };
    let result = match watch.find(&mut child) {
        Ok(()) => watch.follow(args.seconds, &mut child, output),
        Err(None) => Ok(()),
        Err(Some(text)) => {
            output.fail(&text);
            Ok(())
        }
    };
    // Also where our reader has gone: the child must not stay behind.
    let end = end(&mut child);
    result?;
    watch.conclude(end, &mut child, output)
}

/// This program again, with another task. It ends when the pipe to it is closed, so also
/// when this process is killed.
fn start(threads: u16) -> io::Result<Child> {
    std::process::Command::new(std::env::current_exe()?)
        .arg("demo-publisher")
        .args(["--threads", &threads.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// How the child ended.
enum End {
    /// By itself, before it was asked to.
    Early(ExitStatus),
    Asked(ExitStatus),
    /// It had to be killed.
    Killed,
    Unknown(io::Error),
}

fn end(child: &mut Child) -> End {
    match child.try_wait() {
        Ok(Some(status)) => return End::Early(status),
        Err(error) => return End::Unknown(error),
        Ok(None) => {}
    }
    drop(child.stdin.take());
    let start = Instant::now();
    while start.elapsed() < PATIENCE / 2 {
        match child.try_wait() {
            Ok(Some(status)) => return End::Asked(status),
            Err(error) => return End::Unknown(error),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    match child.kill().and_then(|()| child.wait()) {
        Ok(_) => End::Killed,
        Err(error) => End::Unknown(error),
    }
}

/// What was seen in the frame before.
struct Before {
    at: Instant,
    rows: Vec<Row>,
}

/// This side.
struct Watch {
    observer: Observer,
    pid: u32,
    stop: Arc<AtomicBool>,
    before: Option<Before>,
}

impl Watch {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn program(&self) -> Option<Program<'_>> {
        self.observer.programs().into_iter().find(|program| program.state().is_readable())
    }

    /// Waits for the child's file. An error without a text is the user's wish to stop.
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
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Some(format!("the publisher ended at once: {status}")));
            }
            if start.elapsed() > PATIENCE {
                return Err(Some(format!("no file of the publisher, pid {}, appeared", self.pid)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Shows the fields until it is time to end.
    fn follow(
        &mut self,
        seconds: Option<u32>,
        child: &mut Child,
        output: &mut Output,
    ) -> io::Result<()> {
        let redraw = output.screen().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let seconds = seconds.unwrap_or(if redraw { 0 } else { PIPED_SECONDS });
        let limit = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        let pause = if redraw { FRAME } else { LINE };
        let mut frames = if redraw { Some(screen::Frames::open()?) } else { None };
        if frames.is_none() {
            self.introduce(output)?;
        }
        let start = Instant::now();
        for turn in 1_u32.. {
            let due = pause.saturating_mul(turn).min(limit.unwrap_or(Duration::MAX));
            self.sleep_until(start + due, child);
            self.observer.refresh();
            if let Some(program) = self.program() {
                let rows = view::combined(&program);
                let after = Before { at: Instant::now(), rows };
                match &mut frames {
                    Some(frames) => frames.draw(&program, self.before.as_ref(), &after)?,
                    None => line(start.elapsed(), &after, output)?,
                }
                self.before = Some(after);
            }
            let over = limit.is_some_and(|limit| start.elapsed() >= limit);
            if over || self.stopped() || !matches!(child.try_wait(), Ok(None)) {
                break;
            }
        }
        Ok(())
    }

    /// Wakes early if the user wants to stop or the child ended.
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
            let header = fields::header(&program, SystemTime::now());
            writeln!(output, "{}", header.render(usize::MAX))?;
        }
        for line in look_from_elsewhere(self.pid) {
            writeln!(output, "{line}")?;
        }
        output.flush()
    }

    /// The last words.
    fn conclude(&mut self, end: End, child: &mut Child, output: &mut Output) -> io::Result<()> {
        let path = self.program().and_then(|p| p.files().first().map(|f| f.path().to_owned()));
        self.observer.refresh();
        let left = self.program().filter(|program| program.state() == State::Dead).is_some();
        let mut words = String::new();
        if let Some(stderr) = child.stderr.take() {
            // It has ended, so this ends too.
            let _ = stderr.take(4096).read_to_string(&mut words);
        }
        for word in words.lines() {
            output.note(&escape::text(word));
        }
        match end {
            // Early: Ctrl-C in a terminal reaches both at once.
            End::Asked(status) | End::Early(status) if status.success() => {
                // Without a path an earlier look saw it go.
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
        if let (true, Some(path)) = (left, path) {
            writeln!(output, "What it said last is still there:")?;
            writeln!(output, "  mmstats show {}", quoted(&escape::path(&path)))?;
            writeln!(output, "  mmstats clean --dry-run")?;
        }
        Ok(())
    }
}

/// For a shell, if there is anything in it that a shell would take apart.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:=,".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{path}'") }
}

/// How to look at the program from another terminal.
fn look_from_elsewhere(pid: u32) -> [String; 4] {
    [
        "All values are read from the program's file. From another terminal:".to_owned(),
        format!("  mmstats show {pid}"),
        format!("  mmstats poll -p demo. 'bytes*,latency,queue' {pid}"),
        format!("  mmstats events -f {pid}"),
    ]
}

/// One line of numbers for a pipe: what is not a number or of one thread is left out.
fn line(time: Duration, after: &Before, output: &mut Output) -> io::Result<()> {
    let mut text = format!("{:.0}s", time.as_secs_f64());
    for row in after.rows.iter().filter(|row| row.lane.is_none() && row.kind != "info") {
        // The prefix is the same for all.
        let label = row.label.split_once('.').map_or(row.label.as_str(), |(_, label)| label);
        match &row.value {
            Some(OwnedValue::Timer(timer)) => {
                let mean = timer.mean().unwrap_or(0.0) / 1e9;
                text.push_str(&format!(" {}.mean={mean:.6}", escape::text(label)));
            }
            Some(value) if value::is_number(value) => {
                text.push_str(&format!(" {}={}", escape::text(label), short(value)));
            }
            _ => {}
        }
    }
    writeln!(output, "{text}")?;
    output.flush()
}

/// Floats with three decimals.
fn short(value: &OwnedValue) -> String {
    match value {
        OwnedValue::F32(_) | OwnedValue::F64(_) => {
            format!("{:.3}", value.as_f64().unwrap_or(f64::NAN))
        }
        value => value::plain(value),
    }
}
