//! What the only module that touches shared memory promises.

use super::*;
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

/// Bytes of an image, and as many before and after it that nobody may touch.
const SIZE: usize = 1024;

/// Memory that knows the metadata: the right one, some of it, or nonsense.
#[derive(Clone, Copy)]
struct Knowing(StaticMemory, Option<&'static [u32]>);

// SAFETY: the middle third of the inner value's memory, whose promises hold for it too; it starts
// at a multiple of 64. The words are no promise.
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
    fn words(&self, put: &mut impl FnMut(u64)) {
        put(self.0);
        put(self.1);
    }
}

/// A value in each field, by handles of this memory; the bytes of the image, and how many
/// handles there were.
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

/// The places that the compiler knows are those in the image.
#[test]
fn metadata_that_is_known_is_that_of_the_image() {
    let (looked, known) = (publish(None), publish(Some(IMAGE.metadata())));
    assert_eq!(looked.1, 4);
    assert_eq!(looked, known);
    // What is not known is looked up.
    assert_eq!(publish(Some(&IMAGE.metadata()[..40])), looked);
    assert_eq!(publish(Some(&[])), looked);
    let image = crate::read::Image::open(&looked.0[..]).unwrap();
    let lengths = image.fields().map(|field| field.unwrap().label().len());
    assert_eq!(lengths.sum::<usize>(), 4 + 5 + 1 + 1 + 3);
}

/// It is no promise: words of whatever kind lead to no place outside of the memory.
#[test]
fn metadata_of_another_image_harms_nobody() {
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
    // Some words do not matter, and some make every handle refuse.
    assert!(fit[0] > 0 && fit[3] > 0 && fit[4] > 0, "{fit:?}");
}

/// One code path for both kinds of source needs the same bytes from both.
#[test]
fn a_region_is_copied_as_a_slice_is() {
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
