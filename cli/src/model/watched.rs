//! What became of programs that a command shows again and again.

use std::collections::HashMap;

use mmstats_observe::{FileState, Program, ProgramId};

use super::is_active;
use crate::text::escape;

/// The live programs of the look before.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    live: HashMap<ProgramId, Known>,
    /// Whether there was a look.
    started: bool,
    /// Whether the news say where the last values are.
    hints: bool,
}

#[derive(Debug)]
struct Known {
    name: String,
    pid: Option<u32>,
    /// Place among the programs.
    place: usize,
}

/// Maximum number of programs that are named in the news of one look.
const MAX_NAMED: usize = 5;

impl Watched {
    /// With hints where last values are, for a command that does not show them itself.
    pub(crate) fn with_hints() -> Self {
        Self { hints: true, ..Self::default() }
    }

    /// What has happened since the look before: `web[22128] died`, `now web[24461]`. `selected` are those
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
                live.insert(id, Known { name: name(program), pid, place });
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
        for (id, Known { name, pid, .. }) in gone.iter().take(MAX_NAMED) {
            news.push(match (states.get(id), pid) {
                (Some(FileState::Dead), Some(pid)) if self.hints => {
                    format!("{name} died; `mmstats show {pid}` has its last values")
                }
                (Some(FileState::Dead), _) => format!("{name} died"),
                _ => format!("{name} ended"),
            });
        }
        if gone.len() > MAX_NAMED {
            news.push(format!("{} more programs ended", gone.len() - MAX_NAMED));
        }
        if waits && !gone.is_empty() && self.live.is_empty() {
            news.push("waiting for the next one".to_owned());
        }
        for (_, Known { name, .. }) in new.iter().take(MAX_NAMED) {
            news.push(format!("now {name}"));
        }
        if new.len() > MAX_NAMED {
            news.push(format!("{} more programs", new.len() - MAX_NAMED));
        }
        news
    }
}

/// `web[1234]`.
pub(crate) fn name(program: &Program<'_>) -> String {
    let command = escape::text(program.identity().command.as_deref().unwrap_or("?"));
    match program.process().or(program.identity().pid) {
        Some(pid) => format!("{command}[{pid}]"),
        None => command.into_owned(),
    }
}
