//! The programs that a condition looks at as one, and what became of them.

use std::time::SystemTime;

use mmstats_observe::{Program, Total, Totals, Verdict};

use crate::backend::ProcessState;
use crate::model::life::{Life, end_word, process_state};
use crate::model::rates::column::Interval;
use crate::model::rates::subject::Subject;
use crate::model::rates::views::View;
use crate::model::watched;
use crate::render::program::end_text;
use crate::text::escape;

/// Programs of a subject at one look.
pub(super) struct Group<'p, 'a> {
    pub(super) subject: Subject,
    pub(super) programs: Vec<&'p Program<'a>>,
    /// For each condition, the totals of its families.
    pub(super) totals: Vec<Vec<Total>>,
    /// For each condition, the totals of its fields.
    pub(super) series: Vec<Vec<Total>>,
    /// Increase of each column since the look before.
    pub(super) gains: Vec<Option<Interval>>,
    /// Why not all of it was seen.
    pub(super) incomplete: Option<String>,
    pub(super) has_ended: bool,
}

impl<'p, 'a> Group<'p, 'a> {
    /// Reads the fields of each condition: `views` has `None` for one without a field. `unsettled` if programs
    /// of applications end faster than they are read.
    pub(super) fn read(
        subject: Subject,
        programs: Vec<&'p Program<'a>>,
        views: &[Option<View>],
        unsettled: bool,
    ) -> Self {
        let read = |view: &Option<View>, grouping: fn(Totals) -> Totals| {
            let Some(view) = view.clone() else { return Vec::new() };
            let files = programs.iter().flat_map(|program| program.files().iter().copied());
            let mut totals = grouping(Totals::filtered(move |field| view.place(field).is_some()));
            totals.update(files, None);
            totals.into_fields()
        };
        let totals = views.iter().map(|view| read(view, Totals::of_families)).collect();
        let series = views.iter().map(|view| read(view, |all| all)).collect();
        let mut completeness = programs.iter().map(|program| program.completeness());
        let incomplete = completeness.find(|one| !one.is_complete()).map(|one| one.to_string());
        let in_doubt = unsettled && matches!(subject, Subject::Application(..));
        let incomplete = match in_doubt {
            true => Some("its programs end faster than they are read".to_owned()),
            false => incomplete,
        };
        let has_ended = programs.iter().all(|program| program.state().has_ended());
        let gains = Vec::new();
        Self { subject, programs, totals, series, gains, incomplete, has_ended }
    }
}

impl Group<'_, '_> {
    pub(super) fn is_contended(&self) -> bool {
        let mut totals = self.totals.iter().chain(&self.series).flatten();
        totals.any(|total| total.reading.verdict == Verdict::Contended)
    }

    /// Whether one of its files was named.
    pub(super) fn is_named(&self) -> bool {
        self.programs.iter().any(|program| program.files().iter().any(|file| file.named()))
    }

    /// `web[1234]` or `application web`, escaped.
    pub(super) fn name(&self) -> String {
        match &self.subject {
            Subject::Application(name, ..) => format!("application {}", escape::text(name)),
            _ => watched::name(self.programs[0]),
        }
    }

    /// The process of a program; `None` of an application.
    pub(super) fn pid(&self) -> Option<u32> {
        let program = self.programs[0];
        let pid = program.process().or(program.identity().pid);
        pid.filter(|_| !matches!(self.subject, Subject::Application(..)))
    }

    /// State of the process, as the system tells it; for an application, stopped if one of its processes is.
    pub(super) fn process(&self) -> Option<ProcessState> {
        let mut states = self.programs.iter().map(|program| process_state(program));
        match self.subject {
            Subject::Application(..) => states.find(|s| *s == Some(ProcessState::Stopped))?,
            _ => states.next()?,
        }
    }

    /// `web[1234] died about 2026-11-29 21:35 UTC`.
    pub(super) fn ended(&self, now: SystemTime) -> String {
        let program = self.programs[0];
        let word = end_word(program.state());
        let end = Life::new(program, now).end().and_then(end_text);
        let end = end.map_or_else(String::new, |end| format!(" {end}"));
        format!("{} {word}{end}", watched::name(program))
    }
}
