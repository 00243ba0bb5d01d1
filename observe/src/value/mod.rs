//! Values that the reader owns, and verdicts on them.

mod event;
mod histogram;
mod owned;
mod rate;
mod reading;
mod summary;
mod verdict;

pub use event::{Event, EventLine};
pub use histogram::HistogramValue;
pub use owned::{EachValue, OwnedValue};
pub use rate::{rate, timer_mean};
pub use reading::Reading;
pub use summary::{StateValue, WindowRate};
pub use verdict::{Origin, Tally, Verdict};
