//! Faults of writers, each planted in a file that is right without it.

use crate::image::Image;

pub(crate) struct Fault {
    pub(crate) about: &'static str,
    /// The description of the file.
    pub(crate) case: &'static str,
    pub(crate) plant: fn(&mut Image),
    /// In the output; `None` if it is no fault.
    pub(crate) found: Option<&'static str>,
}

fn fault(
    case: &'static str,
    about: &'static str,
    found: &'static str,
    plant: fn(&mut Image),
) -> Fault {
    Fault { about, case, plant, found: Some(found) }
}

fn allowed(case: &'static str, about: &'static str, plant: fn(&mut Image)) -> Fault {
    Fault { about, case, plant, found: None }
}

pub(crate) fn faults() -> Vec<Fault> {
    [header(), descriptors(), heap(), lanes(), cells(), journals(), harmless()]
        .into_iter()
        .flatten()
        .collect()
}

fn header() -> Vec<Fault> {
    let of = |about, found, plant| fault("a counter", about, found, plant);
    vec![
        of("magic", "bad-magic", |i| i.flip(1, 1)),
        of("major", "unsupported-major", |i| i.set(8, 2, 4)),
        of("minor", "version: minor is 1, not 0", |i| i.set(10, 2, 1)),
        of("min_minor", "unsupported-minor", |i| i.set(12, 2, 1)),
        of("header_size", "header-size", |i| i.set(14, 2, 200)),
        of("required_features", "required-features", |i| i.set(16, 8, 1)),
        of("optional_features", "version: optional_features is 2", |i| i.set(24, 8, 2)),
        of("instance zero", "instance: it is all zeros", |i| {
            i.set(32, 8, 0);
            i.set(40, 8, 0);
        }),
        of("part", "counts: part is 1", |i| i.set(48, 4, 1)),
        of("file_size", "file-size", |i| i.add(52, 1)),
        of("descriptors misaligned", "alignment", |i| i.add(56, 4)),
        of("descriptor_size", "descriptor-size", |i| i.set(64, 2, 60)),
        of("reserved 66", "reserved: byte 66 of the header", |i| i.set(66, 1, 1)),
        of("heap before descriptors", "section-order", |i| i.set(68, 4, 200)),
        of("heap misaligned", "alignment", |i| i.add(68, 4)),
        of("lanes misaligned", "alignment", |i| i.add(76, 8)),
        of("lane_stride", "alignment", |i| i.add(80, 8)),
        of("lane_capacity 0", "limit", |i| i.set(84, 4, 0)),
        of("lane_capacity", "section-bounds", |i| i.set(84, 4, 2)),
        of("cells_offset", "lane-layout", |i| i.set(88, 4, 64)),
        of("reserved 92", "reserved: byte 92 of the header", |i| i.set(92, 1, 1)),
        of("reserved 119", "reserved: byte 119 of the header", |i| i.set(119, 1, 1)),
        of("header checksum", "header-checksum", |i| {
            i.sealed = false;
            i.flip(120, 1);
        }),
        of("building", "building", |i| i.set(128, 4, 1)),
        of("live", ".state: \"live\", not \"closed\"", |i| i.set(128, 4, 2)),
        of("field_count", ".fields: 0 elements", |i| i.set(132, 4, 0)),
        of("heap_used", "damaged", |i| i.set(136, 4, 4)),
        of("lanes_used", ".lanes: 0 elements", |i| i.set(140, 4, 0)),
        of("fields_refused", "counts: fields_refused is 1", |i| i.set(144, 4, 1)),
        of("lanes_refused", "counts: lanes_refused is 1", |i| i.set(148, 4, 1)),
        of("parts", "counts: parts is more than 1", |i| i.set(152, 4, 2)),
        of("reuses", "counts: reuses is 2", |i| i.set(156, 4, 2)),
        of("reserved 160", "reserved: byte 160 of the header", |i| i.set(160, 1, 1)),
        of("reserved 191", "reserved: byte 191 of the header", |i| i.set(191, 1, 1)),
    ]
}

fn descriptors() -> Vec<Fault> {
    let of = |about, found, plant| fault("a counter", about, found, plant);
    vec![
        of("other type", "kind-type", |i| i.set(i.field(0) + 16, 1, 8)),
        fault("flags", "other type of a gauge", "no \"bool\", but {\"u8\":\"1\"}", |i| {
            i.set(i.field(0) + 16, 1, 1);
        }),
        of("other kind", ".kind: \"gauge\"", |i| i.set(i.field(0) + 17, 1, 2)),
        of("other aggregation", ".aggregation: \"max\"", |i| i.set(i.field(0) + 18, 1, 3)),
        of("unknown aggregation", ".aggregation: \"unknown\"", |i| i.set(i.field(0) + 18, 1, 6)),
        of("other storage", "slots", |i| i.set(i.field(0) + 19, 1, 3)),
        of("scalar count", "count", |i| i.set(i.field(0) + 20, 4, 2)),
        of("place misaligned", "cell-place", |i| i.add(i.field(0) + 24, 4)),
        of("slot_size", "slots", |i| i.set(i.field(0) + 28, 4, 8)),
        of("member", "member", |i| i.set(i.field(0) + 32, 4, 8)),
        of("slot_bits", "slots", |i| i.set(i.field(0) + 36, 1, 1)),
        of("level", ".level: \"debug\"", |i| i.set(i.field(0) + 37, 1, 2)),
        of("counter OPTIONAL", "flags: field 0, counter, has OPTIONAL", |i| {
            i.set(i.field(0) + 38, 2, 1);
            i.flip(i.lane() + 64, 1);
        }),
        of("counter OPTIONAL without bit", "verdict", |i| i.set(i.field(0) + 38, 2, 1)),
        of("unknown flag", "reserved: flags of descriptor 0", |i| i.set(i.field(0) + 38, 2, 8)),
        of("param", ".param: \"1\"", |i| i.set(i.field(0) + 40, 4, 1)),
        of("detail", ".detail", |i| i.set(i.field(0) + 44, 4, i.heap(0, 0) as u64)),
        of("retired", "no \"lanes\"", |i| i.set(i.field(0) + 48, 4, 2)),
        of("field state", "field-state", |i| i.set(i.field(0) + 48, 4, 0)),
        of("descriptor reserved", "reserved: byte", |i| i.set(i.field(0) + 52, 4, 1)),
        of("descriptor checksum", "field-checksum", |i| {
            i.sealed = false;
            i.flip(i.field(0) + 56, 1);
        }),
        fault("a gauge", "gauge without OPTIONAL", "flags: field 0, gauge, lacks OPTIONAL", |i| {
            i.set(i.field(0) + 38, 2, 0);
        }),
        fault("arrays", "array of one without ARRAY", "lacks ARRAY", |i| {
            i.set(i.field(2) + 38, 2, 1);
        }),
        fault("a group of one", "group without MEMBER", "lacks MEMBER", |i| {
            i.set(i.field(0) + 38, 2, 0);
        }),
        fault("a group of one", "group OPTIONAL", "has OPTIONAL", |i| {
            i.set(i.field(0) + 38, 2, 5);
            i.flip(i.lane() + 64, 1);
        }),
        fault("a text", "text ARRAY", "type-storage", |i| i.set(i.field(0) + 38, 2, 3)),
        fault("a gauge", "atomic ARRAY", "type-storage", |i| i.set(i.field(0) + 38, 2, 3)),
        fault("a gauge", "atomic MEMBER", "type-storage", |i| i.set(i.field(0) + 38, 2, 5)),
        fault("a histogram", "journal OPTIONAL", "type-storage", |i| i.set(i.field(0) + 38, 2, 3)),
        fault("a histogram", "journal without ARRAY", "count", |i| i.set(i.field(0) + 38, 2, 0)),
        fault("a histogram", "slots of a histogram", "kind-param", |i| {
            i.set(i.field(0) + 28, 4, 32);
        }),
        fault("a text", "slot too small", "member", |i| i.set(i.field(0) + 28, 4, 16)),
        fault("every aggregation", "cells out of order", "cell-overlap", |i| {
            let (first, second) = (i.get(i.field(0) + 24, 4), i.get(i.field(1) + 24, 4));
            i.set(i.field(0) + 24, 4, second);
            i.set(i.field(1) + 24, 4, first);
        }),
        fault("a state", "state without names", "kind-param", |i| i.set(i.field(0) + 44, 4, 0)),
        fault("a state", "state with the names of another", ".detail", |i| {
            i.set(i.field(1) + 44, 4, i.heap(0, 44) as u64);
        }),
        // The new cell has the slots of the old one, and the value.
        fault("two groups", "group in two cells", "group: field 3 is not in the group", |i| {
            let place = i.grow_lane(64);
            let (size, member) = (i.get(i.field(3) + 28, 4), i.get(i.field(3) + 32, 4));
            i.set(i.field(3) + 24, 4, place as u64);
            let cell = i.cell(3);
            i.set(cell, 4, 1);
            i.set(cell + 8 + usize::try_from(size + member).unwrap(), 8, 2);
        }),
        fault("two groups", "two groups in a cell", "member", |i| {
            i.set(i.field(2) + 24, 4, i.get(i.field(1) + 24, 4));
        }),
    ]
}

fn heap() -> Vec<Fault> {
    let of = |about, found, plant| fault("a counter", about, found, plant);
    vec![
        of("label padding", "padding: byte", |i| i.set(i.heap(0, 0) + 7, 1, 1)),
        of("label misaligned", "string-place", |i| i.add(i.field(0), 2)),
        of("label outside", "string-place", |i| i.set(i.field(0), 4, 4)),
        of("label not UTF-8", "utf8", |i| i.set(i.heap(0, 0) + 2, 1, 0xFF)),
        of("other label", ".label: \"gield\"", |i| i.flip(i.heap(0, 0) + 2, 1)),
        of("no unit", ".unit: \"\"", |i| i.set(i.field(0) + 4, 4, 0)),
        of("help of length 0", "string-length", |i| i.set(i.heap(0, 8), 2, 0)),
        // The last bytes of the label become a text of two bytes.
        fault(
            "the longest label",
            "string in a string",
            "heap: unit of field 0 overlaps label of field 0",
            |i| {
                let label = i.heap(0, 0);
                i.set(label + 4, 4, 0x6261_0002);
                i.set(i.field(0) + 4, 4, label as u64 + 4);
            },
        ),
        fault("a family", "no attributes", ".attributes: no \"code\"", |i| {
            i.set(i.field(1) + 12, 4, 0);
        }),
        fault("a family", "attributes of another", ".attributes.code", |i| {
            i.set(i.field(1) + 12, 4, i.heap(0, 12) as u64);
        }),
        fault("a family", "key that is there twice", "attributes", |i| {
            let at = i.heap(0, 12) + 2;
            // code=200, method=GET: now code=20 and code=GET do not fit, so a key without a name.
            i.set(at, 1, u64::from(b'='));
        }),
        fault(
            "two constants of one value",
            "shared constant",
            "heap: the constant of field 1",
            |i| {
                i.set(i.field(1) + 24, 4, i.heap(0, 24) as u64);
            },
        ),
        fault("constants", "constant misaligned", "cell-place", |i| i.add(i.field(1) + 24, 4)),
        fault("constants", "constant OPTIONAL", "type-storage", |i| i.set(i.field(1) + 38, 2, 1)),
        fault("constants", "constant padding", "padding: byte", |i| {
            i.set(i.heap(1, 24) + 7, 1, 1);
        }),
        fault("constants", "constant text padding", "padding: byte", |i| {
            let at = i.heap(0, 24);
            let length = usize::try_from(i.get(at, 4)).unwrap();
            i.set(at + 8 + length, 1, 1);
        }),
        fault("constants", "constant flags", "reserved: flags of the constant", |i| {
            i.set(i.heap(0, 24) + 4, 4, 2);
        }),
        fault("constants", "constant cut", ".cut: true", |i| i.set(i.heap(0, 24) + 4, 4, 1)),
        fault("constants", "constant of another value", ".value.u32", |i| {
            i.flip(i.heap(1, 24), 1);
        }),
        fault("constants", "constant bool of 2", "value-range", |i| i.set(i.heap(6, 24), 1, 2)),
    ]
}

fn lanes() -> Vec<Fault> {
    let of = |about, found, plant| fault("a counter", about, found, plant);
    vec![
        of("lane never claimed", "{\"verdict\":\"absent\"}", |i| i.set(i.lane(), 4, 0)),
        of("lane handed back", ".lanes[0]: \"returned\"", |i| i.set(i.lane(), 4, 2)),
        of("lane state unknown", "lane-state", |i| i.set(i.lane(), 4, 3)),
        of("owners", "owners: the lane is owned, and was never claimed", |i| {
            i.set(i.lane() + 4, 4, 0);
        }),
        of("samples_refused", "samples: samples_refused is 1, not 0", |i| {
            i.set(i.lane() + 8, 8, 1);
        }),
        of("lane reserved 16", "reserved: byte", |i| i.set(i.lane() + 16, 1, 1)),
        of("lane reserved 63", "reserved: byte", |i| i.set(i.lane() + 63, 1, 1)),
        of("bit of a counter", "presence: the bit of field 0 is set", |i| {
            i.set(i.lane() + 64, 4, 1);
        }),
        of("bit of no field", "presence: the bit of field 63 is set", |i| {
            i.set(i.lane() + 71, 1, 0x80);
        }),
        fault("a gauge", "no bit of a gauge", "presence: the bit of field 0 is not set", |i| {
            i.set(i.lane() + 64, 4, 0);
        }),
        fault("a gauge without a value", "bit without a value", "verdict", |i| {
            i.set(i.lane() + 64, 4, 1);
        }),
        of("header behind 192", "unused: byte 255", |i| {
            let at = i.lengthen_header();
            i.set(at + 63, 1, 1);
        }),
        of("descriptor behind 64", "reserved: byte 256 of descriptor 0", |i| {
            let at = i.lengthen_descriptor();
            i.set(at, 1, 1);
        }),
        of("descriptor that was never added", "unused: byte 256", |i| {
            let at = i.add_descriptor();
            i.set(at, 1, 1);
        }),
        of("end of the lane", "unused: byte", |i| {
            let at = i.grow_lane(64);
            i.set(i.lane() + at + 63, 1, 1);
        }),
        of("lane that was never claimed", "unused: byte", |i| {
            let at = i.add_lane();
            i.set(at, 4, 1);
        }),
        of("second lane", ".lanes: 2 elements", |i| {
            let at = i.add_lane();
            i.set(at, 4, 1);
            i.set(at + 4, 4, 1);
            i.set(140, 4, 2);
        }),
        fault(
            "samples that are refused",
            "refused samples not counted",
            "samples: samples_refused is 0, not 2",
            |i| {
                i.set(i.lane() + 8, 8, 0);
            },
        ),
    ]
}

fn cells() -> Vec<Fault> {
    vec![
        fault("a counter", "other value", ".u64: \"16\"", |i| i.flip(i.cell(0), 1)),
        fault("a gauge without a value", "value without bit", "unused: byte", |i| {
            i.set(i.cell(0), 1, 1);
        }),
        fault("every aggregation", "upper half", "reserved: byte", |i| {
            i.set(i.cell(0) + 4, 4, u64::MAX);
        }),
        fault("flags", "flag of 2", "value-range", |i| i.set(i.cell(0), 4, 2)),
        fault("integers at their limits", "u8 not widened", "value-range", |i| {
            i.set(i.cell(1), 4, 0x1FF);
        }),
        fault("a text", "cell reserved", "reserved: byte", |i| i.set(i.cell(0) + 4, 4, 1)),
        fault("a text", "seq 0", "seq: the cell of \"field\" has a value, and seq is 0", |i| {
            i.set(i.cell(0), 4, 0);
        }),
        fault("a text", "slot 0", "unused: byte", |i| i.set(i.slot(0, 0), 1, 1)),
        fault("a text of four slots", "slot 3", "unused: byte", |i| i.set(i.slot(0, 3), 1, 1)),
        fault("a text", "text flags", "reserved: flags of the text", |i| {
            i.set(i.slot(0, 1) + 4, 4, 2);
        }),
        fault("a text", "text length", "value-length", |i| i.set(i.slot(0, 1), 4, 25)),
        fault("a text", "text not UTF-8", "value-utf8", |i| i.set(i.slot(0, 1) + 8, 1, 0xFF)),
        fault("a text that is cut", "not said to be cut", ".cut: false", |i| {
            i.set(i.slot(0, 1) + 4, 4, 0);
        }),
        fault("a text that fits exactly", "said to be cut", ".cut: true", |i| {
            i.set(i.slot(0, 1) + 4, 4, 1);
        }),
        fault("a text that is cut in a long character", "cut in a character", "value-utf8", |i| {
            let at = i.slot(0, 1);
            i.set(at, 4, 5);
            i.set(at + 11, 2, 0x9FF0);
        }),
        fault("a text without a value", "cell without a value", "unused: byte", |i| {
            i.set(i.slot(0, 1), 1, 1);
        }),
        fault("bytes", "other bytes", ".bytes: \"01ff10a0\"", |i| i.set(i.slot(0, 1) + 8, 1, 1)),
        fault("arrays", "element", ".u64[0]: \"0\"", |i| i.set(i.slot(0, 1), 8, 0)),
        fault("a group", "member of an old value", ".fields[1]", |i| i.set(i.slot(1, 1) + 8, 2, 0)),
        fault("a group", "group slot 0", "unused: byte", |i| i.set(i.slot(0, 0), 1, 1)),
    ]
}

fn journals() -> Vec<Fault> {
    let of = |about, found, plant| fault("a histogram", about, found, plant);
    vec![
        of("journal reserved", "reserved: byte", |i| i.set(i.cell(0) + 4, 4, 1)),
        of("journal total", "value-total", |i| i.set(i.slot(0, 2), 8, 3)),
        of("journal total of an old change", "journal: total of change 1", |i| {
            i.set(i.slot(0, 1), 8, 2);
        }),
        of("journal index", "journal: change of change 2", |i| i.flip(i.slot(0, 2) + 8, 1)),
        of("journal low bits", "journal: change of change 2", |i| i.flip(i.slot(0, 2) + 10, 2)),
        of("sum", "journal: sum of change 2", |i| i.set(i.slot(0, 2) + 16, 8, 7)),
        of("minimum", "journal: minimum of change 2", |i| i.set(i.slot(0, 2) + 24, 8, 0)),
        of("maximum", "journal: maximum of change 2", |i| i.set(i.slot(0, 2) + 32, 8, 8)),
        of("minimum of the first change", "journal: minimum of change 1", |i| {
            i.set(i.slot(0, 1) + 24, 8, 0);
        }),
        of("journal slot 0", "unused: byte", |i| i.set(i.slot(0, 0), 8, 1)),
        of("journal slot of no change", "unused: byte", |i| i.set(i.slot(0, 9), 8, 1)),
        // Readers have nothing to undo here, so they accept it.
        of("journal seq of one more", "seq: seq of the cell", |i| {
            i.add(i.cell(0), 1);
            for word in 0..5 {
                let value = i.get(i.slot(0, 2) + 8 * word, 8);
                i.set(i.slot(0, 3) + 8 * word, 8, value);
            }
        }),
        // The newest slot is the same one.
        fault(
            "a histogram of many values",
            "journal seq below its changes",
            "seq: seq of the cell",
            |i| {
                i.set(i.cell(0), 4, i.get(i.cell(0), 4) % 32);
            },
        ),
        of("element", "value-total", |i| {
            let first = i.slot(0, 1 << i.get(i.field(0) + 36, 1));
            i.set(first, 8, 1);
        }),
        of("value in another element", ".u64[", |i| {
            let first = i.slot(0, 1 << i.get(i.field(0) + 36, 1));
            i.set(first + 8, 8, 0);
            i.set(first, 8, 1);
        }),
        of("param", ".param", |i| i.set(i.field(0) + 42, 1, 1)),
        fault(
            "a histogram of many values",
            "journal word of an old change",
            "journal: sum of change",
            |i| {
                i.flip(i.slot(0, 5) + 16, 1);
            },
        ),
    ]
}

/// Changes that FORMAT.md allows.
fn harmless() -> Vec<Fault> {
    vec![
        allowed("a counter", "nothing", |_| ()),
        allowed("a counter", "a lane that is free", |i| {
            i.add_lane();
        }),
        allowed("a counter", "a longer header", |i| {
            i.lengthen_header();
        }),
        allowed("a counter", "longer descriptors", |i| {
            i.lengthen_descriptor();
        }),
        allowed("a counter", "room for a descriptor", |i| {
            i.add_descriptor();
        }),
        allowed("a counter", "a longer lane", |i| {
            i.grow_lane(128);
        }),
        allowed("a counter", "bytes after the image", |i| i.append(b"anything")),
        allowed("a counter", "parts said", |i| i.set(152, 4, 1)),
        allowed("a counter", "claimed twice", |i| i.set(i.lane() + 4, 4, 2)),
        allowed("a text", "bytes after the text", |i| i.set(i.slot(0, 1) + 16, 4, 1)),
        allowed("a histogram", "a later writer of the journal", |i| i.add(i.cell(0), 64)),
        allowed("a family", "strings that are shared", |i| {
            let (own, shared) = (i.heap(1, 0), i.heap(0, 0));
            i.set(i.field(1), 4, shared as u64);
            (0..12).for_each(|at| i.set(own + at, 1, 0));
        }),
    ]
}
