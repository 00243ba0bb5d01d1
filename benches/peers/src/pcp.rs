//! PCP's C library: metrics in a mapped file (mmv).

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::sync::OnceLock;

use memmap2::Mmap;
use mmstats_benches::Subject;
use mmstats_benches::work::programs::directory;
use tempfile::TempDir;

/// `mmv_metric2_t`.
#[repr(C)]
struct Metric {
    name: *const c_char,
    item: u32,
    ty: c_int,
    semantics: c_int,
    dimension: u32,
    indom: u32,
    short: *const c_char,
    long: *const c_char,
}

const U64: c_int = 3;
const COUNTER: c_int = 1;
const NO_INSTANCES: u32 = u32::MAX;
/// `MMV_FLAG_PROCESS`.
const PROCESS: c_int = 2;

unsafe extern "C" {
    fn mmv_stats2_init(
        file: *const c_char,
        cluster: c_int,
        flags: c_int,
        metrics: *const Metric,
        count: c_int,
        indoms: *const c_void,
        indom_count: c_int,
    ) -> *mut c_void;
    fn mmv_stats_stop(file: *const c_char, map: *mut c_void);
    fn mmv_lookup_value_desc(
        map: *mut c_void,
        metric: *const c_char,
        instance: *const c_char,
    ) -> *mut c_void;
    fn mmv_inc(map: *mut c_void, value: *mut c_void);
}

static TEMPORARY: OnceLock<PathBuf> = OnceLock::new();

/// Removes the directory of all files.
pub(crate) fn clean() {
    if let Some(directory) = TEMPORARY.get() {
        let _ = std::fs::remove_dir_all(directory);
    }
}

/// The directory of all files; the library reads it from the environment once.
fn temporary() -> &'static Path {
    TEMPORARY.get_or_init(|| {
        let directory: TempDir = directory();
        std::fs::create_dir(directory.path().join("mmv")).expect("a directory");
        // SAFETY: rows are made on the main thread, before any other is started.
        unsafe { std::env::set_var("PCP_TMP_DIR", directory.path()) };
        directory.keep()
    })
}

/// Metrics in a file.
struct Mapped {
    map: *mut c_void,
    file: CString,
    names: Vec<CString>,
}

impl Mapped {
    fn new(file: &str, fields: u32) -> Self {
        temporary();
        let names: Vec<CString> =
            (0..fields).map(|i| CString::new(format!("worker.{i:06}")).expect("a name")).collect();
        let file = CString::new(file).expect("a name");
        let metrics: Vec<Metric> = (1..)
            .zip(&names)
            .map(|(item, name)| Metric {
                name: name.as_ptr(),
                // Items have 10 bits; the library does not compare them.
                item: item & 1023,
                ty: U64,
                semantics: COUNTER,
                dimension: 0,
                indom: NO_INSTANCES,
                short: null(),
                long: null(),
            })
            .collect();
        // SAFETY: the metrics and their names are valid for the call, which copies them.
        let map = unsafe {
            mmv_stats2_init(
                file.as_ptr(),
                7,
                PROCESS,
                metrics.as_ptr(),
                c_int::try_from(fields).expect("a count"),
                null(),
                0,
            )
        };
        assert!(!map.is_null(), "no file in {}", temporary().display());
        Self { map, file, names }
    }

    fn path(&self) -> PathBuf {
        temporary().join("mmv").join(self.file.to_str().expect("a name"))
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: `map` is of `mmv_stats2_init` and not used again.
        unsafe { mmv_stats_stop(self.file.as_ptr(), self.map) };
        let _ = std::fs::remove_file(self.path());
    }
}

/// Increments of one counter.
pub(crate) fn counter() -> Subject {
    let mapped = Mapped::new("counter", 1);
    // SAFETY: the map and the name are valid; no instance is named.
    let value =
        unsafe { mmv_lookup_value_desc(mapped.map, mapped.names[0].as_ptr(), c"".as_ptr()) };
    assert!(!value.is_null(), "no value");
    Subject::peer("PCP, mmv_inc", (mapped, value), |(mapped, value), n| {
        for _ in 0..n {
            // SAFETY: `value` is of this map.
            unsafe { mmv_inc(mapped.map, *value) };
        }
    })
}

/// Creation of a file of 50 metrics.
pub(crate) fn start() -> Subject {
    Subject::peer_cleared(
        "PCP, mmv_stats2_init",
        Vec::<Mapped>::new(),
        |made, n| {
            for _ in 0..n {
                made.push(Mapped::new(&format!("fifty{}", made.len()), 50));
            }
        },
        Vec::clear,
    )
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// Opens a file and reads every metric's name and value, by the tables of the file; no check.
fn read(path: &Path) -> (u64, usize) {
    let file = File::open(path).expect("a file");
    // SAFETY: the file is not truncated while it is mapped; a changing value is tolerated here.
    let map = unsafe { Mmap::map(&file) }.expect("a mapping");
    let (mut sum, mut names) = (0_u64, 0);
    // Entries of the contents: u32 type, u32 count, u64 offset.
    for entry in 0..word(&map, 24) as u32 as usize {
        let at = 40 + entry * 16;
        let (kind, offset) = (word(&map, at), word(&map, at + 8) as usize);
        // Values: the value, extra, offsets of metric and instance. A metric begins with its name, from
        // version 2 on with the name's offset.
        if kind as u32 == 4 {
            for value in 0..(kind >> 32) as usize {
                let at = offset + value * 32;
                let metric = word(&map, at + 16) as usize;
                let name =
                    if word(&map, 0) >> 32 == 1 { metric } else { word(&map, metric) as usize };
                names += usize::from(map.get(name).is_some_and(|byte| *byte != 0));
                sum = sum.wrapping_add(word(&map, at));
            }
        }
    }
    (sum, names)
}

/// Opens a file and reads every value.
pub(crate) fn open(fields: u32) -> Subject {
    let mapped = Mapped::new(&format!("read{fields}"), fields);
    assert_eq!(read(&mapped.path()).1, fields as usize);
    let subject = Subject::peer("PCP's file by hand, no check", mapped, |mapped, n| {
        let path = mapped.path();
        for _ in 0..n {
            std::hint::black_box(read(&path));
        }
    });
    subject.per(fields)
}
