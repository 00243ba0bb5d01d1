//! One look at the programs: what each condition finds in each of them.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use mmstats_observe::{Observer, Program, Sources};

use super::condition::{Condition, Test};
use super::finding::{Finding, Found};
use super::group::Group;
use super::measure::Measure;
use crate::model::rates::column::Columns;
use crate::model::rates::series::{Covers, Gain, Look, Start};
use crate::model::rates::subject::{Subject, start, subjects};
use crate::model::rates::views::View;
use crate::model::selection::Selection;
use crate::render::problems::is_unsettled;
#[cfg(feature = "threads")] // of deadlocks
use crate::text::escape;

/// All that a look found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    /// Programs that have ended, whose last values say nothing about now: what became of each.
    pub(super) ended: Vec<String>,
    /// Number of programs or applications.
    pub(super) subjects: usize,
}

/// Repeats looks, and keeps what rates need.
pub(super) struct Reader<'c> {
    pub(super) observer: Observer,
    pub(super) selection: Selection,
    conditions: &'c [Condition],
    /// One for each condition; `None` for those without a field.
    views: Vec<Option<View>>,
    columns: Columns,
    before: HashMap<Subject, Look>,
    last: Option<Instant>,
    /// Whether quantiles are those of the interval.
    recent: bool,
    /// Whether a name waits for its next program.
    waits: bool,
    #[cfg(feature = "threads")]
    watcher: mmstats_threads::Watcher,
}

/// Number of times that a contended value is read.
const ATTEMPTS: usize = 5;
/// Time between them.
const PAUSE: Duration = Duration::from_millis(10);

impl<'c> Reader<'c> {
    pub(super) fn new(
        selection: Selection,
        conditions: &'c [Condition],
        recent: bool,
        waits: bool,
    ) -> Self {
        let view = |condition: &Condition| match &condition.test {
            Test::Field(comparison) => Some(View::single(comparison.pattern.clone())),
            _ => None,
        };
        Self {
            observer: Observer::new(selection.sources.clone()),
            selection,
            views: conditions.iter().map(view).collect(),
            conditions,
            columns: Columns::default(),
            before: HashMap::new(),
            last: None,
            recent,
            waits,
            #[cfg(feature = "threads")]
            watcher: mmstats_threads::Watcher::new(),
        }
    }

    pub(super) fn look(&mut self) -> Looked {
        // Programs borrow it while the rest changes.
        let mut observer = std::mem::replace(&mut self.observer, Observer::new(Sources::new()));
        let mut attempt = 1;
        let looked = loop {
            observer.refresh();
            let all = observer.programs();
            if self.waits {
                self.selection.pass_over_ended(&all);
            }
            let programs = self.selection.select(&all, false);
            let unsettled = is_unsettled(&observer);
            let groups: Vec<Group<'_, '_>> = subjects(&programs)
                .map(|(subject, programs)| Group::read(subject, programs, &self.views, unsettled))
                .collect();
            if attempt == ATTEMPTS || !groups.iter().any(Group::is_contended) {
                let mut looked = self.judge(groups, unsettled);
                looked.findings.extend(self.post_mortems(&all));
                break looked;
            }
            attempt += 1;
            std::thread::sleep(PAUSE);
        };
        self.observer = observer;
        looked
    }

    fn judge(&mut self, mut groups: Vec<Group<'_, '_>>, unsettled: bool) -> Looked {
        let (now, time) = (Instant::now(), SystemTime::now());
        let elapsed = self.last.map(|last| now - last);
        let mut looks = HashMap::new();
        for group in &mut groups {
            let is_application = matches!(group.subject, Subject::Application(..));
            let mut covers = Covers::new(&group.programs, is_application);
            covers.is_whole &= !(unsettled && is_application);
            let mut look = Look::new(now, covers);
            for (number, view) in self.views.iter().enumerate() {
                let Some(view) = view else { continue };
                let files = group.programs.iter().flat_map(|program| program.files().iter());
                let fields = files.flat_map(|file| file.fields());
                let good = fields.filter(|field| field.damage().is_none() && !field.is_retired());
                self.columns.add_to(number, view, good);
                look.add(number, &group.series[number], &self.columns);
            }
            let mut gains = vec![Gain::default(); self.columns.all.len()];
            let start = match group.programs[..] {
                [program] if !is_application => start(program, time, elapsed),
                _ => Start::Unknown,
            };
            look.gains(self.before.remove(&group.subject), start, &mut gains);
            group.gains = gains.into_iter().map(Gain::interval).collect();
            looks.insert(group.subject.clone(), look);
        }
        (self.before, self.last) = (looks, Some(now));
        self.look_at_threads(&groups);
        let mut looked = Looked { subjects: groups.len(), ..Looked::default() };
        let mut at = 0;
        for group in &groups {
            let measure = Measure { group, time, recent: self.recent, columns: &self.columns };
            for (number, condition) in self.conditions.iter().enumerate() {
                let found = match &condition.test {
                    Test::Dead => vec![Found::dead(group, time)],
                    Test::Stopped => vec![Found::stopped(group)],
                    Test::Deadlock => vec![self.deadlock(at, group)],
                    Test::Field(comparison) => measure.field(number, comparison),
                };
                let new = |found| Finding::new(group, number, condition, found);
                looked.findings.extend(found.into_iter().map(new));
            }
            at += group.programs.len();
            // A file that was named is judged by its last values.
            if group.has_ended && !group.is_named() {
                looked.ended.push(group.ended(time));
            }
        }
        // A process may be several programs, of which one has the field.
        let has = |number| looked.findings.iter().any(|f| f.condition == number && !f.is_missing);
        let has: Vec<bool> = (0..self.conditions.len()).map(has).collect();
        looked.findings.retain(|finding| !finding.is_missing || !has[finding.condition]);
        looked
    }

    /// Findings of the condition `dead` for the dead programs of a named directory. Other conditions ignore
    /// these programs: newer ones may have replaced them.
    fn post_mortems(&self, all: &[Program<'_>]) -> Vec<Finding> {
        let time = SystemTime::now();
        let conditions = self.conditions.iter().enumerate();
        let conditions = conditions.filter(|(_, condition)| matches!(condition.test, Test::Dead));
        let conditions: Vec<_> = conditions.collect();
        let died = self.selection.post_mortems(all);
        subjects(&died)
            .flat_map(|(subject, programs)| {
                let group = Group::read(subject, programs, &[], false);
                let find = |(number, condition): &(usize, &Condition)| {
                    Finding::new(&group, *number, condition, Found::dead(&group, time))
                };
                conditions.iter().map(find).collect::<Vec<_>>()
            })
            .collect()
    }

    #[cfg(feature = "threads")]
    fn look_at_threads(&mut self, groups: &[Group<'_, '_>]) {
        if self.conditions.iter().any(|condition| matches!(condition.test, Test::Deadlock)) {
            let programs = groups.iter().flat_map(|group| group.programs.iter().copied().cloned());
            let programs: Vec<Program<'_>> = programs.collect();
            self.watcher.look(&programs);
        }
    }

    #[cfg(not(feature = "threads"))] // nothing to look with
    #[allow(clippy::unused_self)]
    fn look_at_threads(&mut self, _groups: &[Group<'_, '_>]) {}

    /// The deadlock in the programs of a group, whose reports begin at `at`.
    #[cfg(feature = "threads")]
    fn deadlock(&self, at: usize, group: &Group<'_, '_>) -> Found {
        let reports = self.watcher.reports();
        let reports = reports.iter().skip(at).take(group.programs.len());
        let (mut unknown, mut missing) = (None, None);
        for (report, program) in reports.zip(&group.programs) {
            if program.ledger().is_some() {
                continue;
            }
            if let Some(found) = report.findings.iter().find(|found| found.code() == "deadlock") {
                // The name of the condition stands before it.
                let text = found.to_string();
                let text = text.strip_prefix("deadlock: ").unwrap_or(&text);
                return Found::told(Some(true), escape::text(text).into_owned());
            }
            if !report.publishes.locks {
                missing = Some("it does not publish its locks (mmstats::sync)");
            } else if report.locks_left_out > 0 || report.threads_left_out > 0 {
                unknown = Some("it has more locks or threads than are looked at");
            } else if group.incomplete.is_some() {
                unknown = Some("parts of the program are missing");
            }
        }
        match (unknown, missing) {
            (Some(why), _) => Found::told(None, why.to_owned()),
            (None, Some(why)) => Found::missing(why.to_owned()),
            (None, None) => Found { holds: Some(false), ..Found::default() },
        }
    }

    #[cfg(not(feature = "threads"))] // nothing to look with
    #[allow(clippy::unused_self)]
    fn deadlock(&self, _at: usize, _group: &Group<'_, '_>) -> Found {
        Found::told(None, "this mmstats was built without the feature threads".to_owned())
    }
}
