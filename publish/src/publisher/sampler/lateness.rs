//! Fields about callbacks that panic or do not answer.

use std::collections::HashMap;
use std::sync::Arc;

use mmstats_core as core;

use crate::claim::Keep;
use crate::error::Error;
use crate::files::Files;
use crate::handles::kinds::Timestamp;
use crate::handles::{Counter, Gauge};
use crate::schema::declaration::Field;
use crate::schema::declaration::FieldName;
use crate::schema::key::{Address, Key};
use crate::schema::options::AnyOptions;

/// The number of panics.
const PANICS: (&str, &str) =
    ("sys.sampling_panics", "Callbacks of sampled fields that panicked, and are not called again.");
/// The number of callbacks that do not answer.
const LATE: (&str, &str) = (
    "sys.sampling_late",
    "Callbacks of sampled fields that run for longer than their interval (50 ms to 5 s), or that no \
     thread calls because too many hang.",
);
/// The last answer of each of these.
const SAMPLED: (&str, &str) = (
    "sys.sampled",
    "Last answer of the callback of a sampled field, while it is late and after it panicked.",
);

/// The fields, each of which is added when it is first needed.
#[derive(Default)]
pub(super) struct Lateness {
    panics: Option<Key<Counter>>,
    late: Option<Key<Gauge<u64>>>,
    sampled: HashMap<Address, Key<Timestamp>>,
}

/// The lane of the sampled fields in a segment.
pub(super) type OpenLane<'a> = &'a dyn Fn(usize) -> Result<core::Lane<Keep>, Error>;

/// A field whose callback is late, and when that last answered.
pub(super) struct Late {
    pub(super) name: FieldName,
    pub(super) address: Address,
    /// In nanoseconds since 1970.
    pub(super) answered: Option<u64>,
}

impl Lateness {
    /// Publishes the number of panics, and the callbacks that are late now. Without room for a field
    /// only the methods of the publisher have the numbers. Returns the first error, after all fields.
    pub(super) fn publish(
        &mut self,
        files: &Arc<Files>,
        open: OpenLane<'_>,
        panics: u64,
        late: &[Late],
    ) -> Result<(), Error> {
        let mut first = Ok(());
        let mut keep = |result: Result<(), Error>| {
            if first.is_ok() {
                first = result;
            }
        };
        if panics > 0 {
            let key = add(files, &mut self.panics, PANICS, AnyOptions::default());
            keep(key.and_then(|key| attach(open, key)).map(|count| count.set(panics)));
        }
        if !late.is_empty() || self.late.is_some() {
            let key = add(files, &mut self.late, LATE, AnyOptions::default());
            keep(key.and_then(|key| attach(open, key)).map(|count| count.set(late.len() as u64)));
        }
        for Late { name, address, answered } in late {
            let Some(answered) = answered else { continue };
            keep(self.publish_one(files, open, name, *address, *answered));
        }
        for (address, key) in &self.sampled {
            if !late.iter().any(|late| late.address == *address) {
                keep(attach(open, *key).map(|sampled| sampled.clear()));
            }
        }
        first
    }

    /// Publishes when the callback of a field answered.
    fn publish_one(
        &mut self,
        files: &Arc<Files>,
        open: OpenLane<'_>,
        (label, attributes): &FieldName,
        address: Address,
        answered: u64,
    ) -> Result<(), Error> {
        let mut key = self.sampled.get(&address).copied();
        let mut options = AnyOptions::default().attribute("field", label);
        // Another field may have the same label.
        let others = attributes.iter().filter(|(name, _)| name != "field");
        options.attributes.extend(others.cloned());
        let added = match add(files, &mut key, SAMPLED, options) {
            // The application has a field of that name: the number of late ones must do.
            Err(Error::Duplicate { .. }) => return Ok(()),
            added => added?,
        };
        self.sampled.insert(address, added);
        attach(open, added)?.set_nanos(answered);
        Ok(())
    }
}

fn attach<H: Field>(open: OpenLane<'_>, key: Key<H>) -> Result<H, Error> {
    H::attach(&open(key.address.segment as usize)?, key.address.id).map_err(Error::Attach)
}

/// The key of a field, which is added if there is none.
fn add<H: Field>(
    files: &Arc<Files>,
    known: &mut Option<Key<H>>,
    (label, help): (&str, &str),
    mut options: AnyOptions,
) -> Result<Key<H>, Error> {
    if let Some(key) = known {
        return Ok(*key);
    }
    options.help = help.to_owned();
    Ok(*known.insert(Key::new(files.find_or_add(H::declaration(label.to_owned(), options))?)))
}
