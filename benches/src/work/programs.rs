//! Programs to measure: their fields, options and directories.

use std::path::{Path, PathBuf};

use mmstats::{
    Activity, Array, Average, Counter, Events, Family, FieldOptions, Flag, Gauge, Group, Histogram,
    Lane, Options, Publisher, Rate, Record, Schema, State, StateSet, Stats, Text, Timer, Timestamp,
    Window,
};
use tempfile::TempDir;

#[derive(Stats)]
pub struct One {
    /// Requests served.
    pub requests: Counter,
}

#[derive(Record)]
pub struct Record8 {
    pub a: f64,
    pub b: f64,
    pub c: f64,
    pub d: f64,
    pub e: f64,
    pub f: f64,
    pub g: f64,
    pub h: f64,
}

macro_rules! ten {
    ($($name:ident)*) => {
        /// Ten fields as a program declares them.
        #[derive(Stats)]
        pub struct Ten {
            $(
                /// Bytes sent to clients, headers included.
                #[stats(unit = "bytes")]
                pub $name: Counter,
            )*
        }
    };
}
ten!(a b c d e f g h i j);

/// A directory in memory, for the life of the result.
pub fn directory() -> TempDir {
    let shm = Path::new("/dev/shm");
    let parent = if shm.is_dir() { shm.to_path_buf() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("mmstats-bench-").tempdir_in(parent).expect("a directory")
}

pub fn options(directory: &TempDir) -> Options {
    Options::new().directory(directory.path()).post_mortems(None)
}

/// Help texts: most fields of a program share one of a few.
const HELP: [&str; 4] = [
    "Requests served since the start.",
    "Bytes sent to clients, headers included.",
    "Times a worker had to wait for a connection.",
    "Entries that were evicted from the cache.",
];

pub fn schema(fields: u32, described: bool) -> Schema {
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
pub fn publish(directory: &TempDir, schema: Schema) -> Publisher<Lane> {
    let publisher = start(options(directory), schema);
    drop(publisher.lane().expect("a lane"));
    publisher
}

pub fn start(options: Options, schema: Schema) -> Publisher<Lane> {
    options.without_system_fields().lanes(1).schema(schema).start().expect("a publisher")
}

#[derive(Debug, Clone, Copy, State)]
pub enum Phase {
    Idle,
    Busy,
}

#[derive(Stats)]
pub struct Further {
    #[stats(unit = "nanoseconds", range(100, 3_600_000_000_000_u64))]
    pub size: Histogram,
    pub ratio: Histogram<f64>,
    pub mean: Average,
    pub recent: Window<f64, 100>,
    pub phase: StateSet<Phase>,
    pub hits: Rate,
    pub at: Timestamp,
    pub log: Events<64>,
    pub doing: Activity,
    #[stats(labels("method", "code"))]
    pub served: Family<Counter, 2>,
}

#[derive(Stats)]
pub struct Kinds {
    pub load: Gauge<f64>,
    pub in_flight: Gauge<i64>,
    pub ready: Flag,
    pub latency: Timer,
    pub doing: Text<64>,
    pub sizes: Array<f64, 8>,
    pub moment: Group<Record8>,
}

/// A publisher with a lane on this thread.
pub struct Publishing<S: Stats> {
    // Dropped first.
    pub handles: S,
    pub publisher: Publisher<S>,
    _directory: TempDir,
}

impl<S: Stats> Default for Publishing<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Stats> Publishing<S> {
    #[must_use]
    pub fn new() -> Self {
        let directory = directory();
        let publisher: Publisher<S> = options(&directory).start().expect("a publisher");
        let handles = publisher.lane().expect("a lane");
        Self { handles, publisher, _directory: directory }
    }

    pub fn path(&self) -> PathBuf {
        self.publisher.paths().remove(0)
    }
}

/// Fifty fields, declared and never used.
#[derive(Stats)]
#[allow(dead_code)]
pub struct Fifty {
    #[stats(nested)]
    http: Ten,
    #[stats(nested)]
    cache: Ten,
    #[stats(nested)]
    database: Ten,
    #[stats(nested)]
    queue: Ten,
    #[stats(nested)]
    workers: Ten,
}
