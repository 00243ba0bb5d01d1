//! Shared by the scenarios: directories, pauses, and the tools.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mmstats_tests::actor::{program, random};
use mmstats_tests::control::wait_with_usage;

/// Time limit of one wait: some scenarios read gigabytes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Exit code of a tool that shows a program of which parts are missing.
pub(crate) const INCOMPLETE: i32 = 3;

/// A directory in memory, where there is one.
pub(crate) fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(place) = tempfile::tempdir_in(memory)
    {
        return place;
    }
    tempfile::tempdir().expect("a directory")
}

/// A directory on a disk: beside the program.
pub(crate) fn disk() -> tempfile::TempDir {
    let this = std::env::current_exe().expect("a path");
    tempfile::tempdir_in(this.parent().expect("a directory")).expect("a directory")
}

/// Waits for a random time.
pub(crate) fn pause(most: Duration) {
    let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
    std::thread::sleep(Duration::from_micros(random() % most));
}

/// All entries of a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Removes all files of a directory.
pub(crate) fn empty(directory: &Path) {
    names(directory).iter().for_each(|path| std::fs::remove_file(path).expect("a file"));
}

/// Waits until `question` is true; returns the time.
pub(crate) fn until(what: &str, mut question: impl FnMut() -> bool) -> Result<Duration, String> {
    let start = Instant::now();
    while !question() {
        if start.elapsed() > PATIENCE {
            return Err(format!("{what}: not in {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(start.elapsed())
}

/// Output and costs of a tool.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
    pub(crate) took: Duration,
    /// Of its own, in user and system mode.
    pub(crate) processor: Duration,
    /// Peak of its memory, in bytes.
    pub(crate) peak: u64,
}

/// The tool with these arguments, on `directory` alone.
pub(crate) fn tool(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("mmstats"));
    command.args(arguments).env("MMSTATS_PATH", directory).env_remove("MMSTATS_FILES");
    command
}

/// Runs a tool while `meanwhile` runs. Returns an error if it hangs, crashes, panics, or prints
/// control characters.
pub(crate) fn judge(command: &mut Command, meanwhile: impl FnOnce()) -> Result<Printed, String> {
    let file = || tempfile::tempfile().expect("a file");
    let (mut out, mut err) = (file(), file());
    let to = |file: &std::fs::File| Stdio::from(file.try_clone().expect("a descriptor"));
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(to(&out)).stderr(to(&err)).spawn();
    let child = child.expect("the tool");
    meanwhile();
    let ended = wait_with_usage(child, PATIENCE).expect("it is ours");
    let took = start.elapsed();
    let text = |file: &mut std::fs::File| {
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("a file");
        String::from_utf8(bytes).map_err(|error| format!("no UTF-8: {error}"))
    };
    let (out, err) = (text(&mut out)?, text(&mut err)?);
    let told = || format!("{command:?}: {:?}; {err}", ended.status);
    if !ended.in_time {
        return Err(format!("it hangs: {}", told()));
    }
    let Some(code) = ended.status.code() else { return Err(format!("it crashed: {}", told())) };
    // 2 is a wrong command line.
    if ![0, 1, INCOMPLETE].contains(&code) || err.contains("panicked") {
        return Err(format!("code {code}: {}", told()));
    }
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match out.chars().chain(err.chars()).find(|c| obeyed(*c)) {
        Some(c) => Err(format!("it prints {c:?}: {}", told())),
        None => Ok(Printed { out, err, code, took, processor: ended.processor, peak: ended.peak }),
    }
}
