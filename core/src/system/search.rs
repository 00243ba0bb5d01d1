//! Where files are published and looked for, as pure functions of the environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::vec::Vec;
use std::{format, vec};

use super::Error;

/// The environment variable with the directory.
pub const VARIABLE: &str = "MMSTATS_PATH";

/// What the choice of a directory depends on.
///
/// ```
/// use mmstats_core::system::{Environment, Origin};
/// let environment = Environment { explicit: Some("/srv/stats".into()), ..Environment::default() };
/// let candidates = environment.candidates();
/// assert_eq!(candidates.len(), 1);
/// assert_eq!(candidates[0].origin, Origin::Explicit);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `MMSTATS_PATH`; empty counts as not set.
    pub explicit: Option<OsString>,
    /// `XDG_RUNTIME_DIR`; ignored where it is not absolute.
    pub runtime: Option<OsString>,
    /// `TMPDIR`, on Windows the folder for temporary files; ignored where it is not absolute.
    pub temporary: Option<OsString>,
    /// The user's local application data (Windows); ignored where it is not absolute.
    pub local: Option<OsString>,
    /// The effective user id; on Windows there is none, and it is 0.
    pub user: u32,
}

/// Why a directory is a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// `MMSTATS_PATH` names it: taken as it is, links, owner and mode are the user's business.
    Explicit,
    /// The per-user directory in the shared-memory file system (Linux).
    SharedMemory,
    /// The `mmstats` directory in `XDG_RUNTIME_DIR`.
    Runtime,
    /// The per-user directory in `TMPDIR`, else in `/tmp`; on Windows in the user's own folder
    /// for temporary files.
    Temporary,
    /// The `mmstats` directory in the user's local application data (Windows).
    Local,
}

/// A directory that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its path.
    pub path: PathBuf,
    /// Why it is one.
    pub origin: Origin,
}

/// A candidate that could not be used.
#[derive(Debug)]
pub struct PassedOver {
    /// Which one.
    pub candidate: Candidate,
    /// Why.
    pub error: Error,
}

impl Environment {
    /// The directories, best first.
    ///
    /// `MMSTATS_PATH` alone where it is set; otherwise on Windows `mmstats` in the user's local
    /// application data, then in the folder for temporary files; elsewhere
    ///
    /// 1. `/dev/shm/mmstats-<euid>` (Linux only, memory-backed),
    /// 2. `$XDG_RUNTIME_DIR/mmstats`,
    /// 3. `$TMPDIR/mmstats-<euid>`, else `/tmp/mmstats-<euid>`.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        if let Some(path) = self.explicit.as_ref().filter(|path| !path.is_empty()) {
            return vec![Candidate { path: path.into(), origin: Origin::Explicit }];
        }
        let own = format!("mmstats-{}", self.user);
        let absolute = |path: &Option<OsString>| {
            path.as_ref().map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let mut candidates = Vec::new();
        // A user's folders are the user's own there.
        if cfg!(windows) {
            let folders = [(&self.local, Origin::Local), (&self.temporary, Origin::Temporary)];
            candidates.extend(folders.into_iter().filter_map(|(folder, origin)| {
                Some(Candidate { path: absolute(folder)?.join("mmstats"), origin })
            }));
            return candidates;
        }
        // Where a file system in memory is sure to be.
        if cfg!(any(target_os = "linux", target_os = "android")) {
            let path = PathBuf::from("/dev/shm").join(&own);
            candidates.push(Candidate { path, origin: Origin::SharedMemory });
        }
        if let Some(runtime) = absolute(&self.runtime) {
            candidates.push(Candidate { path: runtime.join("mmstats"), origin: Origin::Runtime });
        }
        let temporary = absolute(&self.temporary).unwrap_or_else(|| PathBuf::from("/tmp"));
        candidates.push(Candidate { path: temporary.join(own), origin: Origin::Temporary });
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn paths(environment: &Environment) -> Vec<PathBuf> {
        environment.candidates().into_iter().map(|c| c.path).collect()
    }

    #[test]
    fn explicit_path_is_the_only_one() {
        let environment = Environment {
            explicit: Some("relative/dir".into()),
            runtime: Some("/run/user/7".into()),
            user: 7,
            ..Environment::default()
        };
        assert_eq!(paths(&environment), [Path::new("relative/dir")]);
        let empty = Environment { explicit: Some("".into()), ..environment };
        assert_ne!(paths(&empty), [Path::new("relative/dir")]);
    }

    #[cfg(windows)] // the folders that Windows has
    #[test]
    fn defaults_are_in_the_folders_of_the_user() {
        let environment = Environment {
            local: Some(r"C:\Users\Zoë\AppData\Local".into()),
            temporary: Some("relative".into()),
            ..Environment::default()
        };
        let found = environment.candidates();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, Path::new(r"C:\Users\Zoë\AppData\Local\mmstats"));
        assert_eq!(found[0].origin, Origin::Local);
    }

    #[cfg(not(windows))] // where absolute paths begin with a slash
    #[test]
    fn defaults_are_per_user() {
        let environment = Environment {
            runtime: Some("/run/user/7".into()),
            temporary: Some("/var/folders/7".into()),
            user: 7,
            ..Environment::default()
        };
        let found = paths(&environment);
        let want = ["/dev/shm/mmstats-7", "/run/user/7/mmstats", "/var/folders/7/mmstats-7"];
        // Only Linux has the first.
        let skip = usize::from(!cfg!(target_os = "linux"));
        assert_eq!(found, want[skip..].iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[cfg(not(windows))] // as above
    #[test]
    fn relative_variables_are_ignored() {
        let environment = Environment {
            runtime: Some("run".into()),
            temporary: Some("".into()),
            user: 7,
            ..Environment::default()
        };
        let found = environment.candidates();
        assert!(found.iter().all(|c| c.origin != Origin::Runtime));
        assert_eq!(found.last().unwrap().path, Path::new("/tmp/mmstats-7"));
    }
}
