//! Help, wrong command lines, exit codes.

mod common;

use common::{mmstats, printed, run};

#[test]
fn help_has_examples_and_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["ls", "show", "top", "poll", "clean", "alert", "demo"] {
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

/// A line of a paragraph ends where the next word has no room.
#[test]
fn paragraphs_of_help_are_as_wide_as_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    for (command, columns) in [("show", 50), ("poll", 80), ("alert", 60), ("clean", 72)] {
        let mut help = mmstats(dir.path());
        help.args([command, "--help"]).env("COLUMNS", columns.to_string());
        let help = printed(help.output().unwrap()).out;
        let at_margin = |line: &str| !line.is_empty() && !line.starts_with(' ');
        let lines: Vec<&str> = help.lines().skip_while(|line| *line != "Options:").collect();
        let mut count = 0;
        for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| at_margin(line))) {
            let word = pair[1].split(' ').next().unwrap().chars().count();
            let width = pair[0].chars().count();
            assert!(width + 1 + word > columns && width <= columns, "{command}: {pair:?}");
            count += 1;
        }
        assert!(count > 3, "{command}: {help}");
    }
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
        &["events", "-d", "1"],
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
        (&["show", "-F", "requests{"], "a brace has no other one; attributes are written"),
        (&["show", "--lvl", "debug"], "a similar argument exists: '--level'"),
        (&["demo", "-s", "x"], "not a whole number of seconds"),
        (&["replay", "web"], "`mmstats record -o FILE web`"),
        (
            &["poll", "requests{", "./kinds.mmst"],
            "a brace has no other one; attributes are written",
        ),
    ] {
        let mut command = common::mmstats(dir.path());
        let printed =
            common::printed(command.current_dir(dir.path()).args(arguments).output().unwrap());
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
    }
    let nowhere = run(std::path::Path::new("/nonexistent"), &["show"]).err;
    assert!(nowhere.contains("MMSTATS_PATH names it: `env -u MMSTATS_PATH"), "{nowhere}");
    // A file is no directory.
    let file = dir.path().join("kinds.mmst");
    let help = "MMSTATS_PATH names it, and has to be a directory: `env -u MMSTATS_PATH";
    for arguments in
        [&["ls"][..], &["show"], &["show", "web"], &["clean"], &["alert", "web", "dead"]]
    {
        let printed = run(&file, arguments);
        assert_ne!(printed.code, Some(0), "{arguments:?}");
        assert!(printed.err.contains(help), "{arguments:?}: {}", printed.err);
    }
}

/// What looks in other places than the directory that is set.
#[test]
fn advice_about_other_places_takes_the_set_directory_away() {
    let dir = tempfile::tempdir().unwrap();
    let advice = |words: &str| {
        let printed = run(dir.path(), &["show"]);
        assert_eq!(printed.code, Some(1));
        assert!(printed.err.contains(", the value of MMSTATS_PATH"), "{}", printed.err);
        assert!(printed.err.contains(words), "{}", printed.err);
        assert!(!printed.err.contains(" `mmstats ls`"), "{}", printed.err);
    };
    advice("`env -u MMSTATS_PATH mmstats ls` lists other places");
    common::all_kinds(&dir.path().join("kinds.mmst"));
    advice("--all shows the 1 that ended too; `env -u MMSTATS_PATH mmstats ls` lists other places");
}

/// All commands say in the same words where was looked and what might help.
#[test]
fn empty_directory_has_the_same_advice_in_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let place = format!("in {}, the value of MMSTATS_PATH", dir.path().display());
    for arguments in [
        &["ls"][..],
        &["show"],
        &["poll", "x"],
        &["events"],
        &["clean"],
        #[cfg(feature = "threads")]
        &["threads"],
        #[cfg(feature = "export")]
        &["export", "prometheus", "--once"],
    ] {
        let printed = run(dir.path(), arguments);
        for words in [&*place, "; `env -u MMSTATS_PATH mmstats ls` lists other places"] {
            assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
        }
        assert_eq!(printed.err.lines().count(), 1, "{arguments:?}: {}", printed.err);
    }
    // Nothing of a directory that is not there is said twice.
    let nowhere = run(std::path::Path::new("/nonexistent"), &["show", "web"]).err;
    assert_eq!(nowhere.matches("env -u MMSTATS_PATH").count(), 1, "{nowhere}");
}

/// The child says why it cannot publish; its end is no news.
#[test]
fn demo_that_cannot_publish_says_why_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let printed = run(&file, &["demo", "-s", "1"]);
    assert_eq!((printed.code, printed.err.lines().count()), (Some(1), 1), "{}", printed.err);
    assert!(printed.err.contains("cannot publish: "), "{}", printed.err);
}

/// Rows of tables too: their texts go on under their column.
#[test]
fn help_fits_every_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let top = run(dir.path(), &["--help"]).out;
    let commands = top.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(commands.len() > 8, "{top}");
    for columns in [80, 60] {
        for command in &commands {
            let mut help = mmstats(dir.path());
            help.args([*command, "--help"]).env("COLUMNS", columns.to_string());
            let help = printed(help.output().unwrap()).out;
            // `clap` breaks no usage.
            let lines = help.lines().filter(|line| !line.starts_with("Usage: "));
            for line in lines.filter(|line| line.chars().count() > columns) {
                let is_word = !line.trim().contains(' ');
                assert!(is_word, "{command} at {columns}: {line}");
            }
        }
    }
    let mut help = mmstats(dir.path());
    help.args(["alert", "--help"]).env("COLUMNS", "80");
    let help = printed(help.output().unwrap()).out;
    let row = "  dead                         the program died; one that ended cleanly did not.\n";
    let rest = "                               Of a directory it is";
    assert!(help.contains(&format!("{row}{rest}")), "{help}");
}

/// One option, whatever it is called.
#[test]
fn every_delay_is_called_every_too() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        &["show", "-w"][..],
        &["poll", "x"],
        &["alert", "web", "dead"],
        &["events", "-f"],
        #[cfg(feature = "top")]
        &["top"],
        #[cfg(feature = "serve")]
        &["serve"],
        #[cfg(feature = "threads")]
        &["threads", "-w"],
        #[cfg(feature = "record")]
        &["record"],
        #[cfg(feature = "export")]
        &["export", "prometheus"],
        #[cfg(feature = "export")]
        &["export", "graphite", "--to", "host:1"],
    ] {
        for option in ["--delay", "--every", "-d"] {
            let printed = run(dir.path(), &[arguments, &[option, "x"]].concat());
            let words = "invalid value 'x' for '--delay <SECONDS>'";
            assert!(printed.err.contains(words), "{arguments:?} {option}: {}", printed.err);
        }
    }
}

/// Commands that take files name those of a directory.
#[test]
fn commands_for_files_name_those_of_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    for command in ["check", "dump", "scan"] {
        let printed = run(dir.path(), &[command, place]);
        assert_eq!(printed.code, Some(1));
        assert!(printed.err.contains("the directory has none"), "{command}: {}", printed.err);
    }
    common::all_kinds(&dir.path().join("kinds.mmst"));
    std::fs::copy(common::fixtures().join("web.mmstats"), dir.path().join("old.mmstats")).unwrap();
    for command in ["check", "dump", "scan"] {
        let printed = run(dir.path(), &[command, place]);
        let files = format!("those of the directory are {place}/*.mmst {place}/*.mmstats\n");
        assert!(printed.err.ends_with(&files), "{command}: {}", printed.err);
    }
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
    assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""));
    assert!(printed.err.contains("mmstats demo"), "{}", printed.err);
    let printed = run(dir.path(), &["ls", "--json", dir.path().to_str().unwrap()]);
    assert_eq!((printed.code, printed.out.ends_with(",\"files\":[]}\n")), (Some(1), true));
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

/// Each state of JSON is a word of the help; `--all`, as of `show`, is no error.
#[test]
fn ls_explains_states_and_takes_all() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["ls", "--help"]).out;
    let schema = include_str!("../schema/output.json");
    let states =
        schema.split("\"state\": { \"enum\": [").nth(1).map(|all| &all[..all.find(']').unwrap()]);
    let states: Vec<&str> =
        states.unwrap().split(", ").map(|word| word.trim_matches('"')).collect();
    assert!(states.len() > 5, "{states:?}");
    for state in states.iter().chain(&["running", "stopped", "zombie"]) {
        assert!(help.contains(state), "{state}: {help}");
    }
    common::all_kinds(&dir.path().join("kinds.mmst"));
    let files = |printed: common::Printed| {
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        printed.out.split('\t').nth(6).map(str::to_owned)
    };
    let plain = files(run(dir.path(), &["ls"]));
    assert_eq!(files(run(dir.path(), &["ls", "--all"])), plain);
    assert_eq!(files(run(dir.path(), &["ls", "-a"])), plain);
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
