#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]

mod cache;
mod fields;
mod metric;
mod naming;
mod objects;
mod recorder;
mod target;

pub use recorder::Recorder;

/// Publishes the metrics of the program and its libraries for as long as the guard lives:
/// [`mmstats::init`], and a [`Recorder`] with the defaults. A second call returns another guard. In a
/// forked child it begins anew: the metrics of the child, also those made before the fork, are
/// published by the child.
///
/// ```no_run
/// let _mmstats = mmstats_metrics::install()?;
/// metrics::counter!("requests", "method" => "GET").increment(1);
/// # Ok::<(), metrics::SetRecorderError<mmstats_metrics::Recorder>>(())
/// ```
///
/// # Errors
///
/// If the program has a recorder of another crate.
pub fn install() -> Result<mmstats::Guard, metrics::SetRecorderError<Recorder>> {
    let guard = mmstats::init();
    if !recorder::is_installed() {
        Recorder::new(&guard.registry()).install()?;
    }
    Ok(guard)
}
