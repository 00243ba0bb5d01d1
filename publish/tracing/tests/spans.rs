//! Stacks of threads, open spans and their latencies.
#![allow(missing_docs)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use std::sync::Barrier;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use support::{Seen, age, defaults, program};
use tracing::{Span, field, info_span, instrument};

/// Runs `work` on a thread with this name.
fn on<R: Send>(name: &str, work: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, work)
            .unwrap()
            .join()
            .unwrap()
    })
}

#[instrument(skip(program))]
fn outer(program: &support::Program, r#type: u32) -> Vec<String> {
    inner(program, "a \"text\"", 1.5)
}

#[instrument(level = "debug", skip(program))]
fn inner(program: &support::Program, text: &str, number: f64) -> Vec<String> {
    let seen = program.seen();
    assert_eq!(seen.open(), seen.stack("worker"));
    seen.stack("worker").into_iter().map(str::to_owned).collect()
}

#[test]
fn stack_has_nested_spans_with_fields() {
    let program = program(defaults());
    let stack = on("worker", || program.run(|| outer(&program, 7)));
    assert_eq!(stack, ["outer{type=7}", r#"inner{text="a \"text\"" number=1.5}"#]);
    let seen = program.seen();
    assert!(seen.stacks.is_empty() && seen.open.is_empty(), "{seen:?}");
    let counts = ["outer", "inner"].map(|name| Seen::latency(&seen.busy, name).0);
    assert_eq!(counts, [1, 1]);
    let counts = ["outer", "inner"].map(|name| Seen::latency(&seen.idle, name).0);
    assert_eq!(counts, [1, 1]);
}

#[test]
fn stack_of_overlapping_spans_has_the_rest() {
    let program = program(defaults());
    on("worker", || {
        program.run(|| {
            let (a, b, c) = (info_span!("a"), info_span!("b"), info_span!("c"));
            let (a, b, c) = (a.entered(), b.entered(), c.entered());
            assert_eq!(program.seen().stack("worker"), ["a", "b", "c"]);
            let a = a.exit();
            assert_eq!(program.seen().stack("worker"), ["b", "c"]);
            drop(c);
            let _a = a.entered();
            let seen = program.seen();
            assert_eq!(seen.stack("worker"), ["b", "a"]);
            assert_eq!(seen.open(), ["a", "b"]);
            drop(b);
            assert_eq!(program.seen().stack("worker"), ["a"]);
        });
    });
    assert!(program.seen().stacks.is_empty());
}

#[test]
fn latencies_are_busy_and_idle_time() {
    let program = program(defaults().error(0.02));
    let begin = Instant::now();
    program.run(|| {
        let span = info_span!("mixed");
        sleep(Duration::from_millis(60));
        for _ in 0..2 {
            span.in_scope(|| sleep(Duration::from_millis(30)));
        }
        // It is within itself, which counts once.
        let entered = span.enter();
        span.in_scope(|| sleep(Duration::from_millis(20)));
        drop(entered);
        drop(span);
        drop(info_span!("never entered"));
    });
    let all = begin.elapsed().as_secs_f64() * 1e3;
    let seen = program.seen();
    let ((count, busy), (idles, idle)) =
        (Seen::latency(&seen.busy, "mixed"), Seen::latency(&seen.idle, "mixed"));
    assert_eq!((count, idles), (1, 1));
    // Sleeps are never shorter; a loaded machine makes them longer.
    assert!(busy >= 80.0 && idle >= 60.0, "{busy} {idle}");
    assert!((busy + idle) * 0.98 <= all, "{busy} {idle} {all}");
    assert_eq!(Seen::latency(&seen.busy, "never entered").0, 1);
}

#[test]
fn span_entered_twice_is_shown_once() {
    let program = program(defaults());
    on("worker", || {
        program.run(|| {
            let (span, other) = (info_span!("twice"), info_span!("other"));
            let first = span.enter();
            let within = other.enter();
            let again = span.enter();
            assert_eq!(program.seen().stack("worker"), ["twice", "other"]);
            drop(again);
            assert_eq!(program.seen().stack("worker"), ["twice", "other"]);
            drop((first, within));
            assert!(program.seen().stacks.is_empty());
        });
    });
}

#[test]
fn span_of_several_threads_is_in_each_stack_and_has_no_idle_time() {
    let program = program(defaults());
    let (span, apart) = program.run(|| (info_span!("shared", n = 1), info_span!("apart")));
    let (all_in, looked) = (Barrier::new(3), Barrier::new(3));
    thread::scope(|scope| {
        for name in ["one", "two"] {
            let (program, span, all_in, looked) = (&program, &span, &all_in, &looked);
            let work = move || {
                program.run(|| {
                    span.in_scope(|| {
                        all_in.wait();
                        looked.wait();
                    });
                });
            };
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work).unwrap();
        }
        all_in.wait();
        let seen = program.seen();
        assert_eq!(
            (seen.stack("one"), seen.stack("two")),
            (vec!["shared{n=1}"], vec!["shared{n=1}"])
        );
        assert_eq!(seen.open(), ["shared{n=1}", "apart"]);
        looked.wait();
    });
    // One thread after the other.
    for name in ["one", "two"] {
        on(name, || program.run(|| apart.in_scope(|| ())));
    }
    program.run(|| drop((span, apart)));
    let seen = program.seen();
    assert_eq!(Seen::latency(&seen.busy, "shared").0, 1);
    assert_eq!(Seen::latency(&seen.idle, "shared").0, 0, "it is not known");
    assert_eq!(Seen::latency(&seen.idle, "apart").0, 1);
}

/// Only what uses subscribers by hand can do this.
#[test]
fn span_exited_by_another_thread_leaves_the_stack() {
    let program = program(defaults());
    let span = program.run(|| info_span!("wanders"));
    let (id, dispatch) = (span.id().unwrap(), program.dispatch.clone());
    let (entered, exited, done) = (Barrier::new(2), Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let work = || {
            dispatch.enter(&id);
            entered.wait();
            exited.wait();
            // Its next use of the layer.
            program.run(|| info_span!("next").in_scope(|| ()));
            done.wait();
            exited.wait();
        };
        thread::Builder::new().name("enters".to_owned()).spawn_scoped(scope, work).unwrap();
        entered.wait();
        assert_eq!(program.seen().stack("enters"), ["wanders"]);
        sleep(Duration::from_millis(30));
        on("exits", || program.dispatch.exit(&id));
        exited.wait();
        done.wait();
        assert!(program.seen().stacks.is_empty());
        exited.wait();
    });
    program.run(|| drop(span));
    let (count, busy) = Seen::latency(&program.seen().busy, "wanders");
    assert_eq!(count, 1);
    assert!(busy >= 30.0, "{busy}");
}

/// Only what uses subscribers by hand can do this, or a layer that is changed meanwhile.
#[test]
fn exit_without_enter_takes_no_time_and_no_row_of_another_thread() {
    let program = program(defaults().error(0.02));
    let [span, other] = program.run(|| [info_span!("wanders"), info_span!("other")]);
    on("before", || program.run(|| [&span, &other].map(|span| span.in_scope(|| ()))));
    sleep(Duration::from_millis(30));
    let exit = |span: &Span| on("exits", || program.dispatch.exit(&span.id().unwrap()));
    exit(&span);
    on("after", || {
        program.run(|| {
            let _entered = span.enter();
            exit(&other);
            info_span!("next").in_scope(|| ()); // Its next use of the layer.
            assert_eq!(program.seen().stack("after"), ["wanders"]);
        });
    });
    program.run(|| drop(span));
    let (_, idle) = Seen::latency(&program.seen().idle, "wanders");
    assert!(idle >= 30.0, "{idle}");
}

#[test]
fn recorded_fields_change_the_texts() {
    let program = program(defaults());
    on("worker", || {
        program.run(|| {
            let span = info_span!("load", done = 0, name = field::Empty, file = "x");
            let entered = span.enter();
            assert_eq!(program.seen().stack("worker"), [r#"load{done=0 file="x"}"#]);
            Span::current().record("name", "n");
            for done in [100, 7] {
                span.record("done", done);
                let seen = program.seen();
                let text = format!(r#"load{{done={done} file="x" name="n"}}"#);
                assert_eq!(seen.stack("worker"), [&text]);
                assert_eq!(seen.open(), [&text]);
            }
            drop(entered);
            let clone = span.clone();
            on("other", || {
                clone.record("done", field::display("all"));
                program.run(|| {
                    let _entered = clone.enter();
                    let text = r#"load{done=all file="x" name="n"}"#;
                    assert_eq!(program.seen().stack("other"), [text]);
                });
            });
        });
    });
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let program = program(defaults());
    on("worker", || {
        program.run(|| {
            let long = "ä".repeat(1_000_000);
            let span = info_span!("s", long = long.as_str(), after = 1);
            let _entered = span.enter();
            let seen = program.seen();
            let text = format!("s{{long=\"{}", "ä".repeat(44));
            for row in [&seen.stacks["worker"][0], &seen.open[0]] {
                assert_eq!((&row.text, row.cut), (&text, true));
            }
            span.record("long", "short");
            let seen = program.seen();
            assert_eq!(seen.stack("worker"), [r#"s{long="short" after=1}"#]);
            assert!(!seen.stacks["worker"][0].cut);
        });
    });
}

#[test]
fn ages_are_those_of_enter_and_of_creation() {
    let program = program(defaults());
    on("worker", || {
        program.run(|| {
            let span = info_span!("aged");
            sleep(Duration::from_millis(200));
            let _entered = span.enter();
            sleep(Duration::from_millis(50));
            let seen = program.seen();
            let (entered, open) = (age(&seen.stacks["worker"][0]), age(&seen.open[0]));
            assert!(entered >= Duration::from_millis(50), "{entered:?}");
            assert!(open >= entered + Duration::from_millis(190), "{open:?} {entered:?}");
        });
    });
}

#[test]
fn panics_end_what_they_leave() {
    let program = program(defaults());
    on("worker", || {
        program.run(|| {
            let caught = std::panic::catch_unwind(|| {
                let _span = info_span!("fails").entered();
                panic!("on purpose");
            });
            assert!(caught.is_err() && program.seen().stacks.is_empty());
        });
    });
}
