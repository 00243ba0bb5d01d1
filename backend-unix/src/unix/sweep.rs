//! Removing what dead writers left behind.
//!
//! A file is removed only while a shared lock on it is held, which no writer grants, and
//! only if its name still refers to the file that was judged.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::{failed, file_id, file_type, lock, modified};
use crate::name;
use crate::{Error, ErrorKind, FileId, FileType, Removal, Result, SweepOptions, Swept};

/// Removes dead files of this user from a directory, and temporary files that were never
/// finished.
///
/// Looks at files named `*.mmst` for which `is_candidate` is true, and at temporary files.
/// Of the dead ones those modified last are kept, as many as asked for: see
/// [`SweepOptions::keep`]. Answers for every file it looked at what became of it.
///
/// ```
/// use mmstats_unix::{SweepOptions, directory::Directory, sweep};
/// # let temporary = tempfile::tempdir().unwrap();
/// # let path = temporary.path();
/// # std::fs::write(path.join("old.mmst"), "x").unwrap();
/// let directory = Directory::open(path)?;
/// let options = SweepOptions { keep: 0, ..SweepOptions::default() };
/// let swept = sweep(&directory, &options, &|_name| true)?;
/// assert_eq!(swept.len(), 1);
/// assert!(!path.join("old.mmst").exists());
/// # Ok::<(), mmstats_unix::Error>(())
/// ```
///
/// # Errors
///
/// Where the directory cannot be read. That a file cannot be removed is a
/// [`Removal::Failed`].
pub fn sweep(
    directory: &Directory,
    options: &SweepOptions,
    is_candidate: &dyn Fn(&OsStr) -> bool,
) -> Result<Vec<Swept>> {
    use std::os::unix::ffi::OsStrExt;
    let (mut swept, mut dead) = (Vec::new(), Vec::new());
    let entries = Dir::read_from(directory.fd()).map_err(failed(SWEEP, directory.path()))?;
    for entry in entries {
        let entry = entry.map_err(failed(SWEEP, directory.path()))?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let temporary = name::is_temporary(name);
        let candidate = temporary || (name::is_published(name) && is_candidate(name));
        if !candidate {
            continue;
        }
        let path = directory.path().join(name);
        let judged = judge(directory, name, &path);
        let removal = match judged {
            Err(removal) => removal,
            Ok((modified, _)) if temporary && !is_old(modified, options) => Removal::TooYoung,
            Ok((_, id)) if temporary => remove(directory, name, &path, id, options.dry_run),
            Ok((modified, id)) => {
                dead.push((modified, id, name.to_owned(), path));
                continue;
            }
        };
        swept.push(Swept { path, removal });
    }
    // By name where times are equal, so that sweepers who are at work together keep the same.
    dead.sort_by(|(a, _, a_name, _), (b, _, b_name, _)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
    // What claims to be of the future comes first, and is counted apart.
    let now = SystemTime::now();
    let of_future = dead.partition_point(|(modified, ..)| *modified > now);
    for (at, (_, id, name, path)) in dead.into_iter().enumerate() {
        let rank = if at < of_future { at } else { at - of_future };
        let removal = if rank < options.keep {
            Removal::Kept
        } else {
            remove(directory, &name, &path, id, options.dry_run)
        };
        swept.push(Swept { path, removal });
    }
    Ok(swept)
}

/// Removes a file if its writer is dead and it belongs to this user, whatever its name.
///
/// # Errors
///
/// Where its directory cannot be opened.
pub fn remove_if_dead(path: &Path, dry_run: bool) -> Result<Removal> {
    let no_name = || Error::new(SWEEP, path, ErrorKind::NotRegular(FileType::Directory));
    let name = path.file_name().ok_or_else(no_name)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = match Directory::open(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Removal::Vanished),
        other => other?,
    };
    Ok(match judge(&directory, name, path) {
        Ok((_, id)) => remove(&directory, name, path, id, dry_run),
        Err(removal) => removal,
    })
}

/// When a dead file was modified and which it is; or why it must stay.
fn judge(
    directory: &Directory,
    name: &OsStr,
    path: &Path,
) -> core::result::Result<(SystemTime, FileId), Removal> {
    let stat = rustix::fs::statat(directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| vanished_or_failed(errno, path))?;
    // Before it is opened: opening a device may have effects.
    match file_type(&stat) {
        FileType::Regular => {}
        other => return Err(Removal::NotRegular(other)),
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Removal::NotOurs { owner: stat.st_uid });
    }
    with_lock(directory, name, path, file_id(&stat), || Removal::Kept)
        .map(|_| (modified(&stat), file_id(&stat)))
}

/// Removes the dead file `id`, if `name` still refers to it and it is still dead.
fn remove(directory: &Directory, name: &OsStr, path: &Path, id: FileId, dry_run: bool) -> Removal {
    if dry_run {
        return Removal::WouldRemove;
    }
    with_lock(directory, name, path, id, || {
        // Nobody becomes its writer now. Between this question and the removal only
        // somebody who knows nothing of locks can put another file there.
        match rustix::fs::statat(directory.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if file_id(&stat) == id => {}
            Ok(_) => return Removal::Vanished,
            Err(errno) => return vanished_or_failed(errno, path),
        }
        match rustix::fs::unlinkat(directory.fd(), name, AtFlags::empty()) {
            Ok(()) => Removal::Removed,
            Err(errno) => vanished_or_failed(errno, path),
        }
    })
    .unwrap_or_else(|removal| removal)
}

/// Runs `action` while no writer can lock the file `id`; or says why the file must stay.
///
/// The lock is shared: observers and other sweepers are not disturbed.
fn with_lock(
    directory: &Directory,
    name: &OsStr,
    path: &Path,
    id: FileId,
    action: impl FnOnce() -> Removal,
) -> core::result::Result<Removal, Removal> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let failed = |errno| vanished_or_failed(errno, path);
    let fd = rustix::fs::openat(directory.fd(), name, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    if file_id(&stat) != id {
        return Err(Removal::Vanished);
    }
    match lock(fd.as_fd(), FlockOperation::NonBlockingLockShared) {
        // Closing the descriptor releases it.
        Ok(()) => Ok(action()),
        Err(Errno::WOULDBLOCK) => Err(Removal::Live),
        Err(errno) => Err(failed(errno)),
    }
}

/// Far in the future is old too: it was begun before the clock was set back.
fn is_old(modified: SystemTime, options: &SweepOptions) -> bool {
    let age = SystemTime::now().duration_since(modified);
    age.unwrap_or_else(|ahead| ahead.duration()) >= options.temporary_age
}

fn vanished_or_failed(errno: Errno, path: &Path) -> Removal {
    match errno {
        Errno::NOENT => Removal::Vanished,
        errno => Removal::Failed(failed(SWEEP, path)(errno)),
    }
}

const SWEEP: &str = "sweep";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn nobody_becomes_the_writer_of_a_file_while_it_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        fs::write(&path, "x").unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let id = file_id(&rustix::fs::stat(&path).unwrap());
        let removal = with_lock(&directory, "x.mmst".as_ref(), &path, id, || {
            assert_eq!(crate::reopen(&path).unwrap_err().kind(), ErrorKind::Locked);
            // Other sweepers and observers may look.
            assert!(!crate::is_locked(&path).unwrap());
            Removal::Removed
        });
        assert!(matches!(removal, Ok(Removal::Removed)));
        let other = FileId { index: id.index + 1, ..id };
        let removal = with_lock(&directory, "x.mmst".as_ref(), &path, other, || unreachable!());
        assert!(matches!(removal, Err(Removal::Vanished)));
    }
}
