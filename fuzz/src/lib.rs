//! The fuzz targets as plain functions of some bytes: see README.md.

pub mod changing;
pub mod format1;
pub mod limits;
pub mod live;
pub mod mutate;
pub mod mutated;
pub mod observed;
pub mod open;
pub mod place;
pub mod recording;
pub mod render;
pub mod walk;
pub mod written;

/// A function that runs a target on some bytes.
pub type Target = fn(&[u8]);

/// All targets by name; a test compares them with `fuzz_targets/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("changing", changing::run),
    ("format1", format1::run),
    ("live", live::run),
    ("mutated", mutated::run),
    ("observe", observed::run),
    ("open", open::run),
    ("recording", recording::run),
    ("render", render::run),
    ("write", written::run),
];
