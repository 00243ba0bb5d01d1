//! A field of the header as one of the library.

use mmstats::{
    Aggregation, DataType, DynFamilyKey, DynField, FamilyOf, FieldOptions, GroupMember, Key, Lane,
    Publisher, Schema, Shape, SharedField,
};

use crate::error::Failure;
use crate::input::{slice, text, texts};
use crate::layout::{CField, CMember, field_flag, kind};

/// Where a field is declared: before the start, or while the program runs.
pub(crate) enum Target<'a> {
    Schema(&'a mut Schema),
    Publisher(&'a Publisher<Lane>),
}

/// The key of a declared field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FieldKey {
    /// Of each thread.
    Own(Key<DynField>),
    /// Of the whole program.
    Shared(Key<SharedField<DynField>>),
    Family(DynFamilyKey<DynField>),
}

/// A declared field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declared {
    pub(crate) key: FieldKey,
    /// Place of its handle in the caller's struct.
    pub(crate) offset: usize,
    pub(crate) kind: u32,
}

/// Declares the field.
///
/// # Safety
///
/// All that it points to is as the header says.
pub(crate) unsafe fn declare(field: &CField, target: Target<'_>) -> Result<Declared, Failure> {
    // SAFETY: a list or NULL.
    let labels = unsafe { texts(field.labels) };
    if !labels.is_empty() {
        if field.flags & field_flag::SHARED != 0 {
            return Err(Failure::argument("a family is of each thread, not MMSTATS_SHARED"));
        }
        // SAFETY: as the caller promises.
        let (label, mut options) =
            unsafe { options_of(field, FieldOptions::<FamilyOf<DynField>>::new()) }?;
        if field.cap != 0 {
            options = options.cap(field.cap);
        }
        let key = match target {
            Target::Schema(schema) => schema.add_dyn_family(label, &labels, options),
            Target::Publisher(publisher) => publisher.add_dyn_family(label, &labels, options)?,
        };
        return Ok(declared(field, FieldKey::Family(key)));
    }
    if field.flags & field_flag::SHARED != 0 {
        // SAFETY: as the caller promises.
        let (label, options) =
            unsafe { options_of(field, FieldOptions::<SharedField<DynField>>::new()) }?;
        let key = match target {
            Target::Schema(schema) => schema.add_shared(label, options),
            Target::Publisher(publisher) => publisher.add_shared(label, options)?,
        };
        return Ok(declared(field, FieldKey::Shared(key)));
    }
    // SAFETY: as the caller promises.
    let (label, mut options) = unsafe { options_of(field, FieldOptions::<DynField>::new()) }?;
    // SAFETY: a text or NULL.
    if let Some(value) = unsafe { text(field.value) } {
        options = options.value(value);
    }
    let key = match target {
        Target::Schema(schema) => schema.add(label, options),
        Target::Publisher(publisher) => publisher.add(label, options)?,
    };
    Ok(declared(field, FieldKey::Own(key)))
}

/// The label of the field, and `options` with those of the field.
///
/// # Safety
///
/// All that the field points to is as the header says.
pub(crate) unsafe fn options_of<H: Any>(
    field: &CField,
    options: FieldOptions<H>,
) -> Result<(&str, FieldOptions<H>), Failure> {
    // SAFETY: a text or NULL.
    let label = unsafe { text(field.label) };
    let label = label.ok_or_else(|| Failure::argument("a field without a label"))?;
    // SAFETY: as the caller promises.
    let options = unsafe { filled(field, options) };
    let options = options.map_err(|what| Failure::argument(format!("field {label:?}: {what}")))?;
    Ok((label, options))
}

const fn declared(field: &CField, key: FieldKey) -> Declared {
    Declared { key, offset: field.offset, kind: field.kind }
}

/// Handles that take the options of every kind.
pub(crate) trait Any:
    mmstats::HasShape
    + mmstats::HasCapacity
    + mmstats::HasCount
    + mmstats::HasEntries
    + mmstats::HasRows
    + mmstats::HasStates
    + mmstats::HasMembers
    + mmstats::HasBuckets
    + mmstats::HasRunning
{
}

impl Any for DynField {}
impl Any for SharedField<DynField> {}
impl Any for FamilyOf<DynField> {}

/// `options` with those of the field; the error says what is wrong.
///
/// # Safety
///
/// All that the field points to is as the header says.
unsafe fn filled<H: Any>(
    field: &CField,
    options: FieldOptions<H>,
) -> Result<FieldOptions<H>, String> {
    let shape = shape(field)?;
    let mut options = options.shape(shape);
    // SAFETY: a text or NULL.
    if let Some(help) = unsafe { text(field.help) } {
        options = options.help(help);
    }
    // SAFETY: a text or NULL.
    if let Some(unit) = unsafe { text(field.unit) } {
        options = options.unit(unit);
    }
    // SAFETY: a list or NULL.
    let attributes = unsafe { texts(field.attributes) };
    let (pairs, rest) = attributes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("an attribute has a key and no value".to_owned());
    }
    for [key, value] in pairs {
        options = options.attribute(*key, *value);
    }
    if let Some(aggregation) = some_code(field.aggregation, Aggregation::from_code, "aggregation")?
    {
        options = options.aggregation(aggregation);
    }
    if field.capacity != 0 {
        options = options.capacity(field.capacity);
    }
    if field.count != 0 {
        options = match shape {
            Shape::Events => options.entries(field.count),
            Shape::Activity => options.rows(field.count),
            _ => options.count(field.count),
        };
    }
    if field.error > 0.0 {
        options = options.error(field.error);
    }
    if field.low != 0.0 || field.high != 0.0 {
        options = options.range(field.low, field.high);
    }
    if field.flags & field_flag::RUNNING != 0 {
        options = options.running();
    }
    // SAFETY: a list or NULL.
    options = options.states(unsafe { texts(field.names) });
    // SAFETY: the members of the field, or NULL.
    let members = unsafe { slice(field.members, field.member_count) };
    // SAFETY: a member of the caller.
    let members = members.iter().map(|m| unsafe { member(m) }).collect::<Result<Vec<_>, _>>()?;
    Ok(options.members(members))
}

/// # Safety
///
/// All that it points to is as the header says.
unsafe fn member(member: &CMember) -> Result<GroupMember, String> {
    // SAFETY: a text or NULL.
    let label = unsafe { text(member.label) }.ok_or("a member without a label")?;
    let ty = some_code(member.ty, DataType::from_code, "type")?.unwrap_or(DataType::F64);
    let mut made = if member.flags & field_flag::GROWS != 0 {
        GroupMember::counter(label)
    } else {
        GroupMember::gauge(label, ty)
    };
    // SAFETY: a text or NULL.
    if let Some(unit) = unsafe { text(member.unit) } {
        made = made.unit(unit);
    }
    // SAFETY: a text or NULL.
    if let Some(help) = unsafe { text(member.help) } {
        made = made.help(help);
    }
    Ok(made)
}

fn shape(field: &CField) -> Result<Shape, String> {
    let ty = some_code(field.ty, DataType::from_code, "type")?;
    let ty = ty.unwrap_or(DataType::F64);
    if matches!(ty, DataType::Text | DataType::Bytes) {
        return Err(format!("{} is no type of a number", field.ty));
    }
    Ok(match field.kind {
        kind::COUNTER => Shape::Counter,
        kind::FLOAT_COUNTER => Shape::FloatCounter,
        kind::GAUGE => match ty {
            DataType::U64 | DataType::I64 | DataType::F64 | DataType::Bool => Shape::Gauge(ty),
            _ => return Err("a gauge is of type u64, i64, f64 or bool".to_owned()),
        },
        kind::TIMESTAMP => Shape::Timestamp,
        kind::TEXT => Shape::Text,
        kind::BLOB => Shape::Blob,
        kind::ARRAY => Shape::Array(ty),
        kind::STATE => Shape::State,
        kind::GROUP => Shape::Group,
        kind::TIMER => Shape::Timer,
        kind::LATENCY => Shape::Latency,
        kind::HISTOGRAM => Shape::Histogram,
        kind::FLOAT_HISTOGRAM => Shape::FloatHistogram,
        kind::AVERAGE => Shape::Average,
        kind::WINDOW => Shape::Window(DataType::F64),
        kind::RATE => Shape::Rate,
        kind::EVENTS => Shape::Events,
        kind::ACTIVITY => Shape::Activity,
        kind::INFO => Shape::Info,
        other => return Err(format!("{other} is no kind of a field")),
    })
}

/// The value with this code; `None` for 0.
fn some_code<T>(
    code: u32,
    from_code: impl Fn(u8) -> Option<T>,
    what: &str,
) -> Result<Option<T>, String> {
    if code == 0 {
        return Ok(None);
    }
    let known = u8::try_from(code).ok().and_then(from_code);
    known.map(Some).ok_or_else(|| format!("{code} is no {what}"))
}
