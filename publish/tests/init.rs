//! `init` and the environment, in child processes, because both belong to the process.
#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use mmstats::{Counter, Error, ErrorCode, FieldOptions, Options, Publisher, Stats};
use mmstats_observe::{Observer, OwnedValue, Sources, totals};
use support::file_names;

const CHILD: &str = "MMSTATS_TEST_INIT";

/// Whether this process is a child that [`child`] started.
fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the test `name` in a child process with this environment.
fn child(name: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(CHILD, "1");
    for name in ["PATH", "FILES", "NAME", "LANES", "SAMPLE", "POST_MORTEMS", "KEEP", "DISABLE"] {
        command.env_remove(format!("MMSTATS_{name}"));
    }
    command.envs(environment.iter().copied()).output().unwrap()
}

/// The output of [`child`], which must succeed.
fn run(name: &str, environment: &[(&str, &str)]) -> String {
    let out = child(name, environment);
    let output = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{output}{}", String::from_utf8_lossy(&out.stderr));
    output
}

fn value(directory: &Path, label: &str) -> Option<OwnedValue> {
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    totals(observer.files()).into_iter().find(|t| t.field.label == label)?.reading.value
}

#[test]
fn init_publishes_until_last_guard() {
    if is_child() {
        let directory = std::env::var("MMSTATS_PATH").unwrap();
        assert!(mmstats::global().is_none());
        let first = mmstats::init();
        assert!(first.problem().is_none());
        let orders = first.add::<Counter>("orders", FieldOptions::new()).unwrap();
        let second = mmstats::init();
        assert_eq!(first.instance(), second.instance());
        drop(first);
        let thread = std::thread::spawn(move || {
            let library = mmstats::global().unwrap();
            library.with(|lane| lane.attach(orders).map(|orders| orders.add(3))).unwrap();
            library
        });
        let library = thread.join().unwrap();
        assert_eq!(value(Path::new(&directory), "orders"), Some(OwnedValue::Unsigned(3)));
        #[cfg(all(feature = "process", target_os = "linux"))] // from /proc
        assert!(library.add_process_fields().is_err(), "the process fields exist");
        // The first file has one lane, which the sampling thread may have.
        let lanes = [library.lane().unwrap(), library.lane().unwrap()];
        let files = file_names(Path::new(&directory));
        assert!(files.len() >= 2 && files.iter().all(|n| n.starts_with("shop-")), "{files:?}");
        drop(lanes);
        drop(second);
        // The clone `library` does not keep the files.
        assert_eq!(file_names(Path::new(&directory)), [""; 0]);
        assert!(mmstats::global().is_none());
        drop(library);
        let again = mmstats::init();
        assert_eq!(again.paths().len(), 1);
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    run(
        "init_publishes_until_last_guard",
        &[("MMSTATS_PATH", path), ("MMSTATS_NAME", "shop"), ("MMSTATS_LANES", "1")],
    );
    assert_eq!(file_names(place.path()), [""; 0]);
}

#[derive(Stats)]
struct Web {
    requests: Counter,
}

#[test]
fn options_init_publisher_is_global() {
    if is_child() {
        let web = Options::from_env().name("web").init::<Web>().unwrap();
        web.with(|stats| stats.requests.add(5));
        assert_eq!(mmstats::global().unwrap().instance(), web.instance());
        assert_eq!(mmstats::init().instance(), web.instance());
        let error = Options::new().init::<Web>().unwrap_err();
        assert!(matches!(error, Error::Initialised), "{error}");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    let keep = [("MMSTATS_PATH", path), ("MMSTATS_KEEP", "yes"), ("MMSTATS_NAME", "")];
    run("options_init_publisher_is_global", &keep);
    assert_eq!(value(place.path(), "requests"), Some(OwnedValue::Unsigned(5)));
    assert!(file_names(place.path())[0].starts_with("web-"));
}

#[test]
fn start_with_wrong_variable_is_refused() {
    if is_child() {
        let error = Publisher::<Web>::start().unwrap_err();
        let mmstats = mmstats::init();
        let problem = mmstats.problem().unwrap();
        assert_eq!(problem.to_string(), error.to_string());
        assert_eq!(
            (problem.code(), problem.code().as_str()),
            (ErrorCode::Environment, "environment")
        );
        println!("\n{error}; {} files", mmstats.paths().len());
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    let output = |name: &str, value: &str| {
        run("start_with_wrong_variable_is_refused", &[("MMSTATS_PATH", path), (name, value)])
    };
    let cases = [
        ("LANES", "0", "a number from 1 to 65536"),
        ("LANES", "many", "a number from 1 to 65536"),
        ("SAMPLE", "-1", "a number of seconds from 0.001 to 86400"),
        ("SAMPLE", "NaN", "a number of seconds from 0.001 to 86400"),
        ("POST_MORTEMS", "-1", "a number"),
        ("KEEP", "perhaps", "0 or 1"),
        ("DISABLE", "2", "0 or 1"),
    ];
    for (name, value, rule) in cases {
        let output = output(&format!("MMSTATS_{name}"), value);
        let line = format!("MMSTATS_{name} is {value:?}; it has to be {rule}; 1 files");
        assert!(output.lines().any(|l| l == line), "{line}\n{output}");
    }
}

#[test]
fn start_with_wrong_place_is_refused() {
    if is_child() {
        println!("\nrefused: {}", Publisher::<Web>::start().unwrap_err());
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    let output = |environment: &[(&str, &str)]| {
        let output = run("start_with_wrong_place_is_refused", environment);
        output.lines().find(|line| line.starts_with("refused: ")).unwrap().to_owned()
    };
    assert!(output(&[("MMSTATS_PATH", "/dev/null/x")]).contains("/dev/null"));
    let template = output(&[("MMSTATS_PATH", path), ("MMSTATS_FILES", "{USER}.mmst")]);
    assert!(template.contains("{USER}"), "{template}");
    let template = output(&[("MMSTATS_PATH", path), ("MMSTATS_FILES", "../x.mmst")]);
    assert!(template.contains("path separator"), "{template}");
    #[cfg(unix)] // has names that are not UTF-8
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"sh\xFFop");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "start_with_wrong_place_is_refused", "--nocapture"]);
        command.env(CHILD, "1").env("MMSTATS_PATH", path).env("MMSTATS_NAME", name);
        let output = command.output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout);
        assert!(output.contains("it has to be text in UTF-8"), "{output}");
    }
    assert_eq!(file_names(place.path()), [""; 0]);
}

#[test]
fn init_without_files_uses_private_memory() {
    if is_child() {
        let mmstats = mmstats::init();
        let orders = mmstats.add::<Counter>("orders", FieldOptions::new()).unwrap();
        mmstats.with(|lane| lane.attach(orders).unwrap().incr());
        let problem = mmstats.problem().map_or_else(|| "none".to_owned(), |p| p.to_string());
        println!("\nproblem: {problem}; {} files", mmstats.paths().len());
        drop(mmstats);
        // Said once in a process.
        drop(mmstats::init());
        return;
    }
    let output = |environment: &[(&str, &str)]| {
        let out = child("init_without_files_uses_private_memory", environment);
        let (output, error) =
            (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{output}{error}");
        let problem = output.lines().find(|line| line.starts_with("problem: ")).unwrap().to_owned();
        let said: Vec<_> = error.lines().filter(|line| line.starts_with("mmstats: ")).collect();
        let count = usize::from(!problem.starts_with("problem: none"));
        assert_eq!(said.len(), count, "{error}");
        assert!(said.iter().all(|line| problem.contains(&line["mmstats: ".len()..])), "{error}");
        problem
    };
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    let hidden = output(&[("MMSTATS_PATH", path), ("MMSTATS_DISABLE", "1")]);
    assert_eq!(hidden, "problem: none; 0 files");
    let template = output(&[("MMSTATS_PATH", path), ("MMSTATS_FILES", "{USER}.mmst")]);
    assert!(template.contains("{USER}") && template.ends_with("; 0 files"), "{template}");
    let no_directory = output(&[("MMSTATS_PATH", "/dev/null/x")]);
    assert!(no_directory.contains("/dev/null") && no_directory.ends_with("; 0 files"));
    assert_eq!(file_names(place.path()), [""; 0]);
}
