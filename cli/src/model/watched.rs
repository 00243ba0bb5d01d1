//! Starts and ends of programs between two looks.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use mmstats_observe::{FileId, FileState, Program, ProgramId};

use super::is_active;
use crate::backend::{ProcessState, info, process};
use crate::text::escape;

/// The live programs of the look before.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    live: HashMap<ProgramId, Known>,
    /// Whether there was a look.
    started: bool,
    /// Whether messages name the command that shows the last values.
    hints: bool,
    /// Whether the last message was that the next program is waited for.
    waits: bool,
}

#[derive(Debug)]
struct Known {
    name: String,
    pid: Option<u32>,
    /// Place among the programs.
    place: usize,
    /// Paths and identities of the files.
    files: Vec<(PathBuf, FileId)>,
    /// Id and start time of the process, if it is seen under that id.
    process: Option<(u32, u64)>,
}

/// Maximum number of programs that are named in the news of one look.
const MAX_NAMED: usize = 5;

impl Watched {
    /// Messages name the command that shows the last values: for a command that does not show them itself.
    pub(crate) fn with_hints() -> Self {
        Self { hints: true, ..Self::default() }
    }

    /// Whether the last message was that the next program is waited for.
    pub(crate) const fn waits(&self) -> bool {
        self.waits
    }

    /// Messages about changes since the look before: `web[22128] died`, `now web[24461]`. `selected` are those
    /// that are shown of all `programs`. Those of applications come and go.
    pub(crate) fn news(
        &mut self,
        selected: &[&Program<'_>],
        programs: &[Program<'_>],
        waits: bool,
    ) -> Vec<String> {
        let mut live = HashMap::new();
        for (place, program) in selected.iter().enumerate() {
            let is_single = program.identity().application.is_none();
            if let Some(id) = program.id().filter(|_| is_single && is_active(program.state())) {
                let pid = program.process().or(program.identity().pid);
                let files = program.files().iter();
                let files = files.map(|file| (file.path().to_owned(), file.id())).collect();
                let process = process_of(program);
                live.insert(id, Known { name: name(program), pid, place, files, process });
            }
        }
        let before = std::mem::replace(&mut self.live, live);
        let states: HashMap<ProgramId, FileState> =
            programs.iter().filter_map(|p| Some((p.id()?, p.state()))).collect();
        let lives = |id| states.get(id).is_some_and(|state| is_active(*state));
        let mut gone: Vec<_> = before.iter().filter(|(id, _)| !lives(id)).collect();
        gone.sort_by_key(|(_, known)| known.place);
        let mut new: Vec<_> = self.live.iter().filter(|(id, _)| !before.contains_key(id)).collect();
        new.sort_by_key(|(_, known)| known.place);
        let is_first = !std::mem::replace(&mut self.started, true);
        if is_first {
            return Vec::new();
        }
        let mut news = Vec::new();
        for (id, known) in gone.iter().take(MAX_NAMED) {
            let Known { name, pid, .. } = known;
            news.push(match (states.get(id), pid) {
                (Some(FileState::Dead), Some(pid)) if self.hints => {
                    format!("{name} died; `mmstats show {pid}` has its last values")
                }
                (Some(FileState::Dead), _) => format!("{name} died"),
                (state, _) if known.is_unreadable(state.copied(), programs) => {
                    format!("{name} cannot be read any more")
                }
                (None, _) if known.runs() => format!("the files of {name} are gone; it still runs"),
                _ => format!("{name} ended"),
            });
        }
        if gone.len() > MAX_NAMED {
            news.push(format!("{} more programs are gone", gone.len() - MAX_NAMED));
        }
        if waits && !gone.is_empty() && self.live.is_empty() {
            news.push("waiting for the next one".to_owned());
            self.waits = true;
        }
        self.waits &= self.live.is_empty();
        for (_, Known { name, .. }) in new.iter().take(MAX_NAMED) {
            news.push(format!("now {name}"));
        }
        if new.len() > MAX_NAMED {
            news.push(format!("{} more programs", new.len() - MAX_NAMED));
        }
        news
    }
}

/// Time that a process has to end after it removed its files.
const TIME_TO_END: Duration = Duration::from_millis(50);

impl Known {
    /// Whether the process runs, though no file of it is left.
    fn runs(&self) -> bool {
        let Some((pid, start)) = self.process else { return false };
        let runs = || {
            process::status(pid)
                .is_some_and(|now| now.start_time == start && now.state != ProcessState::Zombie)
        };
        runs() && {
            std::thread::sleep(TIME_TO_END);
            runs()
        }
    }

    /// Whether one of the files is still there, and cannot be read: damaged or truncated. `state` is that of
    /// the program, if it is among `programs`.
    fn is_unreadable(&self, state: Option<FileState>, programs: &[Program<'_>]) -> bool {
        if let Some(state) = state {
            return !state.is_readable();
        }
        let files = || programs.iter().flat_map(Program::files);
        self.files.iter().any(|(path, id)| match files().find(|file| file.path() == path) {
            Some(file) => !file.state().is_readable(),
            // It is no longer known to be that of a program that was asked for.
            None => info(path).is_ok_and(|info| info.id == *id),
        })
    }
}

/// Id and start time of the process of a program; `None` if this process does not see it under that id.
fn process_of(program: &Program<'_>) -> Option<(u32, u64)> {
    Some((program.process()?, program.identity().start_time?))
}

/// `web[1234]`.
pub(crate) fn name(program: &Program<'_>) -> String {
    let command = escape::text(program.identity().command.as_deref().unwrap_or("?"));
    match program.process().or(program.identity().pid) {
        Some(pid) => format!("{command}[{pid}]"),
        None => command.into_owned(),
    }
}
