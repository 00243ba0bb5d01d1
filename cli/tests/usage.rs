//! Help, wrong command lines, exit codes.

mod common;

use common::run;

#[test]
fn help_has_examples_and_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["ls", "show", "top", "poll", "clean", "demo"] {
        let short = run(dir.path(), &[command, "-h"]);
        let long = run(dir.path(), &[command, "--help"]);
        assert_eq!((short.code, long.code), (Some(0), Some(0)));
        assert!(long.out.len() > short.out.len());
        for part in ["Examples:", "Exit codes:", &format!("  mmstats {command}")] {
            assert!(long.out.contains(part), "{command} {part}: {}", long.out);
        }
        assert!(short.out.lines().chain(long.out.lines()).all(|line| line.chars().count() <= 100));
        let top = run(dir.path(), &["--help"]).out;
        assert!(top.contains(&format!("\n  {command} ")), "{command} in {top}");
    }
    let top = run(dir.path(), &["--help"]).out;
    assert!(top.contains("Exit codes:") && !top.contains("demo-publisher"), "{top}");
    assert!(run(dir.path(), &["--version"]).out.starts_with("mmstats "));
}

#[test]
fn wrong_command_line_has_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["nonsense"],
        &["show", "--nonsense"],
        &["poll"],
        &["poll", ","],
        &["poll", "-d", "0", "x"],
        &["poll", "-c", "0", "x"],
        &["show", "--filter", "["],
        &["demo", "--threads", "0"],
    ] {
        let printed = run(dir.path(), arguments);
        assert_eq!(printed.code, Some(2), "{arguments:?}: {}", printed.err);
        assert!(!printed.err.is_empty() && printed.out.is_empty(), "{arguments:?}");
    }
}

#[test]
fn commands_without_programs_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let printed = run(dir.path(), &["ls"]);
    assert_eq!((printed.code, printed.out.as_str()), (Some(0), ""));
    assert!(printed.err.contains("mmstats demo"), "{}", printed.err);
    assert!(run(dir.path(), &["ls", "--json"]).out.ends_with(",\"files\":[]}\n"));
    assert_eq!(run(dir.path(), &["show"]).code, Some(1));
    assert!(run(dir.path(), &["show", "--json"]).out.ends_with(",\"files\":[]}\n"));
    assert_eq!(run(dir.path(), &["poll", "x"]).code, Some(1));
    assert_eq!(run(dir.path(), &["clean"]).code, Some(0));
    let printed = run(dir.path(), &["show", "4000000000"]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.err.contains("4000000000"), "{}", printed.err);
    let printed = run(dir.path(), &["ls", "no\u{1b}[2Jsuch"]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.err.contains("no\\u{1b}[2Jsuch"), "{}", printed.err);
}

#[test]
fn color_option_decides_styles() {
    let dir = tempfile::tempdir().unwrap();
    let path = common::fixtures().join("web.mmstats");
    let path = path.to_str().unwrap();
    let plain = run(dir.path(), &["show", "-v", path]).out;
    assert!(!plain.contains('\u{1b}'));
    assert!(run(dir.path(), &["show", "-v", "--color=always", path]).out.contains('\u{1b}'));
    assert_eq!(run(dir.path(), &["show", "-v", "--color=never", path]).out, plain);
}
