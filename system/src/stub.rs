//! The inventory of a backend, for systems that it is not for: everything answers
//! [`ErrorKind::Unsupported`], and values that could only come from a success cannot
//! exist.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use super::{Access, Error, ErrorKind, FileInfo, Removal, Result, SweepOptions, Swept};
pub use mmstats_core::NoMemory as Mapping;

fn unsupported<T>(operation: &'static str, path: &Path) -> Result<T> {
    Err(Error::new(operation, path, ErrorKind::Unsupported))
}

/// A file that nobody sees yet; here there is none, ever.
#[derive(Debug)]
pub struct NewFile(Infallible);

/// A file that could not be published.
pub type Unpublished = super::Unpublished<NewFile>;

impl NewFile {
    /// The bytes, to fill in.
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        match self.0 {}
    }

    /// The path it will have.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self.0 {}
    }

    /// Chooses another final name in the same directory.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn set_name(&mut self, _name: &str) -> Result<()> {
        match self.0 {}
    }

    /// Gives the file its final name.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn publish(self) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.0 {}
    }

    /// Gives the file the name of another one.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn publish_over(
        self,
        _old: &OwnedFile,
    ) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.0 {}
    }
}

/// A published file; here there is none, ever.
#[derive(Debug)]
pub struct OwnedFile(Infallible);

impl OwnedFile {
    /// The bytes.
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        match self.0 {}
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self.0 {}
    }

    /// Sees to it that the bytes survive a crash of the machine.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn flush(&self, _wait: bool) -> Result<()> {
        match self.0 {}
    }

    /// Whether the file is as long as it was made.
    #[must_use]
    pub const fn has_its_size(&self) -> bool {
        match self.0 {}
    }

    /// Cuts the mapping off from the file.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn detach(&self) -> Result<()> {
        match self.0 {}
    }

    /// Removes the file's name.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn remove(&self) -> Result<()> {
        match self.0 {}
    }
}

/// A file that was opened for looking at; here there is none, ever.
#[derive(Debug)]
pub struct Opened(Infallible);

impl Opened {
    /// Facts about the file.
    #[must_use]
    pub const fn info(&self) -> &FileInfo {
        match self.0 {}
    }

    /// The bytes.
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        match self.0 {}
    }

    /// Whether the writer lives.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn is_locked(&self) -> Result<bool> {
        match self.0 {}
    }

    /// How many bytes the file has now.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn size_now(&self) -> Result<u64> {
        match self.0 {}
    }

    /// Closes the file and keeps the mapping.
    pub fn close_handle(&mut self) {
        match self.0 {}
    }
}

/// Makes a file.
///
/// # Errors
///
/// Always.
pub fn create(
    directory: &directory::Directory,
    _name: &str,
    _size: u32,
    _access: Access,
) -> Result<NewFile> {
    unsupported("create", directory.path())
}

/// Memory of this process alone.
///
/// # Errors
///
/// Always.
pub fn private(_size: u32) -> Result<Mapping> {
    Err(Error::pathless("map private memory", ErrorKind::Unsupported))
}

/// Opens a file that an earlier run of this program left behind.
///
/// # Errors
///
/// Always.
pub fn reopen(path: &Path) -> Result<OwnedFile> {
    unsupported("reopen", path)
}

/// Opens a file and maps all of it.
///
/// # Errors
///
/// Always.
pub fn open(path: &Path) -> Result<Opened> {
    unsupported("open", path)
}

/// Reads all of a file.
///
/// # Errors
///
/// Always.
pub fn read_all(path: &Path, _max: u32) -> Result<(FileInfo, Vec<u8>)> {
    unsupported("read", path)
}

/// Reads the first bytes of a file.
///
/// # Errors
///
/// Always.
pub fn read_start(path: &Path, _start: &mut [u8]) -> Result<usize> {
    unsupported("read", path)
}

/// The first place from `from` on where a file may have anything but zeros: `from`.
#[must_use]
pub const fn next_data(_file: &std::fs::File, from: u64) -> Option<u64> {
    Some(from)
}

/// Facts about a file.
///
/// # Errors
///
/// Always.
pub fn info(path: &Path) -> Result<FileInfo> {
    unsupported("look at", path)
}

/// Whether the writer of a file lives.
///
/// # Errors
///
/// Always.
pub fn is_locked(path: &Path) -> Result<bool> {
    unsupported("probe the lock of", path)
}

/// Removes dead files.
///
/// # Errors
///
/// Always.
pub fn sweep(
    directory: &directory::Directory,
    _options: &SweepOptions,
    _is_candidate: &dyn Fn(&OsStr) -> bool,
) -> Result<Vec<Swept>> {
    unsupported("sweep", directory.path())
}

/// Removes a file if its writer is dead.
///
/// # Errors
///
/// Always.
pub fn remove_if_dead(path: &Path, _dry_run: bool) -> Result<Removal> {
    unsupported("sweep", path)
}

pub mod directory {
    //! Directories: here there are none.

    use super::{Error, ErrorKind, Infallible, Path, Result, unsupported};
    use crate::{Environment, PassedOver, VARIABLE};

    /// An open directory; here there is none, ever.
    #[derive(Debug)]
    pub struct Directory(Infallible);

    /// The directory that was chosen for publishing.
    pub type Found = crate::Found<Directory>;

    impl Directory {
        /// Opens any directory.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn open(path: &Path) -> Result<Self> {
            unsupported("use directory", path)
        }

        /// Opens any directory, and makes it if it is missing.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn open_or_create(path: &Path) -> Result<Self> {
            unsupported("use directory", path)
        }

        /// Opens a directory that belongs to this user alone.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn open_own(path: &Path) -> Result<Self> {
            unsupported("use directory", path)
        }

        /// Opens a directory that belongs to this user alone, and makes it if it is missing.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn create_own(path: &Path) -> Result<Self> {
            unsupported("use directory", path)
        }

        /// Its absolute path.
        #[must_use]
        pub fn path(&self) -> &Path {
            match self.0 {}
        }

        /// Whether the files in it are in memory.
        ///
        /// # Errors
        ///
        /// Never called.
        pub fn is_memory_backed(&self) -> Result<Option<bool>> {
            match self.0 {}
        }
    }

    /// The environment of this process.
    #[must_use]
    pub fn environment() -> Environment {
        let explicit = std::env::var_os(VARIABLE);
        Environment { explicit, ..Environment::default() }
    }

    /// The directory to publish in.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn publish_directory() -> Result<Found> {
        publish_directory_in(&environment())
    }

    /// The same for another environment.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn publish_directory_in(_environment: &Environment) -> Result<Found> {
        Err(Error::pathless("find a directory", ErrorKind::Unsupported))
    }

    /// The directories to look for files in: none.
    #[must_use]
    pub fn observe_directories() -> Vec<Directory> {
        Vec::new()
    }

    /// The same for another environment.
    #[must_use]
    pub fn observe_directories_in(_environment: &Environment) -> (Vec<Directory>, Vec<PassedOver>) {
        (Vec::new(), Vec::new())
    }

    /// Whether the files in a directory are in memory.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn is_memory_backed(path: &Path) -> Result<Option<bool>> {
        unsupported("use directory", path)
    }
}

pub mod fork {
    //! There is no fork here.

    /// Whether this process was forked off one that had opened a file for writing: no.
    #[must_use]
    pub const fn forked() -> bool {
        false
    }

    /// How many forks lie behind this process: none.
    #[must_use]
    pub const fn generation() -> u64 {
        0
    }

    /// While a thread has one, other threads do not fork.
    #[derive(Debug)]
    pub struct Held(());

    /// Nothing to wait for.
    #[must_use]
    pub const fn hold() -> Held {
        Held(())
    }
}

pub mod guard {
    //! There is nothing to guard here.

    use super::{Error, ErrorKind, Result};

    /// Installs the handler.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn install() -> Result<()> {
        Err(Error::pathless("guard mappings", ErrorKind::Unsupported))
    }

    /// Whether the handler is in place: no.
    #[must_use]
    pub const fn is_installed() -> bool {
        false
    }
}

pub mod process {
    //! What the standard library knows of this process.

    use std::path::Path;
    use std::time::SystemTime;

    use super::{Error, ErrorKind, Result};
    use crate::Facts;

    /// Nanoseconds since 1970-01-01 UTC; 0 where there is no clock.
    #[must_use]
    pub fn coarse_time() -> u64 {
        let since = now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Everything but the thread id.
    #[must_use]
    pub fn facts() -> Facts {
        let argument = std::env::args_os().next();
        let command = argument
            .and_then(|path| Some(Path::new(&path).file_stem()?.to_string_lossy().into_owned()));
        // The standard library panics where there are no processes.
        let pid = if cfg!(target_family = "wasm") { 0 } else { std::process::id() };
        let mut facts = Facts::new(pid, now());
        facts.command = command;
        facts
    }

    /// The standard library panics where there is no clock.
    fn now() -> SystemTime {
        let none = cfg!(all(target_family = "wasm", target_os = "unknown"));
        if none { SystemTime::UNIX_EPOCH } else { SystemTime::now() }
    }

    /// Whether a process runs; here nobody knows.
    #[must_use]
    pub const fn is_running(_pid: u32, _start: u64, _boot: &str) -> Option<bool> {
        None
    }

    /// Whether there is a process with this id; here nobody knows.
    #[must_use]
    pub const fn exists(_pid: u32) -> Option<bool> {
        None
    }

    /// How many files this process may have open now: none, to be on the safe side.
    #[must_use]
    pub const fn open_files() -> Option<u64> {
        Some(0)
    }

    /// The system's number of this thread: not known.
    #[must_use]
    pub const fn thread_id() -> Option<u64> {
        None
    }

    /// Raises the number of files that this process may have open.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn raise_open_files() -> Result<Option<u64>> {
        Err(Error::pathless("raise the limit of open files", ErrorKind::Unsupported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_unsupported() {
        let path = Path::new("x.mmst");
        assert_eq!(open(path).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(reopen(path).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(private(1).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(read_all(path, 1).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(read_start(path, &mut []).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(is_locked(path).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(directory::publish_directory().unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(directory::observe_directories().is_empty());
        assert_eq!(process::facts().pid, std::process::id());
        assert_eq!(open(path).unwrap_err().to_string(), "cannot open x.mmst: not supported here");
    }
}
