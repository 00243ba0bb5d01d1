//! Rules and limits of specifications.

use super::super::geometry::{Geometry, group_slot};
use super::super::template;
use super::{Constant, FieldSpec, SpecError};
use crate::buckets::Buckets;
use crate::layout::{MAX_CAPACITY, MAX_ELEMENTS, MAX_FIELDS, MAX_LANES, MAX_SLOT};
use crate::types::{DataType, Kind};

#[test]
fn geometry_and_group_limits() {
    assert!(Geometry::new(MAX_LANES).file_size().is_some());
    let mut geometry = Geometry::new(1);
    geometry.reserve(MAX_FIELDS, 0, 0);
    assert!(geometry.file_size().is_some());
    let text = FieldSpec::text("t", MAX_CAPACITY);
    let unit = FieldSpec::gauge("g", DataType::U64);
    assert_eq!(group_slot(&[text]), Ok(MAX_SLOT - 8));
    assert_eq!(group_slot(&[text, unit]), Ok(MAX_SLOT));
    assert_eq!(group_slot(&[unit, text, unit]), Err(SpecError::Group { members: 3 }));
    assert_eq!(group_slot(&[text, text]), Err(SpecError::Group { members: 2 }));
}

#[test]
fn field_size_limits() {
    let long = std::string::String::from_utf8(std::vec![b'x'; 4095]).unwrap();
    let ok = FieldSpec::counter("a");
    assert_eq!(ok.attributes(&[("k", &long[..4094])]).check(), Ok(()));
    let error = ok.attributes(&[("k", &long)]).check();
    assert_eq!(error, Err(SpecError::Attributes { len: 4097 }));
    assert_eq!(FieldSpec::text("t", MAX_CAPACITY).check(), Ok(()));
    assert_eq!(FieldSpec::array("t", DataType::U64, MAX_SLOT / 8).check(), Ok(()));
    assert_eq!(FieldSpec::array("t", DataType::U8, MAX_SLOT).check(), Ok(()));
    // Only the elements of a journal are limited to 16 bits.
    let histogram = |elements| {
        let buckets = Buckets::from_param(Buckets::integers(0.1, 1, 2).param(), elements);
        FieldSpec::histogram("h", buckets.unwrap()).check()
    };
    assert_eq!(histogram(MAX_ELEMENTS), Ok(()));
    let (kind, ty) = (Kind::Histogram, DataType::U64);
    assert_eq!(histogram(MAX_ELEMENTS + 1), Err(SpecError::KindType { kind, ty }));
}

#[test]
fn ring_has_at_least_given_length() {
    for (entries, ring) in [(1, 2), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (65_535, 16)] {
        let events = FieldSpec::events("e", entries, 8);
        assert_eq!((events.properties.ring(), events.check()), (Some(ring), Ok(())), "{entries}");
    }
    assert!(FieldSpec::events("e", 65_536, 8).check().is_err());
    // Without a ring, or with too few slots.
    let events = FieldSpec::text("e", 8).kind(Kind::Events);
    assert_eq!(events.check(), Err(SpecError::Param { kind: Kind::Events }));
    let rate = |slot_bits| {
        let spec = FieldSpec::rate("r", 1, &["1"]);
        let properties = spec.properties.with_slot_bits(slot_bits);
        FieldSpec { properties, ..spec }.check()
    };
    for slot_bits in [0, 1, 17] {
        assert_eq!(rate(slot_bits), Err(SpecError::Param { kind: Kind::Rate }), "{slot_bits}");
    }
    assert_eq!((rate(2), rate(16)), (Ok(()), Ok(())));
}

#[test]
fn rate_needs_preceding_u64_counter() {
    let rate = FieldSpec::rate("r", 1, &["1"]);
    let after = |before: FieldSpec<'_>| rate.check_after(Some(&before));
    let refused = Err(SpecError::Param { kind: Kind::Rate });
    assert_eq!(after(FieldSpec::counter("c")), Ok(()));
    assert_eq!(after(FieldSpec::gauge("g", DataType::U64)), refused);
    assert_eq!(after(FieldSpec::gauge("f", DataType::F64).kind(Kind::Counter)), refused);
    assert_eq!(after(FieldSpec::array("a", DataType::U64, 1).kind(Kind::Counter)), refused);
    assert_eq!(rate.check_after(None), refused);
    assert_eq!(FieldSpec::counter("c").check_after(None), Ok(()));
}

#[test]
fn template_broken_rule_panics() {
    let is_refused =
        |spec: FieldSpec<'_>| std::panic::catch_unwind(|| template::check(&spec)).is_err();
    let long = "x".repeat(256);
    let counter = FieldSpec::counter("c");
    let window = counter.kind(Kind::Window);
    for (spec, refused) in [
        (FieldSpec::counter(""), true),
        (FieldSpec::counter(&long[..1]), false),
        (FieldSpec::counter(&long[..255]), false),
        (FieldSpec::counter(&long), true),
        (counter.unit(&long[..63]), false),
        (counter.unit(&long[..64]), true),
        (FieldSpec::text("t", 0), true),
        (FieldSpec::text("t", 1), false),
        (FieldSpec::array("a", DataType::U64, MAX_SLOT / 8), false),
        (FieldSpec::array("a", DataType::U64, MAX_SLOT / 8 + 1), true),
        (counter.kind(Kind::Info), false),
        (counter.kind(Kind::Average), true),
        // The type of a window, but no ring.
        (FieldSpec { constant: Some(Constant::U64(1)), ..window }, true),
        (FieldSpec { properties: window.properties.with_slot_bits(3), ..window }, false),
    ] {
        assert_eq!(is_refused(spec), refused, "{spec:?}");
    }
}

#[test]
fn check_each_rule() {
    let long = std::string::String::from_utf8(std::vec![b'x'; 5000]).unwrap();
    let ok = FieldSpec::counter("a");
    assert_eq!(ok.check(), Ok(()));
    assert_eq!(FieldSpec::counter("").check(), Err(SpecError::Label { len: 0 }));
    assert_eq!(FieldSpec::counter(&long[..256]).check(), Err(SpecError::Label { len: 256 }));
    assert_eq!(ok.unit(&long[..64]).check(), Err(SpecError::Unit { len: 64 }));
    assert_eq!(ok.help(&long[..4097]).check(), Err(SpecError::Help { len: 4097 }));
    assert_eq!(ok.help(&long[..4096]).check(), Ok(()));
    for bad in [("", "v"), ("a=b", "v"), ("a", "nul\0")] {
        assert_eq!(ok.attributes(&[bad]).check(), Err(SpecError::Attribute { index: 0 }));
    }
    let twice = [("a", "1"), ("a", "2")];
    assert_eq!(ok.attributes(&twice).check(), Err(SpecError::Attribute { index: 1 }));
    let text = FieldSpec::text("t", 0);
    assert_eq!(text.check(), Err(SpecError::Count { count: 0, limit: MAX_CAPACITY }));
    assert!(FieldSpec::text("t", MAX_CAPACITY + 1).check().is_err());
    assert!(FieldSpec::array("t", DataType::U64, MAX_SLOT / 8 + 1).check().is_err());
    assert!(FieldSpec::array("t", DataType::Text, 2).check().is_err());
    assert!(FieldSpec::gauge("t", DataType::I64).kind(Kind::Counter).check().is_err());
    assert_eq!(FieldSpec::timer("t").check(), Ok(()));
}

#[test]
fn lane_and_heap_bytes_of_kinds() {
    assert_eq!(FieldSpec::timer("t").lane_bytes(), 8 + 4 * 40);
    assert_eq!(FieldSpec::text("t", 20).lane_bytes(), 8 + 2 * 32);
    assert_eq!(FieldSpec::text("t", 25).lane_bytes(), 8 + 4 * 40);
    assert_eq!(FieldSpec::gauge("t", DataType::U8).lane_bytes(), 8);
    let info = FieldSpec::info("sys.pid", Constant::U32(7));
    assert_eq!((info.lane_bytes(), info.heap_bytes()), (0, 12 + 12));
}
