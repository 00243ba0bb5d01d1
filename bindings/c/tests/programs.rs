//! Programs in C and C++: compiled by strict compilers, run, read back.
#![cfg(unix)] // a compiler called `cc`
#![allow(unsafe_code)] // `kill`; each block has its proof.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use mmstats_observe::{File, FileState, Observer, Sources, totals};
use support::{Program, compile, compile_only, here, strict};

/// A program that is compiled from a source of this crate.
fn build(source: &str, standard: &str, directory: &Path) -> PathBuf {
    let program = directory.join("program");
    compile(&here().join(source), &strict(standard), &program);
    program
}

fn look(directory: &Path) -> Observer {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    observer
}

/// The combined value of the field with this label and these attributes, as debug text.
fn value(directory: &Path, label: &str, attributes: &str) -> String {
    let observer = look(directory);
    let found = totals(observer.files()).into_iter().find(|total| {
        total.field.label == label && total.field.attributes.replace('\0', " ") == attributes
    });
    let found = found.unwrap_or_else(|| panic!("no field {label} {attributes}"));
    format!("{:?}", found.reading.value)
}

fn is(directory: &Path, label: &str, expected: &str) {
    assert_eq!(value(directory, label, ""), format!("Some({expected})"), "{label}");
}

/// `mmstats check` of all files, by the command that this workspace built.
fn check(directory: &Path) {
    let command = support::library().parent().unwrap().join("mmstats");
    if !command.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "no {}: cargo build -p mmstats-cli",
            command.display()
        );
        return eprintln!("skipped: no command mmstats");
    }
    for file in look(directory).files() {
        let out = Command::new(&command).arg("check").arg(file.path()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    }
}

#[test]
fn header_is_clean_in_every_standard() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("nothing");
    for standard in ["-std=c99", "-std=c11", "-std=c17"] {
        for source in ["examples/first.c", "examples/kinds.c", "tests/life.c"] {
            for extra in ["-O0", "-DMMSTATS_NO_INLINE"] {
                let mut arguments = strict(standard);
                arguments.extend(["-fsyntax-only", "-Wconversion", extra]);
                compile_only(&here().join(source), &arguments, &to);
            }
        }
    }
    for standard in ["-std=c++17", "-std=c++20"] {
        let mut arguments = strict(standard);
        arguments.extend(["-fsyntax-only", "-Wconversion", "-Wold-style-cast"]);
        let include = format!("-isystem{}", here().join("include").display());
        arguments.push(&include);
        compile_only(&here().join("examples/web.cpp"), &arguments, &to);
    }
    // The header of C in C++, also in an older one.
    let source = directory.path().join("plain.cpp");
    std::fs::write(&source, "#include <mmstats.h>\nint main() { return 0; }\n").unwrap();
    for standard in ["-std=c++11", "-std=c++17", "-std=c++20"] {
        compile(&source, &strict(standard), &to);
    }
}

#[test]
fn first_example_publishes() {
    let directory = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let program = build("examples/first.c", "-std=c99", directory.path());
    let mut program = Program::start(&program, &[], files.path());
    assert!(program.line().starts_with(files.path().to_str().unwrap()));
    is(files.path(), "requests", "Unsigned(1)");
    is(files.path(), "load", "F64(0.5)");
    check(files.path());
    program.end();
    assert!(look(files.path()).files().is_empty(), "closed");
}

#[test]
fn kinds_example_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let built = build("examples/kinds.c", "-std=c11", directory.path());
    let calls = directory.path().join("calls");
    let mut arguments = strict("-std=c11");
    arguments.push("-DMMSTATS_NO_INLINE");
    compile(&here().join("examples/kinds.c"), &arguments, &calls);
    for program in [built, calls] {
        let files = tempfile::tempdir().unwrap();
        let mut program = Program::start(&program, &[], files.path());
        assert!(program.line().starts_with(files.path().to_str().unwrap()));
        let files = files.path();
        assert_eq!(value(files, "counter", "shard=7"), "Some(Unsigned(42))");
        is(files, "seconds", "F64(2.5)");
        is(files, "u64", "Unsigned(18446744073709551615)");
        is(files, "i64", "Signed(-43)");
        is(files, "f64", "F64(0.5)");
        is(files, "leader.term", "Unsigned(7)");
        is(files, "pool.idle", "Unsigned(3)");
        is(files, "pool.done", "Unsigned(99)");
        is(files, "rate", "Unsigned(5)");
        assert_eq!(value(files, "requests", "method=GET code=200"), "Some(Unsigned(12))");
        for (label, part) in [
            ("flag", "1"),
            ("text", "too long"),
            ("leader", "node 7"),
            ("blob", "[1, 2]"),
            ("array", "65535"),
            ("state", "serving"),
            ("timer", "1000"),
            ("timer.running", "1"),
            ("sizes", "4096"),
            ("ratios", "0.25"),
            ("average", "1.5"),
            ("window", "2.5"),
            ("activity", "GET /index.html"),
            ("version", "1.4.2"),
            ("late", "added while it runs"),
        ] {
            let value = value(files, label, "");
            assert!(value.contains(part), "{label}: {value}");
        }
        let begin = std::time::Instant::now();
        while value(files, "queue", "") != "Some(F64(3.0))" {
            assert!(begin.elapsed().as_secs() < 10, "the callback is not called");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        check(files);
        program.end();
    }
}

#[test]
fn web_example_in_cpp_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    for standard in ["-std=c++17", "-std=c++20"] {
        let files = tempfile::tempdir().unwrap();
        let program = build("examples/web.cpp", standard, directory.path());
        let mut program = Program::start(&program, &[], files.path());
        assert!(program.line().starts_with(files.path().to_str().unwrap()));
        is(files.path(), "requests", "Unsigned(4000)");
        is(files.path(), "late", "Signed(-7)");
        assert!(value(files.path(), "latency", "").contains("count: 4000"));
        check(files.path());
        program.end();
    }
}

#[test]
fn threads_are_counted_exactly() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = build("tests/life.c", "-std=c99", directory.path());
    let mut program = Program::start(&program, &["threads"], files.path());
    assert_eq!(program.line(), "ready");
    is(files.path(), "count", "Unsigned(1000000)");
    assert_eq!(value(files.path(), "by", "thread=t"), "Some(Unsigned(50000))");
    assert_eq!(value(files.path(), "gauge", ""), "None", "their threads have ended");
    check(files.path());
    program.end();
}

#[test]
fn forked_children_publish_on_their_own() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = build("tests/life.c", "-std=c11", directory.path());
    // An emulator does not take a fork beside other threads.
    let how: &[&str] = if support::is_emulated() { &["fork", "alone"] } else { &["fork"] };
    let mut program = Program::start(&program, how, files.path());
    assert_eq!(program.line(), "ready");
    // The ledger has what the children counted: 10 times 7.
    let observer = look(files.path());
    let live = observer.files().iter().filter(|file| file.state() == FileState::Live);
    assert_eq!(live.map(File::program).collect::<std::collections::HashSet<_>>().len(), 1);
    is(files.path(), "count", "Unsigned(1073)");
    assert_eq!(value(files.path(), "by", "thread=child"), "Some(Unsigned(70))");
    program.end();
}

#[test]
fn killed_program_leaves_its_last_values() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = build("tests/life.c", "-std=c99", directory.path());
    let mut program = Program::start(&program, &["threads"], files.path());
    assert_eq!(program.line(), "ready");
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    let observer = look(files.path());
    assert!(observer.files().iter().all(|file| file.state() == FileState::Dead));
    is(files.path(), "count", "Unsigned(1000000)");
    check(files.path());
}

#[test]
fn signal_handler_counts() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = build("tests/life.c", "-std=c99", directory.path());
    let mut program = Program::start(&program, &["signals"], files.path());
    assert_eq!(program.line(), "ready");
    is(files.path(), "count", "Unsigned(1000)");
    program.end();
}

#[test]
fn cleared_gauge_has_no_value_and_flags_have_one() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = build("tests/life.c", "-std=c99", directory.path());
    let mut program = Program::start(&program, &["gauges"], files.path());
    assert_eq!(program.line(), "ready");
    assert_eq!(value(files.path(), "gauge", ""), "None");
    is(files.path(), "flag", "Unsigned(1)");
    is(files.path(), "leads", "Unsigned(1)");
    let wide = ('a'..='z').chain('0'..='6').map(|label| format!("{label}={label}"));
    assert_eq!(
        value(files.path(), "wide", &wide.collect::<Vec<_>>().join(" ")),
        "Some(Unsigned(1))"
    );
    program.end();
}

#[test]
fn refused_and_closed_publishers_take_every_call() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = build("tests/life.c", "-std=c99", directory.path());
    Program::start(&program, &["refused"], files.path()).end();
    Program::start(&program, &["closed"], files.path()).end();
    assert!(look(files.path()).files().is_empty());
}

/// What the library leaves behind, its handler of SIGBUS and threads that end later, runs in memory that is there.
#[test]
#[cfg(not(target_vendor = "apple"))] // keeps libraries with thread-local variables by itself
fn unloaded_library_stays_in_memory() {
    if support::is_emulated() {
        return; // its shared library is of another C library
    }
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = directory.path().join("unload");
    let mut arguments = strict("-std=c99");
    arguments.extend(["-Wl,--no-as-needed", "-lpthread", "-ldl"]); // of older C libraries
    compile_only(&here().join("tests/unload.c"), &arguments, &program);
    let mut command = Command::new(&program);
    support::set_environment(&mut command, files.path());
    let status = command.arg(support::library().join("libmmstats_c.so")).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn texts_with_wrong_bytes_are_reported_as_cut() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = build("tests/life.c", "-std=c99", directory.path());
    let mut program = Program::start(&program, &["bytes"], files.path());
    assert_eq!(program.line(), "ready");
    assert!(value(files.path(), "text", "").contains("\"ab\""));
    program.end();
}

/// The example of README.md is a whole program.
#[test]
fn readme_example_publishes() {
    let directory = tempfile::tempdir().unwrap();
    let readme = std::fs::read_to_string(here().join("README.md")).unwrap();
    let code = |language: &str| {
        let begin = readme.find(&format!("```{language}\n")).unwrap() + language.len() + 4;
        readme[begin..][..readme[begin..].find("```").unwrap()].to_owned()
    };
    for (language, file, standard) in
        [("c", "readme.c", "-std=c99"), ("cpp", "readme.cpp", "-std=c++17")]
    {
        let (source, program) = (directory.path().join(file), directory.path().join("readme"));
        std::fs::write(&source, code(language)).unwrap();
        compile(&source, &strict(standard), &program);
        let files = tempfile::tempdir().unwrap();
        let mut command = Command::new(&program);
        support::set_environment(&mut command, files.path());
        command.env("MMSTATS_KEEP", "1");
        assert!(command.status().unwrap().success());
        is(files.path(), "requests", "Unsigned(1)");
        check(files.path());
    }
}

/// Runs all programs, built with a sanitizer.
fn run_under(sanitizer: &str) {
    let directory = tempfile::tempdir().unwrap();
    let sanitize = format!("-fsanitize={sanitizer}");
    let build = |source: &str, standard| {
        let program = directory.path().join("program");
        let mut arguments = strict(standard);
        arguments.extend([sanitize.as_str(), "-fno-sanitize-recover=all", "-g"]);
        compile(&here().join(source), &arguments, &program);
        program
    };
    let run = |program: &Path, arguments: &[&str]| {
        let files = tempfile::tempdir().unwrap();
        println!("{sanitizer}: {arguments:?}");
        Program::start(program, arguments, files.path()).end();
    };
    let life = build("tests/life.c", "-std=c11");
    for how in ["threads", "signals", "gauges", "fork alone", "refused", "closed"] {
        // The sanitizers' own locks are not released in a child that is forked off beside other threads.
        run(&life, &how.split(' ').collect::<Vec<_>>());
    }
    run(&build("examples/kinds.c", "-std=c99"), &[]);
    run(&build("examples/web.cpp", "-std=c++17"), &[]);
}

/// The sanitizers watch the code in C, what the library allocates, and what it does to memory of C.
#[test]
#[ignore = "deep: another build of each program"]
fn programs_have_no_address_errors_and_no_undefined_behaviour() {
    run_under("address,undefined");
}

/// Needs a library that is built with ThreadSanitizer too: it knows no locks of others.
#[test]
#[ignore = "deep: needs the library that tests/race builds"]
fn programs_have_no_races() {
    assert!(std::env::var_os(support::LIBRARY).is_some(), "run tests/race");
    run_under("thread");
}

/// A counter is a load, an addition, a store and a return.
#[test]
#[cfg(target_arch = "x86_64")] // its assembler is counted
fn inline_updates_are_few_instructions() {
    let directory = tempfile::tempdir().unwrap();
    let (source, assembler) =
        (directory.path().join("inline.c"), directory.path().join("inline.s"));
    let text = "#include <mmstats.h>\n\
        void incr(mmstats_counter c);\nvoid incr(mmstats_counter c) { mmstats_incr(c); }\n\
        void add(mmstats_counter c, uint64_t n);\nvoid add(mmstats_counter c, uint64_t n) { mmstats_incr_by(c, n); }\n\
        void gauge(const mmstats_gauge_f64 *g, double v);\n\
        void gauge(const mmstats_gauge_f64 *g, double v) { mmstats_gauge_set_f64(*g, v); }\n";
    std::fs::write(&source, text).unwrap();
    let mut arguments = strict("-std=c99");
    arguments.extend(["-S", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"]);
    compile_only(&source, &arguments, &assembler);
    let text = std::fs::read_to_string(&assembler).unwrap();
    for (name, most) in [("incr", 4), ("add", 4), ("gauge", 12)] {
        let begin = text.find(&format!("\n{name}:")).unwrap();
        let body = text[begin..].lines().skip(2);
        let body = body.take_while(|line| !line.trim_start().starts_with(".size"));
        let code: Vec<&str> = body
            .filter(|line| line.starts_with('\t') && !line.trim_start().starts_with('.'))
            .map(str::trim)
            .collect();
        assert!(code.len() <= most, "{name}: {code:#?}");
        let found = |word: &str| code.iter().any(|line| line.contains(word));
        assert!(!found("call") && !found("lock") && !found("fence"), "{name}: {code:#?}");
    }
}

/// A program is linked with the shared library, by what pkg-config says of an installed one.
#[test]
fn installed_library_is_found_by_pkg_config_cmake_and_go() {
    if support::is_emulated() {
        return; // pkg-config and cmake look for libraries of this machine.
    }
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("prefix");
    let installed =
        Command::new(here().join("install")).arg(&prefix).arg(support::library()).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let program = directory.path().join("first");
    let script = format!(
        "PKG_CONFIG_PATH='{prefix}/lib/pkgconfig' && export PKG_CONFIG_PATH \
         && cc -std=c99 '{source}' -o '{program}' $(pkg-config --cflags --libs mmstats) \
            -Wl,-rpath,'{prefix}/lib'",
        prefix = prefix.display(),
        source = here().join("examples/first.c").display(),
        program = program.display(),
    );
    let run = |script: &str| {
        let out = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(out.status.success(), "{script}\n{}", String::from_utf8_lossy(&out.stderr));
    };
    run(&script);
    let publishes = |program: &Path| {
        let files = tempfile::tempdir().unwrap();
        let mut program = Program::start(program, &[], files.path());
        assert!(program.line().starts_with(files.path().to_str().unwrap()));
        is(files.path(), "requests", "Unsigned(1)");
        program.end();
    };
    publishes(&program);
    if Command::new("go").arg("version").output().is_ok() {
        let program = directory.path().join("go");
        run(&format!(
            "export PKG_CONFIG_PATH='{prefix}/lib/pkgconfig' GOCACHE='{cache}' GOFLAGS=-mod=mod GOTOOLCHAIN=local \
             CGO_LDFLAGS='-Wl,-rpath,{prefix}/lib' && cd '{source}' && go build -o '{program}' .",
            prefix = prefix.display(),
            cache = directory.path().join("cache").display(),
            source = here().join("examples/go").display(),
            program = program.display(),
        ));
        let files = tempfile::tempdir().unwrap();
        let mut program = Program::start(&program, &[], files.path());
        assert!(program.line().starts_with(files.path().to_str().unwrap()));
        is(files.path(), "requests", "Unsigned(8000)");
        is(files.path(), "jobs", "Unsigned(8000)");
        assert!(value(files.path(), "phase", "").contains("serving"));
        check(files.path());
        program.end();
    } else {
        assert!(std::env::var_os("CI").is_none(), "go is not installed");
        eprintln!("skipped: no go");
    }
    if Command::new("cmake").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "cmake is not installed");
        return eprintln!("skipped: no cmake");
    }
    let build = directory.path().join("build");
    run(&format!(
        "cmake -S '{}' -B '{build}' -DCMAKE_PREFIX_PATH='{}' >/dev/null && cmake --build '{build}'",
        here().join("tests/cmake").display(),
        prefix.display(),
        build = build.display(),
    ));
    publishes(&build.join("first"));
    publishes(&build.join("first-static"));
}
