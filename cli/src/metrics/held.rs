//! A program between two scrapes, and after its end.

use std::collections::HashSet;
use std::time::Instant;

use mmstats_export::Target;
use mmstats_history::{Line, LineReader};
use mmstats_observe::{FieldRef, File, FileState, Identity, Kind, Program, Total, Totals};

use super::settings::Settings;
use crate::model::pattern::Pattern;

/// Identity of a program among all that were seen.
pub(crate) type Key = u128;

/// A program, or the programs of a command.
pub(crate) struct Held {
    pub(crate) key: Key,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) identity: Identity,
    /// Labels of its namespace.
    #[cfg(feature = "export")] // the only user
    pub(crate) namespace: Vec<(String, String)>,
    #[cfg(feature = "export")] // the only user
    pub(crate) instance: Option<String>,
    totals: Totals,
    pub(super) is_incomplete: bool,
    /// When its end was found; its values are final.
    pub(crate) ended: Option<Instant>,
    /// Whether it ended without a clean end.
    has_died: bool,
    /// The reader of its events, and the lines not taken yet.
    lines: Option<(LineReader, Vec<Line>)>,
}

/// Maximum number of lines that wait to be taken.
const MAX_LINES: usize = 1_000;

/// The key of a program: its instance, owner and device, or its file.
pub(super) fn key(program: &Program<'_>) -> Key {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let half = |salt: u8| -> u128 {
        let file = program.files().first().map(|file| (file.id().device, file.id().index));
        match program.id() {
            Some(id) => hasher.hash_one((salt, id)).into(),
            None => hasher.hash_one((salt, file)).into(),
        }
    };
    half(0) << 64 | half(1)
}

impl Held {
    pub(super) fn new(key: Key, program: &Program<'_>, settings: &Settings) -> Self {
        let mut labels = mmstats_export::labels(program);
        for (name, value) in &settings.labels {
            labels.retain(|(other, _)| other != name);
            labels.push((name.clone(), value.clone()));
        }
        Self {
            key,
            labels,
            identity: program.identity().clone(),
            #[cfg(feature = "export")] // the only user
            namespace: mmstats_export::namespace_labels(program),
            #[cfg(feature = "export")] // the only user
            instance: program.instance().map(|instance| instance.to_string()),
            totals: totals(&settings.filter),
            is_incomplete: false,
            ended: None,
            has_died: false,
            lines: settings.lines.map(|_| Default::default()),
        }
    }

    /// Keeps its values as they are: it ended in this state.
    pub(super) fn end(&mut self, now: Instant, state: FileState) {
        self.ended = Some(now);
        self.has_died = state == FileState::Dead;
    }

    /// Takes up a program that seemed to end: its files were removed, and are published again.
    pub(super) const fn resume(&mut self) {
        (self.ended, self.has_died) = (None, false);
    }

    /// The lines since the last call.
    #[cfg(feature = "export")] // the only user
    pub(crate) fn take_lines(&mut self) -> Vec<Line> {
        self.lines.as_mut().map(|(_, lines)| std::mem::take(lines)).unwrap_or_default()
    }

    /// Takes over the values of these files now.
    pub(super) fn update(&mut self, files: &[&File]) {
        self.totals.update(files.iter().copied(), None);
    }

    /// Takes over new lines of events: rings forget them.
    pub(super) fn take_lines_of(&mut self, files: &[&File], settings: &Settings) {
        if let (Some(since), Some((reader, lines))) = (settings.lines, &mut self.lines) {
            reader.keep(files);
            for file in files {
                reader.read(file, lines);
            }
            lines.retain(|line| line.time >= since);
            lines.sort_by_key(|line| line.time);
            lines.drain(..lines.len().saturating_sub(MAX_LINES));
        }
    }

    pub(crate) fn fields(&self) -> &[Total] {
        self.totals.fields()
    }

    /// Approximate memory of its fields, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let field = |total: &Total| {
            size_of::<Total>() * 2
                + total.field.label.len()
                + total.field.help.len()
                + total.field.attributes.len()
        };
        self.fields().iter().map(field).sum()
    }

    pub(super) fn target(&self) -> Target<'_> {
        let mut target = Target::new(self.key, &self.labels, self.fields());
        target.created = self.identity.created;
        target.is_live = self.ended.is_none();
        target.has_died = self.has_died;
        target.is_incomplete = self.is_incomplete;
        target.version = Some(self.totals.version());
        target
    }
}

/// Totals of the fields that match.
pub(super) fn totals(filter: &[Pattern]) -> Totals {
    if filter.is_empty() {
        return Totals::new();
    }
    let filter = filter.to_vec();
    Totals::filtered(move |field: &FieldRef<'_>| {
        filter.iter().any(|pattern| pattern.matches_ref(field))
    })
}

/// Totals of several programs, without what tells of one process or thread.
pub(super) fn sums_of(filter: &[Pattern]) -> Totals {
    let filter = filter.to_vec();
    Totals::filtered(move |field: &FieldRef<'_>| {
        let is_wanted = filter.is_empty() || filter.iter().any(|one| one.matches_ref(field));
        // Constants, and the thread of each lane.
        let is_of_one = field.properties().kind() == Some(Kind::Info);
        is_wanted && !(is_of_one && field.label().starts_with("sys."))
    })
}

/// The keys of these programs.
pub(super) fn keys(programs: &[Program<'_>]) -> HashSet<Key> {
    programs.iter().map(key).collect()
}
