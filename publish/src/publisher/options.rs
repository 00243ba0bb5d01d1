//! The builder of a publisher.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::Access;

use super::global::Guard;
use super::stats::Stats;
use super::{Publisher, environment};
use crate::error::Error;
use crate::files::settings::{OnDrop, Settings};
use crate::schema::Schema;

/// How and where to publish. The defaults suit a server.
///
/// ```no_run
/// use mmstats::{Counter, OnDrop, Options, Stats};
///
/// #[derive(Stats)]
/// struct Web {
///     requests: Counter,
/// }
///
/// let publisher = Options::new()
///     .name("web")
///     .lanes(32)
///     .on_drop(OnDrop::Keep)
///     .or_private()
///     .start::<Web>()?;
/// # Ok::<(), mmstats::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Options {
    settings: Settings,
    schema: Schema,
    /// Of the environment.
    mistake: Option<Error>,
}

impl Options {
    /// The defaults: the per-user directory, 8 lanes in the first file, files removed on drop,
    /// the newest 8 files of dead programs kept, standard fields, errors returned.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The defaults, changed by the variables of the environment:
    ///
    /// | variable | setting |
    /// | --- | --- |
    /// | `MMSTATS_PATH` | the directory, see [`Options::directory`] |
    /// | `MMSTATS_FILES` | the template of the file's name, see [`Options::files`] |
    /// | `MMSTATS_NAME` | the name of the program, see [`Options::name`] |
    /// | `MMSTATS_LANES` | threads in the first file, see [`Options::lanes`] |
    /// | `MMSTATS_SAMPLE` | seconds between samples, as `0.5`, see [`Options::sample_every`] |
    /// | `MMSTATS_POST_MORTEMS` | files of dead programs to keep, see [`Options::post_mortems`] |
    /// | `MMSTATS_KEEP` | `1`: the files stay when the program ends, see [`Options::on_drop`] |
    /// | `MMSTATS_DISABLE` | `1`: nothing is published, see [`Options::hidden`] |
    ///
    /// An empty variable counts as not set. Only `MMSTATS_PATH` and `MMSTATS_FILES` are read by
    /// [`Options::new`] too.
    ///
    /// A variable that is wrong is an error of [`Options::start`]; with [`Options::or_private`]
    /// it is ignored, and [`Publisher::problem`] has the error.
    ///
    /// ```no_run
    /// use mmstats::{Counter, Options, Publisher, Stats};
    ///
    /// #[derive(Stats)]
    /// struct Web {
    ///     requests: Counter,
    /// }
    ///
    /// let web: Publisher<Web> = Options::from_env().or_private().start()?;
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    #[must_use]
    pub fn from_env() -> Self {
        let (settings, mistake) = environment::settings();
        Self { settings, schema: Schema::new(), mistake }
    }

    /// The directory for the files. Default: `MMSTATS_PATH`, else a memory-backed
    /// directory of this user.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.directory = Some(directory.into());
        self
    }

    /// The template for the file's name. Default: `MMSTATS_FILES`, else
    /// `{CMD}-{PID}-{ID}.mmst`; `{TID}` is known too.
    #[must_use]
    pub fn files(mut self, template: impl Into<String>) -> Self {
        self.settings.file_name = Some(template.into());
        self
    }

    /// What stands for `{CMD}` in file names and in `sys.command`. Default: the base name
    /// of the program.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// How many threads have room in the first file. When it is full, a further file of
    /// twice the room is opened.
    #[must_use]
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.settings.lanes = lanes;
        self
    }

    /// Room in the first file for fields to be added while the program runs
    /// ([`Publisher::add`]): their number, and the bytes of their strings. More go to further
    /// files.
    #[must_use]
    pub fn reserve(mut self, fields: u32, string_bytes: u32) -> Self {
        self.settings.reserve = (fields, string_bytes);
        self
    }

    /// What happens to the files when the publisher is dropped.
    #[must_use]
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.settings.on_drop = on_drop;
        self
    }

    /// How many files of dead programs of this user stay when this one starts: those modified
    /// last, and as many of those from before a clock was set back. `None` leaves all alone.
    #[must_use]
    pub fn post_mortems(mut self, keep: Option<usize>) -> Self {
        self.settings.post_mortems = keep;
        self
    }

    /// If publishing is impossible (full disk, no permission, ...), go on in private memory
    /// instead of returning an error; [`Publisher::problem`] then says why.
    #[must_use]
    pub fn or_private(mut self) -> Self {
        self.settings.private = true;
        self
    }

    /// Publishes nothing: all fields are in private memory, and no file is made. Everything else
    /// works as usual, so that a program need not ask whether it publishes.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.settings.hidden = true;
        self
    }

    /// Who may read the files. Default: the owner alone.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.settings.access = access;
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
        self.settings.directory = Some(parent.unwrap_or(Path::new(".")).to_path_buf());
        self.settings.file_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.settings.on_drop = OnDrop::Keep;
        self.settings.post_mortems = None;
        self.settings.persistent = true;
        self
    }

    /// How often the callbacks of [`Publisher::sampled`] are called. Default: every second.
    #[must_use]
    pub fn sample_every(mut self, interval: Duration) -> Self {
        self.settings.sample_every = interval.max(Duration::from_millis(1));
        self
    }

    /// Leaves out the `sys.*` fields.
    #[must_use]
    pub fn without_system_fields(mut self) -> Self {
        self.settings.system_fields = false;
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
    /// file cannot be created, or a variable of [`Options::from_env`] is wrong.
    pub fn start<S: Stats>(self) -> Result<Publisher<S>, Error> {
        let Self { settings, schema, mistake } = self;
        match mistake {
            None => Publisher::open(settings, schema),
            Some(mistake) if !settings.private => Err(mistake),
            Some(mistake) => match Publisher::open(settings, schema) {
                Ok(publisher) => {
                    publisher.report(mistake);
                    Ok(publisher)
                }
                Err(_) => Err(mistake),
            },
        }
    }

    /// As [`Options::start`], for the publisher of the whole program, which
    /// [`global`](crate::global) finds. Dropping the guard closes it.
    ///
    /// ```no_run
    /// use mmstats::{Counter, Options, Stats};
    ///
    /// #[derive(Stats)]
    /// struct Web {
    ///     requests: Counter,
    /// }
    ///
    /// let web = Options::from_env().name("web").or_private().init::<Web>()?;
    /// web.with(|stats| stats.requests.incr());
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::start`], and [`Error::Initialised`] while a guard of another one lives.
    pub fn init<S: Stats>(self) -> Result<Guard<S>, Error> {
        Guard::start(|| self.start())
    }
}
