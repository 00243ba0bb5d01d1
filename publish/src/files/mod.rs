//! The files of one publisher: one at first, further ones when lanes or room for fields run out.

mod add;
pub(crate) mod application;
mod earlier_run;
pub(crate) mod family;
mod inventory;
mod ledger;
mod names;
mod place;
pub(crate) mod scratch;
mod segment;
pub(crate) mod settings;
pub(crate) mod shared;
mod standard;
mod totals;
mod values;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats_core::{Geometry, Level, Writer};

use self::application::Application;
use self::earlier_run::EarlierRun;
use self::inventory::{Inventory, Part, Reach};
use self::place::{EndedInstances, Place, publish};
use self::scratch::Scratch;
use self::segment::Segment;
use self::settings::{Fallback, OnDrop, Settings};
use self::shared::{SharedLane, SharedLanes};
use crate::backend::{Mapping, OwnedFile, fork, name, process};
use crate::claim::{ClaimedLane, LaneOwner};
use crate::error::Error;
use crate::handles::{Gauge, Info};
use crate::schema::Schema;
use crate::schema::declaration::{DECLARED, Declaration};
use crate::schema::key::Key;
use crate::schema::options::FieldOptions;
use crate::sync::Mutex;

/// The files of one publisher, which all its threads share. Nothing here is on an update path.
pub(crate) struct Files {
    /// A number that no other publisher of this process has.
    pub(crate) id: u64,
    /// The random identity in the header of all files.
    pub(crate) instance: [u8; 16],
    pub(crate) settings: Settings,
    /// The field with the thread id of a lane's owner.
    pub(crate) tid: Option<Key<Gauge<u64>>>,
    /// `None` for a publisher in private memory.
    place: Option<Place>,
    /// Number of forks of this process before it began to publish.
    generation: u64,
    /// The application that keeps the sums of this publisher.
    application: Option<Application>,
    /// A panic of another thread leaves nothing half-done: every step of a writer is complete or
    /// not visible.
    inventory: Mutex<Inventory>,
    shared: SharedLanes,
    /// For calls that come from within the library.
    pub(crate) scratch: Arc<Scratch>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The next [`Files::id`].
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Files {
    pub(crate) fn open(settings: Settings, mut schema: Schema) -> Result<Self, Error> {
        let facts = process::facts();
        let command = settings.name.clone().or_else(|| facts.command.clone());
        let command = command.unwrap_or_else(|| "unknown".to_owned());
        let instance = process::random();

        let generation = fork::generation();
        let application = Application::find(&settings, generation)?;
        let open = || Place::open(&settings, &command, instance);
        let (found, problem) = match (!settings.hidden).then(open).transpose() {
            Ok(found) => (found, None),
            Err(error) if settings.private => (None, Some(error)),
            Err(error) => return Err(error),
        };
        let (place, ended) =
            found.map_or((None, Vec::new()), |(place, ended)| (Some(place), ended));
        if place.is_some() {
            // A truncated file must not end the program. Where the system offers no guard the
            // program publishes without one.
            let _ = crate::backend::fault_handler::install();
        }
        let memory_backed =
            place.as_ref().and_then(|place| place.directory.is_memory_backed().ok().flatten());
        let earlier = match &place {
            Some(place) if settings.persistent => EarlierRun::load(&place.directory, &place.name)?,
            _ => EarlierRun::default(),
        };
        if settings.persistent {
            let count = u32::try_from(schema.len()).unwrap_or(u32::MAX);
            let options = FieldOptions::new().level(Level::Debug).value(count);
            schema.add::<Info>(DECLARED, options.help("Number of fields declared at the start."));
        }
        if let Some(application) = &application {
            standard::declare_application(&mut schema, &application.name);
        }
        let tid = settings
            .system_fields
            .then(|| standard::declare(&mut schema, &facts, &command, memory_backed));
        // Before a file is made: a declaration that breaks a rule is refused, not kept private.
        let mut inventory = Inventory::new(schema, &settings)?;
        let scratch = Scratch::new(&inventory.segments[0], &inventory.families, instance)?;
        let mut files = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            instance,
            settings,
            tid,
            place,
            generation,
            application,
            inventory: Mutex::default(),
            shared: SharedLanes::default(),
            scratch: Arc::new(scratch),
        };
        inventory.problem = problem;
        inventory.earlier = earlier;
        if let Err(error) = files.open_part(&mut inventory, 0) {
            inventory.cover(error, files.settings.fallback())?;
            // Without a first file there are no further ones.
            files.place = None;
            files.open_part(&mut inventory, 0)?;
        }
        files.finish_earlier_run(&mut inventory)?;
        files.join_application(&inventory, ended);
        files.inventory = Mutex::new(inventory);
        Ok(files)
    }

    /// Registers the first file for forked children, and takes the instances of applications that
    /// have ended into their ledgers.
    fn join_application(&self, inventory: &Inventory, ended: EndedInstances) {
        let first = inventory.parts.iter().flatten().find_map(|part| part.file.as_ref());
        if let Some(file) = first {
            let application = self.application.as_ref();
            application::register(
                self.id,
                self.generation,
                application,
                self.instance,
                file.path(),
            );
        }
        if let Some(place) = &self.place {
            let own = self.application.as_ref().map(|application| &*application.name);
            application::take_in(&place.directory, self.settings.access, own, &ended);
        }
    }

    /// Takes the values of the closed files into the ledger of the application. Whether the files
    /// may be removed.
    fn leave_application(&self, inventory: &Inventory) -> bool {
        let (Some(application), Some(place)) = (&self.application, &self.place) else {
            return true;
        };
        if self.is_forked() {
            return true;
        }
        let parts = || inventory.parts.iter().flatten().filter(|part| part.file.is_some());
        for part in parts() {
            // Remaining handles must not change a value after it was taken in.
            drop(part.file.as_ref().map(OwnedFile::detach));
        }
        let images = parts().map(|part| part.writer.region());
        let ended = ledger::of_own(self.instance, images, true);
        application.end(place, &self.settings, self.instance, &ended).is_ok()
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
            self.open_part(inventory, number)?;
        }
        let earlier = std::mem::take(&mut inventory.earlier);
        // In private memory the values would be lost with the earlier files.
        if self.place.is_some() {
            earlier.finish();
        }
        Ok(())
    }

    /// Opens a part for all threads: a file, or memory where publishing is impossible.
    fn open_part(&self, inventory: &mut Inventory, segment: usize) -> Result<(), Error> {
        let reach = if self.is_seen() { Reach::File } else { Reach::Memory };
        self.open_part_as(reach, inventory, segment).map(drop)
    }

    /// Opens a part with all fields of a segment; returns its number.
    fn open_part_as(
        &self,
        reach: Reach,
        inventory: &mut Inventory,
        segment: usize,
    ) -> Result<usize, Error> {
        let fields = &inventory.segments[segment];
        let lanes = match reach {
            Reach::OneLane => 1,
            _ => inventory.lanes_after(segment, self.settings.lanes),
        };
        let (geometry, size) = fields.size(lanes)?;
        let (mapping, new) = match (&self.place, reach) {
            (Some(place), Reach::File) => {
                let name = name::part_name(&place.name, inventory.files)?;
                let access = self.settings.access;
                let new = crate::backend::create(&place.directory, &name, size, access)?;
                (Arc::clone(new.mapping()), Some(new))
            }
            _ => (Arc::new(crate::backend::private(size)?), None),
        };
        let memory = Arc::clone(&mapping);
        let mut writer = Writer::create_zeroed(memory, &geometry, self.instance, inventory.files)
            .map_err(Error::image)?;
        fields.write(&mut writer).map_err(Error::image)?;
        if segment == 0 {
            inventory.earlier.check(&writer)?;
        }
        inventory.earlier.fill(&mut writer)?;
        writer.go_live();
        let named = new.map(|new| match inventory.earlier.file(new.path()) {
            Some(old) => Ok(new.publish_over(old).map_err(|unpublished| unpublished.error)?),
            None => publish(new),
        });
        let part = Part { writer, mapping, file: named.transpose()?, reach };
        Ok(inventory.push_part(segment, part))
    }

    /// An error if this thread holds a lock of the files, and would wait for itself.
    pub(crate) fn refuse_reentry(&self) -> Result<(), Error> {
        let is_mine = self.inventory.is_mine() || self.shared.is_mine();
        if is_mine { Err(Error::Reentrant) } else { Ok(()) }
    }

    /// Whether this process was forked off the one that publishes.
    pub(crate) fn is_forked(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Whether the files were closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.refuse_reentry().is_ok() && self.inventory.lock().closed
    }

    /// Whether new parts are files. In a forked child they are not: observers would take its
    /// files for its parent's.
    fn is_seen(&self) -> bool {
        self.place.is_some() && !self.is_forked()
    }

    /// Claims a lane of a segment.
    pub(crate) fn claim(
        self: &Arc<Self>,
        segment: usize,
        fallback: Fallback,
    ) -> Result<ClaimedLane, Error> {
        self.refuse_reentry()?;
        let (part, lane, mapping) = self.claim_in_segment(segment, fallback)?;
        Ok(ClaimedLane::new(Arc::<Self>::clone(self), part, lane, mapping))
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

    fn find_shared_lane(
        self: &Arc<Self>,
        segment: usize,
        stays: bool,
        fallback: Fallback,
    ) -> Result<SharedLane, Error> {
        let is_whole = |part| self.inventory.lock().is_whole(part);
        self.shared.find(segment, stays, is_whole, || self.claim(segment, fallback))
    }

    /// Number of the part, number of the lane, memory of the part.
    fn claim_in_segment(
        &self,
        segment: usize,
        fallback: Fallback,
    ) -> Result<(usize, u32, Arc<Mapping>), Error> {
        let mut inventory = self.inventory.lock();
        if inventory.segments.get(segment).is_none() {
            return Err(Error::no_such_field(usize::MAX, inventory.segments.len()));
        }
        let error = if inventory.closed {
            Error::Closed
        } else {
            let seen = self.is_seen();
            // A forked child has private copies of the files, as good as other memory.
            let shared = |reach| reach == Reach::File || (!seen && reach == Reach::Memory);
            if let Some(claimed) = inventory.claim(segment, shared) {
                return Ok(claimed);
            }
            match self.open_part(&mut inventory, segment) {
                Ok(()) => return inventory.claim(segment, shared).ok_or_else(full),
                Err(error) => error,
            }
        };
        inventory.cover(error, fallback)?;
        if !inventory.closed
            && let Some(claimed) = inventory.claim(segment, |reach| reach == Reach::Memory)
        {
            return Ok(claimed);
        }
        let number = self.open_part_as(Reach::OneLane, &mut inventory, segment)?;
        inventory.claim_in(number).ok_or_else(full)
    }

    /// Paths of the files, in the order in which they were opened.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        if self.is_forked() || self.refuse_reentry().is_err() {
            return Vec::new();
        }
        let inventory = self.inventory.lock();
        let files = inventory.parts.iter().flatten().filter_map(|part| part.file.as_ref());
        files.map(|file| file.path().to_path_buf()).collect()
    }

    /// The first error that private memory covered up.
    pub(crate) fn problem(&self) -> Option<Error> {
        if self.is_forked() && self.place.is_some() {
            return Some(Error::Forked);
        }
        if let Err(error) = self.refuse_reentry() {
            return Some(error);
        }
        self.inventory.lock().problem.clone()
    }

    /// Sets [`Files::problem`], if there is none.
    pub(crate) fn report(&self, problem: Error) {
        self.inventory.lock().problem.get_or_insert(problem);
    }

    pub(crate) fn flush(&self, wait: bool) -> Result<(), Error> {
        let inventory = self.inventory.lock();
        let mut files = inventory.parts.iter().flatten().filter_map(|part| part.file.as_ref());
        files.try_for_each(|file| file.flush(wait)).map_err(Error::from)
    }

    /// Closes the files, or leaves them as a crash would.
    pub(crate) fn close(&self, crashed: bool) {
        self.shared.release();
        let mut inventory = self.inventory.lock();
        if std::mem::replace(&mut inventory.closed, true) {
            return;
        }
        if !crashed {
            // A forked child has a private copy of the image and no right to the file.
            inventory.parts.iter_mut().flatten().for_each(|part| part.writer.close());
        }
        let counted = !crashed && self.leave_application(&inventory);
        let remove = counted && self.settings.on_drop == OnDrop::Remove;
        for part in inventory.parts.iter_mut().flatten() {
            let Some(file) = part.file.take() else { continue };
            if remove {
                // An error means that the file was removed or replaced already.
                drop(file.remove());
            } else {
                // Remaining handles must not change a closed file. They can where there is no
                // memory for a copy; there is no better way out.
                drop(file.detach());
            }
        }
        if let Some(place) = self.place.as_ref().filter(|_| remove && !self.is_forked()) {
            application::unregister(self.id, &place.directory, self.instance);
        }
    }
}

impl LaneOwner for Files {
    fn hand_back(&self, part: usize, lane: u32) {
        self.inventory.lock().hand_back(part, lane);
    }
}

fn full() -> Error {
    Error::Image("a new part has no lane".to_owned())
}
