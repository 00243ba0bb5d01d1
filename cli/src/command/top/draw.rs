//! Draws a frame: the views of it are in modules of their own.

use std::sync::Arc;

use mmstats_history::{History, Moment, Program};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::app::{Against, App, Place, Tab};
use super::{
    chart, details, events, fields, findings, format, help, histograms, programs, start, threads,
};
use crate::text::{escape, human};

/// Maximum number of findings of one program that are shown.
const MAX_FINDINGS: usize = 3;

/// Draws all of a frame.
pub(super) fn frame(frame: &mut Frame<'_>, app: &mut App) {
    let areas =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]);
    let [head, body, foot] = areas.areas(frame.area());
    let at = app.now();
    let sampler = Arc::clone(&app.sampler);
    let before = app.watched();
    sampler.read(|history| {
        app.refresh_processes(history);
        match app.place {
            Place::Programs => start::draw(frame, app, history, at, [head, body]),
            Place::Program(key) => match history.program(key) {
                Some(program) => one(frame, app, history, program, at, [head, body]),
                None => app.place = Place::Programs,
            },
        }
        app.watch_shown(history);
    });
    app.send_watched(&before);
    frame.render_widget(Paragraph::new(foot_line(app, at)), foot);
    if app.help {
        keys(frame, app);
    }
}

/// One program.
fn one(
    frame: &mut Frame<'_>,
    app: &mut App,
    history: &History,
    program: &Program,
    at: Moment,
    [head, body]: [Rect; 2],
) {
    frame.render_widget(Paragraph::new(title(app, program, at)), head);
    let process = app.processes.at(program.key, at);
    let mut found = Vec::new();
    if let Some(condition) = program.condition_at(at) {
        found = findings::of(program, process.as_ref(), condition, at);
    }
    found.truncate(if body.height > 12 { MAX_FINDINGS } else { 1 });
    let rows = u16::try_from(found.len()).unwrap_or(0);
    let areas =
        Layout::vertical([Constraint::Length(rows), Constraint::Length(1), Constraint::Min(0)]);
    let [above, tabs, body] = areas.areas(body);
    let found = found.into_iter().map(|finding| {
        let text = format::clip(&format!("! {finding}"), above.width);
        Line::from(Span::styled(text, app.theme.odd()))
    });
    frame.render_widget(Paragraph::new(Vec::from_iter(found)), above);
    draw_tabs(frame, app, tabs);
    app.refresh_lines(program, at);
    let visible = app.fields.visible.max(1);
    app.fields.fit(app.shown_fields.len(), visible);
    match app.tab {
        Tab::Fields => fields::draw(frame, app, history, program, at, body),
        Tab::Histograms => histograms::draw(frame, app, program, at, body),
        Tab::Chart => chart::draw(frame, app, history, program, at, body),
        Tab::Threads => threads::draw(frame, app, program, at, body),
        Tab::Events => events::draw(frame, app, program, at, body),
        Tab::Details => details::draw(frame, app, program, at, body),
    }
}

/// The names of the views; on a narrow screen only that of the open one.
fn draw_tabs(frame: &mut Frame<'_>, app: &mut App, area: Rect) {
    let full: usize = Tab::ALL.iter().map(|tab| tab.name().len() + 5).sum();
    let is_narrow = full > area.width.into();
    let (mut spans, mut hits, mut column) = (Vec::new(), Vec::new(), area.x);
    for (number, tab) in Tab::ALL.iter().enumerate() {
        let is_open = *tab == app.tab;
        let text = if is_narrow && !is_open {
            format!(" {} ", number + 1)
        } else {
            format!(" {} {} ", number + 1, tab.name())
        };
        let width = u16::try_from(text.len()).unwrap_or(0);
        hits.push((column..column + width, *tab));
        column += width + 1;
        let style = if is_open { app.theme.selected() } else { app.theme.dim() };
        spans.extend([Span::styled(text, style), Span::raw(" ")]);
    }
    app.tabs = (area.y, hits);
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

/// `web  pid 1234  live  12 %  34.1 MiB  5 threads  past of 12m`.
fn title(app: &App, program: &Program, at: Moment) -> Line<'static> {
    let process = app.processes.at(program.key, at);
    let mut spans = vec![Span::styled(programs::command(program), app.theme.head())];
    if let Some(pid) = program.identity.pid {
        spans.push(Span::raw(format!("  pid {pid}")));
    }
    if let Some((_, condition)) = program.condition_at(at) {
        let state = programs::state(condition, process.as_ref());
        let style = app.theme.state(condition, process);
        spans.extend([Span::raw("  "), Span::styled(state, style)]);
    } else {
        spans.push(Span::styled("  not seen yet at this moment", app.theme.odd()));
    }
    if let Some(process) = process {
        let share = programs::processors(process.processors);
        let memory = programs::memory(Some(&process));
        spans.push(Span::raw(format!("  {share}  {memory}  {} threads", process.threads)));
    }
    match app.against {
        Some(Against::Moment(moment)) => {
            let time = format::time_of_day(app.sampler.clock().time_of_day(moment));
            spans.push(Span::styled(format!("  compared with {time}"), app.theme.odd()));
        }
        Some(Against::Program(other)) => {
            let known = other != program.key;
            let text =
                if known { "  compared with another program" } else { "  compared with itself" };
            spans.push(Span::styled(text, app.theme.odd()));
        }
        None => {}
    }
    Line::from(spans)
}

fn foot_line(app: &App, at: Moment) -> Line<'static> {
    let theme = app.theme;
    if app.searching {
        let text = escape::text(&app.filter.text).into_owned();
        return Line::from(vec![
            Span::styled(" /", theme.head()),
            Span::raw(text),
            Span::styled(" ", theme.selected()),
        ]);
    }
    let mut spans = Vec::new();
    if app.frozen.is_some() {
        let behind = app.sampler.clock().now().since(at);
        let time = format::time_of_day(app.sampler.clock().time_of_day(at));
        let text = format!(" {} ago, {time} ", human::age(behind));
        spans.extend([Span::styled(text, theme.selected()), Span::raw(" ")]);
    }
    if !app.filter.text.is_empty() {
        spans.push(Span::styled(format!("/{}  ", escape::text(&app.filter.text)), theme.odd()));
    }
    match (&app.message, &app.hint) {
        (Some(message), _) | (None, Some(message)) => {
            spans.push(Span::raw(escape::text(message).into_owned()));
        }
        (None, None) => {
            let text = if app.frozen.is_some() {
                "space: now  left right: move  d: compare"
            } else {
                "? keys  q end  / search  space freeze  left rewind"
            };
            spans.push(Span::styled(text, theme.dim()));
        }
    }
    Line::from(spans)
}

fn keys(frame: &mut Frame<'_>, app: &App) {
    let width = help::KEYS.iter().map(|(keys, _)| keys.len()).max().unwrap_or(0);
    let area = frame.area();
    let wide = area.width.min(80);
    let is_narrow = wide < 70;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (keys, text) in help::KEYS {
        if is_narrow {
            // The first words are enough there.
            let keys = Span::styled(format!("{keys}  "), app.theme.head());
            lines.push(Line::from(vec![keys, Span::raw(*text)]));
        } else {
            let keys = Span::styled(format!("{keys:<width$}  "), app.theme.head());
            lines.push(Line::from(vec![keys, Span::raw(*text)]));
        }
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let area =
        Rect { x: (area.width - wide) / 2, y: (area.height - height) / 2, width: wide, height };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title("Keys; any key closes this");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
