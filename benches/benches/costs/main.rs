//! The rows of the table of costs; `mmstats_benches` documents the method.
#![forbid(unsafe_code)]

mod exposition;
mod facade;
mod files;
mod kinds;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats::sync`.
mod locks;
mod observing;
mod publishing;
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats_tracing`.
mod spans;

use mmstats_benches::Bench;

fn main() {
    let mut bench = Bench::from_args();
    publishing::rows(&mut bench);
    kinds::rows(&mut bench);
    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats::sync`.
    locks::rows(&mut bench);
    observing::rows(&mut bench);
    files::rows(&mut bench);
    facade::rows(&mut bench);
    exposition::rows(&mut bench);
    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats_tracing`.
    spans::rows(&mut bench);
    bench.finish();
}
