//! Sources of files: directories, named files, processes.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bounded::{Progress, SilentPlaces};
use super::elsewhere::{MappedByProcess, other_directories};
use super::namespaces::MountNamespaces;
use crate::backend::FileId;
use crate::backend::directory::{Directory, environment, is_memory_backed, observe_directories_in};
use crate::namespace::{Namespace, OwnNamespaces};
use crate::problem::{NotFound, Problem};

/// The files that an [`Observer`](crate::Observer) shows.
///
/// - Nothing added: the files of the default directories. They are those of
///   [`observe_directories`](crate::backend::directory::observe_directories), and, unless
///   `MMSTATS_PATH` names one, the temporary directory for files of format 1, where
///   the original library creates them.
/// - Paths: files with any name, and the files of directories.
/// - Process ids: the files of the default directories with that `sys.pid`, and those that the process
///   has mapped, wherever they are.
/// - Names: the programs with that `sys.command` or `sys.application`.
/// - Several of these: all of them.
///
/// Processes and names are looked for in the directories of other users too, and names among the
/// files that running processes have mapped, unless `MMSTATS_PATH` names a directory; with
/// [`everywhere`](Self::everywhere) always. Only what this process may read is found. A file of a
/// container has a path through `/proc/PID/root`.
///
/// In a directory, not below it, names that end in `.mmst` (format 3) and `.mmstats` (format 1)
/// are found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    paths: Vec<PathBuf>,
    /// The same, to find equal ones.
    known: HashSet<PathBuf>,
    pids: Vec<u32>,
    names: Vec<String>,
    everywhere: bool,
    namespaces: bool,
}

impl Sources {
    /// The default directories, until a path or process is added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file or a directory that the user named.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if self.known.insert(path.clone()) {
            self.paths.push(path);
        }
        self
    }

    /// Adds the files of a process.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Self {
        if !self.pids.contains(&pid) {
            self.pids.push(pid);
        }
        self
    }

    /// Adds the programs with this command or application; those that start later too.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        self
    }

    /// Adds, to the default directories, those of other users and the files that running processes
    /// have mapped.
    #[must_use]
    pub const fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// As [`everywhere`](Self::everywhere), and adds the directories of the mount namespaces of all
    /// processes, as containers have: also programs that ended there. Links in them lead to no file
    /// outside, and names that are no published files are problems. Known on Linux; others have the
    /// problem `unsupported`.
    #[must_use]
    pub const fn all_namespaces(mut self) -> Self {
        self.everywhere = true;
        self.namespaces = true;
        self
    }

    /// Whether neither a path, a process nor a name was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.is_selective()
    }

    /// Whether only some programs of the default directories are shown.
    const fn is_selective(&self) -> bool {
        !self.pids.is_empty() || !self.names.is_empty()
    }

    /// Where else names were looked for, in words.
    pub(crate) fn more_places(&self) -> &'static str {
        if environment().is_explicit() && !self.everywhere {
            ", the value of MMSTATS_PATH"
        } else {
            ", nor among the files that processes have mapped"
        }
    }

    /// The names.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The processes.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }
}

/// Why a path is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The user named it.
    Named,
    /// It lies in a named or default directory.
    Listed,
    /// It lies elsewhere: in the directory of another user, or a process has it mapped. Files that
    /// cannot be opened are no problem.
    Elsewhere,
    /// It is shown only for the processes and names asked for.
    IfAsked,
}

/// A path that may be opened.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) reason: Reason,
    /// Owner; `None` if it is unknown.
    pub(super) owner: Option<u32>,
    /// The process that has it mapped, if it was found so.
    pub(super) process: Option<u32>,
    /// Namespace of its process or directory; `None` if it is that of this process.
    pub(super) namespace: Option<Arc<Namespace>>,
}

/// The files and directories of the sources now.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In order, without equal paths; a file may have two paths.
    pub(super) candidates: Vec<Candidate>,
    pub(super) directories: Vec<PathBuf>,
    /// The directories of which all files are shown, or those asked for by name: there a ledger takes
    /// the place of other files that are shown.
    pub(super) listed: HashMap<PathBuf, Reason>,
    pub(super) problems: Vec<Problem>,
    /// Processes whose mappings were asked for and do not help, with the reason.
    pub(super) hidden: HashMap<u32, (NotFound, String)>,
    /// Directories of other users that cannot be read.
    pub(super) closed: Vec<PathBuf>,
}

/// State of places from earlier listings.
#[derive(Debug)]
pub(super) struct Places {
    silent: SilentPlaces,
    /// Directories whose files were read once.
    probed: HashSet<PathBuf>,
    /// Files that running processes have mapped.
    mapped: MappedByProcess,
    namespaces: MountNamespaces,
    own: OwnNamespaces,
}

impl Default for Places {
    fn default() -> Self {
        let (silent, probed, own) = (SilentPlaces::default(), HashSet::new(), OwnNamespaces::new());
        let (mapped, namespaces) = (MappedByProcess::default(), MountNamespaces::default());
        Self { silent, probed, mapped, namespaces, own }
    }
}

/// Files found at one place.
#[derive(Debug, Default)]
struct Found {
    is_directory: bool,
    /// Paths and owners, by path.
    files: Vec<(PathBuf, Option<u32>)>,
    problem: Option<Problem>,
}

/// A place to look at.
struct Place {
    path: PathBuf,
    reason: Reason,
    named: bool,
    /// Suffix of the names in the directory; `None` for those of either format.
    suffix: Option<&'static str>,
    /// Whether it is named or a default place: others are asked only while few do not answer.
    own: bool,
    namespace: Option<Arc<Namespace>>,
}

impl Listing {
    /// Lists the directories, and finds which paths are files.
    pub(super) fn new(sources: &Sources, places: &mut Places) -> Self {
        let mut listing = Self::default();
        for path in &sources.paths {
            let place = Place {
                path: path.clone(),
                reason: Reason::Listed,
                named: true,
                suffix: None,
                own: true,
                namespace: None,
            };
            listing.search(place, places);
        }
        if sources.paths.is_empty() || sources.is_selective() {
            let selective = sources.is_selective();
            let reason = if selective { Reason::IfAsked } else { Reason::Listed };
            listing.search_defaults(reason, places);
            listing.search_elsewhere(sources, places);
        }
        // A process is shown with what it has counted itself.
        let by_name = !sources.names.is_empty();
        listing.listed.retain(|_, reason| by_name || *reason != Reason::IfAsked);
        listing.candidates.retain(|candidate| {
            candidate.reason == Reason::Named || !sources.known.contains(&candidate.path)
        });
        listing
    }

    fn search_defaults(&mut self, reason: Reason, places: &mut Places) {
        let environment = environment();
        let explicit = environment.is_explicit();
        let asked = environment.clone();
        // No directory has the empty path.
        let opened = places.silent.ask(Path::new(""), true, move |_| {
            let (found, passed_over) = observe_directories_in(&asked);
            let found: Vec<PathBuf> = found.iter().map(|found| found.path().to_owned()).collect();
            (found, passed_over)
        });
        let Some((found, passed_over)) = opened else {
            let path = environment.explicit.map_or_else(std::env::temp_dir, PathBuf::from);
            let problem = Problem { named: explicit, ..Problem::no_answer(&path) };
            return self.problems.push(problem);
        };
        for path in found {
            let place =
                Place { path, reason, named: false, suffix: None, own: true, namespace: None };
            self.search(place, places);
        }
        for passed in passed_over {
            let problem = Problem::from_system(&passed.candidate.path, &passed.error);
            self.problems.push(Problem { named: explicit, ..problem });
        }
        if !explicit {
            // Any user may write there; files are trusted no more than elsewhere.
            let (path, suffix) = (std::env::temp_dir(), Some(FORMAT1));
            let place = Place { path, reason, named: false, suffix, own: true, namespace: None };
            self.search(place, places);
        }
    }

    /// Looks in the directories of other users, and at what running processes have mapped.
    fn search_elsewhere(&mut self, sources: &Sources, places: &mut Places) {
        let environment = environment();
        let explicit = environment.is_explicit();
        let reason = if sources.is_selective() { Reason::IfAsked } else { Reason::Elsewhere };
        let wide = sources.everywhere || (sources.is_selective() && !explicit);
        if wide {
            let user = environment.user;
            let others = other_directories(user, &mut places.silent, &mut self.problems);
            self.closed = others.closed;
            for path in others.open {
                let place =
                    Place { path, reason, named: false, suffix: None, own: false, namespace: None };
                self.search(place, places);
            }
        }
        let all = sources.everywhere || (!sources.names.is_empty() && !explicit);
        let pids = if all { None } else { Some(&*sources.pids) };
        places.mapped.look(pids, &places.own, &mut places.silent);
        if sources.namespaces {
            self.search_namespaces(sources, places);
        }
        let found = places.mapped.found();
        let mut known: HashMap<&Path, usize> = HashMap::new();
        for (index, candidate) in self.candidates.iter().enumerate() {
            known.insert(&candidate.path, index);
        }
        let mut listed = Vec::new();
        let mut new = Vec::new();
        for file in &found.files {
            // That of a directory that was listed.
            let path = places.namespaces.shared_path(&file.path, file.process);
            match known.get(&*path) {
                Some(index) => listed.push((*index, file.process, file.namespace.clone())),
                None => new.push(Candidate {
                    path,
                    reason,
                    owner: file.owner,
                    process: Some(file.process),
                    namespace: file.namespace.clone(),
                }),
            }
        }
        for (index, process, namespace) in listed {
            if let Some(candidate) = self.candidates.get_mut(index) {
                candidate.process = Some(process);
                candidate.namespace = namespace;
            }
        }
        self.candidates.extend(new);
        self.hidden.clone_from(&found.hidden);
        self.problems.extend(found.problems.iter().cloned());
    }

    /// Looks in the directories of the mount namespaces of other processes.
    fn search_namespaces(&mut self, sources: &Sources, places: &mut Places) {
        let found = places.mapped.found();
        let mapped = found.files.iter().map(|file| (&*file.path, file.process));
        places.namespaces.look(&places.own, mapped, &mut places.silent);
        self.problems.extend(places.namespaces.problems().iter().cloned());
        let id = |path: &PathBuf| Some(Directory::open(path).ok()?.info().ok()?.id);
        let known: HashSet<FileId> = self.directories.iter().filter_map(id).collect();
        let reason = if sources.is_selective() { Reason::IfAsked } else { Reason::Listed };
        let new = places.namespaces.directories().iter().filter(|found| !known.contains(&found.id));
        let new: Vec<_> = new.map(|found| (found.path.clone(), found.namespace.clone())).collect();
        for (path, namespace) in new {
            let place = Place { path, reason, named: false, suffix: None, own: false, namespace };
            self.search(place, places);
        }
    }

    fn search(&mut self, place: Place, places: &mut Places) {
        if self.directories.contains(&place.path) {
            return;
        }
        let Place { path, reason, named, suffix, own, namespace } = place;
        let Some(found) = places.look(&path, named, suffix, own) else {
            self.problems.push(Problem { named, ..Problem::no_answer(&path) });
            return self.directories.push(path);
        };
        let reason = if found.is_directory { reason } else { Reason::Named };
        self.problems.extend(found.problem.map(|problem| Problem { named, ..problem }));
        let candidate = |(path, owner)| Candidate {
            path,
            reason,
            owner,
            process: None,
            namespace: namespace.clone(),
        };
        self.candidates.extend(found.files.into_iter().map(candidate));
        if found.is_directory {
            self.listed.insert(path.clone(), reason);
            self.directories.push(path);
        }
    }
}

impl Places {
    /// Looks at a place; `None` if its file system does not answer.
    fn look(
        &mut self,
        path: &Path,
        named: bool,
        suffix: Option<&'static str>,
        own: bool,
    ) -> Option<Found> {
        let (place, probe) = (path.to_owned(), self.probed.insert(path.to_owned()));
        let work = move |progress: &Progress| found(&place, named, suffix, probe, progress);
        let found = self.silent.ask(path, own, work);
        if found.is_none() {
            self.probed.remove(path);
        }
        found
    }
}

/// Looks at a file or a directory. Runs in a thread that may be left behind.
fn found(
    path: &Path,
    named: bool,
    suffix: Option<&str>,
    probe: bool,
    progress: &Progress,
) -> Found {
    // A named link to a directory is followed; one to a file is refused when opened.
    let is_directory = !named || fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
    progress.step();
    let mut found = Found { is_directory, ..Found::default() };
    let mut names = Vec::new();
    if is_directory {
        let listed = Directory::open(path).and_then(|directory| {
            directory.list(&mut |name| {
                if has_suffix(name, suffix) {
                    names.push(name.to_owned());
                }
                progress.step();
            })
        });
        found.problem = listed.err().map(|error| Problem::from_system(path, &error));
        names.sort_unstable();
    } else {
        found.files.push((path.to_owned(), None));
    }
    found.files.extend(names.into_iter().map(|name| (path.join(name), None)));
    // A file system in memory answers.
    let probe = probe && {
        let directory = if is_directory { Some(path) } else { path.parent() };
        !matches!(directory.map(is_memory_backed), Some(Ok(Some(true))))
    };
    for (path, owner) in &mut found.files {
        *owner = crate::backend::info(path).ok().and_then(|info| info.owner);
        progress.step();
        if probe {
            let _ = crate::backend::read_start(path, &mut [0; 8]);
            progress.step();
        }
    }
    found
}

/// Suffix of the names of files of format 1.
const FORMAT1: &str = ".mmstats";

/// Whether a name has this suffix, or for `None` that of either format. Names that start with
/// a dot are left out: those of incomplete files, and a bare suffix.
fn has_suffix(name: &OsStr, suffix: Option<&str>) -> bool {
    let name = name.as_encoded_bytes();
    let ends = |suffix: &str| name.ends_with(suffix.as_bytes());
    let found = match suffix {
        Some(suffix) => ends(suffix),
        None => ends(crate::backend::name::SUFFIX) || ends(FORMAT1),
    };
    found && !name.starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_suffix_of_either_format_or_one() {
        for (name, any, one) in [
            ("a.mmst", true, false),
            ("a.mmstats", true, true),
            (".mmst", false, false),
            (".a.mmst.tmp", false, false),
            (".a.mmst", false, false),
            ("mmst", false, false),
            ("a.MMST", false, false),
            ("a.mmst.1", false, false),
        ] {
            assert_eq!(has_suffix(OsStr::new(name), None), any, "{name}");
            assert_eq!(has_suffix(OsStr::new(name), Some(FORMAT1)), one, "{name}");
        }
    }

    #[test]
    fn sources_keep_equal_entries_once() {
        let sources = Sources::new().path("a").path("b").path("a").pid(7).pid(7);
        assert_eq!((sources.paths.len(), sources.pids()), (2, [7].as_slice()));
        assert!(!sources.is_empty() && Sources::new().is_empty());
        assert!(!Sources::new().path("a").is_empty() && !Sources::new().pid(7).is_empty());
    }
}
