//! Runs a reader over fixtures.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::compare::difference;
use crate::fixtures::{Expected, Fixture};
use crate::session::{Session, UNABLE};

/// How a reader did on one fixture.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) folder: String,
    pub(crate) result: Result<Good, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Good {
    Passed,
    /// Refused as expected, without a code.
    Mute,
    Skipped,
}

type Error = Box<dyn std::error::Error>;

/// The longest that a reader may take for one file, unless it is told otherwise.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
/// The most that it may print.
const MOST: u64 = 64 << 20;

/// The command for a file: `{file}` is its path, or it comes last.
pub(crate) fn command(reader: &str, options: &str, file: &Path) -> Command {
    let text = if reader.contains("{file}") {
        reader.replace("{file}", &format!("{options} \"$1\""))
    } else {
        format!("{reader} {options} \"$1\"")
    };
    let mut command = Command::new("sh");
    // The shell makes way, so that the reader itself can be stopped.
    command.arg("-c").arg(format!("exec {text}")).arg("sh").arg(file).stdin(Stdio::null());
    command
}

/// Runs the reader over all fixtures, two at a time: anew for each, or by its standard input.
pub(crate) fn run(
    reader: &str,
    fixtures: &[Fixture],
    strict: bool,
    stdin: bool,
    limit: Duration,
) -> Result<Vec<Outcome>, Error> {
    let directory = tempfile::tempdir()?;
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::with_capacity(fixtures.len()));
    let unable = Mutex::new(None);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (next, outcomes, directory) = (&next, &outcomes, directory.path());
            let unable = &unable;
            scope.spawn(move || {
                let path = directory.join(format!("{worker}.mmst"));
                let mut session = stdin.then(|| Session::new(reader));
                while let Some(fixture) = fixtures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = one(reader, session.as_mut(), &path, fixture, strict, limit);
                    if let Err(why) = &result
                        && why.starts_with(UNABLE)
                    {
                        // It is not going to start for the others.
                        *unable.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
                        next.store(fixtures.len(), Ordering::Relaxed);
                    }
                    let folder = fixture.folder().to_owned();
                    let outcome = Outcome { id: fixture.id.clone(), folder, result };
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    if let Some(why) = unable.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(why.into());
    }
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(outcomes)
}

fn one(
    reader: &str,
    session: Option<&mut Session>,
    path: &Path,
    fixture: &Fixture,
    strict: bool,
    limit: Duration,
) -> Result<Good, String> {
    // A new file each time: one that is mapped elsewhere is not cut short under a reader.
    let _ = std::fs::remove_file(path);
    std::fs::write(path, &fixture.bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    if let Some(session) = session {
        let (code, out) = session.ask(path, limit)?;
        return judge(&fixture.expected, Some(code), out.as_bytes(), strict);
    }
    let mut command = command(reader, "", path);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| format!("{UNABLE}sh: {e}"))?;
    let (status, out, err) = wait(&mut child, limit)?;
    if let Some(126 | 127) = status.code() {
        return Err(format!("{UNABLE}{}", String::from_utf8_lossy(&err).trim()));
    }
    judge(&fixture.expected, status.code(), &out, strict).map_err(|why| {
        let said = String::from_utf8_lossy(&err);
        match (status.code(), said.lines().last()) {
            (Some(_), None) => why,
            (Some(_), Some(line)) => format!("{why} (it said: {line})"),
            (None, _) => format!("ended by {status}"),
        }
    })
}

/// Waits and collects the output. A reader that exceeds the limit is stopped.
pub(crate) fn wait(
    child: &mut Child,
    limit: Duration,
) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), String> {
    let read = |from: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = from.map(|from| from.take(MOST + 1).read_to_end(&mut all));
            all
        })
    };
    let out = read(child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>));
    let err = read(child.stderr.take().map(|err| Box::new(err) as Box<dyn Read + Send>));
    let begin = Instant::now();
    let mut pause = Duration::from_micros(200);
    let status = loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => break status,
            None if begin.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no end after {} s", limit.as_secs()));
            }
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(5));
    };
    // A program that it left behind may hold the pipes open.
    while !(out.is_finished() && err.is_finished()) {
        if begin.elapsed() > limit {
            return Err(format!("its output has no end after {} s", limit.as_secs()));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let all = |thread: std::thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
    let (out, err) = (all(out), all(err));
    if out.len().max(err.len()) as u64 > MOST {
        return Err(format!("it prints more than {} MiB", MOST >> 20));
    }
    Ok((status, out, err))
}

fn judge(expected: &Expected, code: Option<i32>, out: &[u8], strict: bool) -> Result<Good, String> {
    match code {
        Some(0 | 1) => {}
        Some(2) => return Ok(Good::Skipped),
        Some(code) => return Err(format!("exit code {code}")),
        None => return Err("ended by a signal".to_owned()),
    }
    let text = std::str::from_utf8(out).map_err(|_| "it does not print UTF-8")?;
    let document = || match text.trim() {
        "" => Err("it prints nothing".to_owned()),
        _ => serde_json::from_str::<Value>(text).map_err(|e| format!("no JSON: {e}")),
    };
    match (expected, code) {
        (Expected::Refused(wanted), Some(1)) => {
            let got = if text.trim().is_empty() { Value::Null } else { document()? };
            match got["refused"].as_str() {
                Some(got) if strict && got != wanted => {
                    Err(format!("refused as {got:?}, not as {wanted:?}"))
                }
                None if strict => Err(format!("refused without the code {wanted:?}")),
                None => Ok(Good::Mute),
                Some(_) => Ok(Good::Passed),
            }
        }
        (Expected::Refused(wanted), _) => Err(format!("accepted; it has to be refused: {wanted}")),
        (Expected::Documents(_), Some(1)) => Err(match text.trim() {
            "" => "refused without a code; it has to be accepted".to_owned(),
            text => format!("refused; it has to be accepted: {text}"),
        }),
        (Expected::Documents(documents), _) => {
            let got = document()?;
            let mut first = None;
            for wanted in documents {
                match difference(wanted, &got, strict) {
                    None => return Ok(Good::Passed),
                    Some(why) => drop(first.get_or_insert(why)),
                }
            }
            Err(first.unwrap_or_else(|| "there is no expectation".to_owned()))
        }
    }
}
