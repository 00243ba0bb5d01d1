//! The black box: the last panics of the program, as events.

use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::time::SystemTime;

use mmstats_core as core;
use mmstats_core::FieldId;

use crate::common::{self, CommonKeep, CommonLane};
use crate::error::Error;
use crate::fields::Field;
use crate::kinds::{self, nanos};
use crate::parts::Shared;
use crate::schema::FieldOptions;

/// Bytes of a line: place and message of most panics.
const LINE: usize = 240;
type Events = core::Events<LINE, CommonKeep>;

/// Where panics are written, for as long as the publisher lives.
#[derive(Debug, Default)]
pub(crate) struct Panics(OnceLock<Arc<Mutex<Place>>>);

/// A lane and the field there. A handle stays on its thread, so whoever holds the lock makes
/// one: it goes on where the one before ended.
#[derive(Debug)]
struct Place {
    lane: CommonLane,
    field: FieldId,
}

impl Place {
    fn events(&self) -> Result<Events, Error> {
        Events::attach(&self.lane.open()?, self.field).map_err(Error::Attach)
    }
}

impl Panics {
    /// Adds the field and puts a hook before the one there is; once.
    pub(crate) fn record(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        if self.0.get().is_some() {
            return Ok(());
        }
        let options = FieldOptions::new().help("Panics of the program's threads.").entries(15);
        let address = shared.add(kinds::Events::<LINE>::item("panics".to_owned(), options))?;
        let lane = common::claim(shared, address.segment as usize)?;
        let place = Place { lane, field: address.id };
        place.events()?;
        let place = Arc::new(Mutex::new(place));
        let weak = Arc::downgrade(&place);
        if self.0.set(place).is_err() {
            return Ok(()); // Never: the other thread's field has the name.
        }
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Ours first: the other one may end the process.
            if let Some(place) = weak.upgrade() {
                write(&place, info);
            }
            previous(info);
        }));
        Ok(())
    }
}

/// Writes a line. The lane was claimed before, so nothing here waits for the publisher's lock,
/// which the thread that panics may hold.
fn write(place: &Mutex<Place>, info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("(not a text)");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let now = nanos(SystemTime::now());
    // Others hold it for some nanoseconds; in a forked child it may be held for ever.
    for _ in 0..1_000 {
        let place = match place.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::yield_now();
                continue;
            }
        };
        let Ok(events) = place.events() else { return };
        match info.location() {
            Some(at) => events.record_fmt(now, format_args!("thread '{name}' at {at}: {text}")),
            None => events.record_fmt(now, format_args!("thread '{name}': {text}")),
        };
        return;
    }
}
