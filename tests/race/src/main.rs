//! Threads that publish and threads that read, in one process, for ThreadSanitizer:
//! `tests/race/run` builds and runs it.
//!
//! ```text
//! mmstats-race image          writers and readers of one image in memory
//! mmstats-race publisher      the same through `mmstats` and `mmstats-observe`
//! mmstats-race plain-store    the first one with a planted fault, which must be reported
//! ```
//!
//! ThreadSanitizer reports a race that happens, so the readers read until they have met the writers
//! in the middle of their work many times.

mod image;
mod meetings;
#[cfg(unix)] // its files need a backend
mod publisher;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("image") => image::run(false),
        Some("plain-store") => image::run(true),
        #[cfg(unix)]
        Some("publisher") => publisher::run(),
        other => panic!("image, publisher or plain-store, not {other:?}"),
    }
    println!("done");
}
