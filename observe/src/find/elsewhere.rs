//! Places outside the directories of this user: directories of other users, and files that running
//! processes have mapped.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bounded::{Progress, SilentPlaces};
use crate::backend::ErrorKind;
use crate::backend::process;
use crate::namespace::{Namespace, OwnNamespaces};
use crate::problem::{NotFound, Problem};

/// Maximum number of directories of other users.
const MAX_DIRECTORIES: usize = 1_000;
/// Maximum number of directories in one parent with names of other users: any user can make any number.
const MAX_NAMES: usize = 100_000;
/// Maximum number of files that processes have mapped.
const MAX_FILES: usize = 100_000;
/// Minimum time between two looks at the processes; a look that takes long is rarer.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Part of the time that looks at the processes may take: one of so many.
const RARITY: u32 = 20;

/// The directories of other users by the rules of the default ones: a directory counts if its owner is
/// the user in its name. Of those whose file system does not answer, and of too many, there is a
/// problem.
pub(super) fn other_directories(
    user: u32,
    silent: &mut SilentPlaces,
    problems: &mut Vec<Problem>,
) -> OtherDirectories {
    let mut parents: Vec<PathBuf> = ["/dev/shm", "/tmp", RUN].map(PathBuf::from).into();
    parents.push(std::env::temp_dir());
    parents.sort();
    parents.dedup();
    let listed = silent.ask_each(&parents, false, move |parent, progress| {
        of_users(parent, user, MAX_NAMES, progress)
    });
    let mut users = Vec::new();
    for (parent, listed) in parents.iter().zip(listed) {
        let Some((listed, more)) = listed else {
            problems.push(Problem::no_answer(parent));
            continue;
        };
        users.extend(listed);
        if more > 0 {
            let message = format!(
                "{more} directories with names of other users left out: {MAX_NAMES} are looked at \
                 at most"
            );
            problems.push(Problem::new(parent, "too-many", message));
        }
    }
    users.sort();
    let readable = silent.ask_each(&users, false, |path, _| readable(path));
    let mut found = OtherDirectories::default();
    let (mut unanswered, mut more) = (0_usize, 0_usize);
    for (path, readable) in users.iter().zip(readable) {
        match readable {
            Some(Some(Err(closed))) => found.closed.push(closed),
            Some(Some(Ok(directory))) if found.open.len() < MAX_DIRECTORIES => {
                found.open.push(directory);
            }
            Some(Some(Ok(_))) => more += 1,
            Some(None) => {}
            None => {
                unanswered += 1;
                if unanswered <= MAX_REPORTS {
                    problems.push(Problem::no_answer(path));
                }
            }
        }
    }
    let place = || users.first().and_then(|path| path.parent()).unwrap_or(Path::new("/"));
    if unanswered > MAX_REPORTS {
        let count = unanswered - MAX_REPORTS;
        let message = format!("{count} more directories of other users were not looked at");
        problems.push(Problem::new(place(), "no-answer", message));
    }
    if more > 0 {
        let message = format!(
            "{more} directories of other users left out: {MAX_DIRECTORIES} are looked at at most"
        );
        problems.push(Problem::new(place(), "too-many", message));
    }
    found
}

/// Directories of other users: those that can be read, and those that are there and cannot.
#[derive(Debug, Default)]
pub(super) struct OtherDirectories {
    pub(super) open: Vec<PathBuf>,
    pub(super) closed: Vec<PathBuf>,
}

/// Maximum number of places without an answer that are reported one by one.
const MAX_REPORTS: usize = 8;
/// Parent of directories that have the number of a user for a name.
const RUN: &str = "/run/user";
/// Prefix of the number in other parents.
const PREFIX: &str = "mmstats-";

/// The directories whose names are those of directories of users other than `user`, and the number of
/// those beyond `max`. Their owners are not asked for: each may be a file system that does not answer.
fn of_users(parent: &Path, user: u32, max: usize, progress: &Progress) -> (Vec<PathBuf>, usize) {
    let (mut paths, mut more) = (Vec::new(), 0);
    for entry in std::fs::read_dir(parent).ok().into_iter().flatten().flatten() {
        progress.step();
        let path = entry.path();
        let is_other = id_in_name(&path).is_some_and(|id| id != user);
        if !is_other || !entry.file_type().is_ok_and(|file_type| file_type.is_dir()) {
            continue;
        }
        if paths.len() < max {
            paths.push(path);
        } else {
            more += 1;
        }
    }
    (paths, more)
}

/// The user in the name of a directory.
fn id_in_name(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let is_run = path.parent() == Some(Path::new(RUN));
    let text = if is_run { name } else { name.strip_prefix(PREFIX)? };
    // Refuses leading zeros and `+`: each user has one directory.
    text.parse().ok().filter(|id: &u32| id.to_string() == text)
}

/// The directory with the files of the user in the name of `path`, if that is the owner: as an error one
/// that is there and that this process may not read.
fn readable(path: &Path) -> Option<Result<PathBuf, PathBuf>> {
    // Not followed: a link is no directory.
    let metadata = std::fs::symlink_metadata(path).ok()?;
    if !metadata.is_dir() || owner(&metadata) != id_in_name(path) {
        return None;
    }
    let is_run = path.parent() == Some(Path::new(RUN));
    let directory = if is_run { path.join("mmstats") } else { path.to_owned() };
    match std::fs::read_dir(&directory) {
        Ok(_) => Some(Ok(directory)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // In a closed parent it may not even exist.
            directory.symlink_metadata().is_ok().then_some(Err(directory))
        }
        Err(_) => None,
    }
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

/// Result of a look.
#[derive(Debug, Default, Clone)]
pub(super) struct Found {
    pub(super) files: Vec<MappedFile>,
    /// Processes that were asked for, and whose mappings do not help, with the reason.
    pub(super) hidden: HashMap<u32, (NotFound, String)>,
    pub(super) problems: Vec<Problem>,
}

/// A file that a process has mapped.
#[derive(Debug, Clone)]
pub(super) struct MappedFile {
    pub(super) path: PathBuf,
    pub(super) process: u32,
    pub(super) owner: Option<u32>,
    pub(super) namespace: Option<Arc<Namespace>>,
}

impl MappedByProcess {
    /// The files of these processes, or for `None` of all.
    pub(super) fn look(
        &mut self,
        pids: Option<&[u32]>,
        namespaces: &OwnNamespaces,
        silent: &mut SilentPlaces,
    ) {
        if pids.is_some_and(<[u32]>::is_empty) {
            return;
        }
        let is_recent =
            |(at, took): (Instant, Duration)| at.elapsed() < MIN_INTERVAL.max(took * RARITY);
        if !self.last.is_some_and(is_recent) {
            let start = Instant::now();
            let asked = pids.is_some();
            let (own, others) = pids.map_or_else(all_processes, |pids| (pids.to_vec(), Vec::new()));
            self.found = found(&own, &others, asked, namespaces, silent, MAX_FILES);
            self.last = Some((start, start.elapsed()));
        }
    }

    /// Result of the last look.
    pub(super) const fn found(&self) -> &Found {
        &self.found
    }
}

/// All processes: those of this user and of root, and those of other users, who may map any number of
/// files on file systems that do not answer.
fn all_processes() -> (Vec<u32>, Vec<u32>) {
    let user = crate::backend::directory::environment().user;
    let is_own = |pid: &u32| user_of(*pid).is_some_and(|id| id == user || id == 0);
    let mut pids = process::all();
    pids.sort_unstable();
    pids.into_iter().partition(is_own)
}

/// The effective user of a process. The owner of its directory in `/proc` is root once it has made
/// itself impossible to dump.
fn user_of(pid: u32) -> Option<u32> {
    let status = std::fs::read(place(pid).join("status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn place(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// The files of the processes of this user, or named by it, and then of other users.
fn found(
    own: &[u32],
    others: &[u32],
    asked: bool,
    namespaces: &OwnNamespaces,
    silent: &mut SilentPlaces,
    max_files: usize,
) -> Found {
    let namespaces = *namespaces;
    let pids = || own.iter().chain(others).copied();
    let places: Vec<PathBuf> = pids().map(place).collect();
    let by_place: HashMap<PathBuf, u32> = places.iter().cloned().zip(pids()).collect();
    let by_place = Arc::new(by_place);
    // A path may lead to a file system that does not answer.
    let mapped = move |place: &Path, progress: &Progress| {
        by_place.get(place).map(|pid| mapped_by(*pid, asked, &namespaces, progress))
    };
    let (of_own, of_others) = places.split_at(own.len());
    let mut answers = silent.ask_each(of_own, true, mapped.clone());
    answers.extend(silent.ask_each(of_others, false, mapped));
    let mut found = Found::default();
    let (mut unanswered, mut more) = (0_usize, 0_usize);
    for ((pid, place), answer) in pids().zip(&places).zip(answers) {
        let Some(answer) = answer.flatten() else {
            unanswered += 1;
            let why = "a file system of its mapped files does not answer";
            if asked {
                found.hidden.insert(pid, (NotFound::Unknown, why.to_owned()));
            } else if unanswered <= MAX_REPORTS {
                let message = format!("{why}; they are left out");
                found.problems.push(Problem::new(place, "no-answer", message));
            }
            continue;
        };
        found.hidden.extend(answer.hidden.map(|why| (pid, why)));
        let room = max_files - found.files.len();
        more += answer.files.len().saturating_sub(room);
        found.files.extend(answer.files.into_iter().take(room));
    }
    if !asked && unanswered > MAX_REPORTS {
        let count = unanswered - MAX_REPORTS;
        let message = format!("the files of {count} more processes were not looked at");
        found.problems.push(Problem::new(Path::new("/proc"), "no-answer", message));
    }
    if more > 0 {
        let message = format!(
            "{more} files that processes have mapped are left out: {max_files} are looked at at most"
        );
        found.problems.push(Problem::new(Path::new("/proc"), "too-many", message));
    }
    found
}

/// The files of one process, and why some are not known.
struct OfProcess {
    files: Vec<MappedFile>,
    hidden: Option<(NotFound, String)>,
}

fn mapped_by(pid: u32, asked: bool, namespaces: &OwnNamespaces, progress: &Progress) -> OfProcess {
    match process::mapped_files(pid) {
        Ok(mapped) => {
            let has_files = !mapped.paths.is_empty();
            let namespace = has_files.then(|| Namespace::of_process(pid, namespaces));
            let namespace = namespace.flatten().map(Arc::new);
            let file = |path: PathBuf| {
                let owner = crate::backend::info(&path).ok().and_then(|info| info.owner);
                progress.step();
                MappedFile { path, process: pid, owner, namespace: namespace.clone() }
            };
            let removed = mapped.removed.first().filter(|_| asked);
            let why = |path: &PathBuf| format!("{} has no name any more", path.display());
            let hidden = removed.map(|path| (NotFound::Nameless, why(path)));
            OfProcess { files: mapped.paths.into_iter().map(file).collect(), hidden }
        }
        Err(error) => {
            let why = match error.kind() {
                ErrorKind::NotFound => (NotFound::NoProcess, "no such process runs".to_owned()),
                ErrorKind::PermissionDenied => {
                    (NotFound::Denied, "its mappings cannot be read: permission denied".to_owned())
                }
                kind => (NotFound::Unknown, format!("its mappings cannot be read: {kind}")),
            };
            OfProcess { files: Vec::new(), hidden: Some(why).filter(|_| asked) }
        }
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
        // A file, and the directory of the user that looks.
        std::fs::write(at(format!("mmstats-{}", own + 2)), "").unwrap();
        std::fs::create_dir(at(format!("mmstats-{}", own + 3))).unwrap();
        let of_users = |max| of_users(directory.path(), own + 3, max, &Progress::default());
        let (mut found, more) = of_users(2);
        assert_eq!(more, 0);
        found.sort();
        let names = [format!("mmstats-{own}"), format!("mmstats-{}", own + 1)];
        let mut expected: Vec<_> = names.into_iter().map(at).collect();
        expected.sort();
        assert_eq!(found, expected);
        let readable: Vec<_> = found.iter().filter_map(|path| readable(path)).collect();
        assert_eq!(readable, [Ok(at(format!("mmstats-{own}")))]);
        let (some, more) = of_users(1);
        assert_eq!((some.len(), more), (1, 1));
    }

    #[cfg(target_os = "linux")] // /proc
    #[test]
    fn user_of_process_is_its_effective_user() {
        let user = crate::backend::directory::environment().user;
        let own = std::process::id();
        assert_eq!(user_of(own), Some(user));
        assert_eq!(user_of(u32::MAX), None);
        assert!(all_processes().0.contains(&own));
    }

    #[cfg(target_os = "linux")] // /proc
    #[test]
    fn found_says_which_files_are_left_out() {
        use crate::backend::directory::Directory;
        use crate::backend::{Access, create};

        let directory = tempfile::tempdir().unwrap();
        let place = Directory::open(directory.path()).unwrap();
        let files: Vec<_> = ["a.mmst", "b.mmst", "c.mmst"]
            .map(|name| create(&place, name, 4096, Access::Owner).unwrap().publish().unwrap())
            .into();
        let mut silent = SilentPlaces::default();
        let namespaces = OwnNamespaces::new();
        let all = found(&[std::process::id()], &[], false, &namespaces, &mut silent, 1_000);
        assert!(all.files.len() >= files.len() && all.problems.is_empty(), "{all:?}");
        let some = found(&[std::process::id()], &[], false, &namespaces, &mut silent, 2);
        assert_eq!(some.files.len(), 2);
        let problem = some.problems.first().unwrap();
        let text = format!("{} files that processes have mapped are left out", all.files.len() - 2);
        assert_eq!(problem.code, "too-many");
        assert!(problem.message.starts_with(&text), "{problem}");
        // Silent file systems of others hide processes of others alone.
        let mut silent = SilentPlaces::full();
        let own = found(&[std::process::id()], &[1], false, &namespaces, &mut silent, 1_000);
        assert!(own.files.len() >= files.len());
        let codes: Vec<_> = own.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["no-answer"]);
    }
}
