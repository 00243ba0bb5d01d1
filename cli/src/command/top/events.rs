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
    let visible = usize::from(area.height);
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
    let last = all.len() - app.events;
    let lines = all.iter().take(last).skip(last.saturating_sub(visible)).map(|line| {
        let time = time::local(line.time.into(), "%H:%M:%S%.3f").unwrap_or_default();
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
    frame.render_widget(Paragraph::new(Vec::from_iter(lines)), area);
}
