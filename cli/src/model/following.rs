//! Programs that replace a process one after the other.

use std::collections::HashSet;

use mmstats_observe::{Observer, Program, ProgramId, Sources};

use super::is_active;

/// The processes that are followed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Following(Vec<Followed>);

/// A program that is followed, and after its end the one that replaces it.
#[derive(Debug, Clone)]
struct Followed {
    /// The process id that was named.
    pid: u32,
    command: String,
    owner: Option<u32>,
    id: Option<ProgramId>,
    /// When it began, as [`began`].
    began: f64,
    /// Ids of later programs with the same command and owner, seen while it lived.
    beside: HashSet<ProgramId>,
}

impl Following {
    /// The programs of these processes, as far as they are found.
    pub(crate) fn find(pids: &[u32]) -> Self {
        let mut observer =
            Observer::new(pids.iter().fold(Sources::new(), |all, pid| all.pid(*pid)));
        if !pids.is_empty() {
            observer.refresh();
        }
        let mut following = Self::default();
        following.find_more(pids, &observer.programs());
        following
    }

    /// Adds the programs of these processes, as far as a look has found them.
    pub(crate) fn find_more(&mut self, pids: &[u32], programs: &[Program<'_>]) {
        self.0.extend(pids.iter().filter_map(|pid| Followed::find(*pid, programs)));
    }

    /// Whether the process was found.
    pub(crate) fn has(&self, pid: u32) -> bool {
        self.0.iter().any(|followed| followed.pid == pid)
    }

    /// The commands of the processes.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|followed| followed.command.as_str())
    }

    /// Finds in a look the programs that replace those that ended.
    pub(crate) fn update(&mut self, programs: &[Program<'_>]) {
        let mut taken: HashSet<ProgramId> = self.0.iter().filter_map(|one| one.id).collect();
        for followed in &mut self.0 {
            let active = || programs.iter().filter(|program| is_active(program.state()));
            if active().any(|program| program.id() == followed.id) {
                let others = active().filter(|program| followed.is_later(program));
                let others: Vec<ProgramId> = others.filter_map(Program::id).collect();
                followed.beside.extend(others);
                continue;
            }
            // Prefers a program first seen after its end; then the earliest start.
            let is_new = |p: &&Program<'_>| p.id().is_some_and(|id| !followed.beside.contains(&id));
            let is_free = |p: &&Program<'_>| p.id().is_some_and(|id| !taken.contains(&id));
            let later = active().filter(|p| followed.is_later(p)).filter(is_free);
            let next = later.max_by(|a, b| {
                is_new(a).cmp(&is_new(b)).then_with(|| began(b).total_cmp(&began(a)))
            });
            let Some(next) = next else { continue };
            taken.extend(next.id());
            followed.id = next.id();
            followed.began = began(next);
            followed.beside.clear();
        }
    }

    /// Whether the program is one of those that are followed now, and may publish.
    pub(crate) fn is_followed(&self, program: &Program<'_>) -> bool {
        let id = program.id();
        id.is_some() && is_active(program.state()) && self.0.iter().any(|one| one.id == id)
    }
}

impl Followed {
    /// The program of a process.
    fn find(pid: u32, programs: &[Program<'_>]) -> Option<Self> {
        let is_it = |p: &&Program<'_>| {
            p.state().is_readable() && [p.process(), p.identity().pid].contains(&Some(pid))
        };
        // A live one; that of this process id here, and not in a container; else the last: process ids are
        // used again.
        let rank = |p: &Program<'_>| (is_active(p.state()), p.process() == Some(pid));
        let program = programs
            .iter()
            .filter(is_it)
            .max_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| began(a).total_cmp(&began(b))))?;
        Some(Self {
            pid,
            command: program.identity().command.clone()?,
            owner: program.owner(),
            id: Some(program.id()?),
            began: began(program),
            beside: HashSet::new(),
        })
    }

    /// Whether the program has the command and owner, and began later.
    fn is_later(&self, program: &Program<'_>) -> bool {
        let identity = program.identity();
        identity.command.as_deref() == Some(&self.command)
            && program.owner() == self.owner
            && program.id() != self.id
            && began(program) > self.began
    }
}

/// When a program began, in seconds since 1970; before all others if that is not known.
fn began(program: &Program<'_>) -> f64 {
    let created = program.identity().created.filter(|created| !created.is_nan());
    created.unwrap_or(f64::NEG_INFINITY)
}
