//! The threads of a program with what they do, and what is in progress in none.

use std::borrow::Cow;
use std::cmp::Reverse;

use mmstats_history::{Moment, Program};
use mmstats_threads::{Report, Thread};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::app::App;
use super::table::line_style;
use crate::render::threads;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let ended = program.condition_at(at).is_some_and(|(_, then)| then.has_ended());
    let Some((report, _)) = app.processes.report_at(program.key, at) else {
        let text = Span::styled(not_looked(app, program, at), app.theme.dim());
        return frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
    };
    let report = of_end(&report, ended);
    // Busy threads first, then those that do something.
    let mut shown: Vec<&Thread> = report.threads.iter().collect();
    shown.sort_by_key(|thread| {
        let share = thread.system.as_ref().and_then(|system| system.processors).unwrap_or(0.0);
        #[allow(clippy::cast_possible_truncation)] // Of a float: saturates.
        let tenths = (share * 10.0) as i64;
        let idle = thread.activities.is_empty() && thread.wait.is_none();
        (Reverse(tenths), idle, thread.id)
    });
    let width = area.width.into();
    let mut lines = Vec::new();
    let mut table = threads::threads(&report, &shown, width).into_iter();
    let head = table.next();
    lines.extend(table);
    lines.extend(threads::activities(&report, width));
    let fields = program.fields().iter().map(|field| &field.info);
    let texts = fields.filter(|info| threads::is_text_of_thread(info.properties));
    let texts: Vec<&str> = texts.map(|info| &*info.label).collect();
    lines.extend(threads::remarks(&report, &texts, width));
    let lines: Vec<Line<'static>> = lines.iter().map(|line| app.theme.line(line)).collect();
    let head = head.map(|head| app.theme.line(&head).style(app.theme.dim()));
    let remark = ended.then(|| {
        let text = "the process has ended; its threads as they were last";
        Line::from(Span::styled(text, app.theme.odd()))
    });
    let above: Vec<Line<'static>> = remark.into_iter().chain(head).collect();
    drop(report);
    let rows = u16::try_from(above.len()).unwrap_or(0);
    let [top, area] = Layout::vertical([Constraint::Length(rows), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(above), top);
    let visible = usize::from(area.height);
    app.threads.fit(lines.len(), visible);
    app.list_top = area.y;
    let shown = lines.into_iter().enumerate().skip(app.threads.first).take(visible);
    let shown =
        shown.map(|(index, line)| line.patch_style(line_style(app, index == app.threads.selected)));
    frame.render_widget(Paragraph::new(Vec::from_iter(shown)), area);
}

/// A report, of a program that has ended without what the system knew: its file may be gone since the last look.
pub(super) fn of_end(report: &Report, ended: bool) -> Cow<'_, Report> {
    if !ended || report.process.is_none() {
        return Cow::Borrowed(report);
    }
    let mut report = report.clone();
    report.process = None;
    report.threads_left_out = 0;
    report.threads.iter_mut().for_each(|thread| thread.system = None);
    Cow::Owned(report)
}

/// Why there is no report.
pub(super) fn not_looked(app: &App, program: &Program, at: Moment) -> Cow<'static, str> {
    let ended = program.condition_at(at).is_some_and(|(_, then)| then.has_ended());
    if let Some(missing) = app.processes.missing_at(program.key, at) {
        missing.into()
    } else if app.frozen.is_some() {
        "the threads were not looked at then".into()
    } else if ended {
        "the process has ended before its threads were looked at".into()
    } else {
        "the threads have not been looked at yet".into()
    }
}
