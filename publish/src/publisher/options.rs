//! The builder of a publisher.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::global::Guard;
use super::{Publisher, Registry, environment};
use crate::backend::Access;
use crate::error::Error;
use crate::files::settings::{OnDrop, Settings};
use crate::schema::Schema;
use crate::thread::stats::Stats;

/// The builder of a [`Publisher`]: where it publishes, and how. The defaults suit a server.
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
    /// Error of the environment.
    mistake: Option<Error>,
}

impl Options {
    /// The defaults: the per-user directory, 8 lanes in the first file, files removed on drop,
    /// the last 8 dead programs of each command kept, standard fields, errors returned.
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
    /// | `MMSTATS_APPLICATION` | the application of the program, see [`Options::application`] |
    /// | `MMSTATS_LANES` | threads in the first file, see [`Options::lanes`] |
    /// | `MMSTATS_SAMPLE` | seconds between samples, as `0.5`, see [`Options::sample_every`] |
    /// | `MMSTATS_POST_MORTEMS` | dead programs of each command to keep, see [`Options::post_mortems`] |
    /// | `MMSTATS_KEEP` | `1`: the files stay when the program ends, see [`Options::on_drop`] |
    /// | `MMSTATS_DISABLE` | `1`: nothing is published, see [`Options::hidden`] |
    ///
    /// An empty variable counts as not set. Only `MMSTATS_PATH` and `MMSTATS_FILES` are read by
    /// [`Options::new`] too.
    ///
    /// A variable that is wrong is an error of [`Options::start`]; with [`Options::or_private`]
    /// it is ignored, and [`Publisher::problem`] has the error.
    ///
    /// A process that has rights which its caller lacks (set-user-id, set-group-id, capabilities of
    /// its file) ignores the whole environment, also the variables for directories of the system;
    /// [`Publisher::problem`] names the first `MMSTATS_*` that is set.
    #[must_use]
    pub fn from_env() -> Self {
        let (settings, mistake) = environment::settings();
        Self { settings, mistake, ..Self::default() }
    }

    /// The directory for the files. Default: `MMSTATS_PATH`, else a memory-backed
    /// directory of this user.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.directory = Some(directory.into());
        self
    }

    /// The template of the file's name, with `{CMD}`, `{PID}`, `{TID}` and `{ID}`. Default:
    /// `MMSTATS_FILES`, else `{CMD}-{PID}-{ID}.mmst`.
    #[must_use]
    pub fn files(mut self, template: impl Into<String>) -> Self {
        self.settings.file_name = Some(template.into());
        self
    }

    /// The name of the program, for `{CMD}` in file names and for `sys.command`. Default: its
    /// base name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// The application that this program is one of many processes of, which come and go: workers
    /// of a server, tasks of a pool. What a process has counted stays when it ends, in the *ledger*
    /// of the application: a file in the same directory with the sums of the counters, timers,
    /// histograms and averages of all its ended processes. So sums over the application never drop.
    ///
    /// A process that closes its publisher puts its sums into the ledger; those of a killed one are
    /// put there by the next start of a program of this user in the directory. Its file stays as a
    /// post-mortem. The sums stay until `mmstats clean` removes the ledger while no process of the
    /// application lives, or until the memory-backed directory goes with the boot. A start keeps the
    /// ledgers of 64 applications without a live process.
    ///
    /// The name has 1 to 255 bytes. Default: none; in a process that was forked off one that
    /// publishes, the application of that one, or one of its own, which ends with it. Not with
    /// [`Options::persistent`], which keeps the values in the program's file.
    ///
    /// ```
    /// use mmstats::{Counter, Options, Publisher, Stats};
    ///
    /// #[derive(Stats)]
    /// struct Worker {
    ///     jobs: Counter,
    /// }
    ///
    /// let directory = std::env::temp_dir().join(format!("mmstats-doc-{}", std::process::id()));
    /// let options = Options::new().application("shop").directory(&directory);
    /// let worker: Publisher<Worker> = options.start()?;
    /// worker.with(|worker| worker.jobs.incr());
    /// drop(worker); // `mmstats show` has `jobs 1`, of ended workers.
    /// # std::fs::remove_dir_all(&directory).unwrap();
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    #[must_use]
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.settings.application = Some(name.into());
        self
    }

    /// Number of lanes in the first file, one for each thread, and one more for the
    /// [shared gauges](crate::SharedGauge) of a set of handles. When they are all taken, a further
    /// file with twice as many is opened.
    #[must_use]
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.settings.lanes = lanes;
        self
    }

    /// Room in the first file for fields that [`Publisher::add`] adds: their number, and the
    /// bytes of their strings. Further fields go to further files.
    #[must_use]
    pub fn reserve(mut self, fields: u32, string_bytes: u32) -> Self {
        self.settings.reserve = (fields, string_bytes);
        self
    }

    /// Room in each lane of the first file for the values of fields that [`Publisher::add`] adds, in bytes.
    /// Default: 8 for each field of [`Options::reserve`], enough for counters and gauges. A text takes 4
    /// times its capacity and some, a timer 200 bytes, a [`Latency`](crate::Latency) about 5,000.
    ///
    /// ```
    /// use mmstats::{FieldOptions, Lane, Latency, Options};
    ///
    /// let options = Options::new().reserve(10, 1_000).reserve_values(16 << 10);
    /// let publisher = options.start::<Lane>()?;
    /// publisher.add::<Latency>("latency", FieldOptions::new())?;
    /// assert!(publisher.paths().len() <= 1); // No further file.
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    #[must_use]
    pub fn reserve_values(mut self, bytes: u32) -> Self {
        self.settings.reserve_values = Some(bytes);
        self
    }

    /// End of the files when the publisher is dropped. Default: they are removed.
    #[must_use]
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.settings.on_drop = on_drop;
        self
    }

    /// Number of dead programs of each command that the start keeps: those that died last, with all
    /// their files, but not more than 16 times as many in all. So a program that crashes again and
    /// again does not displace the last words of another one. As many are kept besides that died at a
    /// time in the future, before a clock was set back. The start removes the others of this user;
    /// `None` keeps all.
    ///
    /// All that a start does with files of other programs, taking ended ones of applications in
    /// included, takes 0.5 s at most, and the time of the file at which that is over. What it does not
    /// reach is left to the next start.
    #[must_use]
    pub fn post_mortems(mut self, keep: Option<usize>) -> Self {
        self.settings.post_mortems = keep;
        self
    }

    /// Uses private memory where publishing is impossible (full disk, no permission, ...),
    /// instead of returning an error; [`Publisher::problem`] has the error.
    #[must_use]
    pub fn or_private(mut self) -> Self {
        self.settings.private = true;
        self
    }

    /// Publishes nothing: all fields are in private memory, and no file is made. Handles work as
    /// usual, so the program need not know.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.settings.hidden = true;
        self
    }

    /// Permission to read the files. Default: only the owner.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.settings.access = access;
        self
    }

    /// Publishes in the file `path` (its name ends in `.mmst`) and keeps it, so that the next
    /// run continues its values: counters, timers, histograms, averages and events, also those
    /// of fields that were added at run time. Gauges, texts, states, arrays, groups with all
    /// their members, and rates added at run time start anew.
    ///
    /// The new file replaces the old one in one step when all values are in it; if that fails,
    /// the old one is unchanged. The start is refused if the fields declared at the start are
    /// not the fields of the file ([`Error::Schema`]), and if another process uses the file.
    /// [`Publisher::flush`] writes the values to disk; without it they survive the end of the
    /// program, but not that of the machine.
    ///
    /// On a disk, writeback can stall the program for some time: see the field
    /// `sys.memory_backed`. A path without a file name is refused by the start. Programs that publish in a directory by default or by
    /// [`Options::directory`] sweep it, so give `path` one of its own.
    #[must_use]
    pub fn persistent(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.settings.directory = Some(parent.unwrap_or(Path::new(".")).to_path_buf());
        // Without a name in UTF-8 the start is refused, as with any other name that breaks a rule.
        let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        self.settings.file_name = Some(name.to_owned());
        self.settings.on_drop = OnDrop::Keep;
        self.settings.post_mortems = None;
        self.settings.persistent = true;
        self
    }

    /// Interval between calls of the callbacks of [`Publisher::sampled`], from a millisecond to a
    /// day: a shorter or longer one is taken as these. Default: one second.
    #[must_use]
    pub fn sample_every(mut self, interval: Duration) -> Self {
        let day = Duration::from_secs(86_400);
        self.settings.sample_every = interval.clamp(Duration::from_millis(1), day);
        self
    }

    /// Leaves out the `sys.*` fields.
    #[must_use]
    pub fn without_system_fields(mut self) -> Self {
        self.settings.system_fields = false;
        self
    }

    /// Starts no thread that looks for the files. By default the first publisher of a process that
    /// has files starts one, `mmstats-watch`, for all of them. It takes no signals, looks for their
    /// names once a second (a few system calls a file), sets the time of their last change once a minute,
    /// and ends within a second of the last publisher. So a program that only updates handles publishes
    /// again when its files were removed, or their directory.
    ///
    /// For programs that must have one thread: those that `fork` and do more than `exec` in the
    /// child, enter a user namespace, or are forbidden to start threads. Without the thread lost files
    /// are noticed when a lane is claimed, a field is added, [`Publisher::problem`] is called or a
    /// sampled field is due, and a thread for the copies is started then.
    ///
    /// A forked child has no such thread until it publishes itself. Where the system refuses the
    /// thread, the program continues without it.
    #[must_use]
    pub fn without_watcher(mut self) -> Self {
        self.settings.watched = false;
        self
    }

    /// Fields in addition to the fields of the type that is started.
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
        let mistake = match mistake {
            Some(mistake) if !settings.private => return Err(mistake),
            Some(mistake) => Some(mistake),
            None => environment::ignored(),
        };
        let publisher = Publisher::open(settings, schema)?;
        if let Some(mistake) = mistake {
            publisher.files.report(mistake);
        }
        Ok(publisher)
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

impl<S: Stats> Publisher<S> {
    /// Creates the file and publishes, with the settings of the environment: short for
    /// `Options::from_env().start()`.
    ///
    /// # Errors
    ///
    /// As [`Options::start`].
    pub fn start() -> Result<Self, Error> {
        Options::from_env().start()
    }
}

/// Publishes for as long as the guard lives, with the settings of the environment
/// ([`Options::from_env`]).
///
/// ```no_run
/// use mmstats::{Counter, FieldOptions};
///
/// let mmstats = mmstats::init();
/// let orders = mmstats.add::<Counter>("orders", FieldOptions::new())?;
/// mmstats.with(|lane| lane.attach(orders).map(|orders| orders.incr()))?;
/// # Ok::<(), mmstats::Error>(())
/// ```
///
/// It never fails: where publishing is impossible, the program uses private memory, and
/// [`Publisher::problem`] has the error. A wrong variable of the environment is ignored and
/// reported there too. The first such error of a process is also written to standard error. With the
/// feature `process` the fields of the process are published as well.
///
/// This is the publisher of the whole program, which [`global`](crate::global) finds. A second
/// call while a guard lives returns another guard of the same publisher; dropping the last guard
/// closes it. A forked child starts a new one.
///
/// For the fields of a struct, or settings in the program, see [`Options::init`].
pub fn init() -> Guard {
    Guard::get_or_start(|| {
        let (fields, string_bytes) = RESERVE;
        let start = |options: Options| options.reserve(fields, string_bytes).or_private().start();
        let publisher: Registry = start(Options::from_env()).unwrap_or_else(|error| {
            // The template of the file's name is wrong.
            let hidden = start(Options::new().hidden()).unwrap_or_else(out_of_memory);
            hidden.files.report(error);
            hidden
        });
        #[cfg(all(feature = "process", target_os = "linux"))] // from /proc
        if let Err(problem) = publisher.add_process_fields() {
            publisher.files.report(problem);
        }
        if let Some(problem) = publisher.problem() {
            say_once(&problem);
        }
        publisher
    })
}

/// Room in the first file for fields, all of which are added while the program runs.
const RESERVE: (u32, u32) = (256, 16 << 10);

/// Says on standard error, the first time in this process, why [`init`] does not publish as asked.
fn say_once(problem: &Error) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        // A closed standard error is no reason to fail.
        let _ = writeln!(std::io::stderr(), "mmstats: {problem}");
    }
}

fn out_of_memory(error: Error) -> Registry {
    panic!("no memory for the fields: {error}")
}
