//! Costs of mmstats beside other libraries and beside hand-written code, measured in the same rounds.
//!
//! ```text
//! benches/results                                                      all rows, written to RESULTS.md
//! cargo run --release --manifest-path benches/peers/Cargo.toml         all rows, about a minute
//! cargo run --release --manifest-path ... -- [--quick|--smoke] [GROUP] rough numbers, or one group
//! ```
//!
//! A *floor* is code by hand that stores or loads the same bytes, as visible to a reader, without checks.
//! The command fails if a row is above its limit.

#[cfg(feature = "iceoryx2")]
mod blackboard;
mod facade;
mod files;
mod floor;
#[cfg(pcp)]
mod pcp;
mod process;
mod recording;
mod starting;

use std::process::ExitCode;

use mmstats_benches::Contest;

fn main() -> ExitCode {
    if std::env::var_os(process::CHILD).is_some() {
        return process::child();
    }
    let mut contest = Contest::from_args();
    recording::groups(&mut contest);
    facade::groups(&mut contest);
    files::groups(&mut contest);
    starting::groups(&mut contest);
    process::groups(&mut contest);
    #[cfg(pcp)]
    pcp::clean();
    ExitCode::from(u8::from(contest.finish() > 0))
}
