//! All that is known of one field.

use mmstats_history::{Moment, Program};
use mmstats_observe::OwnedValue;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::app::App;
use super::{chart, format};
use crate::text::{escape, human};
use crate::value::to_plain;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let Some(field) = app.selected_field(program) else {
        let text = Span::styled("no field is selected: up and down choose one", app.theme.dim());
        return frame.render_widget(Paragraph::new(text), area);
    };
    let info = &field.info;
    let value = field.value_at(at);
    let mut lines = vec![Line::from(Span::styled(format::name(info), app.theme.head()))];
    for help in info.help.lines().filter(|line| !line.trim().is_empty()) {
        lines.push(Line::from(escape::text(help.trim()).into_owned()));
    }
    lines.push(Line::default());
    let mut row = |name: &str, text: String| {
        let name = Span::styled(format!("{name:<10}"), app.theme.dim());
        lines.push(Line::from(vec![name, Span::raw(text)]));
    };
    row("value", format::value(value.as_ref(), info));
    row("exactly", value.as_ref().map_or_else(|| "-".to_owned(), to_plain));
    row("type", format!("{} {}", info.shape(), info.kind_name()));
    let unit = escape::text(&info.unit);
    row("unit", if unit.is_empty() { "-".to_owned() } else { unit.into_owned() });
    row("level", info.properties.level().name().to_owned());
    let tally = field.reading.tally;
    let lanes = tally.values + tally.absent + tally.contended + tally.damaged;
    row("lanes", format!("{} of {lanes}, {}", tally.values, info.properties.aggregation()));
    row("verdict", format!("{} at the last look", field.reading.verdict));
    row(
        "changed",
        match field.changed(at) {
            Some(moment) => format!("{} ago", human::age(at.since(moment))),
            None if info.constant => "never: it is constant".to_owned(),
            None => format!("not in the last {}", human::age(at.since(field.first))),
        },
    );
    let spans = match (field.numbers(), field.readings()) {
        (Some(numbers), _) => {
            let [fine, middle, coarse] = numbers.span().map(human::age);
            format!("{fine} of every look, {middle} of tenths, {coarse} of seconds")
        }
        (_, Some(readings)) => human::age(readings.span()),
        _ => "-".to_owned(),
    };
    row("kept", spans);
    if let Some(OwnedValue::Histogram(histogram)) = value.as_ref().map(OwnedValue::only) {
        lines.push(Line::default());
        lines.extend(chart::buckets(app, histogram, &info.unit, area.width, 20));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}
