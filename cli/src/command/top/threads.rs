//! The threads of a program, as the system knows them.

use mmstats_history::{Moment, Program};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Span;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::app::App;
use super::host::{self, Thread};
use super::programs;
use super::table::{line_style, right};
use crate::text::escape;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let mut threads: Vec<Thread> =
        app.processes.threads_at(at).map_or_else(Vec::new, |(_, threads)| threads.to_vec());
    if threads.is_empty() {
        let ended = program.condition().has_ended();
        // Other systems have no /proc.
        let has_threads = cfg!(target_os = "linux");
        let text = if !has_threads {
            "this system does not list the threads of a process"
        } else if app.frozen.is_some() {
            "the threads were not looked at then"
        } else if ended {
            "the process has ended"
        } else {
            "no process of this pid namespace"
        };
        return frame.render_widget(Paragraph::new(Span::styled(text, app.theme.dim())), area);
    }
    threads.sort_by(|a, b| {
        let share = |thread: &Thread| thread.processors.unwrap_or(0.0);
        share(b).total_cmp(&share(a)).then(a.id.cmp(&b.id))
    });
    let visible = usize::from(area.height.saturating_sub(1));
    app.threads.fit(threads.len(), visible);
    app.list_top = area.y + 1;
    let is_wide = area.width >= 60;
    let lines = threads.iter().enumerate().skip(app.threads.first).take(visible);
    let lines = lines.map(|(index, thread)| {
        let mut cells = vec![
            right(thread.id.to_string()),
            Cell::new(escape::text(&thread.name).into_owned()),
            Cell::new(host::state_name(thread.state)),
            right(programs::processors(thread.processors)),
        ];
        if is_wide {
            let waits_in = thread.waits_in.as_deref().unwrap_or_default();
            cells.push(Cell::new(escape::text(waits_in).into_owned()));
        }
        Row::new(cells).style(line_style(app, index == app.threads.selected))
    });
    let mut heads = vec![right("TID"), Cell::new("NAME"), Cell::new("STATE"), right("CPU")];
    let mut widths = vec![
        Constraint::Length(8),
        Constraint::Length(16),
        Constraint::Length(8),
        Constraint::Length(6),
    ];
    if is_wide {
        heads.push(Cell::new("WAITS IN"));
        widths.push(Constraint::Fill(1));
    }
    let heads = Row::new(heads).style(app.theme.dim());
    frame.render_widget(Table::new(lines, widths).header(heads).column_spacing(1), area);
}
