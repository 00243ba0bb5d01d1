//! What the README says of the bytes that a field takes in a lane.
#![cfg(target_pointer_width = "64")]
#![allow(missing_docs)]

use std::collections::BTreeMap;

use mmstats::{
    Array, Average, Blob, Counter, Events, Field, FieldOptions, Flag, Gauge, Group, Histogram,
    Info, Lane, Options, Publisher, Rate, Record, Schema, State, StateSet, Text, Timer, Timestamp,
    Window,
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
fn of<H: Field>(options: &FieldOptions) -> usize {
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
fn the_table_of_kinds_says_how_large_they_are() {
    let plain = FieldOptions::new();
    let measured = BTreeMap::from([
        ("counter", vec![of::<Counter>(&plain)]),
        ("gauge, flag", vec![of::<Gauge<f64>>(&plain), of::<Flag>(&plain)]),
        // In a lane that is nobody's.
        ("gauge of the whole program", vec![of::<Gauge<f64>>(&plain)]),
        ("text, bytes of 64", vec![of::<Text<64>>(&plain), of::<Blob<64>>(&plain)]),
        ("array, group of 8 f64", vec![of::<Array<f64, 8>>(&plain), of::<Group<Eight>>(&plain)]),
        ("timer", vec![of::<Timer>(&plain)]),
        (
            "histogram, 5 % over 12 decades",
            vec![of::<Histogram>(&plain.clone().error(0.05).range(1.0, 1e12))],
        ),
        ("average", vec![of::<Average>(&plain)]),
        ("window of 100", vec![of::<Window<f64, 100>>(&plain)]),
        ("rate", vec![of::<Rate>(&plain)]),
        ("state", vec![of::<StateSet<Phase>>(&plain)]),
        ("timestamp", vec![of::<Timestamp>(&plain)]),
        ("events, 63 of 64 bytes", vec![of::<Events<64>>(&plain)]),
        ("info", vec![of::<Info>(&plain.clone().value("x"))]),
        // A combination is a field like others.
        ("family of counters, two labels", vec![of::<Counter>(&plain)]),
    ]);
    let readme = include_str!("../../README.md");
    let table = readme.lines().skip_while(|line| !line.starts_with("| kind |")).skip(2);
    let table = table.take_while(|line| line.starts_with('|'));
    let said: BTreeMap<&str, usize> = table
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let number = cells[4].split(' ').next().unwrap().replace(',', "");
            (cells[1], number.parse().unwrap())
        })
        .collect();
    assert_eq!(said.keys().collect::<Vec<_>>(), measured.keys().collect::<Vec<_>>());
    for (kind, sizes) in measured {
        let said = said[kind];
        assert!(sizes.iter().all(|size| *size == said), "{kind}: {sizes:?}, not {said}");
    }
}
