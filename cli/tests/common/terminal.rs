//! Commands on pseudo-terminals.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{PATIENCE, mmstats};

/// A terminal of this size, both ends.
pub(crate) fn terminal(columns: u16, rows: u16) -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(theirs.as_fd(), size).unwrap();
    (ours, theirs.into())
}

/// Starts a command on a terminal.
pub(crate) fn start(directory: &Path, arguments: &[&str], columns: u16) -> (OwnedFd, Child) {
    let (ours, theirs) = terminal(columns, 50);
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
