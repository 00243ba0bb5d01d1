//! `conform write`: right writers pass, and each fault that is planted in a file or a writer is found.
#![cfg(unix)] // a shell runs writers
#![allow(missing_docs)]

mod faults;
mod image;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use faults::faults;
use image::Image;

const READER: &str = env!("CARGO_BIN_EXE_conform-reader");
const WRITER: &str = env!("CARGO_BIN_EXE_conform-writer");

/// Runs `conform write`; the same reader twice, which is fast.
fn write(writer: &str, more: &[&str]) -> Output {
    let arguments = ["write", "--writer", writer, "--reader", READER, "--reader", READER];
    Command::new(env!("CARGO_BIN_EXE_conform")).args(arguments).args(more).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A writer whose every file is this one.
fn copying(file: &Path) -> String {
    format!("sh -c 'cp {} \"$2\"' sh", file.display())
}

#[test]
fn right_writer_passes() {
    let out = write(WRITER, &["--level", "2"]);
    let said = text(&out);
    assert!(out.status.success(), "{said}");
    assert!(said.ends_with(" passed, 0 failed, 2 skipped\n"), "{said}");
    let out = write(WRITER, &[]);
    assert!(text(&out).ends_with("23 passed, 0 failed, 0 skipped\n") && out.status.success());
}

/// Each fault is found in a file that is right without it, by the rule that names it.
#[test]
fn planted_faults_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept");
    let out = write(WRITER, &["--level", "2", "--keep", kept.to_str().unwrap()]);
    assert!(out.status.success(), "{}", text(&out));
    let faults = faults();
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let file = kept.join(format!("{}.mmst", fault.case.replace(' ', "-")));
                    let mut image = Image::new(std::fs::read(file).unwrap());
                    (fault.plant)(&mut image);
                    let name: String =
                        fault.about.chars().filter(char::is_ascii_alphanumeric).collect();
                    let planted = directory.path().join(name);
                    std::fs::write(&planted, image.finish()).unwrap();
                    let out = write(&copying(&planted), &["--level", "2", "--only", fault.case]);
                    let (said, about) = (text(&out), fault.about);
                    let right = match fault.found {
                        Some(found) => said.contains(found) && out.status.code() == Some(1),
                        None => out.status.success(),
                    };
                    if !right {
                        let wrong = format!("{about}: not {:?} in {said}", fault.found);
                        missed.lock().unwrap().push(wrong);
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "{} missed\n{}", missed.len(), missed.join("\n"));
    let planted = faults.iter().filter(|fault| fault.found.is_some()).count();
    println!("{planted} faults found, {} changes allowed", faults.len() - planted);
}

/// Files of one writer have different instances.
#[test]
fn instance_of_two_files_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().to_str().unwrap();
    let both = ["--only", "a {counter,gauge}"];
    assert!(write(WRITER, &[&both[..], &["--keep", kept]].concat()).status.success());
    for name in ["a-counter", "a-gauge"] {
        let file = directory.path().join(format!("{name}.mmst"));
        let mut image = Image::new(std::fs::read(&file).unwrap());
        image.set(32, 8, 0x0807_0605_0403_0201);
        image.set(40, 8, 0x0807_0605_0403_0201);
        std::fs::write(directory.path().join(format!("copy-{name}")), image.finish()).unwrap();
    }
    let writer = format!("sh -c 'cp {kept}/copy-$(basename \"$2\" .mmst) \"$2\"' sh");
    let out = write(&writer, &both);
    assert!(
        text(&out).contains("FAILED a gauge: instance: that of \"a counter\" too"),
        "{}",
        text(&out)
    );
}

/// Writers that end wrongly.
#[test]
fn wrong_exit_is_found() {
    for (about, script, only, found) in [
        (
            "says that it wrote",
            "exit 0",
            "a counter",
            "exit status: 0 and no file, not exit status: 0 and a file",
        ),
        ("refuses all", "exit 1", "a counter", "exit status: 1 and no file"),
        ("does not support level 1", "exit 2", "a counter", "exit status: 2 and no file"),
        ("dies", "kill -9 $$", "a counter", "signal: 9"),
        ("accepts a wrong label", "exit 0", "no label", "not exit status: 1 and no file"),
        ("leaves a file", "echo > \"$2\"; exit 1", "no label", "exit status: 1 and a file"),
        (
            "leaves a file, and says 2",
            "echo > \"$2\"; exit 2",
            "an unknown kind",
            "exit status: 2 and a file",
        ),
        ("refuses an unknown kind", "exit 1", "an unknown kind", "not exit status: 2 and no file"),
        ("replaces a file", "echo > \"$2\"", "a name that is taken", "exit status: 0 and a file"),
        (
            "replaces a file, and says 1",
            "echo > \"$2\"; exit 1",
            "a name that is taken",
            "exit status: 1 and a file",
        ),
        (
            "removes a file",
            "rm \"$2\"; exit 1",
            "a name that is taken",
            "exit status: 1 and no file",
        ),
        (
            "says nothing of a file",
            "exit 0",
            "a name that is taken",
            "exit status: 0 and the file that was there",
        ),
    ] {
        let writer = format!("sh -c '{script}' sh");
        let out = write(&writer, &["--level", "2", "--only", only]);
        let said = text(&out);
        assert!(said.contains(found), "{about}: {said}");
        assert!(said.ends_with("0 passed, 1 failed, 0 skipped\n"), "{about}: {said}");
    }
}

/// A right image under a name that readers refuse.
#[test]
fn link_is_found() {
    let writer = format!("sh -c '{WRITER} \"$1\" \"$2.mmst\"; ln -s \"$2.mmst\" \"$2\"' sh");
    let out = write(&writer, &["--only", "a counter"]);
    let said = text(&out);
    assert!(
        said.contains("FAILED a counter: file: it is no") && out.status.code() == Some(1),
        "{said}"
    );
}

/// What a writer does not support is skipped above level 1, and nothing else is enough to pass.
#[test]
fn not_supported_is_skipped() {
    let none = "sh -c 'exit 2' sh";
    let out = write(none, &["--level", "2", "--only", "a group*"]);
    assert!(text(&out).ends_with("0 passed, 0 failed, 3 skipped\n"), "{}", text(&out));
    assert_eq!(out.status.code(), Some(1));
    let out = write(none, &["--only", "nothing of the kind"]);
    assert_eq!(out.status.code(), Some(2));
    let out = write(none, &["--level", "3"]);
    assert_eq!(out.status.code(), Some(2));
}
