//! Limits on metadata and fields, exact to the byte, with sparse files.
#![cfg(unix)]

mod support;

use std::path::{Path, PathBuf};

use mmstats_core::FieldSpec;
use mmstats_core::layout::{descriptor as d, header as h, presence_size};
use mmstats_observe::{Observer, Sources};
use support::{observe, only, put_word, seal_header, simple};

const MEGABYTE: u32 = 1 << 20;

/// A dead file of an instance of its own, with `fields` zero descriptors, `metadata` bytes and
/// an unclaimed lane.
fn sparse(directory: &Path, name: &str, fields: u32, metadata: u32) -> PathBuf {
    let published = simple(directory, "header.mmst", &[FieldSpec::counter("hits")]);
    let mut bytes = std::fs::read(&published.path).unwrap();
    published.file.remove().unwrap();
    bytes.truncate(h::SIZE as usize);
    let heap = h::SIZE + fields * d::SIZE;
    let lane = (64 + presence_size(fields)).next_multiple_of(64);
    let stride = lane + 64;
    for (at, n) in [
        (h::FILE_SIZE, metadata + stride),
        (h::DESCRIPTOR_OFFSET, h::SIZE),
        (h::DESCRIPTOR_CAPACITY, fields),
        (h::HEAP_OFFSET, heap),
        (h::HEAP_SIZE, metadata - heap),
        (h::LANES_OFFSET, metadata),
        (h::LANE_STRIDE, stride),
        (h::CELLS_OFFSET, lane),
        (h::LANE_CAPACITY, 1),
        (h::FIELD_COUNT, fields),
        (h::HEAP_USED, 0),
        (h::LANES_USED, 0),
    ] {
        put_word(&mut bytes, at, n);
    }
    seal_header(&mut bytes);
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    support::truncate(&path, (metadata + stride).into());
    path
}

/// The problem of the only file.
fn problem(path: &Path) -> Option<(&'static str, String)> {
    let observer = observe(path);
    observer.problems().next().map(|problem| (problem.code, problem.message.clone()))
}

#[test]
fn metadata_above_256_mebibytes_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 256 * MEGABYTE;
    assert_eq!(problem(&sparse(directory.path(), "most.mmst", 1, limit)), None);
    let message = "268435520 bytes of metadata, this reader takes 268435456".to_owned();
    let more = sparse(directory.path(), "more.mmst", 1, limit + 64);
    assert_eq!(problem(&more), Some(("too-large", message)));
}

#[test]
fn fields_above_two_million_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 2 << 20;
    // All of them are damaged, which is refused too, after they were checked.
    let most = sparse(directory.path(), "most.mmst", limit, 200 * MEGABYTE);
    assert_eq!(problem(&most), Some(("too-large", "2097152 fields are damaged".to_owned())));
    let more = sparse(directory.path(), "more.mmst", limit + 1, 200 * MEGABYTE);
    let message = "2097153 fields, this reader takes 2097152".to_owned();
    assert_eq!(problem(&more), Some(("too-large", message)));
}

#[test]
fn damaged_fields_above_65536_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let most = sparse(directory.path(), "most.mmst", 1 << 16, 8 * MEGABYTE);
    let observer = observe(&most);
    assert_eq!(observer.problems().count(), 0);
    let file = only(&observer);
    assert_eq!(file.field_count(), 1 << 16);
    assert!(file.fields().all(|field| field.damage().is_some()));
    let more = sparse(directory.path(), "more.mmst", (1 << 16) + 1, 8 * MEGABYTE);
    assert_eq!(problem(&more), Some(("too-large", "65537 fields are damaged".to_owned())));
}

/// As `sparse`, with as many bytes of strings as fit, all of them in the hole.
fn hoard(directory: &Path, name: &str) -> PathBuf {
    let (fields, metadata) = (1, 256 * MEGABYTE);
    let path = sparse(directory, name, fields, metadata);
    let strings = metadata - h::SIZE - fields * d::SIZE;
    support::poke(&path, h::HEAP_USED.into(), &strings.to_le_bytes());
    path
}

/// Files with large metadata come last, whatever their names, and what has no room is counted.
#[test]
fn metadata_above_own_share_is_left_out_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.mmst", "b.mmst", "c.mmst", "d.mmst"] {
        hoard(directory.path(), name);
    }
    let small = simple(directory.path(), "small.mmst", &[FieldSpec::counter("hits")]);
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    for _ in 0..2 {
        observer.refresh();
        assert_eq!(observer.left_out(), 3);
        let problem = observer.problems().next().unwrap();
        assert_eq!((problem.code, observer.problems().count()), ("too-large", 1));
        assert!(problem.message.starts_with("3 files"), "{problem}");
        let paths: Vec<_> = observer.files().iter().map(mmstats_observe::File::path).collect();
        assert_eq!(paths, [&directory.path().join("a.mmst"), &small.path]);
    }
    std::fs::remove_file(directory.path().join("a.mmst")).unwrap();
    let changes = observer.refresh();
    assert_eq!((changes.vanished.len(), changes.added), (1, 1), "now there is room for another");
    assert_eq!(observer.left_out(), 2);
}

/// A named file that has no room is shown as what it is.
#[test]
fn metadata_above_own_share_in_named_file_is_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = ["a.mmst", "b.mmst"].map(|name| hoard(directory.path(), name));
    let mut observer = Observer::new(Sources::new().path(a).path(&b));
    observer.refresh();
    let found: Vec<_> = observer.problems().map(|p| (p.path.clone(), p.code, p.named)).collect();
    assert_eq!(found, [(b, "too-large", true)]);
}
