//! Arbitrary bytes through the whole API.

mod support;

use std::path::Path;

use mmstats_core::layout::{descriptor as d, header as h};
use mmstats_core::{Constant, Counter, DataType, FieldSpec, Text, Timer};
use mmstats_observe::{Observer, OwnedValue};
use proptest::prelude::*;
use support::{Setup, id, observe, publish, walk};

/// A valid image with fields of several kinds.
fn good(directory: &Path) -> Vec<u8> {
    let fields = [
        FieldSpec::counter("hits").unit("requests").help("Requests served."),
        FieldSpec::gauge("load", DataType::F64).attributes(&[("core", "0"), ("b", "")]),
        FieldSpec::text("text", 24),
        FieldSpec::array("array", DataType::U16, 5),
        FieldSpec::timer("latency"),
        FieldSpec::info("sys.pid", Constant::U32(1)),
        FieldSpec::info("sys.command", Constant::Text("web")),
    ];
    let members = [FieldSpec::gauge("left", DataType::I64), FieldSpec::gauge("on", DataType::Bool)];
    let add = |writer: &mut mmstats_core::Writer<_>| {
        writer.add_group(&members).unwrap();
    };
    let setup = Setup { room: 3, ..Setup::default() };
    let mut published = publish(directory, "good.mmst", setup, add, &fields);
    for _ in 0..2 {
        let lane = published.lane();
        Counter::attach(&lane, id(0)).unwrap().add(3);
        Text::<24, _>::attach(&lane, id(2)).unwrap().set("some text");
        Timer::attach(&lane, id(4)).unwrap().record_nanos(17);
    }
    let bytes = std::fs::read(&published.path).unwrap();
    published.file.remove().unwrap();
    bytes
}

fn seal(bytes: &mut [u8]) {
    let mut sum = mmstats_core::checksum::Fletcher64::new();
    sum.range(&bytes[..120], 0, 120);
    let sum = sum.finish();
    bytes[120..128].copy_from_slice(&sum.to_le_bytes());
}

fn show(directory: &Path, name: &str, bytes: &[u8]) {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    walk(&observe(&path));
    // Again, over the existing file.
    let mut observer = observe(&path);
    observer.refresh();
    walk(&observer);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_not_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), first in 0..3) {
        let directory = tempfile::tempdir().unwrap();
        let magic: &[u8] = match first {
            0 => &[],
            1 => &[1],
            _ => &mmstats_core::layout::MAGIC,
        };
        bytes.splice(..0, magic.iter().copied());
        show(directory.path(), "x.mmst", &bytes);
    }

    /// Words replaced, mostly by boundary values.
    #[test]
    fn valid_image_with_changed_words_does_not_panic(
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![
                any::<u32>(), 0..300_u32, Just(u32::MAX), Just(u32::MAX - 7), Just(64), Just(1 << 31),
            ]),
            1..12,
        ),
        part in 0..4,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = good(directory.path());
        let lanes = {
            let at = h::LANES_OFFSET as usize;
            u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
        };
        let range = match part {
            0 => 8..h::SIZE as usize,
            1 => 192..192 + 12 * d::SIZE as usize,
            2 => lanes..bytes.len(),
            _ => 0..bytes.len(),
        };
        for (place, word) in changes {
            let at = range.start + place.index(range.len() / 4) * 4;
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        seal(&mut bytes);
        show(directory.path(), "x.mmst", &bytes);
    }

    /// Changed after the observer opened the file.
    #[test]
    fn valid_image_changed_while_observed_does_not_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        size in proptest::option::of(0..9000_u64),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let bytes = good(directory.path());
        let path = directory.path().join("x.mmst");
        std::fs::write(&path, &bytes).unwrap();
        let mut observer: Observer = observe(&path);
        for (place, byte) in changes {
            support::poke(&path, place.index(bytes.len()) as u64, &[byte]);
            walk(&observer);
        }
        if let Some(size) = size {
            support::truncate(&path, size);
            walk(&observer);
        }
        observer.refresh();
        walk(&observer);
    }
}

#[test]
fn valid_image_is_readable() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = good(directory.path());
    let path = directory.path().join("x.mmst");
    std::fs::write(&path, &bytes).unwrap();
    let observer = observe(&path);
    assert_eq!(observer.problems().count(), 0);
    assert!(observer.files()[0].fields().all(|field| field.damage().is_none()));
    assert_eq!(observer.files()[0].field_count(), 9);
    walk(&observer);
}

/// All fixtures of all classes, with the quantiles of histograms.
#[test]
fn every_fixture_does_not_panic() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures");
    let (mut found, mut histograms) = (0, 0);
    let mut folders = vec![fixtures];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "mmst" || end == "mmstats") {
                found += 1;
                let observer = observe(&path);
                walk(&observer);
                for reading in observer.files().iter().flat_map(mmstats_observe::File::values) {
                    if let Some(OwnedValue::Histogram(histogram)) = reading.value {
                        histograms += 1;
                        let quantiles = [0.0, 0.25, 0.5, 0.75, 0.99, 1.0];
                        let _ = quantiles.map(|q| histogram.quantile(q));
                    }
                }
            }
        }
    }
    assert!(found > 500 && histograms > 5, "{found} fixtures, {histograms} histograms");
}

/// The largest counts that the format allows.
#[test]
fn sparse_gigabyte_is_refused_or_read_quickly() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = good(directory.path());
    let size = 1_u32 << 30;
    let put = |bytes: &mut [u8], at: u32, n: u32| {
        bytes[at as usize..at as usize + 4].copy_from_slice(&n.to_le_bytes());
    };
    // Metadata only: 512 MiB of descriptors, then heap.
    put(&mut bytes, h::FILE_SIZE, size);
    put(&mut bytes, h::DESCRIPTOR_CAPACITY, 1 << 23);
    put(&mut bytes, h::HEAP_OFFSET, 192 + (1 << 29));
    put(&mut bytes, h::LANES_OFFSET, size - (1 << 22));
    put(&mut bytes, h::LANE_STRIDE, 1 << 21);
    put(&mut bytes, h::CELLS_OFFSET, 1 << 21);
    put(&mut bytes, h::LANE_CAPACITY, 1);
    put(&mut bytes, h::FIELD_COUNT, 1 << 23);
    put(&mut bytes, h::LANES_USED, 1);
    seal(&mut bytes);
    let path = directory.path().join("x.mmst");
    std::fs::write(&path, &bytes[..192]).unwrap();
    support::truncate(&path, size.into());
    let start = std::time::Instant::now();
    let observer = observe(&path);
    assert_eq!(observer.problems().map(|p| p.code).collect::<Vec<_>>(), ["too-large"]);
    assert!(start.elapsed().as_secs() < 5);
}
