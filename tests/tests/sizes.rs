//! Bytes that a field takes in a lane, as `benches/RESULTS.md` states them.
#![cfg(target_pointer_width = "64")]
#![allow(missing_docs)]

use mmstats::{
    Activity, Array, Average, Blob, Counter, Events, Field, FieldOptions, Flag, Gauge, Group,
    Histogram, Info, Lane, Options, Publisher, Rate, Record, Schema, State, StateSet, Text, Timer,
    Timestamp, Window,
};
use mmstats_core::layout::header as h;

#[derive(Debug, Clone, Copy, State)]
enum Phase {
    Begun,
    Ended,
}

#[derive(Debug, Clone, Copy, Record)]
struct Eight {
    a: f64,
    b: f64,
    c: f64,
    d: f64,
    e: f64,
    f: f64,
    g: f64,
    h: f64,
}

/// The fields of a lane begin and end at multiples of 64, so that many together have no rest.
const MANY: usize = 64;

/// The bytes of a field in a lane.
fn of<H: Field>(options: FieldOptions<H>) -> usize {
    let mut schema = Schema::new();
    for n in 0..MANY {
        schema.add::<H>(format!("field.{n}"), options.clone());
    }
    let place = tempfile::tempdir().unwrap();
    let settings = Options::new().directory(place.path()).lanes(1).without_system_fields();
    let publisher: Publisher<Lane> = settings.schema(schema).start().unwrap();
    let bytes = std::fs::read(&publisher.paths()[0]).unwrap();
    let get = |at: u32| {
        let at = at as usize;
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    };
    (get(h::LANE_STRIDE) - get(h::CELLS_OFFSET)) as usize / MANY
}

#[test]
fn field_in_a_lane_has_the_documented_size() {
    let histogram = FieldOptions::new().error(0.05).range(1.0, 1e12);
    let sizes = [
        ("counter", of::<Counter>(FieldOptions::new()), 8),
        ("gauge", of::<Gauge<f64>>(FieldOptions::new()), 8),
        ("flag", of::<Flag>(FieldOptions::new()), 8),
        ("state", of::<StateSet<Phase>>(FieldOptions::new()), 8),
        ("timestamp", of::<Timestamp>(FieldOptions::new()), 8),
        ("average", of::<Average>(FieldOptions::new()), 40),
        ("timer", of::<Timer>(FieldOptions::new()), 168),
        ("array of 8 f64", of::<Array<f64, 8>>(FieldOptions::new()), 264),
        ("group of 8 f64", of::<Group<Eight>>(FieldOptions::new()), 264),
        ("text of 64", of::<Text<64>>(FieldOptions::new()), 296),
        ("bytes of 64", of::<Blob<64>>(FieldOptions::new()), 296),
        ("window of 100 f64", of::<Window<f64, 100>>(FieldOptions::new()), 2_056),
        ("rate", of::<Rate>(FieldOptions::new()), 2_064),
        ("histogram, error 5 % over 12 decades", of::<Histogram>(histogram), 3_864),
        ("events of 64 bytes", of::<Events<64>>(FieldOptions::new()), 5_128),
        ("activity, 8 rows of 48 bytes", of::<Activity>(FieldOptions::new()), 2_400),
        ("info", of::<Info>(FieldOptions::new().value("x")), 0),
    ];
    for (kind, measured, documented) in sizes {
        assert_eq!(measured, documented, "{kind}");
    }
}
