//! Fields of several files, combined.

mod fold;
mod program;
mod recombine;
mod series;
mod totals;

pub use fold::Fold;
pub use program::Program;
pub use series::Total;
pub use totals::{Totals, totals};
