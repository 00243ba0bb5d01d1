//! Published directories in the mount namespaces of other processes, below `/proc/PID/root`.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bounded::{Progress, SilentPlaces};
use crate::backend::directory::Directory;
use crate::backend::process;
use crate::backend::{Error, ErrorKind, FileId};
use crate::namespace::{self, Namespace, OwnNamespaces};
use crate::problem::Problem;

/// The mount namespaces of other processes; looked at again from time to time.
#[derive(Debug, Default)]
pub(super) struct MountNamespaces {
    groups: Vec<Group>,
    /// Index of the group of each process with the root of its group.
    by_process: HashMap<u32, usize>,
    directories: Vec<Found>,
    problems: Vec<Problem>,
    /// Start and duration of the last look.
    last: Option<(Instant, Duration)>,
}

/// Processes with one mount namespace and one root.
#[derive(Debug)]
struct Group {
    /// Process whose `/proc/PID/root` is the start of the paths of this group.
    process: u32,
    namespace: Option<Arc<Namespace>>,
    /// Mapping of user ids, inside to outside.
    users: Users,
}

/// A directory with published files.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) namespace: Option<Arc<Namespace>>,
}

/// Minimum time between two looks.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Looks take at most 1/`RARITY` of the time.
const RARITY: u32 = 20;
/// Maximum number of groups.
const MAX_GROUPS: usize = 10_000;
/// Maximum number of directories of users of one group, and of directories of mapped files.
const MAX_DIRECTORIES: usize = 100;
/// Maximum number of names read in one parent: any user of a container can create any number.
const MAX_NAMES: usize = 10_000;
/// Maximum number of problems reported for one group.
const MAX_COMPLAINTS: usize = 8;
/// Parents of directories of users in a namespace, and the directory in them.
const PARENTS: [(&str, &str, Option<&str>); 3] =
    [("dev/shm", "mmstats-", None), ("tmp", "mmstats-", None), ("run/user", "", Some("mmstats"))];

impl MountNamespaces {
    /// Finds the namespaces, and the directories in them: those of their users, and those of mapped files.
    /// `mapped`: paths of mapped files, each with a process that maps it.
    pub(super) fn look<'a>(
        &mut self,
        own: &OwnNamespaces,
        mapped: impl Iterator<Item = (&'a Path, u32)>,
        silent: &mut SilentPlaces,
    ) {
        let is_recent =
            |(at, took): (Instant, Duration)| at.elapsed() < MIN_INTERVAL.max(took * RARITY);
        if self.last.is_some_and(is_recent) {
            return;
        }
        let start = Instant::now();
        self.problems.clear();
        self.find_groups(own);
        let mut parents: HashMap<usize, HashSet<PathBuf>> = HashMap::new();
        for (path, process) in mapped {
            let Some(index) = self.by_process.get(&process) else { continue };
            let path = self.shared_path(path, process);
            parents.entry(*index).or_default().extend(path.parent().map(Path::to_owned));
        }
        self.find_directories(parents, silent);
        self.last = Some((start, start.elapsed()));
    }

    /// The directories of the last look, each once, also if several namespaces share it.
    pub(super) fn directories(&self) -> &[Found] {
        &self.directories
    }

    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The path of a file of a process, below the root that its group shares.
    pub(super) fn shared_path(&self, path: &Path, process: u32) -> PathBuf {
        let group = self.by_process.get(&process).and_then(|index| self.groups.get(*index));
        let below = path.strip_prefix(root(process));
        match (group, below) {
            (Some(group), Ok(below)) => root(group.process).join(below),
            _ => path.to_owned(),
        }
    }

    fn find_groups(&mut self, own: &OwnNamespaces) {
        let kept: HashSet<u32> = self.groups.iter().map(|group| group.process).collect();
        let mut pids = process::all();
        pids.sort_unstable();
        // The process of a group is kept while it lives, so that paths do not change.
        pids.sort_by_key(|pid| !kept.contains(pid));
        let (mut hidden, mut more) = (0_usize, 0_usize);
        let mut known: HashMap<(u64, FileId), usize> = HashMap::new();
        self.groups.clear();
        self.by_process.clear();
        if pids.is_empty() {
            let message = "this system does not list other processes";
            self.problems.push(Problem::new(Path::new("/proc"), "unsupported", message));
        }
        for pid in pids {
            let Some(mount) = namespace::inode(pid, "mnt") else {
                hidden += usize::from(is_denied(pid));
                continue;
            };
            if own.mount == Some(mount) {
                continue;
            }
            let id = match Directory::open(&root(pid)).and_then(|root| root.info()) {
                Ok(info) => info.id,
                Err(error) => {
                    hidden += usize::from(error.kind() == ErrorKind::PermissionDenied);
                    continue;
                }
            };
            let index = match known.get(&(mount, id)) {
                Some(index) => *index,
                None if self.groups.len() == MAX_GROUPS => {
                    more += 1;
                    continue;
                }
                None => {
                    let namespace = Namespace::of_process(pid, own).map(Arc::new);
                    let users = Users::read(pid);
                    self.groups.push(Group { process: pid, namespace, users });
                    known.insert((mount, id), self.groups.len() - 1);
                    self.groups.len() - 1
                }
            };
            self.by_process.insert(pid, index);
        }
        if hidden > 0 {
            let processes = if hidden == 1 { "process" } else { "processes" };
            let message =
                format!("the namespaces of {hidden} {processes} cannot be read: permission denied");
            self.problems.push(Problem::new(Path::new("/proc"), "permission-denied", message));
        }
        if more > 0 {
            let message = format!("{more} processes in further namespaces left out");
            self.problems.push(Problem::new(Path::new("/proc"), "too-many", message));
        }
    }

    /// Finds the directories of each group; `parents` are the directories of mapped files, by group.
    fn find_directories(
        &mut self,
        mut parents: HashMap<usize, HashSet<PathBuf>>,
        silent: &mut SilentPlaces,
    ) {
        let mut work: HashMap<PathBuf, (Users, Vec<PathBuf>)> = HashMap::new();
        for (index, group) in self.groups.iter().enumerate() {
            let mut more: Vec<PathBuf> = parents.remove(&index).into_iter().flatten().collect();
            // Sorted first: each look has the same ones.
            more.sort();
            work.insert(root(group.process), (group.users.clone(), more));
        }
        let places: Vec<PathBuf> = self.groups.iter().map(|group| root(group.process)).collect();
        let answers = silent.ask_each(&places, false, move |root, progress| {
            let (users, mapped) = work.get(root)?;
            Some(directories(root, users, mapped, progress))
        });
        self.directories.clear();
        let mut ids = HashSet::new();
        let mut unanswered = 0;
        for (group, answer) in self.groups.iter().zip(answers) {
            let Some((found, problems)) = answer.flatten() else {
                unanswered += 1;
                if unanswered <= MAX_COMPLAINTS {
                    self.problems.push(Problem::no_answer(&root(group.process)));
                }
                continue;
            };
            self.problems.extend(problems);
            for (path, id) in found {
                if ids.insert(id) {
                    let namespace = group.namespace.clone();
                    self.directories.push(Found { path, id, namespace });
                }
            }
        }
        if unanswered > MAX_COMPLAINTS {
            let count = unanswered - MAX_COMPLAINTS;
            let message = format!("{count} more namespaces were not looked at");
            self.problems.push(Problem::new(Path::new("/proc"), "no-answer", message));
        }
    }
}

/// Path of the root of a process: `/proc/PID/root`.
fn root(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/root"))
}

/// Whether permission to read the namespaces of a process is denied.
fn is_denied(pid: u32) -> bool {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/mnt"));
    link.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// The directories below a root: those owned by the user in their name, and those of mapped files.
fn directories(
    root: &Path,
    users: &Users,
    mapped: &[PathBuf],
    progress: &Progress,
) -> (Vec<(PathBuf, FileId)>, Vec<Problem>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let (mut complaints, mut left_out) = (0_usize, mapped.len().saturating_sub(MAX_DIRECTORIES));
    let mut complain = |error: &Error, path: &Path| {
        if error.kind() == ErrorKind::NotFound {
            return;
        }
        complaints += 1;
        if complaints <= MAX_COMPLAINTS {
            problems.push(Problem::from_system(path, error));
        }
    };
    for (parent, prefix, below) in PARENTS {
        let path = root.join(parent);
        progress.step();
        let parent = match Directory::open(&path) {
            Ok(parent) => parent,
            Err(error) => {
                complain(&error, &path);
                continue;
            }
        };
        let mut names: Vec<(u32, std::ffi::OsString)> = Vec::new();
        let listed = parent.list(&mut |name| {
            progress.step();
            let Some(user) = user_in(name, prefix) else { return };
            if names.len() < MAX_NAMES {
                names.push((user, name.to_owned()));
            } else {
                left_out += 1;
            }
        });
        if let Err(error) = listed {
            complain(&error, &path);
        }
        names.sort();
        for (user, name) in names {
            progress.step();
            let opened = parent.open_below(&name).and_then(|directory| {
                let owner = directory.info()?.owner;
                let directory = match below {
                    Some(below) => directory.open_below(OsStr::new(below))?,
                    None => directory,
                };
                Ok((owner, directory.info()?))
            });
            match opened {
                Ok((owner, info)) if owner == users.outside(user) => {
                    if found.len() < MAX_DIRECTORIES {
                        found.push((info.path, info.id));
                    } else {
                        left_out += 1;
                    }
                }
                // Owner and name differ: ignored, as outside containers.
                Ok(_) => {}
                Err(error) => complain(&error, &path.join(&name)),
            }
        }
    }
    for path in mapped.iter().take(MAX_DIRECTORIES) {
        progress.step();
        match Directory::open(path).and_then(|directory| directory.info()) {
            Ok(info) => found.push((path.clone(), info.id)),
            Err(error) => complain(&error, path),
        }
    }
    if complaints > MAX_COMPLAINTS {
        let message =
            format!("{} more directories could not be opened", complaints - MAX_COMPLAINTS);
        problems.push(Problem::new(root, "too-many", message));
    }
    if left_out > 0 {
        let message = format!("{left_out} more directories of mmstats were not looked at");
        problems.push(Problem::new(root, "too-many", message));
    }
    (found, problems)
}

/// The user id in the name of a directory.
fn user_in(name: &OsStr, prefix: &str) -> Option<u32> {
    let text = name.to_str()?.strip_prefix(prefix)?;
    // Refuses leading zeros and `+`: each user has one directory.
    text.parse().ok().filter(|id: &u32| id.to_string() == text)
}

/// Mapping of user ids of a namespace: the lines of `uid_map`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Users(Vec<[u32; 3]>);

impl Users {
    fn read(pid: u32) -> Self {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap_or_default())
    }

    /// Lines of first id inside, first id outside, and count.
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut numbers = line.split_ascii_whitespace().map(|number| number.parse().ok());
            Some([numbers.next()??, numbers.next()??, numbers.next()??])
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// The id outside the namespace of a user id inside.
    fn outside(&self, user: u32) -> Option<u32> {
        self.0.iter().find_map(|[inside, outside, count]| {
            let distance = user.checked_sub(*inside).filter(|distance| distance < count)?;
            outside.checked_add(distance)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_ids_outside() {
        let users = Users::parse("         0     100000      65536\n 65536 7 1\nx\n");
        assert_eq!(users.0.len(), 2);
        let outside = [0, 1_000, 65_535, 65_536, 65_537].map(|user| users.outside(user));
        assert_eq!(outside, [Some(100_000), Some(101_000), Some(165_535), Some(7), None]);
        assert_eq!(Users::parse("").outside(0), None);
    }

    #[test]
    fn user_in_name_is_written_in_one_way() {
        let user = |name: &str, prefix| user_in(OsStr::new(name), prefix);
        assert_eq!((user("mmstats-0", "mmstats-"), user("1000", "")), (Some(0), Some(1_000)));
        for name in ["mmstats-01", "mmstats-+1", "mmstats-", "mmstats-x", "0", "mmstats-4294967296"]
        {
            assert_eq!(user(name, "mmstats-"), None, "{name}");
        }
    }

    #[test]
    fn directories_beyond_the_limits_are_counted() {
        let root = tempfile::tempdir().unwrap();
        let parent = root.path().join("dev/shm");
        let users = MAX_DIRECTORIES + 2;
        for user in 0..users {
            std::fs::create_dir_all(parent.join(format!("mmstats-{user}"))).unwrap();
        }
        let owner = Directory::open(root.path()).unwrap().info().unwrap().owner.unwrap();
        // Each user inside is the owner outside.
        let everyone = (0..u32::try_from(users).unwrap()).map(|user| [user, owner, 1]).collect();
        let mapped: Vec<_> = (0..=MAX_DIRECTORIES).map(|_| parent.clone()).collect();
        let (found, problems) =
            directories(root.path(), &Users(everyone), &mapped, &Progress::default());
        assert_eq!(found.len(), 2 * MAX_DIRECTORIES);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        let left_out = users - MAX_DIRECTORIES + 1;
        assert_eq!(problem.code, "too-many");
        assert!(problem.message.starts_with(&format!("{left_out} more ")), "{problem:?}");
    }
}
