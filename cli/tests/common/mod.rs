//! Runs the binary and publishers, and writes images.
#![allow(dead_code)] // Each test uses a part.

pub(crate) mod http;
pub(crate) mod own;
#[path = "../../../tests/shared/phase.rs"]
pub(crate) mod phase;
#[cfg(unix)] // has pseudo-terminals
pub(crate) mod pty;
pub(crate) mod schema;
#[cfg(unix)] // has pseudo-terminals
pub(crate) mod terminal;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mmstats_core::{
    Average, Buckets, Constant, Counter, DataType, Events, FieldSpec, Gauge, Histogram, Rate,
    Schema, Source, State, StateSet, StaticBytes, StaticMemory, Timer, Window, Writer,
};
use serde_json::Value;

use phase::Phase;

/// Maximum time of any step, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The binary, with `directory` as the only place of files.
pub(crate) fn mmstats(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mmstats"));
    command.env("MMSTATS_PATH", directory).env_remove("MMSTATS_FILES").env_remove("NO_COLOR");
    command.stdin(Stdio::null());
    command
}

/// Output and exit code of a command.
pub(crate) struct Printed {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Printed {
    printed(mmstats(directory).args(arguments).output().unwrap())
}

pub(crate) fn printed(output: Output) -> Printed {
    // All output is UTF-8.
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Printed { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
}

/// The JSON document of a command that prints one.
pub(crate) fn json(directory: &Path, arguments: &[&str]) -> Value {
    let printed = run(directory, arguments);
    serde_json::from_str(&printed.out)
        .unwrap_or_else(|error| panic!("{error}\nstdout: {}\nstderr: {}", printed.out, printed.err))
}

/// The value of a field in the first file of a `show --json` document.
pub(crate) fn field<'a>(document: &'a Value, label: &str) -> &'a Value {
    let fields = document["files"][0]["fields"].as_array().unwrap();
    let found = fields.iter().find(|field| field["label"] == label);
    found.unwrap_or_else(|| panic!("no {label} in {document}"))
}

/// The publishing program of the demo.
pub(crate) struct Publisher {
    pub(crate) child: Child,
    pub(crate) path: PathBuf,
}

impl Publisher {
    pub(crate) fn start(directory: &Path) -> Self {
        let before = files(directory);
        let child = mmstats(directory)
            .args(["demo-publisher", "--threads", "2"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let path = wait_for(|| files(directory).into_iter().find(|path| !before.contains(path)));
        Self { child, path }
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    #[cfg(unix)] // Windows has no signals
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)] // Windows has no signals
pub(crate) fn signal(pid: u32, name: &str) {
    let script = format!("kill -{name} {pid}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

/// The published files of a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap().as_encoded_bytes();
        name.ends_with(b".mmst") && name[0] != b'.'
    });
    paths.sort();
    paths
}

/// Calls `question` until it has an answer.
pub(crate) fn wait_for<T>(mut question: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "no answer in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs; a zombie does not.
#[cfg(unix)] // asked for after signals
pub(crate) fn exists(pid: u32) -> bool {
    let script = format!("ps -o stat= -p {pid} 2>/dev/null | grep -qv '^Z'");
    Command::new("sh").args(["-c", &script]).status().unwrap().success()
}

/// Ends a test that cannot be run here; a failure where every test must run.
pub(crate) fn cannot_be_run(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be run here: {why}");
    eprintln!("skipped: {why}");
}

/// Writer of an image in memory.
pub(crate) type ImageWriter = Writer<mmstats_core::StaticMemory>;

/// Writes an image with one lane to `path`.
pub(crate) fn image(path: &Path, schema: &Schema<'_, 16>, fill: impl FnOnce(&mut ImageWriter)) {
    image_of_lanes(path, schema, 1, fill);
}

/// Writes an image with so many lanes to `path`.
pub(crate) fn image_of_lanes(
    path: &Path,
    schema: &Schema<'_, 16>,
    lanes: u32,
    fill: impl FnOnce(&mut ImageWriter),
) {
    let memory = Box::leak(Box::new(StaticBytes::<65536>::new())).into_memory();
    let mut writer = schema.create(memory, lanes, *b"made for a test.").unwrap();
    fill(&mut writer);
    let header = mmstats_core::read::Image::open(writer.region()).unwrap();
    let mut bytes = vec![0; header.header().file_size() as usize];
    writer.region().copy(0, &mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Gives an image an instance of its own.
pub(crate) fn set_instance(path: &Path, instance: u32) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[mmstats_core::layout::header::INSTANCE as usize..][..4]
        .copy_from_slice(&instance.to_le_bytes());
    sum_header(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Sets the checksum of a changed header.
pub(crate) fn sum_header(bytes: &mut [u8]) {
    let mut sum = mmstats_core::checksum::Fletcher64::new();
    sum.range(&bytes[..120], 0, 120);
    bytes[120..128].copy_from_slice(&sum.finish().to_le_bytes());
}

/// The fixtures of the original format.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/fixtures/format-1")
}

/// Writes an image with a field of every kind to `path`.
pub(crate) fn all_kinds(path: &Path) {
    let attributes = [("code", "200")];
    let hits = [FieldSpec::counter("hits"), FieldSpec::rate("hits.rate", 1_000, &["60", "300"])];
    let mut schema = Schema::<16>::new();
    let mut add = |spec| schema.add(spec).unwrap();
    add(FieldSpec::info("sys.pid", Constant::U64(1234)));
    add(FieldSpec::info("sys.command", Constant::Text("web")));
    let requests = FieldSpec::counter("requests").unit("requests").help("Served.");
    let requests = add(requests.attributes(&attributes));
    let hits = schema.add_all(&hits).unwrap();
    let mut add = |spec| schema.add(spec).unwrap();
    let load = add(FieldSpec::gauge("load", DataType::F64));
    add(FieldSpec::array("cores", DataType::U32, 2));
    let phase = add(FieldSpec::state("phase", Phase::NAMES));
    let sizes = add(FieldSpec::histogram("sizes", Buckets::integers(0.01, 1, 1_000_000)));
    let mean = add(FieldSpec::average("mean"));
    let timer = add(FieldSpec::timer("latency"));
    let log = add(FieldSpec::events("log", 3, 32));
    let recent = add(FieldSpec::window("recent", DataType::F64, 2));
    add(FieldSpec::timestamp("reloaded"));
    image(path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        Counter::attach(&lane, requests).unwrap().add(7);
        let hits = Rate::attach(&lane, hits).unwrap();
        (0..=120).for_each(|second| hits.add(10, (1_800 + second) * 1_000_000_000));
        Gauge::<f64, _>::attach(&lane, load).unwrap().set(f64::NAN);
        StateSet::<Phase, _>::attach(&lane, phase).unwrap().set(Phase::Busy);
        Histogram::<u64, StaticMemory>::attach(&lane, sizes).unwrap().record(42);
        Average::attach(&lane, mean).unwrap().record(1.5);
        Timer::attach(&lane, timer).unwrap().record_nanos(1_500_000);
        let log = Events::<32, _>::attach(&lane, log).unwrap();
        log.record(1_767_323_045_000_000_000, "ready");
        log.record(1_767_323_046_000_000_000, "listening");
        Window::<f64, _>::attach(&lane, recent).unwrap().record(2.5);
    });
}
