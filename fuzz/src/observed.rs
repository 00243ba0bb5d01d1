//! Calls the whole interface of `mmstats-observe` for some files.

use std::time::Duration;

use mmstats_observe::{
    Aggregation, FieldInfo, File, Fold, Kind, Observer, OwnedValue, Program, Properties, Reading,
    Scratch, Sources, Total, Totals, rate, timer_mean, totals,
};

use crate::limits::Limits;
use crate::place;

/// Number of lanes that are read one by one.
const LANES: u32 = 3;

/// Reads up to three files made of the bytes, sums and folds them, and removes them.
pub fn run(data: &[u8]) {
    place::clear();
    for (name, image) in ["a.mmst", "b.mmst", "c.mmst"].iter().zip(place::images(data)) {
        let _ = place::put(name, &image);
    }
    Limits::TOOLS.hold(3 * data.len(), || {
        let mut observer = Observer::new(Sources::new().path(place::directory()));
        observer.refresh();
        walk(&observer);
        // Nothing has changed.
        let changes = observer.refresh();
        assert!(changes.is_empty(), "{changes:?}");
    });
}

/// Calls every function of an observer, and checks the results.
pub fn walk(observer: &Observer) {
    let mut scratch = Scratch::new();
    for file in observer.files() {
        describe(file);
        values(file, &mut scratch);
    }
    for problem in observer.problems() {
        let text = problem.to_string();
        assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
    }
    for program in Program::group(observer.files()) {
        let _ = (program.state(), program.instance(), program.identity());
        program.totals().iter().for_each(|total| check_reading(&total.reading));
    }
    sums(observer);
}

fn describe(file: &File) {
    let _ = (file.path(), file.named(), file.format(), file.state(), file.problem());
    let _ = (file.instance(), file.part(), file.identity(), file.modified(), file.owner());
    let _ = (file.size(), file.id(), file.fields_refused());
    let lanes = file.lanes();
    assert!(lanes.owned <= lanes.used && lanes.used <= lanes.capacity);
    assert_eq!(file.fields().len(), file.field_count());
    for (index, field) in file.fields().enumerate() {
        assert_eq!(field.index(), index);
        let _ = (field.label(), field.unit(), field.help(), field.attributes_text());
        let properties = field.properties();
        let _ = (field.attributes().count(), field.details().count());
        let _ = (properties.ty(), properties.param(), properties.level(), properties.count());
        let _ = (field.shape().to_string(), field.kind_name(), field.storage());
        let _ = (properties.is_optional(), field.is_retired(), properties.is_array());
        assert_eq!(field.damage().is_some(), field.label().is_empty());
    }
}

fn values(file: &File, scratch: &mut Scratch) {
    let all = file.values();
    assert!(file.state() != file.state() || all.len() == file.field_count());
    all.iter().for_each(check_reading);
    let lanes = file.lanes().used.min(LANES);
    for lane in (0..lanes).chain([u32::MAX]) {
        let _ = file.lane(lane);
        file.lane_values(lane).iter().for_each(check_reading);
        file.visit_lane(lane, scratch, |field, _| assert!(field.index() < file.field_count()));
        file.scan(lane, |index, _| assert!((index as usize) < file.field_count()));
    }
    for field in file.fields() {
        check_reading(&file.value(field.index()));
        let _ = file.rates(field.index(), None);
        for lane in 0..lanes {
            for rate in file.rates(field.index(), Some(lane)).into_iter().flatten() {
                assert!(rate.window > 0 && rate.rate.is_none_or(|rate| !rate.is_nan()));
            }
            let lines = file.events(field.index(), lane, 0).unwrap_or_default();
            if let Some(last) = lines.last() {
                let new = file.events(field.index(), lane, last.number).unwrap_or_default();
                assert!(new.is_empty(), "no new line without a writer");
            }
        }
    }
}

/// Checks the invariants of a reading.
fn check_reading(reading: &Reading) {
    let _ = reading.verdict.name();
    let Some(value) = &reading.value else { return };
    let _ = (value.as_f64(), value.only());
    if let Some(none) = value.since(value) {
        assert!(none.counted().is_none_or(|count| count == 0.0 || count.is_nan()), "{value:?}");
    }
    match value {
        OwnedValue::Histogram(histogram) => {
            let inside = histogram.buckets().map(|(.., count)| count);
            let sum = inside.fold(histogram.below() + histogram.above(), |sum, n| sum + n);
            // Modulo 2^64: damaged counts wrap.
            assert_eq!(sum as u64, histogram.count() as u64);
            let _ = (histogram.mean(), histogram.min(), histogram.max(), histogram.sum());
            let _ = (histogram.relative_error(), histogram.scale(), histogram.is_float());
            for q in [0.0, 0.5, 0.99, 1.0, -1.0, 2.0, f64::NAN] {
                let none = q.is_nan() || histogram.count() == 0;
                assert_eq!(histogram.quantile(q).is_none(), none);
            }
        }
        OwnedValue::State(state) => {
            let _ = (state.only(), state.iter().count());
        }
        OwnedValue::Average(average) => {
            let _ = average.mean();
        }
        OwnedValue::Timer(timer) => {
            let _ = timer.mean();
        }
        OwnedValue::Running(running) => {
            assert!(running.since.is_none() || running.number > 0);
        }
        OwnedValue::Activity(activity) => {
            assert!(activity.rows.is_sorted_by_key(|row| row.number));
            assert!((activity.rows.len()..=64).contains(&activity.in_progress()));
        }
        _ => {}
    }
}

/// Sums over files, which must not drop when files are folded.
fn sums(observer: &Observer) {
    let files = || observer.files().iter();
    let plain = totals(files());
    let mut kept = Totals::new();
    kept.update(files(), None);
    kept.update(files(), None);
    assert_eq!(kept.fields().len(), plain.len());
    for (kept, plain) in kept.fields().iter().zip(&plain) {
        check_reading(&plain.reading);
        assert_eq!(text(kept), text(plain), "repeated updates equal one sum");
    }
    for (before, after) in plain.iter().zip(kept.fields()) {
        let second = Duration::from_secs(1);
        let rate = rate(before.field.properties.kind(), &before.reading, &after.reading, second);
        assert!(rate.is_none_or(|rate| rate >= 0.0));
        let _ = timer_mean(&before.reading, &after.reading);
    }
    let mut fold = Fold::new();
    for file in files() {
        let _ = fold.add(file);
    }
    let mut folded = Totals::new();
    folded.update(files(), Some(&fold));
    for total in plain.iter().filter(|total| is_sum(total)) {
        let wanted = identity(&total.field);
        let same = folded.fields().iter().filter(|other| identity(&other.field) == wanted);
        let same: Vec<_> = same.map(|other| format!("{:?}", other.reading.value)).collect();
        assert_eq!(same, [format!("{:?}", total.reading.value)], "{:?} folded", total.field);
    }
}

/// A description without help, `constant` and properties, which come from the first file with a value:
/// once that is folded, another file describes the field. The rest decides what combines.
fn identity(field: &FieldInfo) -> FieldInfo {
    let mut field = field.clone();
    (field.help, field.constant) = ("".into(), false);
    field.properties = Properties::default();
    field
}

fn text(total: &Total) -> String {
    format!("{:?} {:?}", total.field, total.reading)
}

/// Counters of integers: floats depend on the order in which they are added.
fn is_sum(total: &Total) -> bool {
    total.field.properties.kind() == Some(Kind::Counter)
        && total.field.properties.aggregation() == Aggregation::Sum
        && total.reading.is_consistent()
        && matches!(total.reading.value, Some(OwnedValue::Unsigned(_)))
}
