//! Values from the JSON of recordings.

use std::collections::BTreeMap;
use std::sync::Arc;

use mmstats_observe::{
    ActivityRow, ActivityValue, AverageValue, EachValue, FieldInfo, HistogramParts, HistogramValue,
    Number, OwnedValue, RunningValue, StateValue, TimerValue, WindowRate,
};
use serde::de::DeserializeOwned;

use crate::error::{ParseError, error};
use crate::form::{Class, Form};
use crate::members::{elements, members};
use crate::text::nanoseconds;

/// Maximum number of buckets of a histogram: no writer has so many.
const MAX_BUCKETS: usize = 1 << 16;

/// The value of a field whose [`RecordedValue`](crate::RecordedValue) is this text. With the value `before`, an
/// object has only the members that changed since.
///
/// # Errors
///
/// If the text is no JSON, or not that of a value of this field.
pub fn parse(
    field: &FieldInfo,
    form: &Form,
    text: &str,
    before: Option<&OwnedValue>,
) -> Result<OwnedValue, ParseError> {
    let class = class(text)?;
    let usual;
    let form = match form {
        Form::Plain => {
            usual = Form::usual(field, class);
            &usual
        }
        Form::Cut => return cut(field, text),
        form => form,
    };
    Ok(match (form, class) {
        (_, Class::Bool) => OwnedValue::Bool(json(text)?),
        (Form::Unsigned, Class::Integer) => OwnedValue::Unsigned(json(text)?),
        (Form::Signed, Class::Integer) => OwnedValue::Signed(json(text)?),
        (Form::F32, _) => OwnedValue::F32(match special(text) {
            #[allow(clippy::cast_possible_truncation)] // NaN or an infinity.
            Some(x) => x as f32,
            None => text
                .parse()
                .map_err(|_| ParseError::new(format!("{} is no number", short(text))))?,
        }),
        (Form::F64, _) => OwnedValue::F64(float(text)?),
        (Form::Text, Class::String) => OwnedValue::Text { text: json(text)?, cut: false },
        (Form::Bytes, Class::String) => OwnedValue::Bytes { bytes: hex(text)?, cut: false },
        (Form::Array(form), Class::Array) => {
            let values = elements(text)?.into_iter().map(|text| element(field, form, text));
            OwnedValue::Array(values.collect::<Result<_, _>>()?)
        }
        (Form::Items(forms), Class::Array) => {
            let all = elements(text)?;
            if all.len() != forms.len() {
                return error("an array has another number of elements than its form");
            }
            let values = forms.iter().zip(all).map(|(form, text)| element(field, form, text));
            OwnedValue::Array(values.collect::<Result<_, _>>()?)
        }
        (Form::Each(forms), Class::Array) => {
            let all = elements(text)?;
            if all.len() != forms.len() {
                return error("a list has another number of elements than its form");
            }
            let each = forms.iter().zip(all).map(|(form, text)| {
                let value = match text {
                    "null" => None,
                    text => Some(element(field, form.form(), text)?),
                };
                let verdict = form.verdict().ok_or(ParseError::new("unknown verdict"))?;
                Ok(EachValue { origin: form.origin(), value, verdict })
            });
            OwnedValue::Each(each.collect::<Result<_, ParseError>>()?)
        }
        (form, Class::Object) => object(field, form, text, before)?,
        _ => return error(format!("{} is no value of its form", short(text))),
    })
}

/// An element of an array: no array itself.
fn element(field: &FieldInfo, form: &Form, text: &str) -> Result<OwnedValue, ParseError> {
    match (form, text.as_bytes().first()) {
        // A form nests as deep as its JSON, which the parser bounds.
        (Form::Plain, Some(b'[')) => {
            let values = elements(text)?.into_iter().map(|text| match text.as_bytes().first() {
                Some(b'[') => error("an array inside of an array"),
                _ => parse(field, &Form::Plain, text, None),
            });
            Ok(OwnedValue::Array(values.collect::<Result<_, _>>()?))
        }
        _ => parse(field, form, text, None),
    }
}

fn class(text: &str) -> Result<Class, ParseError> {
    Ok(match text.as_bytes().first() {
        Some(b'{') => Class::Object,
        Some(b'[') => Class::Array,
        Some(b'"') => Class::String,
        Some(b't' | b'f') => Class::Bool,
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => Class::Float,
        Some(b'-' | b'0'..=b'9') => Class::Integer,
        _ => return error(format!("{} is no value", short(text))),
    })
}

/// The beginning of a text, for messages.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{}`", crate::escape::text(&short))
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, ParseError> {
    serde_json::from_str(text).map_err(|e| ParseError::new(format!("{}: {e}", short(text))))
}

fn special(text: &str) -> Option<f64> {
    match text {
        "\"NaN\"" => Some(f64::NAN),
        "\"Infinity\"" => Some(f64::INFINITY),
        "\"-Infinity\"" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn float(text: &str) -> Result<f64, ParseError> {
    special(text).map_or_else(|| json(text), Ok)
}

fn hex(text: &str) -> Result<Vec<u8>, ParseError> {
    let digits: String = json(text)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    match bytes.collect::<Option<Vec<u8>>>() {
        Some(bytes) if rest.is_empty() => Ok(bytes),
        _ => error("bytes are not in pairs of hexadecimal digits"),
    }
}

/// Text or bytes that the writer cut.
fn cut(field: &FieldInfo, text: &str) -> Result<OwnedValue, ParseError> {
    Ok(match Form::usual(field, Class::String) {
        Form::Bytes => OwnedValue::Bytes { bytes: hex(text)?, cut: true },
        _ => OwnedValue::Text { text: json(text)?, cut: true },
    })
}

/// An object: the members that changed, or all.
fn object(
    field: &FieldInfo,
    form: &Form,
    text: &str,
    before: Option<&OwnedValue>,
) -> Result<OwnedValue, ParseError> {
    let members = members(text)?;
    let members = members.iter().map(|(key, text)| (key.as_str(), *text));
    Ok(match form {
        Form::Timer => {
            let mut timer = match before {
                Some(OwnedValue::Timer(timer)) => *timer,
                _ => TimerValue::default(),
            };
            for (key, text) in members {
                match key {
                    "count" => timer.count = json(text)?,
                    "sum" => timer.sum = json(text)?,
                    "min" => timer.min = json(text)?,
                    "max" => timer.max = json(text)?,
                    "last" => timer.last = json(text)?,
                    _ => {}
                }
            }
            OwnedValue::Timer(timer)
        }
        Form::Average | Form::Window => {
            let mut value = match before {
                Some(OwnedValue::Average(value) | OwnedValue::Window(value)) => *value,
                _ => AverageValue::default(),
            };
            for (key, text) in members {
                match key {
                    "count" => value.count = float(text)?,
                    "sum" => value.sum = float(text)?,
                    _ => {}
                }
            }
            let is_window = *form == Form::Window;
            if is_window { OwnedValue::Window(value) } else { OwnedValue::Average(value) }
        }
        Form::State => OwnedValue::State(states(field, members, before)?),
        Form::Rate => OwnedValue::Rate(rates(field, members, before)?),
        Form::Running => {
            let mut value = match before {
                Some(OwnedValue::Running(value)) => *value,
                _ => RunningValue::default(),
            };
            for (key, text) in members {
                match key {
                    "count" => value.number = json(text)?,
                    "since" => value.since = since(text)?,
                    _ => {}
                }
            }
            OwnedValue::Running(value)
        }
        Form::Activity => {
            let mut value = match before {
                Some(OwnedValue::Activity(value)) => value.clone(),
                _ => ActivityValue::default(),
            };
            for (key, text) in members {
                match key {
                    "rows" => value.rows = rows(text)?,
                    "contended" => value.contended = json(text)?,
                    "damaged" => value.damaged = json(text)?,
                    "refused" => value.refused = json(text)?,
                    _ => {}
                }
            }
            OwnedValue::Activity(value)
        }
        Form::Histogram => OwnedValue::Histogram(Box::new(histogram(members, before)?)),
        _ => return error(format!("{} is no value of its form", short(text))),
    })
}

fn since(text: &str) -> Result<Option<u64>, ParseError> {
    let Some(time) = json::<Option<String>>(text)? else { return Ok(None) };
    match nanoseconds(&time).map(u64::try_from) {
        Some(Ok(since)) => Ok(Some(since)),
        _ => error(format!("{} is no time", short(text))),
    }
}

fn rows(text: &str) -> Result<Vec<ActivityRow>, ParseError> {
    let row = |row: &str| {
        let (mut number, mut begin, mut text, mut cut) = (0, None, String::new(), false);
        for (key, value) in members(row)? {
            match key.as_str() {
                "number" => number = json(value)?,
                "since" => begin = since(value)?,
                "text" => text = json(value)?,
                "cut" => cut = json(value)?,
                _ => {}
            }
        }
        Ok(ActivityRow::new(number, begin, text, cut))
    };
    elements(text)?.into_iter().map(row).collect()
}

fn states<'a>(
    field: &FieldInfo,
    members: impl Iterator<Item = (&'a str, &'a str)>,
    before: Option<&OwnedValue>,
) -> Result<StateValue, ParseError> {
    let mut value = match before {
        Some(OwnedValue::State(value)) => value.clone(),
        _ => {
            let names: Arc<[String]> = field.details().map(str::to_owned).collect();
            StateValue { counts: vec![0; names.len()], names }
        }
    };
    for (name, text) in members {
        let count = json::<Option<u64>>(text)?.unwrap_or(0);
        let number = value.names.iter().position(|known| known == name);
        match number.and_then(|number| value.counts.get_mut(number)) {
            Some(to) => *to = count,
            None => return error(format!("no state has the name {}", short(name))),
        }
    }
    Ok(value)
}

fn rates<'a>(
    field: &FieldInfo,
    members: impl Iterator<Item = (&'a str, &'a str)>,
    before: Option<&OwnedValue>,
) -> Result<Vec<WindowRate>, ParseError> {
    let windows = || field.details().filter_map(|window| window.parse().ok());
    let mut rates: Vec<WindowRate> = match before {
        Some(OwnedValue::Rate(rates)) => rates.clone(),
        _ => windows().map(|window| WindowRate::new(window, None)).collect(),
    };
    for (key, text) in members {
        let Ok(window) = key.parse::<u32>() else {
            return error(format!("{} is no window of a rate", short(key)));
        };
        let rate = if text == "null" { None } else { Some(float(text)?) };
        let known = rates.len();
        match rates.iter_mut().find(|rate| rate.window == window) {
            Some(entry) => entry.rate = rate,
            None if known < 256 => rates.push(WindowRate::new(window, rate)),
            None => return error("a rate has more than 256 windows"),
        }
    }
    Ok(rates)
}

fn histogram<'a>(
    members: impl Iterator<Item = (&'a str, &'a str)>,
    before: Option<&OwnedValue>,
) -> Result<HistogramValue, ParseError> {
    let mut parts = match before {
        Some(OwnedValue::Histogram(value)) => value.to_parts(),
        _ => HistogramParts {
            float: false,
            scale: 8,
            count: 0,
            sum: Number::Unsigned(0),
            range: None,
            below: (0, None),
            above: (0, None),
            buckets: BTreeMap::new(),
        },
    };
    let (mut min, mut max) = (parts.range.map(|(min, _)| min), parts.range.map(|(_, max)| max));
    for (key, text) in members {
        match key {
            "count" => parts.count = json(text)?,
            "sum" => parts.sum = number(text)?.unwrap_or(Number::Unsigned(0)),
            "min" => min = number(text)?,
            "max" => max = number(text)?,
            "scale" => parts.scale = json(text)?,
            "below" => parts.below.0 = json(text)?,
            "above" => parts.above.0 = json(text)?,
            "float" => parts.float = json(text)?,
            "bounds" => (parts.below.1, parts.above.1) = json(text)?,
            "buckets" => {
                for bucket in elements(text)? {
                    let all = elements(bucket)?;
                    let ([index, _, _, count] | [index, count]) = all.as_slice() else {
                        return error(format!("{} is no bucket", short(bucket)));
                    };
                    parts.buckets.insert(json(index)?, json(count)?);
                    if parts.buckets.len() > MAX_BUCKETS {
                        return error("a histogram has more than 65536 buckets");
                    }
                }
            }
            _ => {}
        }
    }
    parts.range = min.zip(max);
    match HistogramValue::from_parts(parts) {
        Some(value) => Ok(value),
        None => error("the scale of a histogram is out of range"),
    }
}

fn number(text: &str) -> Result<Option<Number>, ParseError> {
    Ok(Some(match class(text) {
        Ok(Class::Integer) if text.starts_with('-') => Number::Signed(json(text)?),
        Ok(Class::Integer) => Number::Unsigned(json(text)?),
        Ok(Class::Float | Class::String) => Number::Float(float(text)?),
        _ if text == "null" => return Ok(None),
        _ => return error(format!("{} is no number", short(text))),
    }))
}
