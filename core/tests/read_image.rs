//! An image built by hand from FORMAT.md, read through all functions of the reader.

mod read_support;

use mmstats_core::read::{
    Cursor, Field, Format, Header, Image, ImageState, LaneState, Scalar, Value, Verdict, constant,
    decode, parse_attributes, sniff,
};
use mmstats_core::{Aggregation, DataType, Kind, Level, Source, Still, Storage};
use read_support::{Builder, LANES, STRIDE, at, put32, sample, shared};

fn fields<S: Source>(image: &Image<S>) -> Vec<Field> {
    image.fields().map(|field| field.expect("the sample is good")).collect()
}

/// All results of the reader for an image, as one text.
fn everything<S: Source>(image: &Image<S>) -> String {
    let mut text = format!("{:?}\n", image.header());
    let mut out = [0xAA; 4096];
    for field in image.fields() {
        text += &format!("{field:?}\n");
        let Ok(field) = field else { continue };
        let mut buffer = [0; 4096];
        for string in [field.label(), field.unit(), field.help(), field.attributes()] {
            text += &format!("{:?} ", string.read(image.source(), &mut buffer));
        }
        for lane in 0..5 {
            text += &format!("{:?}\n", image.read(lane, &field, &mut out));
            let slot = image.read_slot(lane, &field, &mut out);
            text += &format!("{:?}\n", slot.map(|slot| (slot, slot.value(&field))));
        }
    }
    text
}

#[test]
fn header_accessors() {
    let bytes = sample().bytes;
    assert_eq!(sniff(bytes.as_slice()), Format::Three);
    let image = Image::open(bytes.as_slice()).unwrap();
    let header = image.header();
    assert_eq!(&header.instance(), b"0123456789abcdef");
    assert_eq!((header.part(), header.minor()), (7, 0));
    assert_eq!(header.raw().optional_features, 0xF0);
    assert_eq!(header.file_size() as usize, bytes.len());
    assert_eq!((header.descriptor_offset(), header.descriptor_size()), (192, 64));
    assert_eq!(header.descriptor(31), Some(192 + 31 * 64));
    assert_eq!(header.descriptor(32), None);
    assert_eq!(header.descriptor_capacity(), 32);
    assert_eq!(header.heap_offset() + header.heap_size(), header.lanes_offset());
    assert_eq!(image.lane(1).map(|lane| lane.index()), Verdict::Consistent(1));
    assert_eq!((header.lanes_offset() as usize, header.lane_stride() as usize), (LANES, STRIDE));
    assert_eq!((header.lane_capacity(), header.cells_offset()), (4, 72));
    assert_eq!(image.state(), Ok(ImageState::Live));
    assert_eq!(header.lanes_used(&image.source()), Ok(3));
    assert_eq!(header.fields_refused(&image.source()), 5);
}

#[test]
fn refusals_and_parts_as_written() {
    let mut bytes = sample().bytes;
    put32(&mut bytes, 148, 9);
    put32(&mut bytes, 152, 3);
    put32(&mut bytes, 156, 6);
    put32(&mut bytes, LANES + STRIDE + 8, 7);
    let image = Image::open(bytes.as_slice()).unwrap();
    assert_eq!((image.lanes_refused(), image.reuses()), (9, 6));
    assert_eq!(image.parts(), None, "only part 0 says it");
    let lane = |index| image.lane(index).consistent().unwrap().samples_refused(image.source());
    assert_eq!([lane(0), lane(1)], [Some(0), Some(7)]);
}

#[test]
fn field_accessors() {
    let bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    let fields = fields(&image);
    assert_eq!(fields.len(), at::COUNT);

    let counter = &fields[at::COUNTER];
    let mut out = [0; 255];
    assert_eq!(image.label(counter, &mut out), "req.count");
    assert_eq!(counter.unit().read(image.source(), &mut out), "bytes");
    assert_eq!(counter.help().read(image.source(), &mut out), "W\u{e4}hlt.");
    assert_eq!(counter.help().slice(&bytes), "W\u{e4}hlt.");
    let pairs: Vec<_> =
        parse_attributes(counter.attributes().read(image.source(), &mut out)).collect();
    assert_eq!(pairs, [("method", "GET"), ("path", "/")]);
    assert_eq!((counter.ty(), counter.kind()), (Some(DataType::U64), Some(Kind::Counter)));
    assert_eq!(counter.properties().aggregation(), Aggregation::Sum);
    assert_eq!(counter.storage(), Some(Storage::Atomic));
    assert_eq!((counter.properties().level(), counter.index()), (Level::Info, 0));
    assert!(
        !counter.properties().is_array()
            && !counter.properties().is_optional()
            && !counter.properties().is_member()
    );
    assert_eq!((counter.count(), counter.value_size(), counter.buffer_size()), (1, 8, 8));

    let small = &fields[at::SMALL];
    assert!(small.unit().is_empty() && small.help().is_empty() && small.attributes().is_empty());
    assert_eq!((small.properties().level(), small.value_size()), (Level::Diagnostic, 1));
    assert!(fields[at::GONE].properties().is_optional());
    let text = &fields[at::TEXT];
    assert_eq!((text.slots(), text.slot_size(), text.value_size()), (4, 48, 48));
    let (group, last) = (&fields[at::GROUP], &fields[at::GROUP_LAST]);
    assert!(group.properties().is_member() && group.same_cell(last) && !group.same_cell(text));
    assert_eq!(last.member(), 24);

    let new = &fields[at::NEW_TYPE];
    assert_eq!((new.ty(), new.value_size(), new.properties().ty_code()), (None, 0, 77));
    assert_eq!(fields[at::NEW_STORAGE].storage(), None);
    let new = &fields[at::NEW_KIND];
    assert_eq!(
        (new.kind(), new.properties().aggregation(), new.properties().level()),
        (None, Aggregation::Each, Level::Debug)
    );
    assert!(fields[at::RETIRED].retired(&image.source()));
    assert!(!counter.retired(&image.source()));
}

#[test]
fn read_every_field() {
    let bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    let fields = fields(&image);
    let mut out = [0; 4096];
    let mut expect = |field: usize, verdict| {
        assert_eq!(image.read(0, &fields[field], &mut out), verdict, "field {field}");
    };
    let some = Verdict::Consistent;
    expect(at::COUNTER, some(Value::U64(u64::MAX)));
    expect(at::SMALL, some(Value::I64(-5)));
    expect(at::FLAG, some(Value::Bool(true)));
    expect(at::HERE, some(Value::F32(1.5)));
    expect(at::GONE, Verdict::Absent);
    expect(at::COMMAND, some(Value::Text { text: "pr\u{f6}g", cut: true }));
    expect(at::PID, some(Value::U64(12_345)));
    expect(at::TEXT, some(Value::Text { text: "hello \u{2764}", cut: false }));
    expect(at::BYTES, some(Value::Bytes { bytes: b"\xFF\0z", cut: true }));
    expect(at::GROUP, some(Value::U64(42)));
    expect(at::GROUP_TEXT, some(Value::Text { text: "abc", cut: false }));
    expect(at::GROUP_LAST, some(Value::F64(-0.25)));
    expect(at::NEW_TYPE, Verdict::Unknown);
    expect(at::NEW_STORAGE, Verdict::Unknown);
    expect(at::NEW_KIND, some(Value::U64(8)));
    expect(at::RETIRED, Verdict::Retired);

    let mut array = |field: usize| match image.read(0, &fields[field], &mut out) {
        Verdict::Consistent(Value::Array(array)) => array.iter().collect::<Vec<_>>(),
        other => panic!("field {field}: {other:?}"),
    };
    assert_eq!(array(at::TABLE), [1, -1, -32_768].map(Scalar::I64));
    assert_eq!(array(at::BOOLS), [true, false, true].map(Scalar::Bool));
    assert_eq!(array(at::TIMER), [3, 60, 10, 30, 20].map(Scalar::U64));
}

#[test]
fn lane_states_and_owners() {
    let bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    let fields = fields(&image);
    let owned = image.lane(0).consistent().unwrap();
    assert_eq!((owned.index(), owned.offset() as usize), (0, LANES));
    assert_eq!((owned.state(), owned.owners(&image.source())), (LaneState::Owned, 9));
    assert_eq!(image.lane(1).consistent().unwrap().state(), LaneState::HandedBack);
    for lane in [2, 3, 4, u32::MAX] {
        assert_eq!(image.lane(lane), Verdict::Absent, "{lane}");
    }

    // Whatever the state of a lane that was never claimed.
    let mut claimed = bytes.clone();
    put32(&mut claimed, LANES + 3 * STRIDE, 1);
    assert_eq!(Image::open(claimed.as_slice()).unwrap().lane(3), Verdict::Absent);

    let mut out = [0; 4096];
    // Fresh cells are zero, optional fields absent, constants in each lane.
    assert_eq!(image.read(1, &fields[at::COUNTER], &mut out), Verdict::Consistent(Value::U64(0)));
    let empty = Value::Text { text: "", cut: false };
    assert_eq!(image.read(1, &fields[at::TEXT], &mut out), Verdict::Consistent(empty));
    assert_eq!(image.read(1, &fields[at::HERE], &mut out), Verdict::Absent);
    assert_eq!(image.read(3, &fields[at::COUNTER], &mut out), Verdict::Absent);
    assert_eq!(image.read(3, &fields[at::PID], &mut out), Verdict::Consistent(Value::U64(12_345)));
}

#[test]
fn read_slot_has_all_members() {
    let bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    let fields = fields(&image);
    let mut out = [0; 32];
    let slot = image.read_slot(0, &fields[at::GROUP], &mut out).consistent().unwrap();
    assert_eq!(slot.number(), 1);
    assert_eq!(slot.bytes().len(), 32);
    let text = Value::Text { text: "abc", cut: false };
    assert_eq!(slot.value(&fields[at::GROUP]), Verdict::Consistent(Value::U64(42)));
    assert_eq!(slot.value(&fields[at::GROUP_TEXT]), Verdict::Consistent(text));
    assert_eq!(slot.value(&fields[at::GROUP_LAST]), Verdict::Consistent(Value::F64(-0.25)));
    assert_eq!(decode(&fields[at::GROUP_TEXT], slot.bytes()), Verdict::Consistent(text));
    // A field of another cell, or without one.
    assert_eq!(slot.value(&fields[at::COUNTER]), Verdict::Unknown);
    assert_eq!(slot.value(&fields[at::TIMER]), Verdict::NoRoom);
    assert_eq!(decode(&fields[at::GROUP_LAST], &[0; 16]), Verdict::NoRoom);
    let offset = LANES + fields[at::GROUP].place() as usize + 8 + 32;
    assert_eq!(slot.offset() as usize, offset);
}

#[test]
fn read_small_buffer_is_no_room() {
    let bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    for field in fields(&image) {
        let mut out = vec![0; field.buffer_size()];
        assert_ne!(image.read(0, &field, &mut out), Verdict::NoRoom, "{}", field.index());
        let known = field.ty().is_some() && !field.retired(&image.source());
        let buffered = matches!(field.storage(), Some(Storage::Constant | Storage::Latched));
        if known && buffered {
            out.pop();
            assert_eq!(image.read(0, &field, &mut out), Verdict::NoRoom);
            let mut out = vec![0; (field.slot_size() as usize).saturating_sub(1)];
            let slot = image.read_slot(0, &field, &mut out);
            let latched = field.storage() == Some(Storage::Latched);
            assert_eq!(slot, if latched { Verdict::NoRoom } else { Verdict::Unknown });
        }
    }
}

#[test]
fn read_same_from_any_source() {
    let bytes = sample().bytes;
    let expected = everything(&Image::open(bytes.as_slice()).unwrap());
    for shift in 1..9 {
        let mut moved = vec![0xCC; shift];
        moved.extend(&bytes);
        let image = Image::open(&moved[shift..]).unwrap();
        assert_eq!(everything(&image), expected, "shift {shift}");
    }
    let region = shared(&bytes);
    assert_eq!(everything(&Image::open(Still::new(&region, true)).unwrap()), expected);
    // Without loads of 8 bytes a value of a live writer could be torn.
    let (image, live) = (Image::open(bytes.as_slice()).unwrap(), Image::open(&region).unwrap());
    let mut contended = 0;
    for (lane, field) in (0..5).flat_map(|lane| fields(&image).into_iter().map(move |f| (lane, f)))
    {
        let (mut out, mut other) = ([0; 4096], [0; 4096]);
        let (whole, found) =
            (image.read(lane, &field, &mut out), live.read(lane, &field, &mut other));
        let wide = field.storage() == Some(Storage::Atomic) && field.value_size() == 8;
        if usize::BITS < 64 && wide && matches!(whole, Verdict::Consistent(_)) {
            assert_eq!(found, Verdict::Contended, "field {} of lane {lane}", field.index());
            contended += 1;
        } else {
            assert_eq!(found, whole, "field {} of lane {lane}", field.index());
        }
    }
    assert_eq!(contended > 0, usize::BITS < 64);
    if usize::BITS >= 64 {
        assert_eq!(everything(&live), expected);
    }
    // Bytes after file_size are ignored.
    let mut longer = bytes.clone();
    longer.extend([0xDD; 100]);
    assert_eq!(everything(&Image::open(longer.as_slice()).unwrap()), expected);
}

#[test]
fn cursor_on_copy_of_metadata() {
    let bytes = sample().bytes;
    let header = Header::read(bytes.as_slice()).unwrap();
    let copy = &bytes[..header.lanes_offset() as usize];
    let expected = fields(&Image::open(bytes.as_slice()).unwrap());
    let mut cursor = Cursor::new();
    for field in &expected {
        let (index, found) = cursor.next(copy, &header).unwrap();
        assert_eq!((index, found.as_ref()), (field.index(), Ok(field)));
    }
    assert_eq!(cursor.next(copy, &header), None);
    let pid =
        constant(copy, &expected[at::PID], &mut [0; 8]).map(|value| value == Value::U64(12_345));
    assert_eq!(pid, Verdict::Consistent(true));
}

#[test]
fn cursor_continues_after_new_fields() {
    let whole = sample().bytes;
    let all = fields(&Image::open(whole.as_slice()).unwrap());
    // Also between members of a group.
    for first in 0..=all.len() {
        let mut bytes = whole.clone();
        put32(&mut bytes, 132, u32::try_from(first).unwrap());
        let header = Header::read(bytes.as_slice()).unwrap();
        let mut cursor = Cursor::new();
        let mut seen = Vec::new();
        while let Some((_, field)) = cursor.next(bytes.as_slice(), &header) {
            seen.push(field.unwrap());
        }
        assert_eq!(seen.len(), first);
        put32(&mut bytes, 132, u32::try_from(all.len()).unwrap());
        while let Some((_, field)) = cursor.next(bytes.as_slice(), &header) {
            seen.push(field.unwrap());
        }
        assert_eq!(seen, all);
        // An invalid count ends the iteration.
        put32(&mut bytes, 132, 33);
        assert_eq!(cursor.next(bytes.as_slice(), &header), None);
    }
}

#[test]
fn open_empty_image() {
    let bytes = Builder::new().bytes;
    assert_eq!(Image::open(bytes.as_slice()).unwrap().fields().count(), 0);
}

#[test]
fn sniff_recognises_formats() {
    assert_eq!(sniff([1_u8, 0].as_slice()), Format::One);
    assert_eq!(sniff([2_u8; 64].as_slice()), Format::Unknown);
    assert_eq!(sniff(b"\x89MMS\r\n\x1a\r".as_slice()), Format::Unknown);
    assert_eq!(sniff([].as_slice()), Format::Unknown);
}
