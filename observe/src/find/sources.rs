//! Where to look: directories, named files, processes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::backend::directory::{environment, observe_directories_in};

use crate::problem::Problem;

/// What an [`Observer`](crate::Observer) looks at.
///
/// - Nothing given: the default directories. They are those of
///   [`observe_directories`](crate::backend::directory::observe_directories), and, unless
///   `MMSTATS_PATH` names one, the temporary directory for files of format 1, where
///   the original library puts them.
/// - Paths: a file is observed whatever its name is, a directory is searched.
/// - Process ids: files of the default directories that say they are of that process.
/// - Both: all of these.
///
/// A directory is searched (not below it) for names that end in `.mmst` (format 3) and
/// `.mmstats` (format 1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    paths: Vec<PathBuf>,
    pids: Vec<u32>,
}

impl Sources {
    /// The default directories, until something else is added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file or a directory that the user named.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if !self.paths.contains(&path) {
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

    /// Whether nothing was added: the default directories.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.pids.is_empty()
    }

    /// The processes.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }
}

/// Why a path is a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The user named it.
    Named,
    /// It lies in a directory that the user named, or in a default one.
    Listed,
    /// It lies in a default directory, and only files of certain processes are asked for.
    IfPid,
}

/// What there is to look at now.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In order; one file may have two paths, but no path comes twice.
    pub(crate) candidates: Vec<(PathBuf, Reason)>,
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) problems: Vec<Problem>,
}

impl Listing {
    /// Lists the directories, asks the system about the paths.
    pub(crate) fn of(sources: &Sources) -> Self {
        let mut listing = Self::default();
        for path in &sources.paths {
            // A link to a directory is followed, as the user named it; one to a file is
            // refused when it is opened.
            if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
                listing.search(path, Reason::Listed, true, None);
            } else {
                listing.candidates.push((path.clone(), Reason::Named));
            }
        }
        if sources.paths.is_empty() || !sources.pids.is_empty() {
            let reason = if sources.pids.is_empty() { Reason::Listed } else { Reason::IfPid };
            listing.search_defaults(reason);
        }
        listing
            .candidates
            .retain(|(path, reason)| *reason == Reason::Named || !sources.paths.contains(path));
        listing
    }

    fn search_defaults(&mut self, reason: Reason) {
        let environment = environment();
        let explicit = environment.explicit.as_ref().is_some_and(|path| !path.is_empty());
        let (found, passed_over) = observe_directories_in(&environment);
        for directory in found {
            self.search(directory.path(), reason, false, None);
        }
        for passed in passed_over {
            let problem = Problem::from_system(&passed.candidate.path, &passed.error);
            self.problems.push(Problem { named: explicit, ..problem });
        }
        if !explicit {
            // Everybody may write there, so files in it are believed as much as any other:
            // nothing but their own bytes.
            self.search(&std::env::temp_dir(), reason, false, Some(FORMAT1));
        }
    }

    fn search(&mut self, directory: &Path, reason: Reason, named: bool, only: Option<&str>) {
        if self.directories.iter().any(|known| known == directory) {
            return;
        }
        self.directories.push(directory.to_owned());
        let mut names = Vec::new();
        let listed = fs::read_dir(directory).and_then(|entries| {
            for entry in entries {
                let name = entry?.file_name();
                if is_ours(&name, only) {
                    names.push(name);
                }
            }
            Ok(())
        });
        if let Err(error) = listed {
            self.problems.push(Problem { named, ..Problem::from_io(directory, &error) });
        }
        names.sort_unstable();
        self.candidates.extend(names.into_iter().map(|name| (directory.join(name), reason)));
    }
}

/// Ends of the names of files of format 1.
const FORMAT1: &str = ".mmstats";

/// Whether a file of this name is looked at. Names with a dot first are of files that are
/// not complete yet, or nothing but an end.
fn is_ours(name: &OsStr, only: Option<&str>) -> bool {
    let name = name.as_encoded_bytes();
    let ends = |end: &str| name.ends_with(end.as_bytes());
    let ours = match only {
        Some(end) => ends(end),
        None => ends(crate::backend::name::SUFFIX) || ends(FORMAT1),
    };
    ours && !name.starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
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
            assert_eq!(is_ours(OsStr::new(name), None), any, "{name}");
            assert_eq!(is_ours(OsStr::new(name), Some(FORMAT1)), one, "{name}");
        }
    }

    #[test]
    fn sources_are_kept_once() {
        let sources = Sources::new().path("a").path("b").path("a").pid(7).pid(7);
        assert_eq!((sources.paths.len(), sources.pids()), (2, [7].as_slice()));
        assert!(!sources.is_empty() && Sources::new().is_empty());
        assert!(!Sources::new().path("a").is_empty() && !Sources::new().pid(7).is_empty());
    }
}
