//! The browser of the user.

use std::path::Path;
use std::process::{Command, Stdio};

/// Opens a file in the browser of BROWSER, or of the desktop; returns at once.
///
/// # Errors
///
/// The commands that were tried.
pub(super) fn open(path: &Path) -> Result<(), String> {
    let browsers = std::env::var("BROWSER").unwrap_or_default();
    let browsers: Vec<&str> = browsers.split(SEPARATOR).filter(|b| !b.trim().is_empty()).collect();
    if browsers.iter().any(|browser| start(browser, path)) {
        return Ok(());
    }
    if !browsers.is_empty() {
        return Err(format!("BROWSER cannot be started: {}", browsers.join(", ")));
    }
    open::that_detached(path).map_err(|error| format!("no browser can be started: {error}"))
}

/// Between the browsers of BROWSER, of which the first that starts is taken.
const SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

/// A command with its arguments, of which `%s` stands for the file; without it the file is the last one.
fn start(browser: &str, path: &Path) -> bool {
    let mut words = browser.split_whitespace();
    let Some(program) = words.next() else { return false };
    let mut command = Command::new(program);
    let mut is_given = false;
    for word in words {
        if word == "%s" {
            command.arg(path);
            is_given = true;
        } else {
            command.arg(word);
        }
    }
    if !is_given {
        command.arg(path);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    // A browser may run for long: its end is waited for elsewhere.
    std::thread::spawn(move || child.wait());
    true
}
