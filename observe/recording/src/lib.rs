#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bgzf;
mod document;
mod encoder;
mod error;
mod files;
mod index;
mod looker;
mod parse;
mod program;
mod recorder;
mod recording;
mod repair;
mod replay;
mod report;
mod state;
mod store;
mod threads;
mod time;

pub use error::Error;
pub use files::{Limits, is_recording};
pub use index::Cut;
pub use program::RecordedProgram;
pub use recorder::{Recorder, Status};
pub use recording::{Frames, Recording};
pub use repair::{Repaired, repair};
pub use replay::{PastThreads, Replay};
pub use state::{Gap, State};
pub use store::Store;
pub use threads::Threads;
