//! There is no fork here: a process begins with nothing of another one's.

pub use mmstats_system::stub::fork::{Held, forked, generation, hold};
