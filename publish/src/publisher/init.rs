//! Publishing in one line.

use super::Registry;
use super::global::Guard;
use super::options::Options;
use crate::error::Error;

/// Publishes for as long as the guard lives, with the settings of the environment
/// ([`Options::from_env`]).
///
/// ```no_run
/// use mmstats::{Counter, FieldOptions};
///
/// let mmstats = mmstats::init();
/// let orders = mmstats.add::<Counter>("orders", FieldOptions::new())?;
/// mmstats.with(|lane| lane.attach(orders).map(|orders| orders.incr()))?;
/// # Ok::<(), mmstats::Error>(())
/// ```
///
/// It never fails: where publishing is impossible, the program uses private memory, and
/// [`Publisher::problem`](crate::Publisher::problem) has the error. So it has that of a variable
/// of the environment that is wrong, which is ignored. With the feature `process` the fields of
/// the process are published as well.
///
/// This is the publisher of the whole program, which [`global`](crate::global) finds. A second
/// call while a guard lives returns another guard of the same publisher; dropping the last guard
/// closes it. A forked child starts a new one.
///
/// For the fields of a struct, or settings in the program, see [`Options::init`].
pub fn init() -> Guard {
    Guard::get_or_start(|| {
        let (fields, string_bytes) = RESERVE;
        let start = |options: Options| options.reserve(fields, string_bytes).or_private().start();
        let publisher: Registry = start(Options::from_env()).unwrap_or_else(|error| {
            // The template of the file's name is wrong.
            let hidden = start(Options::new().hidden()).unwrap_or_else(out_of_memory);
            hidden.report(error);
            hidden
        });
        #[cfg(all(feature = "process", target_os = "linux"))] // from /proc
        if let Err(problem) = publisher.add_process_fields() {
            publisher.report(problem);
        }
        publisher
    })
}

/// Room in the first file for fields, all of which are added while the program runs.
const RESERVE: (u32, u32) = (256, 16 << 10);

fn out_of_memory(error: Error) -> Registry {
    panic!("no memory for the fields: {error}")
}
