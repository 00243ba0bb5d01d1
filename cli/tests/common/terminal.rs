//! Commands on pseudo-terminals.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;

use super::pty::pair;
use super::{PATIENCE, mmstats};

/// Starts a command on a terminal.
pub(crate) fn start(directory: &Path, arguments: &[&str], columns: u16) -> (OwnedFd, Child) {
    let (ours, theirs) = pair(columns, 50);
    let mut command = mmstats(directory);
    command.args(arguments).env("TERM", "xterm").env("TZ", "UTC").env_remove("COLUMNS");
    let (out, err) = (theirs.try_clone().unwrap(), Stdio::piped());
    let child = command.stdin(Stdio::from(theirs)).stdout(Stdio::from(out)).stderr(err).spawn();
    (ours, child.unwrap())
}

/// All that a terminal gets until its other end is closed.
pub(crate) fn read_all(ours: OwnedFd) -> String {
    let (sender, text) = channel();
    std::thread::spawn(move || {
        let (mut file, mut bytes) = (File::from(ours), Vec::new());
        // The end is an error on Linux.
        let _ = file.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8(bytes).unwrap());
    });
    text.recv_timeout(PATIENCE).expect("the command ends")
}

/// The lines of a command on a terminal of this width, without colours.
pub(crate) fn lines(directory: &Path, arguments: &[&str], columns: u16) -> Vec<String> {
    let (ours, mut child) = start(directory, arguments, columns);
    let text = read_all(ours);
    child.wait().unwrap();
    let text = anstream::adapter::strip_str(&text).to_string();
    text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}
