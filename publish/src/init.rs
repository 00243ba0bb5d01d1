//! One line to publish: the publisher of the whole program, and its settings in the environment.

use std::ops::Deref;
use std::str::FromStr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::error::Error;
use crate::lane::Lane;
use crate::options::{OnDrop, Options};
use crate::publisher::{Publisher, Registry, Stats};
use crate::sync::{self, Mutex};

/// Publishes for as long as the guard lives: the publisher of the whole program, which
/// [`global`] finds. It never fails: where publishing is impossible, the program goes on in
/// private memory, and [`Publisher::problem`] says why.
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
/// The environment says how: see [`Options::from_env`]; a setting that makes no sense is left
/// out, and is the `problem` too. With the feature `process` the process's own fields are
/// published as well.
///
/// Called again while a guard lives, it returns another guard of the same publisher. The last
/// guard to go closes it. A forked child begins anew.
///
/// For fields of a struct, or settings in the program, see [`Options::init`].
pub fn init() -> Guard {
    let mut global = lock();
    if let Some(shared) = running(&global) {
        return Guard { publisher: shared.registry.clone(), shared };
    }
    let (options, mistake) = Options::environment();
    // What the environment says wrongly may be refused only here: the name of the file.
    let start = |options: Options| {
        let (fields, string_bytes) = ROOM;
        options.reserve(fields, string_bytes).or_private().start::<Lane>()
    };
    let (publisher, refused) = match start(options) {
        Ok(publisher) => (publisher, None),
        Err(error) => (start(Options::new().hidden()).unwrap_or_else(out_of_memory), Some(error)),
    };
    if let Some(problem) = mistake.or(refused) {
        publisher.report(problem);
    }
    #[cfg(all(feature = "process", target_os = "linux"))] // from /proc
    if let Err(problem) = publisher.add_process_fields() {
        publisher.report(problem);
    }
    Guard::new(&mut global, publisher)
}

/// Room for fields in the first file, none of which is known before the program runs.
const ROOM: (u32, u32) = (256, 16 << 10);

fn out_of_memory(error: Error) -> Registry {
    panic!("no memory for the fields: {error}")
}

/// The publisher that [`init`] or [`Options::init`] began, while a guard of it lives.
///
/// A library that has something to say when its program publishes, and nothing otherwise, asks
/// for it and adds its fields. It takes a lock: keep the result.
#[must_use]
pub fn global() -> Option<Registry> {
    running(&lock()).map(|shared| shared.registry.clone())
}

/// Keeps the publisher of the whole program open. It is that publisher, too.
#[must_use = "publishing ends when the guard is dropped"]
pub struct Guard<S: Stats = Lane> {
    publisher: Publisher<S>,
    shared: Arc<Global>,
}

struct Global {
    registry: Registry,
}

impl Drop for Global {
    fn drop(&mut self) {
        // Clones that others hold do not keep it open.
        self.registry.end();
    }
}

impl<S: Stats> Guard<S> {
    fn new(global: &mut Weak<Global>, publisher: Publisher<S>) -> Self {
        let shared = Arc::new(Global { registry: publisher.registry() });
        *global = Arc::downgrade(&shared);
        Self { publisher, shared }
    }
}

impl<S: Stats> Deref for Guard<S> {
    type Target = Publisher<S>;

    fn deref(&self) -> &Publisher<S> {
        &self.publisher
    }
}

impl<S: Stats> std::fmt::Debug for Guard<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let guards = Arc::strong_count(&self.shared);
        f.debug_struct("Guard").field("guards", &guards).finish_non_exhaustive()
    }
}

static GLOBAL: Mutex<Weak<Global>> = Mutex::new(Weak::new());

fn lock() -> sync::Guard<'static, Weak<Global>> {
    GLOBAL.lock()
}

fn running(global: &Weak<Global>) -> Option<Arc<Global>> {
    let shared = global.upgrade()?;
    // A forked child has its parent's, in which nobody sees it.
    (!shared.registry.is_forked()).then_some(shared)
}

impl Options {
    /// The defaults, changed by what the environment says:
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `MMSTATS_PATH` | the directory, see [`Options::directory`] |
    /// | `MMSTATS_FILES` | the template of the file's name, see [`Options::files`] |
    /// | `MMSTATS_NAME` | the name of the program, see [`Options::name`] |
    /// | `MMSTATS_LANES` | threads in the first file, see [`Options::lanes`] |
    /// | `MMSTATS_SAMPLE` | seconds between samples, as `0.5`, see [`Options::sample_every`] |
    /// | `MMSTATS_POST_MORTEMS` | how many files of dead programs stay, see [`Options::post_mortems`] |
    /// | `MMSTATS_KEEP` | `1`: the files stay when the program ends, see [`Options::on_drop`] |
    /// | `MMSTATS_DISABLE` | `1`: nothing is published, see [`Options::hidden`] |
    ///
    /// An empty variable counts as not set. Only `MMSTATS_PATH` and `MMSTATS_FILES` are looked
    /// at by [`Options::new`] too.
    ///
    /// # Errors
    ///
    /// The first variable that makes no sense.
    pub fn from_env() -> Result<Self, Error> {
        match Self::environment() {
            (options, None) => Ok(options),
            (_, Some(error)) => Err(error),
        }
    }

    /// What the environment says, and the first mistake in it.
    fn environment() -> (Self, Option<Error>) {
        let mut options = Self::new();
        let mut mistake = None;
        let mut set = |name, change: &mut dyn FnMut(&str) -> Option<()>, rule| {
            let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
                return;
            };
            let value = value.to_string_lossy();
            if change(&value).is_none() {
                let value = value.into_owned();
                mistake.get_or_insert(Error::Environment { name, value, rule });
            }
        };
        let name = &mut |value: &str| {
            options.name = Some(value.to_owned());
            Some(())
        };
        set("MMSTATS_NAME", name, "");
        let lanes = &mut |value: &str| {
            options.lanes = number(value).filter(|n| (1..=65536).contains(n))?;
            Some(())
        };
        set("MMSTATS_LANES", lanes, "a number from 1 to 65536");
        let sample = &mut |value: &str| {
            let seconds = value.trim().parse().ok().filter(|n: &f64| (0.001..=86400.0).contains(n));
            options.sample_every = Duration::from_secs_f64(seconds?);
            Some(())
        };
        set("MMSTATS_SAMPLE", sample, "a number of seconds from 0.001 to 86400");
        let post_mortems = &mut |value: &str| {
            options.post_mortems = Some(number(value)?);
            Some(())
        };
        set("MMSTATS_POST_MORTEMS", post_mortems, "a number");
        let keep = &mut |value: &str| {
            options.on_drop = if yes(value)? { OnDrop::Keep } else { OnDrop::Remove };
            Some(())
        };
        set("MMSTATS_KEEP", keep, "0 or 1");
        let disable = &mut |value: &str| {
            options.hidden = yes(value)?;
            Some(())
        };
        set("MMSTATS_DISABLE", disable, "0 or 1");
        (options, mistake)
    }

    /// Starts the publisher of the whole program, which [`global`] finds, and closes it when
    /// the guard is dropped: [`init`] with settings of the program's own.
    ///
    /// ```no_run
    /// use mmstats::{Counter, Options, Stats};
    ///
    /// #[derive(Stats)]
    /// struct Web {
    ///     requests: Counter,
    /// }
    ///
    /// let web = Options::from_env()?.name("web").or_private().init::<Web>()?;
    /// web.with(|stats| stats.requests.incr());
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::start`], and [`Error::Initialised`] while a guard of another one lives.
    pub fn init<S: Stats>(self) -> Result<Guard<S>, Error> {
        let mut global = lock();
        if running(&global).is_some() {
            return Err(Error::Initialised);
        }
        Ok(Guard::new(&mut global, self.start()?))
    }
}

fn number<T: FromStr>(value: &str) -> Option<T> {
    value.trim().parse().ok()
}

fn yes(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}
