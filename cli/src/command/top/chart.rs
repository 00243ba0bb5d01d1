//! Graphs: marked fields over time, and the buckets of a histogram.

use std::time::Duration;

use mmstats_history::{Field, History, Moment, Program};
use mmstats_observe::{HistogramValue, OwnedValue, Quantile};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph, Wrap};

use super::app::{App, is_histogram};
use super::format;
use super::tree::Item;
use crate::live;
use crate::text::{human, unit};

/// Maximum number of fields of a group in one chart.
const MAX_GROUP: usize = 6;

/// A line of a chart.
pub(super) struct Series {
    name: String,
    unit: String,
    points: Vec<(f64, f64)>,
}

/// The marked fields, else the selected one.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &App,
    history: &History,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let steps = usize::from(area.width.saturating_sub(12)).max(10) * 2;
    let mut series = Vec::new();
    for (key, mark) in &app.marks {
        if let Some(program) = history.program(*key)
            && let Some(field) = program.field(mark)
        {
            series.extend(of_field(app, (program, field), at, steps));
        }
    }
    if app.marks.is_empty() {
        for index in selected(app, program) {
            if let Some(field) = program.fields().get(index) {
                series.extend(of_field(app, (program, field), at, steps));
            }
        }
    }
    draw_series(frame, app, &series, area);
}

/// The selected field, or the first numbers of the selected group.
fn selected(app: &App, program: &Program) -> Vec<usize> {
    let mut lines = app.shown_fields.iter().skip(app.fields.selected);
    let Some(first) = lines.next() else { return Vec::new() };
    match first.item {
        Item::Group { .. } => {
            let inside = lines.take_while(|node| node.depth > first.depth);
            let fields = inside.filter(|node| matches!(node.item, Item::Field(_)));
            let fields = fields.filter_map(|node| node.item.field());
            let is_number = |index: &usize| {
                program.fields().get(*index).is_some_and(|field| field.numbers().is_some())
            };
            fields.filter(is_number).take(MAX_GROUP).collect()
        }
        _ => first.item.field().into_iter().collect(),
    }
}

/// Lines with one unit have one scale; else each has its own, which its name states.
pub(super) fn draw_series(frame: &mut Frame<'_>, app: &App, series: &[Series], area: Rect) {
    let extremes = |series: &Series| {
        let points = || series.points.iter().map(|(_, y)| *y);
        (points().fold(f64::INFINITY, f64::min), points().fold(f64::NEG_INFINITY, f64::max))
    };
    let all = series.iter().map(extremes);
    let (min, max) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), (low, high)| {
        (min.min(low), max.max(high))
    });
    if !min.is_finite() || !max.is_finite() {
        let text = "nothing to draw yet: m marks a field for this chart, up and down select one";
        let text = Paragraph::new(Span::styled(text, app.theme.dim()));
        return frame.render_widget(text.wrap(Wrap { trim: true }), area);
    }
    let unit = series.first().map(|series| series.unit.clone()).unwrap_or_default();
    let is_same = series.iter().all(|series| series.unit == unit);
    let name = |series: &Series| {
        let (low, high) = extremes(series);
        if is_same || !high.is_finite() {
            return series.name.clone();
        }
        let text = |y| unit::compact(y, &series.unit);
        format!("{} {} to {}", series.name, text(low.min(0.0)), text(high))
    };
    let scaled: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|series| {
            let (low, high) = extremes(series);
            let low = low.min(0.0);
            let scale = |y: f64| if high > low { (y - low) / (high - low) } else { 0.0 };
            let y = |y: f64| if is_same { y } else { scale(y) };
            series.points.iter().map(|point| (point.0, y(point.1))).collect()
        })
        .collect();
    let (min, max) = match (is_same, min == max) {
        (false, _) => (0.0, 1.0),
        (true, true) => (min.min(0.0), if max > 0.0 { max * 1.1 } else { 1.0 }),
        // From zero, unless all values are far above it.
        (true, false) => (if min > (max - min) * 4.0 { min } else { min.min(0.0) }, max),
    };
    let label =
        |y: f64| if is_same { unit::compact(y, &unit) } else { format!("{:.0} %", y * 100.0) };
    let datasets = series.iter().zip(&scaled).enumerate().map(|(index, (_, points))| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(app.theme.series(index))
            .data(points)
    });
    let span = app.span.as_secs_f64();
    let end = if app.frozen.is_some() { "cursor" } else { "now" };
    let x = Axis::default()
        .bounds([-span, 0.0])
        .labels([
            format!("-{}", human::age(app.span)),
            format!("-{}", human::age(app.span / 2)),
            end.to_owned(),
        ])
        .style(app.theme.dim());
    let y = Axis::default()
        .bounds([min, max])
        .labels([label(min), label(f64::midpoint(min, max)), label(max)])
        .style(app.theme.dim());
    let [legend, area] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let names = series.iter().enumerate().filter(|(_, series)| !series.points.is_empty());
    let names = names.flat_map(|(index, series)| {
        let text = format::clip(&name(series), (area.width / 2).max(20));
        [Span::styled("━ ", app.theme.series(index)), Span::raw(text + "  ")]
    });
    frame.render_widget(Paragraph::new(Line::from_iter(names)), legend);
    let chart = Chart::new(datasets.collect()).x_axis(x).y_axis(y);
    frame.render_widget(chart.legend_position(None), area);
}

/// Rates of counters, values of gauges, means of timers and averages, quantiles of histograms.
fn of_field(
    app: &App,
    (program, field): (&Program, &Field),
    at: Moment,
    steps: usize,
) -> Vec<Series> {
    if is_histogram(field) {
        let name = format::name(&field.info) + " ";
        return quantiles(app, field, at, steps.min(100), &name);
    }
    let name = format::name(&field.info);
    let kind = field.reading.value.as_ref().map(OwnedValue::only);
    if matches!(kind, Some(OwnedValue::Timer(_) | OwnedValue::Average(_))) {
        let is_timer = matches!(kind, Some(OwnedValue::Timer(_)));
        let unit = if is_timer { "seconds" } else { &field.info.unit };
        let mean = |value: &OwnedValue| match value.only() {
            OwnedValue::Timer(timer) => timer.mean().map(|mean| mean / 1e9),
            OwnedValue::Average(average) => average.mean(),
            _ => None,
        };
        let values = intervals(app, field, at, steps.min(100), mean);
        return vec![series(app, format!("{name} mean"), unit, &values)];
    }
    let is_rate = live::program::shows_rate(field);
    let name = if is_rate { format!("{name}/s") } else { name };
    let unit = if field.numbers().is_some() { field.info.unit.as_str() } else { "" };
    let values = live::program::spark((program, field), at, app.span, steps);
    let mut line = series(app, name, unit, &values);
    if let Some(numbers) = field.numbers().filter(|_| !is_rate) {
        // The smallest and the largest value between two points, which they do not show.
        let step = app.span / u32::try_from(steps.max(1)).unwrap_or(u32::MAX);
        let ranges = numbers.steps(at, step, steps);
        let x = |index: usize| column(app, index, steps);
        let known = ranges.iter().zip(&values).enumerate();
        let known = known.filter_map(|(index, (range, value))| {
            let (range, value) = ((*range)?, (*value)?);
            let ends = [range.min.as_f64(), range.max.as_f64(), value];
            Some(ends.map(|y| (x(index), y)))
        });
        let ranges: Vec<_> = known.flatten().filter(|(_, y)| y.is_finite()).collect();
        if !ranges.is_empty() {
            line.points.extend(ranges);
            // Stable: the ends of a step stay in front of its value.
            line.points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        }
    }
    vec![line]
}

/// The place of step `index` of `steps` on the time axis.
#[allow(clippy::cast_precision_loss)] // Columns of a screen.
fn column(app: &App, index: usize, steps: usize) -> f64 {
    ((index + 1) as f64 / steps as f64 - 1.0) * app.span.as_secs_f64()
}

/// Median, 99 % and maximum of a histogram, of the values of each step.
pub(super) fn quantiles(
    app: &App,
    field: &Field,
    at: Moment,
    steps: usize,
    name: &str,
) -> Vec<Series> {
    [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
        .map(|(which, q)| {
            let values = intervals(app, field, at, steps, |value| match value.only() {
                OwnedValue::Histogram(values) => values.quantile(q).map(Quantile::number),
                _ => None,
            });
            series(app, format!("{name}{which}"), &field.info.unit, &values)
        })
        .into()
}

/// Results of `of` for the values counted in each step.
fn intervals(
    app: &App,
    field: &Field,
    at: Moment,
    steps: usize,
    of: impl Fn(&OwnedValue) -> Option<f64>,
) -> Vec<Option<f64>> {
    let step = app.span / u32::try_from(steps.max(1)).unwrap_or(u32::MAX);
    // Values are looked at once a second, or more often while they are on the screen.
    let window = step.max(Duration::from_secs(1));
    let value = |back: usize| {
        let end = at.before(step.saturating_mul(u32::try_from(back).unwrap_or(u32::MAX)));
        let gained = field.value_at(end)?.since(&field.value_at(end.before(window))?)?;
        gained.counted().filter(|count| *count > 0.0).and_then(|_| of(&gained))
    };
    (0..steps).rev().map(value).collect()
}

fn series(app: &App, name: String, unit: &str, values: &[Option<f64>]) -> Series {
    let x = |index: usize| column(app, index, values.len());
    let known = values.iter().enumerate();
    let known =
        known.filter_map(|(index, value)| Some((x(index), value.filter(|y| y.is_finite())?)));
    Series { name, unit: unit.to_owned(), points: known.collect() }
}

/// A bar for each group of buckets, at most `rows`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn buckets(
    app: &App,
    histogram: &HistogramValue,
    unit: &str,
    width: u16,
    rows: usize,
) -> Vec<Line<'static>> {
    let all: Vec<(i32, f64, f64, u128)> = histogram.buckets().collect();
    let ends = [("below", histogram.below()), ("above", histogram.above())];
    let ends: Vec<_> = ends.into_iter().filter(|(_, count)| *count > 0).collect();
    let rows = rows.saturating_sub(ends.len()).max(1);
    // Groups of the same number of buckets, so that empty ones in between are seen.
    let (first, last) = (all.first().map_or(0, |one| one.0), all.last().map_or(0, |one| one.0));
    let count = i64::from(last) - i64::from(first) + 1;
    let size = u64::try_from(count).unwrap_or(1).div_ceil(rows as u64).max(1);
    let mut groups: Vec<(f64, f64, u128)> = Vec::new();
    let mut before = None;
    for (number, low, high, count) in all {
        let group = u64::try_from(i64::from(number) - i64::from(first)).unwrap_or(0) / size;
        if before == Some(group) {
            if let Some(last) = groups.last_mut() {
                (last.1, last.2) = (high, last.2.saturating_add(count));
            }
        } else {
            groups.push((low, high, count));
        }
        before = Some(group);
    }
    let most = groups.iter().map(|group| group.2).max().unwrap_or(0).max(1);
    let text = |x: f64| unit::compact(x, unit);
    let is_narrow = width < 60;
    let labels = if is_narrow { 24 } else { 40 };
    let room = f64::from(width.saturating_sub(labels).max(4));
    let mut lines: Vec<Line<'static>> = groups
        .iter()
        .map(|(low, high, count)| {
            let bar = "█".repeat((*count as f64 / most as f64 * room).ceil() as usize);
            let (range, count) = if is_narrow {
                (
                    format!("<={:>9}", text(*high)),
                    format!(" {:>10}  ", human::compact(*count as f64)),
                )
            } else {
                let range = format!("{:>10} to {:<10}", text(*low), text(*high));
                (range, format!(" {:>12}  ", human::grouped(&count.to_string())))
            };
            Line::from(vec![
                Span::styled(range, app.theme.dim()),
                Span::raw(count),
                Span::styled(bar, app.theme.graph()),
            ])
        })
        .collect();
    for (name, count) in ends {
        let text = format!("{name} the buckets: {}", human::grouped(&count.to_string()));
        lines.push(Line::from(text));
    }
    lines
}
