//! Sources of files: directories, named files, processes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::backend::directory::{environment, observe_directories_in};

use crate::problem::Problem;

/// The files that an [`Observer`](crate::Observer) shows.
///
/// - Nothing added: the files of the default directories. They are those of
///   [`observe_directories`](crate::backend::directory::observe_directories), and, unless
///   `MMSTATS_PATH` names one, the temporary directory for files of format 1, where
///   the original library creates them.
/// - Paths: files with any name, and the files of directories.
/// - Process ids: the files of the default directories with that `sys.pid`.
/// - Both: all of these.
///
/// In a directory, not below it, names that end in `.mmst` (format 3) and `.mmstats` (format 1)
/// are found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    paths: Vec<PathBuf>,
    pids: Vec<u32>,
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

    /// Whether neither a path nor a process was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.pids.is_empty()
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
    /// It lies in a default directory, and is shown only for the processes asked for.
    IfPid,
}

/// The files and directories of the sources now.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In order, without equal paths; a file may have two paths.
    pub(crate) candidates: Vec<(PathBuf, Reason)>,
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) problems: Vec<Problem>,
}

impl Listing {
    /// Lists the directories, and finds which paths are files.
    pub(crate) fn new(sources: &Sources) -> Self {
        let mut listing = Self::default();
        for path in &sources.paths {
            // A named link to a directory is followed; one to a file is refused when opened.
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
            // Any user may write there; files are trusted no more than elsewhere.
            self.search(&std::env::temp_dir(), reason, false, Some(FORMAT1));
        }
    }

    fn search(&mut self, directory: &Path, reason: Reason, named: bool, suffix: Option<&str>) {
        if self.directories.iter().any(|other| other == directory) {
            return;
        }
        self.directories.push(directory.to_owned());
        let mut names = Vec::new();
        let listed = fs::read_dir(directory).and_then(|entries| {
            for entry in entries {
                let name = entry?.file_name();
                if has_suffix(&name, suffix) {
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
