//! Places outside the directories of this user: directories of other users, and files that running
//! processes have mapped.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::bounded::SilentPlaces;
use crate::backend::ErrorKind;
use crate::backend::process;

/// Maximum number of directories of other users.
const MAX_DIRECTORIES: usize = 1_000;
/// Maximum number of files that processes have mapped.
const MAX_FILES: usize = 100_000;
/// Minimum time between two looks at the processes; a look that takes long is rarer.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Part of the time that looks at the processes may take: one of so many.
const RARITY: u32 = 20;

/// The directories of other users by the rules of the default ones: a directory counts if its owner is
/// the user in its name. Those that cannot be read are left out.
pub(super) fn other_directories(user: u32) -> Vec<PathBuf> {
    let temporary = std::env::temp_dir();
    let mut found: Vec<PathBuf> = Vec::new();
    let mut parents: Vec<&Path> = vec![Path::new("/dev/shm"), Path::new("/tmp"), &temporary];
    parents.dedup();
    for parent in parents {
        found.extend(
            of_users(parent, "mmstats-").filter(|(id, _)| *id != user).map(|(_, path)| path),
        );
    }
    let runtime = of_users(Path::new("/run/user"), "");
    let runtime = runtime.filter(|(id, _)| *id != user);
    found.extend(runtime.map(|(_, path)| path.join("mmstats")));
    found.retain(|path| std::fs::read_dir(path).is_ok());
    found.sort();
    found.dedup();
    found.truncate(MAX_DIRECTORIES);
    found
}

/// The directories of which the owner is the user whose number follows `prefix` in the name.
fn of_users(parent: &Path, prefix: &'static str) -> impl Iterator<Item = (u32, PathBuf)> + use<> {
    let entries = std::fs::read_dir(parent).ok().into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let name = entry.file_name();
        let text = name.to_str()?.strip_prefix(prefix)?;
        // Of one spelling: a user has one directory.
        let id: u32 = text.parse().ok().filter(|id: &u32| id.to_string() == text)?;
        // Not followed: a link is no directory.
        let metadata = entry.metadata().ok()?;
        (metadata.is_dir() && owner(&metadata) == Some(id)).then(|| (id, entry.path()))
    })
}

#[cfg(unix)] // has user ids
fn owner(metadata: &std::fs::Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::uid(metadata))
}

#[cfg(not(unix))] // has no directories of users
const fn owner(_metadata: &std::fs::Metadata) -> Option<u32> {
    None
}

/// The files that running processes have mapped; looked at again from time to time.
#[derive(Debug, Default)]
pub(super) struct MappedByProcess {
    found: Found,
    /// When they were looked at, and how long that took.
    last: Option<(Instant, Duration)>,
}

/// What a look has found.
#[derive(Debug, Default, Clone)]
pub(super) struct Found {
    pub(super) files: Vec<MappedFile>,
    /// Processes whose mappings cannot be read, with the reason.
    pub(super) hidden: HashMap<u32, String>,
}

/// A file that a process has mapped.
#[derive(Debug, Clone)]
pub(super) struct MappedFile {
    pub(super) path: PathBuf,
    pub(super) process: u32,
    pub(super) owner: Option<u32>,
}

impl MappedByProcess {
    /// The files of these processes, or for `None` of all.
    pub(super) fn look(&mut self, pids: Option<&[u32]>, silent: &mut SilentPlaces) -> &Found {
        if pids.is_some_and(<[u32]>::is_empty) {
            return &self.found;
        }
        let is_recent =
            |(at, took): (Instant, Duration)| at.elapsed() < MIN_INTERVAL.max(took * RARITY);
        if !self.last.is_some_and(is_recent) {
            let start = Instant::now();
            let asked = pids.map(<[u32]>::to_vec);
            // A path may lead to a file system that does not answer.
            let looked = silent.ask(Path::new("/proc"), false, move |progress| {
                let all = asked.is_none();
                let mut found = Found::default();
                for pid in asked.unwrap_or_else(process::all) {
                    add(pid, !all, &mut found);
                    progress.step();
                }
                found
            });
            self.found = looked.unwrap_or_default();
            self.last = Some((start, start.elapsed()));
        }
        &self.found
    }
}

fn add(pid: u32, asked: bool, found: &mut Found) {
    match process::mapped_files(pid) {
        Ok(mapped) => {
            for path in mapped.paths {
                let owner = crate::backend::info(&path).ok().and_then(|info| info.owner);
                if found.files.len() < MAX_FILES {
                    found.files.push(MappedFile { path, process: pid, owner });
                }
            }
            if let Some(path) = mapped.removed.first().filter(|_| asked) {
                let why = format!("{} has no name any more", path.display());
                found.hidden.insert(pid, why);
            }
        }
        Err(error) if asked => {
            let why = match error.kind() {
                ErrorKind::NotFound => "no such process runs".to_owned(),
                ErrorKind::PermissionDenied => "permission denied".to_owned(),
                kind => kind.to_string(),
            };
            found.hidden.insert(pid, why);
        }
        Err(_) => {}
    }
}

#[cfg(all(test, unix))] // has user ids
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn of_users_takes_directories_of_the_user_in_their_name() {
        let directory = tempfile::tempdir().unwrap();
        let own = std::fs::metadata(directory.path()).unwrap().uid();
        let at = |name: String| directory.path().join(name);
        std::fs::create_dir(at(format!("mmstats-{own}"))).unwrap();
        std::fs::create_dir(at(format!("mmstats-{}", own + 1))).unwrap();
        std::fs::create_dir(at("mmstats-x".to_owned())).unwrap();
        std::os::unix::fs::symlink("/", at(format!("mmstats-0{own}"))).unwrap();
        // Another spelling of the number.
        std::fs::create_dir(at(format!("mmstats-00{own}"))).unwrap();
        let found: Vec<_> = of_users(directory.path(), "mmstats-").collect();
        assert_eq!(found, [(own, at(format!("mmstats-{own}")))]);
    }
}
