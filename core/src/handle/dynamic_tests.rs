//! Handles of shapes that are known at run time store the same bytes as their typed twins.

use std::boxed::Box;
use std::vec::Vec;

use super::*;
use crate::read::Scalar;
use crate::region::Source;
use crate::{
    AttachError, DataType, FieldId, FieldSpec, Kind, Lane, Schema, StaticBytes, StaticMemory,
    Writer,
};

#[derive(Clone, Copy)]
struct Phase(u32);

impl State for Phase {
    const NAMES: &'static [&'static str] = &["a", "b", "c"];

    fn number(self) -> u32 {
        self.0
    }

    fn from_number(number: u32) -> Option<Self> {
        Some(Self(number))
    }
}

struct Pair {
    a: i16,
    b: f64,
}

const A: FieldSpec<'_> = FieldSpec::gauge("a", DataType::I16);
const B: FieldSpec<'_> = FieldSpec::gauge("b", DataType::F64);

impl Record for Pair {
    const MEMBERS: &'static [MemberSpec] =
        &[MemberSpec { label: "a", spec: A }, MemberSpec { label: "b", spec: B }];

    type Words<'a> = [u64; 2];

    fn words(&self) -> [u64; 2] {
        [self.a.to_bits(), self.b.to_bits()]
    }
}

struct Image {
    writer: Writer<StaticMemory>,
    lane: Lane<StaticMemory>,
    fields: [FieldId; 8],
}

const TEXT: usize = 0;
const BYTES: usize = 1;
const ARRAY: usize = 2;
const STATE: usize = 3;
const EVENTS: usize = 4;
const ACTIVITY: usize = 5;
const FLOATS: usize = 6;
const GROUP: usize = 7;

fn image() -> Image {
    let memory = Box::leak(Box::new(StaticBytes::<8192>::new())).into_memory();
    let mut schema = Schema::<8>::new();
    let mut add = |spec| schema.add(spec).unwrap();
    let fields = [
        add(FieldSpec::text("text", 13)),
        add(FieldSpec::bytes("bytes", 9)),
        add(FieldSpec::array("array", DataType::U16, 5)),
        add(FieldSpec::state("state", Phase::NAMES)),
        add(FieldSpec::events("events", 7, 20)),
        add(FieldSpec::activity("activity", 2, 10)),
        add(FieldSpec::float_counter("seconds")),
    ];
    let group = schema.add_group(&[A, B]).unwrap();
    let mut writer = schema.create(memory, 1, [7; 16]).unwrap();
    let lane = writer.lane().unwrap();
    let [a, b, c, d, e, f, g] = fields;
    Image { writer, lane, fields: [a, b, c, d, e, f, g, group] }
}

impl Image {
    fn bytes(&self) -> Vec<u8> {
        let region = self.writer.region();
        let mut bytes = std::vec![0; region.size() as usize];
        region.copy(0, &mut bytes);
        bytes
    }
}

#[test]
fn dyn_handles_store_the_bytes_of_typed_ones() {
    let (typed, dynamic) = (image(), image());
    let (lane, fields) = (&typed.lane, typed.fields);
    let text = Text::<13, _>::attach(lane, fields[TEXT]).unwrap();
    let blob = Blob::<9, _>::attach(lane, fields[BYTES]).unwrap();
    let array = Array::<u16, 5, _>::attach(lane, fields[ARRAY]).unwrap();
    let state = StateSet::<Phase, _>::attach(lane, fields[STATE]).unwrap();
    let events = Events::<20, _>::attach(lane, fields[EVENTS]).unwrap();
    let activity = Activity::<10, _>::attach(lane, fields[ACTIVITY]).unwrap();
    let group = Group::<Pair, _>::attach(lane, fields[GROUP]).unwrap();
    let lane = &dynamic.lane;
    let dyn_text = DynText::attach(lane, fields[TEXT]).unwrap();
    let dyn_blob = DynBlob::attach(lane, fields[BYTES]).unwrap();
    let dyn_array = DynArray::attach(lane, fields[ARRAY]).unwrap();
    let dyn_state = DynState::attach(lane, fields[STATE]).unwrap();
    let dyn_events = DynEvents::attach(lane, fields[EVENTS]).unwrap();
    let dyn_activity = DynActivity::attach(lane, fields[ACTIVITY]).unwrap();
    let dyn_group = DynGroup::attach(lane, fields[GROUP]).unwrap();
    assert_eq!((dyn_text.capacity(), dyn_blob.capacity(), dyn_array.count()), (13, 9, 5));
    assert_eq!((dyn_state.states(), dyn_events.capacity(), dyn_activity.capacity()), (3, 20, 10));
    assert_eq!((dyn_group.count(), dyn_array.element()), (2, DataType::U16));

    // The last one is cut within its last character.
    for value in ["", "short", "thirteen byte", "twelve bytes\u{e4}"] {
        assert_eq!(text.set(value), dyn_text.set(value), "{value}");
        assert_eq!(blob.set(value.as_bytes()), dyn_blob.set(value.as_bytes()), "{value}");
        assert_eq!(events.record(5, value), dyn_events.record(5, value), "{value}");
        let (row, dyn_row) = (activity.begin_row(3, value), dyn_activity.begin_row(3, value));
        assert_eq!(row, dyn_row);
        if let (Some(row), Some(dyn_row)) = (row, dyn_row) {
            activity.set_row(&row, "other");
            dyn_activity.set_row(&dyn_row, "other");
            if value.len() > 5 {
                activity.end_row(row);
                dyn_activity.end_row(dyn_row);
            }
        }
        assert_eq!(typed.bytes(), dynamic.bytes(), "{value}");
    }
    array.set(&[1, 2, 3, 4, 5]);
    assert!(dyn_array.set(&[1_u16, 2, 3, 4, 5]));
    state.set(Phase(2));
    assert!(dyn_state.set(2));
    group.set(&Pair { a: -5, b: 2.5 });
    assert!(dyn_group.set(&[Scalar::I64(-5), Scalar::F64(2.5)]));
    assert_eq!(typed.bytes(), dynamic.bytes());

    text.clear();
    dyn_text.clear();
    blob.clear();
    dyn_blob.clear();
    state.clear();
    dyn_state.clear();
    assert_eq!((dyn_state.get(), typed.bytes()), (None, dynamic.bytes()));
}

#[test]
fn dyn_set_that_does_not_fit_changes_nothing() {
    let image = image();
    let (lane, fields) = (&image.lane, image.fields);
    let array = DynArray::attach(lane, fields[ARRAY]).unwrap();
    let state = DynState::attach(lane, fields[STATE]).unwrap();
    let group = DynGroup::attach(lane, fields[GROUP]).unwrap();
    let before = image.bytes();
    assert!(!array.set(&[1_u16, 2, 3, 4]), "an element too few");
    assert!(!array.set(&[1_i16, 2, 3, 4, 5]), "another type");
    assert!(!state.set(3), "no such state");
    assert!(!group.set(&[Scalar::I64(1)]), "a member too few");
    assert!(!group.set(&[Scalar::I64(40_000), Scalar::F64(1.0)]), "out of range");
    assert!(!group.set(&[Scalar::U64(1), Scalar::F64(1.0)]), "another class of types");
    assert_eq!((group.member(0), group.member(2)), (Some(DataType::I16), None));
    assert_eq!(image.bytes(), before);
}

#[test]
fn dyn_attach_other_kind_is_refused() {
    let image = image();
    let (lane, fields) = (&image.lane, image.fields);
    let other = |refused: Option<AttachError>| {
        assert!(matches!(refused, Some(AttachError::OtherType { .. })), "{refused:?}");
    };
    other(DynText::attach(lane, fields[BYTES]).err());
    other(DynState::attach(lane, fields[TEXT]).err());
    other(DynEvents::attach(lane, fields[TEXT]).err());
    other(DynActivity::attach(lane, fields[EVENTS]).err());
    other(FloatCounter::attach(lane, fields[STATE]).err());
    let refused = DynArray::attach(lane, fields[TEXT]).err();
    assert!(matches!(refused, Some(AttachError::NotScalar { .. })), "{refused:?}");
    assert!(DynText::attach(lane, fields[EVENTS]).is_err(), "its text is not alone in its slot");
    assert!(DynArray::attach(lane, fields[GROUP]).is_err());
    let second = FieldId::from_index(fields[GROUP].index() + 1);
    assert!(DynGroup::attach(lane, second).is_err(), "not the first member");
    assert!(DynGroup::attach(lane, fields[ARRAY]).is_err());
    let past = FieldId::from_index(100);
    assert!(matches!(DynGroup::attach(lane, past), Err(AttachError::NoSuchField { .. })));
}

#[test]
fn float_counter_refuses_what_makes_the_sum_wrong() {
    let image = image();
    let seconds = FloatCounter::attach(&image.lane, image.fields[FLOATS]).unwrap();
    for n in [0.5, 1.25, -1.0, f64::NAN, f64::INFINITY, f64::MAX, 0.0] {
        seconds.add(n);
    }
    assert_eq!(seconds.get().to_bits(), f64::MAX.to_bits());
    seconds.add(f64::MAX);
    seconds.set(f64::NAN);
    assert_eq!(seconds.get().to_bits(), f64::MAX.to_bits());
    seconds.set(2.0);
    assert_eq!(seconds.get().to_bits(), 2.0_f64.to_bits());
    let at = image.writer.region().load32(76) + crate::layout::lane::SAMPLES_REFUSED;
    assert_eq!(image.writer.region().load32(at), 5);
    let spec = FieldSpec::float_counter("x");
    assert_eq!(
        (spec.properties.kind(), spec.properties.ty()),
        (Some(Kind::Counter), Some(DataType::F64))
    );
}
