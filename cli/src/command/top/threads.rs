//! The threads of a program, as the system knows them.

use mmstats_history::{Moment, Program};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::app::App;
use super::host::MAX_THREADS;
use super::process::{Thread, state_name};
use super::table::{line_style, right};
use super::{format, programs};
use crate::text::escape;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let mut threads: Vec<Thread> =
        app.processes.threads_at(at).map_or_else(Vec::new, <[_]>::to_vec);
    let ended = program.condition_at(at).is_some_and(|(_, then)| then.has_ended());
    if threads.is_empty() {
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
    if ended {
        threads = threads.iter().map(Thread::ended).collect();
    }
    let remark = remark(app, program, at, threads.len(), ended);
    let rows = u16::from(remark.is_some());
    let [above, area] =
        Layout::vertical([Constraint::Length(rows), Constraint::Min(0)]).areas(area);
    if let Some(remark) = remark {
        let remark = format::clip(&remark, above.width);
        frame.render_widget(Paragraph::new(Span::styled(remark, app.theme.odd())), above);
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
            Cell::new(state_name(thread.state)),
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
        if is_wide { Constraint::Length(16) } else { Constraint::Fill(1) },
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

/// What the list of threads does not say.
fn remark(app: &App, program: &Program, at: Moment, len: usize, ended: bool) -> Option<String> {
    if ended {
        return Some("the process has ended; its threads as they were at the look before".into());
    }
    let all = app.processes.at(program.key, at).and_then(|process| process.threads);
    let more = usize::try_from(all?).ok()?.saturating_sub(len);
    (len == MAX_THREADS && more > 0).then(|| format!("{more} more threads are not shown"))
}
