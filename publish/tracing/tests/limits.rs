//! More names, open spans and levels of nesting than there is room for.
#![allow(missing_docs)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use support::{Seen, defaults, program};
use tracing::callsite::Callsite;
use tracing::field::FieldSet;
use tracing::metadata::{Kind, Metadata};
use tracing::{Level, Span, info_span};

/// A span with a name that is made while the program runs.
fn span(name: &str) -> Span {
    // A call site lives for ever and knows its metadata, which know it.
    struct Late(std::sync::OnceLock<Metadata<'static>>);
    impl Callsite for Late {
        fn set_interest(&self, _interest: tracing::subscriber::Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            self.0.get().unwrap()
        }
    }
    let site: &'static Late = Box::leak(Box::new(Late(std::sync::OnceLock::new())));
    let name = Box::leak(name.to_owned().into_boxed_str());
    let fields = FieldSet::new(&[], tracing::callsite::Identifier(site));
    let metadata = Metadata::new(name, "t", Level::INFO, None, None, None, fields, Kind::SPAN);
    let metadata = site.0.get_or_init(|| metadata);
    Span::new(metadata, &metadata.fields().value_set(&[]))
}

#[test]
fn names_beyond_the_cap_share_a_histogram() {
    let program = program(defaults().names(100));
    program.run(|| {
        for n in 0..10_000 {
            span(&format!("name-{n}")).in_scope(|| ());
        }
        // Those that have one keep it.
        span("name-0").in_scope(|| ());
    });
    let seen = program.seen();
    assert_eq!(seen.busy.len(), 101);
    assert_eq!(Seen::latency(&seen.busy, "(overflow)").0, 9_900);
    assert_eq!(Seen::latency(&seen.busy, "name-0").0, 2);
    let all: u128 = seen.busy.values().map(mmstats_observe::HistogramValue::count).sum();
    assert_eq!(all, 10_001);
}

#[test]
fn open_spans_beyond_the_rows_are_counted() {
    let program = program(defaults().rows(100).slots(4_096));
    program.run(|| {
        let all: Vec<_> = (0..300).map(|n| info_span!("open", n)).collect();
        let seen = program.seen();
        assert_eq!((seen.open.len(), seen.tables, seen.open_refused), (128, 2, 172));
        assert_eq!(seen.open()[127], "open{n=127}", "the oldest are shown");
        drop(all);
        let seen = program.seen();
        assert_eq!((seen.open.len(), seen.open_refused), (0, 172));
        assert_eq!(Seen::latency(&seen.busy, "open").0, 300, "all are timed");
        let _one = info_span!("one");
        assert_eq!(program.seen().open(), ["one"]);
    });
    assert_eq!(program.seen().untracked, 0);
}

#[test]
fn open_spans_of_several_threads_have_a_row_or_are_counted() {
    let program = program(defaults().rows(100).slots(4_096));
    let step = std::sync::Barrier::new(5);
    let seen = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                program.run(|| {
                    for n in 0..200 {
                        drop(info_span!("short", n));
                    }
                    step.wait();
                    let all: Vec<_> = (0..50).map(|n| info_span!("open", n)).collect();
                    step.wait();
                    step.wait();
                    drop(all);
                });
            });
        }
        step.wait();
        step.wait();
        let seen = program.seen();
        step.wait();
        seen
    });
    assert_eq!((seen.open.len(), seen.tables, seen.open_refused), (128, 2, 72));
    assert_eq!(program.seen().open.len(), 0);
    let _all: Vec<_> = program.run(|| (0..128).map(|n| info_span!("again", n)).collect());
    assert_eq!(program.seen().open.len(), 128, "no row was lost");
}

#[test]
fn tables_grow_only_when_they_are_needed() {
    let program = program(defaults());
    program.run(|| {
        for round in 0..3 {
            let all: Vec<_> = (0..256).map(|n| info_span!("open", n)).collect();
            let seen = program.seen();
            assert_eq!((seen.open.len(), seen.tables, seen.open_refused), (256, 4, 0), "{round}");
            drop(all);
        }
        let _few: Vec<_> = (0..64).map(|n| info_span!("few", n)).collect();
        assert_eq!(program.seen().open.len(), 64);
    });
}

#[test]
fn spans_without_a_slot_are_counted_and_work() {
    let program = program(defaults().slots(16));
    program.run(|| {
        let all: Vec<_> = (0..100).map(|n| info_span!("open", n)).collect();
        let seen = program.seen();
        let tracked = seen.open.len();
        assert!((8..=16).contains(&tracked), "{tracked}");
        assert_eq!(seen.untracked, 100 - tracked as u128);
        for span in &all {
            span.in_scope(|| tracing::info!("within"));
            span.record("n", 7);
        }
        drop(all);
        let seen = program.seen();
        assert_eq!(Seen::latency(&seen.busy, "open").0, tracked as u64);
        assert!(seen.open.is_empty() && seen.stacks.is_empty());
        assert_eq!(seen.levels["info"], 100);
        // The slots are free again.
        let _one = info_span!("one");
        assert_eq!(program.seen().open(), ["one"]);
    });
}

#[test]
fn nesting_beyond_the_rows_is_counted() {
    fn nest(program: &support::Program, depth: u32) {
        let _span = info_span!("nested", depth).entered();
        if depth > 0 {
            return nest(program, depth - 1);
        }
        let seen = program.seen();
        let stack = &seen.stacks.values().next().unwrap();
        assert_eq!((stack.len(), &*stack[31].text), (32, "nested{depth=168}"));
        assert_eq!(seen.stacks_refused, 199 + 1 - 32);
    }
    let program = program(defaults());
    program.run(|| nest(&program, 199));
    let seen = program.seen();
    assert!(seen.stacks.is_empty());
    assert_eq!(Seen::latency(&seen.busy, "nested").0, 200);
}
