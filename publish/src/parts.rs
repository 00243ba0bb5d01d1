//! The files of one publisher: one to begin with, further ones when lanes or room for
//! fields run out.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::backend::directory::{self, Directory};
use crate::backend::{
    ErrorKind, Mapping, NewFile, OwnedFile, Removal, SweepOptions, fork, name, process,
};
use mmstats_core::layout::MAGIC;
use mmstats_core::{AttachError, Geometry, Level, Writer};

use crate::carry::{Carry, DECLARED};
use crate::error::Error;
use crate::fields::{Gauge, Info};
use crate::item::Owned;
use crate::options::{OnDrop, Options};
use crate::panics::Panics;
use crate::sampler::Sampler;
use crate::schema::{FieldOptions, Key, Schema};
use crate::segment::Segment;
use crate::state::{Part, Reach, State, image};
use crate::sync::{Guard, Mutex};
use crate::system;

/// Where further files go.
struct Place {
    directory: Directory,
    name: String,
}

/// What to do where no file can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Say so.
    Refuse,
    /// Go on in private memory if the operating system refused.
    System,
    /// Go on in private memory whatever the reason.
    Always,
}

impl Fallback {
    pub(crate) const fn takes(self, error: &Error) -> bool {
        match self {
            Self::Refuse => false,
            Self::System => matches!(error, Error::System(_)),
            Self::Always => true,
        }
    }
}

/// What all threads of a publisher share. Nothing here is on an update path.
pub(crate) struct Shared {
    id: u64,
    instance: [u8; 16],
    options: Options,
    tid: Option<Key<Gauge<u64>>>,
    place: Option<Place>,
    /// How often this process was forked when it began to publish.
    generation: u64,
    pub(crate) sampler: Arc<Sampler>,
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

        let find = || Self::find_place(&options, &command, instance);
        let (place, problem) = match (!options.hidden).then(find).transpose() {
            Ok(place) => (place, None),
            Err(error) if options.private => (None, Some(error)),
            Err(error) => return Err(error),
        };
        if place.is_some() {
            // A file that somebody truncates must not end the program. Where the system has
            // nothing of the kind, or refuses, it publishes all the same.
            let _ = crate::backend::guard::install();
        }
        let memory_backed =
            place.as_ref().and_then(|place| place.directory.is_memory_backed().ok().flatten());
        let carry = match &place {
            Some(place) if options.persistent => Carry::load(&place.directory, &place.name)?,
            _ => Carry::default(),
        };
        if options.persistent {
            let count = u32::try_from(schema.len()).unwrap_or(u32::MAX);
            let options = FieldOptions::new().level(Level::Debug).value(count);
            schema.add::<Info>(DECLARED, options.help("Number of fields declared at the start."));
        }
        let tid = options
            .system_fields
            .then(|| system::declare(&mut schema, &facts, &command, memory_backed));
        // Before a file is made: what breaks a rule is no reason to go on in private memory.
        let mut state = State::of(schema, &options)?;
        let mut shared = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            instance,
            options,
            tid,
            place,
            generation: fork::generation(),
            sampler: Arc::default(),
            state: Mutex::default(),
        };
        state.problem = problem;
        state.carry = carry;
        if let Err(error) = shared.open_part(&mut state, 0) {
            if !shared.fallback().takes(&error) {
                return Err(error);
            }
            // What cannot have its first file gets no other one.
            shared.place = None;
            state.problem.get_or_insert(error);
            shared.open_part(&mut state, 0)?;
        }
        shared.carry_on(&mut state)?;
        shared.state = Mutex::new(state);
        Ok(shared)
    }

    /// Gives the fields that an earlier run added a place, and ends the earlier files.
    fn carry_on(&self, state: &mut State) -> Result<(), Error> {
        let mut need = Geometry::new(1);
        let mut items = Vec::new();
        for item in state.carry.added() {
            // What the program declares at its start now has its value already.
            if state.check_names(&item).is_ok() && item.measure(&mut need).is_ok() {
                items.push(item);
            }
        }
        if !items.is_empty() {
            let number = state.segments.len();
            let segment = Segment::with(&state.prelude, need);
            state.segments.push(segment);
            for item in items {
                let key = item.fields().first().map(Owned::key);
                let mut room = Geometry::new(1);
                // Measured above, so it is no mistake.
                let _ = item.measure(&mut room);
                let address = state.push(item, &room);
                key.map(|key| state.carried.insert(key, address));
            }
            self.open_part(state, number)?;
        }
        let carry = std::mem::take(&mut state.carry);
        // Where publishing goes on in private memory, the old files are all there is.
        if self.place.is_some() {
            carry.finish();
        }
        Ok(())
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
            let _ = crate::backend::sweep(&directory, &sweep, &|name| is_image(&directory, name));
        }
        Ok(Place { directory, name })
    }

    /// Opens a part that threads share: a file, or where publishing is impossible memory.
    pub(crate) fn open_part(&self, state: &mut State, segment: usize) -> Result<(), Error> {
        let reach = if self.is_seen() { Reach::File } else { Reach::Memory };
        self.open_part_as(reach, state, segment).map(drop)
    }

    pub(crate) fn open_part_as(
        &self,
        reach: Reach,
        state: &mut State,
        segment: usize,
    ) -> Result<usize, Error> {
        let fields = &state.segments[segment];
        let lanes = match reach {
            Reach::OneLane => 1,
            _ => state.lanes_after(segment, self.options.lanes),
        };
        let (geometry, size) = fields.size(lanes)?;
        let part = match (&self.place, reach) {
            (Some(place), Reach::File) => {
                let name = name::part_name(&place.name, state.files)?;
                let new =
                    crate::backend::create(&place.directory, &name, size, self.options.access)?;
                let mapping = Arc::clone(new.mapping());
                let writer = self.write(&mapping, &geometry, fields, state, segment)?;
                let file = match state.carry.file(new.path()) {
                    Some(old) => new.publish_over(old).map_err(|unpublished| unpublished.error)?,
                    None => publish(new)?,
                };
                Part { writer, mapping, file: Some(file), reach }
            }
            _ => {
                let mapping = Arc::new(crate::backend::private(size)?);
                let writer = self.write(&mapping, &geometry, fields, state, segment)?;
                Part { writer, mapping, file: None, reach }
            }
        };
        Ok(state.push_part(segment, part))
    }

    /// Writes header and fields into new, zeroed memory.
    fn write(
        &self,
        mapping: &Arc<Mapping>,
        geometry: &Geometry,
        fields: &Segment,
        state: &State,
        segment: usize,
    ) -> Result<Writer<Arc<Mapping>>, Error> {
        let mut writer =
            Writer::create_zeroed(Arc::clone(mapping), geometry, self.instance, state.files)
                .map_err(|e| image(&e))?;
        fields.write(&mut writer).map_err(|e| image(&e))?;
        if !state.carry.is_empty() {
            if segment == 0 {
                state.carry.check(&writer)?;
            }
            state.carry.fill(&mut writer)?;
        }
        writer.go_live();
        Ok(writer)
    }

    /// A panic of another thread leaves nothing half-done that matters here: every step
    /// of the writer is complete or not visible.
    pub(crate) fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// Whether this process was forked off the one that publishes.
    pub(crate) fn is_forked(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Whether new parts are files. Those of a forked child would be taken for its parent's.
    fn is_seen(&self) -> bool {
        self.place.is_some() && !self.is_forked()
    }

    /// What the program said about private memory.
    pub(crate) const fn fallback(&self) -> Fallback {
        if self.options.private { Fallback::System } else { Fallback::Refuse }
    }

    pub(crate) const fn lanes(&self) -> u32 {
        self.options.lanes
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

    /// Claims a lane of a segment: number of the part, number of the lane, and the part's
    /// memory.
    pub(crate) fn claim(
        &self,
        segment: usize,
        fallback: Fallback,
    ) -> Result<(usize, u32, Arc<Mapping>), Error> {
        let mut state = self.lock();
        if state.segments.get(segment).is_none() {
            let count = u32::try_from(state.segments.len()).unwrap_or(u32::MAX);
            return Err(Error::Attach(AttachError::NoSuchField { index: u32::MAX, count }));
        }
        let error = if state.closed {
            Error::Closed
        } else {
            let seen = self.is_seen();
            // In a forked child files are private copies, as good as any memory.
            let shared = |reach| reach == Reach::File || (!seen && reach == Reach::Memory);
            if let Some(claimed) = state.claim(segment, shared) {
                return Ok(claimed);
            }
            match self.open_part(&mut state, segment) {
                Ok(()) => return state.claim(segment, shared).ok_or_else(full),
                Err(error) => error,
            }
        };
        if !fallback.takes(&error) {
            return Err(error);
        }
        state.problem.get_or_insert(error);
        if !state.closed
            && let Some(claimed) = state.claim(segment, |reach| reach == Reach::Memory)
        {
            return Ok(claimed);
        }
        let number = self.open_part_as(Reach::OneLane, &mut state, segment)?;
        state.claim_in(number).ok_or_else(full)
    }

    pub(crate) fn hand_back(&self, part: usize, lane: u32) {
        self.lock().hand_back(part, lane);
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        if self.is_forked() {
            return Vec::new();
        }
        let state = self.lock();
        let files = state.parts.iter().flatten().filter_map(|part| part.file.as_ref());
        files.map(|file| file.path().to_path_buf()).collect()
    }

    pub(crate) fn problem(&self) -> Option<Error> {
        if self.is_forked() && self.place.is_some() {
            return Some(Error::Forked);
        }
        self.lock().problem.clone()
    }

    /// Remembers why not all is as was asked for.
    pub(crate) fn report(&self, problem: Error) {
        self.lock().problem.get_or_insert(problem);
    }

    pub(crate) fn flush(&self, wait: bool) -> Result<(), Error> {
        let state = self.lock();
        let mut files = state.parts.iter().flatten().filter_map(|part| part.file.as_ref());
        files.try_for_each(|file| file.flush(wait)).map_err(Error::from)
    }

    /// How often sampled fields are asked for.
    pub(crate) const fn sample_every(&self) -> Duration {
        self.options.sample_every
    }

    /// Closes the files, or leaves them as a crash would.
    fn close(&self, crashed: bool) {
        self.sampler.close();
        let mut state = self.lock();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        for part in state.parts.iter_mut().flatten() {
            // A forked child has a private copy of the image and no right to the file.
            if !crashed {
                part.writer.close();
            }
            let Some(file) = part.file.take() else { continue };
            match self.options.on_drop {
                OnDrop::Remove if crashed => drop(file.detach()),
                // Whoever removed or replaced it meanwhile did our work.
                OnDrop::Remove => drop(file.remove()),
                // Handles that are still around must not change a closed file. Without memory
                // for a copy they may; there is no better way out.
                OnDrop::Keep => drop(file.detach()),
            }
        }
    }
}

fn full() -> Error {
    Error::Image("a new part has no lane".to_owned())
}

/// Whether a file begins as images do: another one is not ours to remove, whatever its
/// name.
fn is_image(directory: &Directory, name: &OsStr) -> bool {
    let mut start = [0; MAGIC.len()];
    let read = crate::backend::read_start(&directory.path().join(name), &mut start);
    read.is_ok_and(|read| read == start.len()) && start == MAGIC
}

/// Gives the file its name. One that a dead process of this user left under the same name
/// makes way; that happens only where the template says neither `{PID}` nor `{ID}`.
fn publish(new: NewFile) -> Result<OwnedFile, Error> {
    new.publish().or_else(|unpublished| {
        let taken = unpublished.error.kind() == ErrorKind::AlreadyExists;
        let path = unpublished.file.path().to_path_buf();
        if taken && let Removal::Removed = crate::backend::remove_if_dead(&path, false)? {
            return Ok(unpublished.file.publish().map_err(|again| again.error)?);
        }
        Err(unpublished.error.into())
    })
}

/// Closes the files when the last publisher goes, even if lanes are still around.
pub(crate) struct Closer {
    shared: Arc<Shared>,
    panics: Panics,
}

impl Closer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, panics: Panics::default() }
    }

    pub(crate) fn record_panics(&self) -> Result<(), Error> {
        self.panics.record(&self.shared)
    }

    pub(crate) fn close(&self) {
        self.shared.close(false);
    }

    /// Closes, unless a panic unwinds the thread: the last values of a program that dies of a
    /// panic are what somebody will want to see.
    pub(crate) fn end(&self) {
        self.shared.close(std::thread::panicking());
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.end();
    }
}
