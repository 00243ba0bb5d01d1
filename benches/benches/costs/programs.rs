//! Programs to measure: their fields, options and directories.

use std::path::Path;

use mmstats::{Counter, FieldOptions, Lane, Options, Publisher, Record, Schema, Stats};
use tempfile::TempDir;

#[derive(Stats)]
pub(crate) struct One {
    /// Requests served.
    pub(crate) requests: Counter,
}

#[derive(Record)]
pub(crate) struct Record8 {
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) c: f64,
    pub(crate) d: f64,
    pub(crate) e: f64,
    pub(crate) f: f64,
    pub(crate) g: f64,
    pub(crate) h: f64,
}

macro_rules! ten {
    ($($name:ident)*) => {
        /// Ten fields as a program declares them.
        #[derive(Stats)]
        pub(crate) struct Ten {
            $(
                /// Bytes sent to clients, headers included.
                #[stats(unit = "bytes")]
                pub(crate) $name: Counter,
            )*
        }
    };
}
ten!(a b c d e f g h i j);

/// A directory in memory, for the life of the result.
pub(crate) fn directory() -> TempDir {
    let shm = Path::new("/dev/shm");
    let parent = if shm.is_dir() { shm.to_path_buf() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("mmstats-bench-").tempdir_in(parent).expect("a directory")
}

pub(crate) fn options(directory: &TempDir) -> Options {
    Options::new().directory(directory.path()).post_mortems(None)
}

/// Help texts: most fields of a program share one of a few.
const HELP: [&str; 4] = [
    "Requests served since the start.",
    "Bytes sent to clients, headers included.",
    "Times a worker had to wait for a connection.",
    "Entries that were evicted from the cache.",
];

pub(crate) fn schema(fields: u32, described: bool) -> Schema {
    let mut schema = Schema::new();
    for i in 0..fields {
        let mut options = FieldOptions::new();
        if described {
            options = options.unit("bytes").help(HELP[i as usize % HELP.len()]);
        }
        schema.add::<Counter>(format!("worker.{i:06}"), options);
    }
    schema
}

/// A file with one lane, claimed and handed back.
pub(crate) fn publish(directory: &TempDir, schema: Schema) -> Publisher<Lane> {
    let publisher = start(options(directory), schema);
    drop(publisher.lane().expect("a lane"));
    publisher
}

pub(crate) fn start(options: Options, schema: Schema) -> Publisher<Lane> {
    options.without_system_fields().lanes(1).schema(schema).start().expect("a publisher")
}
