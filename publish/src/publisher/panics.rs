//! The last panics of the program, as events.

use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant};

use mmstats_core as core;
use mmstats_core::FieldId;

use super::panic_context::{self, LINE};
use crate::claim::Keep;
use crate::error::Error;
use crate::files::Files;
use crate::files::shared::SharedLane;
use crate::handles::kinds::{self, now};
use crate::schema::declaration::Field;
use crate::schema::options::FieldOptions;

type Events = core::Events<LINE, Keep>;

/// Longest wait for other threads that panic.
const LONGEST: Duration = Duration::from_millis(200);

/// The field of the panics, for as long as the publisher lives.
#[derive(Debug, Default)]
pub(crate) struct Panics(OnceLock<Arc<Mutex<PanicField>>>);

/// A lane and the field in it. A handle cannot leave its thread, so the holder of the lock makes
/// one, which continues after the last line.
#[derive(Debug)]
struct PanicField {
    lane: SharedLane,
    id: FieldId,
    /// Identity of the publisher's files.
    files: u64,
    /// Time of the last panic.
    last: u64,
}

impl PanicField {
    /// The time of a panic at `now`, in nanoseconds: that of its lines and of no others. A clock that was
    /// set back is believed.
    fn moment(&mut self, now: u64) -> u64 {
        let is_same = now <= self.last && self.last - now < 1_000_000;
        self.last = if is_same { self.last.saturating_add(1) } else { now };
        self.last
    }

    fn events(&self) -> Result<Events, Error> {
        Events::attach(&self.lane.open()?, self.id).map_err(Error::Attach)
    }
}

impl Panics {
    /// Adds the field and installs a panic hook before the current one; once.
    pub(crate) fn record(&self, files: &Arc<Files>) -> Result<(), Error> {
        if self.0.get().is_some() {
            return Ok(());
        }
        let options = FieldOptions::<kinds::Events<LINE>>::new();
        let options = options.help("Panics of the program's threads.").entries(31);
        let declaration = kinds::Events::<LINE>::declaration("panics".to_owned(), options.any);
        let address = files.find_or_add(declaration)?;
        let lane = files.shared_lane(address.segment as usize)?;
        let field = PanicField { lane, id: address.id, files: files.id, last: 0 };
        field.events()?;
        let field = Arc::new(Mutex::new(field));
        let weak = Arc::downgrade(&field);
        if self.0.set(field).is_err() {
            return Ok(()); // Another thread was faster.
        }
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Before the other hook, which may end the process.
            if let Some(field) = weak.upgrade() {
                write(&field, info);
            }
            previous(info);
        }));
        Ok(())
    }
}

/// Writes a line, and further ones about what the thread is doing. The lane was claimed before, so this
/// does not wait for the publisher's lock, which the thread that panics may hold.
fn write(field: &Mutex<PanicField>, info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("(not a text)");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let (now, files) = {
        let Some(mut field) = lock(field) else { return };
        let Ok(events) = field.events() else { return };
        let now = field.moment(now());
        match info.location() {
            Some(at) => events.record_fmt(now, format_args!("thread '{name}' at {at}: {text}")),
            None => events.record_fmt(now, format_args!("thread '{name}': {text}")),
        };
        (now, field.files)
    };
    // Without the lock: this takes long, and other threads that panic wait for it.
    let lines = panic_context::lines(files, name, now);
    if lines.is_empty() {
        return;
    }
    let Some(field) = lock(field) else { return };
    let Ok(events) = field.events() else { return };
    for line in &lines {
        events.record(now, line);
    }
}

/// Locks the field, which other threads hold for microseconds. In a forked child it may be held for ever.
fn lock(field: &Mutex<PanicField>) -> Option<MutexGuard<'_, PanicField>> {
    let begin = Instant::now();
    loop {
        match field.try_lock() {
            Ok(field) => return Some(field),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if begin.elapsed() >= LONGEST => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(50)),
        }
    }
}
