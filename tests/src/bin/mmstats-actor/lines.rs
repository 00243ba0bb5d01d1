//! Lines between a program and the test that started it.

/// Prints a line for the test that waits for it.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    // A test that no longer listens has failed, and ends this process anyway.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Next line of the test; `None` when the test has ended.
pub(crate) fn hear() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(read) if read > 0 => Some(line.trim_end().to_owned()),
        _ => None,
    }
}
