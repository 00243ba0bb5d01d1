//! Where files are published and looked for: the candidates, as pure functions of the environment,
//! and which of them are taken, by a backend's ways to open one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Error, ErrorKind, Result};

/// The environment variable with the directory.
pub const VARIABLE: &str = "MMSTATS_PATH";

/// What the choice of a directory depends on.
///
/// ```
/// use mmstats_system::{Environment, Origin};
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

/// The directory that was chosen for publishing.
#[derive(Debug)]
pub struct Found<D> {
    /// Open and checked.
    pub directory: D,
    /// Why it was a candidate.
    pub origin: Origin,
    /// Better candidates, which could not be used.
    pub passed_over: Vec<PassedOver>,
}

/// The ways in which a backend opens a directory.
pub trait OpenDirectory: Sized {
    /// Opens any directory; links are followed.
    ///
    /// # Errors
    ///
    /// Where it does not exist ([`ErrorKind::NotFound`]), or cannot be used.
    fn open(path: &Path) -> Result<Self>;

    /// The same, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where it cannot be made.
    fn open_or_create(path: &Path) -> Result<Self>;

    /// Opens a directory that belongs to this user alone.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where others may write to it.
    fn open_own(path: &Path) -> Result<Self>;

    /// The same, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// As [`open_own`](Self::open_own), and where it cannot be made.
    fn create_own(path: &Path) -> Result<Self>;

    /// The directory again, if files can be made in it.
    ///
    /// # Errors
    ///
    /// Where they cannot.
    fn writable(self) -> Result<Self>;
}

/// What the `directory` module of a backend has besides its `Directory` (with the functions of
/// [`OpenDirectory`]) and its `environment`: written once, for all backends.
#[doc(hidden)]
#[macro_export]
macro_rules! directories {
    ($directory:ident, $environment:ident) => {
        /// The directory that was chosen for publishing.
        pub type Found = $crate::Found<$directory>;

        impl $crate::OpenDirectory for $directory {
            fn open(path: &std::path::Path) -> $crate::Result<Self> {
                Self::open(path)
            }
            fn open_or_create(path: &std::path::Path) -> $crate::Result<Self> {
                Self::open_or_create(path)
            }
            fn open_own(path: &std::path::Path) -> $crate::Result<Self> {
                Self::open_own(path)
            }
            fn create_own(path: &std::path::Path) -> $crate::Result<Self> {
                Self::create_own(path)
            }
            fn writable(self) -> $crate::Result<Self> {
                self.writable()
            }
        }

        /// The directory to publish in: the first [candidate](Environment::candidates) that can
        /// be used. It is made if it is missing.
        ///
        /// # Errors
        ///
        /// Where no candidate can be used; the error is about the best one.
        pub fn publish_directory() -> $crate::Result<Found> {
            publish_directory_in(&$environment())
        }

        /// The same for another environment.
        ///
        /// # Errors
        ///
        /// As [`publish_directory`].
        pub fn publish_directory_in(environment: &$crate::Environment) -> $crate::Result<Found> {
            $crate::publish_in(environment)
        }

        /// The directories to look for files in: all candidates that exist and can be trusted,
        /// best first.
        #[must_use]
        pub fn observe_directories() -> Vec<$directory> {
            observe_directories_in(&$environment()).0
        }

        /// The same for another environment, and which existing directories were passed over.
        #[must_use]
        pub fn observe_directories_in(
            environment: &$crate::Environment,
        ) -> (Vec<$directory>, Vec<$crate::PassedOver>) {
            $crate::observe_in(environment)
        }

        /// Whether the files in a directory are in memory, and never wait for a disk; see
        /// [`Directory::is_memory_backed`].
        ///
        /// # Errors
        ///
        /// Where the directory cannot be opened.
        pub fn is_memory_backed(path: &std::path::Path) -> $crate::Result<Option<bool>> {
            $directory::open(path)?.is_memory_backed()
        }
    };
}

/// `publish_directory_in` of a backend.
///
/// # Errors
///
/// Where no candidate can be used; the error is about the best one.
pub fn publish_in<D: OpenDirectory>(environment: &Environment) -> Result<Found<D>> {
    let mut passed_over = Vec::new();
    for candidate in environment.candidates() {
        let origin = candidate.origin;
        let directory = match origin {
            Origin::Explicit => D::open_or_create(&candidate.path),
            _ => D::create_own(&candidate.path),
        };
        match directory.and_then(D::writable) {
            Ok(directory) => return Ok(Found { directory, origin, passed_over }),
            Err(error) => passed_over.push(PassedOver { candidate, error }),
        }
    }
    let none = || Error::pathless("find a directory", ErrorKind::NotFound);
    Err(passed_over.into_iter().next().map_or_else(none, |passed| passed.error))
}

/// `observe_directories_in` of a backend: of the candidates that were passed over those that exist,
/// and what the user named.
#[must_use]
pub fn observe_in<D: OpenDirectory>(environment: &Environment) -> (Vec<D>, Vec<PassedOver>) {
    let (mut found, mut passed_over) = (Vec::new(), Vec::new());
    for candidate in environment.candidates() {
        let directory = match candidate.origin {
            Origin::Explicit => D::open(&candidate.path),
            _ => D::open_own(&candidate.path),
        };
        match directory {
            Ok(directory) => found.push(directory),
            // Nobody has published there; but a directory that the user named should exist.
            Err(error)
                if error.kind() == ErrorKind::NotFound && candidate.origin != Origin::Explicit => {}
            Err(error) => passed_over.push(PassedOver { candidate, error }),
        }
    }
    (found, passed_over)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens what its path says that can be opened.
    #[cfg(not(windows))] // as the test that it is for
    struct Named(PathBuf);

    #[cfg(not(windows))] // as above
    impl Named {
        fn made(path: &Path, how: &str) -> Result<Self> {
            let error = |kind| Err(Error::new("use directory", path, kind));
            match path.to_str() {
                Some(path) if path.contains("missing") && !how.contains("create") => {
                    error(ErrorKind::NotFound)
                }
                Some(path) if path.contains("spoilt") => error(ErrorKind::OthersMayWrite),
                _ => Ok(Self(path.join(how))),
            }
        }
    }

    #[cfg(not(windows))] // as above
    impl OpenDirectory for Named {
        fn open(path: &Path) -> Result<Self> {
            Self::made(path, "open")
        }
        fn open_or_create(path: &Path) -> Result<Self> {
            Self::made(path, "open or create")
        }
        fn open_own(path: &Path) -> Result<Self> {
            Self::made(path, "open own")
        }
        fn create_own(path: &Path) -> Result<Self> {
            Self::made(path, "create own")
        }
        fn writable(self) -> Result<Self> {
            let full = self.0.starts_with("/full");
            let error = || Error::new("write to", &self.0, ErrorKind::PermissionDenied);
            if full { Err(error()) } else { Ok(self) }
        }
    }

    #[cfg(not(windows))] // the folders that Windows has
    #[test]
    fn the_best_that_can_be_used_is_taken() {
        let with = |explicit: &str, runtime: &str, temporary: &str| Environment {
            explicit: Some(explicit.into()),
            runtime: Some(runtime.into()),
            temporary: Some(temporary.into()),
            ..Environment::default()
        };
        // Behind the one in memory, of systems that have it.
        let chosen = |environment: &Environment| {
            let found = publish_in::<Named>(environment)?;
            Ok::<_, Error>((found.directory.0, found.origin, found.passed_over.len()))
        };
        let explicit = chosen(&with("/full/../srv", "", "/t"));
        assert_eq!(*explicit.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let (path, origin, passed_over) = chosen(&with("/srv/missing", "/r", "/t")).unwrap();
        assert_eq!(path, Path::new("/srv/missing/open or create"));
        assert_eq!((origin, passed_over), (Origin::Explicit, 0));
        let error = chosen(&with("/spoilt", "/r", "/t")).unwrap_err();
        assert_eq!(
            (error.path(), error.kind()),
            (Some(Path::new("/spoilt")), &ErrorKind::OthersMayWrite)
        );

        let observed = |environment: &Environment| {
            let (found, passed_over) = observe_in::<Named>(environment);
            let found: Vec<_> = found.into_iter().map(|named| named.0).collect();
            (found, passed_over.into_iter().map(|passed| passed.candidate.path).collect::<Vec<_>>())
        };
        let (found, passed_over) = observed(&with("/missing", "", "/t"));
        assert_eq!((found.len(), &*passed_over), (0, &[PathBuf::from("/missing")][..]));
        let (found, passed_over) = observed(&with("", "/missing", "/spoilt"));
        assert!(found.iter().all(|path| path.ends_with("open own")), "{found:?}");
        assert_eq!(passed_over, [Path::new("/spoilt/mmstats-0")]);
        let (found, _) = observed(&with("/srv", "", "/t"));
        assert_eq!(found, [Path::new("/srv/open")]);
    }

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
