//! The publisher of an application.

mod closer;
mod environment;
pub(crate) mod global;
pub(crate) mod init;
pub(crate) mod options;
mod panics;
#[cfg(all(feature = "process", target_os = "linux"))] // from /proc
mod process;
mod sampler;
mod shared;
pub(crate) mod stats;

use std::path::PathBuf;
use std::sync::Arc;

use self::closer::Closer;
use self::stats::Stats;
use crate::error::Error;
use crate::files::Files;
use crate::files::settings::{Fallback, Settings};
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use crate::handles::values::{Gauge, SharedGauge};
use crate::schema::Schema;
use crate::schema::family::FamilyDeclaration;
use crate::schema::field::Field;
use crate::schema::key::{FamilyKey, Key};
use crate::schema::options::{FamilyOf, FieldOptions};
use crate::thread::lane::Lane;
use crate::thread::local::Local;

/// Publishes the fields of `S`. Clones share the files; the last one closes them.
///
/// Each thread updates a lane of its own:
///
/// - [`Publisher::lane`] gives a thread its handles, for threads that keep something
///   from start to end: the fastest route.
/// - [`Publisher::with`] finds the handles of the current thread, for thread pools and
///   for tasks that move between threads: no handle is kept across an `await`.
///
/// ```
/// use mmstats::{Counter, Options, Publisher, Stats};
///
/// #[derive(Stats)]
/// struct Web {
///     requests: Counter,
/// }
///
/// let web: Publisher<Web> = Options::new().start()?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| web.with(|stats| stats.requests.incr()));
///     }
/// });
/// # Ok::<(), mmstats::Error>(())
/// ```
pub struct Publisher<S: Stats> {
    /// That of `files`, for fewer loads in [`Publisher::with`].
    id: u64,
    files: Arc<Files>,
    plan: Arc<S::Plan>,
    closer: Arc<Closer>,
}

/// A publisher without a type for its fields, for those that are added while the program runs.
pub type Registry = Publisher<Lane>;

impl<S: Stats> Publisher<S> {
    /// Publishes the fields of `schema` and of `S`.
    pub(crate) fn open(settings: Settings, mut schema: Schema) -> Result<Self, Error> {
        let plan = Arc::new(S::declare(&mut schema, ""));
        let files = Arc::new(Files::open(settings, schema)?);
        let closer = Arc::new(Closer::new(Arc::clone(&files)));
        Ok(Self { id: files.id(), files, plan, closer })
    }

    /// A lane of its own for this thread, and its handles.
    ///
    /// A thread may have several; each takes the room of one thread.
    ///
    /// # Errors
    ///
    /// If all lanes are taken and no further file can be opened, or the publisher is
    /// closed. With [`Options::or_private`] it goes on in private memory instead.
    pub fn lane(&self) -> Result<S, Error> {
        S::attach(&self.plan, &Lane::claim(&self.files, self.files.fallback())?)
    }

    /// Calls `work` with this thread's handles; the first call of a thread takes a lane,
    /// which it hands back when it ends. A thread that was joined has done so; the end of a
    /// [`std::thread::scope`] alone does not wait for that.
    ///
    /// Where no lane is to be had, the handles are of private memory: the program goes on
    /// and [`Publisher::problem`] says why.
    #[inline(always)]
    pub fn with<R>(&self, work: impl FnOnce(&S) -> R) -> R {
        // Without a branch on `work` itself, so that the usual way is one comparison.
        if S::local().try_with(|_| ()).is_err() {
            return self.with_found(work);
        }
        let first = |local: &Local<S>| match local.first(self.id) {
            Some(stats) => Ok(work(stats)),
            None => Err(work),
        };
        S::local().with(first).unwrap_or_else(|work| self.with_found(work))
    }

    /// The rest of [`Publisher::with`]: the handles are made, or found among those of other
    /// publishers.
    #[cold]
    #[inline(never)]
    fn with_found<R>(&self, work: impl FnOnce(&S) -> R) -> R {
        // In a thread that is ending, a lane for this one call.
        if S::local().try_with(|_| ()).is_err() {
            return work(&self.of_thread());
        }
        S::local().with(|local| local.find(self.id, &self.closer.alive, || self.of_thread(), work))
    }

    #[cold]
    fn of_thread(&self) -> S {
        let lane = Lane::of_thread(&self.files, &self.closer.alive);
        // The thread's lane may be in a file that was truncated since.
        let anew = |_| S::attach(&self.plan, &Lane::claim(&self.files, Fallback::Always)?);
        S::attach(&self.plan, &lane).or_else(anew).unwrap_or_else(|error| {
            // Only without memory: the plan is of this publisher, and the lane takes any room.
            panic!("no memory for the handles: {error}")
        })
    }

    /// Adds a field while the program runs; from any thread, while others update and
    /// observers read.
    ///
    /// It goes to the room that [`Options::reserve`] left or, when that is used up, to a
    /// further file, each of twice the room. Attach it with [`Lane::attach`].
    ///
    /// ```
    /// use mmstats::{Counter, FieldOptions, Lane, Options};
    ///
    /// let publisher = Options::new().start::<Lane>()?;
    /// let plugin = publisher.add::<Counter>("plugin.calls", FieldOptions::new())?;
    /// let calls = publisher.lane()?.attach(plugin)?;
    /// calls.incr();
    /// publisher.retire(plugin)?; // Later updates by the handle are not shown.
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the field breaks a rule or has the name of another one ([`Error::Duplicate`]), if
    /// there is no room for a further file (without [`Options::or_private`]; observers see
    /// the number of such fields), or the publisher is closed.
    pub fn add<H: Field>(
        &self,
        label: impl Into<String>,
        options: FieldOptions<H>,
    ) -> Result<Key<H>, Error> {
        self.files.add(H::declaration(label.into(), options.any)).map(Key::new)
    }

    /// Adds a gauge of the whole program, which any thread may set: see [`SharedGauge`](crate::SharedGauge).
    ///
    /// ```
    /// use mmstats::{FieldOptions, Lane, Options};
    ///
    /// let publisher = Options::new().start::<Lane>()?;
    /// let version = publisher.shared::<u64>("config.version", FieldOptions::new())?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| version.set(7));
    /// });
    /// assert_eq!(version.get(), Some(7));
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`].
    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
    pub fn shared<T: mmstats_core::ScalarType>(
        &self,
        label: impl Into<String>,
        options: FieldOptions<SharedGauge<T>>,
    ) -> Result<SharedGauge<T>, Error> {
        let address = self.files.add(Gauge::<T>::declaration(label.into(), options.any))?;
        let lane = self.closer.shared.claim(&self.files, address.segment as usize)?.open()?;
        SharedGauge::attach(&lane, address.id).map_err(Error::Attach)
    }

    /// Adds a field whose value lives elsewhere: `callback` is called with its handle at once
    /// and then at every interval ([`Options::sample_every`]), by a thread of its own that
    /// begins with the first such field and ends with the publisher. Never on the way of an
    /// update.
    ///
    /// A callback that panics is not called again; the others are, and a field
    /// `sys.sampling_panics` says so. One that takes long delays
    /// the others. One that holds a clone of the publisher keeps it from ending: only
    /// [`Publisher::close`] does then. A forked child has no such thread.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// use mmstats::{FieldOptions, Gauge, Lane, Options};
    ///
    /// let queue = Arc::new(Mutex::new(vec![1, 2, 3]));
    /// let publisher = Options::new().start::<Lane>()?;
    /// publisher.sampled("queue.length", FieldOptions::new(), move |length: &Gauge<u64>| {
    ///     length.set(queue.lock().unwrap().len() as u64);
    /// })?;
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`], and if the thread cannot be started, or this process was forked
    /// off the one that publishes. If the thread finds no place for the handle,
    /// [`Publisher::problem`] says why.
    pub fn sampled<H: Field + 'static>(
        &self,
        label: impl Into<String>,
        options: FieldOptions<H>,
        callback: impl FnMut(&H) + Send + 'static,
    ) -> Result<Key<H>, Error> {
        if self.files.is_forked() {
            return Err(Error::Forked);
        }
        let key = self.add(label, options)?;
        let Closer { sampler, alive, .. } = &*self.closer;
        sampler.add(&self.files, alive, key, callback).inspect_err(|_| {
            // Its value would never be set.
            let _ = self.retire(key);
        })?;
        Ok(key)
    }

    /// How many callbacks of [`Publisher::sampled`] have panicked.
    #[must_use]
    pub fn sampling_panics(&self) -> u64 {
        self.closer.sampler.panics()
    }

    /// Has the panics of all threads written into a field `panics`, with place and message, as
    /// lines of [`Events`](crate::Events): `mmstats events` shows them, also of a program that
    /// is dead. Once more does nothing.
    ///
    /// The hook comes before the one there is, which is called as usual; it waits for no lock
    /// that the thread that panics may hold.
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`].
    pub fn record_panics(&self) -> Result<(), Error> {
        self.closer.panics.record(&self.files, &self.closer.shared)
    }

    /// Adds a family while the program runs: see [`Schema::add_family`].
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`].
    pub fn add_family<H: Field, const N: usize>(
        &self,
        label: impl Into<String>,
        labels: [&str; N],
        options: FieldOptions<FamilyOf<H>>,
    ) -> Result<FamilyKey<H, N>, Error> {
        let (declared, overflow) = FamilyDeclaration::new::<H, N>(label.into(), &labels, options);
        self.files.add_family(declared, overflow).map(FamilyKey::new)
    }

    /// Retires a field: observers stop showing it, its handles go on into the void. Its name
    /// may be used again; its room is not. Once more does nothing.
    ///
    /// # Errors
    ///
    /// If the key comes from another publisher and there is no such field, or the publisher
    /// is closed.
    pub fn retire<H>(&self, key: Key<H>) -> Result<(), Error> {
        self.files.retire(key.address)
    }

    /// The same publisher without its type, for libraries that add fields of their own. On
    /// each thread its [`Publisher::with`] uses the same lane.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let (files, closer) = (Arc::clone(&self.files), Arc::clone(&self.closer));
        Publisher { id: self.id, files, plan: Arc::new(()), closer }
    }

    /// The files, in the order in which they were opened; none if publishing goes on in
    /// private memory.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.paths()
    }

    /// The random identity of this publisher, the same in all its files.
    #[must_use]
    pub fn instance(&self) -> [u8; 16] {
        self.files.instance()
    }

    /// Why publishing goes on in private memory, wholly or for some threads.
    #[must_use]
    pub fn problem(&self) -> Option<Error> {
        self.files.problem()
    }

    /// Writes the files to disk, if they are on one; waits until that is done if `wait`.
    ///
    /// # Errors
    ///
    /// If the operating system reports a failure.
    pub fn flush(&self, wait: bool) -> Result<(), Error> {
        self.files.flush(wait)
    }

    /// Closes the files now, also if clones of the publisher or lanes still exist: what they
    /// update from now on goes nowhere.
    ///
    /// Dropping the last clone does this too, except while a panic unwinds the thread: then the
    /// files stay as after a crash, with their last values. A publisher in a `static` is never dropped, so
    /// call it at the end of `main`, or the file looks as if the program had died.
    pub fn close(&self) {
        self.closer.close();
    }

    /// What dropping the last clone does.
    pub(crate) fn end(&self) {
        self.closer.end();
    }

    pub(crate) fn report(&self, problem: Error) {
        self.files.report(problem);
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.files.is_forked()
    }
}

impl<S: Stats> Clone for Publisher<S> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            files: Arc::clone(&self.files),
            plan: Arc::clone(&self.plan),
            closer: Arc::clone(&self.closer),
        }
    }
}

impl<S: Stats> std::fmt::Debug for Publisher<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("paths", &self.paths()).finish_non_exhaustive()
    }
}
