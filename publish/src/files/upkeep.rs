//! Upkeep of what observers see: files whose names are gone, and private memory, are published again.
//!
//! It runs where a publisher takes its lock anyway (a lane is claimed, a field is added,
//! [`Publisher::problem`](crate::Publisher::problem)), once a second in the thread of [`super::watch`]
//! and, while observers do not see the memory of a lane, in a thread of its own. No update waits for
//! it.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::Files;
use super::attempts::CHECK;
use super::family::Pause;
use super::inventory::Inventory;
use super::part::Part;
use super::watch::Watched;
use crate::error::Error;

/// Time between two copies of the lanes in memory that observers do not see.
const COPY: Duration = Duration::from_millis(20);
/// The copies take at most one in so many parts of a processor's time, ...
const SHARE: u32 = 50;
/// ... but never come later than this after the ones before: also those that waited for a processor.
const LATEST: Duration = Duration::from_millis(500);

impl Files {
    /// Looks whether observers still find all files, at a bounded rate, and publishes what they do not
    /// see.
    pub(crate) fn keep_up(&self, inventory: &mut Inventory) {
        if inventory.closed || inventory.place.is_none() || self.is_forked() {
            return;
        }
        if inventory.attempts.is_due() {
            inventory.attempts.checked = Some(Instant::now());
            let mut lost = false;
            for part in &mut inventory.parts {
                lost |= part.look();
            }
            if lost {
                inventory.attempts.pause = Pause::NONE;
            }
        }
        let unseen = |part: &Part| part.is_whole() && !part.is_seen();
        if inventory.parts.iter().any(unseen) && !inventory.attempts.pause.lasts() {
            if let Err(error) = self.publish_unseen(inventory) {
                inventory.attempts.fail(error);
            }
            inventory.tell();
        }
        if !inventory.parts.iter().any(unseen) {
            inventory.attempts.failure = None;
        }
        if inventory.attempts.thread.is_none() && inventory.parts.iter().any(Part::needs_copies) {
            self.start_thread(inventory);
        }
    }

    /// Publishes a twin of each part that observers do not see.
    fn publish_unseen(&self, inventory: &mut Inventory) -> Result<(), Error> {
        let Inventory { parts, segments, place, images, replaced, .. } = inventory;
        let Some(place) = place else { return Ok(()) };
        place.set_stale();
        if parts.iter().any(|part| part.is_unlocked() && !part.is_seen()) {
            place.forget_directory();
        }
        let mut unseen: Vec<&mut Part> =
            parts.iter_mut().filter(|part| part.is_whole() && !part.is_seen()).collect();
        // Those that had a name first, so that numbers stay in the order of the names.
        unseen.sort_by_key(|part| part.number.unwrap_or(u32::MAX));
        for part in unseen {
            let number = part.number.unwrap_or(*images);
            let mirrored = segments[part.segment].lane_fields.map(|fields| fields.mirrored);
            let access = self.settings.access;
            part.publish_twin(place, access, (number, *images), mirrored, replaced)?;
            if part.number.replace(number).is_none() {
                *images += 1;
            }
        }
        std::mem::take(replaced).finish();
        self.join_application(inventory);
        Ok(())
    }

    /// Brings the copies up to date.
    pub(crate) fn copy(&self, inventory: &mut Inventory) {
        if inventory.closed || self.is_forked() {
            return;
        }
        let Inventory { parts, segments, .. } = inventory;
        for part in parts {
            part.copy(segments[part.segment].lane_fields.map(|fields| fields.mirrored));
        }
    }

    /// Starts the thread that copies. Without it, copies are made by other calls.
    fn start_thread(&self, inventory: &mut Inventory) {
        let Some(files) = self.this.get().cloned() else { return };
        let work = Box::new(move || run(&files));
        match crate::backend::thread::spawn("mmstats-mirror", work) {
            Ok(started) => inventory.attempts.thread = Some(started.thread().clone()),
            Err(error) => drop(inventory.reported.get_or_insert(Error::Thread(error.kind()))),
        }
    }

    /// One turn of the thread; returns the time until the next one, or `None` at the end.
    fn turn(&self) -> Option<Duration> {
        let mut inventory = self.inventory.lock();
        self.keep_up(&mut inventory);
        let start = Instant::now();
        self.copy(&mut inventory);
        let needed = !inventory.closed && inventory.parts.iter().any(Part::needs_copies);
        if !needed {
            inventory.attempts.thread = None;
            return None;
        }
        let copies = inventory.parts.iter().any(|part| part.needs_copies() && part.is_seen());
        Some(if copies { (start.elapsed() * (SHARE - 1)).clamp(COPY, LATEST) } else { CHECK })
    }

    /// Why observers do not see all memory, after an attempt to change that.
    pub(crate) fn problem(&self) -> Option<Error> {
        if let Err(error) = self.refuse_reentry() {
            return Some(error);
        }
        let mut inventory = self.inventory.lock();
        if self.is_forked() && inventory.place.is_some() {
            return Some(Error::Forked);
        }
        self.keep_up(&mut inventory);
        self.copy(&mut inventory);
        if inventory.place.is_none() || inventory.closed {
            let failure = || inventory.attempts.failure.clone();
            return inventory.reported.clone().or_else(failure);
        }
        let unseen = inventory.parts.iter().find(|part| !part.is_seen() || !part.is_whole());
        let reason = unseen.and_then(|part| {
            let loss = || part.loss();
            inventory.attempts.failure.clone().filter(|_| part.is_whole()).or_else(loss)
        });
        reason.or_else(|| inventory.reported.clone())
    }
}

impl Watched for Files {
    fn look_after(&self, period: Duration) {
        if self.is_forked() {
            return;
        }
        let mut inventory = self.inventory.lock();
        let checked = inventory.attempts.checked;
        if checked.is_none_or(|checked| checked.elapsed() >= period) {
            self.keep_up(&mut inventory);
        }
    }
}

fn run(files: &Weak<Files>) {
    // The publisher can end meanwhile.
    while let Some(pause) = files.upgrade().and_then(|files| files.turn()) {
        std::thread::park_timeout(pause);
    }
}
