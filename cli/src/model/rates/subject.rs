//! Programs whose counts are compared as one.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use mmstats_observe::{FileState, Identity, Program, ProgramId};

use super::series::Start;
use crate::model::{age, is_active};

/// Programs whose counts are compared as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// Name, owner and device: its ledger takes in the counts of instances that ended.
    Application(String, Option<u32>, u64),
    Program(ProgramId),
    /// A file of format 1.
    File(String),
}

/// Groups the instances of applications.
pub(crate) fn subjects<'p, 'a>(
    programs: &[&'p Program<'a>],
) -> impl Iterator<Item = (Subject, Vec<&'p Program<'a>>)> {
    let subject = |program: &&Program<'_>| {
        let application = program.identity().application.as_ref();
        program.id().map_or_else(
            || {
                let file = program.files().first();
                Subject::File(file.map_or_else(String::new, |file| format!("{:?}", file.id())))
            },
            |id| Subject::of_program(id, application),
        )
    };
    grouped(programs, subject)
}

impl Subject {
    pub(crate) fn of_program(id: ProgramId, application: Option<&String>) -> Self {
        match application {
            Some(name) => Self::Application(name.clone(), id.owner, id.device),
            None => Self::Program(id),
        }
    }
}

/// Groups programs by their subject, in their order.
pub(crate) fn grouped<P: Copy>(
    programs: &[P],
    subject: impl Fn(&P) -> Subject,
) -> impl Iterator<Item = (Subject, Vec<P>)> {
    let mut groups: Vec<(Subject, Vec<P>)> = Vec::new();
    let mut known: HashMap<Subject, usize> = HashMap::new();
    for program in programs {
        let subject = subject(program);
        let at = *known.entry(subject.clone()).or_insert_with(|| {
            groups.push((subject, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(*program);
    }
    groups.into_iter()
}

/// Since when a program that was not seen before counts: since its start, if that is within the
/// interval.
pub(crate) fn start(program: &Program<'_>, now: SystemTime, elapsed: Option<Duration>) -> Start {
    start_of(program.identity(), program.state(), now, elapsed)
}

/// As [`start`].
pub(crate) fn start_of(
    identity: &Identity,
    state: FileState,
    now: SystemTime,
    elapsed: Option<Duration>,
) -> Start {
    if identity.declared.is_some() {
        // Its counters go on from an earlier run.
        return Start::Unknown;
    }
    let age = age(identity, now).filter(|_| is_active(state));
    match (age, elapsed) {
        // It may have been built for a while before it could be seen.
        (Some(age), Some(elapsed)) if age <= elapsed * 2 => {
            Start::Seconds(elapsed.max(age).as_secs_f64())
        }
        _ => Start::Unknown,
    }
}
