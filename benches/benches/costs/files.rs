//! Cost of creating a file, and its size.

use mmstats::{Lane, Options, Publisher};
use mmstats_benches::{Bench, Row, Target};

use mmstats_benches::work::programs::{Fifty, directory, options, schema, start};

fn bytes(publisher: &Publisher<Lane>) -> f64 {
    publisher.paths().first().map_or(0, |path| path.metadata().expect("a file").len()) as f64
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
