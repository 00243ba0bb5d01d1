//! The publisher of an application.

mod environment;
pub(crate) mod epoch;
pub(crate) mod global;
pub(crate) mod options;
mod panic_context;
mod panics;
#[cfg(all(feature = "sync", target_pointer_width = "64", target_has_atomic = "64"))]
// for its locks
mod passing;
#[cfg(all(feature = "process", target_os = "linux"))] // from /proc
mod process;
mod sampler;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::panics::Panics;
use self::sampler::Sampler;
use crate::error::Error;
use crate::files::Files;
use crate::files::settings::{Fallback, Settings};
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use crate::handles::SharedGauge;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
use crate::handles::activity::SharedActivity;
use crate::lock::Inside;
use crate::schema::Schema;
use crate::schema::declaration::{Field, SharedHandle};
use crate::schema::key::{DynFamilyKey, FamilyByKey, FamilyKey, Key};
use crate::schema::labels::Labels;
use crate::schema::options::{FamilyOf, FieldOptions};
use crate::thread::local::{Alive, Local};
use crate::thread::stats::Stats;
use crate::thread::{Lane, Owner};

/// Publishes the fields of `S`. Clones share the files; the last one closes them.
///
/// Each thread updates a lane of its own, so its handles stay on it:
///
/// - [`Publisher::lane`] returns handles that a thread keeps from start to end: the fastest
///   route.
/// - [`Publisher::with`] finds the handles of the current thread, for thread pools, and for
///   tasks that move between threads. A handle kept across an `await` makes a future that is
///   not `Send`.
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
    /// `files.id`, for fewer loads in [`Publisher::with`].
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
        let has_shared = schema.has_shared;
        Self::with_files(Files::open(settings, schema)?, plan, has_shared)
    }

    fn with_files(files: Arc<Files>, plan: Arc<S::Plan>, has_shared: bool) -> Result<Self, Error> {
        let closer = Arc::new(Closer {
            files: Arc::clone(&files),
            alive: Arc::new(Alive),
            sampler: Arc::default(),
            panics: Panics::default(),
            is_recorded: AtomicBool::new(false),
            has_shared,
        });
        if has_shared {
            files.lasting_shared_lane(0)?;
        }
        Ok(Self { id: files.id, files, plan, closer })
    }

    /// Publishes the same fields anew, with the same settings: those declared at the start and those added
    /// since, under the same keys, without their values. For a forked child, whose publisher belongs to its
    /// parent, and after [`Publisher::close`].
    ///
    /// Keys, also of families, attach in the new publisher as in this one. Handles stay with the publisher that
    /// they were attached in. Callbacks of [`Publisher::sampled`] are not taken over: see
    /// [`Publisher::sample`].
    ///
    /// ```
    /// use mmstats::{Counter, FieldOptions, Lane, Options};
    ///
    /// let publisher = Options::new().start::<Lane>()?;
    /// let jobs = publisher.add::<Counter>("jobs", FieldOptions::new())?;
    /// // In the child after a fork:
    /// let child = publisher.restart()?;
    /// child.lane()?.attach(jobs)?.incr();
    /// # Ok::<(), mmstats::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::start`](crate::Options::start); [`Error::Persistent`] for a publisher whose file keeps
    /// its values; [`Error::Forked`] in a child whose parent changed the publisher at the moment of the fork.
    pub fn restart(&self) -> Result<Self, Error> {
        self.files.refuse_reentry()?;
        Self::with_files(self.files.restart()?, Arc::clone(&self.plan), self.closer.has_shared)
    }

    /// Whether this publisher belongs to the parent process: this one was forked off it.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.files.is_forked()
    }

    /// Claims a lane that says that it is of the thread with the system's id `thread`, and with `name`; returns
    /// its handles, which stay on the calling thread. For a thread that publishes what others do, as a sampler
    /// of stacks.
    ///
    /// # Errors
    ///
    /// As [`Publisher::lane`].
    pub fn lane_for(&self, thread: u64, name: Option<&str>) -> Result<S, Error> {
        self.files.refuse_reentry()?;
        let owner = Owner { id: thread, name: name.map(str::to_owned) };
        S::attach(&self.plan, &Lane::claim_for(&self.files, self.files.settings.fallback(), owner)?)
    }

    /// Claims a lane for this thread; returns its handles.
    ///
    /// A thread may claim several lanes.
    ///
    /// # Errors
    ///
    /// If all lanes are taken and no further file can be opened, or the publisher is
    /// closed. With [`or_private`](crate::Options::or_private) the lane is in private memory
    /// instead.
    pub fn lane(&self) -> Result<S, Error> {
        self.files.refuse_reentry()?;
        S::attach(&self.plan, &Lane::claim(&self.files, self.files.settings.fallback())?)
    }

    /// Calls `work` with the handles of this thread. The first call of a thread claims a lane,
    /// which is handed back when the thread ends. That has happened when the thread is joined,
    /// but not always at the end of a [`std::thread::scope`].
    ///
    /// Without a free lane the handles are in private memory, and [`Publisher::problem`] has the
    /// error.
    #[inline(always)]
    pub fn with<R>(&self, work: impl FnOnce(&S) -> R) -> R {
        // An option, so that `work` is not lost in a thread that is ending. One access to the
        // thread-local: two are five times slower in a loop.
        let mut work = Some(work);
        let first = |local: &Local<S>| {
            local.first(self.id).and_then(|stats| work.take().map(|work| work(stats)))
        };
        match S::local().try_with(first) {
            Ok(Some(result)) => result,
            _ => self.with_found(work),
        }
    }

    /// The slow path of [`Publisher::with`]: finds the handles among those of other publishers, or
    /// makes them. `work` is there, because it has not run yet.
    #[cold]
    #[inline(never)]
    fn with_found<R>(&self, mut work: Option<impl FnOnce(&S) -> R>) -> R {
        let mut run = |stats: &S| work.take().map(|work| work(stats));
        let result = match Inside::enter_first() {
            Some(inside) => {
                let found = |local: &Local<S>| {
                    let stats = local.find(self.id, &self.closer.alive, || self.of_thread());
                    drop(inside);
                    run(&stats)
                };
                // In a thread that is ending, a lane for this one call.
                S::local().try_with(found).unwrap_or_else(|_| run(self.of_ending_thread().get()?))
            }
            None => run(&self.of_scratch()),
        };
        result.expect("`work` runs once")
    }

    /// Handles of memory that no reader sees, for a call that comes from within the library.
    #[cold]
    fn of_scratch(&self) -> S {
        let scratch = &self.files.scratch;
        scratch.count();
        S::attach(&self.plan, &Lane::of_scratch(scratch)).unwrap_or_else(|error| {
            // Not with a derived set of handles: all its fields are of the start.
            panic!("no handles within the library: {error}")
        })
    }

    fn of_ending_thread(&self) -> OneCall<S> {
        let _inside = Inside::enter();
        OneCall(Some(self.of_thread()))
    }

    #[cold]
    fn of_thread(&self) -> S {
        let lane = Lane::of_thread(&self.files, &self.closer.alive);
        lane.refuse(self.files.scratch.take_calls());
        // The thread's lane may be in a file that was truncated since.
        let anew = |_| S::attach(&self.plan, &Lane::claim(&self.files, Fallback::Always)?);
        S::attach(&self.plan, &lane).or_else(anew).unwrap_or_else(|error| {
            // Only without memory: the plan is of this publisher, and the lane takes any room.
            panic!("no memory for the handles: {error}")
        })
    }

    /// Adds a field while the program runs, from any thread, while others update and observers
    /// read. Attach it with [`Lane::attach`].
    ///
    /// It takes room of [`Options::reserve`](crate::Options::reserve) or, when that is used up, of
    /// a further file, each with twice the room.
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
    /// If the field breaks a rule or has the name of another one ([`Error::Duplicate`]), if the
    /// publisher is closed or, without [`or_private`](crate::Options::or_private), if there is no
    /// room for a further file. Observers see the number of fields without room.
    pub fn add<H: Field>(
        &self,
        label: impl Into<String>,
        options: FieldOptions<H>,
    ) -> Result<Key<H>, Error> {
        self.files.refuse_reentry()?;
        self.files.add_passing(H::declaration(label.into(), options.any)).map(Key::new)
    }

    /// Adds a gauge of the whole program, which any thread can set: see [`SharedGauge`].
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
        self.add_and_attach_shared(label.into(), options)
    }

    /// Adds an activity of the whole program, which any thread can begin and end: see
    /// [`SharedActivity`].
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`].
    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
    pub fn shared_activity<const N: usize>(
        &self,
        label: impl Into<String>,
        options: FieldOptions<SharedActivity<N>>,
    ) -> Result<SharedActivity<N>, Error> {
        self.add_and_attach_shared(label.into(), options)
    }

    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
    fn add_and_attach_shared<H: SharedHandle>(
        &self,
        label: String,
        options: FieldOptions<H>,
    ) -> Result<H, Error> {
        let address = self.add_shared(label, options)?.address;
        let lane = self.files.shared_lane(address.segment as usize)?.open()?;
        H::attach(&lane, address.id).map_err(Error::Attach)
    }

    /// Adds a field of the whole program, for [`Publisher::attach_shared`]: a
    /// [`SharedGauge`](crate::SharedGauge), a [`SharedActivity`](crate::SharedActivity) or, of any kind, a
    /// [`SharedField`](crate::SharedField).
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`].
    pub fn add_shared<H: SharedHandle>(
        &self,
        label: impl Into<String>,
        options: FieldOptions<H>,
    ) -> Result<Key<H>, Error> {
        self.files.refuse_reentry()?;
        self.files.add(H::declaration(label.into(), options.any)).map(Key::new)
    }

    /// The handle of a field of the whole program. Its value stays until the publisher is closed.
    ///
    /// # Errors
    ///
    /// As [`Lane::attach`].
    pub fn attach_shared<H: SharedHandle>(&self, key: Key<H>) -> Result<H, Error> {
        self.files.refuse_reentry()?;
        let lane = self.files.lasting_shared_lane(key.address.segment as usize)?.open()?;
        H::attach(&lane, key.address.id).map_err(Error::Attach)
    }

    /// Adds a field for a value that is kept elsewhere: `callback` is called with its handle at
    /// once, and then at the interval of [`Options::sample_every`](crate::Options::sample_every).
    /// The first such field starts threads for the callbacks, which end with the publisher.
    ///
    /// A callback that panics is not called again; the field `sys.sampling_panics` counts these. One
    /// that does not return delays the others once, by an interval, at least 50 milliseconds and at most
    /// 5 seconds; the field `sys.sampling_late` counts these, and those that are not called because 32
    /// do not return. In all these cases the value is removed, if it is of a kind that
    /// can be absent (a gauge, a text), after three intervals at the latest; `sys.sampled` with the
    /// attribute `field`, and the attributes of the field, shows the age of the last answer.
    ///
    /// The handle is for one call: it is made before each. A callback with a clone of the publisher
    /// keeps it open until [`Publisher::close`]. A forked child has no such threads, and they take
    /// none of the program's signals.
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
    /// off the one that publishes. If the thread gets no lane for the handle,
    /// [`Publisher::problem`] has the error.
    pub fn sampled<H: Field + 'static>(
        &self,
        label: impl Into<String>,
        options: FieldOptions<H>,
        mut callback: impl FnMut(&H) + Send + 'static,
    ) -> Result<Key<H>, Error> {
        let answers = move |handle: &H| {
            callback(handle);
            true
        };
        self.add_sampled(label.into(), options, false, answers)
    }

    /// As [`Publisher::sampled`]. A callback that returns `false` has no value now. One of the
    /// library's own does not wait for the others.
    fn add_sampled<H: Field + 'static>(
        &self,
        label: String,
        options: FieldOptions<H>,
        is_own: bool,
        callback: impl FnMut(&H) -> bool + Send + 'static,
    ) -> Result<Key<H>, Error> {
        if self.files.is_forked() {
            return Err(Error::Forked);
        }
        if self.closer.sampler.is_mine() {
            return Err(Error::Reentrant);
        }
        self.files.refuse_reentry()?;
        let declaration = H::declaration(label.clone(), options.any);
        let add = if is_own { Files::find_or_add } else { Files::add };
        let key = Key::new(add(&self.files, declaration)?);
        if is_own && self.closer.sampler.has(key) {
            return Err(Error::Duplicate { label });
        }
        self.sample_with(key, is_own, callback).inspect_err(|_| {
            // It would never have a value.
            let _ = self.retire(key);
        })?;
        Ok(key)
    }

    /// Calls `callback` for a field that exists, as [`Publisher::sampled`] does for a new one: after
    /// [`Publisher::restart`], or for a field of the start.
    ///
    /// # Errors
    ///
    /// As [`Publisher::sampled`], and if there is no such field.
    pub fn sample<H: Field + 'static>(
        &self,
        key: Key<H>,
        mut callback: impl FnMut(&H) + Send + 'static,
    ) -> Result<(), Error> {
        if self.files.is_forked() {
            return Err(Error::Forked);
        }
        if self.closer.sampler.is_mine() {
            return Err(Error::Reentrant);
        }
        self.files.refuse_reentry()?;
        self.sample_with(key, false, move |handle: &H| {
            callback(handle);
            true
        })
    }

    fn sample_with<H: Field + 'static>(
        &self,
        key: Key<H>,
        is_own: bool,
        callback: impl FnMut(&H) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let (name, fields) = self.files.name_of(key.address)?;
        let Closer { sampler, alive, .. } = &*self.closer;
        sampler.add(&self.files, alive, (key, name, fields), is_own, callback)
    }

    /// Number of callbacks of [`Publisher::sampled`] that panicked.
    #[must_use]
    pub fn sampling_panics(&self) -> u64 {
        self.closer.sampler.panics()
    }

    /// Records the panics of all threads, with location and message, as lines of
    /// [`Events`](crate::Events) in a field `panics`. `mmstats events` prints them, also those of
    /// a dead program. Further calls do nothing.
    ///
    /// Further lines of the same time, which begin with spaces, have what the thread was doing then: for
    /// each [`Activity`](crate::Activity) in its lanes the rows with their ages, the newest last, and the
    /// values of its [`Text`](crate::Text)s. A panic has at most four of them: of more activities those
    /// that began last, and the number of the others. A line has at most 240 bytes, in which the newest
    /// rows are kept; 31 lines are kept in all.
    ///
    /// The panic hook calls the one before it afterwards. It waits for no lock that the thread
    /// that panics may hold.
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`].
    pub fn record_panics(&self) -> Result<(), Error> {
        self.files.refuse_reentry()?;
        self.closer.panics.record(&self.files)
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
        const { assert!(N > 0, "a family has at least one label") };
        self.files.refuse_reentry()?;
        self.files.add_family(label.into(), &labels, options).map(FamilyKey::new)
    }

    /// Adds a family whose labels are known at run time: see [`Schema::add_dyn_family`].
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`], and without labels.
    pub fn add_dyn_family<H: Field>(
        &self,
        label: impl Into<String>,
        labels: &[&str],
        options: FieldOptions<FamilyOf<H>>,
    ) -> Result<DynFamilyKey<H>, Error> {
        self.files.refuse_reentry()?;
        self.files.add_family(label.into(), labels, options).map(DynFamilyKey::new)
    }

    /// Adds a family by labels while the program runs: see [`Schema::add_family_by`].
    ///
    /// # Errors
    ///
    /// As [`Publisher::add`].
    pub fn add_family_by<H: Field, L: Labels>(
        &self,
        label: impl Into<String>,
        options: FieldOptions<FamilyOf<H>>,
    ) -> Result<FamilyByKey<H, L>, Error> {
        const { assert!(!L::KEYS.is_empty(), "a family has at least one label") };
        self.files.refuse_reentry()?;
        self.files.add_family(label.into(), L::KEYS, options).map(FamilyByKey::new)
    }

    /// Retires a field: observers stop showing it, and its handles keep writing to memory that
    /// no observer shows. Its name can be used again. Retiring it again does nothing.
    ///
    /// The room of a field that [`Publisher::add`] added goes to another field of the same type, when
    /// no handle of it exists any more and each thread that has set a value has attached or dropped a
    /// handle of such a field, or has ended. From then on its key attaches to nothing.
    ///
    /// # Errors
    ///
    /// If the key comes from another publisher and there is no such field, or the publisher
    /// is closed.
    pub fn retire<H>(&self, key: Key<H>) -> Result<(), Error> {
        self.files.refuse_reentry()?;
        self.files.retire(key.address)
    }

    /// The same publisher without its type, for libraries that add fields of their own. Its
    /// [`Publisher::with`] uses the same lane of each thread.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let (files, closer) = (Arc::clone(&self.files), Arc::clone(&self.closer));
        Publisher { id: self.id, files, plan: Arc::new(()), closer }
    }

    /// Paths of the files, in the order in which they were opened; none in private memory.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.paths()
    }

    /// The random identity of this publisher, which all its files have.
    #[must_use]
    pub fn instance(&self) -> [u8; 16] {
        self.files.instance
    }

    /// The reason why observers do not see all values at present: private memory, a file whose name
    /// was removed, a truncated file; or the error of a wrong variable of the environment.
    ///
    /// Tries to publish again, at most once a second, and brings copies of private memory up to
    /// date. `None` after values are seen again.
    #[must_use]
    pub fn problem(&self) -> Option<Error> {
        self.files.problem()
    }

    /// Writes the files to disk, if they are on one. Returns when that is done if `wait`, else
    /// when it has begun.
    ///
    /// # Errors
    ///
    /// If the operating system reports a failure.
    pub fn flush(&self, wait: bool) -> Result<(), Error> {
        self.files.refuse_reentry()?;
        self.files.flush(wait)
    }

    /// Closes the files, even if clones of the publisher or lanes still exist; observers see no
    /// later updates.
    ///
    /// Dropping the last clone does this too, except while a panic unwinds the thread: then the
    /// files stay as after a crash, with their last values. A publisher in a `static` is never
    /// dropped: call this at the end of `main`, or observers take the program for a crashed one.
    pub fn close(&self) {
        self.closer.close(false);
    }
}

/// The handles of one call. What allocates or frees while they are made and dropped can be the
/// allocator of the program that calls [`Publisher::with`] again.
struct OneCall<S>(Option<S>);

impl<S> OneCall<S> {
    fn get(&self) -> Option<&S> {
        self.0.as_ref()
    }
}

impl<S> Drop for OneCall<S> {
    fn drop(&mut self) {
        let _inside = Inside::enter();
        drop(self.0.take());
    }
}

/// Closes the files when the last clone of the publisher is dropped, even if lanes still exist.
struct Closer {
    files: Arc<Files>,
    alive: Arc<Alive>,
    sampler: Arc<Sampler>,
    panics: Panics,
    /// Whether a recorder has to know of the end.
    is_recorded: AtomicBool,
    /// Whether handles of the whole program were declared at the start.
    has_shared: bool,
}

impl Closer {
    /// Closes the files, or leaves them as a crash would.
    fn close(&self, crashed: bool) {
        if self.files.shares_memory() {
            return; // The files, and locks that the child may never get, are the parent's.
        }
        self.sampler.close();
        self.files.close(crashed);
        if self.is_recorded.load(Ordering::Relaxed) {
            epoch::change_epoch();
        }
    }

    /// Closes the files, or leaves them as after a crash while a panic unwinds the thread: they
    /// show the last values of a program that dies of a panic.
    fn close_unless_panicking(&self) {
        self.close(std::thread::panicking());
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.close_unless_panicking();
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
