//! The programs that the command line selects.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mmstats_core::layout::MAGIC;
use mmstats_observe::{FileState, Program, ProgramId, Sources};

use super::following::Following;
use super::is_active;

/// The arguments `PID|NAME|PATH`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Selection {
    pub(crate) sources: Sources,
    pids: Vec<u32>,
    names: Vec<String>,
    paths: Vec<PathBuf>,
    /// Programs that replace a process one after the other, with `--follow`.
    following: Option<Following>,
    /// Programs that had ended before and are not shown.
    passed_over: HashSet<ProgramId>,
    /// Whether [`pass_over_ended`](Self::pass_over_ended) was called.
    has_passed: bool,
}

/// The argument that selected a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asked<'a> {
    Pid(u32),
    Name(&'a str),
}

/// The programs of one process id or name.
#[derive(Debug, Default)]
struct Group {
    is_active: bool,
    /// Time and identity of the last one that ended, as far as the times of files tell.
    last: Option<(Option<SystemTime>, Option<ProgramId>)>,
    ended: usize,
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
                Target::Path => {
                    selection.sources = selection.sources.path(argument);
                    selection.paths.push(argument.into());
                }
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

    /// The same, or with the programs in the namespaces of all processes.
    pub(crate) fn in_all_namespaces(mut self, all: bool) -> Self {
        if all {
            self.sources = self.sources.all_namespaces();
        }
        self
    }

    /// The same without programs that ended; each process that is named is followed by the one that
    /// replaces it.
    pub(crate) fn following(mut self) -> Self {
        self.following = Some(Following::find(&self.pids));
        self.name_followed();
        self
    }

    /// Leaves out from now on the programs that have ended and are not selected, and at the first call those of
    /// names: they do not take the place of one that ends later. Later ones of a name are waited for.
    pub(crate) fn pass_over_ended(&mut self, programs: &[Program<'_>]) {
        let is_first = !std::mem::replace(&mut self.has_passed, true);
        let groups = self.groups(programs);
        let is_passed = |program: &&Program<'_>| {
            let by_name = matches!(self.asked(program), Some(Asked::Name(_)));
            let is_earlier = is_first && by_name && !is_named(program) && !program.is_counted();
            program.state().has_ended() && (is_earlier || !self.includes(program, false, &groups))
        };
        let passed: Vec<_> = programs.iter().filter(is_passed).filter_map(Program::id).collect();
        self.passed_over.extend(passed);
    }

    fn is_passed_over(&self, program: &Program<'_>) -> bool {
        !self.passed_over.is_empty()
            && program.id().is_some_and(|id| self.passed_over.contains(&id))
    }

    /// The process ids among the arguments.
    #[cfg(any(feature = "record", feature = "threads"))] // the users
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Learns from a look which programs replace those that are followed, and which were waited for.
    /// Returns whether there are more sources.
    pub(crate) fn update(&mut self, programs: &[Program<'_>]) -> bool {
        let Some(following) = &mut self.following else { return false };
        following.find_more(&self.pids, programs);
        following.update(programs);
        self.name_followed()
    }

    /// Replaces the process ids that are followed by their commands. One that was not found stays: it may
    /// still come. Returns whether there was one.
    fn name_followed(&mut self) -> bool {
        let Some(following) = &self.following else { return false };
        let before = self.pids.len();
        self.pids.retain(|pid| !following.has(*pid));
        for command in following.commands() {
            self.sources = std::mem::take(&mut self.sources).name(command);
        }
        self.pids.len() < before
    }

    /// Whether there were no arguments.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether there are process ids or names.
    pub(crate) fn has_names(&self) -> bool {
        !self.pids.is_empty()
            || !self.names.is_empty()
            || self.following.as_ref().is_some_and(|all| all.commands().next().is_some())
    }

    /// Whether programs that start later belong to it: those of a name or a directory, and without arguments all.
    pub(crate) fn takes_later_ones(&self) -> bool {
        let takes_all = self.pids.is_empty() && self.paths.is_empty();
        takes_all || !self.names.is_empty() || self.paths.iter().any(|path| path.is_dir())
    }

    /// Whether the program was asked for as a process, by name or as a file, and not with all others of a place.
    pub(crate) fn is_sought(&self, program: &Program<'_>) -> bool {
        let follows = self.following.as_ref().is_some_and(|all| all.is_followed(program));
        follows || is_named(program) || self.asked(program).is_some()
    }

    /// The programs that are shown: always those that count now, which live, are a ledger, or ended
    /// and are not in the ledger of their application yet; another one if `all`, or if its file was
    /// named. If a process id has no live file, its dead ones; if no program of a name lives, the one
    /// that ended last.
    pub(crate) fn select<'p, 'a>(
        &self,
        programs: &'p [Program<'a>],
        all: bool,
    ) -> Vec<&'p Program<'a>> {
        let groups = self.groups(programs);
        programs.iter().filter(|program| self.includes(program, all, &groups)).collect()
    }

    /// The programs that died in the directories that were named, and are not selected for that: their files
    /// stay as post-mortems.
    pub(crate) fn post_mortems<'p, 'a>(&self, programs: &'p [Program<'a>]) -> Vec<&'p Program<'a>> {
        let groups = self.groups(programs);
        let died = programs.iter().filter(|program| {
            program.state() == FileState::Dead && self.is_in_named_directory(program)
        });
        died.filter(|program| !self.includes(program, false, &groups)).collect()
    }

    /// As [`select`](Self::select), and all programs that are not asked for as a process or by name: those
    /// of files and directories, and without arguments of all places.
    #[cfg(any(feature = "live", feature = "record"))] // the users
    pub(crate) fn select_or_listed<'p, 'a>(
        &self,
        programs: &'p [Program<'a>],
    ) -> impl Iterator<Item = &'p Program<'a>> {
        let listed = programs.iter().filter(|program| self.asked(program).is_none());
        let asked = self.select(programs, false).into_iter();
        listed.chain(asked.filter(|program| self.asked(program).is_some()))
    }

    /// For each process id or name with a live program, the number of programs that ended and are not
    /// shown for that: `2 ended programs of this name`.
    pub(crate) fn left_out(&self, programs: &[Program<'_>]) -> Vec<String> {
        let mut left: Vec<_> = self
            .groups(programs)
            .into_iter()
            .filter(|(_, group)| group.is_active && group.ended > 0)
            .map(|(asked, group)| {
                let programs = if group.ended == 1 { "program" } else { "programs" };
                let of = match asked {
                    Asked::Pid(pid) => format!("of process id {pid}"),
                    Asked::Name(name) => format!("of the name {}", crate::text::escape::text(name)),
                };
                format!("{} ended {programs} {of}", group.ended)
            })
            .collect();
        left.sort_unstable();
        left
    }

    fn groups<'s>(&'s self, programs: &[Program<'_>]) -> HashMap<Asked<'s>, Group> {
        let mut groups: HashMap<Asked<'s>, Group> = HashMap::new();
        let is_there = |p: &&Program<'_>| p.state().is_readable() && !self.is_passed_over(p);
        for program in programs.iter().filter(is_there) {
            let Some(asked) = self.asked(program) else { continue };
            let group = groups.entry(asked).or_default();
            if is_active(program.state()) {
                group.is_active = true;
            } else {
                group.last = group.last.max(Some(end(program)));
                // A named file is shown, and so are those that count.
                group.ended += usize::from(!program.is_counted() && !is_named(program));
            }
        }
        groups
    }

    /// The argument that selected the program: its process id before its name.
    fn asked(&self, program: &Program<'_>) -> Option<Asked<'_>> {
        let identity = program.identity();
        let pid = |pid: Option<u32>| pid.filter(|pid| self.pids.contains(pid));
        if let Some(pid) = pid(program.process()).or_else(|| pid(identity.pid)) {
            return Some(Asked::Pid(pid));
        }
        let texts = [&identity.command, &identity.application];
        let mut texts = texts.into_iter().flatten();
        let name = texts.find_map(|text| self.names.iter().find(|name| *name == text));
        name.map(|name| Asked::Name(name))
    }

    fn includes(
        &self,
        program: &Program<'_>,
        all: bool,
        groups: &HashMap<Asked<'_>, Group>,
    ) -> bool {
        let state = program.state();
        if !state.is_readable() || self.is_passed_over(program) {
            return false;
        }
        if is_named(program) {
            return true;
        }
        let asked = self.asked(program);
        if let Some(following) = &self.following {
            // It was found by the command of one that is followed.
            let is_other = asked.is_none() && !self.is_in_named_directory(program);
            if following.commands().next().is_some() && is_other {
                return following.is_followed(program);
            }
            return program.is_counted();
        }
        if all || program.is_counted() {
            return true;
        }
        let Some(asked) = asked else { return false };
        // The last one that ended stands for a process or a name without a live program.
        let Some(group) = groups.get(&asked).filter(|group| !group.is_active) else { return false };
        matches!(asked, Asked::Pid(_)) || group.last == Some(end(program))
    }

    /// Whether the arguments include the program, in any state: without arguments all do.
    #[cfg(feature = "serve")] // the only user
    pub(crate) fn is_asked(&self, program: &Program<'_>) -> bool {
        self.is_empty()
            || is_named(program)
            || self.is_in_named_directory(program)
            || self.asked(program).is_some()
    }

    fn is_in_named_directory(&self, program: &Program<'_>) -> bool {
        let directories = program.files().iter().filter_map(|file| file.path().parent());
        let mut directories = directories.filter(|directory| !directory.as_os_str().is_empty());
        directories.any(|directory| self.paths.iter().any(|path| path == directory))
    }
}

/// Whether one of its files was named.
fn is_named(program: &Program<'_>) -> bool {
    program.files().iter().any(|file| file.named())
}

/// When a program ended, as far as the times of its files tell, and its identity.
fn end(program: &Program<'_>) -> (Option<SystemTime>, Option<ProgramId>) {
    (program.files().iter().map(|file| file.modified()).max(), program.id())
}

/// Meaning of an argument.
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
