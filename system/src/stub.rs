//! The inventory on platforms without a backend: every function that can fail returns
//! [`ErrorKind::Unsupported`], and values that only success could give cannot exist. The other
//! functions return an empty value.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::docs;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{Access, FileInfo, Standing};
use crate::sweep::{Identify, Judged, Removal, Sweep, SweepOptions};

pub use mmstats_core::{NoMemory as Mapping, NoMemory as ObservedMapping};

fn unsupported<T>(operation: &'static str, path: &Path) -> Result<T> {
    Err(Error::new(operation, path, ErrorKind::Unsupported))
}

#[doc = docs!(NewFile)]
#[derive(Debug)]
pub struct NewFile(Infallible);

#[doc = docs!(Unpublished)]
pub type Unpublished = crate::error::Unpublished<NewFile>;

impl NewFile {
    #[doc = docs!(mapping)]
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        match self.0 {}
    }

    #[doc = docs!(NewFile::path)]
    #[must_use]
    pub fn path(&self) -> &Path {
        match self.0 {}
    }

    #[doc = docs!(NewFile::directory)]
    #[must_use]
    pub const fn directory(&self) -> &directory::Directory {
        match self.0 {}
    }

    #[doc = docs!(NewFile::set_name)]
    pub fn set_name(&mut self, _name: &str) -> Result<()> {
        match self.0 {}
    }

    #[doc = docs!(NewFile::publish)]
    pub fn publish(self) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.0 {}
    }

    #[doc = docs!(NewFile::publish_over)]
    pub fn publish_over(
        self,
        _old: &OwnedFile,
    ) -> core::result::Result<OwnedFile, Box<Unpublished>> {
        match self.0 {}
    }
}

#[doc = docs!(OwnedFile)]
#[derive(Debug)]
pub struct OwnedFile(Infallible);

impl OwnedFile {
    #[doc = docs!(mapping)]
    #[must_use]
    pub const fn mapping(&self) -> &Arc<Mapping> {
        match self.0 {}
    }

    #[doc = docs!(path)]
    #[must_use]
    pub fn path(&self) -> &Path {
        match self.0 {}
    }

    #[doc = docs!(OwnedFile::flush)]
    pub fn flush(&self, _wait: bool) -> Result<()> {
        match self.0 {}
    }

    #[doc = docs!(OwnedFile::standing)]
    #[must_use]
    pub const fn standing(&self) -> Standing {
        match self.0 {}
    }

    #[doc = docs!(OwnedFile::is_truncated)]
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        match self.0 {}
    }

    #[doc = docs!(OwnedFile::detach)]
    pub fn detach(&self) -> Result<()> {
        match self.0 {}
    }

    #[doc = docs!(OwnedFile::touch)]
    pub fn touch(&self) -> Result<()> {
        match self.0 {}
    }

    #[doc = docs!(OwnedFile::remove)]
    pub fn remove(&self) -> Result<()> {
        match self.0 {}
    }
}

#[doc = docs!(ObservedFile)]
#[derive(Debug)]
pub struct ObservedFile(Infallible);

impl ObservedFile {
    #[doc = docs!(ObservedFile::info)]
    #[must_use]
    pub const fn info(&self) -> &FileInfo {
        match self.0 {}
    }

    #[doc = docs!(mapping)]
    #[must_use]
    pub const fn mapping(&self) -> &Arc<ObservedMapping> {
        match self.0 {}
    }

    #[doc = docs!(ObservedFile::is_locked)]
    pub fn is_locked(&self) -> Result<bool> {
        match self.0 {}
    }

    #[doc = docs!(ObservedFile::size_now)]
    pub fn size_now(&self) -> Result<u64> {
        match self.0 {}
    }

    #[doc = docs!(ObservedFile::is_snapshot)]
    #[must_use]
    pub const fn is_snapshot(&self) -> bool {
        match self.0 {}
    }

    #[doc = docs!(ObservedFile::close_handle)]
    pub fn close_handle(&mut self) {
        match self.0 {}
    }
}

#[doc = docs!(create)]
pub fn create(
    directory: &directory::Directory,
    _name: &str,
    _size: u32,
    _access: Access,
) -> Result<NewFile> {
    unsupported("create", directory.path())
}

#[doc = docs!(private)]
pub fn private(_size: u32) -> Result<Mapping> {
    Err(Error::without_path("map private memory", ErrorKind::Unsupported))
}

#[doc = docs!(reopen)]
pub fn reopen(path: &Path) -> Result<OwnedFile> {
    unsupported("reopen", path)
}

#[doc = docs!(open)]
pub fn open(path: &Path) -> Result<ObservedFile> {
    unsupported("open", path)
}

#[doc = docs!(open_in)]
pub fn open_in(directory: &directory::Directory, name: &OsStr) -> Result<ObservedFile> {
    unsupported("open", &directory.path().join(name))
}

#[doc = docs!(read_all)]
pub fn read_all(path: &Path, _max: u32) -> Result<(FileInfo, Vec<u8>)> {
    unsupported("read", path)
}

#[doc = docs!(read_start)]
pub fn read_start(path: &Path, _start: &mut [u8]) -> Result<usize> {
    unsupported("read", path)
}

#[doc = docs!(next_data)]
#[must_use]
pub const fn next_data(_file: &std::fs::File, from: u64) -> Option<u64> {
    Some(from)
}

#[doc = docs!(info)]
pub fn info(path: &Path) -> Result<FileInfo> {
    unsupported("look at", path)
}

#[doc = docs!(is_locked)]
pub fn is_locked(path: &Path) -> Result<bool> {
    unsupported("probe the lock of", path)
}

#[doc = docs!(sweep)]
pub fn sweep(
    directory: &directory::Directory,
    _options: &SweepOptions,
    _identify: Option<&Identify<'_>>,
) -> Result<Sweep> {
    unsupported("sweep", directory.path())
}

#[doc = docs!(remove_if_dead)]
pub fn remove_if_dead(path: &Path, _dry_run: bool) -> Result<Removal> {
    unsupported("sweep", path)
}

#[doc = docs!(remove_judged)]
#[must_use]
pub fn remove_judged(
    directory: &directory::Directory,
    _name: &OsStr,
    _judged: &Judged,
    _dry_run: bool,
) -> Removal {
    Removal::Failed(Error::new("sweep", directory.path(), ErrorKind::Unsupported))
}

pub mod directory {
    //! Directories: none exist.

    use std::convert::Infallible;
    use std::ffi::OsStr;
    use std::path::Path;

    use super::unsupported;
    use crate::directory::{Environment, PassedOver};
    use crate::docs;
    use crate::error::{Error, ErrorKind, Result, USE_DIRECTORY};
    use crate::file::FileInfo;
    use crate::variables;

    #[doc = docs!(Directory)]
    #[derive(Debug)]
    pub struct Directory(Infallible);

    #[doc = docs!(PublishDirectory)]
    pub type PublishDirectory = crate::directory::PublishDirectory<Directory>;

    impl Directory {
        #[doc = docs!(Directory::open)]
        pub fn open(path: &Path) -> Result<Self> {
            unsupported(USE_DIRECTORY, path)
        }

        #[doc = docs!(Directory::open_or_create)]
        pub fn open_or_create(path: &Path) -> Result<Self> {
            unsupported(USE_DIRECTORY, path)
        }

        #[doc = docs!(Directory::open_own)]
        pub fn open_own(path: &Path) -> Result<Self> {
            unsupported(USE_DIRECTORY, path)
        }

        #[doc = docs!(Directory::create_own)]
        pub fn create_own(path: &Path) -> Result<Self> {
            unsupported(USE_DIRECTORY, path)
        }

        #[doc = docs!(path)]
        #[must_use]
        pub fn path(&self) -> &Path {
            match self.0 {}
        }

        #[doc = docs!(Directory::is_memory_backed)]
        pub fn is_memory_backed(&self) -> Result<Option<bool>> {
            match self.0 {}
        }

        #[doc = docs!(Directory::open_below)]
        pub fn open_below(&self, _name: &OsStr) -> Result<Self> {
            match self.0 {}
        }

        #[doc = docs!(Directory::info)]
        pub fn info(&self) -> Result<FileInfo> {
            match self.0 {}
        }

        #[doc = docs!(Directory::list)]
        pub fn list(&self, _each: &mut dyn FnMut(&OsStr)) -> Result<()> {
            match self.0 {}
        }
    }

    #[doc = docs!(environment)]
    #[must_use]
    pub fn environment() -> Environment {
        let explicit = std::env::var_os(variables::DIRECTORY);
        let file_names = std::env::var_os(variables::FILE_NAMES);
        Environment { explicit, file_names, ..Environment::default() }
    }

    #[doc = docs!(publish_directory)]
    pub fn publish_directory() -> Result<PublishDirectory> {
        publish_directory_in(&environment())
    }

    #[doc = docs!(publish_directory_at)]
    pub fn publish_directory_at(path: &Path) -> Result<Directory> {
        unsupported(USE_DIRECTORY, path)
    }

    #[doc = docs!(publish_directory_in)]
    pub fn publish_directory_in(_environment: &Environment) -> Result<PublishDirectory> {
        Err(Error::without_path("find a directory", ErrorKind::Unsupported))
    }

    #[doc = docs!(observe_directories)]
    #[must_use]
    pub fn observe_directories() -> Vec<Directory> {
        Vec::new()
    }

    #[doc = docs!(observe_directories_in)]
    #[must_use]
    pub fn observe_directories_in(_environment: &Environment) -> (Vec<Directory>, Vec<PassedOver>) {
        (Vec::new(), Vec::new())
    }

    #[doc = docs!(is_memory_backed)]
    pub fn is_memory_backed(path: &Path) -> Result<Option<bool>> {
        unsupported(USE_DIRECTORY, path)
    }
}

pub mod fork {
    //! Forks: none happen. Used by the Windows backend too.

    use crate::docs;

    #[doc = docs!(fork::forked)]
    #[must_use]
    pub const fn forked() -> bool {
        false
    }

    #[doc = docs!(fork::generation)]
    #[must_use]
    pub const fn generation() -> u64 {
        0
    }

    #[doc = docs!(fork::Inhibitor)]
    #[derive(Debug)]
    pub struct Inhibitor(());

    #[doc = docs!(fork::inhibit)]
    #[must_use]
    pub const fn inhibit() -> Inhibitor {
        Inhibitor(())
    }
}

pub mod fault_handler {
    //! Handler for faults of mapped pages: none can be installed.

    use crate::docs;
    use crate::error::{Error, ErrorKind, Result};

    #[doc = docs!(fault_handler::install)]
    pub fn install() -> Result<()> {
        Err(Error::without_path("guard mappings", ErrorKind::Unsupported))
    }

    #[doc = docs!(fault_handler::is_installed)]
    #[must_use]
    pub const fn is_installed() -> bool {
        false
    }
}

pub mod process {
    //! Properties of this process that the standard library provides.

    use std::path::Path;
    use std::time::SystemTime;

    use crate::docs;
    use crate::error::{Error, ErrorKind, Result};
    use crate::process::{Facts, MappedFiles, ProcessStatus};

    #[doc = docs!(process::coarse_time)]
    #[must_use]
    pub fn coarse_time() -> u64 {
        let since = now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    #[doc = docs!(process::facts)]
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

    fn now() -> SystemTime {
        // The standard library panics where there is no clock.
        let no_clock = cfg!(all(target_family = "wasm", target_os = "unknown"));
        if no_clock { SystemTime::UNIX_EPOCH } else { SystemTime::now() }
    }

    #[doc = docs!(process::is_running)]
    #[must_use]
    pub const fn is_running(_pid: u32, _start: u64, _boot: &str) -> Option<bool> {
        None
    }

    #[doc = docs!(process::all)]
    #[must_use]
    pub const fn all() -> Vec<u32> {
        Vec::new()
    }

    #[doc = docs!(process::status)]
    #[must_use]
    pub const fn status(_pid: u32) -> Option<ProcessStatus> {
        None
    }

    #[doc = docs!(process::mapped_files)]
    pub fn mapped_files(_pid: u32) -> Result<MappedFiles> {
        Err(Error::without_path("look at the mappings of a process", ErrorKind::Unsupported))
    }

    #[doc = docs!(process::ignores_environment)]
    #[must_use]
    pub const fn ignores_environment() -> bool {
        false
    }

    /// A random identity, by the random state of the standard library. Used by the Windows backend
    /// too.
    #[must_use]
    pub fn random() -> [u8; 16] {
        use std::hash::{BuildHasher, Hasher, RandomState};
        let number = || u128::from(RandomState::new().build_hasher().finish());
        (number() << 64 | number()).to_ne_bytes()
    }

    #[doc = docs!(process::exists)]
    #[must_use]
    pub const fn exists(_pid: u32) -> Option<bool> {
        None
    }

    /// Current limit of open files of this process: 0, the safe assumption.
    #[must_use]
    pub const fn open_files() -> Option<u64> {
        Some(0)
    }

    #[doc = docs!(process::uid)]
    #[must_use]
    pub const fn uid() -> Option<u32> {
        None
    }

    #[doc = docs!(process::thread_id)]
    #[must_use]
    pub const fn thread_id() -> Option<u64> {
        None
    }

    #[doc = docs!(process::raise_open_files)]
    pub fn raise_open_files() -> Result<Option<u64>> {
        Err(Error::without_path("raise the limit of open files", ErrorKind::Unsupported))
    }
}

pub mod thread {
    //! Threads, on systems without signals.

    use std::thread::{Builder, JoinHandle};

    use crate::docs;

    #[doc = docs!(thread::spawn)]
    pub fn spawn(name: &str, work: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        Builder::new().name(name.to_owned()).spawn(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_returns_unsupported() {
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
