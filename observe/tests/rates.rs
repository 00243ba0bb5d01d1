//! Rates of counters over windows of time, through each reading method.
#![cfg(unix)]

mod support;

use std::path::Path;

use mmstats_core::layout::{descriptor as d, flags, header as h, lane};
use mmstats_core::{Aggregation, FieldSpec, Rate};
use mmstats_observe::{File, OwnedValue, WindowRate, totals};
use support::{Published, Setup, id, observe, only, publish, reseal, word};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

/// A counter and its rate over 1 and 10 seconds, with at most one checkpoint each second. A lane
/// is a list of times, in milliseconds, and increments.
fn rated(directory: &Path, name: &str, rule: Aggregation, lanes: &[&[(u64, u64)]]) -> Published {
    let rate = FieldSpec::rate("rate", 1000, &["1", "10"]).aggregation(rule);
    let specs = [FieldSpec::counter("hits"), rate];
    // Room for 128 checkpoints.
    let instance = name.bytes().fold(0, |sum, byte| sum * 256 + u64::from(byte));
    let setup = Setup { room: 40, instance, ..Setup::default() };
    let add = |writer: &mut mmstats_core::Writer<_>| {
        writer.add_all(&specs).unwrap();
    };
    let mut file = publish(directory, name, setup, add, &[]);
    for adds in lanes {
        let lane = file.lane();
        let rate = Rate::attach(&lane, id(0)).unwrap();
        adds.iter().for_each(|(ms, n)| rate.add(*n, START + ms * 1_000_000));
    }
    file
}

/// The same increment each second for 20 seconds.
fn steady(step: u64) -> Vec<(u64, u64)> {
    (0..=20).map(|second| (second * 1000, step)).collect()
}

fn rounded(rates: &[WindowRate]) -> Vec<(u32, Option<f64>)> {
    rates.iter().map(|one| (one.window, one.rate.map(f64::round))).collect()
}

fn windows(value: Option<&OwnedValue>) -> Vec<(u32, Option<f64>)> {
    let Some(OwnedValue::Rate(rates)) = value else { panic!("{value:?}") };
    rounded(rates)
}

fn of_lane(file: &File, lane: u32) -> Vec<(u32, Option<f64>)> {
    rounded(&file.rates(1, Some(lane)).unwrap())
}

#[test]
fn rate_value_has_all_windows() {
    let directory = tempfile::tempdir().unwrap();
    let lanes: [&[_]; 2] = [&steady(7), &steady(2)];
    drop(rated(directory.path(), "a.mmst", Aggregation::Sum, &lanes));
    let both = [(1, Some(9.0)), (10, Some(9.0))];
    let observer = observe(directory.path());
    let file = only(&observer);
    assert_eq!(windows(file.value(1).value.as_ref()), both);
    assert_eq!(windows(file.values()[1].value.as_ref()), both);
    assert_eq!(windows(totals(observer.files())[1].reading.value.as_ref()), both);
    let second = file.lane_values(1);
    assert_eq!(windows(second[1].value.as_ref()), [(1, Some(2.0)), (10, Some(2.0))]);
    // Over two files.
    drop(rated(directory.path(), "b.mmst", Aggregation::Sum, &lanes));
    let observer = observe(directory.path());
    let all = totals(observer.files());
    assert_eq!(windows(all[1].reading.value.as_ref()), [(1, Some(18.0)), (10, Some(18.0))]);
    assert_eq!((all[1].files, all[1].reading.tally.values), (2, 4));
}

/// With the rule each; a lane without a checkpoint has no rate.
#[test]
fn rate_with_rule_each_is_of_lane() {
    let directory = tempfile::tempdir().unwrap();
    let lanes: [&[_]; 4] = [&[], &steady(7), &steady(2), &[]];
    drop(rated(directory.path(), "a.mmst", Aggregation::Each, &lanes));
    let observer = observe(directory.path());
    let file = only(&observer);
    let rates = [None, Some(7.0), Some(2.0), None];
    let wanted =
        rates.into_iter().zip(0..).map(|(rate, lane)| (Some(lane), vec![(1, rate), (10, rate)]));
    let all = totals(observer.files())[1].reading.clone();
    for reading in [file.value(1), file.values()[1].clone(), all] {
        let Some(OwnedValue::Each(each)) = &reading.value else { panic!("{reading:?}") };
        let each = each.iter().map(|one| (one.origin.lane, windows(one.value.as_ref())));
        assert!(each.eq(wanted.clone()), "{reading:?}");
        assert_eq!((reading.tally.values, reading.tally.absent), (4, 0));
    }
}

#[test]
fn rate_windows_of_live_program_end_now() {
    let directory = tempfile::tempdir().unwrap();
    let live = rated(directory.path(), "a.mmst", Aggregation::Sum, &[&steady(7)]);
    let mut observer = observe(directory.path());
    let still = [(1, Some(0.0)), (10, Some(0.0))];
    assert_eq!(of_lane(only(&observer), 0), still, "nothing was added for years");
    drop(live);
    observer.refresh();
    assert_eq!(of_lane(only(&observer), 0), [(1, Some(7.0)), (10, Some(7.0))]);
}

/// Checkpoints from before the change have times of another clock.
#[test]
fn rate_after_clock_set_back_starts_anew() {
    let directory = tempfile::tempdir().unwrap();
    let times = [100, 101, 102, 50, 51, 52].map(|second| (second * 1000, 7));
    drop(rated(directory.path(), "a.mmst", Aggregation::Sum, &[&times]));
    let observer = observe(directory.path());
    assert_eq!(of_lane(only(&observer), 0), [(1, Some(7.0)), (10, Some(7.0))]);
}

#[test]
fn rate_with_equal_checkpoint_times_keeps_both() {
    let directory = tempfile::tempdir().unwrap();
    // 0, 0, 1, 3, 6, 10 … before second 0, 1, 2, 3, 4, 5.
    let adds: Vec<_> = (0..=10).map(|second| (second * 1000, second)).collect();
    let published = rated(directory.path(), "a.mmst", Aggregation::Sum, &[&adds]);
    let path = published.path.clone();
    drop(published);
    let wanted = [(1, Some(9.0)), (10, Some(5.0))]; // 45 in 10 seconds is 4.5
    assert_eq!(of_lane(only(&observe(&path)), 0), wanted);
    let mut bytes = std::fs::read(&path).unwrap();
    let time = |second: u64| (START + second * SECOND).to_le_bytes();
    let at = bytes.windows(8).position(|bytes| bytes == time(6)).unwrap();
    bytes[at..at + 8].copy_from_slice(&time(7));
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(of_lane(only(&observe(&path)), 0), wanted);
}

/// Increments in the second after a checkpoint are in the next one, so a window that begins in
/// that second begins at the checkpoint.
#[test]
fn rate_interval_is_in_milliseconds() {
    let directory = tempfile::tempdir().unwrap();
    let times = [(0, 10), (1000, 30), (2500, 1)];
    drop(rated(directory.path(), "a.mmst", Aggregation::Sum, &[&times]));
    let observer = observe(directory.path());
    // 30 from 1.0 to 2.5, and 40 from 0 on.
    assert_eq!(of_lane(only(&observer), 0), [(1, Some(20.0)), (10, Some(16.0))]);
}

/// Other writers may have optional rates.
#[test]
fn rate_of_absent_value_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let published = rated(directory.path(), "a.mmst", Aggregation::Sum, &[&steady(7)]);
    let path = published.path.clone();
    drop(published);
    let mut bytes = std::fs::read(&path).unwrap();
    let descriptor = word(&bytes, h::DESCRIPTOR_OFFSET) + d::SIZE;
    let optional = (flags::OPTIONAL | flags::ARRAY).to_le_bytes();
    bytes[(descriptor + d::FLAGS) as usize..][..2].copy_from_slice(&optional);
    reseal(&mut bytes, 1);
    let presence = (word(&bytes, h::LANES_OFFSET) + lane::PRESENCE) as usize;
    for (bits, rate) in [(0b00, None), (0b10, Some(7.0))] {
        bytes[presence] = bits;
        std::fs::write(&path, &bytes).unwrap();
        let observer = observe(&path);
        assert_eq!(only(&observer).field(1).unwrap().damage(), None);
        assert!(only(&observer).field(1).unwrap().properties().is_optional());
        assert_eq!(of_lane(only(&observer), 0), [(1, rate), (10, rate)]);
    }
}
