//! Untrusted bytes, also while a writer changes them: the reader must not panic, must end, and must
//! return the same from every source.

mod read_support;

use std::cell::Cell;

use mmstats_core::protocol::{Site, publish};
use mmstats_core::read::{
    Cursor, Header, Image, Value, Verdict, check_attributes, decode, parse_attributes,
};
use mmstats_core::{Latch, Region, Source, Still, Storage};
use proptest::prelude::*;
use read_support::{
    ATOMIC, Builder, DESCRIPTORS, Desc, LATCHED, MEMBER, SIZE, at, sample, seal_field, seal_header,
    shared, store,
};

/// Walks every accessor and returns what it saw.
fn look<S: Source>(source: &S) -> String {
    let mut seen = String::new();
    let Ok(header) = Header::read(source) else {
        return format!("{:?}", Image::open(source).map(|_| ()));
    };
    seen += &format!("{header:?} {:?} {:?}", header.state(source), header.fields_refused(source));
    let image = match Image::open(source) {
        Ok(image) => image,
        Err(refusal) => return seen + &format!("{refusal} {}", refusal.offset()),
    };
    let mut out = [0; 4096];
    for field in image.fields() {
        let field = match field {
            Ok(field) => field,
            Err(error) => {
                seen += &format!("{error} {}", error.offset());
                continue;
            }
        };
        seen += &format!(
            "{field:?} {:?} {}",
            field.properties().level(),
            field.properties().aggregation()
        );
        for string in [field.label(), field.unit(), field.help()] {
            seen += string.read(source, &mut out);
        }
        let text = field.attributes().read(source, &mut out);
        parse_attributes(text).for_each(|(key, value)| seen.extend([key, value]));
        for lane in 0..3 {
            let reading = image.read(lane, &field, &mut out);
            seen += &format!("{reading:?}");
            if let Verdict::Consistent(Value::Array(array)) = reading {
                assert_eq!(array.iter().count(), array.len());
                seen += &format!("{:?}", array.get(array.len() - 1).unwrap());
            }
            let slot = image.read_slot(lane, &field, &mut out);
            seen += &format!("{:?}", slot.map(|slot| slot.value(&field)));
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        look(&bytes.as_slice());
    }

    /// A good header with arbitrary other bytes.
    #[test]
    fn arbitrary_bytes_after_the_header(seed in any::<[u8; 32]>(), words in any::<[u32; 4]>()) {
        let mut bytes = Builder::new().bytes;
        let mut state = u64::from_le_bytes(seed[..8].try_into().unwrap()) | 1;
        for byte in &mut bytes[192..] {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[0] & seed[usize::from(*byte) % 32];
        }
        for (at, word) in [132, 136, 140].into_iter().zip(words) {
            bytes[at..at + 4].copy_from_slice(&(word % 33).to_le_bytes());
        }
        look(&bytes.as_slice());
    }

    /// A sample with some bytes changed, with old or new checksums.
    #[test]
    fn changed_samples(
        changes in proptest::collection::vec((0..SIZE, any::<u8>()), 1..6),
        descriptor in proptest::collection::vec((0..at::COUNT, 0..64_usize, any::<u8>()), 0..6),
        header in proptest::option::of((0..192_usize, any::<u8>())),
        seal in any::<bool>(),
    ) {
        let mut bytes = sample().bytes;
        for (at, to) in changes {
            bytes[at] = to;
        }
        for (index, at, to) in &descriptor {
            bytes[DESCRIPTORS + index * 64 + at] = *to;
        }
        if let Some((at, to)) = header {
            bytes[at] = to;
        }
        if seal {
            seal_header(&mut bytes);
            for (index, ..) in descriptor {
                seal_field(&mut bytes, index);
            }
        }
        let seen = look(&bytes.as_slice());
        let mut moved = vec![0];
        moved.extend(&bytes);
        prop_assert_eq!(&look(&&moved[1..]), &seen);
        thread_local!(static REGION: Region<mmstats_core::StaticMemory> = shared(&sample().bytes));
        REGION.with(|region| {
            store(region, &bytes);
            // A 32-bit reader of 64 bits: contended in memory that can change, a value in memory
            // that cannot.
            prop_assert_eq!(&look(&Still::new(region, true)), &seen);
            if cfg!(target_pointer_width = "64") {
                prop_assert_eq!(&look(&region), &seen);
            }
            Ok(())
        })?;
    }

    /// A good header over fewer bytes, as in a truncated mapping.
    #[test]
    fn metadata_that_ends_early(len in 0..SIZE) {
        let bytes = sample().bytes;
        let header = Header::read(bytes.as_slice()).unwrap();
        let fields: Vec<_> = Image::open(bytes.as_slice()).unwrap().fields().flatten().collect();
        let short = &bytes[..len];
        let mut cursor = Cursor::new();
        let mut walked = 0;
        while cursor.next(short, &header).is_some() {
            walked += 1;
        }
        prop_assert!(walked <= at::COUNT);
        for field in fields {
            let _ = mmstats_core::read::read_value(short, &header, 0, &field, &mut [0; 64]);
            let _ = decode(&field, &short[..len.min(32)]);
            let _ = field.label().slice(short);
        }
    }

    #[test]
    fn attributes(text in "[a-c=\\PC\0]{0,40}") {
        let good = check_attributes(&text).is_ok();
        let pairs: Vec<_> = parse_attributes(&text).collect();
        if good {
            let joined: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            prop_assert_eq!(joined.join("\0"), text);
        }
    }
}

#[test]
fn metadata_flipped_bit_is_detected() {
    let bytes = sample();
    let (used, bytes) = (bytes.heap, bytes.bytes);
    let good: Vec<_> =
        Image::open(bytes.as_slice()).unwrap().fields().map(Result::unwrap).collect();
    let mut quiet = Vec::new();
    for at in
        (0..128).chain(DESCRIPTORS..DESCRIPTORS + at::COUNT * 64).chain(read_support::HEAP..used)
    {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            if let Ok(image) = Image::open(bad.as_slice())
                && image.fields().eq(good.iter().map(|field| Ok(*field)))
            {
                quiet.push(at);
            }
        }
    }
    quiet.dedup();
    // Checksums do not cover reserved bytes after the state of a descriptor, nor gaps in the heap.
    quiet
        .retain(|at| (*at >= read_support::HEAP) || !(52..56).contains(&((at - DESCRIPTORS) % 64)));
    let gaps: Vec<_> = quiet.iter().filter(|at| bytes[**at] != 0).collect();
    assert!(gaps.is_empty() && quiet.len() < 16, "{quiet:?}");
}

/// Each load of the first cell's seq returns another number: a writer without pauses.
struct Restless<'a> {
    bytes: &'a [u8],
    seq_at: u32,
    loads: Cell<u32>,
    step: u32,
}

impl Source for Restless<'_> {
    fn size(&self) -> u32 {
        self.bytes.size()
    }
    fn load32(&self, offset: u32) -> u32 {
        if offset != self.seq_at {
            return self.bytes.load32(offset);
        }
        self.loads.set(self.loads.get() + 1);
        self.loads.get() * self.step
    }
    // A target without loads of 8 bytes.
    fn load64(&self, _offset: u32) -> Option<u64> {
        None
    }
    fn fence(&self, _site: Site) {}
}

#[test]
fn read_writer_without_pause_is_contended() {
    let bytes = sample().bytes;
    let fields: Vec<_> = Image::open(bytes.as_slice()).unwrap().fields().flatten().collect();
    let mut out = [0; 256];
    for index in [at::TEXT, at::BYTES, at::GROUP_TEXT] {
        let field = &fields[index];
        // One publish more than a read may span, and exactly as many.
        for (step, contended) in [(field.slots() - 1, true), (field.slots() - 2, false)] {
            let lanes = u32::try_from(read_support::LANES).unwrap();
            let seq_at = lanes + field.place();
            let source = Restless { bytes: &bytes, seq_at, loads: Cell::new(0), step };
            let image = Image::open(&source).unwrap();
            assert_eq!(image.read(0, field, &mut out) == Verdict::Contended, contended);
            assert_eq!(source.loads.get(), if contended { 32 } else { 2 });
            let slot = image.read_slot(0, field, &mut out);
            assert_eq!(slot == Verdict::Contended, contended);
        }
    }
}

/// Regression found by fuzzing: the buffer for a slot had 4 GiB.
#[test]
fn buffer_size_unknown_storage_is_zero() {
    let mut b = Builder::new();
    let index = b.field("new", Desc { storage: 9, slot_size: u32::MAX - 7, slots: 16, ..ATOMIC });
    let image = Image::open(b.bytes.as_slice()).unwrap();
    let field = image.fields().nth(index).unwrap().unwrap();
    assert_eq!((field.storage(), field.raw().slot_size), (None, u32::MAX - 7));
    assert_eq!((field.buffer_size(), field.slot_size(), field.slots()), (0, 0, 0));
    assert_eq!(image.read(0, &field, &mut []), Verdict::Unknown);
    assert_eq!(image.read_slot(0, &field, &mut []), Verdict::Unknown);
}

#[test]
fn scalar_without_load64_is_contended() {
    let bytes = sample().bytes;
    let fields: Vec<_> = Image::open(bytes.as_slice()).unwrap().fields().flatten().collect();
    let source = Restless { bytes: &bytes, seq_at: 1, loads: Cell::new(0), step: 0 };
    let image = Image::open(&source).unwrap();
    assert_eq!(image.read(0, &fields[at::COUNTER], &mut []), Verdict::Contended);
    let five = Verdict::Consistent(Value::I64(-5));
    assert_eq!(image.read(0, &fields[at::SMALL], &mut []), five);
}

#[test]
fn group_live_writer_never_torn() {
    let mut b = Builder::new();
    let place = b.cell(2, 24, 0, &[0; 24]);
    let group = Desc { flags: MEMBER, slot_size: 24, place, ..LATCHED };
    b.field("a", group);
    b.field("b", Desc { member: 8, ..group });
    b.field("c", Desc { member: 16, ..group });
    b.atomic("alone", 0, ATOMIC);
    let region = shared(&b.bytes);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let cell = u32::try_from(read_support::LANES).unwrap() + place;
            let latch = Latch::new(&region, cell, 2, 24).unwrap();
            for n in 0..200_000 {
                publish(&latch, |slot| {
                    for word in 0..latch.slot_words() {
                        slot.set(word, n);
                    }
                });
            }
        });
        let image = Image::open(&region).unwrap();
        let fields: Vec<_> = image.fields().map(Result::unwrap).collect();
        assert_eq!(fields[0].storage(), Some(Storage::Latched));
        let (mut last, mut out, mut consistent) = (0, [0; 24], 0_u64);
        while !writer.is_finished() || consistent == 0 {
            let Verdict::Consistent(slot) = image.read_slot(0, &fields[0], &mut out) else {
                continue;
            };
            let values = [0, 1, 2].map(|i| match slot.value(&fields[i]) {
                Verdict::Consistent(Value::U64(n)) => n,
                other => panic!("{other:?}"),
            });
            assert!(values[0] == values[1] && values[1] == values[2], "{values:?}");
            assert!(values[0] >= last, "time runs backwards");
            (last, consistent) = (values[0], consistent + 1);
        }
    });
}
