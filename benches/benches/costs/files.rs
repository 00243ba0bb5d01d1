//! Cost of creating a file, and its size.

use mmstats::{Counter, FieldOptions, Lane, Options, Publisher, Schema, Stats};
use mmstats_benches::{Bench, Row, Target};
use tempfile::TempDir;

use crate::publishing::{directory, options};

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

fn start(options: Options, schema: Schema) -> Publisher<Lane> {
    options.without_system_fields().lanes(1).schema(schema).start().expect("a publisher")
}

fn bytes(publisher: &Publisher<Lane>) -> f64 {
    publisher.paths().first().map_or(0, |path| path.metadata().expect("a file").len()) as f64
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

/// Fifty fields, declared and never used.
#[derive(Stats)]
#[allow(dead_code)]
struct Fifty {
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

pub(crate) fn rows(bench: &mut Bench) {
    bench.section("creating");
    bench.row_between(
        Row::new("publisher with 50 fields").target(Target::Nanos(100_000.0)),
        || (directory(), Vec::<Publisher<Fifty>>::new()),
        // Dropping closes and removes the file; not timed.
        |(_, publishers)| publishers.clear(),
        |(directory, publishers), n| {
            for _ in 0..n {
                let options = Options::new().directory(directory.path());
                publishers.push(options.start().expect("a publisher"));
            }
        },
        |_, ()| true,
    );
    let in_memory = directory();
    let label_only = start(options(&in_memory), schema(50, false));
    bench.fact(
        Row::new("bytes per field, 50 fields").target(Target::Bytes(128.0)).per(50),
        bytes(&label_only),
    );
    let many = bench.size(100_000, 1_000);
    let described = start(options(&in_memory), schema(many, true));
    bench.fact(
        Row::new("bytes per field, 100,000 fields, unit and help")
            .target(Target::Bytes(112.0))
            .per(many),
        bytes(&described),
    );
}
