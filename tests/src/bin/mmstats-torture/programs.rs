//! Post-mortems of programs with several files: kept, shown and removed as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use mmstats_tests::actor::{Actor, program};
use serde_json::Value;

use crate::plan::Plan;
use crate::shown::Shown;
use crate::table::Table;
use crate::tools::{INCOMPLETE, Printed, judge, names, place, tool};

/// A program that was killed: its counters say 1, 2, 3, ...
struct Dead {
    pid: u32,
    fields: u64,
    paths: Vec<PathBuf>,
}

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    table.row("programs: nine parts", |row| {
        for _ in 0..plan.pick(1, 10) {
            row.case(|| {
                let place = place();
                let dead = Dead::of(&program("mmstats-actor"), place.path(), 9)?;
                dead.is_whole(place.path())?;
                is_listed_once(place.path())
            });
        }
    });
    table.row("programs: crash loop of another", |row| {
        for _ in 0..plan.pick(1, 10) {
            row.case(|| crash_loop(20));
        }
    });
    table.row("programs: removed as a whole", |row| {
        for _ in 0..plan.pick(1, 10) {
            row.case(clean_keeps_the_newest);
            row.case(sweep_keeps_whole_programs);
        }
    });
    table.row("programs: a part is missing", |row| {
        for part in if plan.pick(true, false) { vec![0, 4, 8] } else { (0..9).collect() } {
            row.case(|| without(part).map_err(|error| format!("part {part}: {error}")));
        }
    });
}

impl Dead {
    /// Starts a program, which makes so many files, and kills it.
    fn of(program: &Path, directory: &Path, parts: usize) -> Result<Self, String> {
        Self::with(program, directory, parts, &[])
    }

    fn with(program: &Path, directory: &Path, parts: usize, more: &[&str]) -> Result<Self, String> {
        let parts = parts.to_string();
        let words: Vec<&str> = [parts.as_str()].iter().chain(more).copied().collect();
        let mut actor = Actor::start_program(program, "parts", directory, &words);
        let line = actor.line();
        let said: Value =
            serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
        let pid = actor.pid();
        actor.kill();
        let paths = serde_json::from_value(said["paths"].clone()).expect("paths");
        Ok(Self { pid, fields: said["fields"].as_u64().expect("a number"), paths })
    }

    /// All of it is shown, as one program, and exact.
    fn is_whole(&self, directory: &Path) -> Result<(), String> {
        let shown = Shown::look_at(directory, &["--all"], Some(self.pid))?;
        let told = (shown.programs(), shown.count("shard."), shown.number("shard.*"));
        let right = (1, self.fields, self.fields * (self.fields + 1) / 2);
        match shown.reservation() {
            None if told == right => Ok(()),
            said => Err(format!("programs, fields, sum: {told:?}, not {right:?}; said: {said:?}")),
        }
    }

    /// How many of its files are there.
    fn files(&self) -> usize {
        self.paths.iter().filter(|path| path.exists()).count()
    }
}

fn is_listed_once(directory: &Path) -> Result<(), String> {
    let printed = judge(&mut tool(directory, &["show", "--all"]), || ())?;
    let heads = printed.out.matches("sys.pid").count();
    if heads == 1 { Ok(()) } else { Err(format!("{heads} programs in text: {}", printed.out)) }
}

/// Crashes of one program do not remove the last words of another one.
fn crash_loop(crashes: usize) -> Result<(), String> {
    let (place, beside) = (place(), place());
    let other = beside.path().join("crasher");
    fs::copy(program("mmstats-actor"), &other).expect("a copy");
    let dead = Dead::of(&program("mmstats-actor"), place.path(), 9)?;
    let mut crashed = Vec::new();
    for _ in 0..crashes {
        crashed.push(Dead::of(&other, place.path(), 2)?);
        if dead.files() != 9 {
            return Err(format!("after {} crashes: {} of 9 files", crashed.len(), dead.files()));
        }
    }
    dead.is_whole(place.path())?;
    let left: Vec<_> = crashed.iter().map(Dead::files).collect();
    if left.contains(&1) || left.iter().filter(|files| **files > 0).count() > 10 {
        return Err(format!("files that are left of each crash: {left:?}"));
    }
    // The others have all their files too.
    crashed[crashes - 1].is_whole(place.path())
}

/// `clean` removes whole programs, and keeps the newest ones.
fn clean_keeps_the_newest() -> Result<(), String> {
    let place = place();
    let actor = program("mmstats-actor");
    let dead = [9, 2, 9].map(|parts| Dead::with(&actor, place.path(), parts, &["keep=50"]));
    let [old, middle, new] = dead;
    let (old, middle, new) = (old?, middle?, new?);
    let files = || [&old, &middle, &new].map(Dead::files);
    for (arguments, right) in [
        (&["clean", "--dry-run"][..], [9, 2, 9]),
        (&["clean", "--keep", "2"], [0, 2, 9]),
        (&["clean", "--keep", "1"], [0, 0, 9]),
        (&["clean"], [0, 0, 0]),
    ] {
        let printed = judge(&mut tool(place.path(), arguments), || ())?;
        if files() != right || printed.code != 0 {
            return Err(format!("{arguments:?}: {:?} files, not {right:?}; {printed:?}", files()));
        }
        if new.files() > 0 {
            new.is_whole(place.path())?;
        }
    }
    let left = names(place.path());
    if left.is_empty() { Ok(()) } else { Err(format!("left: {left:?}")) }
}

/// A publisher that starts keeps whole programs.
fn sweep_keeps_whole_programs() -> Result<(), String> {
    let place = place();
    let actor = program("mmstats-actor");
    let mut all = Vec::new();
    for parts in [3, 4, 3, 4, 3] {
        all.push(Dead::with(&actor, place.path(), parts, &["keep=2"])?);
    }
    let left: Vec<_> = all.iter().map(Dead::files).collect();
    // The last start kept two, and was killed itself.
    if left != [0, 0, 3, 4, 3] {
        return Err(format!("files that are left of each crash: {left:?}"));
    }
    all[2..].iter().try_for_each(|dead| dead.is_whole(place.path()))
}

/// All tools say that a program is incomplete, by exit code where it is named.
fn without(part: usize) -> Result<(), String> {
    let place = place();
    let dead = Dead::of(&program("mmstats-actor"), place.path(), 9)?;
    fs::remove_file(&dead.paths[part]).expect("a file");
    let shown = Shown::look(place.path())?;
    if shown.claims_whole() {
        return Err(format!("show: {} as a whole sum", shown.number("shard.*")));
    }
    // Also from the beginning to the end of its files in the command line.
    let mut paths = dead.paths.clone();
    paths.remove(part);
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().expect("UTF-8")).collect();
    let pid = dead.pid.to_string();
    let directory = place.path().to_str().expect("UTF-8");
    for named in [&[pid.as_str()][..], &paths[..], &paths[..1], &[directory]] {
        for options in [&["show", "--all"][..], &["show", "--all", "--json"]] {
            let words: Vec<&str> = options.iter().chain(named).copied().collect();
            let printed = judge(&mut tool(place.path(), &words), || ())?;
            let said = printed.out.contains("incomplete") || printed.err.contains("incomplete");
            if !said && printed.out.contains("shard.") {
                return Err(format!("{options:?} {named:?}: no word of missing files"));
            }
            if printed.code != INCOMPLETE {
                return Err(format!("{options:?} {named:?}: code {}", printed.code));
            }
        }
    }
    let ls = judge(&mut tool(place.path(), &["ls", "--json"]), || ())?;
    let ls_text = judge(&mut tool(place.path(), &["ls"]), || ())?;
    for Printed { out, err, code, .. } in [&ls, &ls_text] {
        if !out.contains("incomplete") && !err.contains("incomplete") {
            return Err(format!("ls: no word of missing files: {out}{err}"));
        }
        if *code != INCOMPLETE {
            return Err(format!("ls: code {code}: {out}{err}"));
        }
    }
    // What is left is removed as a whole.
    judge(&mut tool(place.path(), &["clean"]), || ())?;
    let left = names(place.path());
    if left.is_empty() { Ok(()) } else { Err(format!("clean left {left:?}")) }
}
