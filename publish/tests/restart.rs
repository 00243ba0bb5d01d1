//! A publisher that starts again with the same fields: in a forked child, and after it was closed.
#![cfg(unix)] // forks
#![allow(unsafe_code)] // `fork`; each block has its proof.

mod support;

use std::path::Path;

use mmstats::{
    Counter, Error, FieldOptions, Gauge, Lane, Options, Publisher, Schema, SharedField, Stats, Text,
};
use mmstats_observe::{Observer, Sources};
use support::look;

#[derive(Stats)]
struct Web {
    requests: Counter,
    /// By code.
    #[stats(labels("code"), cap = 3)]
    by: mmstats::Family<Counter, 1>,
}

/// Runs `work` in a forked child; whether it returned `true`.
fn in_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: no precondition. The child runs while other threads of the parent are not copied; it uses the
    // library, which is made for that, and the allocator, which the C library keeps usable in a child.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork");
    if child == 0 {
        let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: no precondition: it ends the child without running what the parent will run.
        unsafe { libc::_exit(i32::from(!good)) };
    }
    let mut status = 0;
    // SAFETY: `status` has room for the answer.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

/// The sums of a field of the program with process id `pid`, in all its files.
fn sums(directory: &Path, pid: u32, label: &str) -> Vec<String> {
    let observer = look(directory);
    let files = observer.files().iter();
    let of_program = files.filter(|file| file.identity().pid == Some(pid));
    let mut found = Vec::new();
    for file in of_program {
        for (field, reading) in file.fields().zip(file.values()) {
            if field.label() == label {
                found.push(format!("{} {:?}", field.attributes_text(), reading.value));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn restart_in_forked_child_keeps_keys_and_begins_at_zero() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::new();
    let declared = schema.add::<Counter>("declared", FieldOptions::new());
    let options = Options::new().directory(directory.path()).schema(schema).reserve(2, 300);
    let web: Publisher<Web> = options.start().unwrap();
    let registry = web.registry();
    // The first in the room of the start, the others in a further file.
    let early = registry.add::<Counter>("early", FieldOptions::new()).unwrap();
    let texts: Vec<_> = (0..20)
        .map(|i| registry.add::<Text<100>>(format!("text.{i}"), FieldOptions::new()).unwrap())
        .collect();
    registry.retire(texts[3]).unwrap();
    let family = registry.add_dyn_family::<Counter>("late", &["a", "b"], FieldOptions::new());
    let family = family.unwrap();
    let shared =
        registry.add_shared::<SharedField<Gauge<f64>>>("shared", FieldOptions::new()).unwrap();
    let count = |web: &Publisher<Web>, n: u64| {
        let registry = web.registry();
        web.with(|stats| {
            stats.requests.add(n);
            stats.by.get(&["200"]).add(n);
        });
        registry.with(|lane| {
            lane.attach(declared).unwrap().add(n);
            lane.attach(early).unwrap().add(n);
            lane.attach(texts[19]).unwrap().set("last");
            lane.dyn_family(family).unwrap().get(&["x", "y"]).add(n);
        });
        registry.attach_shared(shared).unwrap().update(|gauge| gauge.set(0.5)).unwrap();
    };
    count(&web, 100);
    assert!(!web.is_forked());
    assert!(in_child(|| {
        assert!(web.is_forked());
        let child = web.restart().unwrap();
        assert!(!child.is_forked() && child.problem().is_none());
        assert_ne!(child.instance(), web.instance());
        count(&child, 7);
        let pid = std::process::id();
        let sum = |label| sums(directory.path(), pid, label);
        for label in ["requests", "declared", "early"] {
            assert_eq!(sum(label), [" Some(Unsigned(7))"], "{label}");
        }
        assert_eq!(sum("by"), ["code=200 Some(Unsigned(7))", "overflow=true Some(Unsigned(0))"]);
        assert_eq!(sum("late")[0], "a=x\0b=y Some(Unsigned(7))");
        assert!(sum("text.19")[0].contains("last") && sum("text.3")[0].contains("None"));
        assert!(sum("shared")[0].contains("0.5"));
        assert_eq!(sum("sys.application").len(), child.paths().len(), "as any forked worker");
        // Room of a retired field goes to another one, and names are known.
        let again = child.registry().add::<Text<100>>("text.3", FieldOptions::new()).unwrap();
        child.registry().with(|lane| lane.attach(again).unwrap().set("again"));
        let taken = child.registry().add::<Counter>("early", FieldOptions::new());
        assert!(matches!(taken, Err(Error::Duplicate { .. })));
        assert!(child.registry().with(|lane| lane.attach(texts[3]).is_err()));
        // A child of the child.
        let grandchild = in_child(|| {
            let again = child.restart().unwrap();
            count(&again, 3);
            sums(directory.path(), std::process::id(), "early") == [" Some(Unsigned(3))"]
        });
        grandchild && sum("early") == [" Some(Unsigned(7))"]
    }));
    count(&web, 1);
    let pid = std::process::id();
    assert_eq!(sums(directory.path(), pid, "requests"), [" Some(Unsigned(101))"]);
}

#[test]
fn restart_of_each_publisher_belongs_to_its_own_parent() {
    let directory = tempfile::tempdir().unwrap();
    let start = || Options::new().directory(directory.path()).start::<Lane>().unwrap();
    let (first, second) = (start(), start());
    for parent in [&first, &second] {
        let name: String = parent.instance().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(in_child(|| {
            let child = parent.restart().unwrap();
            let mut observer = Observer::new(Sources::new().path(child.paths().remove(0)));
            observer.refresh();
            observer.files()[0].identity().application.as_ref() == Some(&name)
        }));
    }
}

#[test]
fn restart_after_close_is_another_instance() {
    let directory = tempfile::tempdir().unwrap();
    let web: Publisher<Web> = Options::new().directory(directory.path()).start().unwrap();
    web.record_panics().unwrap();
    web.with(|stats| stats.requests.add(5));
    let files = web.paths().len();
    web.close();
    let again = web.restart().unwrap();
    again.record_panics().unwrap();
    again.with(|stats| stats.requests.add(2));
    let pid = std::process::id();
    assert_eq!(sums(directory.path(), pid, "requests"), [" Some(Unsigned(2))"]);
    assert_eq!(again.paths().len(), files);
}

#[test]
fn restart_samples_what_is_registered_again() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Options::new().directory(directory.path()).start::<Lane>().unwrap();
    let key = registry.sampled("queue", FieldOptions::new(), |queue: &Gauge<u64>| queue.set(3));
    let key = key.unwrap();
    assert!(in_child(|| {
        assert!(matches!(registry.sample(key, |_| {}), Err(Error::Forked)));
        let child = registry.restart().unwrap();
        child.sample(key, |queue| queue.set(4)).unwrap();
        let sum = || sums(directory.path(), std::process::id(), "queue");
        support::wait_until(|| sum()[0].contains('4'));
        true
    }));
}

#[test]
fn restart_of_persistent_publisher_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().persistent(directory.path().join("kept.mmst"));
    let registry = options.start::<Lane>().unwrap();
    assert!(matches!(registry.restart(), Err(Error::Persistent)));
}
