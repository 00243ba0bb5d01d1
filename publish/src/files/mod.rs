//! The files of one publisher: one at first, further ones when lanes or room for fields run out.

mod add;
pub(crate) mod application;
mod attempts;
mod blueprint;
mod earlier_run;
pub(crate) mod family;
mod inventory;
mod ledger;
mod names;
mod part;
mod place;
mod room;
pub(crate) mod scratch;
mod segment;
pub(crate) mod settings;
pub(crate) mod shared;
pub(crate) mod standard;
mod tenants;
mod totals;
mod upkeep;
mod values;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use mmstats_core::{Geometry, Level, Writer};

use self::application::Application;
use self::blueprint::Blueprint;
use self::earlier_run::EarlierRun;
use self::inventory::Inventory;
use self::part::Part;
use self::place::{Place, Spare, Tidying, publish};
use self::scratch::Scratch;
use self::segment::Segment;
use self::settings::{Fallback, OnDrop, Settings};
use self::shared::{SharedLane, SharedLanes};
use crate::backend::{Mapping, fork, process};
use crate::claim::{ClaimedLane, LaneOwner};
use crate::error::Error;
use crate::handles::Info;
use crate::lock::Mutex;
use crate::schema::Schema;
use crate::schema::declaration::{DECLARED, Declaration};
use crate::schema::key::Address;
use crate::schema::options::FieldOptions;

/// The files of one publisher, which all its threads share. Nothing here is on an update path.
pub(crate) struct Files {
    /// A number that no other publisher of this process has.
    pub(crate) id: u64,
    /// The random identity in the header of all files.
    pub(crate) instance: [u8; 16],
    pub(crate) settings: Settings,
    /// Number of forks of this process before it began to publish.
    generation: u64,
    /// The process that began to publish.
    process: u32,
    /// The application that keeps the sums of this publisher.
    application: Option<Application>,
    /// A panic of another thread leaves nothing half-done: every step of a writer is complete or
    /// not visible.
    inventory: Mutex<Inventory>,
    shared: SharedLanes,
    /// For calls that come from within the library.
    pub(crate) scratch: Arc<Scratch>,
    /// For the thread of the upkeep.
    this: OnceLock<Weak<Self>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The fields of a publisher that starts.
enum Fields {
    New(Schema),
    /// Those of another publisher.
    Again(Blueprint),
}

/// The next [`Files::id`].
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Files {
    /// Publishes the fields of `schema`.
    pub(crate) fn open(settings: Settings, schema: Schema) -> Result<Arc<Self>, Error> {
        Self::open_fields(settings, Fields::New(schema), None)
    }

    /// Publishes the same fields anew, under the same addresses and without their values: an instance of
    /// its own.
    pub(crate) fn restart(&self) -> Result<Arc<Self>, Error> {
        if self.settings.persistent {
            return Err(Error::Persistent);
        }
        let blueprint = Blueprint::new(&self.inventory)?;
        Self::open_fields(self.settings.clone(), Fields::Again(blueprint), Some(self.id))
    }

    fn open_fields(
        settings: Settings,
        mut fields: Fields,
        before: Option<u64>,
    ) -> Result<Arc<Self>, Error> {
        let facts = process::facts();
        let command = settings.name.clone().or_else(|| facts.command.clone());
        let command = command.unwrap_or_else(|| "unknown".to_owned());
        let instance = process::random();

        let generation = fork::generation();
        let application = Application::find(&settings, generation, before)?;
        let mut place = None;
        let mut failure = None;
        if !settings.hidden {
            match Place::new(&settings, &command, instance) {
                Ok(new) => place = Some(new),
                Err(error) if settings.private => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        let (mut memory_backed, mut earlier) = (None, EarlierRun::default());
        if let Some(some) = &mut place {
            // A truncated file must not end the program. Where the system offers no guard the
            // program publishes without one.
            let _ = crate::backend::fault_handler::install();
            let name = some.name().to_owned();
            match some.open() {
                Ok(directory) => {
                    memory_backed = directory.is_memory_backed().ok().flatten();
                    if settings.persistent {
                        earlier = EarlierRun::load(directory, &name)?;
                    }
                }
                Err(error) if settings.private => {
                    failure = Some(error);
                    if settings.persistent {
                        // The values of the earlier run, which cannot be read, must not be replaced.
                        place = None;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if settings.persistent
            && let Fields::New(schema) = &mut fields
        {
            let count = u32::try_from(schema.len()).unwrap_or(u32::MAX);
            let options = FieldOptions::new().level(Level::Debug).value(count);
            schema.add::<Info>(DECLARED, options.help("Number of fields declared at the start."));
        }
        let declare = |schema: &mut Schema| {
            if let Some(application) = &application {
                standard::declare_application(schema, &application.name);
            }
            if settings.system_fields {
                standard::declare(schema, &facts, &command, memory_backed);
            }
        };
        // Before a file is made: a declaration that breaks a rule is refused, not kept private.
        let mut inventory = match fields {
            Fields::New(mut schema) => {
                declare(&mut schema);
                Inventory::new(schema, &settings)?
            }
            Fields::Again(blueprint) => {
                let mut standard = Schema::new();
                declare(&mut standard);
                blueprint.into_inventory(standard)
            }
        };
        let scratch = Scratch::new(&inventory.segments[0], &inventory.families, instance)?;
        inventory.place = place;
        inventory.earlier = earlier;
        if let Some(error) = failure {
            inventory.cover(error, Fallback::Always)?;
        }
        let files = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            instance,
            settings,
            generation,
            process: std::process::id(),
            application,
            inventory: Mutex::default(),
            shared: SharedLanes::default(),
            scratch: Arc::new(scratch),
            this: OnceLock::new(),
        };
        // Of a publisher that starts for the first time there is one segment.
        for segment in 0..inventory.segments.len() {
            files.open_part(&mut inventory, segment, files.settings.fallback())?;
        }
        files.finish_earlier_run(&mut inventory)?;
        *files.inventory.lock() = inventory;
        let files = Arc::new(files);
        let _ = files.this.set(Arc::downgrade(&files));
        let published = files.kept_up().place.is_some();
        if published && files.settings.watched {
            let this: Weak<Self> = Arc::downgrade(&files);
            watch::begin(this);
        }
        Ok(files)
    }

    /// Registers the first file for forked children, once, when observers see it. The result is the work on
    /// files of others, to be done without the lock: it takes long if other processes do it too.
    fn join_application(&self, inventory: &mut Inventory) -> Option<Tidying> {
        let Inventory { parts, place, joined, .. } = inventory;
        let (file, place) = (parts.iter().find_map(Part::seen_file)?, place.as_mut()?);
        if std::mem::replace(joined, true) {
            return None;
        }
        let application = self.application.as_ref();
        application::register(self.id, self.generation, application, self.instance, file.path());
        place.tidying().ok()
    }

    /// Number of instances in the ledger of the application; 0 without one.
    fn taken_in(&self) -> u64 {
        let Some(application) = self.application.as_ref().filter(|_| !self.is_forked()) else {
            return 0;
        };
        let inventory = self.inventory.lock();
        let path = inventory.place.as_ref().and_then(Place::path).map(Path::to_path_buf);
        drop(inventory);
        path.map_or(0, |path| application.taken_in(&path))
    }

    /// Declares the fields that an earlier run added after its start, and ends its files.
    fn finish_earlier_run(&self, inventory: &mut Inventory) -> Result<(), Error> {
        let mut need = Geometry::new(1);
        let mut added = Vec::new();
        for field in inventory.earlier.added() {
            let name = field.name().clone();
            let declaration = Declaration::Field(field);
            let mut room = Geometry::new(1);
            // A field that this run declares at its start has its value already.
            if inventory.check_names(&declaration).is_ok() && declaration.measure(&mut room).is_ok()
            {
                need.reserve(room.fields, room.heap, room.cells);
                added.push((name, declaration, room));
            }
        }
        if !added.is_empty() {
            let number = inventory.segments.len();
            let segment = Segment::with_prelude(&inventory.prelude, need);
            inventory.segments.push(segment);
            for (name, declaration, room) in added {
                let address = inventory.push(declaration, &room);
                inventory.unclaimed.insert(name, address);
            }
            self.open_part(inventory, number, self.settings.fallback())?;
        }
        let earlier = std::mem::take(&mut inventory.earlier);
        if inventory.parts.iter().all(Part::is_seen) {
            earlier.finish();
        } else {
            // In private memory the values would be lost with the earlier files.
            inventory.replaced = earlier;
        }
        Ok(())
    }

    /// Opens a part with all fields of a segment: a file or, where `fallback` allows it, private
    /// memory. Returns its index.
    fn open_part(
        &self,
        inventory: &mut Inventory,
        segment: usize,
        fallback: Fallback,
    ) -> Result<usize, Error> {
        self.open_file(inventory, segment, fallback).or_else(|error| {
            inventory.cover(error, fallback)?;
            self.open_part_as(inventory, segment, false)
        })
    }

    /// Opens a part in a file; in private memory only if this publisher makes no files, or this is a
    /// forked child. During the pause after a refusal that `fallback` covers, it is the same refusal.
    fn open_file(
        &self,
        inventory: &mut Inventory,
        segment: usize,
        fallback: Fallback,
    ) -> Result<usize, Error> {
        if inventory.place.is_none() || self.is_forked() {
            return self.open_part_as(inventory, segment, false);
        }
        match inventory.attempts.refusal().filter(|error| fallback.covers(error)) {
            Some(error) => Err(error),
            None => self.open_part_as(inventory, segment, true),
        }
    }

    /// Opens a part, in a file if `published`; returns its index.
    fn open_part_as(
        &self,
        inventory: &mut Inventory,
        segment: usize,
        published: bool,
    ) -> Result<usize, Error> {
        let lanes = inventory.lanes_after(segment, self.settings.lanes);
        let number = inventory.images;
        let Inventory { segments, place, earlier, .. } = inventory;
        let (geometry, size) = segments[segment].size(lanes)?;
        let mut spare = Spare::default();
        let access = self.settings.access;
        let (mapping, new) = match place {
            Some(place) if published => {
                let (name, names) = place.names(number)?;
                spare = names;
                // A program that begins with a name of another one is refused.
                spare.is_refused = number == 0;
                let new = place.create(&name, size, access)?;
                (Arc::clone(new.mapping()), Some(new))
            }
            _ => (Arc::new(crate::backend::private(size)?), None),
        };
        let memory = Arc::clone(&mapping);
        let mut writer = Writer::create_zeroed(memory, &geometry, self.instance, number)
            .map_err(Error::image)?;
        segments[segment].write(&mut writer).map_err(Error::image)?;
        if segment == 0 {
            earlier.check(&writer)?;
        }
        earlier.fill(&mut writer)?;
        writer.go_live();
        let named = new.map(|new| match earlier.file(new.path()) {
            Some(old) => Ok(new.publish_over(old).map_err(|unpublished| unpublished.error)?),
            None => publish(new, spare, access),
        });
        let published = named.transpose()?.map(|file| (number, file));
        Ok(inventory.push_part(Part::new(segment, writer, mapping, published)))
    }

    /// An error if this thread holds a lock of the files, and would wait for itself.
    pub(crate) fn refuse_reentry(&self) -> Result<(), Error> {
        let is_mine = self.inventory.is_mine() || self.shared.is_mine();
        if is_mine { Err(Error::Reentrant) } else { Ok(()) }
    }

    /// Whether this process was forked off the one that publishes.
    pub(crate) fn is_forked(&self) -> bool {
        self.generation != fork::generation() || self.shares_memory()
    }

    /// Whether this process is a child made without the fork handlers (a bare `clone`): it has the
    /// files of its parent, not a copy, and must not change them.
    pub(crate) fn shares_memory(&self) -> bool {
        self.generation == fork::generation() && self.process != std::process::id()
    }

    /// Whether the files were closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.refuse_reentry().is_ok() && self.inventory.lock().closed
    }

    /// Claims a lane of a segment.
    pub(crate) fn claim(
        self: &Arc<Self>,
        segment: usize,
        fallback: Fallback,
    ) -> Result<ClaimedLane, Error> {
        self.refuse_reentry()?;
        let mut inventory = self.attend();
        let (part, lane, mapping) = self.claim_in(&mut inventory, segment, fallback)?;
        let fields = inventory.segments[segment].lane_fields;
        drop(inventory);
        Ok(ClaimedLane::new(Arc::<Self>::clone(self), part, lane, mapping, fields))
    }

    /// The lane of a segment that all threads share, until its last handle is dropped.
    pub(crate) fn shared_lane(self: &Arc<Self>, segment: usize) -> Result<SharedLane, Error> {
        self.find_shared_lane(segment, false, self.settings.fallback())
    }

    /// The lane of a segment that all threads share, until the files are closed. Without a file
    /// it is in private memory.
    pub(crate) fn lasting_shared_lane(
        self: &Arc<Self>,
        segment: usize,
    ) -> Result<SharedLane, Error> {
        self.find_shared_lane(segment, true, Fallback::Always)
    }

    /// The lane of a segment that the threads of the sampled fields share, among `lanes`. Without a
    /// file it is in private memory.
    pub(crate) fn sampled_lane(
        self: &Arc<Self>,
        lanes: &SharedLanes,
        segment: usize,
    ) -> Result<SharedLane, Error> {
        let is_whole = |part| self.inventory.lock().is_whole(part);
        lanes.find(segment, true, is_whole, || self.claim(segment, Fallback::Always))
    }

    fn find_shared_lane(
        self: &Arc<Self>,
        segment: usize,
        stays: bool,
        fallback: Fallback,
    ) -> Result<SharedLane, Error> {
        let is_whole = |part| self.inventory.lock().is_whole(part);
        self.shared.find(segment, stays, is_whole, || self.claim(segment, fallback))
    }

    /// Index of the part, number of the lane, memory of the part.
    fn claim_in(
        &self,
        inventory: &mut Inventory,
        segment: usize,
        fallback: Fallback,
    ) -> Result<(usize, u32, Arc<Mapping>), Error> {
        if inventory.segments.get(segment).is_none() {
            return Err(Error::no_such_field(usize::MAX, inventory.segments.len()));
        }
        if inventory.closed {
            // Observers see no later updates.
            inventory.cover(Error::Closed, fallback)?;
            let index = self.open_part_as(inventory, segment, false)?;
            return inventory.claim_in(index).ok_or_else(full);
        }
        // The files of a forked child are private copies. Further files would count for its parent.
        let published = inventory.place.is_some() && !self.is_forked();
        if let Some(claimed) = inventory.claim(segment, published) {
            return Ok(claimed);
        }
        // Without room for a file, a lane in memory that observers do not see.
        let index = match self.open_file(inventory, segment, fallback) {
            Ok(index) => index,
            Err(error) => {
                inventory.cover(error, fallback)?;
                if let Some(claimed) = inventory.claim(segment, false) {
                    return Ok(claimed);
                }
                self.open_part_as(inventory, segment, false)?
            }
        };
        let claimed = inventory.claim_in(index).ok_or_else(full)?;
        self.publish_lost(inventory);
        Ok(claimed)
    }

    /// Paths of the files, in the order in which they were opened.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        if self.is_forked() || self.refuse_reentry().is_err() {
            return Vec::new();
        }
        let inventory = self.kept_up();
        let mut seen: Vec<_> = inventory
            .parts
            .iter()
            .filter_map(|part| Some((part.number, part.seen_file()?.path().to_path_buf())))
            .collect();
        seen.sort_by_key(|(number, _)| *number);
        seen.into_iter().map(|(_, path)| path).collect()
    }

    /// Reports an error that does not pass, unless there is one.
    pub(crate) fn report(&self, problem: Error) {
        self.inventory.lock().reported.get_or_insert(problem);
    }

    pub(crate) fn flush(&self, wait: bool) -> Result<(), Error> {
        let mut inventory = self.kept_up();
        self.copy(&mut inventory);
        let files: Vec<_> = inventory.parts.iter().filter_map(Part::seen_file).cloned().collect();
        // Without the lock: the disk may be slow.
        drop(inventory);
        files.iter().try_for_each(|file| file.flush(wait)).map_err(Error::from)
    }

    /// Closes the files, or leaves them as a crash would. They are ended when the lock is released.
    pub(crate) fn close(&self, crashed: bool) {
        self.shared.release();
        // Before the images are closed: then other processes may take them in.
        let since = if crashed { 0 } else { self.taken_in() };
        let keeps = crashed || self.settings.on_drop == OnDrop::Keep;
        let mut inventory = if keeps { self.kept_up() } else { self.inventory.lock() };
        if inventory.closed {
            return;
        }
        self.copy(&mut inventory);
        inventory.closed = true;
        inventory.attempts.wake();
        if !crashed {
            // A forked child has a private copy of the image and no right to the file.
            inventory.parts.iter_mut().flat_map(Part::writers).for_each(Writer::close);
        }
        let mut place = inventory.place.take();
        let is_member = !crashed && place.is_some() && !self.is_forked();
        let application = self.application.as_ref().filter(|_| is_member);
        let parts = &mut inventory.parts;
        let mut images = Vec::new();
        if application.is_some() {
            for part in parts.iter_mut() {
                part.look_for_truncation();
            }
            images.extend(parts.iter().filter_map(Part::region).cloned());
        }
        let whole = parts.iter().all(Part::is_whole);
        let files: Vec<_> = parts.iter_mut().flat_map(Part::take_files).collect();
        drop(inventory);

        // Without the lock: a file system may be slow, and other processes may take instances in at the
        // same time.
        let ended = application.map(|application| {
            // Remaining handles must not change a value after it was taken in.
            files.iter().for_each(|file| part::detach(file));
            // They keep the zeros of a file that was truncated just before.
            let whole = whole && !files.iter().any(|file| file.is_truncated());
            (application, ledger::of_own(self.instance, &images, whole))
        });
        let removes = !crashed && self.settings.on_drop == OnDrop::Remove;
        let opens = !self.is_forked() && (removes || ended.is_some());
        let directory = place.as_mut().filter(|_| opens).and_then(|place| place.open().ok());
        let counted = ended.is_none_or(|(application, ended)| {
            directory.is_some_and(|directory| {
                application.end(directory, &self.settings, self.instance, &ended, since).is_ok()
            })
        });
        let remove = removes && counted;
        for file in files {
            part::end(&file, remove);
        }
        if !self.is_forked() {
            let directory = directory.filter(|_| remove).map(|directory| &**directory);
            if let (Some(application), Some(directory)) = (application, directory) {
                application.leave(directory.path(), self.instance);
            }
            application::unregister(self.id, directory, self.instance);
        }
        watch::end(self);
    }
}

impl LaneOwner for Files {
    fn hand_back(&self, part: usize, lane: u32) {
        if self.shares_memory() {
            return; // The lane is the parent's.
        }
        if self.refuse_reentry().is_err() {
            return; // A call from within the library: the lane stays owned.
        }
        self.inventory.lock().hand_back(part, lane);
    }

    fn begin_use(&self, address: Address, part: usize, lane: u32) -> Result<bool, Error> {
        self.count_use(address, part, lane)
    }

    fn end_use(&self, address: Address, part: usize, lane: u32) {
        self.uncount_use(address, part, lane);
    }
}

fn full() -> Error {
    Error::Image("a new part has no lane".to_owned())
}
