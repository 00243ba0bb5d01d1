//! Draws a frame: the views of it are in modules of their own.

use std::sync::Arc;

use mmstats_history::{History, Moment, Program};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::app::{Against, App, Place, Tab};
use super::{
    chart, details, events, fields, format, help, histograms, locks, programs, start, threads,
};
use crate::live;
use crate::live::findings;
use crate::live::odd::Odd;
use crate::live::program::{process_at, state};
use crate::text::{escape, human};

/// Number of lines for the findings of one program, at least, if the screen is not low.
const MIN_FINDINGS: u16 = 3;

/// Draws a frame.
pub(super) fn frame(frame: &mut Frame<'_>, app: &mut App) {
    let areas =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]);
    let [head, body, foot] = areas.areas(frame.area());
    app.open_only_program();
    // The system is asked before the history is locked: the sampler does not wait for that. The moment is after
    // that, so that it has what was found.
    app.refresh_processes();
    let at = app.now();
    let sampler = Arc::clone(&app.sampler);
    let before = app.watched();
    sampler.read(|history| {
        history.set_consumers(app.processes.bytes());
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
    frame.render_widget(Paragraph::new(foot_line(app, at, foot.width)), foot);
    if app.help_scroll.is_some() {
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
    frame.render_widget(Paragraph::new(title(app, history, program, at, head.width)), head);
    let mut found = Vec::new();
    if let Some(condition) = program.condition_at(at) {
        let now = app.sampler.clock().time_of_day(at);
        found = findings::of(&app.processes, program, condition, (at, now));
    }
    let room = if body.height > 12 { MIN_FINDINGS.max(body.height / 6) } else { 1 };
    let found = finding_lines(&found, body.width, room.into());
    let rows = u16::try_from(found.len()).unwrap_or(0);
    let areas =
        Layout::vertical([Constraint::Length(rows), Constraint::Length(1), Constraint::Min(0)]);
    let [above, tabs, body] = areas.areas(body);
    let found = found.into_iter().map(|text| Line::from(Span::styled(text, app.theme.odd())));
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
        Tab::Locks => locks::draw(frame, app, program, at, body),
    }
}

/// The findings on at most `room` lines, each on one at least; the first ones have the others. The last line counts
/// those that have no room.
fn finding_lines(found: &[Odd], width: u16, room: usize) -> Vec<String> {
    let is_cut = found.len() > room;
    let shown = if is_cut { room.saturating_sub(1) } else { found.len() };
    let left_out = found.len() - shown;
    let room = room - usize::from(is_cut).min(room);
    let mut spare = room - shown;
    let mut lines = Vec::new();
    for finding in found.iter().take(shown) {
        let all = format!("! {}", finding.text);
        let parts = format::wrap(&all, width.saturating_sub(2));
        if spare == 0 || escape::width(&all) <= width.into() {
            lines.push(format::clip(&all, width));
            continue;
        }
        let (first, rest) = parts.split_first().map_or(("", &[][..]), |(f, r)| (f.as_str(), r));
        lines.push(first.to_owned());
        for (index, part) in rest.iter().take(spare).enumerate() {
            let is_cut = index + 1 == spare && rest.len() > spare;
            lines.push(format!("  {part}{}", if is_cut { " …" } else { "" }));
        }
        spare -= rest.len().min(spare);
    }
    if is_cut {
        let findings = if left_out == 1 { "finding" } else { "findings" };
        let more = if shown == 0 { "" } else { " more" };
        lines.push(format::clip(&format!("! {left_out}{more} {findings}"), width));
    }
    lines
}

/// The names of the views; on a narrow screen only that of the open one.
fn draw_tabs(frame: &mut Frame<'_>, app: &mut App, area: Rect) {
    let full: usize = Tab::ALL.iter().map(|tab| tab.name().len() + 5).sum();
    // Nothing stands after the last one.
    let is_narrow = full > usize::from(area.width) + 1;
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

/// `web  pid 1234  running  CPU 0.12  34.1 MiB  5 threads`; what does not fit is left out.
fn title(app: &App, history: &History, program: &Program, at: Moment, width: u16) -> Line<'static> {
    let process = process_at(&app.processes, program, at);
    let pid = program.identity.pid.map(|pid| Span::raw(format!("pid {pid}")));
    let state = match program.condition_at(at) {
        Some((_, condition)) => {
            let state = state(condition, process.as_ref());
            Span::styled(state, app.theme.state(condition, process.as_ref()))
        }
        None => Span::styled("not seen yet at this moment", app.theme.odd()),
    };
    let compared = app.against.map(|against| {
        let with = match against {
            Against::Moment(moment) => format::time_of_day(app.sampler.clock().time_of_day(moment)),
            Against::Program(other) if other == program.key => "itself".to_owned(),
            Against::Program(other) => {
                history.program(other).map_or_else(|| "a program".to_owned(), programs::name)
            }
        };
        Span::styled(format!("compared with {with}"), app.theme.odd())
    });
    let system = process.iter().flat_map(|process| {
        let share = format!("CPU {}", programs::processors(process.processors));
        let threads = format!("{} threads", process.threads);
        [share, programs::memory(Some(process)), threads].into_iter().map(Span::raw)
    });
    let system: Vec<Span<'static>> = system.collect();
    // The name is cut to leave room for the state.
    let after = [pid.as_ref(), Some(&state)].into_iter().flatten();
    let used: usize = after.map(|span| span.width() + 2).sum();
    let room = width.saturating_sub(u16::try_from(used).unwrap_or(u16::MAX)).max(8);
    let name = Span::styled(format::clip(&live::program::command(program), room), app.theme.head());
    let mut left = usize::from(width).saturating_sub(name.width());
    let mut spans = vec![name];
    for span in pid.into_iter().chain([state]).chain(compared).chain(system) {
        if let Some(rest) = left.checked_sub(span.width() + 2) {
            left = rest;
            spans.extend([Span::raw("  "), span]);
        }
    }
    Line::from(spans)
}

fn foot_line(app: &App, at: Moment, width: u16) -> Line<'static> {
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
    let used: usize = spans.iter().map(Span::width).sum();
    let left = width.saturating_sub(u16::try_from(used).unwrap_or(u16::MAX));
    match (&app.message, &app.hint) {
        (Some(message), _) | (None, Some(message)) => {
            spans.push(Span::raw(format::clip(&escape::text(message), left)));
        }
        (None, None) => {
            let hints: &[&str] = if app.frozen.is_some() {
                &[
                    "space: now  left right: move  d: compare",
                    "space: now  d: compare",
                    "space: now",
                ]
            } else {
                &[
                    "? keys  q end  / search  space freeze  left rewind",
                    "? keys  q end  / search  space freeze",
                    "? keys  q end",
                ]
            };
            let fits = |hint: &&&str| hint.len() <= left.into();
            let hint = hints.iter().find(fits).copied().unwrap_or_default();
            spans.push(Span::styled(hint, theme.dim()));
        }
    }
    Line::from(spans)
}

/// The list of keys; it is scrolled if it is higher than the screen.
fn keys(frame: &mut Frame<'_>, app: &mut App) {
    let area = frame.area();
    let width = area.width.min(80);
    let inside = width.saturating_sub(2);
    let widest = help::KEYS.iter().map(|(keys, _)| keys.len()).max().unwrap_or(0);
    let is_narrow = width < 70;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (keys, text) in help::KEYS {
        if is_narrow {
            lines.push(Line::from(Span::styled(*keys, app.theme.head())));
            let text = format::wrap(text, inside.saturating_sub(2));
            lines.extend(text.into_iter().map(|line| Line::from(format!("  {line}"))));
        } else {
            let keys = Span::styled(format!("{keys:<widest$}  "), app.theme.head());
            lines.push(Line::from(vec![keys, Span::raw(*text)]));
        }
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let hidden = lines.len().saturating_sub(height.saturating_sub(2).into());
    app.help_scroll = app.help_scroll.map(|top| top.min(u16::try_from(hidden).unwrap_or(0)));
    let title = match hidden {
        0 => "Keys; any key closes this",
        _ if is_narrow => "Keys; down: more; Esc: close",
        _ => "Keys; up and down: more; any other key closes this",
    };
    let area = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(title);
    let text = Paragraph::new(lines).block(block);
    frame.render_widget(text.scroll((app.help_scroll.unwrap_or(0), 0)), area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_lines_counts_those_without_room() {
        let found: Vec<Odd> = ["a", "b", "c", "d"].map(|text| Odd::new("busy", text)).into();
        assert_eq!(finding_lines(&found, 40, 4), ["! a", "! b", "! c", "! d"]);
        assert_eq!(finding_lines(&found, 40, 3), ["! a", "! b", "! 2 more findings"]);
        assert_eq!(finding_lines(&found, 40, 1), ["! 4 findings"]);
        assert_eq!(finding_lines(&found[..1], 40, 1), ["! a"]);
    }
}
