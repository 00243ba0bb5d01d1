//! The state of the screen.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mmstats_history::{Field, History, Moment, Program, ProgramKey, Sampler, Watch};
use mmstats_observe::{FieldKey, Kind, Level, OwnedValue};

use super::format::Theme;
use super::row::Row;
use super::tree::{self, Filter, Item, Node};
use crate::live::looks::Looks;
use crate::live::processes::{Processes, Target};

/// The view that fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Programs,
    Program(ProgramKey),
}

/// A view of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Fields,
    Histograms,
    Chart,
    Threads,
    Events,
    Details,
    Locks,
}

impl Tab {
    pub(super) const ALL: [Self; 7] = [
        Self::Fields,
        Self::Histograms,
        Self::Chart,
        Self::Threads,
        Self::Events,
        Self::Details,
        Self::Locks,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fields => "Fields",
            Self::Histograms => "Histograms",
            Self::Chart => "Chart",
            Self::Threads => "Threads",
            Self::Events => "Events",
            Self::Details => "Details",
            Self::Locks => "Locks",
        }
    }
}

/// Order of the programs; the largest first, except of the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Pid,
    Command,
    State,
    Processors,
    Memory,
    Changes,
    Rate,
    Findings,
}

impl Order {
    pub(super) const ALL: [Self; 8] = [
        Self::Pid,
        Self::Command,
        Self::State,
        Self::Processors,
        Self::Memory,
        Self::Changes,
        Self::Rate,
        Self::Findings,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Command => "command",
            Self::State => "state",
            Self::Processors => "processor",
            Self::Memory => "memory",
            Self::Changes => "changed fields",
            Self::Rate => "rate of the busiest counter",
            Self::Findings => "findings",
        }
    }
}

/// Order of the fields; the largest first, except by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldOrder {
    /// By name, as a tree.
    Name,
    Value,
    Rate,
    /// The rate that differs most from its past first.
    Unusual,
    /// The last changed first.
    Changed,
}

impl FieldOrder {
    pub(super) const ALL: [Self; 5] =
        [Self::Name, Self::Value, Self::Rate, Self::Unusual, Self::Changed];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Value => "value",
            Self::Rate => "rate",
            Self::Unusual => "unusual change",
            Self::Changed => "last change",
        }
    }
}

/// The reference that values are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    Moment(Moment),
    Program(ProgramKey),
}

/// A line of a list that is selected, and the first visible one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    pub(super) selected: usize,
    pub(super) first: usize,
    /// Lines on the screen.
    pub(super) visible: usize,
}

impl Position {
    /// Moves into a list of `len` lines of which `visible` are on the screen.
    pub(super) fn fit(&mut self, len: usize, visible: usize) {
        self.visible = visible;
        self.selected = self.selected.min(len.saturating_sub(1));
        self.first = self.first.min(self.selected);
        if self.selected >= self.first + visible.max(1) {
            self.first = self.selected + 1 - visible.max(1);
        }
        self.first = self.first.min(len.saturating_sub(visible));
    }

    pub(super) fn step(&mut self, by: isize) {
        self.selected = self.selected.saturating_add_signed(by);
    }
}

/// Times between looks at marked fields.
pub(super) const PACES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(10), Duration::from_millis(1)];

/// The inputs of the lines of a program's fields: another value, and the lines are made again.
#[derive(Debug, Clone, PartialEq)]
struct LinesOf {
    program: ProgramKey,
    fields: usize,
    lanes: usize,
    filter: Filter,
    folded: HashSet<String>,
    order: (FieldOrder, bool),
    /// When they were sorted, if that depends on the values.
    at: Option<(Option<Moment>, u64)>,
}

/// The inputs of the rows of the programs.
type RowsOf = (u64, Option<Moment>, Filter, Order, bool, usize, Duration);

/// The state of the screen, and the sampler below it.
pub(super) struct App {
    pub(super) sampler: Arc<Sampler>,
    pub(super) theme: Theme,
    pub(super) place: Place,
    pub(super) tab: Tab,
    /// The moment that is shown; `None` is now.
    pub(super) frozen: Option<Moment>,
    pub(super) programs: Position,
    pub(super) fields: Position,
    pub(super) histograms: Position,
    pub(super) threads: Position,
    pub(super) locks: Position,
    /// Lines of events after the last one on the screen.
    pub(super) events: usize,
    pub(super) order: Order,
    pub(super) field_order: FieldOrder,
    pub(super) reversed: bool,
    pub(super) filter: Filter,
    /// Whether keys go into the filter.
    pub(super) searching: bool,
    pub(super) folded: HashSet<String>,
    /// Fields whose lanes are shown.
    pub(super) unfolded: Vec<(ProgramKey, FieldKey)>,
    pub(super) marks: Vec<(ProgramKey, FieldKey)>,
    /// Index into [`PACES`].
    pub(super) pace: usize,
    pub(super) against: Option<Against>,
    /// Span of charts and sparklines.
    pub(super) span: Duration,
    /// First line of the list of keys, while it is shown.
    pub(super) help_scroll: Option<u16>,
    pub(super) processes: Processes,
    looks: Looks,
    /// Lines of the lists as they were drawn last.
    pub(super) shown_programs: Vec<Row>,
    pub(super) shown_fields: Vec<Node>,
    pub(super) shown_histograms: Vec<usize>,
    /// Width of the sparklines of programs.
    pub(super) spark: usize,
    /// First row of the list on the screen, and the tabs, for the mouse.
    pub(super) list_top: u16,
    pub(super) tabs: (u16, Vec<(std::ops::Range<u16>, Tab)>),
    pub(super) message: Option<String>,
    /// A line of the foot while there is no message.
    pub(super) hint: Option<String>,
    lines_of: Option<LinesOf>,
    rows_of: Option<RowsOf>,
    watched: Vec<Watch>,
    /// Looks at which the processes were looked at last.
    seen: u64,
    copied: Option<String>,
    /// Until the first look has ended or a key is pressed: whether its only program is opened.
    pub(super) opens_only: bool,
    done: bool,
}

impl App {
    pub(super) fn new(sampler: Sampler, looks: Looks, colours: bool) -> Self {
        Self {
            sampler: Arc::new(sampler),
            theme: Theme::new(colours),
            place: Place::Programs,
            tab: Tab::Fields,
            frozen: None,
            programs: Position::default(),
            fields: Position::default(),
            histograms: Position::default(),
            threads: Position::default(),
            locks: Position::default(),
            events: 0,
            order: Order::Pid,
            field_order: FieldOrder::Name,
            reversed: false,
            filter: Filter { text: String::new(), level: Level::Info },
            searching: false,
            folded: HashSet::new(),
            unfolded: Vec::new(),
            marks: Vec::new(),
            pace: 0,
            against: None,
            span: Duration::from_secs(60),
            help_scroll: None,
            processes: Processes::default(),
            looks,
            shown_programs: Vec::new(),
            shown_fields: Vec::new(),
            shown_histograms: Vec::new(),
            spark: 8,
            list_top: 0,
            tabs: (0, Vec::new()),
            message: None,
            hint: None,
            lines_of: None,
            rows_of: None,
            watched: Vec::new(),
            seen: 0,
            copied: None,
            opens_only: true,
            done: false,
        }
    }

    /// Opens the program of the first look if there is only one.
    pub(super) fn open_only_program(&mut self) {
        if !self.opens_only || (self.sampler.looks() == 0 && !self.is_recording()) {
            return;
        }
        self.opens_only = false;
        let only = self.sampler.read(|history| match history.programs() {
            [program] => Some(program.key),
            _ => None,
        });
        if let Some(key) = only {
            self.place = Place::Program(key);
        }
    }

    /// Whether a recording is shown.
    pub(super) fn is_recording(&self) -> bool {
        self.sampler.is_still()
    }

    /// The moment that is shown.
    pub(super) fn now(&self) -> Moment {
        self.frozen.unwrap_or_else(|| self.sampler.clock().now())
    }

    /// Asks the system about processes and threads, once for each look, also while the screen is frozen. Not
    /// while the history is read: the system may take long.
    pub(super) fn refresh_processes(&mut self) {
        if self.is_recording() {
            // The processes of a recording may be others now.
            self.seen = self.sampler.looks();
            return;
        }
        let open = match self.place {
            Place::Program(key) => Some(key),
            Place::Programs => None,
        };
        self.looks.open(open);
        if self.seen == self.sampler.looks() {
            return;
        }
        self.seen = self.sampler.looks();
        let taken = self.looks.take();
        let (targets, budget) = self.sampler.read(|history| {
            let targets: Vec<Target> = history.programs().iter().map(Target::new).collect();
            (targets, history.budget())
        });
        let open = open.into_iter().collect();
        self.processes.look(&targets, taken, self.sampler.clock().now(), &open, budget);
    }

    /// Whether the rows of the programs are out of date.
    pub(super) fn needs_rows(&mut self, width: usize) -> bool {
        let (order, reversed) = (self.order, self.reversed);
        let of = (self.seen, self.frozen, self.filter.clone(), order, reversed, width, self.span);
        if self.rows_of.as_ref() == Some(&of) {
            return false;
        }
        self.rows_of = Some(of);
        true
    }

    /// Sets the rows; the selected program stays selected.
    pub(super) fn set_rows(&mut self, rows: Vec<Row>) {
        let at = self.programs.selected.min(self.shown_programs.len().saturating_sub(1));
        let selected = self.shown_programs.get(at).map(|row| row.key);
        let found = rows.iter().position(|row| Some(row.key) == selected);
        self.programs.selected = found.unwrap_or(at);
        self.shown_programs = rows;
    }

    /// Brings the lines of a program's fields up to date; the selected line stays selected.
    pub(super) fn refresh_lines(&mut self, program: &Program, at: Moment) {
        // Of a field that does not change the order does not depend on the moment.
        let by_value = self.field_order != FieldOrder::Name;
        let of = LinesOf {
            program: program.key,
            fields: program.fields().len(),
            lanes: program.fields().iter().map(|field| field.lanes().len()).sum(),
            filter: self.filter.clone(),
            folded: self.folded.clone(),
            order: (self.field_order, self.reversed),
            // Sorted every two looks, so that lines can be read.
            at: by_value.then_some((self.frozen, self.seen / 2)),
        };
        if self.lines_of.as_ref() == Some(&of) {
            return;
        }
        self.fields.selected = self.fields.selected.min(self.shown_fields.len().saturating_sub(1));
        let is_same_program = self.lines_of.as_ref().is_some_and(|o| o.program == program.key);
        let selected = self.selected_item().cloned();
        self.shown_fields = if by_value {
            tree::list(program.fields(), &self.sorted(program, at))
        } else {
            tree::lines(program.fields(), &self.filter, &self.folded)
        };
        let is_selected = |node: &Node| selected.as_ref().is_some_and(|s| node.item.is_same(s));
        if is_same_program {
            let found = self.shown_fields.iter().position(is_selected);
            self.fields.selected = found.unwrap_or(self.fields.selected);
        }
        self.lines_of = Some(of);
    }

    fn sorted(&self, program: &Program, at: Moment) -> Vec<usize> {
        let fields = tree::sorted(program.fields(), &self.filter);
        let weigh = |index: usize| Some((self.weight(program.fields().get(index)?, at), index));
        let mut weighed: Vec<(f64, usize)> = fields.into_iter().filter_map(weigh).collect();
        weighed.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        if self.reversed {
            weighed.reverse();
        }
        weighed.into_iter().map(|(_, index)| index).collect()
    }

    /// Sort key of a field, the largest first.
    fn weight(&self, field: &Field, at: Moment) -> f64 {
        let second = Duration::from_secs(1);
        match self.field_order {
            FieldOrder::Name => 0.0,
            FieldOrder::Value => {
                let value = field.value_at(at);
                value.and_then(|value| value.counted()).unwrap_or(f64::NEG_INFINITY)
            }
            FieldOrder::Rate => field.rate(at, second).map_or(-1.0, f64::abs),
            FieldOrder::Changed => {
                let changed = field.changed(at);
                changed.map_or(f64::NEG_INFINITY, |moment| -at.since(moment).as_secs_f64())
            }
            FieldOrder::Unusual => unusual(field, at),
        }
    }

    /// Watches the fields that are on the screen, selected or marked.
    pub(super) fn watch_shown(&mut self, history: &History) {
        let mut list: Vec<Watch> = Vec::new();
        let mut add = |program: &Program, field: &Field, every: Duration, lanes: bool| {
            let (program, key) = (program.key, field.info.key());
            match list.iter_mut().find(|w| w.program == program && w.field == key) {
                Some(watch) => {
                    watch.every = watch.every.min(every);
                    watch.lanes |= lanes;
                }
                None => {
                    let label = field.info.label.clone();
                    list.push(Watch { program, field: key, label, every, lanes });
                }
            }
        };
        if let Place::Program(key) = self.place
            && let Some(program) = history.program(key)
        {
            let Position { first, visible, selected } = self.fields;
            let shown = self.shown_fields.iter().skip(first).take(visible);
            let mut shown: Vec<usize> = shown.filter_map(|node| node.item.field()).collect();
            shown.extend(self.shown_fields.get(selected).and_then(|node| node.item.field()));
            if self.tab == Tab::Histograms {
                let Position { first, visible, selected } = self.histograms;
                shown.extend(self.shown_histograms.iter().skip(first).take(visible));
                shown.extend(self.shown_histograms.get(selected));
            }
            shown.sort_unstable();
            shown.dedup();
            for field in shown.into_iter().filter_map(|index| program.fields().get(index)) {
                add(program, field, PACES[0], false);
            }
        }
        let pace = PACES.get(self.pace).copied().unwrap_or(PACES[0]);
        for ((key, field), every, lanes) in self
            .marks
            .iter()
            .map(|mark| (mark, pace, false))
            .chain(self.unfolded.iter().map(|field| (field, PACES[0], true)))
        {
            if let Some(program) = history.program(*key)
                && let Some(field) = program.field(field)
            {
                add(program, field, every, lanes);
            }
        }
        if list != self.watched {
            self.watched = list;
        }
    }

    /// Tells the sampler which fields are watched; not while the history is read.
    pub(super) fn send_watched(&mut self, before: &[Watch]) {
        if before != self.watched.as_slice() {
            self.sampler.watch(self.watched.clone());
        }
    }

    pub(super) fn watched(&self) -> Vec<Watch> {
        self.watched.clone()
    }

    pub(super) fn selected_program(&self) -> Option<ProgramKey> {
        match self.place {
            Place::Program(key) => Some(key),
            Place::Programs => self.shown_programs.get(self.programs.selected).map(|row| row.key),
        }
    }

    pub(super) fn selected_item(&self) -> Option<&Item> {
        self.shown_fields.get(self.fields.selected).map(|node| &node.item)
    }

    /// The selected field of a program.
    pub(super) fn selected_field<'a>(&self, program: &'a Program) -> Option<&'a Field> {
        program.fields().get(self.selected_item()?.field()?)
    }

    /// Calls `read` with the selected field.
    pub(super) fn with_selected_field<T>(
        &self,
        read: impl FnOnce(&Program, &Field) -> T,
    ) -> Option<T> {
        let Place::Program(key) = self.place else { return None };
        self.sampler.read(|history| {
            let program = history.program(key)?;
            Some(read(program, self.selected_field(program)?))
        })
    }

    pub(super) fn copy(&mut self, text: String) {
        self.message = Some(format!("copied {text}"));
        self.copied = Some(text);
    }

    pub(super) fn take_copied(&mut self) -> Option<String> {
        self.copied.take()
    }

    pub(super) const fn end(&mut self) {
        self.done = true;
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }
}

/// Whether a field has a distribution.
pub(super) fn is_histogram(field: &Field) -> bool {
    field.info.properties.kind() == Some(Kind::Histogram)
        || matches!(
            field.reading.value.as_ref().map(OwnedValue::only),
            Some(OwnedValue::Histogram(_))
        )
}

/// How many standard deviations the rate of the last second is away from that of the last minute.
fn unusual(field: &Field, at: Moment) -> f64 {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    // Most fields of a large program do not change.
    if field.changed(at).is_none_or(|changed| at.since(changed) > minute) {
        return -1.0;
    }
    let rates: Vec<f64> =
        (1..60).filter_map(|back| field.rate(at.before(second * back), second)).collect();
    let Some(now) = field.rate(at, second).filter(|_| rates.len() >= 5) else { return -1.0 };
    #[allow(clippy::cast_precision_loss)] // At most 60.
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let deviation = (rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count).sqrt();
    let change = (now - mean).abs();
    if change == 0.0 { 0.0 } else { change / deviation.max(mean.abs() * 1e-3).max(1e-9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_keeps_the_selected_line_on_the_screen() {
        for (len, visible, selected) in [(0, 5, 3), (3, 5, 9), (100, 5, 50), (100, 0, 50)] {
            let mut position = Position { selected, ..Position::default() };
            position.fit(len, visible);
            let Position { selected, first, .. } = position;
            assert!(selected < len.max(1));
            assert!(first <= selected && selected < first + visible.max(1));
            assert!(first + visible <= len || first == 0 || visible == 0);
        }
    }
}
