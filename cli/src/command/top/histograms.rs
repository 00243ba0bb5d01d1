//! Histograms: a list, the distribution of one, and its quantiles over time.

use std::time::Duration;

use mmstats_history::{Field, Moment, Program};
use mmstats_observe::{HistogramValue, OwnedValue};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::app::{App, is_histogram};
use super::table::{line_style, right};
use super::{chart, format};
use crate::text::{human, unit};
use crate::value::quantile;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let text = app.filter.text.clone();
    let wanted = |field: &Field| {
        is_histogram(field) && format::name(&field.info).to_lowercase().contains(&text)
    };
    let fields = program.fields().iter().enumerate();
    app.shown_histograms =
        fields.filter(|(_, field)| wanted(field)).map(|(index, _)| index).collect();
    if app.shown_histograms.is_empty() {
        let text = Span::styled("no histograms", app.theme.dim());
        return frame.render_widget(Paragraph::new(text), area);
    }
    let rows = u16::try_from(app.shown_histograms.len()).unwrap_or(u16::MAX);
    let list = rows.saturating_add(1).min((area.height / 3).max(2));
    let [above, below] =
        Layout::vertical([Constraint::Length(list), Constraint::Min(0)]).areas(area);
    draw_list(frame, app, program, at, above);
    let selected = app.shown_histograms.get(app.histograms.selected);
    let Some(field) = selected.and_then(|index| program.fields().get(*index)) else { return };
    let [left, right] = if area.width >= 120 {
        Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(below)
    } else {
        Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(below)
    };
    draw_distribution(frame, app, field, at, left);
    let steps = usize::from(right.width.saturating_sub(12)).clamp(10, 100);
    chart::draw_series(frame, app, &chart::quantiles(app, field, at, steps, ""), right);
}

/// The values of the last `span` before `at`, or of the part of it whose past is kept, and how long
/// that is; `None` for all values, if none was counted in that time.
fn recent(field: &Field, at: Moment, span: Duration) -> Option<(HistogramValue, Option<Duration>)> {
    let now = histogram(field, at)?;
    let start = at.before(span).max(field.kept_since()?);
    let gained = histogram(field, start).and_then(|before| now.since(&before));
    match gained.filter(|gained| gained.count() > 0) {
        Some(gained) => Some((gained, Some(at.since(start)))),
        None => Some((now, None)),
    }
}

/// The value of a histogram at a moment.
pub(super) fn histogram(field: &Field, at: Moment) -> Option<HistogramValue> {
    match field.value_at(at)?.only() {
        OwnedValue::Histogram(histogram) => Some((**histogram).clone()),
        _ => None,
    }
}

fn draw_list(frame: &mut Frame<'_>, app: &mut App, program: &Program, at: Moment, area: Rect) {
    let visible = usize::from(area.height.saturating_sub(1));
    app.histograms.fit(app.shown_histograms.len(), visible);
    app.list_top = area.y + 1;
    // At most five quantiles, the usual ones first.
    let quantiles = [("P50", 0.5_f64), ("P99", 0.99), ("MAX", 1.0), ("P90", 0.9), ("P99.9", 0.999)];
    let room = usize::from(area.width.saturating_sub(45) / 11).clamp(1, quantiles.len());
    let mut quantiles = quantiles.into_iter().take(room).collect::<Vec<_>>();
    quantiles.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let shown = app.shown_histograms.iter().enumerate().skip(app.histograms.first).take(visible);
    let lines = shown.filter_map(|(line, index)| {
        let field = program.fields().get(*index)?;
        let (recent, last) = recent(field, at, app.span).unzip();
        let last = last.map(|last| last.map_or_else(|| "all".to_owned(), human::age));
        let rate = field.rate(at, Duration::from_secs(1));
        let mut cells = vec![
            Cell::new(format::name(&field.info)),
            right(last.unwrap_or_default()),
            right(format::rate(rate, &field.info)),
        ];
        for (_, q) in &quantiles {
            let found = recent.as_ref().and_then(|recent| recent.quantile(*q));
            let text = found.map(|found| quantile(found, |x| unit::compact(x, &field.info.unit)));
            cells.push(right(human::or_dash(text)));
        }
        Some(Row::new(cells).style(line_style(app, line == app.histograms.selected)))
    });
    let mut heads = vec![Cell::new("HISTOGRAM"), right("LAST"), right("PER SEC")];
    let mut widths = vec![Constraint::Fill(1), Constraint::Length(6), Constraint::Length(9)];
    for (name, _) in &quantiles {
        heads.push(right(*name));
        widths.push(Constraint::Length(10));
    }
    let heads = Row::new(heads).style(app.theme.dim());
    frame.render_widget(Table::new(lines, widths).header(heads).column_spacing(1), area);
}

fn draw_distribution(frame: &mut Frame<'_>, app: &App, field: &Field, at: Moment, area: Rect) {
    let Some((recent, last)) = recent(field, at, app.span) else {
        let text = Span::styled("no value", app.theme.dim());
        return frame.render_widget(Paragraph::new(text), area);
    };
    let when = last.map_or_else(|| "all".to_owned(), |last| format!("last {}", human::age(last)));
    let count = human::grouped(&recent.count().to_string());
    let values = if recent.count() == 1 { "value" } else { "values" };
    let head = format!("{}: {when}, {count} {values}", format::name(&field.info));
    let mut lines =
        vec![Line::from(Span::styled(format::clip(&head, area.width), app.theme.head()))];
    let rows = usize::from(area.height.saturating_sub(2)).max(1);
    lines.extend(chart::buckets(app, &recent, &field.info.unit, area.width, rows));
    frame.render_widget(Paragraph::new(lines), area);
}
