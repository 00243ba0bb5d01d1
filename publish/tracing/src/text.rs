//! The text of a span or an event.

use std::fmt::{self, Debug, Write};
use std::ops::Range;

use mmstats::recorder_support::floor_char_boundary;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Record};

/// Maximum length of the text of a span, in bytes.
pub(crate) const SPAN: usize = 96;
/// Maximum length of the line of an event, in bytes.
pub(crate) const LINE: usize = 240;
/// Bytes that are kept beyond a maximum length: readers see that the text was cut.
pub(crate) const BEYOND: usize = 4;
/// Maximum length of the kept text of a span, of which the first [`SPAN`] bytes are shown: a value
/// that gets shorter brings others into view.
const KEPT: usize = 4 * SPAN;

/// Appends to a text up to a maximum length.
struct Bounded<'a> {
    text: &'a mut String,
    most: usize,
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let left = self.most.saturating_sub(self.text.len());
        self.text.push_str(&more[..floor_char_boundary(more, left)]);
        // An error ends the work of a value that would write megabytes.
        if more.len() > left { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Appends up to `most` bytes in all.
pub(crate) fn append(text: &mut String, most: usize, more: fmt::Arguments<'_>) {
    let _ = Bounded { text, most }.write_fmt(more);
}

/// The name of a span with the values of its fields: `name{field=value field=value}`.
#[derive(Debug, Default)]
pub(crate) struct SpanText {
    text: String,
    name: usize,
    /// Numbers of the fields that have a value, and where in `text` it is.
    values: Vec<(usize, Range<usize>)>,
}

impl SpanText {
    /// Starts anew with a span.
    pub(crate) fn begin(&mut self, attributes: &Attributes<'_>) {
        self.text.clear();
        self.values.clear();
        append(&mut self.text, KEPT, format_args!("{}", attributes.metadata().name()));
        self.name = self.text.len();
        attributes.record(self);
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Length of the name in the text.
    pub(crate) fn name(&self) -> usize {
        self.name
    }

    /// Sets the values of fields that are recorded after the begin.
    pub(crate) fn set(&mut self, values: &Recorded) {
        for (field, value) in &values.0 {
            match self.values.iter().position(|(number, _)| *number == field.index()) {
                Some(at) => self.replace(at, value),
                None => self.add(field, format_args!("{value}")),
            }
        }
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let separator = if self.values.is_empty() { '{' } else { ' ' };
        if !self.values.is_empty() {
            self.text.pop(); // The closing brace.
        }
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        append(&mut self.text, KEPT, format_args!("{separator}{name}="));
        let start = self.text.len();
        append(&mut self.text, most(start), value);
        self.values.push((field.index(), start..self.text.len()));
        self.text.push('}');
    }

    fn replace(&mut self, at: usize, value: &str) {
        let (_, Range { start, end }) = self.values[at];
        let rest = self.text.split_off(end);
        self.text.truncate(start);
        append(&mut self.text, most(start), format_args!("{value}"));
        let now = self.text.len();
        self.text.push_str(&rest);
        self.values[at].1.end = now;
        for (_, place) in &mut self.values[at + 1..] {
            *place = place.start - end + now..place.end - end + now;
        }
        // A value is at most as long as is shown, so this bounds the text.
        if self.text.len() > 2 * KEPT {
            self.values.retain(|(_, place)| place.end < KEPT);
            let end = self.values.last().map_or(self.name, |(_, place)| place.end);
            self.text.truncate(end);
            if !self.values.is_empty() {
                self.text.push('}');
            }
        }
    }
}

/// Maximum length of a text with a value from `start` on.
fn most(start: usize) -> usize {
    (start + SPAN + BEYOND).min(KEPT)
}

impl Visit for SpanText {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A field can come twice.
        match self.values.iter().any(|(number, _)| *number == field.index()) {
            true => self.set(&Recorded(vec![(field.clone(), format(value))])),
            false => self.add(field, format_args!("{value:?}")),
        }
    }
}

fn format(value: &dyn Debug) -> String {
    let mut text = String::new();
    append(&mut text, SPAN + BEYOND, format_args!("{value:?}"));
    text
}

/// Values of fields, formatted before the text that gets them is locked: a value can use tracing.
#[derive(Debug)]
pub(crate) struct Recorded(Vec<(Field, String)>);

impl Recorded {
    pub(crate) fn new(values: &Record<'_>) -> Self {
        let mut recorded = Self(Vec::new());
        values.record(&mut recorded);
        recorded
    }
}

impl Visit for Recorded {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.clone(), format(value)));
    }
}

/// Appends the fields of an event to its line: the message, and ` name=value` of the others.
pub(crate) struct Line<'a>(pub(crate) &'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let most = LINE + BEYOND;
        match field.name() {
            "message" => append(self.0, most, format_args!(" {value:?}")),
            // Level and place of a record of the crate `log`, which the event has too.
            name if name.starts_with("log.") => {}
            name => {
                let name = name.strip_prefix("r#").unwrap_or(name);
                append(self.0, most, format_args!(" {name}={value:?}"));
            }
        }
    }
}
