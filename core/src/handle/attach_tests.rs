//! Attaching to descriptors of another writer, or to damaged ones: a handle is refused unless its
//! value fits into the cell.

use std::boxed::Box;
use std::vec::Vec;

use super::*;
use crate::layout::{descriptor as d, flags, header as h};
use crate::region::Source;
use crate::{
    AttachError, Buckets, DataType, FieldId, FieldSpec, Geometry, Lane, StaticBytes, StaticMemory,
    Writer,
};

type M = StaticMemory;

/// Three members, of which one is not optional.
struct Three;

impl Record for Three {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "a", spec: FieldSpec::counter("a") },
        MemberSpec { label: "b", spec: FieldSpec::gauge("b", DataType::U64) },
        MemberSpec { label: "c", spec: FieldSpec::gauge("c", DataType::U64) },
    ];
    type Words<'a> = [u64; 3];

    fn words(&self) -> Self::Words<'_> {
        [1, 2, 3]
    }
}

/// A handle, and the cell that it needs.
struct HandleCase {
    name: &'static str,
    /// The field with the cell.
    field: FieldId,
    /// Size of a slot in bytes, and whether a larger one is refused.
    slot: u32,
    exact: bool,
    /// Whether the offset of the value in the slot is checked.
    member: bool,
    attach: fn(&Lane<M>, FieldId) -> Result<(), AttachError>,
}

struct TestImage {
    writer: Writer<M>,
    lane: Lane<M>,
}

impl TestImage {
    /// An image with room for larger cells than needed.
    fn new(geometry: &mut Geometry, add: impl FnOnce(&mut Writer<M>)) -> Self {
        geometry.reserve(40, 4096, 8192);
        let memory = Box::leak(Box::new(StaticBytes::<32_768>::new())).into_memory();
        let mut writer = Writer::create(memory, geometry, [7; 16], 0).unwrap();
        add(&mut writer);
        let lane = writer.lane().unwrap();
        Self { writer, lane }
    }

    /// The result of `ask` while a word of the descriptor of `field` is `to`.
    fn with<T>(&self, field: FieldId, word: u32, to: u32, ask: impl FnOnce() -> T) -> T {
        let region = self.writer.region();
        let at = region.load32(h::DESCRIPTOR_OFFSET) + field.index() * d::SIZE + word;
        let before = region.load32(at);
        region.store32(at, to);
        let answer = ask();
        region.store32(at, before);
        answer
    }

    fn get(&self, field: FieldId, word: u32) -> u32 {
        let region = self.writer.region();
        region.load32(region.load32(h::DESCRIPTOR_OFFSET) + field.index() * d::SIZE + word)
    }
}

macro_rules! case {
    ($handle:ty, $field:expr, $slot:expr, $exact:expr, $member:expr) => {
        HandleCase {
            name: stringify!($handle),
            field: $field,
            slot: $slot,
            exact: $exact,
            member: $member,
            attach: |lane, field| <$handle>::attach(lane, field).map(|_| ()),
        }
    };
}

fn everything() -> (TestImage, Vec<HandleCase>) {
    let mut cases = Vec::new();
    let image = TestImage::new(&mut Geometry::new(1), |writer| {
        let mut add = |spec| writer.add(&spec).unwrap();
        cases.extend([
            case!(Array<u16, 5, M>, add(FieldSpec::array("array", DataType::U16, 5)), 16, false, true),
            case!(Text<24, M>, add(FieldSpec::text("text", 24)), 32, false, true),
            case!(Blob<9, M>, add(FieldSpec::bytes("bytes", 9)), 24, false, true),
            case!(Events<17, M>, add(FieldSpec::events("events", 3, 17)), 40, false, true),
            case!(Activity<17, M>, add(FieldSpec::activity("doing", 3, 17)), 48, false, true),
            case!(Timer<M>, add(FieldSpec::timer("timer")), 40, true, true),
            case!(Average<M>, add(FieldSpec::average("average")), 16, true, true),
            case!(Window<f64, M>, add(FieldSpec::window("w", DataType::F64, 3)), 8, true, true),
        ]);
        let buckets = Buckets::integers(0.2, 1, 1000);
        let histogram = add(FieldSpec::histogram("histogram", buckets));
        cases.push(case!(Histogram<u64, M>, histogram, 40, false, false));
        let specs: Vec<_> = Three::MEMBERS.iter().map(|member| member.spec).collect();
        let group = writer.add_group(&specs).unwrap();
        cases.push(case!(Group<Three, M>, group, 24, false, true));
        let hits = [FieldSpec::counter("hits"), FieldSpec::rate("rate", 100, &["1"])];
        let hits = writer.add_all(&hits).unwrap();
        // A rate attaches to the counter before it.
        let attach: fn(&Lane<M>, FieldId) -> _ =
            |lane, field| Rate::attach(lane, FieldId::from_index(field.index() - 1)).map(|_| ());
        let field = FieldId::from_index(hits.index() + 1);
        cases.push(HandleCase { name: "Rate", field, slot: 16, exact: true, member: true, attach });
    });
    (image, cases)
}

#[test]
fn attach_slot_too_small_is_refused() {
    let (image, cases) = everything();
    for HandleCase { name, field, slot, exact, member, attach } in cases {
        let attach = || attach(&image.lane, field);
        assert_eq!(attach(), Ok(()), "{name}");
        assert_eq!(image.get(field, d::SLOT_SIZE), slot, "{name}");
        let place = image.get(field, d::PLACE);
        let refused = Err(AttachError::Place { place });
        for (to, fits) in [(slot - 8, false), (slot + 8, !exact), (slot + 4, false), (0, false)] {
            let found = image.with(field, d::SLOT_SIZE, to, attach);
            assert_eq!(found, if fits { Ok(()) } else { refused }, "{name}: a slot of {to}");
        }
        let good = image.get(field, d::MEMBER);
        for to in [good ^ 8, good + 16, good + 4] {
            let found = image.with(field, d::MEMBER, to, attach);
            assert_eq!(found, if member { refused } else { Ok(()) }, "{name}: a value at {to}");
        }
        assert_eq!(attach(), Ok(()), "{name}");
    }
}

#[test]
fn attach_cell_outside_lane_is_refused() {
    let (image, mut cases) = everything();
    let counter = cases.last().map(|rate| FieldId::from_index(rate.field.index() - 1)).unwrap();
    let attach = |lane: &_, field| Counter::attach(lane, field).map(|_| ());
    cases.push(HandleCase {
        name: "Counter",
        field: counter,
        slot: 0,
        exact: true,
        member: true,
        attach,
    });
    let cells = image.writer.region().load32(h::CELLS_OFFSET);
    let stride = image.writer.region().load32(h::LANE_STRIDE);
    for HandleCase { name, field, attach, .. } in cases {
        let attach = || attach(&image.lane, field);
        for place in [0, 64, cells - 8, stride - 7, stride, stride + 64, u32::MAX - 7] {
            // The error of a group may have the offset of another member.
            let found = image.with(field, d::PLACE, place, attach).unwrap_err();
            let AttachError::Place { place: found } = found else { panic!("{name}: {found}") };
            assert!(found == place || name.starts_with("Group"), "{name}");
        }
        if !name.starts_with("Group") {
            assert_eq!(image.with(field, d::PLACE, cells, attach), Ok(()), "{name}: the first");
        }
    }
    assert_eq!(image.with(counter, d::PLACE, stride - 24, || attach(&image.lane, counter)), Ok(()));
}

#[test]
fn attach_other_count_or_flags_is_refused() {
    let (image, cases) = everything();
    let case = |start: &str| cases.iter().find(|case| case.name.starts_with(start)).unwrap();
    let bits = |field, flag: u16, on: bool| {
        let word = image.get(field, d::SLOT_BITS);
        let flag = u32::from(flag) << 16;
        if on { word | flag } else { word & !flag }
    };
    for (name, wanted) in
        [("Array", 5), ("Text", 24), ("Blob", 9), ("Events", 17), ("Activity", 17)]
    {
        let HandleCase { field, attach, .. } = *case(name);
        for found in [wanted - 1, wanted + 1] {
            let error = image.with(field, d::COUNT, found, || attach(&image.lane, field));
            assert_eq!(error, Err(AttachError::OtherCount { found, wanted }), "{name}");
        }
    }
    let HandleCase { field, attach, .. } = *case("Array");
    let alone = bits(field, flags::ARRAY, false);
    let error = image.with(field, d::SLOT_BITS, alone, || attach(&image.lane, field));
    assert_eq!(error, Err(AttachError::OtherCount { found: 5, wanted: 5 }));

    let HandleCase { field: first, attach, .. } = *case("Group");
    let attach = || attach(&image.lane, first);
    let place = image.get(first, d::PLACE);
    for index in 0..3 {
        let field = FieldId::from_index(first.index() + index);
        let alone = bits(field, flags::MEMBER, false);
        let error = Err(AttachError::OtherCount { found: 1, wanted: 1 });
        assert_eq!(image.with(field, d::SLOT_BITS, alone, attach), error, "{index}");
        let error = Err(AttachError::OtherCount { found: 2, wanted: 1 });
        assert_eq!(image.with(field, d::COUNT, 2, attach), error, "{index}");
        if index > 0 {
            let error = Err(AttachError::Place { place: place + 8 });
            assert_eq!(image.with(field, d::PLACE, place + 8, attach), error, "{index}");
            let error = Err(AttachError::Place { place });
            let member = image.with(field, d::MEMBER, index * 8 + 8, attach);
            assert_eq!(member, error, "{index}: not in its order");
        }
    }
    assert_eq!(attach(), Ok(()));
}
