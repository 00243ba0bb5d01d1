//! A failed start is an error that names the path or the field, and changes no file of another
//! program: bad names, planted files.

use std::fs;
#[cfg(target_os = "linux")] // modes, inodes and links
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use mmstats::{Counter, Error, FieldOptions, Info, Lane, Options, Publisher, Schema};
use mmstats_observe::FileState;
use mmstats_tests::everything::Everything;
use mmstats_tests::look::{file, look, states, unsigned};

use mmstats_tests::actor::{Actor, count_of_files, directory};

fn start(directory: &Path) -> Result<Publisher<Everything>, Error> {
    Options::new().directory(directory).start()
}

fn start_as(directory: &Path, template: &str) -> Result<Publisher<Everything>, Error> {
    Options::new().directory(directory).files(template).start()
}

/// Asserts that the error names `path` and the reason, and that `or_private` starts anyway.
fn refused(options: &Options, path: &Path, reason: &str) {
    let error = options.clone().start::<Everything>().expect_err(reason).to_string();
    assert!(error.contains(reason), "{error}");
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    let publisher: Publisher<Everything> = options.clone().or_private().start().unwrap();
    let problem = publisher.problem().expect("a problem").to_string();
    assert!(problem.contains(reason), "{problem}");
    publisher.with(|stats| stats.update(9));
    assert_eq!(publisher.with(|stats| stats.counter.get()), 9);
    assert!(publisher.paths().is_empty());
}

#[test]
fn bad_directory_is_an_error_that_names_it() {
    let directory = directory();
    let missing = directory.path().join("missing").join("deeper");
    refused(&Options::new().directory(&missing), &missing, "no such file or directory");
    assert!(!directory.path().join("missing").exists());

    let plain = directory.path().join("plain");
    fs::write(&plain, "text").unwrap();
    refused(&Options::new().directory(&plain), &plain, "it is a regular file, not a directory");
    assert_eq!(fs::read_to_string(&plain).unwrap(), "text");

    // One that is missing itself is made, for its owner alone.
    let new = directory.path().join("new");
    let publisher = start(&new).unwrap();
    let file = &publisher.paths()[0];
    assert!(new.is_dir() && file.is_file());
    #[cfg(target_os = "linux")] // modes
    {
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[cfg(target_os = "linux")] // modes
#[test]
fn directory_of_another_user_is_refused() {
    let directory = directory();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let target = directory.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o555)).unwrap();
    let mut actor = Actor::start("nobody", &target, &[]);
    assert_eq!(actor.line(), "passed");
    actor.succeeds();
}

#[test]
fn bad_file_name_is_an_error() {
    let directory = directory();
    for (template, reason) in [
        ("{USER}.mmst", "unknown placeholder {USER}"),
        ("web-{PID.mmst", "the brace at byte 4 has no partner"),
        ("web}.mmst", "the brace at byte 3 has no partner"),
        ("../web.mmst", "must not contain a path separator"),
        ("we\u{7}b.mmst", "must not contain control characters"),
        (".web.mmst", "must not start with a dot"),
        ("web.txt", "must end in .mmst"),
        (&format!("{}.mmst", "w".repeat(300)), "file name of 305 bytes"),
        (&format!("{}{{ID}}.mmst", "w".repeat(200)), "file name of 237 bytes"),
    ] {
        let error = start_as(directory.path(), template).expect_err(template).to_string();
        assert!(error.contains(reason), "{template}: {error}");
    }
    assert_eq!(count_of_files(directory.path()), 0);
}

/// The `.1` of the next file does not fit: further threads write to private memory.
#[test]
fn name_too_long_for_a_further_file_keeps_the_first() {
    let directory = directory();
    let longest = format!("{}.mmst", "w".repeat(crate::backend::name::MAX - 5));
    let options = Options::new().directory(directory.path()).lanes(1).files(longest);
    let publisher: Publisher<Everything> = options.start().unwrap();
    let stats = publisher.lane().unwrap();
    stats.update(8);
    publisher.with(|stats| stats.update(1));
    let problem = publisher.problem().expect("a problem").to_string();
    assert!(problem.contains("the limit is"), "{problem}");
    assert_eq!(unsigned(&look(directory.path()), "counter"), 8);
}

#[test]
fn name_of_a_live_publisher_is_taken() {
    let directory = directory();
    let mut live = Actor::start("idle", directory.path(), &["files=fixed.mmst"]);
    live.line();
    live.ask("update 6");
    let path = directory.path().join("fixed.mmst");
    let before = fs::metadata(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let options = Options::new().directory(directory.path()).files("fixed.mmst");
    for _ in 0..3 {
        refused(&options, &path, "already taken");
    }
    let after = fs::metadata(&path).unwrap();
    assert_eq!(before.len(), after.len());
    #[cfg(target_os = "linux")] // where the standard library knows it
    assert_eq!(before.ino(), after.ino());
    assert!(bytes == fs::read(&path).unwrap(), "its bytes changed");
    assert_eq!(count_of_files(directory.path()), 1, "nothing was left behind");
    live.ask("update 7");
    let observer = look(directory.path());
    assert_eq!(states(&observer), [(path, FileState::Live)]);
    assert_eq!(unsigned(&observer, "counter"), 7);
}

/// For programs with a fixed name.
#[test]
fn name_of_a_dead_publisher_is_reused() {
    let directory = directory();
    let path = directory.path().join("fixed.mmst");
    let mut instances = Vec::new();
    for n in 1..=3 {
        let mut actor = Actor::start("idle", directory.path(), &["files=fixed.mmst"]);
        assert!(actor.line().starts_with("ready"));
        actor.ask(&format!("update {n}"));
        actor.kill();
        let observer = look(directory.path());
        assert_eq!(states(&observer), [(path.clone(), FileState::Dead)]);
        assert_eq!(unsigned(&observer, "counter"), n, "nothing of the one before");
        instances.push(file(&observer, &path).instance().unwrap());
    }
    instances.dedup();
    assert_eq!(instances.len(), 3);
}

#[cfg(target_os = "linux")] // links for everybody
#[test]
fn planted_name_is_neither_followed_nor_replaced() {
    let directory = directory();
    let path = directory.path().join("fixed.mmst");
    let victim = directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &path).unwrap();
    let options = Options::new().directory(directory.path()).files("fixed.mmst");
    refused(&options, &path, "already taken");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read_link(&path).unwrap(), victim);

    fs::remove_file(&path).unwrap();
    symlink(directory.path().join("nowhere"), &path).unwrap();
    refused(&options, &path, "already taken");
    assert!(!directory.path().join("nowhere").exists());

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&options, &path, "already taken");
}

/// The message of a declaration that breaks a rule of the format; a second choice does
/// not help a program that is wrong.
fn declared(declare: impl Fn(&mut Schema), lanes: u32) -> String {
    let directory = directory();
    let started = |options: Options| {
        let mut schema = Schema::new();
        declare(&mut schema);
        options.directory(directory.path()).lanes(lanes).schema(schema).start::<Lane>()
    };
    let error = started(Options::new()).expect_err("it breaks a rule").to_string();
    assert_eq!(started(Options::new().or_private()).expect_err("it too").to_string(), error);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "{error}");
    error
}

#[test]
fn declaration_that_breaks_a_rule_is_an_error() {
    let one = |label: &str, refine: fn(FieldOptions<Counter>) -> FieldOptions<Counter>| {
        let label = label.to_owned();
        move |schema: &mut Schema| {
            schema.add::<Counter>(label.clone(), refine(FieldOptions::new()));
        }
    };
    let plain = |options: FieldOptions<Counter>| options;
    for (error, parts) in [
        (declared(one("", plain), 1), ["field \"\"", "1 to 255 bytes, not 0"]),
        (declared(one(&"l".repeat(256), plain), 1), ["field \"lll", "not 256"]),
        (declared(one("a", |o| o.help("h".repeat(70_000))), 1), ["field \"a\"", "70000"]),
        (declared(one("a", |o| o.unit("u".repeat(64))), 1), ["field \"a\"", "64"]),
        (declared(one("a", |o| o.attribute("k", "v".repeat(5000))), 1), ["field \"a\"", "500"]),
        (declared(one("a", |o| o.attribute("two words", "v")), 1), ["field \"a\"", "attribute"]),
        (
            declared(one("a", |o| o.attribute("k", "1").attribute("k", "2")), 1),
            ["field \"a\"", "attribute"],
        ),
        (
            declared(
                |schema| {
                    let value = "x".repeat(1_048_561);
                    schema.add::<Info>("a", FieldOptions::new().value(value));
                },
                1,
            ),
            ["field \"a\"", "1048561"],
        ),
        (declared(one("a", plain), 0), ["lanes", "0"]),
        (declared(one("a", plain), 70_000), ["65536 lanes", "70000"]),
        (
            declared(
                |schema| {
                    schema.add::<Counter>("twice", FieldOptions::new().attribute("k", "v"));
                    schema.add::<Counter>("other", FieldOptions::new());
                    schema.add::<Counter>("twice", FieldOptions::new().attribute("k", "v"));
                },
                1,
            ),
            ["two fields", "\"twice\""],
        ),
    ] {
        for part in parts {
            assert!(error.contains(part), "no {part:?} in {error}");
        }
        assert!(error.len() < 700, "{error}");
    }
}

/// More than fits into an image: an error, not a crash while sizes are computed.
#[test]
fn image_that_is_too_large_is_an_error() {
    let error = declared(
        |schema| {
            for n in 0..100 {
                schema.add::<mmstats::Blob<1_000_000>>(format!("blob{n}"), FieldOptions::new());
            }
        },
        65_536,
    );
    assert!(error.contains("4 GiB"), "{error}");
}
