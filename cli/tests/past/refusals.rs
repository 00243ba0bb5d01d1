//! Recordings that are none, that cannot be read, or lack the program.

use std::time::Duration;

use crate::common::{self, run};
use crate::recorded::{recorded, start};

#[test]
fn recording_in_place_of_a_program_is_known_as_one() {
    let web = recorded();
    let file = web.file();
    std::fs::write(web.directory.path().join("broken.gz"), [0x1f]).unwrap();
    let broken = web.directory.path().join("broken.gz");
    let broken = broken.to_str().unwrap();
    let mut commands =
        vec![vec!["check", file], vec!["clean", file], vec!["dump", file], vec!["scan", file]];
    for path in [file, broken] {
        commands.extend([
            vec!["alert", path, "dead"],
            vec!["alert", "--wait", path, "dead"],
            vec!["events", path],
            vec!["ls", path],
        ]);
        #[cfg(feature = "top")]
        commands.push(vec!["top", path]);
        #[cfg(feature = "serve")]
        commands.push(vec!["serve", path]);
        #[cfg(feature = "export")]
        commands.push(vec!["export", "prometheus", "--once", path]);
    }
    for arguments in commands {
        let printed = run(web.directory.path(), &arguments);
        let code = match arguments[0] {
            "check" => 1,
            "alert" => 3,
            _ => 2,
        };
        assert_eq!(printed.code, Some(code), "{arguments:?}");
        let words = "of `mmstats record`: `show`, `poll`";
        assert_eq!(printed.err.matches(words).count(), 1, "{arguments:?}: {}", printed.err);
        let is_answer = ["alert", "check"].contains(&arguments[0]);
        assert!(printed.out.is_empty() || is_answer, "{arguments:?}: {}", printed.out);
    }
    // A forgotten -o.
    let printed = run(web.directory.path(), &["record", file]);
    assert!(printed.err.contains("`--output FILE`"), "{}", printed.err);
    assert_eq!(printed.code, Some(2));
}

/// They are told from names of programs.
#[test]
fn recording_that_cannot_be_read_is_not_taken_for_a_program() {
    let web = recorded();
    let dir = web.directory.path();
    let whole = std::fs::read(web.file()).unwrap();
    std::fs::write(dir.join("cut.jsonl.gz"), &whole[..40]).unwrap();
    std::fs::write(dir.join("empty.jsonl.gz"), "").unwrap();
    std::fs::write(dir.join("text.gz"), "my diary, which is no file of gzip").unwrap();
    for (file, words) in [
        ("absent.jsonl.gz", "cannot open it: no such file"),
        ("cut.jsonl.gz", "it is cut or damaged before its first block ends"),
        ("empty.jsonl.gz", "it is empty"),
        ("text.gz", "it is no file of gzip"),
    ] {
        let commands = [&["show", "--at", "-3s", file][..], &["poll", "*", file], &["show", file]];
        for arguments in commands {
            let mut command = common::mmstats(&web.stats());
            let output = command.args(arguments).current_dir(dir).output();
            let printed = common::printed(output.unwrap());
            assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
            assert_eq!(printed.code, Some(1), "{arguments:?}: {}", printed.err);
        }
    }
    let mut command = common::mmstats(&web.stats());
    let printed = common::printed(command.args(["replay", "web"]).output().unwrap());
    assert!(printed.err.contains("`mmstats record -o FILE web`"), "{}", printed.err);
}

/// By commands that read them, in the same words.
#[test]
fn recording_without_the_program_says_which_it_has() {
    let web = recorded();
    let dir = web.directory.path();
    let words = "the recording has no such program at ";
    for arguments in [
        &["show", web.file(), "nosuch"][..],
        &["poll", "requests", web.file(), "nosuch"],
        &["convert", "csv", web.file(), "nosuch"],
        #[cfg(feature = "threads")]
        &["threads", web.file(), "nosuch"],
    ] {
        let printed = run(dir, arguments);
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(": nosuch; it has past-"), "{arguments:?}: {}", printed.err);
        assert!(!printed.err.contains("no field"), "{arguments:?}: {}", printed.err);
        assert_eq!(printed.code, Some(1), "{arguments:?}");
    }
}

/// The message is about the time of the recording, not about now.
#[test]
fn recording_without_programs_says_when_it_last_had_one() {
    let web = recorded();
    let dir = web.directory.path();
    let text = dir.join("diary.txt");
    std::fs::write(&text, "my diary, which is no image").unwrap();
    let empty = dir.join("empty.jsonl.gz");
    // A recorder that continues the file and finds no program, or an unreadable file alone.
    for (source, file) in [(&dir.join("none"), &web.file), (&text, &empty)] {
        let (sampler, recorder) = start(source, file);
        sampler.wait(sampler.looks() + 3, Duration::from_secs(10));
        drop(sampler);
        recorder.finish();
    }
    let printed = run(dir, &["show", web.file()]);
    assert!(printed.err.contains("the recording has no program at "), "{}", printed.err);
    assert!(printed.err.contains("it had past-"), "{}", printed.err);
    let printed = run(dir, &["show", empty.to_str().unwrap()]);
    assert!(printed.err.contains("the recording has no program at "), "{}", printed.err);
    assert_eq!((printed.code, &*printed.out), (Some(1), ""));
    let future = ["replay", "--from", "2100-01-01T00:00:00Z", web.file()];
    assert!(run(dir, &future).err.contains("no look from 2100-01-01"));
}
