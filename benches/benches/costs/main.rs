//! The rows of the table of costs; `mmstats_benches` documents the method.
#![forbid(unsafe_code)]

mod facade;
mod files;
mod kinds;
mod locks;
mod loops;
mod observing;
mod peers;
mod programs;
mod publishing;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats_tracing`.
mod spans;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // the same
use mmstats_windows as backend;

use mmstats_benches::Bench;

fn main() {
    let mut bench = Bench::from_args();
    publishing::rows(&mut bench);
    kinds::rows(&mut bench);
    locks::rows(&mut bench);
    observing::rows(&mut bench);
    files::rows(&mut bench);
    facade::rows(&mut bench);
    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats_tracing`.
    spans::rows(&mut bench);
    peers::rows(&mut bench);
    bench.finish();
}
