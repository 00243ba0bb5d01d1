//! There is no fork here: a process begins with nothing of another one's.

pub use mmstats_core::system::stub::fork::{Held, forked, generation, hold};
