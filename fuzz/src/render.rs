//! Output of the tools for some files: it parses and has no control characters.

use std::ffi::OsString;
use std::path::Path;

use crate::limits::Limits;
use crate::place;

/// A tool: its words, and the terminal it writes to.
type Tool = (&'static [&'static str], Option<(usize, usize)>);

/// All ways to show a file.
pub const TOOLS: &[Tool] = &[
    (&["show"], None),
    (&["show", "--json"], None),
    (&["show", "-v"], None),
    (&["show", "-v", "--lanes"], Some((80, 24))),
    (&["show", "--lanes", "--json"], None),
    (&["show", "--lanes", "--level=debug"], None),
    (&["show"], Some((20, 5))),
    (&["ls"], None),
    (&["ls"], Some((60, 10))),
    (&["ls", "--json"], None),
    (&["check"], None),
    (&["dump"], None),
    (&["scan", "-v"], None),
    (&["events"], None),
    (&["events", "--json"], None),
    (&["events"], Some((40, 10))),
    (&["poll", "-c1", "*"], None),
    (&["poll", "-c1", "--json", "*"], None),
    (&["poll", "-c1", "*"], Some((50, 10))),
];

/// Shows the files made of the bytes with one of the tools.
pub fn run(data: &[u8]) {
    place::clear();
    let images = place::images(data);
    let mut size = 0;
    for (name, image) in ["a.mmst", "b.mmst"].iter().zip(&images) {
        let _ = place::put(name, image);
        size += image.len();
    }
    let which = data.last().copied().unwrap_or(0).into();
    one(&place::directory(), size, which);
}

/// Shows the files made of the bytes with each of the tools.
pub fn all(data: &[u8]) {
    let mut data = data.to_vec();
    for which in 0..TOOLS.len() {
        // A byte behind the image, which selects the tool.
        data.push(u8::try_from(which).unwrap_or(0));
        run(&data);
        data.pop();
    }
}

/// Shows a file or a directory of files of `size` bytes with tool number `which`.
///
/// # Panics
///
/// If the output breaks a rule.
pub fn one(path: &Path, size: usize, which: usize) {
    let (words, terminal) = TOOLS[which % TOOLS.len()];
    // These take one file.
    let single = matches!(words[0], "check" | "dump" | "scan");
    let path = if single && path.is_dir() { path.join("a.mmst") } else { path.to_owned() };
    let path = path.into_os_string();
    let arguments: Vec<OsString> = words.iter().map(OsString::from).chain([path]).collect();
    let (shown, _) = Limits::TOOLS.hold(4 * size, || mmstats_cli::capture(&arguments, terminal));
    for (bytes, place) in [(&shown.out, "output"), (&shown.err, "errors")] {
        let text = str::from_utf8(bytes).unwrap_or_else(|e| panic!("{words:?} {place}: {e}"));
        let plain = if terminal.is_some() { without_styles(text) } else { text.to_owned() };
        let bad = plain.chars().find(|c| !may_be_shown(*c));
        assert!(bad.is_none(), "{words:?} {place}: {bad:?} in {plain:?}");
    }
    if words.contains(&"--json") {
        for line in str::from_utf8(&shown.out).unwrap_or("").lines() {
            let parsed = serde_json::from_str::<serde_json::Value>(line);
            assert!(parsed.is_ok_and(|value| value.is_object()), "{words:?}: {line:?}");
        }
    }
    // 3: of a program something is missing.
    assert!(matches!(shown.code, 0 | 1 | 3), "{words:?}: code {}", shown.code);
}

/// A second list, so that a gap in the list of the tools is found.
fn may_be_shown(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        // Directions, and invisible characters.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        '\u{feff}' | '\u{61c}' | '\u{e0000}'..='\u{e007f}' => false,
        _ => !c.is_control(),
    }
}

/// The text without colours, the only sequences that the tools write.
fn without_styles(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let digits = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(0);
        match after.get(digits..).and_then(|end| end.strip_prefix('m')) {
            Some(end) => rest = end,
            // Not a colour: kept, so that the check for control characters finds it.
            None => {
                plain.push('\u{1b}');
                rest = after;
            }
        }
    }
    plain + rest
}
