//! Values as text.

mod human;
mod inspect;
mod plain;

pub(crate) use self::human::{buckets, shows_unit, to_human};
pub(crate) use self::inspect::{QUANTILES, is_number, main_number, single_state};
pub(crate) use self::plain::to_plain;
