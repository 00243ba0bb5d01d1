//! `capture` against the binary.

mod common;

use std::ffi::OsString;
use std::path::PathBuf;

use common::run;

#[test]
fn capture_equals_output_of_binary() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures");
    let good = fixtures.join("gold/0.1.0/group.mmst");
    let bad = fixtures.join("invalid/help-long.mmst");
    let directory = tempfile::tempdir().unwrap();
    for words in [
        &["show"][..],
        &["show", "-v", "--lanes", "--color=always"],
        &["show", "--json"],
        &["dump"],
        &["check"],
    ] {
        for file in [&good, &bad] {
            let words: Vec<&str> = words.iter().copied().chain(file.to_str()).collect();
            let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
            let here = mmstats_cli::capture(&arguments, None);
            let there = run(directory.path(), &words);
            // Documents have the time.
            let timeless = |text: &str| match text.strip_prefix("{\"time\":") {
                Some(rest) => rest.split_once(',').unwrap().1.to_owned(),
                None => text.to_owned(),
            };
            let out = String::from_utf8(here.out).unwrap();
            assert_eq!(timeless(&out), timeless(&there.out), "{words:?}");
            assert_eq!(String::from_utf8(here.err).unwrap(), there.err, "{words:?}");
            assert_eq!(Some(i32::from(here.code)), there.code, "{words:?}");
        }
    }
    let arguments = [OsString::from("show"), good.into_os_string()];
    let here = mmstats_cli::capture(&arguments, Some((20, 10)));
    let text = String::from_utf8(here.out).unwrap();
    assert!(text.contains('\u{1b}'), "styled: {text:?}");
    let plain = anstream::adapter::strip_str(&text).to_string();
    let width = |line: &str| line.chars().count();
    let widest = plain.lines().map(width).max().unwrap_or(0);
    // A path is one word, which is not broken.
    let words = plain.lines().filter(|line| width(line) > 20 && line.trim().contains(' '));
    assert_eq!(words.collect::<Vec<_>>(), [""; 0], "broken to 20 columns, widest {widest}");
    assert!(plain.lines().count() > 5, "{plain}");
}
