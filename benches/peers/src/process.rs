//! The whole command `mmstats show`: time and peak memory of its process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use mmstats_benches::work::reading::one_file;
use mmstats_benches::{Base, Contest, Limit, Subject};

/// Set in the process that runs the command.
pub(crate) const CHILD: &str = "MMSTATS_PEERS_CHILD";

/// Runs the command, then writes its peak memory in KiB as the last line of the error output.
pub(crate) fn child() -> ExitCode {
    let code = mmstats_cli::main();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    eprintln!("{}", peak.unwrap_or("0").trim().trim_end_matches(" kB"));
    code
}

fn show(paths: &[PathBuf]) -> f64 {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let arguments = [OsString::from("show")].into_iter().chain(paths.iter().map(OsString::from));
    let output = command.args(arguments).env(CHILD, "1").stdout(Stdio::null()).output();
    let output = output.expect("the command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let error = String::from_utf8_lossy(&output.stderr);
    let kib = error.lines().last().and_then(|line| line.parse::<f64>().ok());
    kib.expect("the peak memory") * 1024.0
}

pub(crate) fn groups(contest: &mut Contest) {
    let many = contest.size(100_000, 1_000);
    contest.group("mmstats show of 100,000 fields, whole process", |group| {
        let files = one_file(many, false);
        let peak = show(&files.paths);
        group.bytes("peak memory", peak, Limit::new(60.0 * f64::from(1 << 20), Base::Bytes));
        let ours = Subject::ours("time", files, |files, n| {
            for _ in 0..n {
                show(&files.paths);
            }
        });
        group.add(ours.at_most(150e6, Base::Nanos));
    });
}
