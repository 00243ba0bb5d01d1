//! The runner: a right reader passes, and wrong ones do not.
#![allow(missing_docs)]

use std::process::{Command, Output};

#[cfg(unix)] // as below
const READER: &str = env!("CARGO_BIN_EXE_conform-reader");

fn conform(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conform")).args(words).output().unwrap()
}

#[cfg(unix)] // as below
fn run(reader: &str, more: &[&str]) -> (Option<i32>, String) {
    let out = conform(&[&["run", "--reader", reader], more].concat());
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    (out.status.code(), text.lines().last().unwrap().to_owned())
}

#[cfg(unix)] // a shell runs readers
#[test]
fn the_rust_reader_is_right() {
    let (code, last) = run(READER, &["--strict"]);
    assert_eq!(code, Some(0), "{last}");
    let passed: usize = last.split(' ').next().unwrap().parse().unwrap();
    assert!(passed > 700 && last.ends_with(" passed, 0 failed, 0 skipped"), "{last}");
}

#[cfg(unix)] // a shell runs readers
#[test]
fn wrong_readers_fail() {
    let only = ["--only", "{valid,malformed}/s*"];
    let all = conform(&["list", only[0], only[1]]).stdout;
    let all = String::from_utf8(all).unwrap().lines().count();
    assert!(all > 5);
    for (reader, failed) in [
        // Accepts all without a document; refuses all; prints no JSON; dies.
        ("echo '{}'; exit 0;", all),
        ("cat", all),
        ("kill -9 $$;", all),
        ("exit 3;", all),
    ] {
        let (code, last) = run(&format!("sh -c \"{reader}\" sh"), &only);
        assert_eq!((code, last), (Some(1), format!("0 passed, {failed} failed, 0 skipped")));
    }
    // One that only crashes is told how to find out.
    let crash = ["run", "--only", "malformed/state-*", "--reader", "sh -c 'exit 1' sh"];
    let text = String::from_utf8(conform(&crash).stdout).unwrap();
    assert!(text.contains("refusals had no code") && text.contains("--strict"), "{text}");
    // Skipped is not passed.
    let (code, last) = run("sh -c 'exit 2' sh", &only);
    assert_eq!((code, last), (Some(1), format!("0 passed, 0 failed, {all} skipped")));
}

#[cfg(unix)] // a shell runs readers
#[test]
fn known_failures_are_exact() {
    let directory = tempfile::tempdir().unwrap();
    let known = directory.path().join("known");
    let only = ["--only", "malformed/state-*", "--known-failures", known.to_str().unwrap()];
    // A reader that refuses everything is right about these.
    let refuses = "sh -c 'exit 1' sh";
    std::fs::write(&known, "# nothing\n").unwrap();
    assert_eq!(run(refuses, &only).0, Some(0));
    std::fs::write(&known, "malformed/state-0\n").unwrap();
    assert_eq!(run(refuses, &only).0, Some(1), "a known failure that passes");
    std::fs::write(&known, "malformed/other\n").unwrap();
    assert_eq!(run(refuses, &only).0, Some(1), "there is no such fixture");
    std::fs::write(&known, "  # a comment\nvalid/small\n").unwrap();
    assert_eq!(run(refuses, &only).0, Some(0), "a known failure outside of --only");
    // One that accepts everything fails all of them.
    let ids = conform(&["list", "--only", "malformed/state-*"]).stdout;
    let ids = String::from_utf8(ids).unwrap();
    let ids: Vec<&str> = ids.lines().map(|line| line.split(' ').next().unwrap()).collect();
    std::fs::write(&known, ids.join("\n")).unwrap();
    let accepts = "sh -c 'echo {}' sh";
    assert_eq!(run(accepts, &only).1, "0 passed, 0 failed, 0 skipped");
}

#[test]
fn copies_and_explains() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("copy");
    assert!(conform(&["copy", to.to_str().unwrap()]).status.success());
    let small = std::fs::read(to.join("valid/small.mmst")).unwrap();
    assert_eq!(&small[1..4], b"MMS");
    assert!(to.join("malformed/truncated@17.mmst").metadata().unwrap().len() == 17);
    let text = conform(&["explain", "malformed/state-0"]).stdout;
    let text = String::from_utf8(text).unwrap();
    for part in ["base valid/small", "bad-state", "was 2", "file_size: 1152"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // The last line is the expectation of this fixture, not of its base.
    assert!(text.contains("A reader has to say") && !text.contains("\"document\""), "{text}");
}

/// A patched fixture is explained by its changes, a truncated one by its length.
#[test]
fn explains_parts_of_a_file() {
    let explain = |id: &str| String::from_utf8(conform(&["explain", id]).stdout).unwrap();
    let text = explain("sweep/descriptor@atomic-kind-4");
    for part in ["0111  04           was 02", "kind-param", "field 1 kind: 2"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = explain("malformed/truncated@17");
    assert!(text.contains("The first 17 bytes") && text.contains("too-short"), "{text}");
    assert!(explain("gold/0.1.0/text").contains("mmstats dump"));
}

/// Mistakes of the caller: exit code 2, and a message with the remedy.
#[cfg(unix)] // a shell runs readers
#[test]
fn says_what_is_wrong_with_the_question() {
    let only = ["--only", "valid/small"];
    for (words, wanted) in [
        (&["explain", "valid/none"][..], "no fixture valid/none; `list` names all"),
        (&["explain", "valid/small@3"], "no fixture"),
        (&["explain", "malformed/truncated@99999"], "no fixture"),
        (&["explain", "sweep/header"], "fixtures; `list --only 'sweep/header@*'`"),
        (&["list", "--only", "valid/none"], "no fixture matches"),
        (&["list", "--only", "valid/{a"], "valid/{a"),
        (&["--fixtures", "/none", "list"], "/none"),
        (&["run", "--reader", "/none", only[0], only[1]], "the reader does not start"),
        (&["run", "--reader", READER, "--format", "2.0"], "there is 3.0"),
        (&["run", "--reader", READER, only[0], only[1], "--known-failures", "/none"], "/none"),
        (&["run", "--reader", READER, only[0], only[1], "--json", "/none/x"], "/none/x"),
        (&["write", "--writer", "/none"], "the writer does not start"),
    ] {
        let out = conform(words);
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(wanted) && said.lines().count() == 1, "{words:?}: {said}");
    }
}

/// A reader that repeats its first look is found by a writer that stops between two stores.
#[cfg(unix)] // a shell runs readers
#[test]
fn stress_reader_of_one_look_fails() {
    let reader = format!("sh -c 'exec yes \"$({READER} \"$3\")\"' sh");
    let out = conform(&["stress", "--seconds", "1", "--reader", &reader]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        text.contains("did not find the newest values") && out.status.code() == Some(1),
        "{text}"
    );
}

/// Readers that never end, print without end, or leave a child with the pipe.
#[cfg(unix)] // a shell runs readers
#[test]
fn bounds_readers_in_time_and_output() {
    let run = ["run", "--only", "valid/small"];
    let patient = ["run", "--only", "valid/small", "--limit", "1"];
    let stress = ["stress", "--seconds", "1"];
    let all = [
        (&run[..], "true", "it prints nothing"),
        (&run, "yes", "it prints more than 64 MiB"),
        (&run, "sh -c 'sleep 60' sh", "no end after 5 s"),
        (&run, "sh -c 'sleep 8 & exit 0' sh", "its output has no end after 5 s"),
        (&patient, "sh -c 'sleep 4' sh", "no end after 1 s"),
        (&stress, "true", "it ended by itself after 0 looks"),
        (&stress, "sh -c 'exec sleep 60' sh", "it printed nothing for 10 s"),
    ];
    // At the same time: most of it is waiting.
    std::thread::scope(|scope| {
        for (arguments, reader, wanted) in all {
            scope.spawn(move || {
                let out = conform(&[arguments, &["--reader", reader]].concat());
                let text = String::from_utf8(out.stdout).unwrap();
                assert!(text.contains(wanted) && out.status.code() == Some(1), "{reader}: {text}");
            });
        }
    });
}
