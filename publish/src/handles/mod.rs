//! The handles of an application: those of the core, over the memory of a publisher's lanes.

pub(crate) mod kinds;
pub(crate) mod timer;
pub(crate) mod values;
