//! Compiling and running programs in C and C++.
#![allow(dead_code)] // No test uses all of them.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// This folder.
pub(crate) fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the library, and with this test.
pub(crate) fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().unwrap();
    assert!(deps.join("libmmstats_c.a").exists(), "no library in {}", deps.display());
    deps.to_path_buf()
}

/// Variable with another static library for the programs.
pub(crate) const LIBRARY: &str = "MMSTATS_C_LIBRARY";

/// What a static library of Rust needs from the system.
const SYSTEM: [&str; 3] = ["-lpthread", "-ldl", "-lm"];

/// Whether this is a test for another machine.
pub(crate) fn is_emulated() -> bool {
    std::env::var_os("MMSTATS_EMULATED").is_some()
}

/// The compiler of C, or of C++ for a source in it; `MMSTATS_CC` and `MMSTATS_CXX` choose another one.
fn compiler(source: &Path) -> String {
    let (variable, usual) = if source.extension().is_some_and(|e| e == "cpp") {
        ("MMSTATS_CXX", "c++")
    } else {
        ("MMSTATS_CC", "cc")
    };
    std::env::var(variable).unwrap_or_else(|_| usual.to_owned())
}

/// Compiles `source` with these arguments and links the static library; panics with the errors.
pub(crate) fn compile(source: &Path, arguments: &[&str], to: &Path) {
    let usual = || library().join("libmmstats_c.a").into_os_string();
    let library = std::env::var_os(LIBRARY).unwrap_or_else(usual);
    run(source, arguments, to, [library].into_iter().chain(SYSTEM.map(Into::into)));
}

/// [`compile`] without linking.
pub(crate) fn compile_only(source: &Path, arguments: &[&str], to: &Path) {
    run(source, arguments, to, []);
}

fn run(source: &Path, arguments: &[&str], to: &Path, link: impl IntoIterator<Item = OsString>) {
    let mut command = Command::new(compiler(source));
    command.args(arguments).arg("-I").arg(here().join("include")).arg(source).arg("-o").arg(to);
    let out = command.args(link).output().expect("a compiler for C and C++");
    assert!(out.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stderr.is_empty(), "{command:?}\n{}", String::from_utf8_lossy(&out.stderr));
}

/// Strict, with every warning as an error.
pub(crate) const STRICT: [&str; 5] = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-O2"];

/// `STRICT` for a standard.
pub(crate) fn strict(standard: &str) -> Vec<&str> {
    STRICT.into_iter().chain([standard]).collect()
}

/// The environment of a program that publishes in `directory`: nothing else of ours but what an emulator needs.
pub(crate) fn set_environment(command: &mut Command, directory: &Path) {
    let kept = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QEMU_"));
    command.env_clear().envs(kept).env("MMSTATS_PATH", directory);
}

/// A program that runs until its standard input ends.
pub(crate) struct Program {
    pub(crate) child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Program {
    /// Starts `program`, which publishes in `directory`.
    pub(crate) fn start(program: &Path, arguments: &[&str], directory: &Path) -> Self {
        let mut command = Command::new(program);
        set_environment(&mut command, directory);
        command.args(arguments);
        if arguments.contains(&"fork") {
            // What threads of the parent had in hand is lost in a child.
            command.env("ASAN_OPTIONS", "detect_leaks=0");
        }
        // Children start threads.
        command.env("TSAN_OPTIONS", "die_after_fork=0");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program");
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Ends its standard input; panics if it fails.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status} {rest}");
    }
}
