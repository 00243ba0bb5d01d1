//! The start screen: the programs, and what is unusual about them.

use std::time::Duration;

use mmstats_history::{History, Moment};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

use super::app::App;
use super::format;
use super::programs;
use super::row::Row as Program;
use super::table::{line_style, right};
use crate::render::missing::nothing_yet;
use crate::text::{escape, human};

/// Maximum number of findings above the list.
const MAX_FINDINGS: usize = 5;

/// The columns that fit into a width.
#[derive(Debug, Clone, Copy)]
struct Columns {
    memory: bool,
    changes: bool,
    busiest: bool,
    spark: u16,
    command: u16,
}

impl Columns {
    const fn new(width: u16) -> Self {
        Self {
            memory: width >= 50,
            changes: width >= 60,
            busiest: width >= 76,
            spark: match width {
                0..68 => 0,
                68..100 => 8,
                100..130 => 16,
                130..170 => 24,
                _ => 48,
            },
            command: match width {
                0..100 => 12,
                100..130 => 16,
                _ => 24,
            },
        }
    }

    fn heads(self) -> (Vec<Cell<'static>>, Vec<Constraint>) {
        let mut heads = vec![right("PID"), Cell::new("COMMAND"), Cell::new("STATE"), right("CPU")];
        let mut widths = vec![
            Constraint::Length(7),
            // Without a counter's name the commands have the room.
            if self.busiest { Constraint::Length(self.command) } else { Constraint::Fill(1) },
            Constraint::Length(7),
            Constraint::Length(5),
        ];
        if self.memory {
            heads.push(right("MEMORY"));
            widths.push(Constraint::Length(8));
        }
        if self.changes {
            heads.push(right("CHANGES"));
            widths.push(Constraint::Length(7));
        }
        if self.busiest {
            heads.extend([Cell::new("BUSIEST"), right("PER SEC")]);
            widths.extend([Constraint::Fill(1), Constraint::Length(9)]);
        }
        if self.spark > 0 {
            heads.push(Cell::new(""));
            widths.push(Constraint::Length(self.spark));
        }
        (heads, widths)
    }

    /// Width of the command.
    const fn command_width(self, width: u16) -> u16 {
        if self.busiest { self.command } else { width }
    }

    /// Width of the name of the busiest counter.
    const fn name(self, width: u16) -> u16 {
        // Nine columns are told apart by eight spaces.
        let others = 7 + self.command + 7 + 5 + 8 + 7 + 9 + self.spark + 8;
        width.saturating_sub(others)
    }

    fn cells(self, app: &App, row: &Program, width: u16) -> Vec<Cell<'static>> {
        let style = app.theme.state(row.condition, row.process.as_ref());
        let share = row.process.as_ref().and_then(|process| process.processors);
        let mut cells = vec![
            right(human::or_dash(row.pid)),
            Cell::new(format::clip(&row.command, self.command_width(width))),
            Cell::new(Span::styled(row.state, style)),
            right(programs::processors(share)),
        ];
        if self.memory {
            cells.push(right(programs::memory(row.process.as_ref())));
        }
        if self.changes {
            cells.push(right(format!("{:.0}/{}", row.changes.0, row.changes.1)));
        }
        if self.busiest {
            let (name, rate) = row.busiest.clone().unwrap_or_default();
            // The end of a dotted label says most.
            let name = escape::clip_front(&name, self.name(width).into()).into_owned();
            cells.extend([Cell::new(name), right(rate)]);
        }
        if self.spark > 0 {
            let spark = format::sparkline(&row.spark, true);
            cells.push(Cell::new(Span::styled(spark, app.theme.graph())));
        }
        cells
    }
}

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    history: &History,
    at: Moment,
    [head, body]: [Rect; 2],
) {
    let columns = Columns::new(body.width);
    let spark = columns.spark.max(8).into();
    app.spark = spark;
    if app.needs_rows(spark) {
        let rows = programs::rows(app, history, at, spark);
        app.set_rows(rows);
    }
    frame.render_widget(Paragraph::new(title(app, history, head.width)), head);
    if app.shown_programs.is_empty() {
        let mut lines = findings(app, history, body);
        let text = match (app.filter.text.is_empty(), lines.is_empty()) {
            (true, true) => nothing_yet(),
            // A name that is not found, for instance.
            (true, false) => "no program to show".to_owned(),
            (false, _) => "no program has such a name; Esc ends the search".to_owned(),
        };
        lines.push(Line::from(Span::styled(text, app.theme.dim())));
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), body);
        return;
    }
    let found = findings(app, history, body);
    let rows = u16::try_from(found.len()).unwrap_or(0);
    let [above, body] =
        Layout::vertical([Constraint::Length(rows), Constraint::Min(0)]).areas(body);
    frame.render_widget(Paragraph::new(found), above);
    let visible = usize::from(body.height.saturating_sub(1));
    app.programs.fit(app.shown_programs.len(), visible);
    app.list_top = body.y + 1;
    let shown = app.shown_programs.iter().enumerate().skip(app.programs.first).take(visible);
    let lines = shown.map(|(index, row)| {
        Row::new(columns.cells(app, row, body.width))
            .style(line_style(app, index == app.programs.selected))
    });
    let (heads, widths) = columns.heads();
    let heads = Row::new(heads).style(app.theme.dim());
    frame.render_widget(Table::new(lines, widths).header(heads).column_spacing(1), body);
}

/// `mmstats top  3 programs        past 12 of 64 MiB`.
fn title(app: &App, history: &History, width: u16) -> Line<'static> {
    let count = app.shown_programs.len();
    let programs = if count == 1 { "1 program".to_owned() } else { format!("{count} programs") };
    let name = "mmstats top";
    let mut spans = vec![Span::styled(name, app.theme.head()), Span::raw(format!("  {programs}"))];
    if width >= 60 {
        #[allow(clippy::cast_precision_loss)] // Shown with three digits.
        let size = |bytes: usize| human::size(bytes as f64);
        let kept = shortest_past(history)
            .map_or_else(String::new, |kept| format!("  kept {}", human::age(kept)));
        let text = format!("past {} of {}{kept}", size(history.bytes()), size(history.budget()));
        let used = name.len() + 2 + programs.len() + text.len();
        spans.push(Span::raw(" ".repeat(usize::from(width).saturating_sub(used))));
        spans.push(Span::styled(text, app.theme.dim()));
    }
    Line::from(spans)
}

/// How far back the shortest past of a number reaches that is kept in seconds.
fn shortest_past(history: &History) -> Option<Duration> {
    let fields = history.programs().iter().flat_map(mmstats_history::Program::fields);
    let present = fields.filter(|field| field.present && !field.info.constant);
    let spans = present.filter_map(|field| Some(field.numbers()?.span()[2]));
    spans.filter(|span| !span.is_zero()).min()
}

/// `! 1234 web: stopped (SIGSTOP)`, of the first programs that have findings, and then problems of
/// places.
fn findings(app: &App, history: &History, area: Rect) -> Vec<Line<'static>> {
    let rows = app.shown_programs.iter();
    let rows = rows.filter(|row| !row.condition.has_ended());
    let rows = rows.chain(app.shown_programs.iter().filter(|row| row.condition.has_ended()));
    let of_programs = rows.flat_map(|row: &Program| {
        let name = format!("{} {}", human::or_dash(row.pid), row.command);
        row.findings.iter().map(move |finding| format!("{name}: {}", finding.text))
    });
    let of_places = history.problems().iter().map(|problem| {
        format!("{}: {}", escape::path(&problem.path), escape::text(&problem.message))
    });
    let all: Vec<String> = of_programs.chain(of_places).collect();
    let count = all.len() + history.more_problems();
    let room = usize::from(area.height / 4).min(MAX_FINDINGS);
    let shown = if count > room { room.saturating_sub(1) } else { room };
    let line = |text: &str| {
        let text = format::clip(&format!("! {text}"), area.width);
        Line::from(Span::styled(text, app.theme.odd()))
    };
    let mut lines: Vec<Line<'static>> = all.iter().take(shown).map(|text| line(text)).collect();
    if count > room && room > 0 {
        lines.push(line(&format!("and {} more findings", count - lines.len())));
    }
    lines
}
