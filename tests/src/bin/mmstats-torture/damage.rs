//! Files that are damaged, moved and removed while they are read.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mmstats_observe::{FileState, Observer, Scratch, Sources};
use mmstats_tests::actor::{Actor, path_of, random};
use mmstats_tests::look::{look, states, unsigned, value};

use crate::plan::Plan;
use crate::table::{Row, Table};
use crate::tools::{self, INCOMPLETE, PATIENCE, judge, names, pause, place, tool};

/// A damage to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Deleted,
    Renamed,
    Emptied,
    Truncated,
    Noise,
    HeaderNoise,
    Unreadable,
    Link,
    Directory,
    Pipe,
}

const FAULTS: [Fault; 10] = [
    Fault::Deleted,
    Fault::Renamed,
    Fault::Emptied,
    Fault::Truncated,
    Fault::Noise,
    Fault::HeaderNoise,
    Fault::Unreadable,
    Fault::Link,
    Fault::Directory,
    Fault::Pipe,
];

/// Two files in a directory that all users may read: the victim, and that of a live program.
struct Scene {
    directory: tempfile::TempDir,
    victim: PathBuf,
    /// Bytes of the intact victim.
    bytes: Vec<u8>,
    live: Actor,
    live_path: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let directory = place();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        mode(directory.path(), 0o755).expect("the owner may");
        let (mut dead, victim) = start(directory.path(), "victim");
        dead.ask("update 5");
        dead.kill();
        let bytes = fs::read(&victim).expect("a file");
        let (mut live, live_path) = start(directory.path(), "live");
        live.ask("update 7");
        mode(&live_path, 0o644).expect("the owner may");
        Self { directory, victim, bytes, live, live_path }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces whatever is at the path by the intact victim.
    fn restore(&self) {
        let _ = fs::remove_dir(&self.victim);
        let _ = fs::remove_file(&self.victim);
        let new = self.path().join("restored");
        fs::write(&new, &self.bytes).expect("a file");
        fs::set_permissions(&new, Permissions::from_mode(0o644)).expect("the owner may");
        fs::rename(&new, &self.victim).expect("the victim's name");
        let _ = fs::remove_file(self.path().join("moved.mmst"));
    }

    /// Damages the victim.
    fn inflict(&self, fault: Fault) {
        let (path, len) = (&self.victim, self.bytes.len() as u64);
        let open = || File::options().write(true).open(path).expect("the victim");
        let noise = |from: usize, count: usize, at: u64| {
            use std::os::unix::fs::FileExt;
            let noise: Vec<u8> = (from..from + count).map(|_| random().to_le_bytes()[0]).collect();
            open().write_all_at(&noise, at).expect("a file");
        };
        match fault {
            Fault::Deleted => fs::remove_file(path).expect("the victim"),
            Fault::Renamed => {
                fs::rename(path, self.path().join("moved.mmst")).expect("the victim");
            }
            Fault::Emptied => open().set_len(0).expect("a file"),
            Fault::Truncated => open().set_len(random() % len).expect("a file"),
            Fault::Noise => (0..20).for_each(|_| noise(0, 16, random() % len)),
            Fault::HeaderNoise => noise(0, 4, random() % 192),
            Fault::Unreadable => {
                fs::set_permissions(path, Permissions::from_mode(0o000)).expect("the owner may");
            }
            Fault::Link => {
                fs::remove_file(path).expect("the victim");
                symlink("/etc/passwd", path).expect("a link");
            }
            Fault::Directory => {
                fs::remove_file(path).expect("the victim");
                fs::create_dir(path).expect("a directory");
            }
            Fault::Pipe => {
                fs::remove_file(path).expect("the victim");
                let made = std::process::Command::new("mkfifo").arg(path).status();
                assert!(made.is_ok_and(|status| status.success()), "a pipe");
            }
        }
    }
}

fn start(directory: &Path, name: &str) -> (Actor, PathBuf) {
    let mut actor = Actor::start("idle", directory, &[&format!("name={name}")]);
    let path = path_of(&actor.line());
    (actor, path)
}

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    table.row("damage under readers", |row| under_readers(plan, row));
    for arguments in [
        &["ls", "DIR"][..],
        &["ls", "--json", "FILE"],
        &["show", "DIR"],
        &["show", "--json", "-v", "FILE"],
        &["poll", "counter", "-d", "0.02", "-c", "3", "DIR"],
        &["events", "DIR"],
        &["clean", "--dry-run", "DIR"],
        &["check", "FILE"],
        &["dump", "FILE"],
        &["scan", "FILE"],
    ] {
        let words = arguments.iter().filter(|word| word.starts_with("--json"));
        let name = words.fold(arguments[0].to_owned(), |name, word| name + " " + word);
        table.row(format!("damage under mmstats {name}"), |row| {
            under_tool(plan, arguments, row);
        });
    }
    for arguments in [&["poll", "counter", "-d", "0.01"][..], &["events", "-f", "-d", "0.01"]] {
        let name = format!("damage under {} for long", arguments[0]);
        table.row(name, |row| under_follower(plan, arguments, row));
    }
    table.row("10,000 files, 1,000 of them damaged", |row| ten_thousand(plan, row));
}

/// A reader without a pause never returns a value that was not published.
fn under_readers(plan: &Plan, row: &mut Row) {
    let scene = Scene::new();
    let ended = AtomicBool::new(false);
    let (place, live_path) = (scene.path(), &scene.live_path);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut observer = Observer::new(Sources::new().path(place));
            let (mut looks, mut worst) = (0_u64, Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let begin = Instant::now();
                observer.refresh();
                for file in observer.files() {
                    file.values().len();
                    file.visit_lane(0, &mut Scratch::new(), |_, _| ());
                }
                let live = observer.files().iter().find(|file| file.path() == live_path);
                let live = live.ok_or("the live program is not seen")?;
                let counter = value(live, "counter").value.and_then(|value| value.as_f64());
                if live.state() != FileState::Live || counter != Some(7.0) {
                    return Err(format!("{:?} {counter:?}", live.state()));
                }
                worst = worst.max(begin.elapsed());
                looks += 1;
            }
            Ok((looks, worst))
        });
        for round in 0..plan.pick(200, 5000) {
            row.case(|| {
                scene.inflict(FAULTS[round % FAULTS.len()]);
                pause(Duration::from_micros(500));
                scene.restore();
                pause(Duration::from_micros(500));
                if reader.is_finished() { Err("the reader ended".to_owned()) } else { Ok(()) }
            });
            if reader.is_finished() {
                break;
            }
        }
        ended.store(true, Ordering::Relaxed);
        match reader.join().map_err(|_| "the reader panicked".to_owned()).and_then(|told| told) {
            Ok((looks, worst)) => {
                row.time(worst);
                row.remark = format!("{looks} looks");
            }
            Err(why) => row.lose(why),
        }
    });
    // After the repair all values are back.
    row.case(|| match states(&look(scene.path())) {
        states if states.iter().all(|(_, state)| state.is_readable()) => Ok(()),
        states => Err(format!("{states:?}")),
    });
}

/// A tool that looks once ends in time, prints no control characters, and shows the live program; damage
/// during the look may leave the other one incomplete.
fn under_tool(plan: &Plan, arguments: &[&str], row: &mut Row) {
    let scene = Scene::new();
    let pid = scene.live.pid().to_string();
    for round in 0..plan.pick(10, 150) {
        let fault = FAULTS[round % FAULTS.len()];
        // The damage comes before the start, or during the run.
        let before = random().is_multiple_of(3);
        if before {
            scene.inflict(fault);
        }
        let words: Vec<&str> = arguments
            .iter()
            .map(|word| match *word {
                "DIR" => scene.path().to_str().expect("UTF-8"),
                "FILE" => scene.victim.to_str().expect("UTF-8"),
                word => word,
            })
            .collect();
        let mut command = tool(scene.path(), &words);
        // The super-user may read everything.
        let stranger = fault == Fault::Unreadable && mmstats_tests::system::is_root();
        if stranger {
            as_stranger(&mut command, scene.path());
        }
        row.case(|| {
            let meanwhile = || {
                if !before {
                    pause(Duration::from_millis(4));
                    scene.inflict(fault);
                }
            };
            let printed = judge(&mut command, meanwhile).map_err(|e| format!("{fault:?}: {e}"))?;
            let others = words.contains(&scene.path().to_str().expect("UTF-8"));
            let shown = printed.out.contains(&pid) && [0, INCOMPLETE].contains(&printed.code);
            if others && !shown && ["ls", "show"].contains(&words[0]) {
                return Err(format!("{fault:?}: the live program is not shown: {printed:?}"));
            }
            Ok(())
        });
        scene.restore();
    }
}

/// Runs a command as the user nobody, from a copy that this user may read.
fn as_stranger(command: &mut std::process::Command, directory: &Path) {
    use std::os::unix::process::CommandExt;
    let copy = directory.join("tool");
    if !copy.exists() {
        fs::copy(command.get_program(), &copy).expect("the tool");
        fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("the owner may");
    }
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut other = std::process::Command::new(copy);
    other.args(arguments).env("MMSTATS_PATH", directory).uid(65_534).gid(65_534);
    *command = other;
}

/// A tool that runs on is alive at the end, and shows the values of the live program.
fn under_follower(plan: &Plan, arguments: &[&str], row: &mut Row) {
    let mut scene = Scene::new();
    let out = tempfile::NamedTempFile::new().expect("a file");
    let to = out.reopen().expect("a file");
    let mut words = arguments.to_vec();
    words.push(scene.directory.path().to_str().expect("UTF-8"));
    let mut child = tool(scene.path(), &words)
        .stdin(Stdio::null())
        .stdout(to)
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool");
    for round in 0..plan.pick(50, 1000) {
        row.case(|| {
            scene.inflict(FAULTS[round % FAULTS.len()]);
            pause(Duration::from_millis(20));
            scene.restore();
            scene.live.ask(&format!("update {}", 8 + round));
            match child.try_wait() {
                Ok(None) => Ok(()),
                ended => Err(format!("it ended: {ended:?}")),
            }
        });
    }
    let _ = child.kill();
    let _ = child.wait();
    row.case(|| match fs::read_to_string(out.path()) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// The intact files are read exactly.
fn ten_thousand(plan: &Plan, row: &mut Row) {
    const BATCH: usize = 400;
    let files = plan.pick(2_000, 10_000);
    let directory = place();
    for _ in 0..files / BATCH {
        let mut actor = Actor::start("many", directory.path(), &[&BATCH.to_string()]);
        actor.line();
        actor.kill();
    }
    let paths = names(directory.path());
    assert_eq!(paths.len(), files, "all were made");
    let victims: Vec<_> = paths.iter().step_by(10).collect();
    for (n, path) in victims.iter().enumerate() {
        let bytes = fs::read(path).expect("a file");
        let file = File::options().write(true).open(path).expect("a file");
        match n % 5 {
            0 => file.set_len(0).expect("a file"),
            1 => file.set_len(random() % bytes.len() as u64).expect("a file"),
            2 => fs::write(path, vec![0; bytes.len()]).expect("a file"),
            3 => {
                let noise = bytes.iter().map(|_| random().to_le_bytes()[0]).collect::<Vec<u8>>();
                fs::write(path, noise).expect("a file");
            }
            _ => {
                use std::os::unix::fs::FileExt;
                // In a part of the header without a checksum.
                file.write_all_at(&random().to_le_bytes(), 24).expect("a file");
            }
        }
    }
    let good = files - victims.len();
    row.case(|| {
        let start = Instant::now();
        let observer = look(directory.path());
        let hits = unsigned(&observer, "hits");
        let took = start.elapsed();
        let readable = observer.files().iter().filter(|file| file.state().is_readable()).count();
        let right = readable == good && hits == 7 * good as u128;
        eprintln!("    {files} files read in {took:?}");
        if right { Ok(()) } else { Err(format!("{readable} of {good} readable, {hits} hits")) }
    });
    let directory = directory.path().to_str().expect("UTF-8");
    for arguments in
        [&["ls", directory][..], &["show", directory], &["clean", "--dry-run", directory]]
    {
        row.case(|| {
            let printed = judge(&mut tool(Path::new(directory), arguments), || ())?;
            row_of(&printed, arguments[0], good)
        });
    }
    for path in victims.iter().take(plan.pick(20, 200)) {
        row.case(|| {
            let path = path.to_str().expect("UTF-8");
            let printed = judge(&mut tool(Path::new(directory), &["check", path]), || ())?;
            match printed.code {
                1 => Ok(()),
                _ => Err(format!("{path} is found to be well: {}", printed.out)),
            }
        });
    }
    row.add_tried(victims.len() as u64);
}

fn row_of(printed: &tools::Printed, tool: &str, good: usize) -> Result<(), String> {
    if printed.took > PATIENCE {
        return Err(format!("{tool} takes {:?}", printed.took));
    }
    let dead = printed.out.lines().filter(|line| line.contains("dead") || line.contains("died"));
    match (tool, dead.count()) {
        ("ls" | "clean", n) if n < good => Err(format!("{tool} shows {n} of {good}")),
        _ if printed.err.is_empty() => Err(format!("{tool} does not complain")),
        _ => Ok(()),
    }
}
