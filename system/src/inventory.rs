//! The inventory: names and signatures of everything that a backend offers.
//!
//! The Unix backend, the Windows backend and the [stub](crate::stub) implement it. The root of a
//! backend has `inventory!(module)`, which re-exports all items and checks their signatures. Each
//! item has `#[doc = docs!(item)]`, so its documentation stands once, in `docs.rs`.

/// Re-exports the items of `$system`, the module that implements the inventory, and the shared
/// types, at the root of a backend.
#[doc(hidden)]
#[macro_export]
macro_rules! inventory {
    ($system:ident) => {
        pub use $crate::{
            Access, DeadProgram, Error, ErrorKind, Facts, FileId, FileInfo, FileType, Identify,
            Judged, MappedFiles, NameError, ProcessState, ProcessStatus, Removal, Result, Standing,
            Sweep, SweepOptions, Swept, SweptProgram, kept_programs, ledger, name,
        };

        pub use $system::{
            Mapping, NewFile, ObservedFile, ObservedMapping, OwnedFile, Unpublished, create, info,
            is_locked, next_data, open, open_in, private, read_all, read_start, remove_if_dead,
            remove_judged, reopen, sweep,
        };

        pub mod directory {
            //! Directories for files.
            pub use super::$system::directory::{
                Directory, PublishDirectory, environment, is_memory_backed, observe_directories,
                observe_directories_in, publish_directory, publish_directory_at,
                publish_directory_in,
            };
            pub use $crate::{Candidate, Environment, Origin, PassedOver, VARIABLE};
        }

        pub mod fault_handler {
            //! Handler for faults of mapped pages: an observer survives a file that is truncated,
            //! or whose device fails, while it is mapped.
            pub use super::$system::fault_handler::{install, is_installed};
        }

        pub mod fork {
            //! State of this process after a fork, and moments without forks.
            pub use super::$system::fork::{Inhibitor, forked, generation, inhibit};
        }

        pub mod process {
            //! Properties of this process and of others.
            pub use super::$system::process::{
                all, coarse_time, exists, facts, ignores_environment, is_running, mapped_files,
                open_files, raise_open_files, random, status, thread_id, uid,
            };
        }

        pub mod thread {
            //! Threads of a library.
            pub use super::$system::thread::spawn;
        }

        $crate::signatures!();
    };
}

/// Checks at compile time that the items at the root of a backend have the same signatures as in
/// every other backend.
#[doc(hidden)]
#[macro_export]
macro_rules! signatures {
    () => {
        const _: () = {
            use core::result::Result as Either;
            use std::ffi::OsStr;
            use std::path::Path;
            use std::sync::Arc;

            use directory::{Directory, Environment, PassedOver, PublishDirectory};

            type Publication = Either<OwnedFile, Box<Unpublished>>;

            let _: fn(&Directory, &str, u32, Access) -> Result<NewFile> = create;
            let _: fn(&NewFile) -> &Arc<Mapping> = NewFile::mapping;
            let _: fn(&NewFile) -> &Path = NewFile::path;
            let _: fn(&mut NewFile, &str) -> Result<()> = NewFile::set_name;
            let _: fn(&NewFile) -> &Directory = NewFile::directory;
            let _: fn(NewFile) -> Publication = NewFile::publish;
            let _: fn(NewFile, &OwnedFile) -> Publication = NewFile::publish_over;
            let _: fn(&Path) -> Result<OwnedFile> = reopen;
            let _: fn(&OwnedFile) -> &Arc<Mapping> = OwnedFile::mapping;
            let _: fn(&OwnedFile) -> &Path = OwnedFile::path;
            let _: fn(&OwnedFile, bool) -> Result<()> = OwnedFile::flush;
            let _: fn(&OwnedFile) -> Result<()> = OwnedFile::detach;
            let _: fn(&OwnedFile) -> Standing = OwnedFile::standing;
            let _: fn(&OwnedFile) -> bool = OwnedFile::is_truncated;
            let _: fn(&OwnedFile) -> Result<()> = OwnedFile::touch;
            let _: fn(&OwnedFile) -> Result<()> = OwnedFile::remove;
            let _: fn(&Path) -> Result<ObservedFile> = open;
            let _: fn(&ObservedFile) -> &FileInfo = ObservedFile::info;
            let _: fn(&ObservedFile) -> &Arc<ObservedMapping> = ObservedFile::mapping;
            let _: fn(&ObservedFile) -> Result<bool> = ObservedFile::is_locked;
            let _: fn(&ObservedFile) -> Result<u64> = ObservedFile::size_now;
            let _: fn(&mut ObservedFile) = ObservedFile::close_handle;
            let _: fn(&ObservedFile) -> bool = ObservedFile::is_snapshot;
            let _: fn(u32) -> Result<Mapping> = private;
            let _: fn(&Mapping) -> bool = Mapping::is_damaged;
            let _: fn(&ObservedMapping) -> bool = ObservedMapping::is_damaged;
            let _: fn(&Path, u32) -> Result<(FileInfo, Vec<u8>)> = read_all;
            let _: fn(&Path, &mut [u8]) -> Result<usize> = read_start;
            let _: fn(&std::fs::File, u64) -> Option<u64> = next_data;
            let _: fn(&Path) -> Result<FileInfo> = info;
            let _: fn(&Path) -> Result<bool> = is_locked;
            let _: for<'a> fn(
                &Directory,
                &SweepOptions,
                Option<&'a Identify<'a>>,
            ) -> Result<Sweep> = sweep;
            let _: fn(&Directory, &OsStr) -> Result<ObservedFile> = open_in;
            let _: fn(&Path, bool) -> Result<Removal> = remove_if_dead;
            let _: fn(&Directory, &OsStr, &Judged, bool) -> Removal = remove_judged;

            let _: fn(&Path) -> Result<Directory> = Directory::open;
            let _: fn(&Path) -> Result<Directory> = Directory::open_or_create;
            let _: fn(&Path) -> Result<Directory> = Directory::open_own;
            let _: fn(&Path) -> Result<Directory> = Directory::create_own;
            let _: fn(&Directory) -> &Path = Directory::path;
            let _: fn(&Directory) -> Result<Option<bool>> = Directory::is_memory_backed;
            let _: fn(&Directory, &OsStr) -> Result<Directory> = Directory::open_below;
            let _: fn(&Directory) -> Result<FileInfo> = Directory::info;
            let _: fn(&Directory, &mut dyn FnMut(&OsStr)) -> Result<()> = Directory::list;
            let _: fn() -> Environment = directory::environment;
            let _: fn() -> Result<PublishDirectory> = directory::publish_directory;
            let _: fn(&Path) -> Result<Directory> = directory::publish_directory_at;
            let _: fn(&Environment) -> Result<PublishDirectory> = directory::publish_directory_in;
            let _: fn() -> Vec<Directory> = directory::observe_directories;
            let _: fn(&Environment) -> (Vec<Directory>, Vec<PassedOver>) =
                directory::observe_directories_in;
            let _: fn(&Path) -> Result<Option<bool>> = directory::is_memory_backed;

            let _: fn() -> Result<()> = fault_handler::install;
            let _: fn() -> bool = fault_handler::is_installed;
            let _: fn() -> bool = fork::forked;
            let _: fn() -> u64 = fork::generation;
            let _: fn() -> fork::Inhibitor = fork::inhibit;

            let _: fn() -> u64 = process::coarse_time;
            let _: fn(u32) -> Option<bool> = process::exists;
            let _: fn() -> Facts = process::facts;
            let _: fn() -> Vec<u32> = process::all;
            let _: fn(u32, u64, &str) -> Option<bool> = process::is_running;
            let _: fn(u32) -> Result<MappedFiles> = process::mapped_files;
            let _: fn(u32) -> Option<ProcessStatus> = process::status;
            let _: fn() -> Option<u64> = process::open_files;
            let _: fn() -> bool = process::ignores_environment;
            let _: fn() -> [u8; 16] = process::random;
            let _: fn() -> Result<Option<u64>> = process::raise_open_files;
            let _: fn() -> Option<u64> = process::thread_id;
            let _: fn() -> Option<u32> = process::uid;

            type Work = Box<dyn FnOnce() + Send>;
            let _: fn(&str, Work) -> std::io::Result<std::thread::JoinHandle<()>> = thread::spawn;
        };
    };
}

/// Functions of the module `directory` that follow from `$directory` and `$environment`.
#[doc(hidden)]
#[macro_export]
macro_rules! directories {
    ($directory:ident, $environment:ident) => {
        #[doc = $crate::docs!(PublishDirectory)]
        pub type PublishDirectory = $crate::PublishDirectory<$directory>;

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
            fn in_time(
                path: &std::path::Path,
                limit: std::time::Duration,
                work: impl Fn() -> $crate::Result<Self> + Clone + Send + 'static,
            ) -> $crate::Result<Self> {
                let spawn = |work| super::thread::spawn("mmstats-start", work);
                $crate::in_time(spawn, path, limit, work)
            }
        }

        #[doc = $crate::docs!(publish_directory)]
        pub fn publish_directory() -> $crate::Result<PublishDirectory> {
            publish_directory_in(&$environment())
        }

        #[doc = $crate::docs!(publish_directory_at)]
        pub fn publish_directory_at(path: &std::path::Path) -> $crate::Result<$directory> {
            $crate::publish_at(path)
        }

        #[doc = $crate::docs!(publish_directory_in)]
        pub fn publish_directory_in(
            environment: &$crate::Environment,
        ) -> $crate::Result<PublishDirectory> {
            $crate::publish_in(environment)
        }

        #[doc = $crate::docs!(observe_directories)]
        #[must_use]
        pub fn observe_directories() -> Vec<$directory> {
            observe_directories_in(&$environment()).0
        }

        #[doc = $crate::docs!(observe_directories_in)]
        #[must_use]
        pub fn observe_directories_in(
            environment: &$crate::Environment,
        ) -> (Vec<$directory>, Vec<$crate::PassedOver>) {
            $crate::observe_in(environment)
        }

        #[doc = $crate::docs!(is_memory_backed)]
        pub fn is_memory_backed(path: &std::path::Path) -> $crate::Result<Option<bool>> {
            $directory::open(path)?.is_memory_backed()
        }
    };
}
