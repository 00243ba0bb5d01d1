//! Rules of FORMAT.md section 10 about fields and values: each case breaks one rule, and all other
//! fields stay readable.

mod read_support;

use mmstats_core::Storage;
use mmstats_core::read::{AttributeFault, Field, FieldError, Image, ValueError, Verdict};
use read_support::{
    ARRAY, ATOMIC, Builder, CAPACITY, CELLS, CONSTANT, DESCRIPTORS, Desc, HEAP, LANES, LATCHED,
    MEMBER, OPTIONAL, STRIDE, at, documented_codes, get32, put32, sample, seal_field, shared, text,
};

/// All fields of an image, read from a slice and from shared memory.
fn walk(bytes: &[u8]) -> Vec<Result<Field, FieldError>> {
    let fields: Vec<_> = Image::open(bytes).unwrap().fields().collect();
    let region = shared(bytes);
    assert!(Image::open(&region).unwrap().fields().eq(fields.iter().copied()));
    fields
}

/// The error of field `index` of the sample after a change of its descriptor, with a good checksum.
/// All other fields must be good.
fn damage(index: usize, change: impl FnOnce(&mut Vec<u8>, usize)) -> FieldError {
    let mut bytes = sample().bytes;
    change(&mut bytes, DESCRIPTORS + index * 64);
    let fields = walk(&bytes);
    assert_eq!(fields.len(), at::COUNT);
    for (i, field) in fields.iter().enumerate() {
        assert_eq!(field.is_err(), i == index, "{i}: {field:?}");
    }
    let error = fields[index].unwrap_err();
    assert!(error.to_string().len() > 10, "{error}");
    error
}

fn sealed(index: usize, change: impl FnOnce(&mut Vec<u8>, usize)) -> FieldError {
    damage(index, |bytes, at| {
        change(bytes, at);
        seal_field(bytes, index);
    })
}

fn set32(index: usize, offset: usize, to: u32) -> FieldError {
    sealed(index, |bytes, at| put32(bytes, at + offset, to))
}

fn set8(index: usize, offset: usize, to: u8) -> FieldError {
    sealed(index, |bytes, at| bytes[at + offset] = to)
}

/// The error of one field added to an empty image.
fn added(desc: Desc) -> Option<FieldError> {
    let mut b = Builder::new();
    b.field("x", desc);
    walk(&b.bytes)[0].err()
}

fn with_attributes(attributes: &'static str) -> Option<FieldError> {
    added(Desc { attributes, place: 72, ..ATOMIC })
}

/// Each case with its code, and its offset in the descriptor if the rule was broken there.
#[allow(clippy::too_many_lines)] // A table.
fn cases() -> Vec<(FieldError, &'static str, Option<u32>)> {
    let used = u32::try_from(sample().heap).unwrap();
    let heap = u32::try_from(HEAP).unwrap();
    let stride = u32::try_from(STRIDE).unwrap();
    let cell = |index: usize| {
        u32::try_from(get32(&sample().bytes, DESCRIPTORS + index * 64 + 24)).unwrap()
    };
    vec![
        (set32(at::COUNTER, 48, 0), "field-state", Some(48)),
        (set32(at::COUNTER, 48, 3), "field-state", Some(48)),
        // Without good checksums: strings are checked before the checksum.
        (damage(at::FLAG, |b, at| put32(b, at, 0)), "string-place", Some(0)),
        (damage(at::FLAG, |b, at| put32(b, at, heap + 2)), "string-place", Some(0)),
        (damage(at::FLAG, |b, at| put32(b, at + 4, heap - 4)), "string-place", Some(4)),
        (damage(at::FLAG, |b, at| put32(b, at + 8, used)), "string-place", Some(8)),
        (damage(at::FLAG, |b, at| put32(b, at + 12, u32::MAX - 3)), "string-place", Some(12)),
        (damage(at::FLAG, |b, at| put32(b, at + 12, u32::MAX)), "string-place", Some(12)),
        (
            damage(at::FLAG, |b, at| {
                let label = get32(b, at);
                b[label..label + 2].fill(0);
            }),
            "string-length",
            None,
        ),
        (
            damage(at::FLAG, |b, at| {
                let label = get32(b, at);
                b[label + 1] = 1;
            }),
            "string-length",
            None,
        ),
        (
            damage(at::FLAG, |b, at| {
                let label = get32(b, at);
                b[label + 2] ^= 1;
            }),
            "field-checksum",
            Some(56),
        ),
        (
            damage(at::COUNTER, |b, at| {
                let help = get32(b, at + 8);
                b[help + 2] ^= 1;
            }),
            "field-checksum",
            Some(56),
        ),
        (
            damage(at::COMMAND, |b, at| {
                let value = get32(b, at + 24);
                b[value + 8] ^= 1;
            }),
            "field-checksum",
            Some(56),
        ),
        (
            damage(at::COMMAND, |b, at| {
                let value = get32(b, at + 24);
                b[value + 15] ^= 1;
            }),
            "field-checksum",
            Some(56),
        ),
        (
            damage(at::TABLE, |b, at| {
                let value = get32(b, at + 24);
                b[value + 7] ^= 1;
            }),
            "field-checksum",
            Some(56),
        ),
        (damage(at::FLAG, |b, at| b[at + 43] ^= 1), "field-checksum", Some(56)),
        (damage(at::FLAG, |b, at| b[at + 39] ^= 1), "field-checksum", Some(56)),
        (damage(at::FLAG, |b, at| b[at + 63] ^= 1), "field-checksum", Some(56)),
        (damage(at::NEW_STORAGE, |b, at| b[at + 40] ^= 1), "field-checksum", Some(56)),
        (
            sealed(at::FLAG, |b, at| {
                let label = get32(b, at);
                b[label + 3] = 0xFF;
            }),
            "utf8",
            None,
        ),
        (
            sealed(at::COUNTER, |b, at| {
                let unit = get32(b, at + 4);
                b[unit + 6] = 0xC3;
            }),
            "utf8",
            None,
        ),
        (with_attributes("method").unwrap(), "attributes", None),
        (with_attributes("a=1\0a=2").unwrap(), "attributes", None),
        (set32(at::COUNTER, 20, 0), "count", Some(20)),
        (set32(at::COUNTER, 20, 2), "count", Some(20)),
        (set32(at::COMMAND, 20, 0), "count", Some(20)),
        (set32(at::TEXT, 20, 1_048_561), "count", Some(20)),
        (set32(at::BOOLS, 20, 0), "count", Some(20)),
        (set32(at::BOOLS, 20, 1_048_577), "count", Some(20)),
        (set32(at::TIMER, 20, u32::MAX), "count", Some(20)),
        (sealed(at::SMALL, |b, at| b[at + 38] = 2), "type-storage", Some(16)),
        (sealed(at::SMALL, |b, at| b[at + 38] = 4), "type-storage", Some(16)),
        (sealed(at::NEW_TYPE, |b, at| b[at + 38] = 2), "type-storage", Some(16)),
        (set8(at::SMALL, 16, 12), "type-storage", Some(16)),
        (set8(at::SMALL, 16, 13), "type-storage", Some(16)),
        (set8(at::TEXT, 38, 2), "type-storage", Some(16)),
        (set8(at::PID, 38, 1), "type-storage", Some(16)),
        (set8(at::PID, 38, 4), "type-storage", Some(16)),
        (set8(at::SMALL, 17, 1), "kind-type", Some(17)),
        (set8(at::TEXT, 17, 1), "kind-type", Some(17)),
        (set8(at::FLAG, 17, 1), "kind-type", Some(17)),
        (set8(at::COUNTER, 17, 7), "kind-type", Some(17)),
        (set32(at::TIMER, 20, 4), "kind-type", Some(17)),
        (set8(at::TEXT, 17, 8), "kind-param", Some(40)),
        (set8(at::COUNTER, 36, 2), "slots", Some(28)),
        (set32(at::JOURNAL, 28, 8), "slots", Some(28)),
        (set32(at::PID, 28, 8), "slots", Some(28)),
        (set8(at::TEXT, 36, 17), "slots", Some(28)),
        (set8(at::TEXT, 36, 0), "slots", Some(28)),
        (set32(at::TEXT, 28, 0), "slots", Some(28)),
        (set32(at::TEXT, 28, 44), "slots", Some(28)),
        (set32(at::TEXT, 28, 1_048_584), "slots", Some(28)),
        (set32(at::COUNTER, 32, 8), "member", Some(32)),
        (set32(at::PID, 32, 8), "member", Some(32)),
        (set32(at::TEXT, 32, 8), "member", Some(32)),
        (set32(at::TEXT, 32, 0xFFFF_FFF8), "member", Some(32)),
        (set32(at::TEXT, 20, 41), "member", Some(32)),
        (set32(at::GROUP_LAST, 32, 20), "member", Some(32)),
        (set32(at::GROUP_LAST, 32, 16), "member", Some(32)),
        (set32(at::GROUP_LAST, 32, 32), "member", Some(32)),
        (set32(at::COUNTER, 24, 76), "cell-place", Some(24)),
        (set32(at::COUNTER, 24, 64), "cell-place", Some(24)),
        (set32(at::RETIRED, 24, stride), "cell-place", Some(24)),
        (set32(at::RETIRED, 24, 0xFFFF_FFF8), "cell-place", Some(24)),
        (set32(at::TIMER, 24, stride - 160), "cell-place", Some(24)),
        // The checksum of a missing constant cannot be computed.
        (damage(at::PID, |b, at| put32(b, at + 24, used - 4)), "cell-place", Some(24)),
        (
            damage(at::PID, |b, at| put32(b, at + 24, used.next_multiple_of(8))),
            "cell-place",
            Some(24),
        ),
        (damage(at::PID, |b, at| put32(b, at + 24, heap - 8)), "cell-place", Some(24)),
        (damage(at::COMMAND, |b, at| put32(b, at + 24, 0xFFFF_FFF8)), "cell-place", Some(24)),
        (damage(at::COMMAND, |b, at| b[at + 24] += 1), "cell-place", Some(24)),
        (damage(at::PID, |b, at| b[at + 24] += 4), "cell-place", Some(24)),
        (set32(at::SMALL, 24, cell(at::COUNTER)), "cell-overlap", Some(24)),
        (set32(at::TEXT, 24, cell(at::GONE)), "cell-overlap", Some(24)),
        (set32(at::RETIRED, 24, cell(at::GROUP)), "cell-overlap", Some(24)),
    ]
}

#[test]
fn field_broken_rule_damages_it_alone() {
    for (error, code, offset) in cases() {
        assert_eq!(error.code(), code, "{error} {error:?}");
        if let Some(offset) = offset {
            assert_eq!((error.offset() - 192) % 64, offset, "{error:?}");
        }
    }
}

#[test]
fn field_codes_of_document_have_cases_in_order() {
    let mut codes: Vec<_> = cases().iter().map(|(error, ..)| error.code()).collect();
    codes.dedup();
    assert_eq!(codes, documented_codes(1));
}

#[test]
fn field_error_offset_inside_string() {
    let mut bytes = sample().bytes;
    let label = get32(&bytes, DESCRIPTORS + at::FLAG * 64);
    bytes[label + 4] = 0x80;
    seal_field(&mut bytes, at::FLAG);
    let offset = u32::try_from(label + 4).unwrap();
    assert_eq!(walk(&bytes)[at::FLAG], Err(FieldError::Utf8 { offset }));

    let attributes = u32::try_from(HEAP).unwrap() + 4;
    let fault = AttributeFault::KeyByte;
    let error = FieldError::Attributes { offset: attributes + 2 + 4, fault };
    assert_eq!(with_attributes("a=1\0b c=2"), Some(error));
    assert_eq!(with_attributes("a=1\0b=c=2"), None);
}

#[test]
fn field_unknown_code_is_no_damage() {
    let place = 72;
    for flags in [0, OPTIONAL, 0xFFF8] {
        assert_eq!(added(Desc { ty: 200, flags, place, ..ATOMIC }), None);
    }
    assert_eq!(added(Desc { kind: 0, place, ..ATOMIC }), None);
    assert_eq!(added(Desc { storage: 0, slots: 9, member: 3, place: 1, ..ATOMIC }), None);
    let unknown = Desc { ty: 200, slot_size: 8, flags: ARRAY, count: 0, place, ..LATCHED };
    assert_eq!(added(unknown), None);
    // Its cell is checked as far as possible.
    let error = added(Desc { place: 64, ..unknown }).unwrap();
    assert_eq!(error.code(), "cell-place");
    let error = added(Desc { member: 8, ..unknown }).unwrap();
    assert_eq!(error.code(), "member");
    // The range of the checksum of such a constant is unknown.
    let constant = Desc { ty: 200, place: u32::try_from(HEAP).unwrap(), ..CONSTANT };
    assert_eq!(added(constant), None);
}

#[test]
fn field_damaged_member_keeps_group() {
    for damaged in [at::GROUP, at::GROUP_TEXT, at::GROUP_LAST] {
        let error = damage(damaged, |bytes, at| bytes[at + 56] ^= 1);
        assert_eq!(error.code(), "field-checksum");
    }
}

#[test]
fn field_group_is_consecutive() {
    let group = |b: &mut Builder, label, member, place| {
        b.field(label, Desc { flags: MEMBER, slot_size: 16, member, place, ..LATCHED });
    };
    // Members overlap if another field lies between them or their geometry differs.
    let mut b = Builder::new();
    group(&mut b, "a", 0, 72);
    b.atomic("between", 0, Desc { place: 112, ..ATOMIC });
    b.cell = 200;
    put32(&mut b.bytes, DESCRIPTORS + 64 + 24, 112);
    seal_field(&mut b.bytes, 1);
    group(&mut b, "b", 8, 72);
    let codes: Vec<_> = walk(&b.bytes).iter().map(|f| f.err().map(|e| e.code())).collect();
    assert_eq!(codes, [None, None, Some("cell-overlap")]);

    // A constant ends the group; a field of unknown storage does not.
    let constant = Desc { place: u32::try_from(HEAP).unwrap(), ty: 200, ..CONSTANT };
    let unknown = Desc { storage: 77, ..ATOMIC };
    for (desc, code) in [(constant, Some("cell-overlap")), (unknown, None)] {
        let mut b = Builder::new();
        group(&mut b, "a", 0, 72);
        b.field("between", desc);
        group(&mut b, "b", 8, 72);
        let codes: Vec<_> = walk(&b.bytes).iter().map(|f| f.err().map(|e| e.code())).collect();
        assert_eq!(codes, [None, None, code]);
    }

    let mut b = Builder::new();
    group(&mut b, "a", 0, 72);
    b.field("b", Desc { flags: MEMBER, slot_size: 24, member: 8, place: 72, ..LATCHED });
    b.field("c", Desc { slot_size: 16, member: 8, place: 72, ..LATCHED });
    group(&mut b, "d", 8, 72);
    let codes: Vec<_> = walk(&b.bytes).iter().map(|f| f.err().map(|e| e.code())).collect();
    assert_eq!(codes, [None, Some("cell-overlap"), Some("cell-overlap"), None]);
}

#[test]
fn field_at_limit_is_good() {
    let stride = u32::try_from(STRIDE).unwrap();
    assert_eq!(added(Desc { place: stride - 8, ..ATOMIC }), None);
    assert_eq!(added(Desc { place: u32::try_from(CELLS).unwrap(), ..ATOMIC }), None);
    assert_eq!(added(Desc { slot_size: 8, place: stride - 24, ..LATCHED }), None);
    for (member, code) in [(8, None), (4, Some("member")), (16, Some("member"))] {
        let byte = Desc { ty: 1, slot_size: 16, member, place: 72, ..LATCHED };
        assert_eq!(added(byte).map(|e| e.code()), code);
    }
    let text = Desc { ty: 12, slot_size: 64, count: 56, place: 72, ..LATCHED };
    assert_eq!(added(text), None);
    assert_eq!(added(Desc { count: 57, ..text }).unwrap().code(), "member");
    let help: &'static str = Box::leak("h".repeat(500).into_boxed_str());
    assert_eq!(added(Desc { help, place: 72, ..ATOMIC }), None);
    for (len, code) in [(255, None), (256, Some("string-length"))] {
        let mut b = Builder::new();
        b.field(&"l".repeat(len), Desc { place: 72, ..ATOMIC });
        assert_eq!(walk(&b.bytes)[0].err().map(|e| e.code()), code);
    }
    for (len, code) in [(63, None), (64, Some("string-length"))] {
        let unit = Box::leak("u".repeat(len).into_boxed_str());
        assert_eq!(added(Desc { unit, place: 72, ..ATOMIC }).map(|e| e.code()), code);
    }
    let mut b = Builder::new();
    for i in 0..CAPACITY {
        b.atomic(&format!("f{i}"), 0, ATOMIC);
    }
    assert!(walk(&b.bytes).iter().all(Result::is_ok));
}

/// Reads field `index` of the sample in lane 0 after a change.
fn value_error(index: usize, change: impl FnOnce(&mut Vec<u8>, usize)) -> (ValueError, usize) {
    let mut bytes = sample().bytes;
    let descriptor = DESCRIPTORS + index * 64;
    let mut place = get32(&bytes, descriptor + 24);
    if bytes[descriptor + 19] != 1 {
        place += LANES;
    }
    change(&mut bytes, place);
    seal_field(&mut bytes, index);
    let image = Image::open(bytes.as_slice()).unwrap();
    let field = image.fields().nth(index).unwrap().unwrap();
    let mut out = [0; 4096];
    let verdict = image.read(0, &field, &mut out);
    let Verdict::Damaged(error) = verdict else { panic!("{verdict:?}") };
    let region = shared(&bytes);
    let mut again = [0; 4096];
    let image = Image::open(&region).unwrap();
    assert_eq!(image.read(0, &field, &mut again), Verdict::Damaged(error));
    if field.storage() == Some(Storage::Latched) && error.code() != "lane-state" {
        let slot = image.read_slot(0, &field, &mut again).consistent().unwrap();
        assert_eq!(slot.value(&field), Verdict::Damaged(error));
    }
    assert!(error.to_string().len() > 10, "{error}");
    (error, error.offset() as usize - place)
}

fn value_cases() -> Vec<((ValueError, usize), &'static str, usize)> {
    vec![
        (value_error(at::SMALL, |b, at| put32(b, at, 128)), "value-range", 0),
        (value_error(at::FLAG, |b, at| put32(b, at, 2)), "value-range", 0),
        // Value 2 is in slot 0.
        (value_error(at::BOOLS, |b, at| b[at + 8 + 2] = 2), "value-range", 8 + 2),
        // Value 6 is in slot 2.
        (value_error(at::TEXT, |b, at| put32(b, at + 8 + 2 * 48, 41)), "value-length", 104),
        (value_error(at::BYTES, |b, at| put32(b, at + 8 + 16, u32::MAX)), "value-length", 24),
        (value_error(at::COMMAND, |b, at| put32(b, at, 10)), "value-length", 0),
        (value_error(at::COMMAND, |b, at| put32(b, at, u32::MAX)), "value-length", 0),
        (value_error(at::TEXT, |b, at| b[at + 104 + 8 + 3] = 0xFF), "value-utf8", 104 + 11),
        // Value 1 is in slot 1, its text at offset 8.
        (value_error(at::GROUP_TEXT, |b, at| b[at + 8 + 32 + 16] = 0x80), "value-utf8", 56),
        (value_error(at::COMMAND, |b, at| b[at + 8] = 0x80), "value-utf8", 8),
        // The elements lie after four slots of 16 bytes.
        (value_error(at::JOURNAL, |b, at| b[at + 8 + 64] = 2), "value-total", 0),
    ]
}

#[test]
fn value_broken_rule_is_damaged() {
    for ((error, offset), code, expected) in value_cases() {
        assert_eq!((error.code(), offset), (code, expected), "{error:?}");
    }
    let mut bytes = sample().bytes;
    put32(&mut bytes, LANES, 3);
    let image = Image::open(bytes.as_slice()).unwrap();
    let field = image.fields().next().unwrap().unwrap();
    let error = ValueError::LaneState { offset: u32::try_from(LANES).unwrap(), found: 3 };
    assert_eq!(image.read(0, &field, &mut []), Verdict::Damaged(error));
    assert_eq!(image.lane(0), Verdict::Damaged(error));

    let mut codes = vec![error.code()];
    codes.extend(value_cases().iter().map(|((error, _), ..)| error.code()));
    codes.dedup();
    assert_eq!(codes, documented_codes(2));
}

#[test]
fn value_text_of_full_capacity_is_good() {
    let mut b = Builder::new();
    let place = b.cell(2, 16, 1, &text(b"12345678", false));
    b.field("full", Desc { ty: 12, count: 8, slot_size: 16, place, ..LATCHED });
    let image = Image::open(b.bytes.as_slice()).unwrap();
    let field = image.fields().next().unwrap().unwrap();
    let value = mmstats_core::read::Value::Text { text: "12345678", cut: false };
    assert_eq!(image.read(0, &field, &mut [0; 16]), Verdict::Consistent(value));
}

/// Bounded work: fields that share one large constant are refused once their constants exceed twice
/// the heap in all.
#[test]
fn field_overlapping_constants_bounded_work() {
    // The second ones reach exactly twice the heap.
    for size in [400_usize, 256] {
        let mut b = Builder::new();
        let place = b.heap(8, &vec![7; size]);
        let count = u32::try_from(size / 8).unwrap();
        let shared = Desc { ty: 4, count, flags: ARRAY, place, ..CONSTANT };
        for _ in 0..CAPACITY {
            b.field("x", shared);
        }
        let fields = walk(&b.bytes);
        let used = b.heap - HEAP;
        let good = fields.iter().take_while(|field| field.is_ok()).count();
        assert_eq!(good, 2 * used / size, "heap of {used} bytes");
        assert_eq!((2 * used).is_multiple_of(size), size == 256);
        for field in &fields[good..] {
            assert_eq!(field.unwrap_err().code(), "cell-overlap");
        }
    }
}
