//! Samples that would make an aggregate wrong are counted, and change nothing: FORMAT.md 4.3.

use mmstats_core::read::{Field, Image, Reading, Value, Verdict};
use mmstats_core::{
    Average, Buckets, DataType, FieldId, FieldSpec, Geometry, Histogram, Lane, Rate, Region,
    StaticBytes, StaticMemory, Timer, Window, Writer,
};

/// The number of refused samples of a lane.
fn refused(region: &Region<StaticMemory>, lane: u32) -> u64 {
    let image = Image::open(region).unwrap();
    let lane = image.lane(lane).consistent().unwrap();
    let half = |at| u64::from(mmstats_core::Source::load32(region, lane.offset() + at));
    let refused = half(8) | half(12) << 32;
    // A machine of 32 bits may not answer while the image is live.
    let answer = lane.samples_refused(region);
    assert!(answer == Some(refused) || answer.is_none() && cfg!(target_pointer_width = "32"));
    refused
}

/// A lane of one field, and for a rate of its counter before it.
struct One {
    lane: Lane<StaticMemory>,
    region: Region<StaticMemory>,
}

const NOT_FINITE: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
const FIRST: FieldId = FieldId::from_index(0);

impl One {
    fn new(specs: &[FieldSpec<'_>]) -> Self {
        let memory = Box::leak(Box::new(StaticBytes::<65_536>::new())).into_memory();
        let mut geometry = Geometry::new(2);
        geometry.add_all(specs).unwrap();
        let mut writer = Writer::create(memory, &geometry, [7; 16], 0).unwrap();
        writer.add_all(specs).unwrap();
        writer.go_live();
        Self { lane: writer.lane().unwrap(), region: Region::new(memory).unwrap() }
    }

    fn refused(&self) -> u64 {
        refused(&self.region, self.lane.index())
    }

    /// The bytes of the lane after the word that counts refused samples.
    fn bytes(&self) -> Vec<u8> {
        let image = Image::open(&self.region).unwrap();
        let lane = image.lane(self.lane.index()).consistent().unwrap();
        let mut bytes = vec![0; image.header().lane_stride() as usize - 16];
        mmstats_core::Source::copy(&self.region, lane.offset() + 16, &mut bytes);
        bytes
    }

    fn read(&self, check: impl FnOnce(&Field, Reading<'_>)) {
        let image = Image::open(&self.region).unwrap();
        let field = image.fields().next().unwrap().unwrap();
        let mut buffer = vec![0; field.buffer_size()];
        check(&field, image.read(0, &field, &mut buffer));
    }

    /// Each of these updates is refused: it changes no byte but those of the count.
    fn refuses(&self, updates: &[&dyn Fn()]) {
        let (before, refused) = (self.bytes(), self.refused());
        for (number, update) in (1..).zip(updates) {
            update();
            assert_eq!(self.refused(), refused + number, "update {number}");
            assert!(self.bytes() == before, "update {number} changed a value");
        }
    }
}

#[test]
fn average_refuses_what_is_not_finite() {
    let one = One::new(&[FieldSpec::average("a")]);
    let average = Average::attach(&one.lane, FIRST).unwrap();
    NOT_FINITE.into_iter().for_each(|x| one.refuses(&[&|| average.record(x)]));
    average.record(1.0);
    average.record(f64::MAX);
    average.record(-f64::MAX);
    average.record(f64::MAX);
    // The sum would be infinite.
    one.refuses(&[&|| average.record(f64::MAX), &|| average.record(-f64::NAN)]);
    assert_eq!(average.mean(), Some(f64::MAX / 4.0));
}

#[test]
fn window_refuses_what_has_no_finite_sum() {
    let one = One::new(&[FieldSpec::window("w", DataType::F64, 3)]);
    let window = Window::<f64, _>::attach(&one.lane, FIRST).unwrap();
    [1.0, 2.0, 3.0].into_iter().for_each(|x| window.record(x));
    for x in NOT_FINITE.into_iter().chain([f64::MAX]) {
        one.refuses(&[&|| window.record(x)]);
    }
    one.read(|_, value| {
        let Verdict::Consistent(Value::Window(sum)) = value else { panic!("{value:?}") };
        assert_eq!((sum.count(), sum.sum()), (3, 6.0));
    });
}

#[test]
fn timer_refuses_absurd_durations_and_overflow() {
    let one = One::new(&[FieldSpec::timer("t")]);
    let timer = Timer::attach(&one.lane, FIRST).unwrap();
    one.refuses(&[
        &|| timer.record_nanos(u64::MAX),
        &|| timer.record_nanos(u64::MAX),
        &|| timer.record_nanos(1 << 60),
        &|| timer.refuse(),
    ]);
    timer.record_nanos(5_000_000);
    let before = timer.totals();
    one.refuses(&[&|| timer.record_nanos(u64::MAX - 1)]);
    assert_eq!(timer.totals(), before);
    let longest = (1 << 60) - 1;
    (0..15).for_each(|_| timer.record_nanos(longest));
    let full = timer.totals();
    assert_eq!((full.count, full.sum), (16, 15 * longest + 5_000_000));
    timer.record_nanos(u64::MAX - full.sum);
    one.refuses(&[&|| timer.record_nanos(1)]);
    timer.record_nanos(0);
    assert_eq!((timer.totals().count, timer.totals().sum), (18, u64::MAX));
}

#[test]
fn histogram_of_integers_refuses_absurd_values_and_overflow() {
    let one = One::new(&[FieldSpec::histogram("h", Buckets::integers(0.2, 1, 1 << 20))]);
    let histogram = Histogram::<u64, _>::attach(&one.lane, FIRST).unwrap();
    one.refuses(&[&|| histogram.record(u64::MAX), &|| histogram.record(1 << 60)]);
    let longest = (1 << 60) - 1;
    histogram.record(3);
    (0..15).for_each(|_| histogram.record(longest));
    histogram.record(longest);
    one.refuses(&[&|| histogram.record(longest), &|| histogram.refuse()]);
    assert_eq!(histogram.count(), 17);
}

#[test]
fn histogram_of_floats_refuses_what_is_not_finite() {
    let one = One::new(&[FieldSpec::histogram("h", Buckets::floats(0.2, 1e-3, 1e3))]);
    let histogram = Histogram::<f64, _>::attach(&one.lane, FIRST).unwrap();
    NOT_FINITE.into_iter().for_each(|x| one.refuses(&[&|| histogram.record(x)]));
    histogram.record(2.0);
    histogram.record(f64::MAX);
    one.refuses(&[&|| histogram.record(f64::MAX)]);
    one.read(|_, value| {
        let Verdict::Consistent(Value::Histogram(found)) = value else { panic!("{value:?}") };
        assert_eq!((found.count(), f64::from_bits(found.sum_bits())), (2, f64::MAX));
    });
}

#[test]
fn rate_refuses_overflow() {
    let one = One::new(&[FieldSpec::counter("c"), FieldSpec::rate("r", 1000, &["60"])]);
    let rate = Rate::attach(&one.lane, FIRST).unwrap();
    rate.add(u64::MAX - 1, 1);
    // The second one is due a checkpoint.
    one.refuses(&[&|| rate.add(2, 2), &|| rate.add(2, 2_000_000_000)]);
    rate.add(1, 3);
    assert_eq!(rate.get(), u64::MAX);
}

/// Each lane has a count, which the lane's next owner continues.
#[test]
fn refused_samples_are_of_the_lane() {
    let memory = Box::leak(Box::new(StaticBytes::<65_536>::new())).into_memory();
    let mut geometry = Geometry::new(2);
    geometry.add(&FieldSpec::timer("t")).unwrap();
    let mut writer = Writer::create(memory, &geometry, [7; 16], 0).unwrap();
    writer.add(&FieldSpec::timer("t")).unwrap();
    writer.go_live();
    let (first, second) = (writer.lane().unwrap(), writer.lane().unwrap());
    for lane in [&first, &first, &second] {
        Timer::attach(lane, FIRST).unwrap().record_nanos(u64::MAX);
    }
    writer.hand_back(0);
    let again = writer.lane().unwrap();
    assert_eq!(again.index(), 0);
    Timer::attach(&again, FIRST).unwrap().record_nanos(u64::MAX);
    assert_eq!([0, 1].map(|lane| refused(writer.region(), lane)), [3, 1]);
}
