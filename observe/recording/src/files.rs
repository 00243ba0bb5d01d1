//! The files of a recording: names, lock, quota.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bgzf;
use crate::error::{Error, open};
use crate::recording::Recording;

/// When a recorder begins another file, and how much room all of them take.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Approximate size of a file, in bytes.
    pub size: Option<u64>,
    /// Duration of a file.
    pub time: Option<Duration>,
    /// Maximum size of all files of the recording, in bytes: the oldest are removed.
    pub quota: Option<u64>,
}

impl Limits {
    /// The size of a file; without one, an eighth of the quota.
    pub(crate) fn file_size(&self) -> u64 {
        let share = self.quota.map_or(u64::MAX, |quota| quota / 8);
        self.size.map_or(share, |size| size.min(self.quota.map_or(u64::MAX, |quota| quota / 2)))
    }
}

/// Whether a file begins as a recording does.
#[must_use]
pub fn is_recording(path: &Path) -> bool {
    let mut bytes = [0; bgzf::HEADER];
    let read = open(path).is_ok_and(|mut file| file.read_exact(&mut bytes).is_ok());
    read && bgzf::header(&bytes).is_some()
}

/// The `number`th file of a recording: `web.jsonl.gz`, `web.0002.jsonl.gz`, ...
pub(crate) fn name(base: &Path, number: u32) -> PathBuf {
    if number <= 1 {
        return base.to_owned();
    }
    let name = base.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (stem, end) = match name.strip_suffix(".jsonl.gz") {
        Some(stem) => (stem, ".jsonl.gz"),
        None => (name.as_str(), ""),
    };
    base.with_file_name(format!("{stem}.{number:04}{end}"))
}

/// The numbers of the files that exist, ascending.
pub(crate) fn numbers(base: &Path) -> Vec<u32> {
    let first = name(base, 2);
    let first = first.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (before, after) = first.split_once(".0002").unwrap_or((&first, ""));
    let directory = base.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut numbers: Vec<u32> = if base.exists() { vec![1] } else { Vec::new() };
    let entries = std::fs::read_dir(directory.unwrap_or(Path::new("."))).into_iter().flatten();
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(digits) = file
            .to_str()
            .and_then(|file| file.strip_prefix(before)?.strip_prefix('.')?.strip_suffix(after))
        else {
            continue;
        };
        if digits.len() >= 4
            && let Ok(number) = digits.parse()
            && number > 1
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    numbers
}

/// Opens a file to write at its end, and locks it.
pub(crate) fn open_locked(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(windows)] // The system refuses a second writer.
    std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 1);
    #[cfg(unix)] // Values may be private.
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error| Error::io(path, "open it", &error))?;
    #[cfg(unix)] // A lock of the open file, which ends with this process.
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Error::new(path, "another recorder writes it"))?;
    Ok(file)
}

/// The identity of the recording that a file is part of.
pub(crate) fn recording_of(path: &Path) -> Result<String, Error> {
    let recording = Recording::open([path])?;
    let mut frames = recording.frames();
    frames.next()?;
    Ok(frames.recording_id().to_owned())
}
