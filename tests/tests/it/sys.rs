//! The standard fields equal the facts that the system reports of the process: FILES.md section 2.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use mmstats::{Counter, Lane, Options, Schema};
use mmstats_observe::{File, OwnedValue};
use mmstats_tests::look::{in_lane, look, value};

use mmstats_tests::actor::{Actor, directory};

fn text(file: &File, label: &str) -> String {
    match value(file, label).value.unwrap().only() {
        OwnedValue::Text { text, cut: false } => text.clone(),
        other => panic!("{label}: {other:?}"),
    }
}

fn number(file: &File, label: &str) -> u64 {
    match value(file, label).value.unwrap().only() {
        OwnedValue::Unsigned(n) => u64::try_from(*n).unwrap(),
        other => panic!("{label}: {other:?}"),
    }
}

fn trimmed(path: impl AsRef<std::path::Path>) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn process_fields_match_the_system() {
    let directory = directory();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let mut actor = Actor::start("idle", directory.path(), &[]);
    let ready = actor.line();
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let main_thread: u64 = ready.split(' ').nth(1).unwrap().parse().unwrap();
    let answer = actor.ask("thread 1");
    let other_thread: u64 = answer.split(' ').nth(1).unwrap().parse().unwrap();
    assert_ne!(main_thread, other_thread);

    let observer = look(directory.path());
    let file = &observer.files()[0];
    let proc = format!("/proc/{}", actor.pid());
    let status = fs::metadata(&proc).unwrap();
    assert_eq!(number(file, "sys.pid"), u64::from(actor.pid()));
    assert_eq!(number(file, "sys.uid"), u64::from(status.uid()));
    assert_eq!(number(file, "sys.gid"), u64::from(status.gid()));
    assert_eq!(text(file, "sys.boot_id"), trimmed("/proc/sys/kernel/random/boot_id"));
    assert_eq!(text(file, "sys.host"), trimmed("/proc/sys/kernel/hostname"));
    assert_eq!(text(file, "sys.command"), "mmstats-actor");
    let namespace = fs::metadata(format!("{proc}/ns/pid")).unwrap().ino();
    assert_eq!(number(file, "sys.pid_ns"), namespace);
    let stat = trimmed(format!("{proc}/stat"));
    let start = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap();
    assert_eq!(number(file, "sys.start_time").to_string(), start);
    let OwnedValue::F64(created) = value(file, "sys.created").value.unwrap() else {
        panic!("not a number")
    };
    assert!((before..=after).contains(&created), "{before} {created} {after}");
    for (lane, thread) in [(0, main_thread), (1, other_thread)] {
        let tid = in_lane(file, lane, "sys.tid").value.unwrap();
        assert_eq!(tid.only(), &OwnedValue::Unsigned(thread.into()));
    }

    // The same once more, put together by the observer.
    let identity = file.identity();
    assert_eq!(identity.pid, Some(actor.pid()));
    assert_eq!(identity.command.as_deref(), Some("mmstats-actor"));
    assert_eq!(identity.created, Some(created));
    assert_eq!(identity.pid_ns, Some(namespace));
    assert_eq!(identity.uid, Some(status.uid()));
    // And the name of the file tells the program and the process.
    let name = file.path().file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with(&format!("mmstats-actor-{}-", actor.pid())), "{name}");
    assert!(name.ends_with(&format!("{}.mmst", file.instance().unwrap())), "{name}");
}

#[test]
fn given_name_is_published() {
    let directory = directory();
    let mut actor = Actor::start("idle", directory.path(), &["name=my/web server"]);
    actor.line();
    let observer = look(directory.path());
    let file = &observer.files()[0];
    assert_eq!(text(file, "sys.command"), "my/web server");
    let name = file.path().file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("my_web_server-"), "{name}");
}

#[test]
fn fields_left_out_are_absent() {
    let directory = directory();
    let mut schema = Schema::new();
    schema.add::<Counter>("only", mmstats::FieldOptions::new());
    let options = Options::new().directory(directory.path()).schema(schema);
    let publisher = options.without_system_fields().start::<Lane>().unwrap();
    let _lane = publisher.lane().unwrap();
    let observer = look(directory.path());
    let file = &observer.files()[0];
    let labels: Vec<_> = file.fields().map(|field| field.label()).collect();
    assert_eq!(labels, ["only"]);
    assert_eq!(*file.identity(), mmstats_observe::Identity::default());
}
