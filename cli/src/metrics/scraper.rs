//! Looks for exporters: programs that live, and those that ended a short time ago.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use mmstats_export::Target;
use mmstats_observe::{File, FileState, Fold, Identity, Observer, Program, Totals};

use super::held::{Held, Key, key, keys, sums_of};
use super::settings::Settings;
use crate::model::selection::Selection;

/// Looks at programs without keeping a past.
///
/// A program that ends stays for a while with its final values. What had ended before the first look is
/// left out.
pub(crate) struct Scraper {
    observer: Observer,
    selection: Selection,
    settings: Settings,
    held: HashMap<Key, Held>,
    /// Programs that had ended before the first look, or are held no longer.
    over: HashSet<Key>,
    sums: HashMap<String, Summed>,
    started: bool,
    dropped: u64,
}

/// The programs of a command.
struct Summed {
    labels: Vec<(String, String)>,
    totals: Totals,
    /// Counts of those that ended.
    fold: Fold,
    created: Option<f64>,
    is_incomplete: bool,
    /// Whether one of them may still publish.
    is_live: bool,
    /// Of those that ended, when the one that began last began, and whether it died.
    last_end: Option<(f64, bool)>,
}

impl Scraper {
    pub(crate) fn new(selection: Selection, settings: Settings) -> Self {
        let observer = Observer::new(selection.sources.clone());
        let (held, over, sums) = (HashMap::new(), HashSet::new(), HashMap::new());
        Self { observer, selection, settings, held, over, sums, started: false, dropped: 0 }
    }

    /// Number of ended programs that were dropped early, because all of them took too much memory.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The directories in which files were looked for.
    #[cfg(feature = "export")] // the only user
    pub(crate) fn directories(&self) -> Vec<std::path::PathBuf> {
        self.observer.directories().to_vec()
    }

    /// Looks at all programs: at files that came or went, and at the values of those that may change.
    pub(crate) fn refresh(&mut self) {
        self.look(true);
    }

    /// Looks at files that came, went or ended, without the values of programs that go on: what they have at their end
    /// can be read then.
    #[cfg(feature = "export")] // the only user
    pub(crate) fn follow(&mut self) {
        self.look(false);
    }

    fn look(&mut self, values: bool) {
        let changes = self.observer.refresh();
        let now = Instant::now();
        let is_first = !std::mem::replace(&mut self.started, true);
        let vanished = Program::group(&changes.vanished);
        if !self.settings.sum && !is_first {
            self.take_vanished(&vanished, now);
        }
        let mut programs = self.observer.programs();
        programs
            .retain(|program| program.state().is_readable() && self.selection.is_asked(program));
        if is_first {
            let ended = programs.iter().filter(|program| program.state().has_ended());
            self.over.extend(ended.map(key));
        }
        let seen = keys(&programs);
        if self.settings.sum {
            let sums = &mut self.sums;
            Self::sum(sums, &self.over, &programs, &self.settings, &vanished, values);
            self.over.retain(|key| seen.contains(key));
            return;
        }
        for program in &programs {
            let key = key(program);
            // The ledger has what ended instances counted, which their own series had too.
            if program.ledger().is_some() || self.over.contains(&key) {
                continue;
            }
            let has_ended = program.state().has_ended();
            let mut is_new = !self.held.contains_key(&key);
            let held = self.held.entry(key);
            let held = held.or_insert_with(|| Held::new(key, program, &self.settings));
            if held.ended.is_some() {
                // Its values are final; a ledger may have them since.
                if program.state() != FileState::Live {
                    continue;
                }
                held.resume();
                is_new = true;
            }
            held.take_lines_of(program.files(), &self.settings);
            let can_wait = !values && !is_new && !has_ended;
            if can_wait && program.files().iter().all(|file| file.is_mapped()) {
                continue;
            }
            held.update(program.files());
            held.is_incomplete = !program.completeness().is_complete();
            if has_ended {
                held.end(now, program.state());
            }
        }
        // A program whose files are gone without a last look at them.
        for (key, held) in &mut self.held {
            if !seen.contains(key) {
                held.ended.get_or_insert(now);
            }
        }
        self.drop_old(now, &seen);
    }

    /// Reads the final values of files whose names are gone: they are still mapped. A file that came and
    /// went between two looks is new here.
    fn take_vanished(&mut self, programs: &[Program<'_>], now: Instant) {
        for program in programs {
            let key = key(program);
            let is_wanted = program.state().is_readable() && self.selection.is_asked(program);
            if !is_wanted || self.over.contains(&key) || program.ledger().is_some() {
                continue;
            }
            let settings = &self.settings;
            let held = self.held.entry(key);
            let held = held.or_insert_with(|| Held::new(key, program, settings));
            if held.ended.is_none() {
                held.take_lines_of(program.files(), settings);
                held.update(program.files());
                held.end(now, program.state());
            }
        }
    }

    /// Drops programs that ended long ago, and the oldest of the others while all take too much memory.
    fn drop_old(&mut self, now: Instant, seen: &HashSet<Key>) {
        let mut ended: Vec<(Instant, Key, usize)> = self
            .held
            .values()
            .filter_map(|held| Some((held.ended?, held.key, held.bytes())))
            .collect();
        ended.sort_unstable_by_key(|(since, ..)| *since);
        let mut bytes: usize = ended.iter().map(|(.., bytes)| bytes).sum();
        for (since, key, size) in ended {
            let is_old = now.saturating_duration_since(since) >= self.settings.hold;
            if is_old || bytes > self.settings.budget {
                self.dropped += u64::from(!is_old);
                bytes -= size;
                self.held.remove(&key);
                self.over.insert(key);
            }
        }
        // A key without files does not come back.
        self.over.retain(|key| seen.contains(key));
    }

    /// The programs as they were at the last look, those that began first first.
    fn held(&self) -> Vec<&Held> {
        let mut all: Vec<&Held> = self.held.values().collect();
        all.sort_by(|a, b| {
            let created = |held: &Held| held.identity.created.unwrap_or(0.0);
            created(a).total_cmp(&created(b)).then(a.key.cmp(&b.key))
        });
        all
    }

    /// The programs, those that began first first.
    #[cfg(feature = "export")] // the only user
    pub(crate) fn held_mut(&mut self) -> Vec<&mut Held> {
        let mut all: Vec<&mut Held> = self.held.values_mut().collect();
        all.sort_by_key(|held| held.key);
        all
    }

    /// The observer, as of the last look.
    #[cfg(feature = "export")] // the only user
    pub(crate) const fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Labels of all series.
    #[cfg(feature = "export")] // the only user
    pub(crate) fn labels(&self) -> &[(String, String)] {
        &self.settings.labels
    }

    /// Whether the programs of a command are one.
    #[cfg(feature = "export")] // the only user
    pub(crate) const fn is_summed(&self) -> bool {
        self.settings.sum
    }

    /// The targets as they were at the last look.
    pub(crate) fn targets(&self) -> Vec<Target<'_>> {
        if self.settings.sum {
            let mut commands: Vec<(&String, &Summed)> = self.sums.iter().collect();
            commands.sort_by_key(|(command, _)| *command);
            let number = (1_u128..).zip(commands);
            return number.map(|(number, (_, summed))| summed.target(number)).collect();
        }
        self.held().into_iter().map(Held::target).collect()
    }
}

impl Summed {
    fn target(&self, key: Key) -> Target<'_> {
        let mut target = Target::new(key, &self.labels, self.totals.fields());
        target.created = self.created;
        target.is_incomplete = self.is_incomplete;
        target.is_live = self.is_live;
        target.has_died = !self.is_live && self.last_end.is_some_and(|(_, died)| died);
        target.version = Some(self.totals.version());
        target
    }

    /// Takes over that one of its programs ended.
    fn end(&mut self, (created, died): (f64, bool)) {
        if self.last_end.is_none_or(|(last, _)| created >= last) {
            self.last_end = Some((created, died));
        }
    }
}

/// The files of a command.
#[derive(Default)]
struct Files<'a> {
    /// Files of programs that count now.
    counted: Vec<&'a File>,
    /// Files of all programs except those that had ended before the first look.
    all: Vec<&'a File>,
    vanished: Vec<&'a File>,
    is_incomplete: bool,
    is_live: bool,
    /// When each program that ended began, and whether it died.
    ended: Vec<(f64, bool)>,
}

impl<'a> Files<'a> {
    /// Takes over whether a program lives, or how it ended.
    fn add_state(&mut self, program: &Program<'a>) {
        if program.ledger().is_some() {
            return;
        }
        if program.state().has_ended() {
            let created = program.identity().created.unwrap_or(0.0);
            self.ended.push((created, program.state() == FileState::Dead));
        } else {
            self.is_live = true;
        }
    }
}

impl Scraper {
    /// Adds the programs of each command, with their values if `values`. Counts of programs that end stay.
    fn sum(
        sums: &mut HashMap<String, Summed>,
        over: &HashSet<Key>,
        programs: &[Program<'_>],
        settings: &Settings,
        vanished: &[Program<'_>],
        values: bool,
    ) {
        let command = |identity: &Identity| {
            identity.command.clone().or_else(|| identity.application.clone()).unwrap_or_default()
        };
        let mut by_command: HashMap<String, Files<'_>> = HashMap::new();
        for program in programs {
            let files = by_command.entry(command(program.identity())).or_default();
            files.add_state(program);
            if program.is_counted() {
                files.counted.extend(program.files());
                files.is_incomplete |= !program.completeness().is_complete();
            }
            if !over.contains(&key(program)) {
                files.all.extend(program.files());
            }
        }
        for program in vanished.iter().filter(|program| !over.contains(&key(program))) {
            let files = by_command.entry(command(program.identity())).or_default();
            files.vanished.extend(program.files());
            if program.state().has_ended() {
                files.add_state(program);
            }
        }
        for (command, files) in &by_command {
            let summed = sums.entry(command.clone()).or_insert_with(|| {
                let mut labels = settings.labels.clone();
                labels.insert(0, ("command".to_owned(), command.clone()));
                labels.retain(|(_, value)| !value.is_empty());
                let (totals, fold) = (sums_of(&settings.filter), Fold::new());
                let counted = || files.all.iter().chain(&files.counted);
                let created = counted().filter_map(|file| file.identity().created);
                // A ledger was made after the programs that it counts began: when, it does not say.
                let has_ledger = counted().any(|file| file.ledger().is_some());
                let created = created.reduce(f64::min).filter(|_| !has_ledger);
                let (is_incomplete, is_live, last_end) = (false, false, None);
                Summed { labels, totals, fold, created, is_incomplete, is_live, last_end }
            });
            summed.is_incomplete = files.is_incomplete;
            files.ended.iter().for_each(|end| summed.end(*end));
        }
        for (command, summed) in sums {
            let none = Files::default();
            let files = by_command.get(command).unwrap_or(&none);
            summed.is_live = files.is_live;
            summed.fold.add_ended(files.all.iter().copied(), files.vanished.iter().copied());
            if values {
                summed.totals.update(files.counted.iter().copied(), Some(&summed.fold));
            }
        }
    }
}
