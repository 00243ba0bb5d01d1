//! All that is known of one field, or of the program.

use std::time::{Duration, SystemTime};

use mmstats_history::{Condition, Field, Moment, Program};
use mmstats_observe::{EachValue, OwnedValue};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::app::App;
use super::{chart, format, programs, tree};
use crate::live::findings;
use crate::live::program::{process_at, state};
use crate::model::life::end_word;
use crate::text::{escape, human, time};
use crate::value::{activity_rows, to_plain};

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let Some(field) = app.selected_field(program) else {
        return draw_program(frame, app, program, at, area);
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
    let now = app.sampler.clock().time_of_day(at);
    row("value", format::value(value.as_ref(), info, now));
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
    if let Some(value) = &value {
        let rows = activities(value, field, now);
        lines.extend((!rows.is_empty()).then(Line::default));
        lines.extend(rows.into_iter().map(Line::from));
    }
    if let Some(OwnedValue::Histogram(histogram)) = value.as_ref().map(OwnedValue::only) {
        lines.push(Line::default());
        lines.extend(chart::buckets(app, histogram, &info.unit, area.width, 20));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

/// Maximum number of states of a program that are listed.
const MAX_STATES: usize = 8;
/// Time within which the process of a program is looked at.
const LATER: Duration = Duration::from_secs(1);

/// Draws the details of the program, if no field is selected.
fn draw_program(frame: &mut Frame<'_>, app: &App, program: &Program, at: Moment, area: Rect) {
    let identity = &program.identity;
    let clock = app.sampler.clock();
    let mut lines = vec![Line::from(Span::styled(programs::name(program), app.theme.head()))];
    lines.push(Line::from(Span::styled(
        "the program; in Fields (1) up and down select a field, whose details are here then",
        app.theme.dim(),
    )));
    lines.push(Line::default());
    let mut row = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            let name = Span::styled(format!("{name:<12}"), app.theme.dim());
            lines.push(Line::from(vec![name, Span::raw(text)]));
        }
    };
    let text = |text: &Option<String>| text.as_deref().map(|text| escape::text(text).into_owned());
    let process = process_at(&app.processes, program, at);
    if let Some((since, condition)) = program.condition_at(at) {
        let state = state(condition, process.as_ref());
        let now = clock.time_of_day(at);
        let when = || findings::when(program, program.ended().unwrap_or(since), at, now);
        row(
            "state",
            Some(match condition {
                Condition::Unrecorded => {
                    format!("{state}, not recorded for {}", human::age(at.since(since)))
                }
                _ if condition.has_ended() => {
                    format!("{state}, {} {}", end_word(condition.state()), when())
                }
                _ => state.to_owned(),
            }),
        );
    }
    row("application", text(&identity.application));
    row("process", program.process.or(identity.pid).map(|pid| pid.to_string()));
    let inside = identity.pid.filter(|pid| program.process.is_some_and(|known| known != *pid));
    row("sys.pid", inside.map(|pid| format!("{pid}, in its own pid namespace")));
    row("user", program.owner.map(|owner| owner.to_string()));
    row("host", text(&identity.host));
    #[allow(clippy::cast_possible_truncation)] // Of a float: saturates.
    let created = identity.created.map(|seconds| (seconds * 1e9) as i128);
    row("created", created.and_then(time::date));
    row("fields", Some(program.fields().iter().filter(|field| field.present).count().to_string()));
    row("missing", (!program.completeness.is_complete()).then(|| program.completeness.to_string()));
    row("seen for", Some(human::age(at.since(program.first))));
    let states = program.states().iter().filter(|(since, _)| *since <= at);
    let states: Vec<&(Moment, Condition)> = states.collect();
    for (since, condition) in states.iter().rev().take(MAX_STATES).rev() {
        let time = format::time_of_day(clock.time_of_day(*since));
        // Its process is looked at a little later than its files.
        let process = process_at(&app.processes, program, since.after(LATER).min(at));
        let gone = if condition.is_gone() { ", its files gone" } else { "" };
        row("", Some(format!("{}{gone} at {time}", state(*condition, process.as_ref()))));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

/// A line for each activity in progress, under the thread that does it.
fn activities(value: &OwnedValue, field: &Field, now: SystemTime) -> Vec<String> {
    let lanes = match value {
        OwnedValue::Each(lanes) => lanes.as_slice(),
        OwnedValue::Activity(value) => return activity_rows(value, now),
        _ => &[],
    };
    let mut lines = vec![];
    for each in lanes {
        let Some(OwnedValue::Activity(value)) = &each.value else { continue };
        let rows = activity_rows(value, now);
        if lanes.len() > 1 && !rows.is_empty() {
            lines.push(lane_name(field, each));
        }
        lines.extend(rows.into_iter().map(|row| format!("  {row}")));
    }
    lines
}

/// The name of a lane: that of its thread, if lanes are unfolded.
fn lane_name(field: &Field, each: &EachValue) -> String {
    let number = each.origin.lane.unwrap_or(0);
    let mut lanes = field.lanes().iter();
    let lane = lanes.find(|lane| (lane.part, lane.lane) == (each.origin.part, number));
    lane.map_or_else(|| format!("lane {number}"), tree::lane_name)
}
