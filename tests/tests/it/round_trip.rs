//! Whatever is declared and set, an observer reads back: labels, units, help, attributes
//! and values of any schema.

use mmstats::{
    Aggregation, Array, Blob, Counter, FieldOptions, Flag, Gauge, Info, Key, Lane, Level, Options,
    Schema, Text, Timer, Value,
};
use mmstats_observe::{OwnedValue, Verdict};
use mmstats_tests::look::{look, states};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use mmstats_tests::actor::directory;

/// A value to set, with the type of its field.
#[derive(Debug, Clone)]
enum Set {
    Counter(u64),
    U8(u8),
    I16(i16),
    U32(u32),
    I64(i64),
    F32(u32),
    F64(u64),
    Flag(bool),
    Text(String),
    Blob(Vec<u8>),
    Array([i16; 5]),
    Timer(Vec<u32>),
    Constant(Value),
}

#[derive(Debug, Clone)]
struct Declared {
    unit: String,
    help: String,
    attributes: Vec<(String, String)>,
    aggregation: Aggregation,
    level: Level,
    set: Set,
    /// Whether it is set at all.
    present: bool,
}

fn set() -> impl Strategy<Value = Set> {
    prop_oneof![
        any::<u64>().prop_map(Set::Counter),
        any::<u8>().prop_map(Set::U8),
        any::<i16>().prop_map(Set::I16),
        any::<u32>().prop_map(Set::U32),
        any::<i64>().prop_map(Set::I64),
        any::<u32>().prop_map(Set::F32),
        any::<u64>().prop_map(Set::F64),
        any::<bool>().prop_map(Set::Flag),
        any::<String>().prop_map(Set::Text),
        vec(any::<u8>(), 0..40).prop_map(Set::Blob),
        any::<[i16; 5]>().prop_map(Set::Array),
        vec(any::<u32>(), 0..5).prop_map(Set::Timer),
        prop_oneof![
            any::<u32>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            // NaN is not equal to itself; it has its own test.
            any::<f64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ]
        .prop_map(Set::Constant),
    ]
}

/// A string of at most `max` bytes.
fn text(max: usize) -> impl Strategy<Value = String> {
    any::<String>().prop_map(move |mut text| {
        while text.len() > max {
            text.pop();
        }
        text
    })
}

fn declared() -> impl Strategy<Value = Declared> {
    const RULES: [Aggregation; 5] = [
        Aggregation::Sum,
        Aggregation::Min,
        Aggregation::Max,
        Aggregation::Mean,
        Aggregation::Each,
    ];
    let attributes = btree_map("[A-Za-z0-9_.-]{1,63}", "[^\u{0}]{0,20}", 0..4);
    const LEVELS: [Level; 3] = [Level::Info, Level::Diagnostic, Level::Debug];
    (
        (text(63), text(4096), attributes.prop_map(|map| map.into_iter().collect())),
        (prop::sample::select(&RULES[..]), prop::sample::select(&LEVELS[..])),
        (set(), any::<bool>()),
    )
        .prop_map(|((unit, help, attributes), (aggregation, level), (set, present))| {
            Declared { unit, help, attributes, aggregation, level, set, present }
        })
}

/// Sets the field of a key, once there is a lane.
type Apply = Box<dyn FnOnce(&Lane)>;

/// Declares the field. Returns the function that sets it, and the value that observers then read.
fn declare(schema: &mut Schema, label: &str, field: &Declared) -> (Apply, Option<OwnedValue>) {
    let mut options = FieldOptions::<()>::new()
        .unit(&field.unit)
        .help(&field.help)
        .aggregation(field.aggregation)
        .level(field.level);
    for (key, value) in &field.attributes {
        options = options.attribute(key, value);
    }
    macro_rules! handle {
        ($handle:ty, $set:expr, $seen:expr) => {{
            let key: Key<$handle> = schema.add(label, options.for_handle());
            let apply: Apply = Box::new(move |lane| {
                let handle = lane.attach(key).unwrap();
                $set(&handle);
            });
            (apply, Some($seen))
        }};
    }
    let (apply, seen) = match field.set.clone() {
        Set::Counter(n) => {
            let (apply, seen) =
                handle!(Counter, |h: &Counter| h.set(n), OwnedValue::Unsigned(n.into()));
            let zero = Some(OwnedValue::Unsigned(0));
            return if field.present { (apply, seen) } else { (Box::new(|_| ()), zero) };
        }
        Set::Timer(nanos) => {
            let key: Key<Timer> = schema.add(label, options.for_handle());
            let durations = nanos.clone();
            let apply: Apply = Box::new(move |lane| {
                let timer = lane.attach(key).unwrap();
                durations.iter().for_each(|n| timer.record_nanos(u64::from(*n)));
            });
            let seen = mmstats_observe::TimerValue {
                count: nanos.len() as u128,
                sum: nanos.iter().map(|n| u128::from(*n)).sum(),
                min: nanos.iter().min().map(|n| u64::from(*n)),
                max: nanos.iter().max().map(|n| u64::from(*n)),
                last: nanos.last().map(|n| u64::from(*n)),
            };
            return (apply, Some(OwnedValue::Timer(seen)));
        }
        Set::Constant(value) => {
            let seen = match &value {
                Value::U32(n) => OwnedValue::Unsigned((*n).into()),
                Value::U64(n) => OwnedValue::Unsigned((*n).into()),
                Value::I64(n) => OwnedValue::Signed((*n).into()),
                Value::F64(x) => OwnedValue::F64(*x),
                Value::Bool(b) => OwnedValue::Bool(*b),
                Value::Text(text) => OwnedValue::Text { text: text.clone(), cut: false },
                other => panic!("{other:?}"),
            };
            schema.add::<Info>(label, options.for_handle().value(value));
            return (Box::new(|_| ()), Some(seen));
        }
        Set::U8(n) => handle!(Gauge<u8>, |h: &Gauge<u8>| h.set(n), OwnedValue::Unsigned(n.into())),
        Set::U32(n) => {
            handle!(Gauge<u32>, |h: &Gauge<u32>| h.set(n), OwnedValue::Unsigned(n.into()))
        }
        Set::I16(n) => {
            handle!(Gauge<i16>, |h: &Gauge<i16>| h.set(n), OwnedValue::Signed(n.into()))
        }
        Set::I64(n) => {
            handle!(Gauge<i64>, |h: &Gauge<i64>| h.set(n), OwnedValue::Signed(n.into()))
        }
        Set::F32(bits) => {
            let x = f32::from_bits(bits);
            handle!(Gauge<f32>, |h: &Gauge<f32>| h.set(x), OwnedValue::F32(x))
        }
        Set::F64(bits) => {
            let x = f64::from_bits(bits);
            handle!(Gauge<f64>, |h: &Gauge<f64>| h.set(x), OwnedValue::F64(x))
        }
        Set::Flag(b) => handle!(Flag, |h: &Flag| h.set(b), OwnedValue::Bool(b)),
        Set::Text(text) => {
            let mut kept = text.clone();
            while kept.len() > 24 {
                kept.pop();
            }
            let seen = OwnedValue::Text { cut: kept.len() < text.len(), text: kept };
            handle!(Text<24>, |h: &Text<24>| _ = h.set(&text), seen)
        }
        Set::Blob(bytes) => {
            let kept = bytes[..bytes.len().min(24)].to_vec();
            let seen = OwnedValue::Bytes { cut: kept.len() < bytes.len(), bytes: kept };
            handle!(Blob<24>, |h: &Blob<24>| _ = h.set(&bytes), seen)
        }
        Set::Array(values) => {
            let seen = values.map(|n| OwnedValue::Signed(n.into())).to_vec();
            handle!(Array<i16, 5>, |h: &Array<i16, 5>| h.set(&values), OwnedValue::Array(seen))
        }
    };
    if field.present { (apply, seen) } else { (Box::new(|_| ()), None) }
}

/// Equal, where NaN of the same bits is equal to itself.
fn same(a: Option<&OwnedValue>, b: Option<&OwnedValue>) -> bool {
    match (a, b) {
        (Some(OwnedValue::F32(a)), Some(OwnedValue::F32(b))) => a.to_bits() == b.to_bits(),
        (Some(OwnedValue::F64(a)), Some(OwnedValue::F64(b))) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn declared_and_set_values_are_read(
        fields in btree_map("[^\u{0}]{1,60}", declared(), 0..20),
        lanes in 1_u32..4,
    ) {
        let directory = directory();
        let mut schema = Schema::new();
        let (mut applies, mut wanted) = (Vec::new(), Vec::new());
        for (label, field) in &fields {
            let (apply, seen) = declare(&mut schema, label, field);
            applies.push(apply);
            wanted.push(seen);
        }
        let options = Options::new().directory(directory.path()).schema(schema).lanes(lanes);
        let publisher = options.start::<Lane>().unwrap();
        let lane = publisher.lane().unwrap();
        applies.into_iter().for_each(|apply| apply(&lane));

        let observer = look(directory.path());
        prop_assert_eq!(observer.problems().count(), 0, "{:?}", states(&observer));
        let file = &observer.files()[0];
        let readings = file.lane_values(0);
        prop_assert!(file.field_count() >= fields.len());
        for (index, ((label, field), want)) in fields.iter().zip(&wanted).enumerate() {
            let seen = file.field(index).unwrap();
            prop_assert_eq!(seen.label(), label);
            prop_assert_eq!(seen.unit(), &field.unit);
            prop_assert_eq!(seen.help(), &field.help);
            let attributes: Vec<_> =
                seen.attributes().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(&attributes, &field.attributes);
            prop_assert_eq!(seen.properties().aggregation(), field.aggregation);
            prop_assert_eq!(seen.properties().level(), field.level);
            prop_assert_eq!(seen.damage(), None);
            let reading = &readings[index];
            let value = reading.value.as_ref().map(OwnedValue::only);
            prop_assert!(same(value, want.as_ref()), "{label}: {value:?}, not {want:?}");
            let verdict =
                if want.is_some() { Verdict::Consistent } else { Verdict::Absent };
            prop_assert_eq!(reading.verdict, verdict);
        }
    }
}
