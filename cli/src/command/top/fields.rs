//! The fields of a program as a tree or a list.

use std::time::{Duration, SystemTime};

use mmstats_history::{Field, History, Lane, Moment, Program};
use mmstats_observe::OwnedValue;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

use super::app::{Against, App, FieldOrder};
use super::format;
use super::table::{line_style, right};
use super::tree::{Item, Node};
use crate::live;
use crate::text::{escape, unit};
use crate::value::to_human;

/// Width of a sparkline on a wide screen.
const SPARK: u16 = 24;
/// The width that a sparkline keeps where values want room.
const LEAST: u16 = 8;
/// Widths of rates and of times without a change.
const RATE: u16 = 9;
const STILL: u16 = 7;
/// The width that values have at least, where the screen allows it.
const VALUE: u16 = 14;
/// The width that values have at most beside a graph.
const WIDEST: u16 = 64;
/// The time over which rates are taken.
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    history: &History,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let visible = usize::from(area.height.saturating_sub(1));
    app.fields.fit(app.shown_fields.len(), visible);
    app.list_top = area.y + 1;
    if app.shown_fields.is_empty() {
        let text = "no field has such a name or level; l changes the level, Esc ends the search";
        let text = Paragraph::new(Span::styled(text, app.theme.dim()));
        frame.render_widget(text.wrap(Wrap { trim: true }), area);
        return;
    }
    let shown: Vec<&Node> = app.shown_fields.iter().skip(app.fields.first).take(visible).collect();
    let now = app.sampler.clock().time_of_day(at);
    let value = |node: &&&Node| {
        let field = program.fields().get(node.item.field()?)?;
        Some(escape::width(&format::value(field.value_at(at).as_ref(), &field.info, now)))
    };
    let widest = shown.iter().filter_map(|node| value(&node)).max().unwrap_or(0);
    let widest = u16::try_from(widest).unwrap_or(u16::MAX);
    let columns = Columns::new(&shown, widest, app.against.is_some(), area.width);
    let lines = shown.iter().enumerate().map(|(line, node)| {
        let is_selected = app.fields.first + line == app.fields.selected;
        let view = View { app, history, program, at, columns };
        Row::new(view.cells(node)).style(line_style(app, is_selected))
    });
    let (heads, widths) = columns.heads(app);
    let heads = Row::new(heads).style(app.theme.dim());
    frame.render_widget(Table::new(lines, widths).header(heads).column_spacing(1), area);
}

/// Widths of the columns that depend on the screen; 0 for a column that is left out.
#[derive(Debug, Clone, Copy)]
struct Columns {
    name: u16,
    value: u16,
    compared: u16,
    rate: u16,
    still: u16,
    spark: u16,
}

impl Columns {
    /// `widest` is the width of the widest value.
    fn new(shown: &[&Node], widest: u16, compared: bool, width: u16) -> Self {
        let compared = if compared { 14 } else { 0 };
        let spark = match width {
            0..70 => 0,
            70..100 => 12,
            100..160 => SPARK,
            _ => 2 * SPARK,
        };
        let still = if width < 48 { 0 } else { STILL };
        let rate = if width < 48 && compared > 0 { 0 } else { RATE };
        let spaces = 1
            + u16::from(rate > 0)
            + u16::from(still > 0)
            + u16::from(compared > 0)
            + u16::from(spark > 0);
        let left = width.saturating_sub(rate + still + compared + spark + spaces);
        // Names are cut last: two fields could look alike.
        let name = |node: &&Node| {
            let count = if matches!(node.item, Item::Group { .. }) { 8 } else { 0 };
            2 * node.depth + 2 + escape::width(&node.name) + count
        };
        let name = shown.iter().map(name).max().unwrap_or(0);
        let name = u16::try_from(name).unwrap_or(u16::MAX).min(left.saturating_sub(VALUE)).max(8);
        let mut value = left.saturating_sub(name);
        let mut spark = spark;
        // On a wide screen the graphs have the room that values do not need, and on a narrow one values
        // have some of theirs.
        if spark > 0 && value > WIDEST {
            spark += value - WIDEST;
            value = WIDEST;
        } else {
            let more = widest.saturating_sub(value).min(spark.saturating_sub(LEAST));
            value += more;
            spark -= more;
        }
        Self { name, value, compared, rate, still, spark }
    }

    fn heads(self, app: &App) -> (Vec<Cell<'static>>, Vec<u16>) {
        let arrow = |order: FieldOrder, text: &str| {
            let mark = if app.reversed { "^" } else { "v" };
            if app.field_order == order { format!("{text} {mark}") } else { text.to_owned() }
        };
        let name = match app.field_order {
            FieldOrder::Name => "FIELD".to_owned(),
            FieldOrder::Unusual => "FIELD, the most unusual first".to_owned(),
            _ => "FIELD".to_owned(),
        };
        let mut heads = vec![Cell::new(name), right(arrow(FieldOrder::Value, "VALUE"))];
        let mut widths = vec![self.name, self.value];
        if self.compared > 0 {
            heads.push(right("COMPARED"));
            widths.push(self.compared);
        }
        if self.rate > 0 {
            heads.push(right(arrow(FieldOrder::Rate, "PER SEC")));
            widths.push(self.rate);
        }
        if self.still > 0 {
            heads.push(right(arrow(FieldOrder::Changed, "STILL")));
            widths.push(self.still);
        }
        if self.spark > 0 {
            heads.push(Cell::new(format!("LAST {}", format::span(app.span))));
            widths.push(self.spark);
        }
        (heads, widths)
    }
}

/// Data for the cells of a line.
struct View<'a> {
    app: &'a App,
    history: &'a History,
    program: &'a Program,
    at: Moment,
    columns: Columns,
}

impl View<'_> {
    fn cells(&self, node: &Node) -> Vec<Cell<'static>> {
        let indent = "  ".repeat(node.depth);
        match &node.item {
            Item::Group { folded, fields, .. } => {
                let mark = if *folded { "+" } else { "-" };
                let text = format!("{indent}{mark} {} ({fields})", node.name);
                let text = format::clip(&text, self.columns.name);
                vec![Cell::new(Span::styled(text, self.app.theme.head()))]
            }
            Item::Field(index) => {
                let field = self.program.fields().get(*index);
                field.map_or_else(Vec::new, |field| self.field(field, node, &indent))
            }
            Item::Lane(index, part, number) => {
                let field = self.program.fields().get(*index);
                let lane = field.and_then(|field| {
                    let mut lanes = field.lanes().iter();
                    let lane = lanes.find(|lane| (lane.part, lane.lane) == (*part, *number))?;
                    Some((field, lane))
                });
                lane.map_or_else(Vec::new, |(field, lane)| self.lane(field, lane, node, &indent))
            }
        }
    }

    fn field(&self, field: &Field, node: &Node, indent: &str) -> Vec<Cell<'static>> {
        let (app, at) = (self.app, self.at);
        let key = field.info.key();
        let marked =
            app.marks.iter().any(|(program, mark)| *program == self.program.key && *mark == key);
        let mark = if marked { "*" } else { " " };
        let name = format::clip(&format!("{indent}{mark} {}", node.name), self.columns.name);
        let ended = self.program.condition_at(at).is_some_and(|(_, now)| now.has_ended());
        let name = if field.present || ended {
            Span::raw(name)
        } else {
            Span::styled(name, app.theme.dim())
        };
        let value = field.value_at(at);
        let now = app.sampler.clock().time_of_day(at);
        let text = format::value(value.as_ref(), &field.info, now);
        let text = format::value_in(text, value.as_ref(), &field.info, self.columns.value);
        let mut cells = vec![Cell::new(name), right(text)];
        if let Some(against) = app.against {
            let other = match against {
                Against::Moment(moment) => field.value_at(moment),
                Against::Program(other) => {
                    let other = self.history.program(other);
                    other.and_then(|other| other.field(&key)?.value_at(at))
                }
            };
            let text = compared(value.as_ref(), other.as_ref(), field, now);
            cells.push(right(format::clip(&text, self.columns.compared)));
        }
        let rate = field.rate(at, SECOND).filter(|_| !ended && !field.info.constant);
        if self.columns.rate > 0 {
            cells.push(right(format::rate(rate, &field.info)));
        }
        if self.columns.still > 0 {
            let changed = field.changed(at).map(|moment| at.since(moment));
            let still = format::still(changed, at.since(field.first));
            cells.push(right(if field.info.constant { String::new() } else { still }));
        }
        if self.columns.spark > 0 && !field.info.constant {
            let past = live::program::spark(
                (self.program, field),
                at,
                app.span,
                self.columns.spark.into(),
            );
            let spark = format::sparkline(&past, live::program::shows_rate(field));
            cells.push(Cell::new(Span::styled(spark, app.theme.graph())));
        }
        cells
    }

    fn lane(&self, field: &Field, lane: &Lane, node: &Node, indent: &str) -> Vec<Cell<'static>> {
        let at = self.at;
        let name = format::clip(&format!("{indent}  {}", node.name), self.columns.name);
        let value = lane.value_at(at);
        let now = self.app.sampler.clock().time_of_day(at);
        let text = format::value(value.as_ref(), &field.info, now);
        let text = format::value_in(text, value.as_ref(), &field.info, self.columns.value);
        let mut cells = vec![Cell::new(Span::styled(name, self.app.theme.dim())), right(text)];
        if self.columns.compared > 0 {
            let other = match self.app.against {
                Some(Against::Moment(moment)) => lane.value_at(moment),
                _ => None,
            };
            let text = other.map_or_else(String::new, |other| {
                compared(value.as_ref(), Some(&other), field, now)
            });
            cells.push(right(format::clip(&text, self.columns.compared)));
        }
        let ended = self.program.condition_at(at).is_some_and(|(_, now)| now.has_ended());
        let rate = lane.rate(at, SECOND).filter(|_| !ended);
        if self.columns.rate > 0 {
            cells.push(right(format::rate(rate, &field.info)));
        }
        if self.columns.still > 0 {
            let changed = lane.changed(at).map(|moment| at.since(moment));
            cells.push(right(
                changed.map_or_else(String::new, |_| format::still(changed, Duration::ZERO)),
            ));
        }
        cells
    }
}

/// The difference of two numbers or counts, `=` for equal values, else the other value.
fn compared(
    value: Option<&OwnedValue>,
    other: Option<&OwnedValue>,
    field: &Field,
    now: SystemTime,
) -> String {
    let (Some(a), Some(b)) = (value, other) else {
        return format::value(other, &field.info, now);
    };
    if a.only() == b.only() {
        return "=".to_owned();
    }
    let signed = |sign: &str, gain: &OwnedValue| {
        let text = unit::followed_by(to_human(gain, &field.info.unit), &field.info.unit);
        format!("{sign}{text}")
    };
    match (a.since(b), b.since(a)) {
        (Some(gain), _) => signed("+", &gain),
        (None, Some(loss)) => signed("-", &loss),
        (None, None) => format::value(other, &field.info, now),
    }
}
