//! The programs that the command line selects.

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
        programs.iter().filter(move |program| self.includes(program, all, programs))
    }

    fn includes(&self, program: &Program<'_>, all: bool, programs: &[Program<'_>]) -> bool {
        let state = program.state();
        if !state.is_readable() {
            return false;
        }
        if program.is_counted() || all || program.files().iter().any(|file| file.named()) {
            return true;
        }
        let asked = |p: &Program<'_>| {
            let pid = |pid: Option<u32>| pid.filter(|pid| self.pids.contains(pid));
            let name =
                |text: Option<&String>| text.filter(|text| self.names.contains(text)).cloned();
            let (identity, process) = (p.identity(), p.process());
            (
                pid(process).or_else(|| pid(identity.pid)),
                name(identity.command.as_ref()).or_else(|| name(identity.application.as_ref())),
            )
        };
        let this = asked(program);
        // The last one that ended stands for a process or a name without a live program.
        let is_first = |other: &Program<'_>| {
            is_active(other.state()) || newer(other, program) && other.state().is_readable()
        };
        let has_none = |same: &dyn Fn(&Program<'_>) -> bool| {
            !programs.iter().any(|other| same(other) && is_active(other.state()))
        };
        match this {
            (Some(_), _) => has_none(&|other| asked(other).0 == this.0),
            (None, Some(_)) => {
                !programs.iter().any(|other| asked(other).1 == this.1 && is_first(other))
            }
            (None, None) => false,
        }
    }
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
