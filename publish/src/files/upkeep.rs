//! Upkeep of what observers see: files whose names are gone, and private memory, are published again.
//!
//! It runs where a publisher takes its lock anyway (a lane is claimed, a field is added,
//! [`Publisher::problem`](crate::Publisher::problem)), once a second in the thread of [`super::watch`]
//! and, while observers do not see the memory of a lane, in a thread of its own. No update waits for
//! it. One thread at a time looks for the names, without the lock: a file system that does not answer
//! stops that thread and no other one. It is that of the watch, or a call that asks what observers see;
//! where lanes are claimed and fields added only if the watch does not run. Files are published again
//! under the lock.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::Files;
use super::attempts::{CHECK, TOUCH};
use super::family::Pause;
use super::inventory::Inventory;
use super::part::{Part, PartFiles, Standings};
use super::watch::Watched;
use crate::error::Error;
use crate::lock::{Inside, Locked};

/// Time without a look after which the thread of the watch is taken for one that does not run.
const OVERDUE: Duration = Duration::from_secs(3);
/// Time between two copies of the lanes in memory that observers do not see.
const COPY: Duration = Duration::from_millis(20);
/// The copies take at most one in so many parts of a processor's time, ...
const SHARE: u32 = 50;
/// ... but never come later than this after the ones before: also those that waited for a processor.
const LATEST: Duration = Duration::from_millis(500);

impl Files {
    /// The inventory, after a look whether observers still find all files, at a bounded rate. What they
    /// do not see is published.
    pub(crate) fn kept_up(&self) -> Locked<'_, Inventory> {
        self.look(CHECK);
        self.published()
    }

    /// [`Files::kept_up`] for threads whose work must not wait for a file system: they look only where
    /// the thread of the watch does not.
    pub(crate) fn attend(&self) -> Locked<'_, Inventory> {
        let is_overdue = |checked: Instant| checked.elapsed() >= OVERDUE;
        if !self.settings.watched || self.inventory.lock().attempts.checked.is_none_or(is_overdue) {
            self.look(CHECK);
        }
        self.published()
    }

    /// The inventory, when what observers do not see is published, as far as that is known.
    fn published(&self) -> Locked<'_, Inventory> {
        // It allocates without the lock: the program's allocator may use the publisher.
        let _inside = Inside::enter();
        loop {
            let mut inventory = self.inventory.lock();
            if !self.is_kept_up(&inventory) {
                return inventory;
            }
            self.publish_lost(&mut inventory);
            let Some(tidying) = self.join_application(&mut inventory) else { return inventory };
            drop(inventory);
            let application = self.application.as_ref().map(|application| &*application.name);
            if let Some(problem) = tidying.finish(self.settings.access, application) {
                self.report(problem);
            }
        }
    }

    /// Looks for the files, unless that was done within `period` or another thread does it.
    fn look(&self, period: Duration) {
        let _inside = Inside::enter();
        let Some((files, touches)) = self.begin_look(period) else { return };
        // Without the lock: a file system that does not answer keeps this thread, and no other one.
        let found: Vec<_> = files.into_iter().map(PartFiles::look).collect();
        if touches {
            found.iter().for_each(Standings::touch);
        }
        let mut inventory = self.inventory.lock();
        inventory.attempts.looks = false;
        if self.is_kept_up(&inventory) {
            inventory.note(&found);
        }
    }

    fn is_kept_up(&self, inventory: &Inventory) -> bool {
        !inventory.closed && inventory.place.is_some() && !self.is_forked()
    }

    /// Publishes what observers do not see, as far as that is known.
    pub(super) fn publish_lost(&self, inventory: &mut Inventory) {
        if !self.is_kept_up(inventory) {
            return;
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
        if !inventory.parts.iter().any(Part::needs_copies) {
            inventory.attempts.no_thread = None;
        } else if inventory.attempts.thread.is_none() {
            self.start_thread(inventory);
        }
    }

    /// Publishes a twin of each part that observers do not see.
    fn publish_unseen(&self, inventory: &mut Inventory) -> Result<(), Error> {
        let Inventory { parts, segments, place, images, replaced, .. } = inventory;
        let Some(place) = place else { return Ok(()) };
        place.set_stale();
        for part in parts.iter_mut() {
            part.look_for_truncation();
        }
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
        Ok(())
    }

    /// Brings the copies up to date.
    pub(crate) fn copy(&self, inventory: &mut Inventory) {
        if inventory.closed || self.is_forked() {
            return;
        }
        let Inventory { parts, segments, .. } = inventory;
        let mut is_lost = false;
        for part in parts {
            let was_whole = part.is_whole();
            part.copy(segments[part.segment].lane_fields.map(|fields| fields.mirrored));
            is_lost |= was_whole && !part.is_whole();
        }
        if is_lost {
            inventory.tell();
        }
    }

    /// Starts the thread that copies. Without it, copies are made by other calls.
    fn start_thread(&self, inventory: &mut Inventory) {
        let Some(files) = self.this.get().cloned() else { return };
        let work = Box::new(move || run(&files));
        match crate::backend::thread::spawn("mmstats-mirror", work) {
            Ok(started) => {
                inventory.attempts.thread = Some(started.thread().clone());
                inventory.attempts.no_thread = None;
            }
            // Tried again by the next call.
            Err(error) => inventory.attempts.no_thread = Some(Error::Thread(error.kind())),
        }
    }

    /// One turn of the thread; returns the time until the next one, or `None` at the end.
    fn turn(&self) -> Option<Duration> {
        let mut inventory = self.attend();
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
        let mut inventory = self.kept_up();
        if self.is_forked() && inventory.place.is_some() {
            return Some(Error::Forked);
        }
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
        let no_thread = || inventory.attempts.no_thread.clone();
        let reason = reason.or_else(no_thread).or_else(|| inventory.reported.clone());
        reason.or_else(|| inventory.other_owner())
    }
}

impl Watched for Files {
    fn look_after(&self, period: Duration) {
        self.look(period);
        drop(self.published());
    }
}

impl Files {
    /// The files to look for, and whether their time has to be set; `None` if neither is due.
    fn begin_look(&self, period: Duration) -> Option<(Vec<PartFiles>, bool)> {
        let now = Instant::now();
        let is_past = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let mut inventory = self.inventory.lock();
        let is_kept_up = self.is_kept_up(&inventory);
        let Inventory { attempts, parts, .. } = &mut *inventory;
        if !is_kept_up || attempts.looks {
            return None;
        }
        // The first time, the file was just created.
        let touches = is_past(*attempts.touched.get_or_insert(now), TOUCH);
        if !touches && attempts.checked.is_some_and(|checked| !is_past(checked, period)) {
            return None;
        }
        if touches {
            attempts.touched = Some(now);
        }
        (attempts.looks, attempts.checked) = (true, Some(now));
        Some((parts.iter().map(Part::files).collect(), touches))
    }
}

impl Inventory {
    /// An error if files belong to different users: observers take them for those of two programs.
    fn other_owner(&self) -> Option<Error> {
        let first = self.parts.iter().find_map(Part::owner)?;
        self.parts.iter().find_map(|part| {
            let (owner, file) = (part.owner().filter(|owner| *owner != first)?, part.seen_file()?);
            Some(Error::Owners { path: file.path().to_path_buf(), owner, first })
        })
    }

    /// Takes the answers for the files of all parts over.
    fn note(&mut self, found: &[Standings]) {
        let shown = |part: &Part| (part.is_seen(), part.is_whole());
        let before: Vec<_> = self.parts.iter().map(shown).collect();
        let mut lost = false;
        for (part, found) in self.parts.iter_mut().zip(found) {
            lost |= part.note(found);
        }
        if lost {
            self.attempts.pause = Pause::NONE;
        }
        if !before.into_iter().eq(self.parts.iter().map(shown)) {
            self.tell();
        }
    }
}

fn run(files: &Weak<Files>) {
    // The publisher can end meanwhile.
    while let Some(pause) = files.upgrade().and_then(|files| files.turn()) {
        std::thread::park_timeout(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::files::settings::{Fallback, OnDrop, Settings};
    use crate::handles::Counter;
    use crate::schema::Schema;
    use crate::schema::declaration::Field as _;
    use crate::schema::options::AnyOptions;

    /// Stores through a mapping do not change the time of a file in memory.
    #[test]
    fn time_of_files_is_set_each_minute_and_at_close() {
        let place = tempfile::tempdir().unwrap();
        let settings = Settings {
            directory: Some(place.path().to_owned()),
            on_drop: OnDrop::Keep,
            watched: false,
            ..Settings::default()
        };
        let files = Files::open(settings, Schema::default()).unwrap();
        let path = files.paths().remove(0);
        let age = || std::fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap();
        let set_back = || {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - TOUCH * 10).unwrap();
        };
        set_back();
        files.look_after(Duration::ZERO);
        assert!(age() >= TOUCH, "not each time");
        let begin = Instant::now().checked_sub(TOUCH).unwrap();
        files.inventory.lock().attempts.touched = Some(begin);
        files.look_after(Duration::from_secs(1));
        assert!(age() < TOUCH);
        set_back();
        files.close(false);
        assert!(age() < TOUCH);
    }

    /// A file system that does not answer stops the thread of the watch, and not that of the copies.
    #[test]
    fn attend_leaves_the_look_to_the_watch() {
        let place = tempfile::tempdir().unwrap();
        let directory = Some(place.path().to_owned());
        let settings = Settings { directory, watched: false, ..Settings::default() };
        let files = Files::open(settings, Schema::default()).unwrap();
        // As if there was the thread, which looks when it is not expected here.
        let mut files = std::sync::Arc::into_inner(files).unwrap();
        files.settings.watched = true;
        let files = std::sync::Arc::new(files);
        let looks = |ago: Duration, call: &dyn Fn()| {
            let checked = Instant::now().checked_sub(ago).unwrap();
            files.inventory.lock().attempts.checked = Some(checked);
            call();
            files.inventory.lock().attempts.checked != Some(checked)
        };
        let attend = || drop(files.attend());
        files.inventory.lock().attempts.looks = true;
        assert!(!looks(OVERDUE * 2, &attend), "another thread looks");
        files.inventory.lock().attempts.looks = false;
        assert!(!looks(CHECK * 2, &attend) && looks(OVERDUE * 2, &attend));
        let claim = || drop(files.claim(0, Fallback::Refuse).unwrap());
        assert!(!looks(CHECK * 2, &claim), "a lane is claimed");
        let field = || {
            let declaration = Counter::declaration("added".to_owned(), AnyOptions::default());
            files.add(declaration).unwrap();
        };
        assert!(!looks(CHECK * 2, &field), "a field is added");
        assert!(looks(CHECK * 2, &|| drop(files.problem())));
        files.close(false);
    }

    /// While one thread waits for the file system, no other one does.
    #[test]
    fn look_of_one_thread_keeps_others_from_looking() {
        let place = tempfile::tempdir().unwrap();
        let directory = Some(place.path().to_owned());
        let settings = Settings { directory, watched: false, ..Settings::default() };
        let files = Files::open(settings, Schema::default()).unwrap();
        let looked = files.begin_look(Duration::ZERO).unwrap();
        assert!(files.begin_look(Duration::ZERO).is_none());
        drop(looked);
        files.close(false);
    }
}
