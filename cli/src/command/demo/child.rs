//! The publishing process of the demo.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Maximum time in which the child publishes its file.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Starts this program as the publisher. It ends when the pipe to it is closed, so also when
/// this process is killed.
pub(super) fn start(threads: u16) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("demo-publisher")
        .args(["--threads", &threads.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// How the child ended.
pub(super) enum End {
    /// It ended before it was asked to.
    Early(ExitStatus),
    /// It ended after it was asked to.
    Asked(ExitStatus),
    /// It was killed, because it did not end when asked.
    Killed,
    Unknown(io::Error),
}

/// Ends the child.
pub(super) fn end(child: &mut Child) -> End {
    match child.try_wait() {
        Ok(Some(status)) => return End::Early(status),
        Err(error) => return End::Unknown(error),
        Ok(None) => {}
    }
    drop(child.stdin.take());
    let start = Instant::now();
    while start.elapsed() < PATIENCE / 2 {
        match child.try_wait() {
            Ok(Some(status)) => return End::Asked(status),
            Err(error) => return End::Unknown(error),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    match child.kill().and_then(|()| child.wait()) {
        Ok(_) => End::Killed,
        Err(error) => End::Unknown(error),
    }
}
