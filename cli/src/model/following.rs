//! Programs that replace a process one after the other.

use std::collections::HashSet;

use mmstats_observe::{Observer, Program, ProgramId, Sources};

use super::is_active;

/// The processes that are followed.
#[derive(Debug, Default)]
pub(crate) struct Following(Vec<Followed>);

/// A program that is followed, and after its end the one that replaces it.
#[derive(Debug)]
struct Followed {
    /// The process id that was named.
    pid: u32,
    command: String,
    owner: Option<u32>,
    id: Option<ProgramId>,
    /// When it began, in seconds since 1970.
    created: Option<f64>,
    /// Others of its command that were seen while it lived.
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
        let programs = observer.programs();
        let found = pids.iter().filter_map(|pid| {
            let is_it = |p: &&Program<'_>| {
                p.state().is_readable()
                    && (p.process() == Some(*pid) || p.identity().pid == Some(*pid))
            };
            let began = |p: &&Program<'_>| p.identity().created.map_or(0, f64::to_bits);
            // A live one, else the last: process ids are used again.
            let program =
                programs.iter().filter(is_it).max_by_key(|p| (is_active(p.state()), began(p)))?;
            Some(Followed {
                pid: *pid,
                command: program.identity().command.clone()?,
                owner: program.owner(),
                id: Some(program.id()?),
                created: program.identity().created,
                beside: HashSet::new(),
            })
        });
        Self(found.collect())
    }

    /// Whether the process was found.
    pub(crate) fn has(&self, pid: u32) -> bool {
        self.0.iter().any(|followed| followed.pid == pid)
    }

    /// The commands of the processes.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|followed| followed.command.as_str())
    }

    /// Learns from a look what replaces programs that ended.
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
            // One that was not there before, else one that began while it lived.
            let began = |p: &&Program<'_>| p.identity().created.map_or(0, f64::to_bits);
            let is_new = |p: &&Program<'_>| p.id().is_some_and(|id| !followed.beside.contains(&id));
            let is_free = |p: &&Program<'_>| p.id().is_some_and(|id| !taken.contains(&id));
            let later = active().filter(|p| followed.is_later(p)).filter(is_free);
            let next = later.max_by_key(|p| (is_new(p), std::cmp::Reverse(began(p))));
            let Some(next) = next else { continue };
            taken.extend(next.id());
            followed.id = next.id();
            followed.created = next.identity().created;
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
    /// Whether the program has the command and owner, and began later.
    fn is_later(&self, program: &Program<'_>) -> bool {
        let identity = program.identity();
        identity.command.as_deref() == Some(&self.command)
            && program.owner() == self.owner
            && program.id() != self.id
            && identity.created > self.created
    }
}
