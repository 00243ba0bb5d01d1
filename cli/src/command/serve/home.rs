//! The frame of the home page: all programs, each with the version of its last change.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use mmstats_history::{History, Moment, ProgramKey};
use serde::Serialize;

use super::answer::text;
use super::document::ProgramDocument;
use super::ids::Ids;
use super::times::Times;
use crate::live::processes::Processes;

/// Maximum number of programs that are remembered as removed.
const MAX_REMOVED: usize = 1_000;

/// All programs, as JSON.
#[derive(Debug, Clone, Default)]
pub(super) struct Home {
    /// In seconds since 1970.
    pub(super) time: f64,
    pub(super) version: u64,
    /// Number of looks that it is of.
    pub(super) looks: Option<u64>,
    /// In the order in which they were first seen.
    order: Vec<ProgramKey>,
    programs: HashMap<ProgramKey, Row>,
    removed: VecDeque<(u64, String)>,
    problems: (u64, String),
}

#[derive(Debug, Clone)]
struct Row {
    version: u64,
    id: String,
    essence: String,
    text: Arc<str>,
}

impl Home {
    /// Takes all programs; returns whether anything changed.
    pub(super) fn update(
        &mut self,
        times: &Times,
        history: &History,
        processes: &Processes,
        at: Moment,
        version: u64,
    ) -> bool {
        let mut changed = false;
        let ids = Ids::new(history);
        self.order.clear();
        for program in history.programs() {
            let id = ids.get(program.key);
            let document = ProgramDocument::new(times, id, program, processes, at);
            let Some(document) = document else { continue };
            self.order.push(program.key);
            let essence = document.essence();
            let text = Arc::from(text(&document));
            let before = self.programs.get_mut(&program.key);
            match before.filter(|row| row.essence == essence && row.id == id) {
                // Its age grows.
                Some(row) => row.text = text,
                None => {
                    let row = Row { version, id: id.to_owned(), essence, text };
                    self.programs.insert(program.key, row);
                    changed = true;
                }
            }
        }
        let kept: HashSet<ProgramKey> = self.order.iter().copied().collect();
        let gone = self.programs.extract_if(|key, _| !kept.contains(key));
        for (_, row) in gone {
            self.removed.push_back((version, row.id));
            changed = true;
        }
        let excess = self.removed.len().saturating_sub(MAX_REMOVED);
        self.removed.drain(..excess);
        let problems = problems(history);
        if problems != self.problems.1 {
            self.problems = (version, problems);
            changed = true;
        }
        self.time = times.seconds(at);
        if changed {
            self.version = version;
        }
        changed
    }

    /// The whole document.
    pub(super) fn document(&self) -> String {
        self.write(self.order.iter().filter_map(|key| self.programs.get(key)), None, true)
    }

    /// The programs that changed after `version`, which is 0 for all.
    pub(super) fn since(&self, version: u64) -> String {
        if version == 0 {
            return self.document();
        }
        let rows = self.order.iter().filter_map(|key| self.programs.get(key));
        let removed = self.removed.iter().filter(|(since, _)| *since > version);
        let removed: Vec<&str> = removed.map(|(_, id)| id.as_str()).collect();
        let rows = rows.filter(|row| row.version > version);
        self.write(rows, Some(&removed), self.problems.0 > version)
    }

    fn write<'a>(
        &self,
        rows: impl Iterator<Item = &'a Row>,
        removed: Option<&[&str]>,
        with_problems: bool,
    ) -> String {
        let rows: Vec<&str> = rows.map(|row| &*row.text).collect();
        let mut text = format!("{{\"time\":{},\"programs\":[{}]", self.time, rows.join(","));
        if let Some(removed) = removed {
            text += &format!(",\"removed\":{}", super::answer::text(&removed));
        }
        if with_problems {
            text += &format!(",\"problems\":{}", self.problems.1);
        }
        text + "}"
    }
}

fn problems(history: &History) -> String {
    let mut all: Vec<String> = history.problems().iter().map(|p| format!("{p}")).collect();
    match history.more_problems() {
        0 => {}
        more => all.push(format!("and {more} more problems")),
    }
    match history.dropped() {
        0 => {}
        1 => all.push("1 ended program was dropped for want of memory: --memory".to_owned()),
        count => {
            all.push(format!("{count} ended programs were dropped for want of memory: --memory"));
        }
    }
    text(&all)
}

/// All programs at an earlier moment.
pub(super) fn at(
    times: &Times,
    history: &History,
    processes: &Processes,
    moment: Moment,
) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        time: f64,
        programs: Vec<ProgramDocument<'a>>,
        problems: [&'static str; 0],
    }
    let ids = Ids::new(history);
    let programs = history.programs().iter().filter_map(|program| {
        ProgramDocument::new(times, ids.get(program.key), program, processes, moment)
    });
    let programs = programs.collect();
    text(&Document { time: times.seconds(moment), programs, problems: [] })
}
