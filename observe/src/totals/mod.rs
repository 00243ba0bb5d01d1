//! Fields of many files, combined.

mod fold;
mod program;
mod series;
#[expect(clippy::module_inception)] // the file is named for its type
mod totals;

pub use fold::Fold;
pub use program::Program;
pub use series::Total;
pub use totals::{Totals, totals};
