//! Programs of `mmstats-observe` as targets.

use mmstats_observe::{FileState, Identity, Instance, Program, Total};

use crate::catalogue::Target;

/// Labels that tell a program from the others of a machine: `command`, `pid`, `run` (the first eight
/// digits of its instance: the next program of that pid has another one; of a file without an instance, of which a
/// process may have several, its name), `application`, and [`namespace_labels`].
#[must_use]
pub fn labels(program: &Program<'_>) -> Vec<(String, String)> {
    let is_ledger = program.ledger().is_some();
    let mut labels = identity_labels(program.identity(), program.instance(), is_ledger);
    if let (None, Some(file)) = (program.instance(), program.files().first()) {
        let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        labels.push(("run".to_owned(), name));
    }
    labels.extend(namespace_labels(program));
    labels
}

/// Labels of a program in other namespaces than this process: `host_pid` (its process as this one sees it),
/// `namespace` (a number that tells it from others) and `container`. None for others.
#[must_use]
pub fn namespace_labels(program: &Program<'_>) -> Vec<(String, String)> {
    let Some(namespace) = program.namespace() else { return Vec::new() };
    let pairs = [
        ("host_pid", program.process().map(|pid| pid.to_string())),
        ("namespace", Some(namespace.number().to_string())),
        ("container", namespace.container.clone()),
    ];
    let known = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.collect()
}

/// As [`labels`], of a program without its files: without those of a namespace.
#[must_use]
pub fn identity_labels(
    identity: &Identity,
    instance: Option<Instance>,
    is_ledger: bool,
) -> Vec<(String, String)> {
    let run = instance.map(|instance| instance.to_string().chars().take(8).collect());
    // The sums of ended programs have no process.
    let pid = identity.pid.filter(|_| !is_ledger);
    let pairs = [
        ("command", identity.command.clone()),
        ("pid", pid.map(|pid| pid.to_string())),
        ("run", run),
        ("application", identity.application.clone()),
    ];
    let known = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.filter(|(_, value)| !value.is_empty()).collect()
}

impl<'a> Target<'a> {
    /// A program with these labels and the values of its fields.
    #[must_use]
    pub fn of(program: &Program<'_>, labels: &'a [(String, String)], fields: &'a [Total]) -> Self {
        let file = program.files().first().map(|file| file.id());
        let file = file.map_or(0, |id| u128::from(id.device) << 64 | u128::from(id.index));
        let instance = program.instance().map(|instance| u128::from_ne_bytes(instance.0));
        Self {
            created: program.identity().created,
            is_live: !program.state().has_ended(),
            has_died: program.state() == FileState::Dead,
            is_incomplete: !program.completeness().is_complete(),
            ..Self::new(instance.unwrap_or(file), labels, fields)
        }
    }
}
