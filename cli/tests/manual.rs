//! Manual pages, completions, and help that cannot be written.

mod common;

use common::{mmstats, run};

#[test]
fn man_has_a_page_for_each_command_of_help() {
    let dir = tempfile::tempdir().unwrap();
    let written = run(dir.path(), &["man", "--into", dir.path().to_str().unwrap()]);
    assert_eq!(written.code, Some(0), "{}", written.err);
    for command in ["ls", "show", "poll", "events", "clean", "check", "dump", "scan", "man"] {
        let page = run(dir.path(), &["man", command]).out;
        assert!(page.contains(&format!("\n.TH mmstats-{command} 1")), "{command}: {page}");
        assert!(page.contains(".SH \"\\&EXIT CODES\""), "{command}: {page}");
        let version = concat!(" \"mmstats ", env!("CARGO_PKG_VERSION"), "\"");
        assert!(page.contains(version), "{command}: {page}");
        let path = dir.path().join(format!("mmstats-{command}.1"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), page, "{command}");
        assert!(written.out.lines().any(|line| line == path.to_str().unwrap()), "{command}");
    }
    assert!(!dir.path().join("mmstats-demo-publisher.1").exists());
}

#[test]
fn man_of_unknown_command_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let printed = run(dir.path(), &["man", "no\u{1b}such"]);
    assert_eq!((printed.code, printed.out.as_str()), (Some(2), ""));
    assert!(printed.err.contains("no\\u{1b}such"), "{}", printed.err);
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let printed = run(dir.path(), &["man", "--into", file.to_str().unwrap()]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.err.contains("file"), "{}", printed.err);
}

/// Of `mmstats man`, into a directory that is not there yet, and `help`.
#[test]
fn commands_have_pages_and_help_by_all_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("new/man1");
    assert_eq!(run(dir.path(), &["man", "--into", into.to_str().unwrap()]).code, Some(0));
    assert!(into.join("mmstats-ls.1").exists());
    let help = run(dir.path(), &["help", "help"]);
    for option in ["--help", "-h"] {
        let printed = run(dir.path(), &["help", option]);
        assert_eq!((printed.code, &printed.out), (Some(0), &help.out), "{option}: {}", printed.err);
    }
    #[cfg(feature = "threads")]
    assert_eq!(run(dir.path(), &["man", "why"]).out, run(dir.path(), &["man", "threads"]).out);
}

/// Texts are in sections with names, and no table is preformatted.
#[test]
fn page_has_sections_and_tables_of_terms() {
    let dir = tempfile::tempdir().unwrap();
    let page = run(dir.path(), &["man", "ls"]).out;
    assert!(!page.contains("EXTRA") && page.contains(".SH \"\\&EXAMPLES\""), "{page}");
    assert!(page.contains(".TP\n\\fB\\&STATE\\fR\n"), "{page}");
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(at("A row is a program") < at(".SH OPTIONS"), "{page}");
}

#[test]
fn completions_have_every_command_and_option() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let printed = run(dir.path(), &["completions", shell]);
        assert_eq!(printed.code, Some(0), "{shell}");
        for part in ["events", "lanes", "dry-run"] {
            assert!(printed.out.contains(part), "{shell} {part}");
        }
        assert!(!printed.out.contains("\u{1b}"), "{shell}");
    }
    assert_eq!(run(dir.path(), &["completions", "sh"]).code, Some(2));
}

/// Linux: /dev/full refuses each write.
#[cfg(target_os = "linux")]
#[test]
fn help_and_version_on_full_device_fail() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["-V"][..], &["-h"], &["--help"], &["help", "show"], &["show", "--help"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = mmstats(dir.path()).args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("mmstats: cannot write: "), "{arguments:?}: {said}");
    }
}
