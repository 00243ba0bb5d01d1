//! Values of a description, stored through the handles of a lane.

use mmstats_core::read::Scalar;
use mmstats_core::{
    Counter, DataType, DynArray, DynBlob, DynGroup, DynState, DynText, FieldId, Gauge, Histogram,
    Lane, Memory, ScalarType,
};

use crate::description::{Kind, Line, Refusal, bytes, number, wrong};

/// Runs a generic function for the Rust type of a scalar type.
macro_rules! with_type {
    ($ty:expr, $function:ident($($argument:expr),*)) => {
        match $ty {
            DataType::U8 => $function::<u8, _>($($argument),*),
            DataType::U16 => $function::<u16, _>($($argument),*),
            DataType::U32 => $function::<u32, _>($($argument),*),
            DataType::U64 => $function::<u64, _>($($argument),*),
            DataType::I8 => $function::<i8, _>($($argument),*),
            DataType::I16 => $function::<i16, _>($($argument),*),
            DataType::I32 => $function::<i32, _>($($argument),*),
            DataType::I64 => $function::<i64, _>($($argument),*),
            DataType::F32 => $function::<f32, _>($($argument),*),
            DataType::F64 => $function::<f64, _>($($argument),*),
            DataType::Bool => $function::<bool, _>($($argument),*),
            _ => Err(wrong("no scalar")),
        }
    };
}

/// Stores the values of a group, or of one field, whose first field is `field`.
pub(crate) fn set<M: Memory + Clone>(
    lane: &Lane<M>,
    field: FieldId,
    group: &[Line<'_>],
) -> Result<(), Refusal> {
    let [line, ..] = group else { return Ok(()) };
    let value = line.value;
    // A counter and a member always have one.
    let is_absent = value.is_empty();
    match &line.kind {
        Kind::Counter => {
            Counter::attach(lane, field).map_err(wrong)?.add(number(value)?);
        }
        Kind::Group(..) | Kind::Member(..) => members(lane, field, group)?,
        Kind::Histogram(_) => {
            let histogram = Histogram::<u64, _>::attach(lane, field).map_err(wrong)?;
            for sample in value.split_terminator(' ') {
                histogram.record(number(sample)?);
            }
        }
        Kind::Scalar(ty, _) if !is_absent => with_type!(*ty, scalar(lane, field, value))?,
        Kind::Array(ty, ..) if !is_absent => with_type!(*ty, array(lane, field, value))?,
        Kind::Text(_) if !is_absent => {
            DynText::attach(lane, field).map_err(wrong)?.set(value);
        }
        Kind::Bytes(_) if !is_absent => {
            DynBlob::attach(lane, field).map_err(wrong)?.set(&bytes(value)?);
        }
        Kind::State(_) if !is_absent => {
            let state = DynState::attach(lane, field).map_err(wrong)?;
            if !state.set(number(value)?) {
                return Err(wrong(format!("there is no state {value}")));
            }
        }
        // Without a value, or with one in the heap.
        _ => {}
    }
    Ok(())
}

fn scalar<T: ScalarType + std::str::FromStr, M: Memory + Clone>(
    lane: &Lane<M>,
    field: FieldId,
    value: &str,
) -> Result<(), Refusal> {
    Gauge::<T, _>::attach(lane, field).map_err(wrong)?.set(number(value)?);
    Ok(())
}

fn array<T: ScalarType + std::str::FromStr, M: Memory + Clone>(
    lane: &Lane<M>,
    field: FieldId,
    value: &str,
) -> Result<(), Refusal> {
    let values: Vec<T> = value.split(' ').map(number).collect::<Result<_, _>>()?;
    let array = DynArray::attach(lane, field).map_err(wrong)?;
    if array.set(&values) { Ok(()) } else { Err(wrong(format!("{} elements", values.len()))) }
}

fn members<M: Memory + Clone>(
    lane: &Lane<M>,
    first: FieldId,
    group: &[Line<'_>],
) -> Result<(), Refusal> {
    let value = |line: &Line<'_>| match line.kind {
        Kind::Group(ty, _) | Kind::Member(ty, _) => member(ty, line.value),
        _ => Err(wrong("no member")),
    };
    let values: Vec<Scalar> = group.iter().map(value).collect::<Result<_, _>>()?;
    let group = DynGroup::attach(lane, first).map_err(wrong)?;
    if group.set(&values) { Ok(()) } else { Err(wrong("a value that its member cannot hold")) }
}

fn member(ty: DataType, value: &str) -> Result<Scalar, Refusal> {
    Ok(match ty {
        DataType::U8 | DataType::U16 | DataType::U32 | DataType::U64 => Scalar::U64(number(value)?),
        DataType::I8 | DataType::I16 | DataType::I32 | DataType::I64 => Scalar::I64(number(value)?),
        DataType::F32 => Scalar::F32(number(value)?),
        DataType::F64 => Scalar::F64(number(value)?),
        _ => Scalar::Bool(number(value)?),
    })
}
