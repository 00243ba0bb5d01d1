//! Values survive the way through a recording.

use std::collections::BTreeMap;

use mmstats_json::{Change, Form, RecordedValue, change, parse, to_text};
use mmstats_observe::{
    ActivityRow, ActivityValue, Aggregation, AverageValue, DataType, EachValue, FieldInfo,
    HistogramParts, HistogramValue, Kind, Number, Origin, OwnedValue, Properties, RunningValue,
    StateValue, TimerValue, Verdict, WindowRate,
};
use proptest::prelude::*;

fn field(ty: DataType, kind: Kind) -> FieldInfo {
    FieldInfo::new("f", Properties::new(ty, kind, Aggregation::Sum))
}

fn text(value: &OwnedValue) -> String {
    to_text(&RecordedValue(value))
}

/// Through the text and the form, both as text.
fn through(field: &FieldInfo, value: &OwnedValue) -> OwnedValue {
    let form = serde_json::to_string(&Form::of(field, value)).unwrap();
    parse(field, &serde_json::from_str(&form).unwrap(), &text(value), None).unwrap()
}

/// `after`, of which only the changes since `before` are read.
fn changed(field: &FieldInfo, before: &OwnedValue, after: &OwnedValue) -> OwnedValue {
    let form = Form::of(field, after);
    match change(&text(before), &text(after)) {
        Change::Same => before.clone(),
        Change::Part(part) => parse(field, &form, &part, Some(before)).unwrap(),
        Change::Whole => parse(field, &form, &text(after), None).unwrap(),
    }
}

fn histogram(buckets: &BTreeMap<i32, u128>, sum: Number, float: bool) -> OwnedValue {
    let count = buckets.values().fold(3, |sum: u128, n| sum.saturating_add(*n));
    let range = (count > 9).then_some((Number::Unsigned(1), Number::Unsigned(1 << 60)));
    let (scale, above) = (3, (0, None));
    let parts = HistogramParts {
        float,
        scale,
        count,
        sum,
        range,
        below: (3, Some(-7)),
        above,
        buckets: buckets.clone(),
    };
    OwnedValue::Histogram(Box::new(HistogramValue::from_parts(parts).unwrap()))
}

fn number() -> impl Strategy<Value = OwnedValue> {
    prop_oneof![
        any::<u128>().prop_map(OwnedValue::Unsigned),
        any::<i128>().prop_map(OwnedValue::Signed),
        any::<f32>().prop_filter("not NaN", |x| !x.is_nan()).prop_map(OwnedValue::F32),
        any::<f64>().prop_filter("not NaN", |x| !x.is_nan()).prop_map(OwnedValue::F64),
        any::<bool>().prop_map(OwnedValue::Bool),
        (any::<String>(), any::<bool>()).prop_map(|(text, cut)| OwnedValue::Text { text, cut }),
    ]
}

fn object() -> impl Strategy<Value = (FieldInfo, OwnedValue)> {
    let option = || any::<Option<u64>>();
    let timer = (any::<u128>(), any::<u128>(), option(), option(), option());
    let timer = timer.prop_map(|(count, sum, min, max, last)| {
        let value = TimerValue { count, sum, min, max, last };
        (field(DataType::U64, Kind::Timer), OwnedValue::Timer(value))
    });
    let state = proptest::collection::vec(any::<u64>(), 3).prop_map(|counts| {
        let names = ["idle", "<busy>", "a\"b"].map(str::to_owned).into();
        let field = field(DataType::U32, Kind::State).with_detail("idle\0<busy>\0a\"b");
        (field, OwnedValue::State(StateValue { names, counts }))
    });
    let buckets = proptest::collection::btree_map(-99..99_i32, 1..u128::MAX, 0..9);
    let histogram = (buckets, any::<u128>(), any::<bool>()).prop_map(|(buckets, sum, float)| {
        #[allow(clippy::cast_precision_loss)]
        let sum = if float { Number::Float(sum as f64) } else { Number::Unsigned(sum) };
        (field(DataType::U64, Kind::Histogram), histogram(&buckets, sum, float))
    });
    let finite = || any::<f64>().prop_filter("not NaN", |x| !x.is_nan());
    let average = (finite(), finite()).prop_map(|(count, sum)| {
        (field(DataType::F64, Kind::Average), OwnedValue::Average(AverageValue { count, sum }))
    });
    let rate = (proptest::option::of(finite()), finite()).prop_map(|(first, second)| {
        let rates = vec![WindowRate::new(60, first), WindowRate::new(300, Some(second))];
        (field(DataType::U64, Kind::Rate).with_detail("60\x00300"), OwnedValue::Rate(rates))
    });
    // Up to the year 2262.
    let time = || proptest::option::of(0..1_u64 << 63);
    let running = (any::<u128>(), time()).prop_map(|(number, since)| {
        let value = RunningValue { number, since };
        (field(DataType::U64, Kind::Running), OwnedValue::Running(value))
    });
    let row = (any::<u64>(), time(), any::<String>(), any::<bool>())
        .prop_map(|(number, since, text, cut)| ActivityRow::new(number, since, text, cut));
    let rows = proptest::collection::vec(row, 0..5);
    let activity = (rows, any::<u32>(), option()).prop_map(|(rows, contended, refused)| {
        let value = ActivityValue { rows, contended, damaged: 1, refused };
        (field(DataType::U64, Kind::Activity), OwnedValue::Activity(value))
    });
    prop_oneof![timer, state, histogram, average, rate, running, activity]
}

fn each(values: Vec<OwnedValue>) -> OwnedValue {
    let value = |(lane, value)| EachValue {
        origin: Origin { file: 0, pid: Some(7), part: 1, lane: Some(lane) },
        value: Some(value),
        verdict: Verdict::Consistent,
    };
    let damage = mmstats_observe::Damage::new("string-range", 96);
    let none = EachValue {
        origin: Origin { lane: None, ..Origin::default() },
        value: None,
        verdict: Verdict::Damaged(damage),
    };
    OwnedValue::Each((0..).zip(values).map(value).chain([none]).collect())
}

proptest! {
    #[test]
    fn scalars_and_lists_are_the_same_afterwards(
        values in proptest::collection::vec(number(), 0..6),
        ty in prop_oneof![Just(DataType::U64), Just(DataType::I32), Just(DataType::F32), Just(DataType::Text)],
    ) {
        let field = field(ty, Kind::Gauge);
        for value in &values {
            prop_assert_eq!(&through(&field, value), value);
        }
        let array = OwnedValue::Array(values.clone());
        prop_assert_eq!(&through(&field, &array), &array);
        let all = each([values, vec![array]].concat());
        prop_assert_eq!(&through(&field, &all), &all);
    }

    #[test]
    fn objects_are_the_same_afterwards((field, value) in object()) {
        prop_assert_eq!(Form::of(&field, &value), Form::Plain);
        prop_assert_eq!(&through(&field, &value), &value);
        let all = each(vec![value.clone(), value]);
        prop_assert_eq!(&through(&field, &all), &all);
    }

    #[test]
    fn changes_make_the_second_object((one, before) in object(), (other, after) in object()) {
        if one.properties.kind() == other.properties.kind() {
            prop_assert_eq!(changed(&other, &before, &after), after);
        }
    }

    #[test]
    fn any_text_is_a_value_or_an_error(text in any::<String>(), kind in 0..Kind::ALL.len()) {
        let field = field(DataType::U64, Kind::ALL[kind]);
        for form in [Form::Plain, Form::F32, Form::Cut, Form::Histogram, Form::Array(Box::default())] {
            let _ = parse(&field, &form, &text, None);
        }
    }
}

#[test]
fn bytes_and_special_floats_are_the_same_afterwards() {
    for cut in [false, true] {
        let value = OwnedValue::Bytes { bytes: vec![0, 0xab, 0xff], cut };
        assert_eq!(through(&field(DataType::Bytes, Kind::Info), &value), value);
    }
    for x in [f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, 0.1, 1e300] {
        let value = OwnedValue::F64(x);
        assert_eq!(through(&field(DataType::F64, Kind::Gauge), &value), value);
    }
    match through(&field(DataType::F32, Kind::Gauge), &OwnedValue::F32(f32::NAN)) {
        OwnedValue::F32(x) => assert!(x.is_nan()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_values_are_errors_that_name_them() {
    let counter = field(DataType::U64, Kind::Counter);
    for text in [
        "",
        "nul",
        "-",
        "1e",
        "[1",
        "{\"count\":-1}",
        "1.5.5",
        "{}x",
        "99999999999999999999999999999999999999999",
    ] {
        assert!(parse(&counter, &Form::Plain, text, None).is_err(), "{text}");
    }
    let state = field(DataType::U32, Kind::State).with_detail("idle");
    let error = parse(&state, &Form::Plain, "{\"busy\":1}", None).unwrap_err();
    assert_eq!(error.to_string(), "no state has the name `busy`");
    let deep = "[".repeat(100_000);
    assert!(parse(&counter, &Form::Plain, &deep, None).is_err());
    let scale = parse(&field(DataType::U64, Kind::Histogram), &Form::Plain, "{\"scale\":99}", None);
    assert!(scale.is_err());
}
