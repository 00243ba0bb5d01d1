//! The lines that a program recorded.

use mmstats_history::{Moment, Program};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::App;
use crate::text::{escape, time};

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let visible = usize::from(area.height.saturating_sub(1));
    // Lines after the moment that is shown had not happened yet.
    let limit = app.frozen.map(|_| {
        let time = app.sampler.clock().time_of_day(at);
        time.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos())
    });
    let all: Vec<_> = program
        .lines
        .iter()
        .filter(|line| limit.is_none_or(|limit| u128::from(line.time) <= limit))
        .collect();
    app.events = app.events.min(all.len().saturating_sub(visible));
    if all.is_empty() {
        let text = Span::styled("no events", app.theme.dim());
        return frame.render_widget(Paragraph::new(text), area);
    }
    let now = app.sampler.clock().time_of_day(at);
    let day = |time: i128| time::local(time, "%Y-%m-%d");
    let today = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let today = day(i128::try_from(today).unwrap_or(0));
    let head = format!("TIME {}", time::zone(now).unwrap_or_default());
    let head = Line::from(Span::styled(head, app.theme.dim()));
    let last = all.len() - app.events;
    let lines = all.iter().take(last).skip(last.saturating_sub(visible)).map(|line| {
        let is_today = day(line.time.into()) == today;
        let format = if is_today { "%H:%M:%S%.3f" } else { "%Y-%m-%d %H:%M:%S" };
        let time = time::local(line.time.into(), format).unwrap_or_default();
        let text = match &line.text {
            Ok(text) => Span::raw(escape::text(text).into_owned()),
            Err(code) => Span::styled(format!("damaged: {code}"), app.theme.bad()),
        };
        let mut spans = vec![Span::styled(format!("{time}  "), app.theme.dim())];
        if area.width >= 60 {
            spans.push(Span::styled(format!("{}  ", escape::text(&line.label)), app.theme.graph()));
        }
        spans.push(text);
        Line::from(spans)
    });
    frame.render_widget(Paragraph::new(Vec::from_iter(std::iter::once(head).chain(lines))), area);
}
