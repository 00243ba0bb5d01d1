//! Sweeping: the files that it removes, over the answers of a backend.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::error::Error;
use crate::file::{FileId, FileType};
use crate::name;
use crate::post_mortems::{DeadProgram, kept_programs};

/// Options of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepOptions {
    /// Number of dead programs of each command to keep: those that died last, by the rule of
    /// [`kept_programs`](crate::kept_programs).
    pub keep: usize,
    /// Age from which an abandoned temporary file is removed.
    pub temporary_age: Duration,
    /// Report only, remove nothing.
    pub dry_run: bool,
    /// Longest time for looking at the files of the directory; reading its names takes at most half of
    /// it. What was not looked at is left to the next sweep, which begins with another file. Names at
    /// the end of a directory that is too large to be read in time are not reached.
    pub time: Duration,
}

impl Default for SweepOptions {
    /// Keeps 8 dead programs of each command, removes abandoned temporary files after a minute, takes
    /// at most 0.2 s.
    fn default() -> Self {
        Self {
            keep: 8,
            temporary_age: Duration::from_secs(60),
            dry_run: false,
            time: Duration::from_millis(200),
        }
    }
}

/// The program of a dead file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweptProgram {
    /// Identity that all its files have. Without one a file is a program of its own.
    pub instance: Option<[u8; 16]>,
    /// Name of the program.
    pub command: Option<String>,
    /// Number of its files, if this is part 0 and says it.
    pub parts: Option<u32>,
}

/// The program of a dead published file, by its name and identity; `None` for a file that stays. The
/// file that has the name by now may have another identity.
pub type Identify<'a> = dyn Fn(&OsStr, FileId) -> Option<SweptProgram> + 'a;

/// Result of a sweep for one file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Removal {
    /// Dead, and removed.
    Removed,
    /// Dead; a sweep that is not a dry run removes it.
    WouldRemove,
    /// Dead, but one of the newest, which are kept; or another file of its program must stay, or was
    /// not looked at.
    Kept,
    /// Its writer lives.
    Live,
    /// Temporary file whose creator may still be working.
    TooYoung,
    /// Owned by another user.
    NotOurs {
        /// User id of the owner.
        owner: u32,
    },
    /// Not a regular file.
    NotRegular(FileType),
    /// Removed or replaced by another process meanwhile.
    Vanished,
    /// Not readable, or not removable.
    Failed(Error),
}

/// A file that a sweep examined.
#[derive(Debug)]
pub struct Swept {
    /// Path.
    pub path: PathBuf,
    /// Result.
    pub removal: Removal,
}

/// Result of a sweep.
#[derive(Debug)]
pub struct Sweep {
    /// The files that were looked at.
    pub files: Vec<Swept>,
    /// Whether all files were looked at: there was time, and all names could be read.
    pub is_complete: bool,
}

/// A file as it was judged: only this one is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Identity.
    pub id: FileId,
    /// First bytes, as many as are compared: of an image those before the values that change, with
    /// the instance. Another image in the same file, or in a later one with the same identity,
    /// differs. Empty for a file without an image.
    pub start: Vec<u8>,
}

/// Operations of a backend that a sweep needs.
pub trait Sweeper {
    /// Modification time and identity of a dead file of this user.
    ///
    /// # Errors
    ///
    /// Why the file must stay.
    fn judge(&self, name: &OsStr, path: &Path) -> Result<(SystemTime, FileId), Removal>;

    /// Removes the file `id`, if `name` still refers to it and it is still dead.
    fn remove(&self, name: &OsStr, path: &Path, id: FileId) -> Removal;

    /// Removes a dead file of this user; a dry run only reports it.
    fn remove_if_dead(&self, name: &OsStr, path: &Path, dry_run: bool) -> Removal {
        match self.judge(name, path) {
            Ok(_) if dry_run => Removal::WouldRemove,
            Ok((_, id)) => self.remove(name, path, id),
            Err(removal) => removal,
        }
    }
}

/// Sweeps the files `names` of a directory: temporary files, and with `identify` published ones.
/// [`SweepOptions`] says which are kept.
///
/// All files of a program are removed, or none. The first name that cannot be read ends the list. A
/// program with files that are not in the list stays.
pub fn sweep_names<S: Sweeper>(
    sweeper: &S,
    directory: &Path,
    names: impl Iterator<Item = io::Result<OsString>>,
    options: &SweepOptions,
    identify: Option<&Identify<'_>>,
) -> Sweep {
    let mut files = Vec::new();
    let begin = Instant::now();
    let (deadline, half) = (begin.checked_add(options.time), begin.checked_add(options.time / 2));
    let (mut candidates, mut is_complete) = candidates(names, half, identify.is_some());
    // Each sweep begins at another file: files of others must not take all the time of each.
    let count = candidates.len();
    candidates.rotate_left(arbitrary_index(count));

    let (mut dead, mut held) = (Vec::new(), BTreeSet::new());
    for (at, name) in candidates.into_iter().enumerate() {
        // Looking at the clock takes time too.
        if at % 16 == 15 && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            is_complete = false;
            break;
        }
        let path = directory.join(&name);
        let judged = sweeper.judge(&name, &path);
        let removal = if name::is_temporary(&name) {
            match judged {
                Err(removal) => removal,
                Ok((modified, _)) if !is_old(modified, options) => Removal::TooYoung,
                Ok(_) if options.dry_run => Removal::WouldRemove,
                Ok((_, id)) => sweeper.remove(&name, &path, id),
            }
        } else {
            match judged {
                Ok((modified, id)) => {
                    let program = identify.and_then(|identify| identify(&name, id));
                    let Some(program) = program else { continue };
                    dead.push(DeadFile { name, path, id, modified, program });
                    continue;
                }
                Err(removal) => {
                    if matches!(removal, Removal::Live | Removal::Failed(_)) {
                        held.insert(name::without_part(&name).to_owned());
                    }
                    removal
                }
            }
        };
        files.push(Swept { path, removal });
    }
    files.extend(remove_programs(sweeper, dead, &held, is_complete, options));
    Sweep { files, is_complete }
}

/// A number below `count`, or 0, made from the time: also where its resolution is 1 µs.
fn arbitrary_index(count: usize) -> usize {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mixed = u64::from(time.subsec_nanos()).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    #[allow(clippy::cast_possible_truncation)] // 32 bits
    let mixed = mixed as usize;
    mixed % count.max(1)
}

/// The names of files to look at, and whether all names were read.
fn candidates(
    names: impl Iterator<Item = io::Result<OsString>>,
    deadline: Option<Instant>,
    published: bool,
) -> (Vec<OsString>, bool) {
    let mut found = Vec::new();
    for (at, name) in names.enumerate() {
        if at % 1024 == 1023 && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return (found, false);
        }
        let Ok(name) = name else { return (found, false) };
        if name::is_temporary(&name) || (published && name::is_published(&name)) {
            found.push(name);
        }
    }
    (found, true)
}

/// A dead published file.
struct DeadFile {
    name: OsString,
    path: PathBuf,
    id: FileId,
    modified: SystemTime,
    program: SweptProgram,
}

/// Removes the programs that are not kept.
fn remove_programs<S: Sweeper>(
    sweeper: &S,
    mut files: Vec<DeadFile>,
    held: &BTreeSet<OsString>,
    is_complete: bool,
    options: &SweepOptions,
) -> Vec<Swept> {
    // Part 0 is removed last: it has the number of parts.
    files.sort_by(|a, b| {
        let key = |file: &DeadFile| (file.program.instance, file.program.parts.is_some());
        key(a).cmp(&key(b)).then_with(|| b.name.cmp(&a.name))
    });
    let programs: Vec<&[DeadFile]> = files
        .chunk_by(|a, b| a.program.instance.is_some() && a.program.instance == b.program.instance)
        .collect();
    // The locks of a dying program are released one after the other, so a live part means that the
    // program is not wholly dead yet. Parts may also be unreadable, or not have been looked at.
    let is_whole = |program: &[DeadFile]| {
        let parts = program.iter().find_map(|file| file.program.parts);
        let is_counted = parts.is_some_and(|parts| parts as usize <= program.len());
        let is_held = || program.iter().any(|file| held.contains(name::without_part(&file.name)));
        is_counted || (is_complete && !is_held())
    };
    let dead: Vec<_> = programs
        .iter()
        .map(|program| DeadProgram {
            command: program.iter().find_map(|file| file.program.command.as_deref()),
            died: program.iter().map(|file| file.modified).max().unwrap_or(SystemTime::UNIX_EPOCH),
            name: program.iter().map(|file| &*file.name).min().unwrap_or_default(),
        })
        .collect();
    let kept = kept_programs(&dead, options.keep, None);
    let mut swept = Vec::new();
    for (program, kept) in programs.into_iter().zip(kept) {
        let mut stays = kept || !is_whole(program);
        for file in program {
            let removal = match (stays, options.dry_run) {
                (true, _) => Removal::Kept,
                (false, true) => Removal::WouldRemove,
                (false, false) => sweeper.remove(&file.name, &file.path, file.id),
            };
            // Part 0 says that others are missing, as long as one of them is there.
            stays |=
                !matches!(removal, Removal::Removed | Removal::WouldRemove | Removal::Vanished);
            swept.push(Swept { path: file.path.clone(), removal });
        }
    }
    swept
}

/// A time far in the future is old too: the file was begun before the clock was set back.
fn is_old(modified: SystemTime, options: &SweepOptions) -> bool {
    let age = SystemTime::now().duration_since(modified);
    age.unwrap_or_else(|ahead| ahead.duration()) >= options.temporary_age
}

/// Splits a path into directory and file name; `None` where it cannot be that of a file.
#[must_use]
pub fn split_path(path: &Path) -> Option<(PathBuf, &OsStr)> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Some((parent.to_owned(), path.file_name()?))
}
