//! Values of fields that use tracing themselves. In a file of its own: while a subscriber of one thread is called,
//! tracing leaves out what a value does, so this one is that of the process.
#![allow(missing_docs)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use support::{Seen, defaults, program};
use tracing::{field, info_span};

/// The value of a field that uses tracing itself.
struct Traces;

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _span = info_span!("within").entered();
        tracing::warn!(answer = 42, "from within");
        f.write_str("value")
    }
}

#[test]
fn values_can_use_tracing() {
    let program = program(defaults());
    tracing::dispatcher::set_global_default(program.dispatch.clone()).unwrap();
    let named = std::thread::Builder::new().name("worker".to_owned());
    std::thread::scope(|scope| {
        let work = || {
            let span = info_span!("outer", value = ?Traces, later = field::Empty);
            let _entered = span.enter();
            span.record("later", field::debug(Traces));
            tracing::info!(value = ?Traces, "with a value");
            assert_eq!(program.seen().stack("worker"), ["outer{value=value later=value}"]);
        };
        named.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
    let seen = program.seen();
    assert!(Seen::latency(&seen.busy, "within").0 >= 3, "{:?}", seen.busy);
    let last = seen.lines.last().unwrap();
    assert!(last.ends_with("in outer: with a value value=value"), "{:?}", seen.lines);
    let inside = seen.lines.iter().filter(|line| line.contains("from within answer=42"));
    assert!(inside.count() >= 3, "{:?}", seen.lines);
}
