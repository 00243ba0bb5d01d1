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

/// The limit holds over all files and refreshes.
#[test]
fn metadata_of_all_files_above_gibibyte_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let large: Vec<_> = ["a.mmst", "b.mmst", "c.mmst", "d.mmst"]
        .map(|name| sparse(directory.path(), name, 1, 256 * MEGABYTE))
        .into();
    let small = simple(directory.path(), "small.mmst", &[FieldSpec::counter("hits")]);
    let mut observer = Observer::new(Sources::new().path(directory.path()));
    for _ in 0..3 {
        observer.refresh();
        let found: Vec<_> = observer.problems().map(|p| (p.path.clone(), p.code)).collect();
        assert_eq!(found, [(small.path.clone(), "too-large")]);
        let problem = observer.problems().next().unwrap();
        assert!(problem.message.ends_with("and other files have too many"), "{problem}");
    }
    std::fs::remove_file(&large[1]).unwrap();
    assert_eq!(observer.refresh().vanished.len(), 1);
    assert_eq!(observer.refresh().changed, 1, "now there is room for it");
    assert_eq!(observer.problems().count(), 0);
    assert_eq!(observer.files()[3].field_count(), 1);
}
