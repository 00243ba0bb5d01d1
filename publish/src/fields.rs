//! The handles of an application: those of the core over the files of a publisher.

use mmstats_core as core;
use mmstats_core::{AttachError, FieldId, FieldSpec, Record, ScalarType};

use crate::item::{Item, Owned};
use crate::lane::Keep;
use crate::schema::FieldOptions;
use crate::timer::Timer;

/// A sum that only grows: `incr`, `add`, `set`.
pub type Counter = core::Counter<Keep>;
/// A scalar that goes up and down: `set`, `add`, `sub`, `clear`.
pub type Gauge<T> = core::Gauge<T, Keep>;
/// True or false.
pub type Flag = Gauge<bool>;
/// UTF-8 text of at most `N` bytes, cut at a character boundary; `set` says whether it fit.
pub type Text<const N: usize> = core::Text<N, Keep>;
/// At most `N` bytes of any kind; `set` says whether they fit.
pub type Blob<const N: usize> = core::Blob<N, Keep>;
/// `N` scalars that are published together.
pub type Array<T, const N: usize> = core::Array<T, N, Keep>;
/// The fields of a record, published together: a consistent snapshot.
pub type Group<R> = core::Group<R, Keep>;

/// A constant: its value is given where it is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info;

/// The value of an [`Info`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// u32.
    U32(u32),
    /// u64.
    U64(u64),
    /// i64.
    I64(i64),
    /// f64.
    F64(f64),
    /// bool.
    Bool(bool),
    /// Text of at most 1,048,560 bytes.
    Text(String),
}

macro_rules! value_from {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
value_from!(u32 => U32, u64 => U64, i32 => I64, i64 => I64, f64 => F64, bool => Bool, &str => Text, String => Text);

/// A type of handle.
///
/// Implemented by the handles of this crate; what a [`Schema`](crate::Schema) declares
/// and a [`Lane`](crate::Lane) attaches.
pub trait Field: Sized {
    /// What the schema keeps.
    #[doc(hidden)]
    fn item(label: String, options: FieldOptions) -> Item;

    /// The handle in `lane`; `field` is the first of its descriptors.
    #[doc(hidden)]
    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError>;
}

macro_rules! field {
    ({$($generics:tt)*} $type:ty, $spec:expr) => {
        impl<$($generics)*> Field for $type {
            fn item(label: String, options: FieldOptions) -> Item {
                Item::One(Owned::new(label, &$spec, options))
            }

            fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
                Self::attach(lane, field)
            }
        }
    };
}

/// A capacity or count for the format; one that is too large is refused at the start.
const fn count(n: usize) -> u32 {
    #[allow(clippy::cast_possible_truncation)]
    if n > u32::MAX as usize { u32::MAX } else { n as u32 }
}

field!({} Counter, FieldSpec::counter(""));
field!({T: ScalarType} Gauge<T>, gauge::<T>());
field!({const N: usize} Text<N>, FieldSpec::text("", count(N)));
field!({const N: usize} Blob<N>, FieldSpec::bytes("", count(N)));
field!({T: ScalarType, const N: usize} Array<T, N>, FieldSpec::array("", T::TYPE, count(N)));

const fn gauge<T: ScalarType>() -> FieldSpec<'static> {
    FieldSpec::gauge("", T::TYPE)
}

impl<R: Record> Field for Group<R> {
    fn item(label: String, options: FieldOptions) -> Item {
        let members = R::MEMBERS.iter().map(|member| {
            let label = if label.is_empty() {
                member.label.to_owned()
            } else {
                format!("{label}.{}", member.label)
            };
            let mut options =
                options.clone().help(member.spec.help).level(member.spec.properties.level());
            if !member.spec.unit.is_empty() {
                options = options.unit(member.spec.unit);
            }
            Owned::new(label, &member.spec, options)
        });
        Item::Group(members.collect())
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        Self::attach(lane, field)
    }
}

impl Field for Timer {
    fn item(label: String, options: FieldOptions) -> Item {
        Item::One(Owned::new(label, &FieldSpec::timer(""), options))
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        core::Timer::attach(lane, field).map(Self::new)
    }
}

impl Field for Info {
    fn item(label: String, mut options: FieldOptions) -> Item {
        // Without a value it is an empty text. The type comes from the value later.
        options.value.get_or_insert_with(|| Value::Text(String::new()));
        let empty = FieldSpec::info("", mmstats_core::Constant::Text(""));
        Item::One(Owned::new(label, &empty, options))
    }

    fn attach(_lane: &core::Lane<Keep>, _field: FieldId) -> Result<Self, AttachError> {
        Ok(Self)
    }
}
