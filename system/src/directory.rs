//! Choice of the directories for files: candidates as a pure function of the environment, and the
//! rules by which one is chosen.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::docs;
use crate::error::{Error, ErrorKind, Result};
use crate::in_time::LIMIT;
use crate::name::DEFAULT_TEMPLATE;

/// Settings that the choice of a directory depends on.
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
    /// `MMSTATS_FILES`, the template of file names; empty counts as not set.
    pub file_names: Option<OsString>,
    /// `XDG_RUNTIME_DIR`; ignored where it is not absolute.
    pub runtime: Option<OsString>,
    /// `TMPDIR`, on Windows the folder for temporary files; ignored where it is not absolute.
    pub temporary: Option<OsString>,
    /// Local application data of the user (Windows); ignored where it is not absolute.
    pub local: Option<OsString>,
    /// Effective user id; 0 on Windows, which has none.
    pub user: u32,
}

/// Why a directory is a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Named by `MMSTATS_PATH`. Links are followed; owner and mode are not checked.
    Explicit,
    /// Per-user directory in the shared-memory file system (Linux).
    SharedMemory,
    /// Directory `mmstats` in `XDG_RUNTIME_DIR`.
    Runtime,
    /// Per-user directory in `TMPDIR`, else in `/tmp`; on Windows in the user's own folder for
    /// temporary files.
    Temporary,
    /// Directory `mmstats` in the user's local application data (Windows).
    Local,
}

/// A directory to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Path.
    pub path: PathBuf,
    /// Why it is a candidate.
    pub origin: Origin,
}

/// A candidate that could not be used.
#[derive(Debug)]
pub struct PassedOver {
    /// The candidate.
    pub candidate: Candidate,
    /// Reason.
    pub error: Error,
}

impl Environment {
    /// Template of file names: `MMSTATS_FILES`, or
    /// [`name::DEFAULT_TEMPLATE`](crate::name::DEFAULT_TEMPLATE) if that is unset or empty.
    ///
    /// Replacement characters stand for bytes that are not UTF-8.
    #[must_use]
    pub fn template(&self) -> String {
        match &self.file_names {
            Some(value) if !value.is_empty() => value.to_string_lossy().into_owned(),
            _ => DEFAULT_TEMPLATE.to_owned(),
        }
    }

    /// Whether `MMSTATS_PATH` names a directory, so that no other place is used.
    #[must_use]
    pub fn is_explicit(&self) -> bool {
        self.explicit.as_ref().is_some_and(|path| !path.is_empty())
    }

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
        // Both folders belong to the user there.
        if cfg!(windows) {
            let folders = [(&self.local, Origin::Local), (&self.temporary, Origin::Temporary)];
            candidates.extend(folders.into_iter().filter_map(|(folder, origin)| {
                Some(Candidate { path: absolute(folder)?.join("mmstats"), origin })
            }));
            return candidates;
        }
        // Systems on which this path is in memory.
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

/// The directory chosen for publishing.
#[derive(Debug)]
pub struct PublishDirectory<D> {
    /// The open directory.
    pub directory: D,
    /// Why it was a candidate.
    pub origin: Origin,
    /// Better candidates that could not be used.
    pub passed_over: Vec<PassedOver>,
}

/// Functions by which a backend opens directories.
pub trait OpenDirectory: Sized + Send + 'static {
    #[doc = docs!(Directory::open)]
    fn open(path: &Path) -> Result<Self>;

    #[doc = docs!(Directory::open_or_create)]
    fn open_or_create(path: &Path) -> Result<Self>;

    #[doc = docs!(Directory::open_own)]
    fn open_own(path: &Path) -> Result<Self>;

    #[doc = docs!(Directory::create_own)]
    fn create_own(path: &Path) -> Result<Self>;

    /// The directory itself, if files can be created in it.
    ///
    /// # Errors
    ///
    /// If they cannot.
    fn writable(self) -> Result<Self>;

    /// Does `work` on `path` by [`in_time`](crate::in_time).
    ///
    /// # Errors
    ///
    /// As [`in_time`](crate::in_time).
    fn in_time(
        path: &Path,
        limit: Duration,
        work: impl Fn() -> Result<Self> + Clone + Send + 'static,
    ) -> Result<Self>;
}

/// Implements `publish_directory_in` of a backend. It waits ten seconds at most, whatever the number of
/// candidates: one that does not answer leaves the others their share of what is left.
///
/// # Errors
///
/// If no candidate can be used; the error is that of the best one.
pub fn publish_in<D: OpenDirectory>(environment: &Environment) -> Result<PublishDirectory<D>> {
    publish_by(environment, Instant::now)
}

/// [`publish_in`] by a clock.
fn publish_by<D: OpenDirectory>(
    environment: &Environment,
    now: impl Fn() -> Instant,
) -> Result<PublishDirectory<D>> {
    let mut passed_over = Vec::new();
    let until = now() + LIMIT;
    let candidates = environment.candidates();
    // Without those that are not waited for.
    let waits = |candidate: &&Candidate| candidate.origin != Origin::SharedMemory;
    let mut left = candidates.iter().filter(waits).map(|_| 1).sum::<u32>();
    for candidate in candidates {
        let origin = candidate.origin;
        let path = candidate.path.clone();
        let open = move || match origin {
            Origin::Explicit => D::open_or_create(&path)?.writable(),
            _ => D::create_own(&path)?.writable(),
        };
        let directory = match origin {
            // The system itself is there, and it costs a start nothing.
            Origin::SharedMemory => open(),
            _ => {
                let share = until.saturating_duration_since(now()) / left.max(1);
                left = left.saturating_sub(1);
                D::in_time(&candidate.path, share, open)
            }
        };
        match directory {
            Ok(directory) => return Ok(PublishDirectory { directory, origin, passed_over }),
            Err(error) => passed_over.push(PassedOver { candidate, error }),
        }
    }
    let none = || Error::without_path("find a directory", ErrorKind::NotFound);
    Err(passed_over.into_iter().next().map_or_else(none, |passed| passed.error))
}

/// Implements `publish_directory_at` of a backend.
///
/// # Errors
///
/// If the directory cannot be opened or created, does not answer in time, or is not writable.
pub fn publish_at<D: OpenDirectory>(path: &Path) -> Result<D> {
    let own = path.to_owned();
    D::in_time(path, LIMIT, move || D::open_or_create(&own)?.writable())
}

/// Implements `observe_directories_in` of a backend.
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
            // Not an error, unless the user named the directory: no program has published there.
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

    /// A directory whose path determines the result of opening it; the name of the function is
    /// appended.
    #[cfg(not(windows))] // used by the test of the candidates outside Windows
    struct Named(PathBuf);

    #[cfg(not(windows))] // as `Named`
    thread_local! {
        /// The limits of the silent directories, all of which have passed.
        static WAITED: std::cell::RefCell<Vec<Duration>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    #[cfg(not(windows))] // as `Named`
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

    #[cfg(not(windows))] // as `Named`
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
        fn in_time(
            path: &Path,
            limit: Duration,
            work: impl Fn() -> Result<Self> + Clone + Send + 'static,
        ) -> Result<Self> {
            if path.to_str().is_some_and(|path| path.contains("silent")) {
                WAITED.with_borrow_mut(|waited| waited.push(limit));
                return Err(Error::new("use directory", path, ErrorKind::NoAnswer));
            }
            work()
        }
        fn writable(self) -> Result<Self> {
            let full = ["/full", "/dev/shm/mmstats-77"].iter().any(|full| self.0.starts_with(full));
            let error = || Error::new("write to", &self.0, ErrorKind::PermissionDenied);
            if full { Err(error()) } else { Ok(self) }
        }
    }

    #[cfg(not(windows))] // Windows has other candidates
    #[test]
    fn publish_in_takes_best_usable_candidate() {
        let with = |explicit: &str, runtime: &str, temporary: &str| Environment {
            explicit: Some(explicit.into()),
            runtime: Some(runtime.into()),
            temporary: Some(temporary.into()),
            ..Environment::default()
        };
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

    #[cfg(not(windows))] // Windows has other candidates
    #[test]
    fn publish_in_waits_for_all_silent_candidates_together() {
        let with = |runtime: &str, temporary: &str| Environment {
            runtime: Some(runtime.into()),
            temporary: Some(temporary.into()),
            user: 77, // has no room in the shared memory
            ..Environment::default()
        };
        let start = Instant::now();
        let now = || start + WAITED.with_borrow(|waited| waited.iter().sum::<Duration>());
        let chosen = publish_by::<Named>(&with("/silent/1", "/silent/2"), now);
        let error = chosen.map(|chosen| chosen.origin).unwrap_err();
        assert_eq!(WAITED.take(), [LIMIT / 2; 2]);
        assert!(*error.kind() != ErrorKind::NotFound, "{error}");
        // A choice that answers has its time after one that does not.
        let chosen = publish_by::<Named>(&with("/silent", "/t"), now).unwrap();
        assert_eq!(chosen.origin, Origin::Temporary);
        assert_eq!(WAITED.take(), [LIMIT / 2]);
    }

    fn paths(environment: &Environment) -> Vec<PathBuf> {
        environment.candidates().into_iter().map(|c| c.path).collect()
    }

    #[test]
    fn candidates_with_explicit_path_are_that_alone() {
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

    #[test]
    fn template_of_empty_variable_is_default() {
        let with = |file_names: Option<&str>| {
            let file_names = file_names.map(OsString::from);
            Environment { file_names, ..Environment::default() }.template()
        };
        assert_eq!(with(None), DEFAULT_TEMPLATE);
        assert_eq!(with(Some("")), DEFAULT_TEMPLATE);
        assert_eq!(with(Some("x-{ID}.mmst")), "x-{ID}.mmst");
    }

    #[cfg(windows)] // its folders of a user
    #[test]
    fn candidates_on_windows_are_in_folders_of_the_user() {
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

    #[cfg(not(windows))] // absolute paths begin with a slash
    #[test]
    fn candidates_by_default_are_per_user() {
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

    #[cfg(not(windows))] // absolute paths begin with a slash
    #[test]
    fn candidates_ignore_relative_variables() {
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
