//! Published data about the threads of a program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use mmstats_observe::{
    FieldRef, File, Kind, OwnedValue, Program, RawValue, RawVerdict, Scratch, Visitor,
};

use crate::role::{LockProperty, Role, roles};

// A file of another user can have any number of each.
/// Maximum number of lanes that are read.
const MAX_LANES: usize = 10_000;
/// Maximum number of activities that are kept.
const MAX_ACTIVITIES: usize = 10_000;
/// Maximum number of locks that are kept.
const MAX_LOCKS: usize = 10_000;
/// Maximum number of kept panics, the newest ones.
const MAX_PANICS: usize = 5;
/// Maximum number of fields and lanes whose panics are read.
const MAX_RINGS: usize = 1_000;

/// An activity in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// Label of the field.
    pub label: String,
    /// The text; may hold control characters, so escape it.
    pub text: String,
    /// Whether the writer cut the text to fit.
    pub cut: bool,
    /// Start in nanoseconds since 1970-01-01 UTC; `None` if unknown.
    pub since: Option<u64>,
    /// Number of the activity in its table, from 1.
    pub number: u64,
}

/// Published data about one thread, from all its lanes.
#[derive(Debug, Default, Clone)]
pub(crate) struct PublishedThread {
    /// Id: `sys.tid`.
    pub(crate) id: Option<u64>,
    /// Name: `sys.thread`.
    pub(crate) name: Option<String>,
    /// Activities, oldest first.
    pub(crate) activities: Vec<Activity>,
    /// Waits for locks and conditions, innermost last.
    pub(crate) waits: Vec<Activity>,
    /// Numbers of the locks that it holds for reading.
    pub(crate) reads: Vec<u64>,
    /// Number of further locks that it holds for reading.
    pub(crate) more_reads: u64,
    /// Hash of all values of its lanes.
    pub(crate) values: u64,
}

/// A lock, by its fields.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PublishedLock {
    pub(crate) name: String,
    /// Id of the holder, 0 if it is free: `sys.lock.holder`.
    pub(crate) holder: u64,
    /// Number of acquisitions: `sys.lock.count`.
    pub(crate) count: u64,
    /// Time since which acquisition `noticed` has lasted at least: `sys.lock.since`.
    pub(crate) since: u64,
    /// Number of the acquisition with the time `since`: `sys.lock.noticed`.
    pub(crate) noticed: u64,
}

/// The lines of one panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic {
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) time: u64,
    /// Message, then activities of the thread.
    pub(crate) lines: Vec<String>,
}

/// Published data about the threads of a program.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) threads: Vec<PublishedThread>,
    /// Activities of the whole program, oldest first.
    pub(crate) activities: Vec<Activity>,
    /// Locks by number.
    pub(crate) locks: BTreeMap<u64, PublishedLock>,
    /// The last panics, oldest first.
    pub(crate) panics: Vec<Panic>,
    pub(crate) has_thread_ids: bool,
    pub(crate) has_activities: bool,
    pub(crate) has_locks: bool,
    /// Number of lanes left out, beyond the maximum.
    pub(crate) lanes_left_out: u64,
    /// Number of locks not published or left out, beyond the maximum.
    pub(crate) locks_left_out: u64,
    /// Number of activities that could not be read, or were left out beyond the maximum.
    pub(crate) activities_left_out: u64,
    /// Number of activities that are kept.
    activities_kept: usize,
    /// Hash of all values of all lanes.
    pub(crate) values: u64,
}

impl Published {
    pub(crate) fn new(program: &Program<'_>) -> Self {
        let mut published = Self::default();
        let mut threads: BTreeMap<u64, PublishedThread> = BTreeMap::new();
        let (mut scratch, mut lanes) = (Scratch::new(), 0);
        for file in program.files() {
            let roles = roles(file);
            let has_ids = roles.contains(&Role::ThreadId);
            published.has_thread_ids |= has_ids;
            published.has_activities |= roles.contains(&Role::Activity);
            let is_of_locks = |role: &Role| matches!(role, Role::Lock(..) | Role::Waits);
            published.has_locks |= roles.iter().any(is_of_locks);
            let owned = |lane: &u32| file.lane(*lane).is_some_and(|lane| lane.owned);
            for lane in (0..file.lanes().used).filter(owned) {
                lanes += 1;
                if lanes > MAX_LANES {
                    published.lanes_left_out += 1;
                    continue;
                }
                let mut visitor = LaneVisitor::new(file, &roles, &mut published);
                file.visit_lanes(lane..lane + 1, &mut scratch, &mut visitor);
                let mut thread = visitor.finish();
                published.values = mixed(published.values, thread.values);
                match thread.id {
                    Some(id) => threads.entry(id).or_default().add(thread),
                    // A lane shared by threads.
                    None if has_ids => published.activities.append(&mut thread.activities),
                    None => published.threads.push(thread),
                }
            }
        }
        // What is missing reads as zero. No short circuit: each of the files becomes damaged.
        if program.files().iter().filter(|file| !file.is_whole()).count() > 0 {
            let lanes_left_out = u64::try_from(lanes).unwrap_or(u64::MAX);
            return Self { lanes_left_out, ..Self::default() };
        }
        published.threads.extend(threads.into_values());
        published.activities.sort_by_key(|activity| activity.since);
        for thread in &mut published.threads {
            thread.activities.sort_by_key(|activity| (activity.since, activity.number));
        }
        published.panics = panics(program);
        published
    }
}

/// The last panics of a program; lines with the same time are one panic.
fn panics(program: &Program<'_>) -> Vec<Panic> {
    let is_panics = |field: &FieldRef<'_>| {
        field.label() == "panics" && field.properties().kind() == Some(Kind::Events)
    };
    let rings = program.files().iter().flat_map(|file| {
        let lanes = move |field: FieldRef<'_>| {
            let index = field.index();
            (0..file.lanes().used).map(move |lane| (*file, index, lane))
        };
        file.fields().filter(is_panics).flat_map(lanes)
    });
    let mut all: Vec<Panic> = Vec::new();
    for (file, field, lane) in rings.take(MAX_RINGS) {
        let mut of_ring: Vec<Panic> = Vec::new();
        for event in file.events(field, lane, 0).unwrap_or_default() {
            let Ok(line) = event.line else { continue };
            match of_ring.last_mut() {
                Some(panic) if panic.time == event.time => panic.lines.push(line.text),
                _ => of_ring.push(Panic { time: event.time, lines: vec![line.text] }),
            }
        }
        all.append(&mut of_ring);
        all.sort_by_key(|panic| panic.time);
        all.drain(..all.len().saturating_sub(MAX_PANICS));
    }
    all
}

/// Combines two hashes.
fn mixed(a: u64, b: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (a, b).hash(&mut hasher);
    hasher.finish()
}

impl PublishedThread {
    /// Adds the data of another lane of the thread.
    fn add(&mut self, mut more: Self) {
        self.id = more.id.or(self.id);
        self.name = more.name.or(self.name.take());
        self.activities.append(&mut more.activities);
        self.waits.append(&mut more.waits);
        self.reads.append(&mut more.reads);
        self.more_reads = self.more_reads.saturating_add(more.more_reads);
        self.values = mixed(self.values, more.values);
    }
}

/// Visitor of the values of a lane.
struct LaneVisitor<'a> {
    file: &'a File,
    roles: &'a [Role],
    published: &'a mut Published,
    thread: PublishedThread,
    hasher: DefaultHasher,
}

impl<'a> LaneVisitor<'a> {
    fn new(file: &'a File, roles: &'a [Role], published: &'a mut Published) -> Self {
        let (thread, hasher) = (PublishedThread::default(), DefaultHasher::new());
        Self { file, roles, published, thread, hasher }
    }

    fn finish(mut self) -> PublishedThread {
        self.thread.values = self.hasher.finish();
        self.thread
    }

    fn lock(&mut self, property: LockProperty, number: u64, name: &str, value: u64) {
        let locks = &mut self.published.locks;
        if locks.len() >= MAX_LOCKS && !locks.contains_key(&number) {
            let is_first = property == LockProperty::Holder;
            self.published.locks_left_out += u64::from(is_first);
            return;
        }
        let lock = locks.entry(number).or_default();
        name.clone_into(&mut lock.name);
        match property {
            LockProperty::Holder => lock.holder = value,
            LockProperty::Count => lock.count = value,
            LockProperty::Since => lock.since = value,
            LockProperty::Noticed => lock.noticed = value,
        }
    }

    /// The activities in a table, up to the maximum.
    fn activities(&mut self, index: u32, value: RawValue<'_>) -> Vec<Activity> {
        let OwnedValue::Activity(value) = OwnedValue::from(value) else { return Vec::new() };
        let label = self.file.field(index as usize).map_or("", |field| field.label());
        let published = &mut *self.published;
        let room = MAX_ACTIVITIES.saturating_sub(published.activities_kept).min(value.rows.len());
        published.activities_kept += room;
        let cut = u64::try_from(value.rows.len() - room).unwrap_or(u64::MAX);
        let unread = u64::from(value.contended) + u64::from(value.damaged);
        published.activities_left_out =
            published.activities_left_out.saturating_add(cut.saturating_add(unread));
        let rows = value.rows.into_iter().take(room).map(|row| Activity {
            label: label.to_owned(),
            text: row.text,
            cut: row.cut,
            since: row.since,
            number: row.number,
        });
        rows.collect()
    }
}

impl Visitor for LaneVisitor<'_> {
    fn constant(&mut self, _field: u32, _raw: RawVerdict<RawValue<'_>>) {}

    fn value(&mut self, index: u32, raw: RawVerdict<RawValue<'_>>) {
        let RawVerdict::Consistent(value) = raw else { return };
        let Some(role) = self.roles.get(index as usize) else { return };
        if *role != Role::Copied {
            hash(&mut self.hasher, index, &value);
        }
        match (role, value) {
            // 0: a lane shared by threads.
            (Role::ThreadId, RawValue::U64(id)) if id != 0 => self.thread.id = Some(id),
            (Role::ThreadName, RawValue::Text { text, .. }) if !text.is_empty() => {
                self.thread.name = Some(text.to_owned());
            }
            (Role::Reading, RawValue::U64(lock)) if lock != 0 => self.thread.reads.push(lock),
            (Role::MoreReading, RawValue::U64(more)) => self.thread.more_reads = more,
            (Role::LocksRefused, RawValue::U64(count)) => {
                let all = &mut self.published.locks_left_out;
                *all = all.saturating_add(count);
            }
            (Role::Lock(property, lock, name), RawValue::U64(number)) => {
                self.lock(*property, *lock, name, number);
            }
            (Role::Activity, value) => {
                let mut rows = self.activities(index, value);
                self.thread.activities.append(&mut rows);
            }
            (Role::Waits, value) => {
                let mut rows = self.activities(index, value);
                self.thread.waits.append(&mut rows);
            }
            _ => {}
        }
    }
}

/// Adds a value to the hash.
fn hash(hasher: &mut DefaultHasher, index: u32, value: &RawValue<'_>) {
    struct Sink<'a>(&'a mut DefaultHasher);

    impl std::fmt::Write for Sink<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }

    index.hash(hasher);
    match value {
        RawValue::U64(number) => number.hash(hasher),
        RawValue::I64(number) => number.hash(hasher),
        RawValue::F64(number) => number.to_bits().hash(hasher),
        RawValue::Text { text, .. } => text.hash(hasher),
        RawValue::Bytes { bytes, .. } => bytes.hash(hasher),
        other => {
            let _ = write!(Sink(hasher), "{other:?}");
        }
    }
}
