//! A full file system is an error when the file is made, and never a signal later.
//!
//! The role `disk` of the actor mounts a small tmpfs in its own mount namespace.

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
fn creation_without_room_is_an_error() {
    passes("full");
}

#[test]
fn creation_with_too_little_room_is_an_error() {
    passes("nearly-full");
}

#[test]
fn creation_without_room_falls_back_to_private_memory() {
    passes("private");
}

#[test]
fn growth_without_room_keeps_the_first_file() {
    passes("growth");
}

#[test]
fn growth_without_room_falls_back_to_private_memory() {
    passes("growth-private");
}

#[test]
fn family_after_room_is_freed_continues() {
    passes("growth-family");
}

#[test]
fn creation_on_read_only_file_system_is_an_error() {
    passes("read-only");
}
