//! A lane whose average, window or histogram holds NaN or infinity is damaged, and the sum over the
//! other lanes is right.

mod support;

use mmstats_core::read::Image;
use mmstats_core::{Average, Buckets, DataType, FieldSpec, Histogram, Window};
use mmstats_observe::{OwnedValue, Verdict};
use support::{id, observe, only, simple, value};

const AVERAGE: u32 = 0;
const WINDOW: u32 = 1;
const HISTOGRAM: u32 = 2;

#[test]
fn not_finite_lane_is_damaged_and_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let fields = [
        FieldSpec::average("average"),
        FieldSpec::window("window", DataType::F64, 4),
        FieldSpec::histogram("histogram", Buckets::floats(0.1, 1e-3, 1e3)),
    ];
    let mut published = simple(directory.path(), "a.mmst", &fields);
    for _ in 0..2 {
        let lane = published.lane();
        let average = Average::attach(&lane, id(AVERAGE)).unwrap();
        let window = Window::<f64, _>::attach(&lane, id(WINDOW)).unwrap();
        let histogram = Histogram::<f64, _>::attach(&lane, id(HISTOGRAM)).unwrap();
        for x in [1.0, 3.0] {
            average.record(x);
            window.record(x);
            histogram.record(x);
        }
    }
    let bytes = std::fs::read(&published.path).unwrap();
    let image = Image::open(bytes.as_slice()).unwrap();
    let second = u64::from(image.header().lanes_offset() + image.header().lane_stride());
    // The sum, or the value of a window, in each slot of lane 1.
    for (field, word) in image.fields().map(Result::unwrap).zip([1, 0, 2]) {
        for slot in 0..field.slots() {
            let at = field.place() + 8 + slot * field.slot_size() + 8 * word;
            published.poke(second + u64::from(at), &f64::NAN.to_le_bytes());
        }
    }
    let observer = observe(directory.path());
    let file = only(&observer);
    for label in ["average", "window", "histogram"] {
        let all = value(file, label);
        let Verdict::Damaged(damage) = all.verdict else { panic!("{label}: {all:?}") };
        assert_eq!(damage.code, "value-range", "{label}");
        assert_eq!((all.tally.values, all.tally.damaged), (1, 1), "{label}");
        let mean = match all.value.unwrap() {
            OwnedValue::Average(value) | OwnedValue::Window(value) => value.mean(),
            OwnedValue::Histogram(value) => value.mean(),
            other => panic!("{label}: {other:?}"),
        };
        assert_eq!(mean, Some(2.0), "{label}");
    }
}
