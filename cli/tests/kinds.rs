//! States, histograms, averages and windows in the output of `show`.

mod common;

use std::path::Path;

use mmstats_core::{
    Average, Buckets, DataType, FieldSpec, Histogram, Schema, State, StateSet, StaticMemory, Window,
};
use serde_json::json;

use common::phase::Phase;
use common::{field, image, json, run};

/// An image with a field of each kind, and one without a value: `no.*`. The latencies are 1 to
/// 1,000 microseconds.
fn program(path: &Path) {
    let micros = Buckets::integers(0.01, 100, 100_000_000);
    let mut schema = Schema::<16>::new();
    let latency = FieldSpec::histogram("latency", micros).unit("nanoseconds");
    let latency = schema.add(latency).unwrap();
    let phase = schema.add(FieldSpec::state("phase", Phase::NAMES)).unwrap();
    let mean = schema.add(FieldSpec::average("mean").unit("requests")).unwrap();
    let recent = schema.add(FieldSpec::window("recent", DataType::F64, 2)).unwrap();
    schema.add(FieldSpec::events("log", 3, 32)).unwrap();
    schema.add(FieldSpec::histogram("no.latency", micros)).unwrap();
    schema.add(FieldSpec::average("no.mean")).unwrap();
    schema.add(FieldSpec::timestamp("no.moment")).unwrap();
    schema.add(FieldSpec::state("no.phase", Phase::NAMES)).unwrap();
    image(path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        let latency = Histogram::<u64, StaticMemory>::attach(&lane, latency).unwrap();
        (1..=1_000).for_each(|micros| latency.record(micros * 1_000));
        StateSet::<Phase, _>::attach(&lane, phase).unwrap().set(Phase::Busy);
        let mean = Average::attach(&lane, mean).unwrap();
        mean.record(3.0);
        mean.record(4.5);
        let recent = Window::<f64, _>::attach(&lane, recent).unwrap();
        [100.0, 1.0, 2.0].iter().for_each(|value| recent.record(*value));
    });
}

#[test]
fn verbose_show_has_names_means_and_quantiles() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    program(&path);
    let printed = run(dir.path(), &["show", "-v", path.to_str().unwrap()]);
    assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
    // Aligned with the longest label.
    for want in [
        "  phase       busy\n",
        "  mean        3.75 requests, mean of 2\n",
        "  recent      1.5, mean of the last 2\n",
        "  no.latency  none yet\n",
        "  no.mean     none yet\n",
    ] {
        assert!(printed.out.contains(want), "{want} not in {}", printed.out);
    }
    for label in ["log", "no.moment", "no.phase"] {
        let line = printed.out.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        assert!(line.ends_with("- no value"), "{line}");
    }
    let latency = printed.out.lines().find(|line| line.starts_with("  latency")).unwrap();
    assert!(latency.starts_with("  latency     1,000, p50 ") && latency.ends_with("max 1.00 ms"));
    // Fits a terminal of 80 columns.
    assert!(latency.chars().count() <= 80, "{latency}");
    assert!(printed.out.contains("; quantiles within 0.5415 %\n"), "{}", printed.out);
}

#[test]
fn json_and_piped_show_have_all_values() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    program(&path);
    let text = path.to_str().unwrap();
    let document = json(dir.path(), &["show", "--json", text]);
    let value = |label: &str| field(&document, label)["value"].clone();
    assert_eq!(value("phase"), json!({"busy": 1}));
    assert_eq!(value("mean"), json!({"count": 2, "sum": 7.5, "mean": 3.75}));
    assert_eq!(value("recent"), json!({"count": 2, "sum": 3, "mean": 1.5}));
    assert_eq!(value("no.mean"), json!({"count": 0, "sum": 0, "mean": null}));
    let latency = value("latency");
    assert_eq!(
        [&latency["count"], &latency["sum"], &latency["min"], &latency["max"]],
        [1_000, 500_500_000, 1_000, 1_000_000]
    );
    for (quantile, want) in [("0.5", 500_000.0), ("0.9", 900_000.0), ("0.99", 990_000.0)] {
        let found = latency["quantiles"][quantile].as_f64().unwrap();
        assert!((found / want - 1.0).abs() <= 0.01, "{quantile}: {found}");
    }
    let counts = latency["buckets"].as_array().unwrap().iter().map(|b| b[3].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 1_000);
    let empty = value("no.latency");
    assert_eq!(
        (&empty["count"], &empty["min"], &empty["buckets"]),
        (&json!(0), &json!(null), &json!([]))
    );
    assert_eq!(empty["quantiles"]["0.99"], json!(null));
    // The state of one lane is a name.
    let lanes = json(dir.path(), &["show", "--json", "--lanes", text]);
    assert_eq!(field(&lanes, "phase")["value"], "busy");

    let piped = run(dir.path(), &["show", text]).out;
    for want in ["phase\tbusy\t", "mean\tcount=2 sum=7.5 mean=3.75\trequests\t", "no.phase\t-\t"] {
        assert!(piped.lines().any(|line| line.starts_with(want)), "{want} not in {piped}");
    }
}
