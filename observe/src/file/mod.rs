//! One observed file.

mod values;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use crate::backend::{FileId, FileInfo};
use crate::field::FieldRef;
use crate::format::{self, Allowance, Content, Reach, Refreshed, Refused, Values as _};
use crate::identity::{FileState, Identity, Instance, LaneInfo, Lanes, ProgramId};
use crate::ledger::Ledger;
use crate::namespace::Namespace;
use crate::problem::{Damage, Problem};
use crate::value::{Event, WindowRate};

/// A file: its identity, its fields and their values.
///
/// Made by an [`Observer`](crate::Observer). Descriptions are those of the last refresh.
/// Values are read when they are asked for; those of format 1 at the last refresh.
#[derive(Debug)]
pub struct File {
    info: FileInfo,
    named: bool,
    state: FileState,
    problem: Option<Problem>,
    identity: Identity,
    /// Number of the field with the times of copies.
    mirrored: Option<u32>,
    content: Content,
    /// Parts of its program that are in other files or in none, as of the last refresh.
    reach: Reach,
    ledger: Option<Ledger>,
    /// Whether a ledger has the sums.
    superseded: bool,
    /// The process as this one sees it.
    process: Option<u32>,
    namespace: Option<Arc<Namespace>>,
    /// Unique for each opening of a file.
    key: u64,
    /// Whether it is not shown for want of memory.
    for_room: bool,
    /// Set when a truncation or the loss of the file is noticed.
    truncated: OnceLock<Problem>,
    /// Whether the file was closed; it stays mapped.
    closed: bool,
    /// Bytes of the image before the values that change.
    start: Vec<u8>,
}

/// The result of a refresh.
#[derive(Debug)]
pub(crate) enum FileRefresh {
    /// The same file.
    Same {
        /// Fields were added or retired.
        grown: bool,
        /// The state changed.
        changed: bool,
    },
    /// The name is gone, or refers to another file or image.
    Gone,
}

impl File {
    /// Opens and judges a file. Any regular file becomes a `File`, however damaged.
    ///
    /// The caller sets [`Problem::named`] of an error.
    pub(crate) fn open(
        path: &Path,
        named: bool,
        key: u64,
        allowance: &mut Allowance,
    ) -> Result<Self, Problem> {
        let (info, content) = format::open(path, allowance)?;
        let mut file = Self {
            info,
            named,
            state: FileState::Unknown,
            problem: None,
            identity: Identity::default(),
            mirrored: None,
            content: Content::UNREADABLE,
            reach: Reach::default(),
            ledger: None,
            superseded: false,
            process: None,
            namespace: None,
            key,
            for_room: false,
            truncated: OnceLock::new(),
            closed: false,
            start: Vec::new(),
        };
        match content {
            Ok(content) => {
                file.content = content;
                file.identify();
                file.judge();
                file.ledger = Ledger::new(&file.info, file.state, &file.identity.ledger);
                if let Some(ledger) = &file.ledger {
                    file.identity.application = Some(ledger.application.clone());
                }
            }
            Err(refused) => file.refuse(refused),
        }
        Ok(file)
    }

    /// Looks for changes of the file. An error means that the file is gone, for another reason
    /// than a removed name.
    pub(crate) fn refresh(&mut self, allowance: &mut Allowance) -> Result<FileRefresh, Problem> {
        let before = self.state;
        self.info = match format::info(self.path()) {
            Ok(info) if info.id == self.info.id => info,
            // Another file with this name is opened anew.
            Ok(_) | Err(_) => return Ok(FileRefresh::Gone),
        };
        if self.content.is_parked() {
            let grown = self.open_again(allowance)?;
            return Ok(FileRefresh::Same { grown, changed: self.state != before });
        }
        let grown = match self.content.refresh(&self.info.path, self.info.size, allowance) {
            Ok(Refreshed::Same { grown }) => {
                if grown {
                    self.identify();
                }
                self.judge();
                grown
            }
            Ok(Refreshed::Replaced) => return Ok(FileRefresh::Gone),
            Err(refused) => {
                self.refuse(refused);
                false
            }
            Ok(Refreshed::Unreadable) => self.open_again(allowance)?,
        };
        Ok(FileRefresh::Same { grown, changed: self.state != before })
    }

    /// Opens the file anew in its place; whether the fields differ.
    fn open_again(&mut self, allowance: &mut Allowance) -> Result<bool, Problem> {
        let mut again = Self::open(self.path(), self.named, self.key, allowance)?;
        let grown = again.content.follow(&self.content) && again.content.number().is_some();
        *self = again;
        Ok(grown)
    }

    /// Gives back the mapping, of which the system has a limited number. Descriptions stay; values
    /// are read from another opening of the file.
    pub(crate) fn park(&mut self) {
        self.content.park();
    }

    /// Whether the file is mapped: then its last values can be read after its name is gone.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.content.has_mapping()
    }

    /// Whether it is not shown for want of memory.
    pub(crate) const fn is_for_room(&self) -> bool {
        self.for_room
    }

    /// Reads from the content; that of another opening if the mapping was given back, and
    /// `nothing` if the file is not the same any more.
    fn with_content<R>(&self, nothing: R, read: impl FnOnce(&Content) -> R) -> R {
        if !self.content.is_parked() {
            return read(&self.content);
        }
        let content = match self.content.open_again(self.path(), self.info.id) {
            Ok(content) => content,
            Err(problem) => {
                self.truncated.get_or_init(|| Problem { named: self.named, ..problem });
                return nothing;
            }
        };
        let result = read(&content);
        if !content.is_whole() {
            self.truncation();
        }
        result
    }

    /// The bytes of the image before the values that change; of format 1, and of an unreadable
    /// file, none.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// Takes over what the descriptions say, which are many: once until they change.
    fn identify(&mut self) {
        self.identity = self.content.identity();
        let field = self.find("sys.mirrored");
        self.mirrored = field.and_then(|field| u32::try_from(field.index()).ok());
    }

    fn judge(&mut self) {
        let judged = if self.is_lost() {
            Err(Refused::damaged(Problem::truncated(self.path(), None)))
        } else {
            self.content.judge(&self.info.path, &self.identity)
        };
        match judged {
            Ok(Some(state)) => (self.state, self.problem) = (state, None),
            Ok(None) => {}
            Err(refused) => return self.refuse(refused),
        }
        self.reach = self.content.reach();
        if self.start.is_empty() {
            self.start = self.content.start();
        }
    }

    /// Judges a file whose name is gone, by its mapping and its open lock; the state stays if neither tells.
    pub(crate) fn judge_vanished(&mut self) {
        if self.is_lost() || self.content.is_parked() {
            return;
        }
        if let Ok(Some(state)) = self.content.judge(&self.info.path, &self.identity)
            && state != FileState::Unknown
        {
            self.state = state;
        }
    }

    fn refuse(&mut self, refused: Refused) {
        self.state = refused.state;
        self.problem = Some(Problem { named: self.named, ..refused.problem });
        self.truncated = OnceLock::new();
        self.content = Content::UNREADABLE;
        self.identity = Identity::default();
        self.mirrored = None;
        self.reach = Reach::default();
        self.for_room = refused.for_room;
        self.start = Vec::new();
    }

    /// The path, as the user named it or as found in a directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.info.path
    }

    /// Whether the user named the file itself, not only a directory around it.
    #[must_use]
    pub const fn named(&self) -> bool {
        self.named
    }

    pub(crate) fn set_named(&mut self) {
        self.named = true;
        if let Some(problem) = &mut self.problem {
            problem.named = true;
        }
    }

    /// Number of the format, 3 or 1; `None` if it is neither, or cannot be read.
    #[must_use]
    pub fn format(&self) -> Option<u8> {
        self.content.number()
    }

    /// Whether its writer lives, as judged at the last refresh; *damaged* as soon as a
    /// truncation is noticed.
    #[must_use]
    pub fn state(&self) -> FileState {
        match self.state {
            _ if self.is_lost() => FileState::Damaged,
            FileState::Closed if self.ledger.is_some() => FileState::Ledger,
            state => state,
        }
    }

    /// The ledger that the file is, if it is one.
    #[must_use]
    pub const fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// Whether the ledger of the application, which is shown too, has the sums of the program. Its
    /// counters, timers, histograms and averages then take no part in totals.
    #[must_use]
    pub const fn is_superseded(&self) -> bool {
        self.superseded
    }

    /// Id of the process that publishes the file, as this process sees it; `None` if it is not known.
    /// `sys.pid` of a program in a container is another number.
    #[must_use]
    pub const fn process(&self) -> Option<u32> {
        self.process
    }

    /// The namespaces of its process, or of the directory that it lies in; `None` if they are those of this
    /// process, or not known.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_deref()
    }

    pub(crate) fn set_namespace(&mut self, namespace: Option<Arc<Namespace>>) {
        self.namespace = namespace;
    }

    pub(crate) const fn set_process(&mut self, process: Option<u32>) {
        self.process = process;
    }

    pub(crate) const fn set_superseded(&mut self, superseded: bool) {
        self.superseded = superseded;
    }

    /// Why the file cannot be read; `None` if it can be.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        if self.is_lost() { Some(self.truncation()) } else { self.problem.as_ref() }
    }

    /// Whether bytes are known to be missing. No system call.
    pub(crate) fn is_lost(&self) -> bool {
        self.content.is_lost() || self.truncated.get().is_some()
    }

    /// Whether the file has all its bytes now. If not, it becomes *damaged*. One system call.
    ///
    /// [`values`](Self::values) and the other methods that return values call this after
    /// reading; after a [`scan`](Self::scan) or a visit the caller does. Always true for
    /// format 1, which is not read in place.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        // A parked file was checked when it was read.
        let whole = self.content.is_whole();
        if !whole {
            self.truncation();
        }
        whole && !self.is_lost()
    }

    fn truncation(&self) -> &Problem {
        let problem = || Problem { named: self.named, ..Problem::truncated(self.path(), None) };
        self.truncated.get_or_init(problem)
    }

    /// Identity of the publisher; `None` for format 1.
    #[must_use]
    pub fn instance(&self) -> Option<Instance> {
        self.content.instance()
    }

    /// Number of this file within its instance, from 0.
    #[must_use]
    pub fn part(&self) -> u32 {
        self.content.part()
    }

    /// Identity of the program; `None` for format 1.
    #[must_use]
    pub fn program(&self) -> Option<ProgramId> {
        let (owner, device) = (self.info.owner, self.info.id.device);
        self.instance().map(|instance| ProgramId { instance, owner, device })
    }

    /// Program and part: only copies of a file have the same. `None` for format 1.
    pub(crate) fn program_part(&self) -> Option<(ProgramId, u32)> {
        self.program().map(|program| (program, self.part()))
    }

    /// Parts of its program that are in other files or in none, as of the last refresh.
    pub(crate) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Values of the standard fields.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// When the file was last modified; stores through a mapping need not count.
    #[must_use]
    pub const fn modified(&self) -> SystemTime {
        self.info.modified
    }

    /// User id of the owner; `None` on systems without user ids.
    #[must_use]
    pub const fn owner(&self) -> Option<u32> {
        self.info.owner
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.info.size
    }

    /// Device and number of the file: unique among files that exist at the same time.
    #[must_use]
    pub const fn id(&self) -> FileId {
        self.info.id
    }

    /// Number of lanes now. Format 1 has one lane.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        self.content.lanes()
    }

    /// A lane as it is now; `None` if it was never claimed, is damaged or past the end.
    #[must_use]
    pub fn lane(&self, lane: u32) -> Option<LaneInfo> {
        self.with_content(None, |content| content.lane(lane))
    }

    /// Number of fields of the program that fit in no file.
    #[must_use]
    pub fn fields_refused(&self) -> u32 {
        self.content.reach().fields_refused
    }

    /// Number of lanes of the program whose values are in no file at present.
    #[must_use]
    pub fn lanes_refused(&self) -> u32 {
        self.content.reach().lanes_refused
    }

    /// Number of samples that were not recorded: not finite, negative where the field has none, or
    /// too large to be added.
    #[must_use]
    pub fn samples_refused(&self) -> u64 {
        self.with_content(0, |content| content.samples_refused())
    }

    /// Number of fields, with damaged and retired ones.
    #[must_use]
    pub fn field_count(&self) -> usize {
        self.content.field_count()
    }

    /// The fields, with damaged and retired ones.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = FieldRef<'_>> + '_ {
        (0..self.field_count()).map(|index| {
            // The fallback is unused: every index below the count has a field.
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let damage = Damage { code: "field-count", offset: 0 };
            self.field(index).unwrap_or_else(|| FieldRef::damaged(number, damage))
        })
    }

    /// Field `index`; `None` past the end.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        self.content.field(index)
    }

    /// The first field with this label that is not retired.
    #[must_use]
    pub fn find(&self, label: &str) -> Option<FieldRef<'_>> {
        self.fields().find(|field| !field.is_retired() && field.label() == label)
    }

    /// The readable lines of events field `index` in one lane with numbers after `seen`, oldest
    /// first; 0 gives all lines. Numbers that are missing were overwritten.
    ///
    /// `None` if it is no events field, damaged, retired, or not in this lane; or if bytes of
    /// the file are missing.
    #[must_use]
    pub fn events(&self, index: usize, lane: u32, seen: u32) -> Option<Vec<Event>> {
        let index = u32::try_from(index).ok()?;
        let events = self.with_content(None, |content| content.events(index, lane, seen))?;
        self.is_whole().then_some(events)
    }

    /// The rates of rate field `index` in one lane or, for `None`, added over all lanes: up
    /// to now while the program lives, else up to the last checkpoint.
    ///
    /// `None` if it is no rate field, damaged or retired, or bytes of the file are missing.
    #[must_use]
    pub fn rates(&self, index: usize, lane: Option<u32>) -> Option<Vec<WindowRate>> {
        let index = u32::try_from(index).ok()?;
        let rates = self.with_content(None, |content| {
            let all = 0..content.lanes_used();
            content.rates(index, lane.map_or(all, |lane| lane..lane.saturating_add(1)))
        })?;
        self.is_whole().then_some(rates)
    }

    /// Approximate memory of the descriptions, in bytes.
    pub(crate) fn metadata_size(&self) -> u64 {
        self.content.metadata_size()
    }

    /// Closes the file; keeps the mapping.
    pub(crate) fn close_handle(&mut self) {
        self.content.close_handle();
        self.closed = true;
    }

    /// Whether the file is kept open, besides being mapped.
    pub(crate) fn has_handle(&self) -> bool {
        !self.closed && self.content.has_mapping()
    }

    /// Changes whenever the fields do; different for every opening of a file.
    pub(crate) fn version(&self) -> (u64, u32) {
        let generation = self.content.generation().wrapping_mul(2);
        (self.key, generation.wrapping_add(u32::from(self.superseded)))
    }
}

#[cfg(test)]
mod tests {
    use mmstats_core::{FieldSpec, Geometry, Writer};

    use super::*;
    use crate::backend::directory::Directory;
    use crate::backend::{Access, create};

    #[test]
    fn refresh_without_memory_for_new_fields_refuses_file() {
        let place = tempfile::tempdir().unwrap();
        let mut geometry = Geometry::new(1);
        geometry.reserve(100, 20_000, 6_400);
        let directory = Directory::open(place.path()).unwrap();
        let size = geometry.file_size().unwrap();
        let file = create(&directory, "a.mmst", size, Access::Owner).unwrap();
        let memory = Arc::clone(file.mapping());
        let mut writer = Writer::create_zeroed(memory, &geometry, [1; 16], 0).unwrap();
        writer.add(&FieldSpec::counter("first")).unwrap();
        writer.go_live();
        let published = file.publish().map_err(|refused| refused.error).unwrap();

        let mut allowance = Allowance::default();
        allowance.set_left(1 << 20);
        let mut seen = File::open(published.path(), false, 1, &mut allowance).unwrap();
        allowance.set_left(seen.metadata_size());
        assert!(matches!(
            seen.refresh(&mut allowance),
            Ok(FileRefresh::Same { grown: false, changed: false })
        ));
        writer.add(&FieldSpec::counter("second")).unwrap();
        assert!(matches!(seen.refresh(&mut allowance), Ok(FileRefresh::Same { .. })));
        assert!(seen.is_for_room() && seen.field_count() == 0);
        assert_eq!(seen.problem().unwrap().code, "too-large");
        allowance.set_left(1 << 20);
        let again = File::open(published.path(), false, 2, &mut allowance).unwrap();
        assert_eq!(again.field_count(), 2);
    }
}
