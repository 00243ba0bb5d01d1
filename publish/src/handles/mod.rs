//! Handles of an application: handles of the core over the memory of a publisher's lanes. Plain values
//! are in this file: counters, gauges, texts, arrays, groups, constants.
//!
//! Handles shared by all threads need atomic read-modify-writes of 64 bits: they exist on 64-bit targets.

/// Implements [`Field`] for the handle of one field: its specification, which may use the options,
/// and the function that attaches it.
macro_rules! field {
    ({$($generics:tt)*} $type:ty, $spec:expr) => {
        field!({$($generics)*} $type, |options| $spec, Self::attach);
    };
    ({$($generics:tt)*} $type:ty, |$options:ident| $spec:expr, $attach:expr) => {
        impl<$($generics)*> Field for $type {
            #[allow(unused_mut)]
            fn declaration(label: String, mut $options: AnyOptions) -> Declaration {
                let spec = $spec;
                Declaration::Field(FieldDeclaration::new(label, &spec, $options))
            }

            fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
                $attach(lane, field)
            }
        }
    };
}

pub(crate) mod activity;
pub(crate) mod any;
pub(crate) mod dynamic;
pub(crate) mod kinds;
pub(crate) mod shared;
pub(crate) mod timer;

use mmstats_core as core;
use mmstats_core::{AttachError, FieldId, FieldSpec, Record, ScalarType};

use crate::claim::Keep;
use crate::schema::declaration::{Declaration, Field, FieldDeclaration};
use crate::schema::options::{AnyOptions, HasValue, Value};

/// A sum that only grows: `incr`, `add`, `set`.
pub type Counter = core::Counter<Keep>;
/// A sum of floats that only grows: `add`, `set`.
pub type FloatCounter = core::FloatCounter<Keep>;
/// A scalar that goes up and down: `set`, `add`, `sub`, `clear`.
pub type Gauge<T> = core::Gauge<T, Keep>;
/// True or false.
pub type Flag = Gauge<bool>;
/// A scalar of the whole program instead of one for each thread: the last `set` wins.
///
/// For values that several threads replace and that do not add up: the number of the configuration in
/// use, the address of the current leader. It is `Send`, `Sync` and `Clone`.
/// `set` is a plain store; `add` and `sub` are one read-modify-write, for which threads at a high rate
/// wait for each other. See [`Publisher::shared`](crate::Publisher::shared).
#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))]
pub type SharedGauge<T> = core::SharedGauge<T, crate::claim::Keep>;
/// UTF-8 text of at most `N` bytes. `set` cuts a longer one at a character boundary and returns
/// `false`.
pub type Text<const N: usize> = core::Text<N, Keep>;
/// At most `N` bytes. `set` cuts more and returns `false`.
pub type Blob<const N: usize> = core::Blob<N, Keep>;
/// `N` scalars that are published together.
pub type Array<T, const N: usize> = core::Array<T, N, Keep>;
/// The fields of a record, published together: a consistent snapshot.
pub type Group<R> = core::Group<R, Keep>;

/// A constant, whose value is an option of its declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info;

/// A capacity or count in 32 bits; the start refuses one that is too large.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

field!({} Counter, FieldSpec::counter(""));
field!({} FloatCounter, FieldSpec::float_counter(""));
field!({T: ScalarType} Gauge<T>, FieldSpec::gauge("", T::TYPE));
field!({const N: usize} Text<N>, FieldSpec::text("", count(N)));
field!({const N: usize} Blob<N>, FieldSpec::bytes("", count(N)));
field!({T: ScalarType, const N: usize} Array<T, N>, FieldSpec::array("", T::TYPE, count(N)));

/// The declaration of a group whose members have these labels and specifications.
fn group<'a>(
    label: &str,
    options: &AnyOptions,
    members: impl Iterator<Item = (&'a str, FieldSpec<'a>)>,
) -> Declaration {
    let members = members.map(|(member, spec)| {
        let label = if label.is_empty() { member.to_owned() } else { format!("{label}.{member}") };
        let mut options = AnyOptions {
            help: spec.help.to_owned(),
            level: spec.properties.level(),
            ..options.clone()
        };
        if !spec.unit.is_empty() {
            options.unit = Some(spec.unit.to_owned());
        }
        FieldDeclaration::new(label, &spec, options)
    });
    Declaration::Group(members.collect())
}

impl<R: Record> Field for Group<R> {
    fn declaration(label: String, options: AnyOptions) -> Declaration {
        group(&label, &options, R::MEMBERS.iter().map(|member| (member.label, member.spec)))
    }

    fn attach(lane: &core::Lane<Keep>, field: FieldId) -> Result<Self, AttachError> {
        Self::attach(lane, field)
    }
}

impl HasValue for Info {}

impl Field for Info {
    fn declaration(label: String, mut options: AnyOptions) -> Declaration {
        // Without a value: an empty text. The type is that of the value.
        options.value.get_or_insert_with(|| Value::Text(String::new()));
        let empty = FieldSpec::info("", mmstats_core::Constant::Text(""));
        Declaration::Field(FieldDeclaration::new(label, &empty, options))
    }

    fn attach(_lane: &core::Lane<Keep>, _field: FieldId) -> Result<Self, AttachError> {
        Ok(Self)
    }
}
