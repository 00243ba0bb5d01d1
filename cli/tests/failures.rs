//! Errors of the system: each names the file or address, what was tried, and what helps.
#![cfg(unix)] // paths, sockets and signals

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use common::{Printed, mmstats, run, signal, wait_for};

/// No message has the number of the system or a name in Rust.
fn check(printed: &Printed, words: &[&str]) {
    for words in words {
        assert!(printed.err.contains(words), "{words}: {}", printed.err);
    }
    for bare in ["os error", " at path ", "kind:", "Err("] {
        assert!(!printed.err.contains(bare), "{bare}: {}", printed.err);
    }
}

/// Runs commands that repeat beside each other, until each has said something.
fn run_until_said<const N: usize>(directory: &Path, all: [&[&str]; N]) -> [Printed; N] {
    let all = all.map(|arguments| {
        let said = tempfile::NamedTempFile::new().unwrap();
        let mut command = mmstats(directory);
        let stderr = said.reopen().unwrap();
        let child = command.args(arguments).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        (child, said)
    });
    let text = |said: &tempfile::NamedTempFile| std::fs::read_to_string(said.path()).unwrap();
    for (child, said) in &all {
        wait_for(|| text(said).ends_with('\n').then_some(()));
        signal(child.id(), "TERM");
    }
    all.map(|(mut child, said)| {
        let code = child.wait().unwrap().code();
        Printed { out: String::new(), err: text(&said), code }
    })
}

#[test]
fn scan_that_cannot_extract_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.mmst");
    common::all_kinds(&path);
    let (path, out) = (path.to_str().unwrap(), dir.path().join("out"));
    let out = out.to_str().unwrap();
    assert_eq!(run(dir.path(), &["scan", "-e", out, path]).code, Some(0));
    let again = run(dir.path(), &["scan", "-e", out, path]);
    assert_eq!(again.code, Some(1));
    let file = format!("mmstats: {out}/web.mmst@0.mmst: cannot make it: the name is already taken");
    check(&again, &[&file, "it is not overwritten; remove it, or name another directory"]);
    let file = run(dir.path(), &["scan", "-e", path, path]);
    assert_eq!(file.code, Some(1));
    check(&file, &[&format!("{path}: cannot make the directory: it is no directory"), "--extract"]);
    let nowhere = run(dir.path(), &["scan", "-e", "/proc/no/out", path]);
    check(&nowhere, &["/proc/no/out: cannot make the directory: no such file or directory"]);
}

#[test]
fn server_that_cannot_begin_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let path = |name: &str| format!("{place}/{name}");
    std::fs::write(path("file"), "short").unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(path("taken")).unwrap();
    for (option, value, code, words) in [
        ("--socket", path("file"), 1, "the name is already taken, and that is no socket"),
        ("--socket", path("taken"), 1, "another program listens there"),
        ("--socket", path("no/s"), 1, "no: no such file or directory"),
        ("--socket", path("file/s"), 1, "file is no directory"),
        ("--token-file", path("no"), 2, "cannot read it: no such file or directory"),
        ("--token-file", place.to_owned(), 2, "it is no regular file"),
        ("--listen", "192.0.2.1:0".to_owned(), 2, "--token-file FILE"),
    ] {
        let printed = run(dir.path(), &["serve", option, &value]);
        assert_eq!(printed.code, Some(code), "{option} {value}: {}", printed.err);
        check(&printed, &[&value, words]);
        if option == "--token-file" {
            check(&printed, &["whose first line is 16 or more letters and digits"]);
        }
    }
    assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "short");
}

#[test]
fn exporter_that_cannot_write_or_connect_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let program = common::Publisher::start(dir.path());
    let place = dir.path().to_str().unwrap();
    let file = format!("{place}/no/x.prom");
    // A port where nothing listens.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{free}");
    let [no_directory, directory, graphite, otlp] = run_until_said(
        dir.path(),
        [
            &["export", "prometheus", "--textfile", &file],
            &["export", "prometheus", "--textfile", place],
            &["export", "graphite", "--to", &free],
            &["export", "otlp", "--to", &url],
        ],
    );
    assert_eq!(no_directory.code, Some(1), "{}", no_directory.err);
    check(
        &no_directory,
        &[&format!("cannot write {file}: "), "no: no such file or directory; tried again every 15"],
    );
    check(&directory, &[&format!("cannot write {place}: it is a directory: name a file in it")]);
    check(
        &graphite,
        &[&format!("{free}: cannot connect: connection refused: does carbon listen there?")],
    );
    check(&graphite, &["it is tried again"]);
    check(
        &otlp,
        &[&format!("{url}: cannot connect: connection refused: does a collector listen there?")],
    );
    for arguments in [
        ["graphite", "--to", "127.0.0.1"],
        ["graphite", "--to", "127.0.0.1:carbon"],
        ["graphite", "--to", ":2003"],
        ["otlp", "--to", "127.0.0.1:4318"],
        ["otlp", "--to", "http://"],
        ["otlp", "--to", "http://127.0.0.1:x"],
    ] {
        let printed = run(dir.path(), &[&["export"][..], &arguments].concat());
        assert_eq!(printed.code, Some(2), "{arguments:?}: {}", printed.err);
        check(&printed, &["--to needs "]);
    }
    drop(program);
}

#[test]
fn recording_that_cannot_be_made_names_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let file = format!("{place}/no/x.gz");
    let printed = run(dir.path(), &["record", "-o", &file, "1"]);
    assert_eq!(printed.code, Some(1));
    check(&printed, &[&format!("{file}: cannot "), &format!("there is no directory {place}/no")]);
    let printed = run(dir.path(), &["record", "-o", place, "1"]);
    assert_eq!(printed.code, Some(1));
    check(&printed, &[place, "--output takes a file"]);
}

#[test]
fn manual_pages_that_can_have_no_directory_name_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let into = file.join("such").to_str().unwrap().to_owned();
    let printed = run(dir.path(), &["man", "--into", &into]);
    assert_eq!(printed.code, Some(1));
    check(&printed, &[&format!("mmstats.1: cannot write: its directory {into}: ")]);
}
