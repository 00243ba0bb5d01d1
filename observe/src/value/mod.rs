//! Values that the reader owns, and verdicts on them.

mod activity;
mod histogram;
mod interval;
mod owned;
mod quantile;
mod rate;
mod summary;
mod verdict;

pub use activity::{ActivityRow, ActivityValue};
pub use histogram::{HistogramParts, HistogramValue};
pub use owned::{EachValue, OwnedValue, Reading};
pub use quantile::Quantile;
pub use rate::{rate, timer_mean};
pub use summary::{Event, EventLine, StateValue, WindowRate};
pub use verdict::{Origin, Tally, Verdict};
