//! Rules for writers that no reader checks, in the bytes of a written file: the table of CONFORMANCE.md
//! section 4.2. Readers have accepted the image, and found its fields undamaged.

use super::cells;
use super::description::{ARRAY, Field, MEMBER, OPTIONAL};
use super::image::{Descriptor, Image};

/// Reserved bytes of the header: offset and size.
const RESERVED: [(usize, usize); 3] = [(66, 2), (92, 28), (160, 32)];

/// Numbers of the header that are 0 in a file of a description: name, offset, size, code.
const ZERO: [(&str, usize, usize, &str); 8] = [
    ("minor", 10, 2, "version"),
    ("min_minor", 12, 2, "version"),
    ("required_features", 16, 8, "version"),
    ("optional_features", 24, 8, "version"),
    ("part", 48, 4, "counts"),
    ("fields_refused", 144, 4, "counts"),
    ("lanes_refused", 148, 4, "counts"),
    ("reuses", 156, 4, "counts"),
];

/// Offsets of label, unit, help, attributes and detail in a descriptor.
const STRINGS: [(&str, usize); 5] =
    [("label", 0), ("unit", 4), ("help", 8), ("attributes", 12), ("detail", 44)];

/// Sections of the image, from its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sections {
    descriptors: usize,
    capacity: usize,
    descriptor_size: usize,
    /// Lane 0.
    pub(super) lane: usize,
}

/// The rules that an image of these fields breaks.
pub(super) fn check(file: &[u8], fields: &[Field]) -> Vec<String> {
    let mut image = Image::new(file);
    let sections = header(&mut image);
    let descriptors: Vec<Descriptor> = fields
        .iter()
        .enumerate()
        .map(|(index, field)| descriptor(&mut image, &sections, index, field))
        .collect();
    heap(&mut image, &sections, fields);
    groups(&mut image, fields, &descriptors);
    lane(&mut image, &sections, fields);
    for (field, descriptor) in fields.iter().zip(&descriptors) {
        cells::check(&mut image, sections.lane, field, descriptor);
    }
    image.check_unused();
    image.problems
}

/// FORMAT.md section 3.
fn header(image: &mut Image<'_>) -> Sections {
    for (at, size) in RESERVED {
        image.zero("reserved", "the header", at, size);
    }
    for (name, at, size, code) in ZERO {
        image.expect(code, name, image.word(at, size), 0);
    }
    if image.word(152, 4) > 1 {
        image.problem("counts", "parts is more than 1");
    }
    if image.range(32, 16).iter().all(|&byte| byte == 0) {
        image.problem("instance", "it is all zeros");
    }
    image.mark(0, 192);
    Sections {
        descriptors: image.size(56, 4),
        capacity: image.size(60, 4),
        descriptor_size: image.size(64, 2),
        lane: image.size(76, 4),
    }
}

/// Where descriptor `index` is.
fn place_of(sections: &Sections, index: usize) -> usize {
    sections.descriptors + index * sections.descriptor_size
}

/// FORMAT.md section 4.
fn descriptor(
    image: &mut Image<'_>,
    sections: &Sections,
    index: usize,
    field: &Field,
) -> Descriptor {
    let at = place_of(sections, index);
    let what = format!("descriptor {index}");
    image.mark(at, sections.descriptor_size);
    image.zero("reserved", &what, at + 52, 4);
    image.zero("reserved", &what, at + 64, sections.descriptor_size.saturating_sub(64));
    let flags = image.word(at + 38, 2);
    for (name, bit) in [("OPTIONAL", OPTIONAL), ("ARRAY", ARRAY), ("MEMBER", MEMBER)] {
        if (flags ^ field.flags) & bit != 0 {
            let has = if flags & bit == 0 { "lacks" } else { "has" };
            image.problem("flags", &format!("field {index}, {}, {has} {name}", field.kind_cell));
        }
    }
    if flags > 7 {
        image.problem("reserved", &format!("flags of {what} are {flags:#x}"));
    }
    Descriptor {
        flags,
        place: image.size(at + 24, 4),
        slot_size: image.size(at + 28, 4),
        slot_bits: image.size(at + 36, 1),
        member: image.size(at + 32, 4),
    }
}

/// FORMAT.md section 5.
fn heap(image: &mut Image<'_>, sections: &Sections, fields: &[Field]) {
    // Start, end and name of each string and constant, each once.
    let mut ranges: Vec<(usize, usize, String)> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let at = place_of(sections, index);
        for (name, offset) in STRINGS {
            let string = image.size(at + offset, 4);
            if string == 0 {
                continue;
            }
            let end = string + 2 + image.size(string, 2);
            let what = format!("{name} of field {index}");
            let padded = end.next_multiple_of(4);
            image.zero("padding", &what, end, padded - end);
            // Fields may share a string.
            if !ranges.iter().any(|&(start, end, _)| (start, end) == (string, padded)) {
                ranges.push((string, padded, what));
            }
        }
        if field.storage == "constant" {
            let start = image.size(at + 24, 4);
            let end = start + constant(image, index, field, at, start);
            let what = format!("the constant of field {index}");
            let padded = end.next_multiple_of(8);
            image.zero("padding", &what, end, padded - end);
            ranges.push((start, padded, what));
        }
    }
    ranges.sort();
    for pair in ranges.windows(2) {
        if let [(_, end, first), (start, _, second)] = pair
            && start < end
        {
            image.problem("heap", &format!("{second} overlaps {first}"));
        }
    }
    for (start, end, _) in ranges {
        image.mark(start, end - start);
    }
}

/// The size of a constant without padding.
fn constant(image: &mut Image<'_>, index: usize, field: &Field, at: usize, start: usize) -> usize {
    if !field.is_blob() {
        return field.element_size() * image.size(at + 20, 4);
    }
    if image.word(start + 4, 4) > 1 {
        image.problem("reserved", &format!("flags of the constant of field {index}"));
    }
    8 + image.size(start, 4)
}

/// FORMAT.md section 6.3: members of a group share a cell, and no others do.
fn groups(image: &mut Image<'_>, fields: &[Field], descriptors: &[Descriptor]) {
    let pairs = descriptors.windows(2).zip(fields.windows(2)).zip(1..);
    for ((pair, fields), index) in pairs {
        let ([before, this], [_, field]) = (pair, fields) else { continue };
        let cell = |d: &Descriptor| (d.place, d.slot_size, d.slot_bits);
        let same = before.flags & this.flags & MEMBER != 0 && cell(before) == cell(this);
        if same != field.joins {
            let what = if same { "joins" } else { "is not in" };
            let group = format!("field {index} {what} the group of the field before");
            image.problem("group", &group);
        }
    }
}

/// FORMAT.md section 7.
fn lane(image: &mut Image<'_>, sections: &Sections, fields: &[Field]) {
    let at = sections.lane;
    if image.word(at + 4, 4) == 0 {
        image.problem("owners", "the lane is owned, and was never claimed");
    }
    let refused = fields.iter().filter_map(|field| field.histogram.as_ref()).map(|h| h.refused);
    image.expect("samples", "samples_refused", image.word(at + 8, 8), refused.sum());
    image.zero("reserved", "the header of the lane", at + 16, 48);
    let size = sections.capacity.div_ceil(64) * 8;
    for index in 0..size * 8 {
        let wanted = fields
            .get(index)
            .is_some_and(|field| field.flags & OPTIONAL != 0 && !field.is_absent());
        let found = image.word(at + 64 + index / 8, 1) >> (index % 8) & 1 == 1;
        if found != wanted {
            let is = if found { "set" } else { "not set" };
            image.problem("presence", &format!("the bit of field {index} is {is}"));
            break;
        }
    }
    image.mark(at, 64 + size);
}
