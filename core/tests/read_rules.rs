//! Rules of FORMAT.md about parameters of kinds, journals and cells, fences of reads, and texts of
//! errors.

mod read_support;

use std::cell::RefCell;

use mmstats_core::protocol::{Site, pack};
use mmstats_core::read::{
    AttributeFault, Cursor, Field, FieldError, Header, Image, Refusal, Section, Value, ValueError,
    Verdict,
};
use mmstats_core::{Buckets, DataType, Kind, Source};
use read_support::{
    ARRAY, ATOMIC, Builder, CONSTANT, DESCRIPTORS, Desc, HEAP, HEAP_SIZE, LANES, LATCHED, MEMBER,
    OPTIONAL, at, put16, put32, put64, sample, seal_field, seal_header, shared,
};

/// Adds a field with a parameter and a detail.
fn add(b: &mut Builder, kind: Kind, param: u32, detail: &[u8], desc: Desc) {
    let index = b.field("x", Desc { kind: kind.code(), ..desc });
    let at = DESCRIPTORS + index * 64;
    put32(&mut b.bytes, at + 40, param);
    if !detail.is_empty() {
        let to = b.string(detail);
        put32(&mut b.bytes, at + 44, to);
        put32(&mut b.bytes, 136, u32::try_from(b.heap - HEAP).unwrap());
    }
    seal_field(&mut b.bytes, index);
}

/// The codes of all fields, from a slice and from shared memory.
fn codes(b: &Builder) -> Vec<Option<&'static str>> {
    let code = |field: Result<Field, FieldError>| field.err().map(|error| error.code());
    let image = Image::open(b.bytes.as_slice()).unwrap();
    let region = shared(&b.bytes);
    assert!(Image::open(&region).unwrap().fields().eq(image.fields()));
    image.fields().map(code).collect()
}

/// The code of a single field.
fn code(kind: Kind, param: u32, detail: &[u8], desc: Desc) -> Option<&'static str> {
    let mut b = Builder::new();
    add(&mut b, kind, param, detail, Desc { place: 72, ..desc });
    codes(&b)[0]
}

#[test]
fn histogram_needs_buckets_and_slot_size() {
    let buckets = Buckets::integers(0.2, 1, 8);
    let count = buckets.elements();
    let good = Desc { storage: 4, count, flags: ARRAY, slot_size: 40, slots: 2, ..ATOMIC };
    let check = |param, desc| code(Kind::Histogram, param, b"", desc);
    assert_eq!(check(buckets.param(), good), None);
    assert_eq!(check(buckets.param(), Desc { slot_size: 48, ..good }), None);
    assert_eq!(check(buckets.param(), Desc { slot_size: 32, ..good }), Some("kind-param"));
    let scale = 9 | u32::from(DataType::U64.code()) << 8;
    assert_eq!(check(scale, good), Some("kind-param"));
    let ty = 2 | u32::from(DataType::I64.code()) << 8;
    assert_eq!(check(ty, good), Some("kind-param"));
}

#[test]
fn window_length_fits_slots() {
    let good = Desc { slot_size: 8, slots: 8, ..LATCHED };
    for (param, expected) in
        [(0, Some("kind-param")), (1, None), (6, None), (7, Some("kind-param"))]
    {
        assert_eq!(code(Kind::Window, param, b"", good), expected, "{param} of 8 slots");
    }
}

#[test]
fn rate_follows_its_counter() {
    let rate = Desc { count: 2, flags: ARRAY, slot_size: 16, place: 200, ..LATCHED };
    let after = |kind, param, detail, before| {
        let mut b = Builder::new();
        add(&mut b, kind, 0, b"", Desc { place: 72, ..before });
        add(&mut b, Kind::Rate, param, detail, rate);
        let codes = codes(&b);
        assert_eq!(codes[0], None);
        codes[1]
    };
    let bad = Some("kind-param");
    assert_eq!(after(Kind::Counter, 1, b"60", ATOMIC), None);
    let latched = Desc { slot_size: 8, ..LATCHED };
    assert_eq!(after(Kind::Counter, 1, b"60", latched), None, "of a machine of 32 bits");
    assert_eq!(after(Kind::Counter, 1, b"60", Desc { flags: MEMBER, ..latched }), None);
    // No counter of 8 bytes.
    assert_eq!(after(Kind::Gauge, 1, b"60", ATOMIC), bad);
    assert_eq!(after(Kind::Counter, 1, b"60", Desc { ty: 10, ..ATOMIC }), bad);
    assert_eq!(after(Kind::Counter, 1, b"60", Desc { flags: ARRAY, ..latched }), bad);
    assert_eq!(code(Kind::Rate, 1, b"60", rate), bad, "the first in the table");
    for (param, detail) in [(0, &b"60"[..]), (1, b""), (1, b"0"), (1, b"6x")] {
        assert_eq!(after(Kind::Counter, param, detail, ATOMIC), bad, "{param} {detail:?}");
    }
    // Another field between them.
    let mut b = Builder::new();
    add(&mut b, Kind::Counter, 0, b"", Desc { place: 72, ..ATOMIC });
    add(&mut b, Kind::Gauge, 0, b"", Desc { place: 80, ..ATOMIC });
    add(&mut b, Kind::Rate, 1, b"60", rate);
    assert_eq!(codes(&b), [None, None, bad]);
}

#[test]
fn journal_is_u64_array_of_its_own() {
    let good =
        Desc { storage: 4, count: 3, flags: ARRAY, slot_size: 16, slots: 4, place: 72, ..ATOMIC };
    let check = |desc| code(Kind::Gauge, 0, b"", desc);
    let bad = Some("type-storage");
    assert_eq!(check(good), None);
    assert_eq!(check(Desc { flags: ARRAY | OPTIONAL, ..good }), bad);
    assert_eq!(check(Desc { flags: ARRAY | MEMBER, ..good }), bad);
    assert_eq!(check(Desc { ty: DataType::I64.code(), ..good }), bad);
    // A type of a later version, which must still be an array.
    assert_eq!(check(Desc { ty: 200, ..good }), None);
    assert_eq!(check(Desc { ty: 200, flags: 0, ..good }), bad);
}

/// Without slots all numbers of slots must be zero.
#[test]
fn atomic_field_has_no_slots() {
    for (slot_size, member, slots) in [(8, 8, 1), (0, 1, 2), (1, 0, 2), (8, 0, 1), (0, 0, 2)] {
        let desc = Desc { slot_size, member, slots, ..ATOMIC };
        let expected = Some("slots");
        assert_eq!(code(Kind::Gauge, 0, b"", desc), expected, "{slot_size} {member} {slots}");
    }
    assert_eq!(code(Kind::Gauge, 0, b"", Desc { member: 8, ..ATOMIC }), Some("member"));
}

/// The checksum of a constant of unknown size cannot be computed.
#[test]
fn constant_wrong_count_is_refused() {
    let mut b = Builder::new();
    let place = b.heap(8, &[7; 16]);
    let index = b.field("x", Desc { place, ..CONSTANT });
    assert_eq!(codes(&b), [None]);
    put32(&mut b.bytes, DESCRIPTORS + index * 64 + 20, 2);
    assert_eq!(codes(&b), [Some("count")]);
}

#[test]
fn count_limit_depends_on_type() {
    for (ty, size) in
        [(DataType::U8, 1), (DataType::U16, 2), (DataType::F32, 4), (DataType::F64, 8)]
    {
        let limit = (1 << 20) / size;
        let mut b = Builder::new();
        let desc = Desc { ty: ty.code(), count: limit + 1, flags: ARRAY, slot_size: 8, ..LATCHED };
        b.field("x", desc);
        let error = Image::open(b.bytes.as_slice()).unwrap().fields().next().unwrap();
        let offset = u32::try_from(DESCRIPTORS).unwrap() + 20;
        assert_eq!(error, Err(FieldError::Count { offset, found: limit + 1, limit }), "{ty}");
    }
}

/// An offset in the heap may equal one in a lane.
#[test]
fn member_shares_cell_only_with_its_group() {
    let mut b = Builder::new();
    let member = |member, place| Desc { flags: MEMBER, slot_size: 16, member, place, ..LATCHED };
    for desc in [member(0, 512), member(8, 512), member(0, 600), Desc { place: 512, ..CONSTANT }] {
        b.field("x", desc);
    }
    // A heap that starts earlier.
    let heap = DESCRIPTORS + 4 * 64;
    for (at, to) in [(60, 4), (68, heap), (72, HEAP + HEAP_SIZE - heap), (136, b.heap - heap)] {
        put32(&mut b.bytes, at, u32::try_from(to).unwrap());
    }
    seal_header(&mut b.bytes);
    let image = Image::open(b.bytes.as_slice()).unwrap();
    let fields: Vec<Field> = image.fields().map(Result::unwrap).collect();
    for (i, a) in fields.iter().enumerate() {
        for (j, b) in fields.iter().enumerate() {
            assert_eq!(a.same_cell(b), (i < 2 && j < 2) || (i == 2 && j == 2), "{i} {j}");
        }
    }
}

/// Also if there are bytes after the table.
#[test]
fn field_past_table_is_refused() {
    let bytes = sample().bytes;
    let header = Header::read(bytes.as_slice()).unwrap();
    let mut cursor = Cursor::new();
    for index in 0..at::COUNT {
        assert_eq!(cursor.index() as usize, index);
        assert!(cursor.next(bytes.as_slice(), &header).is_some());
    }
    assert!(cursor.next(bytes.as_slice(), &header).is_none());
    for index in [32, 33, u32::MAX] {
        let found = Cursor::new().check(bytes.as_slice(), &header, 0, index);
        assert_eq!(found, Err(FieldError::State { offset: u32::MAX, found: 0 }), "{index}");
    }
}

/// The maximum number of lanes.
#[test]
fn lanes_maximum_number() {
    /// An image whose lanes past the existing bytes are zero.
    struct Sparse<'a>(&'a [u8], u32);
    impl Source for Sparse<'_> {
        fn size(&self) -> u32 {
            self.1
        }
        fn load32(&self, offset: u32) -> u32 {
            self.0.load32(offset)
        }
        fn load64(&self, offset: u32) -> Option<u64> {
            self.0.load64(offset)
        }
        fn fence(&self, _: Site) {}
    }
    let mut bytes = sample().bytes;
    let size = u32::try_from(LANES).unwrap() + 65_536 * 1024;
    put32(&mut bytes, 52, size);
    put32(&mut bytes, 84, 65_536);
    seal_header(&mut bytes);
    let image = Image::open(Sparse(&bytes, size)).unwrap();
    assert_eq!(image.header().lane_capacity(), 65_536);
    assert_eq!(image.lane(2), Verdict::Absent);
}

/// A writer that died between the stores of an element and of seq.
#[test]
fn journal_uncounted_change_is_reverted() {
    let mut bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    let field = image.fields().nth(at::JOURNAL).unwrap().unwrap();
    let cell = LANES + usize::try_from(field.place()).unwrap();
    // Change 6, in slot 2: element 0 from 1 to 21.
    put64(&mut bytes, cell + 8 + 2 * 16, 27);
    put64(&mut bytes, cell + 8 + 2 * 16 + 8, pack(0, 21));
    put64(&mut bytes, cell + 8 + 4 * 16, 21);
    let region = shared(&bytes);
    let lane = Image::open(&region).unwrap().lane(0).consistent().unwrap();
    let mut out = [0; 64];
    for source in [&bytes.as_slice() as &dyn Source, &region] {
        let found = lane.read_journal(source, &field, &mut out).consistent().unwrap();
        let elements: Vec<Value<'_>> = found.elements().iter().map(Value::from).collect();
        assert_eq!((found.number(), found.word(0)), (5, 7));
        assert!(!found.elements().is_empty());
        assert_eq!(elements, [1, 2, 4].map(Value::U64));
    }
}

#[test]
fn read_journal_other_storage_is_unknown() {
    let bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    let lane = image.lane(0).consistent().unwrap();
    let mut out = [0; 4096];
    for (index, field) in image.fields().map(Result::unwrap).enumerate() {
        let found = lane.read_journal(&bytes.as_slice(), &field, &mut out);
        assert_eq!(found == Verdict::Unknown, index != at::JOURNAL, "field {index}");
        // A journal that is no histogram.
        let found = lane.read_histogram(&bytes.as_slice(), &field, &mut out);
        assert_eq!(found, Verdict::Unknown, "field {index}");
    }
}

#[test]
fn read_number_slot_of_number() {
    let bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    let field = image.fields().nth(at::TEXT).unwrap().unwrap();
    let lane = image.lane(0).consistent().unwrap();
    let cell = u32::try_from(LANES).unwrap() + field.place();
    let mut out = [0; 48];
    // Four slots, the newest value is 6.
    for (number, slot) in [(6, 2), (5, 1), (4, 0)] {
        let found = lane.read_number(image.source(), &field, number, &mut out);
        let found = found.consistent().unwrap();
        assert_eq!((found.number(), found.offset()), (number, cell + 8 + slot * 48));
    }
    for number in [0, 3, 2] {
        let found = lane.read_number(image.source(), &field, number, &mut out);
        assert_eq!(found, Verdict::Absent, "{number}");
    }
}

/// Atomic, in a group and as a constant.
#[test]
fn state_without_name_is_damaged() {
    for value in [0_u8, 1, 2, 255] {
        let mut b = Builder::new();
        let state = |desc| Desc { ty: 3, ..desc };
        let place = b.cell(2, 16, 1, &[0, 0, 0, 0, 0, 0, 0, 0, value]);
        let group = Desc { flags: MEMBER, slot_size: 16, place, ..LATCHED };
        add(&mut b, Kind::Gauge, 0, b"", group);
        add(&mut b, Kind::State, 0, b"idle\0busy", state(Desc { member: 8, ..group }));
        let cell = b.cell;
        put32(&mut b.bytes, LANES + cell, value.into());
        let place = u32::try_from(cell).unwrap();
        add(&mut b, Kind::State, 0, b"idle\0busy", state(Desc { place, ..ATOMIC }));
        assert_eq!(codes(&b), [None; 3]);
        let image = Image::open(b.bytes.as_slice()).unwrap();
        for (field, at) in image.fields().map(Result::unwrap).skip(1).zip([72 + 8 + 16 + 8, cell]) {
            let found = image.read(0, &field, &mut [0; 64]).map(|value| format!("{value:?}"));
            let offset = u32::try_from(LANES + at).unwrap();
            let expected = match value {
                0 | 1 => Verdict::Consistent(format!("{:?}", Value::U64(value.into()))),
                _ => Verdict::Damaged(ValueError::Range {
                    offset,
                    found: value.into(),
                    ty: DataType::U32,
                }),
            };
            assert_eq!(found, expected);
        }
    }
}

/// A source that records its fences.
struct Fences<'a>(&'a [u8], RefCell<Vec<Site>>);

impl Source for Fences<'_> {
    fn size(&self) -> u32 {
        self.0.size()
    }
    fn load32(&self, offset: u32) -> u32 {
        self.0.load32(offset)
    }
    fn load64(&self, offset: u32) -> Option<u64> {
        self.0.load64(offset)
    }
    fn fence(&self, site: Site) {
        self.1.borrow_mut().push(site);
    }
}

/// Fences between the loads of each kind of read, as in PROTOCOL.md.
#[test]
fn reads_have_their_fences() {
    use Site::{
        ReaderCount, ReaderElements, ReaderEnter, ReaderExit, ReaderLane, ReaderLanes,
        ReaderPresence, ReaderRetired, ReaderSlots, ReaderState,
    };
    let bytes = sample().bytes;
    let source = Fences(&bytes, RefCell::default());
    let sites = |look: &dyn Fn()| {
        source.1.borrow_mut().clear();
        look();
        source.1.borrow().clone()
    };
    let opened = sites(&|| assert!(Image::open(&source).is_ok()));
    assert_eq!(opened, [ReaderState, ReaderCount, ReaderLanes]);
    let image = Image::open(&source).unwrap();
    let fields: Vec<Field> = image.fields().map(Result::unwrap).collect();
    assert_eq!(sites(&|| assert!(image.lane(0).consistent().is_some())), [ReaderLanes, ReaderLane]);
    let lane = image.lane(0).consistent().unwrap();
    let out = RefCell::new([0; 4096]);
    let read = |index: usize| {
        sites(&|| {
            let mut out = out.borrow_mut();
            assert!(lane.read(&source, &fields[index], &mut out[..]).consistent().is_some());
        })
    };
    assert_eq!(read(at::COUNTER), []);
    assert_eq!(read(at::HERE), [ReaderPresence]);
    assert_eq!(read(at::TEXT), [ReaderEnter, ReaderExit]);
    assert_eq!(read(at::JOURNAL), [ReaderEnter, ReaderElements, ReaderSlots, ReaderExit]);
    let text = &fields[at::TEXT];
    assert_eq!(sites(&|| assert_eq!(lane.newest(&source, text), 6)), [ReaderEnter]);
    let number = sites(&|| {
        let mut out = out.borrow_mut();
        assert!(lane.read_number(&source, text, 6, &mut out[..]).consistent().is_some());
    });
    assert_eq!(number, [ReaderExit]);
    assert_eq!(sites(&|| assert!(fields[at::RETIRED].retired(&source))), [ReaderRetired]);
    assert_eq!(sites(&|| assert!(!text.retired(&source))), []);
}

#[test]
fn errors_have_texts() {
    let order = |section| Refusal::SectionOrder { section, found: 8, limit: 9 }.to_string();
    for (section, name) in
        [(Section::Descriptors, "descriptors"), (Section::Heap, "heap"), (Section::Lanes, "lanes")]
    {
        let expected = format!("the {name} start at 8, before the end of the section before at 9");
        assert_eq!(order(section), expected);
    }
    let limit = |at, to| {
        let mut bytes = sample().bytes;
        put32(&mut bytes, at, to);
        seal_header(&mut bytes);
        Image::open(bytes.as_slice()).unwrap_err().to_string()
    };
    assert_eq!(limit(84, 0), "capacity 0 at offset 84 is not in 1 to 65536");
    let fields = "capacity 16777217 at offset 60 is not in 0 to 16777216";
    assert_eq!(limit(60, 16_777_217), fields);
    for (fault, words) in [
        (AttributeFault::NoEquals, "an item without `=`"),
        (AttributeFault::KeyLength, "a key that is not 1 to 63 bytes long"),
        (AttributeFault::KeyByte, "a key with a byte outside A-Z a-z 0-9 _ . -"),
        (AttributeFault::Repeated, "a repeated key"),
    ] {
        let error = FieldError::Attributes { offset: 7, fault }.to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut bytes = sample().bytes;
    put16(&mut bytes, 14, 193);
    seal_header(&mut bytes);
    let image = Image::open(bytes.as_slice()).unwrap_err();
    assert!(image.to_string().starts_with("header size 193 is not a multiple of 64 from 192"));
}

#[test]
fn heap_str_is_empty() {
    let bytes = sample().bytes;
    let image = Image::open(bytes.as_slice()).unwrap();
    let fields: Vec<Field> = image.fields().map(Result::unwrap).collect();
    assert!(!fields[at::COUNTER].unit().is_empty() && !fields[at::SMALL].label().is_empty());
    assert!(fields[at::SMALL].unit().is_empty() && fields[at::SMALL].detail().is_empty());
}
