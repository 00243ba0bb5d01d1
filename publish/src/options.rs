//! How and where to publish.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::Access;

use crate::error::Error;
use crate::publisher::{Publisher, Stats};
use crate::schema::Schema;

/// What happens to the files when the publisher is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDrop {
    /// Closed and removed.
    #[default]
    Remove,
    /// Closed and kept, to be read later.
    Keep,
}

/// How and where to publish. The defaults suit a server.
///
/// ```no_run
/// # use mmstats::{Counter, OnDrop, Options, Stats};
/// # #[derive(Stats)] struct Web { requests: Counter }
/// let publisher = Options::new()
///     .name("web")
///     .lanes(32)
///     .on_drop(OnDrop::Keep)
///     .or_private()
///     .start::<Web>()?;
/// # Ok::<(), mmstats::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) files: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) lanes: u32,
    pub(crate) reserve: (u32, u32),
    pub(crate) on_drop: OnDrop,
    pub(crate) post_mortems: Option<usize>,
    pub(crate) private: bool,
    pub(crate) hidden: bool,
    pub(crate) access: Access,
    pub(crate) system_fields: bool,
    pub(crate) persistent: bool,
    pub(crate) sample_every: Duration,
    pub(crate) schema: Schema,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults: the per-user directory, 8 lanes to begin with, files removed on drop,
    /// the newest 8 files of dead programs kept, standard fields, errors returned.
    #[must_use]
    pub fn new() -> Self {
        Self {
            directory: None,
            files: None,
            name: None,
            lanes: 8,
            reserve: (0, 0),
            on_drop: OnDrop::Remove,
            post_mortems: Some(8),
            private: false,
            hidden: false,
            access: Access::Owner,
            system_fields: true,
            persistent: false,
            sample_every: Duration::from_secs(1),
            schema: Schema::new(),
        }
    }

    /// The directory for the files. Default: `MMSTATS_PATH`, else a memory-backed
    /// directory of this user.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The template for the file's name. Default: `MMSTATS_FILES`, else
    /// `{CMD}-{PID}-{ID}.mmst`; `{TID}` is known too.
    #[must_use]
    pub fn files(mut self, template: impl Into<String>) -> Self {
        self.files = Some(template.into());
        self
    }

    /// What stands for `{CMD}` in file names and in `sys.command`. Default: the base name
    /// of the program.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many threads have room in the first file. When it is full, a further file of
    /// twice the room is opened.
    #[must_use]
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.lanes = lanes;
        self
    }

    /// Room in the first file for fields to be added while the program runs
    /// ([`Publisher::add`]): their number, and the bytes of their strings. More go to further
    /// files.
    #[must_use]
    pub fn reserve(mut self, fields: u32, string_bytes: u32) -> Self {
        self.reserve = (fields, string_bytes);
        self
    }

    /// What happens to the files when the publisher is dropped.
    #[must_use]
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.on_drop = on_drop;
        self
    }

    /// How many files of dead programs of this user stay when this one starts: those modified
    /// last, and as many of those from before a clock was set back. `None` leaves all alone.
    #[must_use]
    pub fn post_mortems(mut self, keep: Option<usize>) -> Self {
        self.post_mortems = keep;
        self
    }

    /// If publishing is impossible (full disk, no permission, ...), go on in private memory
    /// instead of returning an error; [`Publisher::problem`] then says why.
    #[must_use]
    pub fn or_private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Publishes nothing: all fields are in private memory, and no file is made. Everything else
    /// works as usual, so that a program need not ask whether it publishes.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Who may read the files. Default: the owner alone.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Publishes in the file `path` (its name ends in `.mmst`) and keeps it, so that the next
    /// run goes on from its values: counters, timers, histograms, averages and events, also
    /// those of fields that were added at run time. What is set, and not added to, begins
    /// anew: gauges, texts, states, arrays, groups with all their members; and so does a rate
    /// that was added at run time.
    ///
    /// The new file takes the place of the old one in one step when all values are in it; the
    /// old one stays as it is if that fails. The start is refused with [`Error::Schema`] if
    /// the fields declared at the start are not those of the file, and if another process
    /// has the file in use. [`Publisher::flush`] brings the values to the disk; without it
    /// they survive the end of the program in any case, but not that of the machine.
    ///
    /// On a disk, writing back can stall the program for some time: see the field
    /// `sys.memory_backed`. Nobody sweeps `path`'s directory but programs that publish there
    /// by default or by [`Options::directory`]: give it one of its own.
    #[must_use]
    pub fn persistent(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.directory = Some(parent.unwrap_or(Path::new(".")).to_path_buf());
        self.files = path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.on_drop = OnDrop::Keep;
        self.post_mortems = None;
        self.persistent = true;
        self
    }

    /// How often the callbacks of [`Publisher::sampled`] are called. Default: every second.
    #[must_use]
    pub fn sample_every(mut self, interval: Duration) -> Self {
        self.sample_every = interval.max(Duration::from_millis(1));
        self
    }

    /// Leaves out the `sys.*` fields.
    #[must_use]
    pub fn without_system_fields(mut self) -> Self {
        self.system_fields = false;
        self
    }

    /// Fields besides those of the type that is started.
    #[must_use]
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// Creates the file and publishes.
    ///
    /// # Errors
    ///
    /// If a field breaks a rule of the format; or, without [`Options::or_private`], if the
    /// file cannot be created.
    pub fn start<S: Stats>(self) -> Result<Publisher<S>, Error> {
        Publisher::open(self)
    }
}
