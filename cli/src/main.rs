//! The binary `mmstats`: see [`mmstats_cli`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    mmstats_cli::main()
}
