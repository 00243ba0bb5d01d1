//! What a program publishes of its threads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher};

use mmstats_observe::{
    FieldRef, File, Kind, OwnedValue, Program, RawValue, RawVerdict, Scratch, Visitor,
};

/// Maximum number of activities that are kept of a program; a file of others can have any number.
const MAX_ACTIVITIES: usize = 10_000;
/// Maximum number of lines of panics that are read.
const MAX_PANICS: usize = 5;

/// Something in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// Label of the field.
    pub label: String,
    /// The text; may hold control characters, so escape it.
    pub text: String,
    /// Whether the writer cut the text to fit.
    pub cut: bool,
    /// Time of the begin in nanoseconds since 1970-01-01 UTC; `None` if it is not known.
    pub since: Option<u64>,
    /// Number of the activity in its table, from 1.
    pub number: u64,
}

/// What the lanes of one thread say.
#[derive(Debug, Default, Clone)]
pub(crate) struct PublishedThread {
    /// `sys.tid`.
    pub(crate) id: Option<u64>,
    /// `sys.thread`.
    pub(crate) name: Option<String>,
    /// Oldest first.
    pub(crate) activities: Vec<Activity>,
    /// Numbers of the locks that it holds for reading.
    pub(crate) reads: Vec<u64>,
    /// Hash of all values of its lanes.
    pub(crate) values: u64,
}

/// A lock, by its fields.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PublishedLock {
    pub(crate) name: String,
    /// `sys.lock.holder`; 0 if it is free.
    pub(crate) holder: u64,
    /// `sys.lock.count`.
    pub(crate) count: u64,
    /// `sys.lock.since`.
    pub(crate) since: u64,
    /// `sys.lock.noticed`.
    pub(crate) noticed: u64,
}

/// What a program publishes of its threads.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) threads: Vec<PublishedThread>,
    /// Of the whole program, oldest first.
    pub(crate) activities: Vec<Activity>,
    /// By number.
    pub(crate) locks: BTreeMap<u64, PublishedLock>,
    /// The last panics: time and line.
    pub(crate) panics: Vec<(u64, String)>,
    pub(crate) has_thread_ids: bool,
    pub(crate) has_activities: bool,
    pub(crate) has_locks: bool,
    /// Number of locks that are not published, because there are too many.
    pub(crate) locks_refused: u64,
    /// Hash of all values of all lanes.
    pub(crate) values: u64,
    /// Number of activities that are left out, because there were no rows for them or they could not be read.
    pub(crate) activities_left_out: u64,
}

/// Values of a lane.
#[derive(Default)]
struct LaneValues {
    thread: PublishedThread,
    hasher: DefaultHasher,
}

impl Published {
    pub(crate) fn new(program: &Program<'_>) -> Self {
        let mut published = Self::default();
        let mut threads: BTreeMap<u64, PublishedThread> = BTreeMap::new();
        for file in program.files() {
            let Roles { by_field, has_thread_ids } = Roles::new(file);
            published.has_thread_ids |= has_thread_ids;
            let is = |kind: fn(&Role) -> bool| by_field.iter().any(kind);
            published.has_activities |= is(|role| *role == Role::Activity);
            published.has_locks |= is(|role| matches!(role, Role::Lock(..) | Role::Waits));
            for lane in 0..file.lanes().used {
                if !file.lane(lane).is_some_and(|lane| lane.owned) {
                    continue;
                }
                let mut visitor = LaneVisitor {
                    file,
                    roles: &by_field,
                    values: LaneValues::default(),
                    published: &mut published,
                };
                file.visit_lanes(lane..lane + 1, &mut Scratch::new(), &mut visitor);
                let LaneValues { mut thread, hasher } = visitor.values;
                thread.values = hasher.finish();
                published.values = published.values.rotate_left(1) ^ thread.values;
                match thread.id {
                    Some(id) => threads.entry(id).or_default().add(thread),
                    // A lane of no thread, which all threads share.
                    None if has_thread_ids => published.activities.append(&mut thread.activities),
                    None => published.threads.push(thread),
                }
            }
            published.read_panics(file);
        }
        published.threads.extend(threads.into_values());
        published.activities.sort_by_key(|activity| activity.since);
        for thread in &mut published.threads {
            thread.activities.sort_by_key(|activity| (activity.since, activity.number));
        }
        published.panics.sort();
        published
    }

    fn read_panics(&mut self, file: &File) {
        let panics = |field: &FieldRef<'_>| {
            field.label() == "panics" && field.properties().kind() == Some(Kind::Events)
        };
        for field in file.fields().filter(panics) {
            for lane in 0..file.lanes().used {
                let events = file.events(field.index(), lane, 0).unwrap_or_default();
                let last = events.into_iter().rev().take(MAX_PANICS);
                self.panics
                    .extend(last.filter_map(|event| Some((event.time, event.line.ok()?.text))));
            }
        }
    }
}

impl PublishedThread {
    /// Adds what another lane of the thread says.
    fn add(&mut self, mut more: Self) {
        self.id = more.id.or(self.id);
        self.name = more.name.or(self.name.take());
        self.activities.append(&mut more.activities);
        self.reads.append(&mut more.reads);
        self.values = self.values.rotate_left(1) ^ more.values;
    }
}

/// Meaning of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    Other,
    ThreadId,
    ThreadName,
    Activity,
    /// `sys.lock.waits`, an activity too.
    Waits,
    /// `sys.lock.reading`.
    Reading,
    /// A property of the lock with this number and name.
    Lock(LockProperty, u64, String),
    LocksRefused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockProperty {
    Holder,
    Count,
    Since,
    Noticed,
}

/// Label of the locks that a thread waits for.
pub(crate) const WAITS: &str = "sys.lock.waits";

struct Roles {
    by_field: Vec<Role>,
    has_thread_ids: bool,
}

impl Roles {
    fn new(file: &File) -> Self {
        let by_field: Vec<Role> = file.fields().map(|field| Role::of(&field)).collect();
        let has_thread_ids = by_field.contains(&Role::ThreadId);
        Self { by_field, has_thread_ids }
    }
}

impl Role {
    fn of(field: &FieldRef<'_>) -> Self {
        let property = |property| {
            let attribute = |name| field.attributes().find(|(key, _)| *key == name);
            let number = attribute("id").and_then(|(_, id)| id.parse().ok());
            let name = attribute("lock").map(|(_, name)| name.to_owned());
            number
                .zip(name)
                .map_or(Self::Other, |(number, name)| Self::Lock(property, number, name))
        };
        if field.is_retired() || field.damage().is_some() {
            return Self::Other;
        }
        match field.label() {
            "sys.tid" => Self::ThreadId,
            "sys.thread" => Self::ThreadName,
            "sys.lock.holder" => property(LockProperty::Holder),
            "sys.lock.count" => property(LockProperty::Count),
            "sys.lock.since" => property(LockProperty::Since),
            "sys.lock.noticed" => property(LockProperty::Noticed),
            "sys.lock.reading" => Self::Reading,
            "sys.lock.refused" => Self::LocksRefused,
            WAITS => Self::Waits,
            _ if field.properties().kind() == Some(Kind::Activity) => Self::Activity,
            _ => Self::Other,
        }
    }
}

struct LaneVisitor<'a> {
    file: &'a File,
    roles: &'a [Role],
    values: LaneValues,
    published: &'a mut Published,
}

impl Visitor for LaneVisitor<'_> {
    fn constant(&mut self, _field: u32, _raw: RawVerdict<RawValue<'_>>) {}

    fn value(&mut self, index: u32, raw: RawVerdict<RawValue<'_>>) {
        let RawVerdict::Consistent(value) = raw else { return };
        self.values.hash(index, &value);
        let number = match value {
            RawValue::U64(number) => Some(number),
            _ => None,
        };
        let thread = &mut self.values.thread;
        match (self.roles.get(index as usize), number) {
            // 0: a lane without a thread.
            (Some(Role::ThreadId), Some(id)) if id != 0 => thread.id = Some(id),
            (Some(Role::ThreadName), None) => {
                if let RawValue::Text { text, .. } = value
                    && !text.is_empty()
                {
                    thread.name = Some(text.to_owned());
                }
            }
            (Some(Role::Reading), Some(lock)) if lock != 0 => thread.reads.push(lock),
            (Some(Role::LocksRefused), Some(count)) => {
                self.published.locks_refused = self.published.locks_refused.max(count);
            }
            (Some(Role::Lock(property, lock, name)), Some(number)) => {
                let lock = self.published.locks.entry(*lock).or_default();
                lock.name.clone_from(name);
                match property {
                    LockProperty::Holder => lock.holder = number,
                    LockProperty::Count => lock.count = number,
                    LockProperty::Since => lock.since = number,
                    LockProperty::Noticed => lock.noticed = number,
                }
            }
            (Some(Role::Activity | Role::Waits), None) => self.activities(index, value),
            _ => {}
        }
    }
}

impl LaneVisitor<'_> {
    fn activities(&mut self, index: u32, value: RawValue<'_>) {
        let OwnedValue::Activity(value) = OwnedValue::from(value) else { return };
        let label = self.file.field(index as usize).map_or("", |field| field.label());
        let left = u64::from(value.contended) + u64::from(value.damaged);
        let published = &mut *self.published;
        published.activities_left_out = published.activities_left_out.saturating_add(left);
        let kept = &mut self.values.thread.activities;
        let room = MAX_ACTIVITIES.saturating_sub(kept.len().max(published.activities.len()));
        kept.extend(value.rows.into_iter().take(room).map(|row| Activity {
            label: label.to_owned(),
            text: row.text,
            cut: row.cut,
            since: row.since,
            number: row.number,
        }));
    }
}

impl LaneValues {
    /// Adds a value to the hash.
    fn hash(&mut self, index: u32, value: &RawValue<'_>) {
        struct Sink<'a>(&'a mut DefaultHasher);

        impl std::fmt::Write for Sink<'_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }

        index.hash(&mut self.hasher);
        match value {
            RawValue::U64(number) => number.hash(&mut self.hasher),
            RawValue::I64(number) => number.hash(&mut self.hasher),
            RawValue::F64(number) => number.to_bits().hash(&mut self.hasher),
            RawValue::Text { text, .. } => text.hash(&mut self.hasher),
            RawValue::Bytes { bytes, .. } => bytes.hash(&mut self.hasher),
            other => {
                let _ = write!(Sink(&mut self.hasher), "{other:?}");
            }
        }
    }
}
