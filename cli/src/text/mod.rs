//! Text for terminals and people: escaping, limits, short numbers, units.

pub(crate) mod bounded;
pub(crate) mod escape;
pub(crate) mod human;
pub(crate) mod unit;
