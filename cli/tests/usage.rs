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
        &["show", ""],
        &["events", "-n", "x"],
        &["demo", "--threads", "0"],
    ] {
        let printed = run(dir.path(), arguments);
        assert_eq!(printed.code, Some(2), "{arguments:?}: {}", printed.err);
        assert!(!printed.err.is_empty() && printed.out.is_empty(), "{arguments:?}");
    }
}

/// Messages are in words of the command, and say what helps.
#[test]
fn messages_about_wrong_command_lines_say_what_helps() {
    let dir = tempfile::tempdir().unwrap();
    common::all_kinds(&dir.path().join("kinds.mmst"));
    for (arguments, words) in [
        (&["poll"][..], "`mmstats show` lists the fields"),
        (&["poll", "-c", "0", "x"], "not a number from 1 on"),
        (&["events", "-n", "x"], "not a number of lines"),
        (&["show", ""], "an empty text is no process id"),
        (&["show", "--all", "-F", "requsts"], "near it are 'requests'"),
        (&["poll", "requests{", "./kinds.mmst"], "unclosed alternate group"),
    ] {
        let mut command = common::mmstats(dir.path());
        let printed =
            common::printed(command.current_dir(dir.path()).args(arguments).output().unwrap());
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
    }
    let nowhere = run(std::path::Path::new("/nonexistent"), &["show"]).err;
    assert!(nowhere.contains("MMSTATS_PATH names it: `env -u MMSTATS_PATH"), "{nowhere}");
}

/// Commas separate fields in a filter, as they do for `poll`.
#[test]
fn filter_takes_several_fields() {
    let dir = tempfile::tempdir().unwrap();
    common::all_kinds(&dir.path().join("kinds.mmst"));
    let count =
        |filter: &str| run(dir.path(), &["show", "--all", "-F", filter]).out.lines().count();
    assert_eq!((count("load"), count("load,mean"), count("{code=\"200\",x=\"\"}")), (1, 2, 1));
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
