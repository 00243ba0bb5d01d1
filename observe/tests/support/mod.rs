//! Files made by the writer of the core and the backend of the system.
#![allow(dead_code)] // Each test binary uses a part.
#![allow(missing_docs, unreachable_pub)]

// The backend of the system.
#[cfg(not(windows))]
use mmstats_unix as backend;
#[cfg(windows)]
use mmstats_windows as backend;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backend::directory::Directory;
use backend::{Access, Mapping, OwnedFile};
use mmstats_core::{FieldId, FieldSpec, Geometry, Lane, Writer};
use mmstats_observe::{File, Observer, OwnedValue, Reading, Sources};

#[allow(unused_imports)] // each test binary uses a part
pub use backend::ledger;

/// User id of the owner of a file; 0 on systems without user ids.
pub fn owner(path: &Path) -> u32 {
    backend::info(path).unwrap().owner.unwrap_or(0)
}

pub type Memory = Arc<Mapping>;

/// A file being published; dropping `file` kills its writer.
pub struct Published {
    pub writer: Writer<Memory>,
    pub file: OwnedFile,
    pub path: PathBuf,
}

/// Properties of a file, besides its fields.
#[derive(Clone, Copy)]
pub struct Setup {
    pub instance: u64,
    pub part: u32,
    pub lanes: u32,
    /// Room for fields to come.
    pub room: u32,
    pub live: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { instance: 1, part: 0, lanes: 4, room: 0, live: true }
    }
}

pub fn publish(
    directory: &Path,
    name: &str,
    setup: Setup,
    add: impl FnOnce(&mut Writer<Memory>),
    fields: &[FieldSpec<'_>],
) -> Published {
    let mut geometry = Geometry::new(setup.lanes);
    fields.iter().for_each(|field| geometry.add(field).unwrap());
    geometry.reserve(setup.room, setup.room * 200, setup.room * 64);
    let directory = Directory::open(directory).unwrap();
    let size = geometry.file_size().unwrap();
    let file = backend::create(&directory, name, size, Access::Owner).unwrap();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&setup.instance.to_be_bytes());
    let memory = Arc::clone(file.mapping());
    let mut writer = Writer::create_zeroed(memory, &geometry, id, setup.part).unwrap();
    for field in fields {
        writer.add(field).unwrap();
    }
    add(&mut writer);
    if setup.live {
        writer.go_live();
    }
    let file = file.publish().map_err(|unpublished| unpublished.error).unwrap();
    let path = file.path().to_owned();
    Published { writer, file, path }
}

/// As `publish`, with an instance of its own.
pub fn simple(directory: &Path, name: &str, fields: &[FieldSpec<'_>]) -> Published {
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    let instance = NEXT.fetch_add(1, Ordering::Relaxed);
    publish(directory, name, Setup { instance, ..Setup::default() }, |_| {}, fields)
}

impl Published {
    pub fn lane(&mut self) -> Lane<Memory> {
        self.writer.lane().unwrap()
    }

    pub fn poke(&self, offset: u64, bytes: &[u8]) {
        poke(&self.path, offset, bytes);
    }
}

pub fn id(index: u32) -> FieldId {
    FieldId::from_index(index)
}

pub fn poke(path: &Path, offset: u64, bytes: &[u8]) {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Sets the size of a file; false if that is refused, as Windows does for a mapped file.
pub fn truncate(path: &Path, size: u64) -> bool {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    match file.set_len(size) {
        Err(error) if cfg!(windows) && error.raw_os_error() == Some(1224) => false,
        result => result.map(|()| true).unwrap(),
    }
}

/// As `truncate`; under wine a Linux program does it where Windows refuses.
#[must_use]
pub fn cut(path: &Path, size: u64) -> bool {
    if truncate(path, size) {
        return true;
    }
    if std::env::var_os("WINEPREFIX").is_none() {
        return false;
    }
    on_linux("truncate", &["-s", &size.to_string()], path);
    let start = std::time::Instant::now();
    while std::fs::metadata(path).unwrap().len() > size {
        assert!(start.elapsed().as_secs() < 60, "{path:?} was not truncated");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    true
}

/// Runs a Linux program on a file, under wine, without waiting for its end.
fn on_linux(program: &str, arguments: &[&str], path: &Path) {
    use std::process::Command;
    let unix = Command::new("winepath").arg("-u").arg(path).output().unwrap().stdout;
    let unix = String::from_utf8(unix).unwrap();
    // wine starts it, without a process to wait for.
    let _ = Command::new(format!(r"Z:\usr\bin\{program}")).args(arguments).arg(unix.trim()).spawn();
}

/// Removes a file without a writer.
pub fn remove(path: &Path) {
    // Windows removes no mapped file.
    let removed = if cfg!(windows) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        std::fs::rename(path, path.with_extension(format!("removed-{number}")))
    } else {
        std::fs::remove_file(path)
    };
    removed.unwrap();
}

/// Renames a file without a writer over another one.
pub fn replace(new: &Path, old: &Path) {
    if cfg!(windows) {
        remove(old);
    }
    std::fs::rename(new, old).unwrap();
}

pub fn observe(path: &Path) -> Observer {
    let mut observer = Observer::new(Sources::new().path(path));
    observer.refresh();
    observer
}

pub fn only(observer: &Observer) -> &File {
    let [file] = observer.files() else {
        panic!("{} files, {:?}", observer.files().len(), observer.problems().collect::<Vec<_>>())
    };
    file
}

/// The value of the field with this label, combined over lanes.
pub fn value(file: &File, label: &str) -> Reading {
    file.value(file.find(label).unwrap().index())
}

pub fn unsigned(n: u128) -> Option<OwnedValue> {
    Some(OwnedValue::Unsigned(n))
}

pub fn text(text: &str) -> OwnedValue {
    OwnedValue::Text { text: text.to_owned(), cut: false }
}

/// Calls every method of the API on the observed files.
pub fn walk(observer: &Observer) {
    use mmstats_observe::{Fold, Scratch, Totals};
    let mut scratch = Scratch::new();
    let mut fold = Fold::new();
    let mut totals = Totals::new();
    for file in observer.files() {
        let _ = (file.path(), file.named(), file.format(), file.state(), file.problem());
        let _ = (file.instance(), file.part(), file.identity(), file.modified(), file.owner());
        let _ = (file.size(), file.id(), file.fields_refused());
        let lanes = file.lanes();
        assert!(lanes.owned <= lanes.used && lanes.used <= lanes.capacity);
        assert_eq!(file.fields().len(), file.field_count());
        for (index, field) in file.fields().enumerate() {
            assert_eq!(field.index(), index);
            let _ = (field.label(), field.unit(), field.help(), field.attributes().count());
            let _ = (field.shape().to_string(), field.kind_name(), field.storage());
            let (properties, _) = (field.properties(), field.is_retired());
            let _ = (properties.level(), properties.is_optional(), properties.count());
            assert_eq!(field.damage().is_some(), field.label().is_empty());
            let _ = file.value(index);
        }
        let values = file.values();
        assert!(file.state() != file.state() || values.len() == file.field_count());
        for lane in 0..lanes.used.min(3) {
            let _ = file.lane(lane);
            assert_eq!(file.lane_values(lane).len(), file.field_count());
            file.visit_lane(lane, &mut scratch, |field, _| {
                assert!(field.index() < file.field_count());
            });
            file.scan(lane, |index, _| assert!((index as usize) < file.field_count()));
        }
        fold.add(file);
    }
    for program in observer.programs() {
        let _ = (program.state(), program.instance(), program.identity(), program.totals());
    }
    totals.update(observer.files(), None);
    totals.update(observer.files(), None);
    totals.update(observer.files(), Some(&fold));
    for problem in observer.problems() {
        assert!(!problem.to_string().contains('\u{1b}'));
    }
}

/// The u32 at an offset of an image.
pub fn word(bytes: &[u8], at: u32) -> u32 {
    u32::from_le_bytes(bytes[at as usize..][..4].try_into().unwrap())
}

pub fn put_word(bytes: &mut [u8], at: u32, n: u32) {
    bytes[at as usize..][..4].copy_from_slice(&n.to_le_bytes());
}

/// Corrects the checksum of a header.
pub fn seal_header(bytes: &mut [u8]) {
    let mut sum = mmstats_core::checksum::Fletcher64::new();
    sum.range(&bytes[..120], 0, 120);
    let sum = sum.finish();
    bytes[120..128].copy_from_slice(&sum.to_le_bytes());
}

/// Corrects the checksum of field `index`, which is no constant: it is over the descriptor and
/// its strings.
pub fn reseal(bytes: &mut [u8], index: u32) {
    use mmstats_core::layout::{descriptor as d, header as h};
    let at = word(bytes, h::DESCRIPTOR_OFFSET) + index * d::SIZE;
    let mut sum = mmstats_core::checksum::Fletcher64::new();
    sum.range(&*bytes, at, d::COVERED);
    for string in [d::LABEL, d::UNIT, d::HELP, d::ATTRIBUTES, d::DETAIL] {
        let place = word(bytes, at + string);
        if place != 0 {
            let len = word(bytes, place) & 0xFFFF;
            sum.range(&*bytes, place, (2 + len).next_multiple_of(4));
        }
    }
    let sum = sum.finish();
    bytes[(at + d::CHECKSUM) as usize..][..8].copy_from_slice(&sum.to_le_bytes());
}
