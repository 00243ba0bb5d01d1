#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod budget;
mod combine;
mod events;
mod field;
mod file;
mod fold;
mod heap;
mod histogram;
mod kinds;
mod look;
mod observer;
mod one;
mod problem;
mod program;
mod rate;
mod rates;
mod read;
mod scan;
mod series;
mod sources;
mod state;
mod three;
mod totals;
mod value;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // as above
use mmstats_windows as backend;

pub use events::{Event, EventLine};
pub use field::{FieldInfo, FieldRef, Shape};
pub use file::File;
pub use fold::Fold;
pub use histogram::HistogramValue;
pub use kinds::StateValue;
pub use observer::{Changes, Observer};
pub use problem::{Damage, Problem};
pub use program::Program;
pub use rate::{rate, timer_mean};
pub use rates::WindowRate;
pub use scan::Scratch;
pub use sources::Sources;
pub use state::{Identity, Instance, LaneInfo, Lanes, State};
pub use totals::{Total, Totals, totals};
pub use value::{EachValue, Origin, OwnedValue, Reading, Tally, Verdict};

pub use backend::FileId;
pub use mmstats_core::merge::{AverageValue, TimerValue};
pub use mmstats_core::read::{
    Attributes, Scalar, Value as RawValue, Verdict as RawVerdict, parse_attributes,
};
pub use mmstats_core::{Aggregation, DataType, Kind, Level, Storage};
