//! The description of CONFORMANCE.md section 4, as specifications of fields.

use mmstats_core::{
    Aggregation, Buckets, Constant, DataType, FieldSpec, Kind as FieldKind, Properties,
};

/// Why a description has no file.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is wrong.
    Wrong(String),
    /// It describes what this writer does not have.
    NotSupported(String),
}

pub(crate) fn wrong(what: impl ToString) -> Refusal {
    Refusal::Wrong(what.to_string())
}

/// A line.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) kind: Kind<'a>,
    label: &'a str,
    unit: &'a str,
    help: &'a str,
    pub(crate) value: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

/// The first cell, parsed.
#[derive(Debug)]
pub(crate) enum Kind<'a> {
    Counter,
    Scalar(DataType, Aggregation),
    Array(DataType, u32, Aggregation),
    Text(u32),
    Bytes(u32),
    Constant(ConstantValue<'a>),
    /// The first member of a group.
    Group(DataType, Aggregation),
    /// Another member.
    Member(DataType, Aggregation),
    State(Vec<&'a str>),
    Histogram(Buckets),
}

/// A constant that keeps its bytes.
#[derive(Debug)]
pub(crate) enum ConstantValue<'a> {
    Plain(Constant<'a>),
    Bytes(Vec<u8>),
}

/// All lines.
pub(crate) fn parse(text: &str) -> Result<Vec<Line<'_>>, Refusal> {
    text.lines().map(line).collect()
}

fn line(text: &str) -> Result<Line<'_>, Refusal> {
    let cells: Vec<&str> = text.split('\t').collect();
    let [kind, label, unit, help, value, attributes @ ..] = cells.as_slice() else {
        return Err(wrong(format!("{} cells, not five", cells.len())));
    };
    Ok(Line {
        kind: kind_of(kind, value)?,
        label,
        unit,
        help,
        value,
        attributes: attributes.iter().copied().map(attribute).collect::<Result<_, _>>()?,
    })
}

fn attribute(cell: &str) -> Result<(&str, &str), Refusal> {
    cell.split_once('=').ok_or_else(|| wrong(format!("no = in {cell:?}")))
}

fn kind_of<'a>(cell: &'a str, value: &'a str) -> Result<Kind<'a>, Refusal> {
    let not_supported = || Refusal::NotSupported(format!("the kind {cell:?}"));
    if let Some(capacity) = cell.strip_prefix("text") {
        return Ok(Kind::Text(number(capacity)?));
    }
    if let Some(capacity) = cell.strip_prefix("bytes") {
        return Ok(Kind::Bytes(number(capacity)?));
    }
    let scalar = |shape, rule| -> Result<_, Refusal> {
        let ty = ty(shape).filter(|ty| ty.is_scalar());
        Ok((ty.ok_or_else(not_supported)?, aggregation(rule).ok_or_else(not_supported)?))
    };
    let parts: Vec<&str> = cell.split(':').collect();
    Ok(match parts.as_slice() {
        ["counter"] => Kind::Counter,
        ["gauge"] => Kind::Scalar(DataType::F64, Aggregation::Sum),
        ["gauge", shape, rule] => match shape.split_once('*') {
            Some((shape, count)) => {
                let (ty, rule) = scalar(shape, rule)?;
                Kind::Array(ty, number(count)?, rule)
            }
            None => {
                let (ty, rule) = scalar(shape, rule)?;
                Kind::Scalar(ty, rule)
            }
        },
        ["group", shape, rule] => {
            let (ty, rule) = scalar(shape, rule)?;
            Kind::Group(ty, rule)
        }
        ["member", shape, rule] => {
            let (ty, rule) = scalar(shape, rule)?;
            Kind::Member(ty, rule)
        }
        ["constant", shape] => Kind::Constant(match ty(shape).ok_or_else(not_supported)? {
            DataType::Text => ConstantValue::Plain(Constant::Text(value)),
            DataType::Bytes => ConstantValue::Bytes(bytes(value)?),
            DataType::U32 => ConstantValue::Plain(Constant::U32(number(value)?)),
            DataType::U64 => ConstantValue::Plain(Constant::U64(number(value)?)),
            DataType::I64 => ConstantValue::Plain(Constant::I64(number(value)?)),
            DataType::F64 => ConstantValue::Plain(Constant::F64(number(value)?)),
            DataType::Bool => ConstantValue::Plain(Constant::Bool(number(value)?)),
            _ => return Err(not_supported()),
        }),
        ["state", names @ ..] => Kind::State(names.to_vec()),
        ["histogram", scale, lowest, count] => {
            let [low, high] = number::<i16>(lowest)?.to_le_bytes();
            let scale = number::<i8>(scale)?.cast_unsigned();
            let param = u32::from_le_bytes([scale, DataType::U64.code(), low, high]);
            let buckets = Buckets::from_param(param, number(count)?);
            Kind::Histogram(buckets.ok_or_else(|| wrong("no such buckets"))?)
        }
        _ => return Err(not_supported()),
    })
}

fn ty(name: &str) -> Option<DataType> {
    DataType::ALL.iter().copied().find(|ty| ty.name() == name)
}

fn aggregation(name: &str) -> Option<Aggregation> {
    Aggregation::ALL.iter().copied().find(|rule| rule.name() == name)
}

/// A number, or `true` or `false`.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse()
        .map_err(|_| wrong(format!("{text:?} is no value of {}", std::any::type_name::<T>())))
}

/// Bytes in hexadecimal digits.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
    bytes.ok_or_else(|| wrong(format!("{text:?} are no bytes")))
}

impl Line<'_> {
    /// The specification of the field.
    pub(crate) fn spec(&self) -> FieldSpec<'_> {
        let label = self.label;
        let spec = match &self.kind {
            Kind::Counter => FieldSpec::counter(label),
            Kind::Scalar(ty, rule) => FieldSpec::gauge(label, *ty).aggregation(*rule),
            Kind::Array(ty, count, rule) => FieldSpec::array(label, *ty, *count).aggregation(*rule),
            Kind::Text(capacity) => FieldSpec::text(label, *capacity),
            Kind::Bytes(capacity) => FieldSpec::bytes(label, *capacity),
            Kind::Constant(ConstantValue::Plain(value)) => FieldSpec::info(label, *value),
            Kind::Constant(ConstantValue::Bytes(value)) => {
                FieldSpec::info(label, Constant::Bytes(value))
            }
            // Without OPTIONAL.
            Kind::Group(ty, rule) | Kind::Member(ty, rule) => {
                FieldSpec::new(label, Properties::new(*ty, FieldKind::Gauge, *rule))
            }
            Kind::State(names) => FieldSpec::state(label, names),
            Kind::Histogram(buckets) => FieldSpec::histogram(label, *buckets),
        };
        spec.unit(self.unit).help(self.help).attributes(&self.attributes)
    }
}
