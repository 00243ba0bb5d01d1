//! Events: lines and counts.
#![allow(missing_docs)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As the crate.

mod support;

use support::{defaults, program};
use tracing::{Level, debug, error, info, info_span, trace, warn};

#[test]
fn lines_have_level_target_span_and_fields() {
    let program = program(defaults());
    program.run(|| {
        let outer = info_span!("outer", n = 1);
        let _outer = outer.enter();
        let _inner = info_span!("inner").entered();
        error!(target: "db", code = 7, text = "a b", "failed {}", "twice");
        warn!(parent: &outer, "of the outer one");
        info!(parent: None, r#type = 1);
        debug!("not kept");
        trace!("not kept");
    });
    let seen = program.seen();
    assert_eq!(
        seen.lines,
        [
            "ERROR db in inner: failed twice code=7 text=\"a b\"",
            "WARN events in outer: of the outer one",
            "INFO events: type=1",
        ]
    );
    let counts: Vec<_> = seen.levels.iter().map(|(level, n)| (level.as_str(), *n)).collect();
    assert_eq!(counts, [("debug", 1), ("error", 1), ("info", 1), ("trace", 1), ("warn", 1)]);
}

#[test]
fn lines_are_of_the_chosen_levels() {
    let program = program(defaults().events(Level::WARN).lines(7));
    program.run(|| {
        for n in 0..100 {
            info!(n);
            warn!(n);
        }
    });
    let seen = program.seen();
    assert_eq!(seen.lines.len(), 7, "{:?}", seen.lines);
    assert_eq!(seen.lines[6], "WARN events: n=99");
    assert_eq!((seen.levels["warn"], seen.levels["info"]), (100, 100));
}

#[test]
fn long_lines_are_cut() {
    let program = program(defaults());
    program.run(|| info!("{}", "ü".repeat(1_000_000)));
    assert!(program.seen().lines[0].ends_with("üü"));
    assert!((230..=240).contains(&program.seen().lines[0].len()));
}
