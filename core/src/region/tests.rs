//! Tests of access to shared memory.

use super::*;
use crate::protocol::{WriteCell, WriteJournal};
use crate::{Counter, FieldId, FieldSpec, Gauge, Group, MemberSpec, Record, Template, Text};
use std::boxed::Box;
use std::vec;

const FIELDS: &[&[FieldSpec<'_>]] = &[
    &[FieldSpec::counter("done")],
    &[FieldSpec::text("doing", 12)],
    &[FieldSpec::gauge("a", crate::DataType::U64), FieldSpec::gauge("b", crate::DataType::U64)],
    &[FieldSpec::gauge("now", crate::DataType::I16)],
];
static IMAGE: Template<{ Template::<0>::words(FIELDS) }> = Template::new(FIELDS);

/// Size of an image, with as many bytes before and after it that must not change.
const SIZE: usize = 1024;

/// Memory with metadata that is right, incomplete or wrong.
#[derive(Clone, Copy)]
struct Knowing(StaticMemory, Option<&'static [u32]>);

// SAFETY: the middle third of the inner value's memory, whose promises hold for it too; it starts
// at a multiple of 64. The metadata is not part of the promises.
unsafe impl Memory for Knowing {
    fn base(&self) -> NonNull<u8> {
        // SAFETY: the memory has three times as many bytes.
        unsafe { self.0.base().add(SIZE) }
    }
    fn len(&self) -> usize {
        SIZE
    }
    fn metadata(&self) -> Option<&'static [u32]> {
        self.1
    }
}

struct Two(u64, u64);
impl Record for Two {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "a", spec: FieldSpec::gauge("", crate::DataType::U64) },
        MemberSpec { label: "b", spec: FieldSpec::gauge("", crate::DataType::U64) },
    ];
    type Words<'a> = [u64; 2];

    fn words(&self) -> Self::Words<'_> {
        [self.0, self.1]
    }
}

/// Sets each field through handles of this memory. Returns the bytes of the image and the number of
/// handles.
fn publish(words: Option<&'static [u32]>) -> (vec::Vec<u8>, usize) {
    let memory = Box::leak(Box::new(StaticBytes::<{ 3 * SIZE }>::new())).into_memory();
    let (lane, _) = IMAGE.start(Knowing(memory, words), [7; 16]).unwrap();
    let id = FieldId::from_index;
    let counter = Counter::attach(&lane, id(0)).map(|counter| counter.add(5));
    let text = Text::<12, _>::attach(&lane, id(1)).map(|text| text.set("größer"));
    let group = Group::attach(&lane, id(2)).map(|group| group.set(&Two(1, 2)));
    let gauge = Gauge::<i16, _>::attach(&lane, id(4)).map(|gauge| gauge.set(-3));
    let handles = [counter.is_ok(), text.is_ok(), group.is_ok(), gauge.is_ok()];
    let mut bytes = vec![0; 3 * SIZE];
    Region::new(memory).unwrap().copy(0, &mut bytes);
    let after = bytes.split_off(2 * SIZE);
    let image = bytes.split_off(SIZE);
    assert!(bytes.iter().chain(&after).all(|byte| *byte == 0), "outside of the memory");
    (image, handles.into_iter().filter(|there| *there).count())
}

/// Handles from constant metadata write the same bytes.
#[test]
fn metadata_handles_write_same_bytes() {
    let (looked, known) = (publish(None), publish(Some(IMAGE.metadata())));
    assert_eq!(looked.1, 4);
    assert_eq!(looked, known);
    // Missing words are loaded from the image.
    assert_eq!(publish(Some(&IMAGE.metadata()[..40])), looked);
    assert_eq!(publish(Some(&[])), looked);
    let image = crate::read::Image::open(&looked.0[..]).unwrap();
    let lengths = image.fields().map(|field| field.unwrap().label().len());
    assert_eq!(lengths.sum::<usize>(), 4 + 5 + 1 + 1 + 3);
}

/// Wrong metadata leads to no access outside of the memory.
#[test]
fn metadata_wrong_stays_inside_memory() {
    let mut fit = [0; 5];
    for seed in 0..2000_u64 {
        let mut words = IMAGE.metadata().to_vec();
        let mut state = seed;
        for _ in 0..=seed % 8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(state >> 33).unwrap() % words.len();
            let bits = [1 << (state % 32), u32::MAX, 0x7FFF_FFF8, 0xFFFF_FBF8];
            words[at] ^= bits[usize::try_from(state >> 40).unwrap() % bits.len()];
        }
        let (_, handles) = publish(Some(vec::Vec::leak(words)));
        fit[handles] += 1;
    }
    // Some words do not matter, some make every handle fail.
    assert!(fit[0] > 0 && fit[3] > 0 && fit[4] > 0, "{fit:?}");
}

/// Both kinds of source return the same bytes.
#[test]
fn region_copy_equals_slice_copy() {
    let memory = Box::leak(Box::new(StaticBytes::<128>::new())).into_memory();
    let region = Region::new(memory).unwrap();
    let bytes: [u8; 128] = core::array::from_fn(|i| u8::try_from(i + 1).unwrap());
    region.write(0, &bytes);
    for offset in [0, 8, 64, 112, 120, 128, 136, u32::MAX - 7] {
        for size in [0, 8, 16, 128, 256] {
            let (mut from_region, mut from_slice) = (vec![0xEE; size], vec![0xEE; size]);
            region.copy(offset, &mut from_region);
            bytes.as_slice().copy(offset, &mut from_slice);
            assert_eq!(from_region, from_slice, "{size} bytes at {offset}");
        }
    }
}

/// Wrappers of memory forward its methods.
#[cfg(feature = "alloc")]
#[test]
fn memory_wrappers_forward_every_method() {
    use std::{rc::Rc, sync::Arc};
    let memory = Box::leak(Box::new(StaticBytes::<{ 3 * SIZE }>::new())).into_memory();
    let knowing = Knowing(memory, Some(IMAGE.metadata()));
    let kept = Guarded::new(Rc::new(knowing), ());
    let said = [kept.metadata(), Arc::new(knowing).metadata(), Rc::new(knowing).metadata()];
    assert_eq!(said, [Some(IMAGE.metadata()); 3]);
    assert_eq!((kept.base(), kept.len(), kept.is_empty()), (knowing.base(), SIZE, false));
    let nothing = Box::leak(Box::new(StaticBytes::<0>::new())).into_memory();
    assert!(nothing.is_empty() && Rc::new(nothing).metadata().is_none());
}

/// Words of the metadata are not loaded from the image.
#[test]
fn metadata_word_is_not_loaded() {
    let mut words = IMAGE.metadata().to_vec();
    let count = usize::try_from(crate::layout::header::FIELD_COUNT / 4).unwrap();
    assert_eq!(words[count], 5);
    words[count] = 4;
    assert_eq!(publish(Some(words.leak())).1, 3, "the last field is not there");
}

/// An atom through the traits of the protocol.
#[test]
fn atom_store_load_through_all_traits() {
    let memory = Box::leak(Box::new(StaticBytes::<64>::new())).into_memory();
    let region = Region::new(memory).unwrap();
    let atom = Atom32::new(&region, 8).unwrap();
    let store = |value| WriteWord::store(&atom, value);
    store(0x0102_0304);
    assert_eq!((WriteWord::load(&atom), region.load32(8)), (0x0102_0304, 0x0102_0304));
    WriteWord::publish(&atom, 7, Site::WriterPresence);
    assert_eq!((atom.load(), region.load32(8)), (7, 7));
    WriteWord::store(&region.word(12), 9);
    assert_eq!((WriteWord::load(&region.word(12)), region.load32(12)), (9, 9));
}

/// An index past the end of a slot does not reach the next slot or the elements.
#[test]
fn slot_index_past_end_is_ignored() {
    let memory = Box::leak(Box::new(StaticBytes::<192>::new())).into_memory();
    let region = Region::new(memory).unwrap();
    (0..192).step_by(4).for_each(|at| region.store32(at, 0xEEEE_EEEE));
    let latch = Latch::new(&region, 64, 2, 24).unwrap();
    let words = latch.slot_words();
    assert!(latch.holds_units(3) && !latch.holds_units(4));
    for index in [words, words + 1, usize::MAX] {
        WriteCell::store(&latch, 2, index, 1);
        assert_eq!(WriteCell::load(&latch, 2, index), 0, "{index}");
    }
    let journal = Journal::new(&region, 64, 2, 16, 3).unwrap();
    assert!(journal.holds_units(2) && !journal.holds_units(3));
    for unit in [2, 3] {
        WriteJournal::store(&journal, 2, unit, 1);
        assert_eq!(WriteJournal::load(&journal, 2, unit), 0, "{unit}");
    }
    for index in [3, 4, u32::MAX] {
        journal.set_element(index, 1, Site::WriterElement);
        assert_eq!(journal.element(index), 0, "{index}");
    }
    assert!((0..192).step_by(4).all(|at| region.load32(at) == 0xEEEE_EEEE));
    // Units have 8 bytes on every machine.
    let value = 0x0102_0304_0506_0708;
    WriteJournal::store(&journal, 3, 1, value);
    assert_eq!(WriteJournal::load(&journal, 3, 1), value);
    assert_eq!([96, 100].map(|at| region.load32(at)), [0x0506_0708, 0x0102_0304]);
    journal.set_element(2, value, Site::WriterElement);
    assert_eq!(journal.element(2), value);
    assert_eq!([120, 124].map(|at| region.load32(at)), [0x0506_0708, 0x0102_0304]);
}
