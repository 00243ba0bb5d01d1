#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;
mod events;
mod field;
mod history;
mod level;
mod look;
mod looker;
mod numbers;
mod program;
mod readings;
mod ring;
mod sampler;
mod shared;
mod watch;

pub use clock::{Clock, Days, Moment};
pub use events::{Line, LineReader, Lines};
pub use field::{Field, Lane};
pub use history::History;
pub use level::{Bucket, Span};
pub use look::{Frame, ProgramLook};
pub use numbers::Numbers;
pub use program::{Condition, Program, ProgramKey};
pub use readings::Readings;
pub use sampler::Sampler;
pub use shared::{OnFrame, OnLook, Options, Select};
pub use watch::Watch;
