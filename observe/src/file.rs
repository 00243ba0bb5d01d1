//! One observed file.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::backend::FileId;

use crate::field::FieldRef;
use crate::look::{Content, Facts, look};
use crate::one::One;
use crate::problem::Problem;
use crate::state::{Identity, Instance, LaneInfo, Lanes, State};
use crate::three::{Room, Three};

/// A file: what it is, its fields and their values.
///
/// Made by an [`Observer`](crate::Observer). Descriptions are those of the last refresh;
/// values are read when they are asked for (those of format 1: at the last refresh).
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    facts: Facts,
    named: bool,
    state: State,
    problem: Option<Problem>,
    identity: Identity,
    content: Content,
    /// Tells this opening of a file from every other one.
    key: u64,
    /// Filled in when somebody asks after the file was truncated.
    truncated: OnceLock<Problem>,
    handle: Handle,
}

/// Whether the file is kept open, besides being mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handle {
    /// Open, and not counted yet.
    New,
    Open,
    Closed,
}

/// What a look at a known file brought.
#[derive(Debug)]
pub(crate) enum Refreshed {
    /// It is still the same.
    Same {
        /// Fields were added or retired.
        grown: bool,
        /// The state is another one.
        changed: bool,
    },
    /// Its name is gone, or is another file's by now, or another image lies in it.
    Gone,
}

impl File {
    /// Opens and judges a file.
    ///
    /// What is a regular file becomes a `File`, however damaged it is. Whether the path of a
    /// problem was named is left to the caller to say.
    pub(crate) fn open(
        path: &Path,
        named: bool,
        key: u64,
        room: &mut Room,
    ) -> Result<Self, Problem> {
        let (facts, content) = look(path, room)?;
        let mut file = Self {
            path: path.to_owned(),
            facts,
            named,
            state: State::Unknown,
            problem: None,
            identity: Identity::default(),
            content: Content::Nothing,
            key,
            truncated: OnceLock::new(),
            handle: Handle::New,
        };
        match content {
            Ok(content) => {
                file.content = content;
                file.identify();
                file.judge();
            }
            Err((state, problem)) => file.refuse(state, problem),
        }
        Ok(file)
    }

    /// Looks again. An error means that the file is gone and says why, where it is not
    /// just that nobody has the name.
    pub(crate) fn refresh(&mut self, room: &mut Room) -> Result<Refreshed, Problem> {
        let before = self.state;
        let facts = match Facts::of(&self.path) {
            Ok(facts) if facts.id == self.facts.id => facts,
            // Whatever has the name now is opened anew.
            Ok(_) | Err(_) => return Ok(Refreshed::Gone),
        };
        self.facts = facts;
        let grown = match &mut self.content {
            Content::Three(three) => {
                if facts.size < three.size() {
                    let problem = Problem::truncated(&self.path, Some(facts.size));
                    self.refuse(State::Damaged, problem);
                    return Ok(Refreshed::Same { grown: false, changed: true });
                }
                if !three.is_same() {
                    return Ok(Refreshed::Gone);
                }
                three.refresh(room)
            }
            Content::One { one, generation } => match One::read(&self.path) {
                Ok(again) => {
                    let grown = !one.same(&again);
                    *generation = generation.wrapping_add(grown.into());
                    *one = again;
                    grown
                }
                Err(problem) => {
                    self.refuse(State::Damaged, problem);
                    false
                }
            },
            Content::Nothing => {
                let again = Self::open(&self.path, self.named, self.key, room)?;
                *self = again;
                return Ok(Refreshed::Same { grown: false, changed: self.state != before });
            }
        };
        if grown {
            self.identify();
        }
        if !matches!(self.content, Content::Nothing) {
            self.judge();
        }
        Ok(Refreshed::Same { grown, changed: self.state != before })
    }

    fn identify(&mut self) {
        self.identity = match &self.content {
            Content::Three(three) => three.identity(),
            Content::One { one, .. } => one.identity(),
            Content::Nothing => Identity::default(),
        };
    }

    fn judge(&mut self) {
        let lost = self.lost();
        let state = match &mut self.content {
            Content::Three(_) if lost => {
                Err((State::Damaged, Problem::truncated(&self.path, None)))
            }
            Content::Three(three) => three.state(&self.path),
            Content::One { .. } => Ok(One::state(&self.identity)),
            Content::Nothing => return,
        };
        match state {
            Ok(state) => (self.state, self.problem) = (state, None),
            Err((state, problem)) => self.refuse(state, problem),
        }
    }

    /// Bytes of metadata that are kept.
    pub(crate) fn metadata(&self) -> u64 {
        match &self.content {
            Content::Three(three) => three.metadata(),
            _ => 0,
        }
    }

    fn refuse(&mut self, state: State, problem: Problem) {
        self.state = state;
        self.problem = Some(Problem { named: self.named, ..problem });
        self.truncated = OnceLock::new();
        self.content = Content::Nothing;
        self.identity = Identity::default();
    }

    /// Where it is; as it was named, or found in a directory that was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the user named it, and did not merely name a directory around it.
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

    /// 3 or 1; `None` if it is neither, or cannot be read.
    #[must_use]
    pub const fn format(&self) -> Option<u8> {
        match &self.content {
            Content::Three(_) => Some(3),
            Content::One { .. } => Some(1),
            Content::Nothing => None,
        }
    }

    /// Whether its writer lives, as judged at the last refresh; or *damaged* at once if it
    /// was truncated since and somebody noticed.
    #[must_use]
    pub fn state(&self) -> State {
        if self.lost() { State::Damaged } else { self.state }
    }

    /// Why nothing of it is shown, if it is so.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        if self.lost() { Some(self.truncation()) } else { self.problem.as_ref() }
    }

    /// Whether bytes are known to be missing. No system call.
    pub(crate) fn lost(&self) -> bool {
        let met = matches!(&self.content, Content::Three(three) if three.is_damaged());
        met || self.truncated.get().is_some()
    }

    /// Looks whether the file still has all its bytes; false also makes it *damaged*.
    ///
    /// [`values`](Self::values) and its like do this after they have read; after a
    /// [`scan`](Self::scan) it is yours to do. It is one system call. Format 1 is always
    /// whole, since it is not read in place.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let whole = match &self.content {
            Content::Three(three) => three.is_whole(),
            _ => true,
        };
        if !whole {
            self.truncation();
        }
        whole && !self.lost()
    }

    fn truncation(&self) -> &Problem {
        self.truncated.get_or_init(|| {
            let problem = Problem::truncated(&self.path, None);
            Problem { named: self.named, ..problem }
        })
    }

    /// Identity of the publisher; `None` for format 1.
    #[must_use]
    pub fn instance(&self) -> Option<Instance> {
        self.three().map(Three::instance)
    }

    /// Number of this file within its instance, from 0.
    #[must_use]
    pub fn part(&self) -> u32 {
        self.three().map_or(0, |three| three.header().part())
    }

    /// What the program says of itself.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// When the file was modified last; a store through a mapping need not count.
    #[must_use]
    pub const fn modified(&self) -> SystemTime {
        self.facts.modified
    }

    /// User id of the owner of the file, where there is such a thing.
    #[must_use]
    pub const fn owner(&self) -> Option<u32> {
        self.facts.owner
    }

    /// In bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.facts.size
    }

    /// Tells it from other files.
    #[must_use]
    pub const fn id(&self) -> FileId {
        self.facts.id
    }

    /// How many lanes it has now. Format 1 has one.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        match &self.content {
            Content::Three(three) => three.lanes(),
            Content::One { .. } => Lanes { used: 1, owned: 1, capacity: 1 },
            Content::Nothing => Lanes::default(),
        }
    }

    /// A lane as it is now; `None` if it was never claimed, is damaged or not there.
    #[must_use]
    pub fn lane(&self, lane: u32) -> Option<LaneInfo> {
        match &self.content {
            Content::Three(three) => three.lane(lane),
            Content::One { .. } if lane == 0 => Some(LaneInfo { index: 0, owned: true, owners: 1 }),
            _ => None,
        }
    }

    /// How many fields did not fit and went to no file.
    #[must_use]
    pub fn fields_refused(&self) -> u32 {
        self.three().map_or(0, Three::fields_refused)
    }

    /// Number of fields, damaged and retired ones too.
    #[must_use]
    pub fn field_count(&self) -> usize {
        match &self.content {
            Content::Three(three) => three.field_count(),
            Content::One { one, .. } => one.records.len(),
            Content::Nothing => 0,
        }
    }

    /// The fields, damaged and retired ones too.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = FieldRef<'_>> + '_ {
        (0..self.field_count()).map(|index| self.field_at(index))
    }

    /// Field `index`; `None` past the end.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        match &self.content {
            Content::Three(three) => three.field(index),
            Content::One { one, .. } => {
                let record = one.records.get(index)?;
                Some(FieldRef::one(u32::try_from(index).ok()?, record))
            }
            Content::Nothing => None,
        }
    }

    fn field_at(&self, index: usize) -> FieldRef<'_> {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        // Callers ask for fields that are there.
        let none = crate::Damage { code: "field-count", offset: 0 };
        self.field(index).unwrap_or_else(|| FieldRef::damaged(number, none))
    }

    /// The first field with this label that is not retired.
    #[must_use]
    pub fn find(&self, label: &str) -> Option<FieldRef<'_>> {
        self.fields().find(|field| !field.is_retired() && field.label() == label)
    }

    pub(crate) const fn content(&self) -> &Content {
        &self.content
    }

    fn three(&self) -> Option<&Three> {
        match &self.content {
            Content::Three(three) => Some(three),
            _ => None,
        }
    }

    /// Keeps the mapping, but not the file open.
    pub(crate) fn close_handle(&mut self) {
        if let Content::Three(three) = &mut self.content {
            three.close_handle();
        }
        self.handle = Handle::Closed;
    }

    /// Whether it is kept open, besides being mapped.
    pub(crate) fn has_handle(&self) -> bool {
        self.handle != Handle::Closed && matches!(self.content, Content::Three(_))
    }

    /// Whether an earlier refresh decided about the handle.
    pub(crate) fn was_counted(&mut self) -> bool {
        let counted = self.handle != Handle::New;
        if !counted {
            self.handle = Handle::Open;
        }
        counted
    }

    /// Changes whenever the fields do.
    pub(crate) fn version(&self) -> (u64, u32) {
        let generation = match &self.content {
            Content::Three(three) => three.generation(),
            Content::One { generation, .. } => *generation,
            Content::Nothing => 0,
        };
        (self.key, generation)
    }
}
