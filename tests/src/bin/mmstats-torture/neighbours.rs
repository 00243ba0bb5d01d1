//! Directories full of hostile files beside live programs, and files full of images.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mmstats::{Blob, Counter, Events, FieldOptions};
use mmstats_core::layout::header as h;
use mmstats_tests::actor::{Actor, random};
use mmstats_tests::control::{Limit, limit};
use serde_json::Value;

use crate::forged::{another, fields, image, lanes, metadata, noise, put, seal, shared};
use crate::plan::Plan;
use crate::table::{Row, Table};
use crate::tools::{INCOMPLETE, Printed, disk, judge, names, place, tool, until};

/// Limit of a tool's private memory, and of all its memory with the pages of files, in bytes.
const MEMORY: u64 = 1 << 30;
/// Limit of a tool's processor time; its whole time has the one of all tools.
const TIME: Duration = Duration::from_secs(30);
/// User id of the hostile neighbour.
const NEIGHBOUR: u32 = 54_322;

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    let count = plan.pick(1_000, 100_000);
    for (name, owner) in [("of another user", Some(NEIGHBOUR)), ("of the same user", None)] {
        let size = plan.pick(1, 16);
        table.row(format!("neighbours: {count} files {name}"), |row| {
            beside(row, count, size, owner);
        });
    }
    table.row("neighbours: a million fields", |row| {
        let (small, large) = (plan.pick(1, 40), plan.pick(10_000, 50_000));
        row.case(|| many_fields(small, large));
    });
    table.row("scan: many images", |row| many_images(row, plan.pick(1_000, 66_000)));
    table.row("scan: 200 MiB with 40 headers", overlapping);
}

/// Everything that a tool is measured by.
#[derive(Default)]
struct Costs {
    peak: (u64, String),
    worst: (Duration, String),
}

impl Costs {
    /// Runs a tool within the limits.
    fn run(&mut self, directory: &Path, words: &[&str]) -> Result<Printed, String> {
        let mut command = tool(directory, words);
        limit(&mut command, Limit::Memory(MEMORY));
        let name = words.iter().take(3).copied().collect::<Vec<_>>().join(" ");
        let printed = judge(&mut command, || ())
            .map_err(|error| error.chars().take(500).collect::<String>())?;
        self.worst = std::mem::take(&mut self.worst).max((printed.processor, name.clone()));
        self.peak = std::mem::take(&mut self.peak).max((printed.peak, name.clone()));
        if printed.processor > TIME {
            return Err(format!("{name} takes {:?}", printed.processor));
        }
        if printed.peak > MEMORY {
            return Err(format!("{name} takes {} MiB", printed.peak >> 20));
        }
        Ok(printed)
    }

    fn tell(self, row: &mut Row) {
        let Self { peak, worst } = self;
        row.time(worst.0);
        row.remark = format!("{}; {} MiB: {}", worst.1, peak.0 >> 20, peak.1);
    }
}

/// A live program with a counter that stands still.
struct Live {
    actor: Actor,
    count: u64,
}

impl Live {
    fn start(directory: &Path, words: &[&str]) -> Self {
        let mut actor = Actor::start("workers", directory, words);
        assert_eq!(actor.line(), "ready");
        actor.ask("workers 5");
        actor.ask("go");
        // So many that a worker has recorded events.
        let enough = |actor: &mut Actor| actor.ask("floor").parse().is_ok_and(|n: u64| n > 10_000);
        until("its workers count", || enough(&mut actor)).expect("they do");
        let exact: Value = serde_json::from_str(&actor.ask("stop")).expect("the exact values");
        let count = exact["counter"].as_u64().expect("a number");
        Self { actor, count }
    }

    fn paths(&mut self) -> Vec<PathBuf> {
        serde_json::from_str(&self.actor.ask("paths")).expect("paths")
    }
}

/// A live program with its expected values.
struct Program {
    pid: String,
    count: u64,
    /// Whether the counter shows just that: copies of its files that have its owner count as parts of it.
    exact: bool,
    paths: Vec<String>,
}

impl Program {
    fn new(live: &mut Live, exact: bool) -> Self {
        let paths = live.paths().into_iter().map(|path| path.to_str().expect("UTF-8").to_owned());
        let (pid, count) = (live.actor.pid().to_string(), live.count);
        Self { pid, count, exact, paths: paths.collect() }
    }

    fn is_right(&self, value: Option<u64>) -> bool {
        value.is_some_and(|n| if self.exact { n == self.count } else { n >= self.count })
    }

    /// Whether a tool shows it, with its values where the tool has values.
    fn is_in(&self, words: &[&str], printed: &Printed) -> bool {
        let (Self { pid, paths, .. }, out) = (self, &printed.out);
        match *words {
            ["ls" | "show", "--json"] => files(out).iter().any(|file| {
                let right = |field: &Value| {
                    field["label"] == "counter" && self.is_right(field["value"].as_u64())
                };
                file["path"] == *paths[0]
                    && (words[0] == "ls"
                        || file["fields"].as_array().is_some_and(|fields| fields.iter().any(right)))
            }),
            ["ls"] => out.lines().any(|line| {
                line.starts_with(&format!("{pid}\t")) && line.contains(&format!("\t{}\t", paths[0]))
            }),
            ["show", ..] => out.lines().any(|line| {
                let value = line.strip_prefix("counter\t").and_then(|line| line.split('\t').next());
                self.is_right(value.and_then(|n| n.parse().ok())) && line.ends_with(&paths[0])
            }),
            ["events"] => out.contains(pid),
            // Each line that names a file of it says why that stays.
            ["clean", ..] => !out
                .lines()
                .any(|line| line.contains("would") && paths.iter().any(|path| line.contains(path))),
            // Parts of copies that count may leave a gap, as the machine's pace has it.
            _ => printed.code == 0 || (!self.exact && printed.code == INCOMPLETE),
        }
    }
}

/// The files of a JSON document.
fn files(out: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(out.trim()).unwrap_or_default();
    document["files"].as_array().cloned().unwrap_or_default()
}

/// The total of `counter` in the JSON of `poll`.
fn total(out: &str) -> Option<u64> {
    let document: Value = serde_json::from_str(out.trim()).ok()?;
    let mut fields = document["fields"].as_array()?.iter();
    fields.find(|field| field["label"] == "counter")?["total"].as_u64()
}

fn beside(row: &mut Row, count: usize, size: u32, owner: Option<u32>) {
    let at = place();
    let directory = at.path().join("everyone's");
    fs::create_dir(&directory).expect("a directory");
    for path in [at.path(), &directory] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).expect("it is ours");
    let mut live = [&["lanes=2", "keep"][..], &["lanes=2", "keep", "user=54321"]]
        .map(|words| Live::start(&directory, words));
    hostile(&directory, count, size, owner, &mut live);
    let stored = blocks(&directory);
    let mut costs = Costs::default();
    let programs = live.each_mut().map(|live| Program::new(live, owner.is_some()));
    let all = names(&directory);
    for words in [
        &["ls"][..],
        &["ls", "--json"],
        &["show"],
        &["show", "--json"],
        &["show", programs[0].pid.as_str()],
        &["poll", "counter", "-c", "1", "-d", "0.1", "--json"],
        &["poll", "counter", "-c", "1", "-d", "0.1"],
        &["events"],
        &["clean", "--dry-run"],
    ] {
        row.case(|| {
            let printed = costs.run(&directory, words)?;
            let shown = |program: &Program| program.is_in(words, &printed);
            // Of the programs only the first one is asked for by its process id.
            let asked = if words == ["show", programs[0].pid.as_str()] { 1 } else { 2 };
            if let Some(program) = programs[..asked].iter().find(|program| !shown(program)) {
                let (name, pid, code) = (words.join(" "), &program.pid, printed.code);
                let said: String = printed.err.chars().take(500).collect();
                return Err(format!("{name}: process {pid} is not shown; code {code}: {said}"));
            }
            if words[0] == "poll" && words.contains(&"--json") {
                let (total, right) = (total(&printed.out), programs.each_ref().map(|p| p.count));
                let sum: u64 = right.iter().sum();
                let is_right = |n| if owner.is_some() { n == sum } else { n >= sum };
                if !total.is_some_and(is_right) {
                    return Err(format!("poll: the total is {total:?}, not that of {right:?}"));
                }
            }
            Ok(())
        });
    }
    // As many as a command line takes.
    let some: Vec<&str> =
        all.iter().take(1_000).map(|path| path.to_str().expect("UTF-8")).collect();
    row.case(|| costs.run(&directory, &[&["check"][..], &some].concat()).map(|_| ()));
    row.case(|| costs.run(&directory, &[&["ls"][..], &some].concat()).map(|_| ()));
    row.case(|| {
        let now = blocks(&directory);
        if now > stored + (16 << 20) {
            Err(format!("looking stored {} MiB", (now - stored) >> 20))
        } else {
            Ok(())
        }
    });
    // A program that starts there is not delayed.
    row.case(|| {
        let start = std::time::Instant::now();
        let mut actor = Actor::start("workers", &directory, &["lanes=2", "post=8"]);
        let (line, took) = (actor.line(), start.elapsed());
        if line != "ready" || took > Duration::from_secs(5) {
            return Err(format!("a start takes {took:?}: {line}"));
        }
        Ok(())
    });
    costs.tell(row);
}

/// Bytes that the files of a directory take.
fn blocks(directory: &Path) -> u64 {
    names(directory)
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|m| m.blocks() * 512)
        .sum()
}

/// Makes hostile files of several shapes, the largest ones of `size`, with names before and after all others.
fn hostile(directory: &Path, count: usize, size: u32, owner: Option<u32>, live: &mut [Live]) {
    let beside = place();
    let one = beside.path().join("one.mmst");
    let mut tiny = image::<Counter>(&one, FieldOptions::new(), 1);
    let twins: Vec<_> = live.iter_mut().flat_map(Live::paths).collect();
    let twins: Vec<_> = twins.iter().map(|path| fs::read(path).expect("a file")).collect();
    let made = beside.path().join("made.mmst");
    for n in 0..count {
        let name = ["!", "mmstats-actor-", "~"][n % 3];
        let ending = if n % 11 == 0 { "mmstats" } else { "mmst" };
        let path = match n % 1000 {
            // Names of ledgers, each of another application.
            41..=90 => format!("ledger-{n:016x}-{}-{n}.mmst", owner.unwrap_or(0)),
            _ => format!("{name}{n}.{ending}"),
        };
        let path = directory.join(path);
        match n % 1000 {
            // The large ones, of which a few are enough.
            1 => shared(&made, 4 + size),
            2 => lanes::<Events<64>>(&made, 128, FieldOptions::new().entries(65_535), 65_534),
            3 => lanes::<Blob<1_000_000>>(&made, 16, FieldOptions::new(), 1_000_000),
            4 => metadata(&made, size * 250_000),
            5 => fields::<Counter>(&made, 4 + size),
            6 => noise(&made, 64),
            // Copies of live programs, as they are, or with parts that do not exist.
            7..=40 => {
                let mut twin = twins[n % twins.len()].clone();
                if n % 2 == 0 {
                    put(&mut twin, h::PART, 1 + u32::try_from(n % 7).expect("small"));
                    put(&mut twin, h::PARTS, 99);
                }
                seal(&mut twin);
                fs::write(&path, twin).expect("a file");
            }
            n if n % 10 == 0 => fs::write(&path, random().to_le_bytes()).expect("a file"),
            _ => {
                another(&mut tiny);
                fs::write(&path, &tiny).expect("a file");
            }
        }
        if made.exists() {
            copy_sparse(&made, &path);
        }
        if owner.is_some() {
            chown(&path, owner, owner).expect("the super-user may");
            let all = fs::Permissions::from_mode(0o644);
            fs::set_permissions(&path, all).expect("the super-user may");
        }
    }
}

/// Moves a file; holes stay holes.
fn copy_sparse(from: &Path, to: &Path) {
    let mut bytes = fs::read(from).expect("a file");
    if bytes.len() > h::SIZE as usize && bytes[..8] == mmstats_core::layout::MAGIC {
        another(&mut bytes[..]);
        let file = File::options().write(true).open(from).expect("a file");
        file.write_all_at(&bytes[..h::SIZE as usize], 0).expect("a file");
    }
    drop(bytes);
    fs::rename(from, to).expect("in one file system");
}

/// A directory of small programs and one with very many fields.
fn many_fields(small: u32, large: u32) -> Result<(), String> {
    let at = place();
    fields::<Counter>(&at.path().join("large.mmst"), large / 1000);
    for n in 0..small {
        fields::<Counter>(&at.path().join(format!("small-{n}.mmst")), large / 1000);
    }
    let mut costs = Costs::default();
    for words in
        [&["ls"][..], &["show", "--all"], &["show", "--all", "--json"], &["clean", "--dry-run"]]
    {
        let printed = costs.run(at.path(), words)?;
        let missing = names(at.path())
            .into_iter()
            .find(|path| words == ["ls"] && !printed.out.contains(path.to_str().expect("UTF-8")));
        if let Some(path) = missing {
            return Err(format!("ls: {} is not listed", path.display()));
        }
    }
    Ok(())
}

/// One file with many images in it.
fn many_images(row: &mut Row, count: usize) {
    let at = disk();
    let path = at.path().join("dump");
    let mut tiny = image::<Counter>(&at.path().join("one.mmst"), FieldOptions::new(), 1);
    let mut file = std::io::BufWriter::new(File::create(&path).expect("a file"));
    for _ in 0..count {
        another(&mut tiny);
        file.write_all(&tiny).expect("a file");
    }
    drop(file);
    scan(row, at.path(), &path, count);
}

/// Headers that claim all the bytes after them: what is written stays within the file's size.
fn overlapping(row: &mut Row) {
    const SIZE: u64 = 200 << 20;
    const HEADERS: u32 = 40;
    let at = disk();
    let path = at.path().join("dump");
    let mut tiny = image::<Counter>(&at.path().join("one.mmst"), FieldOptions::new(), 1);
    let mut file = File::create(&path).expect("a file");
    let megabyte: Vec<u8> = (0..1 << 17).flat_map(|_| random().to_le_bytes()).collect();
    for _ in 0..SIZE >> 20 {
        file.write_all(&megabyte).expect("a file");
    }
    for n in 0..HEADERS {
        let start = u32::try_from(SIZE).expect("small") / HEADERS * n;
        put(&mut tiny, h::FILE_SIZE, u32::try_from(SIZE).expect("small") - start);
        another(&mut tiny);
        file.write_all_at(&tiny, start.into()).expect("a file");
    }
    drop(file);
    // The first one has the bytes of the others.
    scan(row, at.path(), &path, 1);
}

fn scan(row: &mut Row, directory: &Path, path: &Path, images: usize) {
    let mut costs = Costs::default();
    let size = fs::metadata(path).expect("a file").len();
    let name = path.to_str().expect("UTF-8");
    for words in [&["scan", "--list", name][..], &["scan", name]] {
        row.case(|| {
            let printed = costs.run(directory, words)?;
            let told = format!("{}{}", printed.out, printed.err);
            let word = if words.len() == 3 { "at byte" } else { "sys.command" };
            let listed = printed.out.matches(word).count();
            // Those for whose values there is no memory are reported.
            let reported = words[1] != "--list" && printed.err.contains("(too-large)");
            if listed < images && !reported {
                Err(format!("{words:?}: {listed} of {images} images; {told:.300}"))
            } else {
                Ok(())
            }
        });
    }
    row.case(|| {
        let to = directory.join("found");
        let words = ["scan", "--extract", to.to_str().expect("UTF-8"), name];
        let printed = costs.run(directory, &words)?;
        let (files, stored) = (names(&to).len(), blocks(&to));
        // Blocks of 4 KiB, and no image more than once.
        let most = size + 8192 * images as u64 + (1 << 20);
        let result = if stored > most || files < images {
            Err(format!("{} MiB in {files} files: {:.300}", stored >> 20, printed.err))
        } else {
            Ok(())
        };
        fs::remove_dir_all(&to).expect("a directory");
        result
    });
    costs.tell(row);
}
