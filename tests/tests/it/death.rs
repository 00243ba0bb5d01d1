//! A writer that dies at any instruction leaves the last published value readable.

use std::io::Read;
use std::path::Path;
use std::time::Duration;
#[cfg(target_os = "linux")] // as below
use std::time::Instant;

use mmstats_observe::{FileState, OwnedValue, RawVerdict, Scratch};
use mmstats_tests::look::{file, in_lane, look, states, unsigned};
use mmstats_tests::payload::Numbers;
#[cfg(target_os = "linux")] // Windows has no signals
use mmstats_tests::system::{Signal, signal};

use mmstats_tests::actor::{Actor, count_of_files, directory, random};

/// Numbers of the self-checking fields of lane 0, while the program publishes nothing.
fn numbers(path: &Path) -> (FileState, Numbers) {
    let (state, numbers) = numbers_or_contended(path);
    (state, numbers.expect("no writer"))
}

/// The same; `None` if it published so much meanwhile that a read was contended.
fn numbers_or_contended(path: &Path) -> (FileState, Option<Numbers>) {
    let observer = look(path);
    let [file] = observer.files() else { panic!("{:?}", states(&observer)) };
    let (mut numbers, mut contended) = (Numbers::default(), false);
    let whole = file.visit_lane(0, &mut Scratch::new(), |field, verdict| {
        if field.is_constant() || field.label().starts_with("sys.") {
            return;
        }
        match verdict {
            RawVerdict::Consistent(value) => numbers.take(&field, value).unwrap(),
            RawVerdict::Contended => contended = true,
            other => panic!("{}: {other:?}", field.label()),
        }
    });
    assert!(whole, "{:?}", file.problem());
    (file.state(), (!contended).then_some(numbers))
}

/// No value is older than the last one that the writer reported.
#[test]
fn kill_at_random_moments_leaves_whole_values() {
    for round in 0..30 {
        let directory = directory();
        let kinds = ["text,group,array,report"];
        let (mut actor, mut out) = Actor::start_raw("payload", directory.path(), &kinds);
        // Until the writer has reported a value.
        let mut first = [0; 8];
        out.read_exact(&mut first).unwrap();
        let micros = random() % 20_000;
        std::thread::sleep(Duration::from_micros(micros));
        actor.kill();

        let mut told = Vec::from(first);
        out.read_to_end(&mut told).unwrap();
        let told = u64::from_le_bytes(*told.as_chunks().0.last().unwrap());
        let (state, numbers) = numbers(directory.path());
        assert_eq!(state, FileState::Dead);
        let seen = format!("round {round}, killed after {micros} us, told {told}: {numbers:?}");
        // It publishes text, group and array, then the count.
        let count = numbers.count.unwrap();
        assert!(count >= told, "{seen}");
        for number in [numbers.text, numbers.group, numbers.array] {
            let number = number.expect(&seen);
            assert!(number == count || number == count + 1, "{seen}");
        }
    }
}

#[cfg(target_os = "linux")] // Windows cannot stop a program
#[test]
fn stopped_program_is_live_and_readable() {
    let directory = directory();
    let (mut actor, _out) = Actor::start_raw("payload", directory.path(), &["text,group,array"]);
    wait_until_published(directory.path());
    let mut last = 0;
    for _ in 0..10 {
        signal(actor.pid(), Signal::Stop).unwrap();
        wait_until_stopped(actor.pid());
        let (state, stopped) = numbers(directory.path());
        assert_eq!(state, FileState::Live);
        assert!(stopped.count.unwrap() > last, "it ran in between");
        assert_eq!(numbers(directory.path()).1, stopped, "it is stopped");
        last = stopped.count.unwrap();
        signal(actor.pid(), Signal::Continue).unwrap();
        let start = Instant::now();
        let count =
            || numbers_or_contended(directory.path()).1.map(|numbers| numbers.count.unwrap());
        while count().is_none_or(|count| count == last) {
            assert!(start.elapsed() < Duration::from_secs(10), "it does not continue");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    signal(actor.pid(), Signal::Stop).unwrap();
    wait_until_stopped(actor.pid());
    let stopped = numbers(directory.path()).1;
    actor.kill();
    assert_eq!(numbers(directory.path()), (FileState::Dead, stopped));
}

/// Until each of its fields has a value.
#[cfg(target_os = "linux")] // as above
fn wait_until_published(path: &Path) {
    for _ in 0..2000 {
        let (observer, mut whole) = (look(path), false);
        if let [file] = observer.files() {
            let mut absent = false;
            whole = file.visit_lane(0, &mut Scratch::new(), |field, verdict| {
                let own = field.label() != "sys.mirrored";
                absent |= own && matches!(verdict, RawVerdict::Absent);
            });
            whole &= !absent;
        }
        if whole {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nothing is published");
}

#[cfg(target_os = "linux")] // as above
fn wait_until_stopped(pid: u32) {
    for _ in 0..2000 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if stat.rsplit(')').next().unwrap().trim_start().starts_with('T') {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{pid} does not stop");
}

#[test]
fn clean_end_removes_or_closes_the_file() {
    let directory = directory();
    let mut actor = Actor::start("idle", directory.path(), &[]);
    let ready = actor.line();
    let path = Path::new(ready.splitn(3, ' ').nth(2).unwrap());
    assert!(path.exists());
    actor.ask("update 4");
    assert_eq!(actor.ask("drop"), "dropped");
    assert!(!path.exists());
    assert_eq!(count_of_files(directory.path()), 0);
    actor.succeeds();

    let mut actor = Actor::start("idle", directory.path(), &["keep"]);
    actor.line();
    actor.ask("update 4");
    assert_eq!(look(directory.path()).files()[0].state(), FileState::Live);
    assert_eq!(actor.ask("drop"), "dropped");
    // Closed while the process still lives, and the same after its end.
    for end in [false, true] {
        if end {
            actor.succeeds();
        }
        let observer = look(directory.path());
        assert_eq!(observer.files()[0].state(), FileState::Closed);
        assert_eq!(unsigned(&observer, "counter"), 4);
        assert_eq!(observer.files()[0].lanes().owned, 0);
    }
}

#[test]
fn end_without_destructors_leaves_a_dead_file() {
    for (request, code) in [("exit", Some(3)), ("abort", None)] {
        let directory = directory();
        let mut actor = Actor::start("idle", directory.path(), &["keep"]);
        actor.line();
        actor.ask("update 41");
        assert!(actor.ask("thread 7").starts_with("thread"));
        actor.tell(request);
        let status = actor.wait();
        // Windows has a code for everything, and wine gives that of its debugger.
        match code {
            Some(_) => assert_eq!(status.code(), code),
            None if cfg!(windows) => assert!(!status.success(), "{status:?}"),
            None => assert_eq!(status.code(), None),
        }
        let observer = look(directory.path());
        let file = &observer.files()[0];
        assert_eq!(file.state(), FileState::Dead);
        assert_eq!(unsigned(&observer, "counter"), 48);
        // Lanes of a dead program stay owned, with their last values.
        assert_eq!(file.lanes().owned, 2);
        let text = in_lane(file, 0, "text").value.unwrap();
        let small = OwnedValue::Text { text: "größer".to_owned(), cut: false };
        assert_eq!(*text.only(), small);
    }
}

#[test]
fn thread_that_panics_keeps_counters_alone() {
    let directory = directory();
    let mut actor = Actor::start("idle", directory.path(), &[]);
    let ready = actor.line();
    let path = Path::new(ready.splitn(3, ' ').nth(2).unwrap());
    actor.ask("update 100");
    actor.ask("panic 11");
    let observer = look(directory.path());
    let file = file(&observer, path);
    assert_eq!((file.state(), file.lanes().owned), (FileState::Live, 1));
    assert_eq!(unsigned(&observer, "counter"), 111);
    assert_eq!(in_lane(file, 1, "u32").value.map(|v| v.only().clone()), None);
    assert_eq!(in_lane(file, 0, "u32").value.unwrap().only(), &OwnedValue::Unsigned(100));
    // The other threads of the program continue.
    actor.ask("update 200");
    assert_eq!(unsigned(&look(path), "counter"), 211);
}
