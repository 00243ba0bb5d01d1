//! Values of one field, combined by its rule: KINDS.md section 2.

mod accumulator;
mod budget;
mod decoder;
mod scalars;

pub(crate) use accumulator::Accumulator;
pub(crate) use budget::{Budget, TOO_LARGE};
pub(crate) use decoder::Decoder;
