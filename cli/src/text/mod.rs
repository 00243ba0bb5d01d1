//! Text for terminals and people: escaping, short numbers, units.

pub(crate) mod escape;
pub(crate) mod human;
pub(crate) mod time;
pub(crate) mod unit;
