#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod combine;
mod completeness;
mod field;
mod file;
mod find;
mod format;
mod identity;
mod ledger;
mod namespace;
mod problem;
mod sum;
mod value;

// The backend of the system.
#[cfg(not(windows))]
use mmstats_unix as backend;
#[cfg(windows)]
use mmstats_windows as backend;

pub use completeness::Completeness;
pub use field::{FieldInfo, FieldKey, FieldRef, Shape};
pub use file::File;
pub use find::{Changes, Observer, Sources};
pub use format::{Scratch, Visitor};
pub use identity::{FileState, Identity, Instance, LaneInfo, Lanes, ProgramId};
pub use ledger::Ledger;
pub use namespace::Namespace;
pub use problem::{Damage, NotFound, Problem};
pub use sum::{Fold, Program, Total, Totals, totals};
pub use value::{
    ActivityRow, ActivityValue, EachValue, Event, EventLine, HistogramParts, HistogramValue,
    Origin, OwnedValue, Quantile, Reading, StateValue, Tally, Verdict, WindowRate, rate,
    timer_mean,
};

pub use backend::FileId;
pub use mmstats_core::merge::{AverageValue, Number, RunningValue, TimerValue};
pub use mmstats_core::read::{
    Attributes, Scalar, Value as RawValue, Verdict as RawVerdict, parse_attributes,
};
pub use mmstats_core::{Aggregation, DataType, Kind, Level, Properties, Storage};
