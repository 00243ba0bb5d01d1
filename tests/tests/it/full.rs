//! A full file system is an error when the file is made, and never a signal later:
//! DESIGN.md section 6.
//!
//! What is done is in the actor's role `disk`; it mounts a small tmpfs in a namespace of
//! its own.

use mmstats_tests::actor::{Actor, directory, skip};

fn passes(scenario: &str) {
    let directory = directory();
    let Some(mut actor) = Actor::start_with_mounts("disk", directory.path(), &[scenario]) else {
        skip("no mount namespaces");
        return;
    };
    let line = actor.line();
    if line.starts_with("skipped") {
        skip(&line);
        return;
    }
    assert_eq!(line, "passed");
    actor.succeeds();
}

#[test]
fn full() {
    passes("full");
}

#[test]
fn nearly_full() {
    passes("nearly-full");
}

#[test]
fn private_memory_is_the_second_choice() {
    passes("private");
}

#[test]
fn a_further_file_does_not_fit() {
    passes("growth");
}

#[test]
fn a_further_file_does_not_fit_and_memory_will_do() {
    passes("growth-private");
}

#[test]
fn a_family_goes_on_when_there_is_room_again() {
    passes("growth-family");
}

#[test]
fn read_only() {
    passes("read-only");
}
