//! Rules of FORMAT.md section 10 about the whole image: each case breaks one rule, and pairs of
//! cases show the order.

mod read_support;

use mmstats_core::read::{Header, Image, ImageState, Refusal, Section};
use read_support::{
    CELLS, DESCRIPTORS, HEAP, HEAP_SIZE, LANES, SIZE, STRIDE, documented_codes, put16, put32,
    put64, sample, seal_header, shared,
};

fn n(n: usize) -> u32 {
    u32::try_from(n).unwrap()
}

/// The refusal of the sample after `change`, from a slice and from shared memory.
fn refusal(change: impl FnOnce(&mut Vec<u8>)) -> Refusal {
    let mut bytes = sample().bytes;
    change(&mut bytes);
    let refusal = Image::open(bytes.as_slice()).unwrap_err();
    if bytes.len() == SIZE {
        assert_eq!(Image::open(&shared(&bytes)).unwrap_err(), refusal);
    }
    assert!(refusal.to_string().len() > 10, "{refusal}");
    refusal
}

/// The refusal after a change of the fixed part, with a good checksum.
fn sealed(change: impl FnOnce(&mut Vec<u8>)) -> Refusal {
    refusal(|bytes| {
        change(bytes);
        seal_header(bytes);
    })
}

fn set32(at: usize, to: usize) -> Refusal {
    sealed(|bytes| put32(bytes, at, n(to)))
}

/// Changes of the sample, each with the code and offset of the rule that it breaks.
fn cases() -> Vec<(Refusal, &'static str, u32)> {
    let past = |at| {
        let limit = n(SIZE);
        Refusal::SectionBounds { found: at, limit }
    };
    assert_eq!(set32(84, 5), past((LANES + 5 * STRIDE) as u64));
    assert_eq!(set32(80, usize::MAX & 0xFFFF_FFC0), past(LANES as u64 + 4 * 0xFFFF_FFC0));
    assert_eq!(sealed(|b| put16(b, 14, 128)), Refusal::HeaderSize { found: 128, limit: n(SIZE) });
    assert_eq!(
        set32(68, HEAP - 8),
        Refusal::SectionOrder { section: Section::Heap, found: n(HEAP - 8), limit: HEAP as u64 }
    );
    assert_eq!(
        set32(88, CELLS - 8),
        Refusal::LaneLayout { found: 64, least: 72, limit: n(STRIDE) }
    );
    vec![
        (refusal(|b| b[0] = 1), "bad-magic", 0),
        (refusal(|b| b[7] = 0x0D), "bad-magic", 0),
        // The bytes that exist.
        (refusal(|b| *b = b"hello".to_vec()), "bad-magic", 0),
        (refusal(|b| b.truncate(191)), "too-short", 191),
        (refusal(|b| b.truncate(5)), "too-short", 5),
        (refusal(Vec::clear), "too-short", 0),
        (refusal(|b| b[8] = 2), "unsupported-major", 8),
        (refusal(|b| b[9] = 1), "unsupported-major", 8),
        (refusal(|b| b[40] ^= 1), "header-checksum", 120),
        (refusal(|b| b[119] ^= 1), "header-checksum", 120),
        (refusal(|b| b[127] ^= 1), "header-checksum", 120),
        (sealed(|b| b[12] = 1), "unsupported-minor", 12),
        (sealed(|b| put64(b, 16, 1 << 63)), "required-features", 16),
        (sealed(|b| put16(b, 14, 128)), "header-size", 14),
        (sealed(|b| put16(b, 14, 193)), "header-size", 14),
        (sealed(|b| put16(b, 14, 0xFFC0)), "header-size", 14),
        (set32(52, SIZE + 1), "file-size", 52),
        (refusal(|b| b.truncate(SIZE - 1)), "file-size", 52),
        (sealed(|b| put16(b, 64, 56)), "descriptor-size", 64),
        (sealed(|b| put16(b, 64, 68)), "descriptor-size", 64),
        (set32(60, 16_777_217), "limit", 60),
        (set32(84, 65_537), "limit", 84),
        (set32(84, 0), "limit", 84),
        (set32(56, DESCRIPTORS + 4), "alignment", 56),
        (set32(68, HEAP + 4), "alignment", 68),
        (set32(72, HEAP_SIZE - 4), "alignment", 72),
        (set32(76, LANES + 32), "alignment", 76),
        (set32(80, STRIDE - 32), "alignment", 80),
        (set32(88, CELLS + 4), "alignment", 88),
        (set32(56, 184), "section-order", 56),
        (set32(60, 33), "section-order", 68),
        (set32(60, 16_777_216), "section-order", 68),
        (set32(72, HEAP_SIZE + 8), "section-order", 76),
        (set32(72, 0xFFFF_FFF8), "section-order", 76),
        (set32(84, 5), "section-bounds", 76),
        (set32(52, SIZE - 1), "section-bounds", 76),
        (set32(88, CELLS - 8), "lane-layout", 88),
        (set32(88, STRIDE + 8), "lane-layout", 88),
        (set32(80, 0), "lane-layout", 88),
        (refusal(|b| put32(b, 128, 1)), "building", 128),
        (refusal(|b| put32(b, 128, 0)), "bad-state", 128),
        (refusal(|b| put32(b, 128, 4)), "bad-state", 128),
        (refusal(|b| put32(b, 132, 33)), "field-count", 132),
        (refusal(|b| put32(b, 136, n(HEAP_SIZE + 1))), "heap-used", 136),
        (refusal(|b| put32(b, 140, 5)), "lanes-used", 140),
    ]
}

#[test]
fn image_broken_rule_has_code_and_offset() {
    for (refusal, code, offset) in cases() {
        assert_eq!((refusal.code(), refusal.offset()), (code, offset), "{refusal}");
    }
}

#[test]
fn image_codes_of_document_have_cases_in_order() {
    let mut codes: Vec<_> = cases().iter().map(|(refusal, ..)| refusal.code()).collect();
    codes.dedup();
    assert_eq!(codes, documented_codes(0));
}

/// Each change with all later ones: the first rule in the order of the document is reported.
#[test]
fn image_first_broken_rule_is_reported() {
    type Change = fn(&mut Vec<u8>);
    let fixed: [(Change, &str); 13] = [
        (|b| b[0] = 0, "bad-magic"),
        (|b| b[8] = 4, "unsupported-major"),
        (|b| b[12] = 1, "unsupported-minor"),
        (|b| put64(b, 16, 1), "required-features"),
        (|b| put16(b, 14, 64), "header-size"),
        (|b| put32(b, 52, n(SIZE + 64)), "file-size"),
        (|b| put16(b, 64, 60), "descriptor-size"),
        (|b| put32(b, 84, 0), "limit"),
        (|b| put32(b, 76, n(LANES + 1)), "alignment"),
        (|b| put32(b, 68, n(HEAP - 8)), "section-order"),
        (|b| put32(b, 84, 40_000), "section-bounds"),
        (|b| put32(b, 88, 8), "lane-layout"),
        (|b| put32(b, 128, 1), "building"),
    ];
    for (i, (_, code)) in fixed.iter().enumerate() {
        let mut bytes = sample().bytes;
        // Backwards, so that an earlier change of the same bytes wins.
        fixed[i..].iter().rev().for_each(|(change, _)| change(&mut bytes));
        seal_header(&mut bytes);
        assert_eq!(Image::open(bytes.as_slice()).unwrap_err().code(), *code);
    }
}

#[test]
fn image_at_limit_is_good() {
    for (at, to) in [(140, 4), (136, HEAP_SIZE), (128, 3)] {
        let mut bytes = sample().bytes;
        put32(&mut bytes, at, n(to));
        assert_eq!(Image::open(bytes.as_slice()).err(), None, "{at} {to}");
    }
    // A longer header and more optional features of a later minor version.
    let mut bytes = sample().bytes;
    put16(&mut bytes, 10, 9);
    put64(&mut bytes, 24, u64::MAX);
    bytes[92..120].fill(0xFF);
    bytes[148..192].fill(0xFF);
    seal_header(&mut bytes);
    let image = Image::open(bytes.as_slice()).unwrap();
    assert!(image.fields().all(|field| field.is_ok()));
    assert_eq!(image.header().minor(), 9);
}

#[test]
fn image_building_header_is_readable() {
    let mut bytes = sample().bytes;
    put32(&mut bytes, 128, 1);
    let header = Header::read(bytes.as_slice()).unwrap();
    assert_eq!(header.state(bytes.as_slice()), Ok(ImageState::Building));
    assert_eq!(Image::open(bytes.as_slice()).unwrap_err(), Refusal::Building);
}

#[test]
fn image_truncated_is_refused() {
    let bytes = sample().bytes;
    for len in 0..SIZE {
        let refusal = Image::open(&bytes[..len]).unwrap_err();
        assert_eq!(refusal.code(), if len < 192 { "too-short" } else { "file-size" });
        // Also with a larger file_size than the bytes, which cuts lanes, heap and descriptors.
        let mut short = bytes[..len].to_vec();
        if len >= 192 {
            put32(&mut short, 52, n(len));
            seal_header(&mut short);
            assert_eq!(Image::open(short.as_slice()).unwrap_err().code(), "section-bounds");
        }
    }
}
