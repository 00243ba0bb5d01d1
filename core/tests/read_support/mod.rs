//! Images built byte by byte from FORMAT.md, without the crate's writer and layout.
#![allow(dead_code)] // Each test uses a part.
#![allow(missing_docs, unreachable_pub)]

use mmstats_core::{Atom32, Region, StaticBytes, StaticMemory};

/// Offsets in the sample image.
pub const DESCRIPTORS: usize = 192;
pub const CAPACITY: usize = 32;
pub const HEAP: usize = DESCRIPTORS + CAPACITY * 64;
pub const HEAP_SIZE: usize = 1024;
pub const LANES: usize = HEAP + HEAP_SIZE;
pub const STRIDE: usize = 1024;
pub const LANE_CAPACITY: usize = 4;
pub const CELLS: usize = 72;
pub const SIZE: usize = LANES + LANE_CAPACITY * STRIDE;

/// Numbers of a descriptor; [`Builder::field`] adds the strings.
#[derive(Clone, Copy)]
pub struct Desc {
    pub unit: &'static str,
    pub help: &'static str,
    pub attributes: &'static str,
    pub ty: u8,
    pub kind: u8,
    pub aggregation: u8,
    pub storage: u8,
    pub count: u32,
    pub place: u32,
    pub slot_size: u32,
    pub member: u32,
    pub slots: u8,
    pub level: u8,
    pub flags: u16,
    pub state: u32,
}

/// A live atomic u64 gauge.
pub const ATOMIC: Desc = Desc {
    unit: "",
    help: "",
    attributes: "",
    ty: 4,
    kind: 2,
    aggregation: 1,
    storage: 2,
    count: 1,
    place: 0,
    slot_size: 0,
    member: 0,
    slots: 0,
    level: 0,
    flags: 0,
    state: 1,
};
pub const LATCHED: Desc = Desc { storage: 3, slots: 2, ..ATOMIC };
pub const CONSTANT: Desc = Desc { storage: 1, kind: 3, ..ATOMIC };

pub fn put16(bytes: &mut [u8], at: usize, n: u16) {
    bytes[at..at + 2].copy_from_slice(&n.to_le_bytes());
}
pub fn put32(bytes: &mut [u8], at: usize, n: u32) {
    bytes[at..at + 4].copy_from_slice(&n.to_le_bytes());
}
pub fn put64(bytes: &mut [u8], at: usize, n: u64) {
    bytes[at..at + 8].copy_from_slice(&n.to_le_bytes());
}
pub fn get32(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// The checksum of FORMAT.md section 8.
pub fn fletcher(pieces: &[&[u8]]) -> u64 {
    let (mut a, mut b) = (0_u64, 0_u64);
    for word in pieces.iter().flat_map(|piece| piece.chunks(4)) {
        a = (a + u64::from(u32::from_le_bytes(word.try_into().unwrap()))) % 4_294_967_295;
        b = (b + a) % 4_294_967_295;
    }
    b * 4_294_967_296 + a
}

pub fn seal_header(bytes: &mut [u8]) {
    let sum = fletcher(&[&bytes[..120]]);
    put64(bytes, 120, sum);
}

/// Stores the checksum of a descriptor, unless it refers to bytes that do not exist.
pub fn seal_field(bytes: &mut [u8], index: usize) {
    let at = DESCRIPTORS + index * 64;
    let Some(sum) = pieces(bytes, at).map(|pieces| fletcher(&pieces)) else { return };
    put64(bytes, at + 56, sum);
}

/// The ranges of section 8 for the descriptor at `at`.
fn pieces(bytes: &[u8], at: usize) -> Option<Vec<&[u8]>> {
    let mut pieces = vec![&bytes[at..at + 48]];
    for reference in [0, 4, 8, 12, 44] {
        let to = get32(bytes, at + reference);
        if to != 0 {
            let len = u16::from_le_bytes(bytes.get(to..to + 2)?.try_into().unwrap());
            pieces.push(bytes.get(to..to + (2 + usize::from(len)).next_multiple_of(4))?);
        }
    }
    if bytes[at + 19] == 1 {
        let (place, count) = (get32(bytes, at + 24), get32(bytes, at + 20));
        let size = match bytes[at + 16] {
            12 | 13 => 8 + get32(bytes.get(place..place + 4)?, 0).min(count),
            1 | 5 | 11 => count,
            2 | 6 => 2 * count,
            3 | 7 | 9 => 4 * count,
            _ => 8 * count,
        };
        pieces.push(bytes.get(place..place + size.next_multiple_of(8))?);
    }
    Some(pieces)
}

pub struct Builder {
    pub bytes: Vec<u8>,
    pub fields: usize,
    pub heap: usize,
    /// End of the last cell in a lane.
    pub cell: usize,
}

impl Builder {
    pub fn new() -> Self {
        let mut bytes = vec![0; SIZE];
        bytes[..8].copy_from_slice(&[0x89, 0x4D, 0x4D, 0x53, 0x0D, 0x0A, 0x1A, 0x0A]);
        put16(&mut bytes, 8, 3);
        put16(&mut bytes, 14, 192);
        put64(&mut bytes, 24, 0xF0); // Optional features of some later version.
        bytes[32..48].copy_from_slice(b"0123456789abcdef");
        put32(&mut bytes, 48, 7);
        for (at, n) in [
            (52, SIZE),
            (56, DESCRIPTORS),
            (60, CAPACITY),
            (68, HEAP),
            (72, HEAP_SIZE),
            (76, LANES),
            (80, STRIDE),
            (84, LANE_CAPACITY),
            (88, CELLS),
            (128, 2),
            (140, 3),
            (144, 5),
        ] {
            put32(&mut bytes, at, u32::try_from(n).unwrap());
        }
        put16(&mut bytes, 64, 64);
        seal_header(&mut bytes);
        // Lane 0 is owned, lane 1 handed back, lane 2 in use but never claimed.
        put32(&mut bytes, LANES, 1);
        put32(&mut bytes, LANES + 4, 9);
        put32(&mut bytes, LANES + STRIDE, 2);
        Self { bytes, fields: 0, heap: HEAP, cell: CELLS }
    }

    pub fn heap(&mut self, alignment: usize, value: &[u8]) -> u32 {
        let at = self.heap.next_multiple_of(alignment);
        self.bytes[at..at + value.len()].copy_from_slice(value);
        self.heap = (at + value.len()).next_multiple_of(alignment);
        u32::try_from(at).unwrap()
    }

    pub fn string(&mut self, text: &[u8]) -> u32 {
        let mut bytes = u16::try_from(text.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(text);
        self.heap(4, &bytes)
    }

    /// Adds a descriptor unchanged.
    pub fn field(&mut self, label: &str, desc: Desc) -> usize {
        let (index, at) = (self.fields, DESCRIPTORS + self.fields * 64);
        for (i, text) in [label, desc.unit, desc.help, desc.attributes].into_iter().enumerate() {
            if !text.is_empty() {
                let to = self.string(text.as_bytes());
                put32(&mut self.bytes, at + i * 4, to);
            }
        }
        let bytes = &mut self.bytes;
        bytes[at + 16..at + 20].copy_from_slice(&[
            desc.ty,
            desc.kind,
            desc.aggregation,
            desc.storage,
        ]);
        put32(bytes, at + 20, desc.count);
        put32(bytes, at + 24, desc.place);
        put32(bytes, at + 28, desc.slot_size);
        put32(bytes, at + 32, desc.member);
        // The exponent of a power of 2; another number unchanged.
        let bits =
            if desc.slots.is_power_of_two() { desc.slots.ilog2() } else { desc.slots.into() };
        bytes[at + 36] = u8::try_from(bits).unwrap();
        bytes[at + 37] = desc.level;
        put16(bytes, at + 38, desc.flags);
        put32(bytes, at + 48, desc.state);
        seal_field(bytes, index);
        self.fields += 1;
        put32(bytes, 132, u32::try_from(self.fields).unwrap());
        put32(bytes, 136, u32::try_from(self.heap - HEAP).unwrap());
        index
    }

    /// Adds an atomic field in the next cell and stores `value` in lane 0.
    pub fn atomic(&mut self, label: &str, value: u64, desc: Desc) -> usize {
        let place = self.cell;
        self.cell += 8;
        put64(&mut self.bytes, LANES + place, value);
        self.field(label, Desc { place: u32::try_from(place).unwrap(), ..desc })
    }

    /// Adds a cell with `value` as value number `seq` in lane 0, and other bytes in the other
    /// slots.
    pub fn cell(&mut self, slots: u8, slot_size: usize, seq: u32, value: &[u8]) -> u32 {
        let place = self.cell;
        self.cell += 8 + usize::from(slots) * slot_size;
        let at = LANES + place;
        put32(&mut self.bytes, at, seq);
        self.bytes[at + 8..LANES + self.cell].fill(0xEE);
        let slot = at + 8 + (seq as usize % usize::from(slots)) * slot_size;
        self.bytes[slot..slot + slot_size].fill(0);
        self.bytes[slot..slot + value.len()].copy_from_slice(value);
        u32::try_from(place).unwrap()
    }
}

/// The bytes in leaked shared memory.
pub fn shared(bytes: &[u8]) -> Region<StaticMemory> {
    let memory = Box::leak(Box::new(StaticBytes::<SIZE>::new())).into_memory();
    let region = Region::new(memory).unwrap();
    store(&region, bytes);
    region
}

/// Stores all bytes, as a hostile writer can at any time.
pub fn store(region: &Region<StaticMemory>, bytes: &[u8]) {
    assert_eq!(bytes.len(), SIZE);
    for (i, word) in bytes.chunks(4).enumerate() {
        let word = u32::from_le_bytes(word.try_into().unwrap());
        Atom32::new(region, u32::try_from(i * 4).unwrap()).unwrap().store(word);
    }
}

/// A text or bytes value as in a slot or in the heap.
pub fn text(text: &[u8], cut: bool) -> Vec<u8> {
    let mut bytes = u32::try_from(text.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(&u32::from(cut).to_le_bytes());
    bytes.extend_from_slice(text);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

pub const OPTIONAL: u16 = 1;
pub const ARRAY: u16 = 2;
pub const MEMBER: u16 = 4;

/// Index of each field of the sample.
pub mod at {
    pub const COUNTER: usize = 0;
    pub const SMALL: usize = 1;
    pub const FLAG: usize = 2;
    pub const HERE: usize = 3;
    pub const GONE: usize = 4;
    pub const COMMAND: usize = 5;
    pub const PID: usize = 6;
    pub const TABLE: usize = 7;
    pub const TEXT: usize = 8;
    pub const BYTES: usize = 9;
    pub const BOOLS: usize = 10;
    pub const GROUP: usize = 11;
    pub const GROUP_TEXT: usize = 12;
    pub const GROUP_LAST: usize = 13;
    pub const TIMER: usize = 14;
    pub const NEW_TYPE: usize = 15;
    pub const NEW_STORAGE: usize = 16;
    pub const NEW_KIND: usize = 17;
    pub const RETIRED: usize = 18;
    pub const JOURNAL: usize = 19;
    pub const COUNT: usize = 20;
}

/// An image with each kind of field; values are in lane 0.
pub fn sample() -> Builder {
    let mut b = Builder::new();
    let counter = Desc {
        kind: 1,
        unit: "bytes",
        help: "W\u{e4}hlt.",
        attributes: "method=GET\0path=/",
        ..ATOMIC
    };
    b.atomic("req.count", u64::MAX, counter);
    b.atomic("small", u64::from((-5_i32).cast_unsigned()), Desc { ty: 5, level: 1, ..ATOMIC });
    b.atomic("flag", 1, Desc { ty: 11, aggregation: 5, ..ATOMIC });
    b.atomic("here", u64::from(1.5_f32.to_bits()), Desc { ty: 9, flags: OPTIONAL, ..ATOMIC });
    b.atomic("gone", 4, Desc { flags: OPTIONAL, ..ATOMIC });
    let presence = LANES + 64;
    put32(&mut b.bytes, presence, 1 << at::HERE);
    let place = b.heap(8, &text("pr\u{f6}g".as_bytes(), true));
    b.field("sys.command", Desc { ty: 12, count: 9, place, ..CONSTANT });
    let place = b.heap(8, &[0x39, 0x30, 0, 0, 0, 0, 0, 0]);
    b.field("sys.pid", Desc { ty: 3, place, ..CONSTANT });
    let place = b.heap(8, &[1, 0, 0xFF, 0xFF, 0, 0x80, 0, 0]);
    b.field("table", Desc { ty: 6, count: 3, flags: ARRAY, place, ..CONSTANT });
    let place = b.cell(4, 48, 6, &text("hello \u{2764}".as_bytes(), false));
    b.field("text", Desc { ty: 12, count: 40, slot_size: 48, slots: 4, place, ..LATCHED });
    let place = b.cell(2, 16, 3, &text(b"\xFF\0z", true));
    b.field("bytes", Desc { ty: 13, count: 5, slot_size: 16, place, ..LATCHED });
    let place = b.cell(2, 8, 2, &[1, 0, 1]);
    b.field("bools", Desc { ty: 11, count: 3, flags: ARRAY, slot_size: 8, place, ..LATCHED });
    let mut slot = 42_u64.to_le_bytes().to_vec();
    slot.extend(text(b"abc", false));
    slot.extend((-0.25_f64).to_le_bytes());
    let place = b.cell(2, 32, 1, &slot);
    let group = Desc { flags: MEMBER, slot_size: 32, place, ..LATCHED };
    b.field("group.n", group);
    b.field("group.text", Desc { ty: 12, count: 8, member: 8, ..group });
    b.field("group.last", Desc { ty: 10, member: 24, ..group });
    let slot: Vec<u8> = [3_u64, 60, 10, 30, 20].iter().flat_map(|n| n.to_le_bytes()).collect();
    let place = b.cell(4, 40, u32::MAX, &slot);
    let timer = Desc { kind: 7, count: 5, flags: ARRAY, slot_size: 40, slots: 4, ..LATCHED };
    b.field("timer", Desc { place, ..timer });
    b.atomic("new.type", 1, Desc { ty: 77, count: 0, ..ATOMIC });
    b.field("new.storage", Desc { storage: 9, place: 5, slots: 3, ..ATOMIC });
    b.atomic("new.kind", 8, Desc { kind: 99, aggregation: 99, level: 99, ..ATOMIC });
    b.atomic("retired", 1, Desc { state: 2, ..ATOMIC });
    // Total 7; element 2 changed to 4.
    let slot: Vec<u8> = [7_u64, 2 | 4 << 16].iter().flat_map(|n| n.to_le_bytes()).collect();
    let place = b.cell(4, 16, 5, &slot);
    for element in [1, 2, 4] {
        put64(&mut b.bytes, LANES + b.cell, element);
        b.cell += 8;
    }
    let journal = Desc { storage: 4, count: 3, flags: ARRAY, slot_size: 16, slots: 4, ..ATOMIC };
    b.field("journal", Desc { place, ..journal });
    assert_eq!(b.fields, at::COUNT);
    b
}

/// The codes in FORMAT.md section 10, of the table with this number.
pub fn documented_codes(table: usize) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/FORMAT.md");
    let document = std::fs::read_to_string(path).unwrap();
    let section = document.split("\n## 10.").nth(1).unwrap();
    let table = section.split("| code | rule broken |").nth(table + 1).unwrap();
    // Each code has an anchor before it.
    let code = |line: &str| {
        let code = line.strip_prefix("| <a id=")?.split('`').nth(1)?;
        Some(code.to_owned())
    };
    table.lines().take_while(|line| !line.starts_with("##")).filter_map(code).collect()
}
