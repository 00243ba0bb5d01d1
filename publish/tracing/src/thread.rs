//! A thread's handles, and its stack of spans.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mmstats::recorder_support::Inside;
use mmstats::{Activity, ActivityRow, Counter, Events, Family, Lane, Latency};

use crate::fields::Fields;
use crate::shared::{Shared, Target, epoch};
use crate::slots::{Slot, scatter};
use crate::text::{BEYOND, LINE, SPAN, SpanText};

/// Levels of nesting without an allocation at an enter.
const DEPTH: usize = 64;
/// Number of texts that a thread keeps, a power of two.
const TEXTS: usize = 32;

/// The spans of one layer that a thread is in.
pub(crate) struct Thread {
    layer: u64,
    /// The epoch in which the handles were attached.
    epoch: u32,
    shared: Weak<Shared>,
    pub(crate) handles: Option<Handles>,
    stack: Vec<Entry>,
    texts: Box<[SpanOnThread]>,
    /// [`Shared::strays`] when they were last dropped.
    strays: u64,
    /// Number of this part of a layer, not 0.
    pub(crate) number: u64,
    /// Tells this thread's enters from those of others.
    next: u64,
    /// Memory for the text of the next span.
    pub(crate) spare: SpanText,
    /// Memory for the line of the next event.
    pub(crate) line: String,
}

/// A thread's handles of the fields of a publisher.
pub(crate) struct Handles {
    pub(crate) fields: Arc<Fields>,
    stack: Activity<SPAN>,
    busy: Family<Latency, 1>,
    idle: Family<Latency, 1>,
    pub(crate) events: Events<LINE>,
    pub(crate) levels: [Counter; 5],
    pub(crate) untracked: Counter,
}

/// A span that the thread has entered.
struct Entry {
    id: u64,
    slot: u32,
    /// Whether the thread was in the span already.
    again: bool,
    /// Which enter this is.
    number: u64,
    /// When, by the layer's clock.
    at: u64,
    row: Option<ActivityRow>,
}

/// Where a span of late is, and its text, which need not be read again.
#[derive(Default)]
struct SpanOnThread {
    id: u64,
    slot: u32,
    version: u64,
    text: String,
}

thread_local! {
    static THREADS: RefCell<Vec<Thread>> = const { RefCell::new(Vec::new()) };
}

/// The next number of a thread, in the high half of the numbers of its enters.
static NEXT: AtomicU64 = AtomicU64::new(1 << 32);

/// Calls `work` with this thread's part of a layer; the first call makes it. `None` while the thread
/// ends, and if this call interrupted another one.
#[inline]
pub(crate) fn with<R>(shared: &Arc<Shared>, work: impl FnOnce(&mut Thread) -> R) -> Option<R> {
    let found = THREADS.try_with(|threads| {
        let mut threads = threads.try_borrow_mut().ok()?;
        let of_layer = |thread: &Thread| thread.layer == shared.id;
        let at = match threads.iter().position(of_layer) {
            Some(at) => at,
            None => make(shared, &mut threads),
        };
        let thread = threads.get_mut(at)?;
        if thread.epoch != epoch() {
            thread.renew(shared);
        }
        if thread.strays != shared.strays.load(Ordering::Relaxed) {
            thread.drop_strays(shared);
        }
        Some(work(thread))
    });
    found.ok()?
}

#[cold]
fn make(shared: &Arc<Shared>, threads: &mut Vec<Thread>) -> usize {
    threads.retain(|thread| thread.shared.strong_count() > 0);
    let text =
        || SpanOnThread { text: String::with_capacity(SPAN + BEYOND), ..SpanOnThread::default() };
    let number = NEXT.fetch_add(1 << 32, Ordering::Relaxed);
    threads.push(Thread {
        layer: shared.id,
        epoch: epoch().wrapping_sub(1),
        shared: Arc::downgrade(shared),
        handles: None,
        stack: Vec::with_capacity(DEPTH),
        texts: (0..TEXTS).map(|_| text()).collect(),
        strays: shared.strays.load(Ordering::Relaxed),
        number,
        next: number,
        spare: SpanText::default(),
        line: String::new(),
    });
    threads.len() - 1
}

impl Handles {
    /// They do not keep the publisher open.
    fn attach(target: Target) -> Option<Self> {
        let Target { registry, fields } = target;
        let attach = |lane: &Lane| {
            let mut levels = Vec::with_capacity(fields.levels.len());
            for key in fields.levels {
                levels.push(lane.attach(key).ok()?);
            }
            let Fields { stack, busy, idle, events, untracked, .. } = &*fields;
            Some(Self {
                stack: lane.attach(*stack).ok()?,
                busy: lane.family(*busy).ok()?,
                idle: lane.family(*idle).ok()?,
                events: lane.attach(*events).ok()?,
                levels: levels.try_into().ok()?,
                untracked: lane.attach(*untracked).ok()?,
                fields: Arc::clone(&fields),
            })
        };
        registry.with(attach)
    }
}

/// Calls `work` with handles for this call: a thread that ends has no part of a layer.
#[cold]
pub(crate) fn once(shared: &Shared, work: impl FnOnce(&Handles)) {
    if let Some(handles) = shared.target().and_then(Handles::attach) {
        work(&handles);
    }
}

impl Handles {
    /// Counts a span that has ended.
    pub(crate) fn record(&self, name: &str, busy: Duration, idle: Option<Duration>) {
        self.busy.get(&[name]).record(busy);
        if let Some(idle) = idle {
            self.idle.get(&[name]).record(idle);
        }
    }
}

impl Thread {
    /// Attaches handles of the present publisher, if it is another one, and shows the spans there.
    #[cold]
    fn renew(&mut self, shared: &Shared) {
        if Inside::enter_first().is_none() {
            return; // Within the library a thread gets memory that no reader sees: the next call tries.
        }
        // Before the publisher is asked for: one that ends later changes the epoch.
        self.epoch = epoch();
        let target = shared.target();
        let old = self.handles.as_ref().map(|handles| &handles.fields);
        if let (Some(old), Some(new)) = (old, &target)
            && Arc::ptr_eq(old, &new.fields)
        {
            return; // Another publisher of the process began or ended.
        }
        let old = std::mem::replace(&mut self.handles, target.and_then(Handles::attach));
        for entry in &mut self.stack {
            if let (Some(row), Some(old)) = (entry.row.take(), &old) {
                old.stack.end_row(row);
            }
            let (Some(handles), Some(slot)) = (&self.handles, shared.slots.get(entry.slot)) else {
                continue;
            };
            let mut text = String::new();
            if !entry.again && slot.is(entry.id) && slot.read(&mut text).is_some() {
                let since = shared.clock.time_of_day(entry.at);
                entry.row = handles.stack.begin_row(since, &text);
                shared.show(slot, &handles.fields);
            }
        }
    }

    /// Remembers where a span is whose slot this thread has just filled.
    pub(crate) fn remember(&mut self, shared: &Shared, id: u64) {
        self.find(shared, id);
    }

    /// The span's place in `texts`, with its slot. `None` if the layer does not know it.
    #[inline]
    fn find<'a>(&mut self, shared: &'a Shared, id: u64) -> Option<(usize, &'a Slot)> {
        #[allow(clippy::cast_possible_truncation)] // Below `TEXTS`.
        let at = (scatter(id) >> (64 - TEXTS.trailing_zeros())) as usize;
        let known = self.texts.get(at)?;
        if known.id == id
            && let Some(slot) = shared.slots.get(known.slot)
            && slot.is(id)
            && slot.version() == known.version
        {
            return Some((at, slot));
        }
        self.look_up(shared, id, at)
    }

    /// The slow path of [`Thread::find`]: another thread opened the span, or its text is new.
    #[inline(never)]
    fn look_up<'a>(&mut self, shared: &'a Shared, id: u64, at: usize) -> Option<(usize, &'a Slot)> {
        let (number, slot) = shared.slots.find(id)?;
        let known = self.texts.get_mut(at)?;
        known.id = 0; // Of no span, unless there is a text.
        match slot.read(&mut known.text) {
            Some((version, _)) => {
                known.id = id;
                known.version = version;
            }
            // Another thread replaces it all the time.
            None => known.text.clear(),
        }
        known.slot = number;
        Some((at, slot))
    }

    /// Enters a span. The clock is read late: it waits for what was begun before.
    #[inline]
    pub(crate) fn enter(&mut self, shared: &Shared, id: u64) {
        let Some((at, slot)) = self.find(shared, id) else { return };
        let Some(known) = self.texts.get(at) else { return };
        let again = self.stack.iter().rev().any(|entry| entry.id == id);
        self.next = self.next.wrapping_add(1);
        let now = shared.clock.now();
        let mut row = None;
        if !again {
            slot.last.store(self.next, Ordering::Relaxed);
            slot.entered.store(now, Ordering::Relaxed);
            if let Some(handles) = &self.handles {
                row = handles.stack.begin_row(shared.clock.time_of_day(now), &known.text);
            }
        }
        self.stack.push(Entry { id, slot: known.slot, again, number: self.next, at: now, row });
    }

    /// Exits a span.
    #[inline]
    pub(crate) fn exit(&mut self, shared: &Shared, id: u64) {
        match self.stack.last_mut() {
            // Member by member: a copy of the whole would wait for the stores of its members.
            Some(last) if last.id == id => {
                let (slot, again, number, at) = (last.slot, last.again, last.number, last.at);
                let row = last.row.take();
                self.stack.truncate(self.stack.len() - 1);
                self.leave(shared, id, slot, again, number, at, row);
            }
            _ => match self.take_inner(id) {
                Some(Entry { slot, again, number, at, row, .. }) => {
                    self.leave(shared, id, slot, again, number, at, row);
                }
                None => stray(shared, id),
            },
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)] // The members of an entry: see `exit`.
    fn leave(
        &self,
        shared: &Shared,
        id: u64,
        slot: u32,
        again: bool,
        number: u64,
        at: u64,
        row: Option<ActivityRow>,
    ) {
        if let (Some(row), Some(handles)) = (row, &self.handles) {
            handles.stack.end_row(row);
        }
        if again {
            return;
        }
        let Some(slot) = shared.slots.get(slot).filter(|slot| slot.is(id)) else { return };
        if slot.last.load(Ordering::Relaxed) != number {
            slot.overlapped.store(true, Ordering::Relaxed); // Another thread entered since.
        } else {
            slot.left.store(number, Ordering::Relaxed);
        }
        let now = shared.clock.now();
        slot.add_busy(self.number, now.saturating_sub(at));
    }

    /// Takes the newest entry of a span from within the stack.
    #[cold]
    fn take_inner(&mut self, id: u64) -> Option<Entry> {
        let at = self.stack.iter().rposition(|entry| entry.id == id)?;
        Some(self.stack.remove(at))
    }

    /// Drops the entries of spans that another thread has exited since.
    #[cold]
    fn drop_strays(&mut self, shared: &Shared) {
        // Must be Acquire, because the slots must have what is counted. Partner: `stray`.
        self.strays = shared.strays.load(Ordering::Acquire);
        let is_stray = |entry: &mut Entry| {
            let slot = shared.slots.get(entry.slot).filter(|slot| slot.is(entry.id));
            let less = |count: u32| count.checked_sub(1);
            slot.is_none_or(|slot| {
                entry.at <= slot.strayed.load(Ordering::Relaxed)
                    && slot.strays.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
            })
        };
        for entry in self.stack.extract_if(.., is_stray) {
            if let (Some(row), Some(handles)) = (entry.row, &self.handles) {
                handles.stack.end_row(row);
            }
        }
    }

    /// The id of the innermost span.
    pub(crate) fn innermost(&self) -> Option<u64> {
        self.stack.last().map(|entry| entry.id)
    }

    /// Shows the new text of a span where this thread is in it.
    pub(crate) fn set_text(&mut self, shared: &Shared, id: u64) {
        let Some((at, _)) = self.find(shared, id) else { return };
        let (Some(known), Some(handles)) = (self.texts.get(at), &self.handles) else { return };
        let entry = self.stack.iter().find(|entry| entry.id == id);
        if let Some(row) = entry.and_then(|entry| entry.row.as_ref()) {
            handles.stack.set_row(row, &known.text);
        }
    }
}

/// An exit by a thread that did not enter, or whose enter the layer missed. A thread that entered before
/// drops its entry when it next uses the layer.
#[cold]
fn stray(shared: &Shared, id: u64) {
    let Some((_, slot)) = shared.slots.find(id) else { return };
    let last = slot.last.load(Ordering::Relaxed);
    if last == 0 {
        return; // It was entered while this layer could not know.
    }
    let now = shared.clock.now();
    if slot.left.swap(last, Ordering::Relaxed) != last {
        let entered = slot.entered.load(Ordering::Relaxed);
        slot.add_busy(u64::MAX, now.saturating_sub(entered)); // No thread has this number.
    }
    slot.strayed.store(now, Ordering::Relaxed);
    slot.strays.fetch_add(1, Ordering::Relaxed);
    // Must be Release: see `drop_strays`.
    shared.strays.fetch_add(1, Ordering::Release);
}
