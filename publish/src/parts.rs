//! The files of one publisher: one to begin with, further ones when lanes run out.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mmstats_core::layout::MAGIC;
use mmstats_core::{WriteError, Writer};
use mmstats_unix::directory::{self, Directory};
use mmstats_unix::{
    ErrorKind, Mapping, NewFile, OwnedFile, Removal, SweepOptions, fork, name, process,
};

use crate::error::Error;
use crate::fields::Gauge;
use crate::options::{OnDrop, Options};
use crate::schema::{Key, Schema};
use crate::system;

/// One file, or one private image.
struct Part {
    writer: Writer<Arc<Mapping>>,
    mapping: Arc<Mapping>,
    file: Option<OwnedFile>,
}

/// Where further files go.
struct Place {
    directory: Directory,
    name: String,
}

struct State {
    parts: Vec<Part>,
    closed: bool,
    problem: Option<Error>,
}

/// What all threads of a publisher share. Nothing here is on an update path.
pub(crate) struct Shared {
    id: u64,
    instance: [u8; 16],
    options: Options,
    schema: Schema,
    tid: Option<Key<Gauge<u64>>>,
    place: Option<Place>,
    /// How often this process was forked when it began to publish.
    generation: u64,
    state: Mutex<State>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Tells publishers of one process apart, for the thread-local route.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Shared {
    pub(crate) fn open(options: Options, mut schema: Schema) -> Result<Self, Error> {
        let facts = process::facts();
        let command = options.name.clone().or_else(|| facts.command.clone());
        let command = command.unwrap_or_else(|| "unknown".to_owned());
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(|e| Error::Image(e.to_string()))?;

        let (place, mut problem) = match Self::find_place(&options, &command, instance) {
            Ok(place) => (Some(place), None),
            Err(error) if options.private => (None, Some(error)),
            Err(error) => return Err(error),
        };
        let memory_backed =
            place.as_ref().and_then(|place| place.directory.is_memory_backed().ok().flatten());
        let tid = options
            .system_fields
            .then(|| system::declare(&mut schema, &facts, &command, memory_backed));
        // Before a file is made: what breaks a rule is no reason to go on in private memory.
        schema.check_names()?;

        let mut shared = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            instance,
            options,
            schema,
            tid,
            place,
            generation: fork::generation(),
            state: Mutex::new(State { parts: Vec::new(), closed: false, problem: None }),
        };
        let first = match shared.create_part(0, shared.options.lanes) {
            Err(error @ Error::System(_)) if shared.options.private => {
                problem.get_or_insert(error);
                shared.place = None;
                shared.create_part(0, shared.options.lanes)?
            }
            other => other?,
        };
        let mut state = shared.lock();
        state.parts.push(first);
        state.problem = problem;
        drop(state);
        Ok(shared)
    }

    fn find_place(options: &Options, command: &str, instance: [u8; 16]) -> Result<Place, Error> {
        let directory = match &options.directory {
            Some(path) => Directory::open_or_create(path)?,
            None => directory::publish_directory()?.directory,
        };
        let template = options.files.clone().unwrap_or_else(name::template);
        let values = name::Values {
            command,
            pid: std::process::id(),
            tid: process::thread_id().unwrap_or(0),
            id: instance,
        };
        let name = name::fill(&template, &values)?;
        if let Some(keep) = options.post_mortems {
            // Tidying up is a service to others: what fails is no reason not to publish.
            let sweep = SweepOptions { keep, ..SweepOptions::default() };
            let _ = mmstats_unix::sweep(&directory, &sweep, &|name| is_image(&directory, name));
        }
        Ok(Place { directory, name })
    }

    /// An image of the same fields in private memory, for a thread that got no lane.
    pub(crate) fn private_copy(&self, error: Error) -> Result<Self, Error> {
        self.lock().problem.get_or_insert(error);
        let mut copy = Self {
            id: self.id,
            instance: self.instance,
            options: self.options.clone(),
            schema: self.schema.clone(),
            tid: self.tid,
            place: None,
            generation: fork::generation(),
            state: Mutex::new(State { parts: Vec::new(), closed: false, problem: None }),
        };
        let part = copy.create_part(0, 1)?;
        copy.state.get_mut().unwrap_or_else(PoisonError::into_inner).parts.push(part);
        Ok(copy)
    }

    /// Makes a live image with all fields.
    fn create_part(&self, number: u32, lanes: u32) -> Result<Part, Error> {
        let mut geometry = self.schema.measure(lanes)?;
        let (fields, strings) = self.options.reserve;
        geometry.reserve(fields, strings, fields.saturating_mul(8));
        let size =
            geometry.file_size().ok_or(Error::TooLarge { fields: self.schema.len(), lanes })?;
        match &self.place {
            // A file of the child would be taken for one of the parent's.
            Some(place) if !self.is_forked() => {
                let name = name::part_name(&place.name, number)?;
                let new = mmstats_unix::create(&place.directory, &name, size, self.options.access)?;
                let mapping = Arc::clone(new.mapping());
                let writer = self.write(&mapping, &geometry, number)?;
                let file = publish(new)?;
                Ok(Part { writer, mapping, file: Some(file) })
            }
            _ => {
                let mapping = Arc::new(mmstats_unix::private(size)?);
                let writer = self.write(&mapping, &geometry, number)?;
                Ok(Part { writer, mapping, file: None })
            }
        }
    }

    /// Writes header and fields into new, zeroed memory.
    fn write(
        &self,
        mapping: &Arc<Mapping>,
        geometry: &mmstats_core::Geometry,
        number: u32,
    ) -> Result<Writer<Arc<Mapping>>, Error> {
        let image = |e: WriteError| Error::Image(e.to_string());
        let mut writer =
            Writer::create_zeroed(Arc::clone(mapping), geometry, self.instance, number)
                .map_err(image)?;
        self.schema.write(&mut writer).map_err(image)?;
        writer.go_live();
        Ok(writer)
    }

    /// A panic of another thread leaves nothing half-done that matters here: every step
    /// of the writer is complete or not visible.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process was forked off the one that publishes.
    fn is_forked(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Whether private memory is good enough.
    pub(crate) const fn is_private_enough(&self) -> bool {
        self.options.private
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn instance(&self) -> [u8; 16] {
        self.instance
    }

    pub(crate) const fn tid_key(&self) -> Option<Key<Gauge<u64>>> {
        self.tid
    }

    /// Claims a lane: number of the part, number of the lane, and the part's memory.
    pub(crate) fn claim(&self) -> Result<(usize, u32, Arc<Mapping>), Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        for (number, part) in state.parts.iter_mut().enumerate() {
            if let Ok(index) = part.writer.claim() {
                return Ok((number, index, Arc::clone(&part.mapping)));
            }
        }
        let number = state.parts.len();
        let lanes = self.options.lanes.max(1).saturating_mul(1 << number.min(16)).min(1 << 16);
        let mut part = self.create_part(u32::try_from(number).unwrap_or(u32::MAX), lanes)?;
        let index = part.writer.claim().map_err(|e| Error::Image(e.to_string()))?;
        let mapping = Arc::clone(&part.mapping);
        state.parts.push(part);
        Ok((number, index, mapping))
    }

    pub(crate) fn hand_back(&self, part: usize, lane: u32) {
        let mut state = self.lock();
        // Nothing in a closed image changes any more.
        if !state.closed
            && let Some(part) = state.parts.get_mut(part)
        {
            part.writer.hand_back(lane);
        }
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        if self.is_forked() {
            return Vec::new();
        }
        let state = self.lock();
        let files = state.parts.iter().filter_map(|part| part.file.as_ref());
        files.map(|file| file.path().to_path_buf()).collect()
    }

    pub(crate) fn problem(&self) -> Option<Error> {
        if self.is_forked() && self.place.is_some() {
            return Some(Error::Forked);
        }
        self.lock().problem.clone()
    }

    pub(crate) fn flush(&self, wait: bool) -> Result<(), Error> {
        let state = self.lock();
        let mut files = state.parts.iter().filter_map(|part| part.file.as_ref());
        files.try_for_each(|file| file.flush(wait)).map_err(Error::from)
    }

    fn close(&self) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        for part in &mut state.parts {
            // A forked child has a private copy of the image and no right to the file.
            part.writer.close();
            let Some(file) = part.file.take() else { continue };
            match self.options.on_drop {
                // Whoever removed or replaced it meanwhile did our work.
                OnDrop::Remove => drop(file.remove()),
                // Handles that are still around must not change a closed file. Without memory
                // for a copy they may; there is no better way out.
                OnDrop::Keep => drop(file.detach()),
            }
        }
    }
}

/// Whether a file begins as images do: another one is not ours to remove, whatever its
/// name.
fn is_image(directory: &Directory, name: &OsStr) -> bool {
    let mut start = [0; MAGIC.len()];
    let read = mmstats_unix::read_start(&directory.path().join(name), &mut start);
    read.is_ok_and(|read| read == start.len()) && start == MAGIC
}

/// Gives the file its name. One that a dead process of this user left under the same name
/// makes way; that happens only where the template says neither `{PID}` nor `{ID}`.
fn publish(new: NewFile) -> Result<OwnedFile, Error> {
    new.publish().or_else(|unpublished| {
        let taken = unpublished.error.kind() == ErrorKind::AlreadyExists;
        let path = unpublished.file.path().to_path_buf();
        if taken && let Removal::Removed = mmstats_unix::remove_if_dead(&path, false)? {
            return Ok(unpublished.file.publish().map_err(|again| again.error)?);
        }
        Err(unpublished.error.into())
    })
}

/// Closes the files when the last publisher goes, even if lanes are still around.
pub(crate) struct Closer {
    shared: Arc<Shared>,
}

impl Closer {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn close(&self) {
        self.shared.close();
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.close();
    }
}
