//! The programs that the command line selects.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use mmstats_core::layout::MAGIC;
use mmstats_observe::{Observer, Program, Sources};

use super::is_active;

/// The arguments `PID|NAME|PATH`.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) sources: Sources,
    pids: Vec<u32>,
    names: Vec<String>,
}

impl Selection {
    /// Digits are a process id; a word that is not the name of a published file or of a directory
    /// with such files is the name of a program; all else is a path. `./1234` and `./web` are paths.
    pub(crate) fn parse(arguments: &[OsString]) -> Self {
        let mut selection = Self::default();
        for argument in arguments {
            match Target::parse(argument, is_published) {
                Target::Pid(pid) => {
                    selection.sources = selection.sources.pid(pid);
                    selection.pids.push(pid);
                }
                Target::Name(name) => {
                    selection.sources = selection.sources.name(name);
                    selection.names.push(name.to_owned());
                }
                Target::Path => selection.sources = selection.sources.path(argument),
            }
        }
        selection
    }

    /// The same, or without arguments the programs of all users and places.
    pub(crate) fn or_everywhere(mut self, everywhere: bool) -> Self {
        if everywhere {
            self.sources = self.sources.everywhere();
        }
        self
    }

    /// The same with each process named, so that the one that replaces it is selected too.
    pub(crate) fn following(mut self) -> Self {
        for pid in std::mem::take(&mut self.pids) {
            let mut observer = Observer::new(Sources::new().pid(pid));
            observer.refresh();
            let programs = observer.programs();
            let command = programs.iter().find_map(|program| program.identity().command.clone());
            match command {
                Some(command) => {
                    self.sources = self.sources.name(&*command);
                    self.names.push(command);
                }
                None => self.pids.push(pid),
            }
        }
        self
    }

    /// Whether there were no arguments.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The programs that are shown: always those that count now, which live, are a ledger, or ended
    /// and are not in the ledger of their application yet; another one if `all`, or if its file was
    /// named. If a process id has no live file, its dead ones; if no program of a name lives, the one
    /// that ended last.
    pub(crate) fn select<'p, 'a>(
        &self,
        programs: &'p [Program<'a>],
        all: bool,
    ) -> impl Iterator<Item = &'p Program<'a>> {
        let asked: Vec<Option<Asked<'_>>> = programs.iter().map(|p| self.asked(p)).collect();
        let first = Self::first(programs, &asked);
        let is_included = move |(index, program): (usize, &Program<'_>)| {
            if !program.state().is_readable() {
                return false;
            }
            if program.is_counted() || all || program.files().iter().any(|file| file.named()) {
                return true;
            }
            // The last one that ended stands for a process or a name without a live program.
            match asked.get(index).copied().flatten() {
                Some(asked @ Asked::Pid(_)) => first.get(&asked).is_some_and(|first| !first.lives),
                Some(asked @ Asked::Name(_)) => first
                    .get(&asked)
                    .is_some_and(|first| !first.lives && first.newest == Some(index)),
                None => false,
            }
        };
        let included: Vec<bool> = programs.iter().enumerate().map(is_included).collect();
        programs.iter().zip(included).filter(|(_, included)| *included).map(|(program, _)| program)
    }

    /// As [`select`](Self::select), and all programs that are not asked for as a process or by name: those
    /// of files and directories, and without arguments of all places.
    pub(crate) fn select_or_listed<'p, 'a>(
        &self,
        programs: &'p [Program<'a>],
    ) -> impl Iterator<Item = &'p Program<'a>> {
        let listed = programs.iter().filter(|program| self.asked(program).is_none());
        let asked = self.select(programs, false).filter(|program| self.asked(program).is_some());
        listed.chain(asked)
    }

    /// As what a program was asked for; `None` for one of a file or directory.
    fn asked<'p>(&self, program: &'p Program<'_>) -> Option<Asked<'p>> {
        let identity = program.identity();
        let is_asked = |pid: &u32| self.pids.contains(pid);
        if let Some(pid) = program.process().filter(is_asked).or(identity.pid.filter(is_asked)) {
            return Some(Asked::Pid(pid));
        }
        let names = [&identity.command, &identity.application].into_iter().flatten();
        names.into_iter().find(|name| self.names.contains(name)).map(|name| Asked::Name(name))
    }

    /// For each process and name: whether a program lives, and which one ended last.
    fn first<'p>(
        programs: &'p [Program<'_>],
        asked: &[Option<Asked<'p>>],
    ) -> HashMap<Asked<'p>, First> {
        let mut first: HashMap<Asked<'p>, First> = HashMap::new();
        for (index, (program, asked)) in programs.iter().zip(asked).enumerate() {
            let Some(asked) = asked else { continue };
            let first = first.entry(*asked).or_default();
            first.lives |= is_active(program.state());
            let before = first.newest.and_then(|newest| programs.get(newest));
            if program.state().is_readable() && before.is_none_or(|before| newer(program, before)) {
                first.newest = Some(index);
            }
        }
        first
    }
}

/// As what a program was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asked<'a> {
    Pid(u32),
    Name(&'a str),
}

/// The programs of one process or name.
#[derive(Debug, Default)]
struct First {
    lives: bool,
    /// Index of the one that ended last.
    newest: Option<usize>,
}

/// Whether `a` ended after `b`, as far as the times of their files tell.
fn newer(a: &Program<'_>, b: &Program<'_>) -> bool {
    let time = |program: &Program<'_>| program.files().iter().map(|file| file.modified()).max();
    (time(a), a.id()) > (time(b), b.id())
}

/// What an argument means.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Pid(u32),
    Name(&'a str),
    Path,
}

impl<'a> Target<'a> {
    /// `is_published` tells whether a word is the path of published files.
    fn parse(argument: &'a OsStr, is_published: impl Fn(&Path) -> bool) -> Self {
        let Some(text) = argument.to_str() else { return Self::Path };
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map_or(Self::Path, Self::Pid);
        }
        let is_word = !text.is_empty()
            && !text.contains(['/', std::path::MAIN_SEPARATOR])
            && !text.starts_with(['.', '-'])
            && !has_suffix(text);
        if is_word && !is_published(Path::new(text)) { Self::Name(text) } else { Self::Path }
    }
}

fn has_suffix(name: &str) -> bool {
    name.ends_with(".mmst") || name.ends_with(".mmstats")
}

/// Whether the path is a published file, or a directory with one.
fn is_published(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    if metadata.is_dir() {
        let mut entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        return entries.any(|entry| entry.file_name().to_str().is_some_and(has_suffix));
    }
    let mut first = [0; MAGIC.len()];
    crate::backend::read_start(path, &mut first).is_ok_and(|_| first == MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_pid_name_or_path() {
        let target =
            |text: &'static str| Target::parse(OsStr::new(text), |path| path == Path::new("d"));
        assert_eq!((target("17"), target("4294967295")), (Target::Pid(17), Target::Pid(u32::MAX)));
        for name in ["web", "web-1", "a.b", "e", "7up"] {
            assert_eq!(target(name), Target::Name(name));
        }
        // Too large for a process id; separators, suffixes, and a directory with published files.
        for path in
            ["99999999999", "./17", "-1", "", ".", "..", "a/b", "/a", "x.mmst", "x.mmstats", "d"]
        {
            assert_eq!(target(path), Target::Path, "{path}");
        }
    }

    #[test]
    fn parse_collects_sources() {
        let parse = |words: &[&str]| {
            Selection::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
        };
        assert!(parse(&[]).is_empty());
        let want = Sources::new().pid(17).path("/a").pid(4).name("no-such-file");
        assert_eq!(parse(&["17", "/a", "4", "no-such-file"]).sources, want);
    }
}
