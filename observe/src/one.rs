//! Files of format 1, of the original library: read whole at each refresh.
//!
//! The format has no protocol, so nothing better can be had: a value that was being
//! written while the file was read may be torn.

use std::path::Path;

use mmstats_core::format1::{self, Value};
use mmstats_core::read::{Value as RawValue, Verdict as RawVerdict};
use mmstats_core::{Aggregation, DataType};

use crate::problem::Problem;
use crate::state::{Identity, State};
use crate::value::OwnedValue;

/// More bytes than the original's files have; in bytes.
const MAX_SIZE: u32 = 64 << 20;

/// A field with the value it had at the last refresh.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) label: Box<str>,
    pub(crate) ty: DataType,
    /// 1, or the capacity of a text in bytes.
    pub(crate) count: u32,
    pub(crate) aggregation: Aggregation,
    pub(crate) value: OwnedValue,
}

/// The content of a file.
#[derive(Debug)]
pub(crate) struct One {
    pub(crate) records: Vec<Record>,
}

impl One {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let (_, bytes) = crate::backend::read_all(path, MAX_SIZE)
            .map_err(|error| Problem::of_system(path, &error))?;
        Self::parse(&bytes).map_err(|error| Problem::of_format1(path, &error))
    }

    /// Understands the bytes of a file. One broken record makes all behind it unreadable,
    /// so the file is refused.
    fn parse(bytes: &[u8]) -> Result<Self, format1::Error> {
        let records = format1::fields(bytes)?
            .map(|record| record.map(|record| Record::new(&record)))
            .collect::<Result<_, _>>()?;
        Ok(Self { records })
    }

    /// Whether both have the same fields.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.records.len() == other.records.len()
            && self.records.iter().zip(&other.records).all(|(a, b)| a.same(b))
    }

    /// The last word or two of the labels are those of format 3; a prefix may come before.
    pub(crate) fn identity(&self) -> Identity {
        let mut identity = Identity::default();
        for record in &self.records {
            let name = record.label.rsplit_once("sys.").map_or("", |(_, name)| name);
            identity.set(name, &mut || Some(record.value.clone()));
        }
        identity
    }

    /// The original's rule: a file is alive while a process with its pid exists.
    pub(crate) fn state(identity: &Identity) -> State {
        match identity.pid.and_then(crate::backend::process::exists) {
            Some(true) => State::Live,
            Some(false) => State::Dead,
            None => State::Unknown,
        }
    }
}

impl Record {
    fn new(record: &format1::Record<'_>) -> Self {
        let (value, wide) = match record.value {
            Value::U64(n) => (OwnedValue::Unsigned(n.into()), DataType::U64),
            Value::I64(n) => (OwnedValue::Signed(n.into()), DataType::I64),
            Value::F32(x) => (OwnedValue::F32(x), DataType::F32),
            Value::F64(x) => (OwnedValue::F64(x), DataType::F64),
            Value::Bool(b) => (OwnedValue::Bool(b), DataType::Bool),
            Value::Text(text) => {
                (OwnedValue::Text { text: text.to_string(), cut: false }, DataType::Text)
            }
        };
        let ty = match record.ty {
            "B" => DataType::U8,
            "H" => DataType::U16,
            "I" => DataType::U32,
            "b" => DataType::I8,
            "h" => DataType::I16,
            "i" => DataType::I32,
            _ => wide,
        };
        let digits = record.ty.strip_suffix('s').unwrap_or("");
        let label: Box<str> = record.label.pieces().collect::<String>().into();
        // What a program says of itself is not added up; anything else may be a counter.
        let number = !matches!(ty, DataType::Bool | DataType::Text);
        let system = label.starts_with("sys.") || label.contains(".sys.");
        let aggregation = if number && !system { Aggregation::Sum } else { Aggregation::Each };
        Self { label, ty, count: digits.parse().unwrap_or(1), aggregation, value }
    }

    /// The value, borrowed.
    pub(crate) fn raw(&self) -> RawVerdict<RawValue<'_>> {
        RawVerdict::Consistent(match &self.value {
            OwnedValue::Unsigned(n) => RawValue::U64(u64::try_from(*n).unwrap_or(u64::MAX)),
            OwnedValue::Signed(n) => RawValue::I64(i64::try_from(*n).unwrap_or(i64::MAX)),
            OwnedValue::F32(x) => RawValue::F32(*x),
            OwnedValue::F64(x) => RawValue::F64(*x),
            OwnedValue::Bool(b) => RawValue::Bool(*b),
            OwnedValue::Text { text, cut } => RawValue::Text { text, cut: *cut },
            // The format has nothing else.
            _ => return RawVerdict::Unknown,
        })
    }

    /// Whether both describe the same field.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.label == other.label && self.ty == other.ty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: &str, ty: &str, value: &[u8]) -> Vec<u8> {
        let size = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
        let mut bytes = size(label.len()).to_vec();
        bytes.extend(label.as_bytes());
        bytes.extend(size(ty.len()));
        bytes.extend(ty.as_bytes());
        bytes.push(255);
        bytes.extend(value);
        bytes
    }

    #[test]
    fn standard_fields_are_found_behind_a_prefix() {
        let pid = std::process::id();
        let file = [
            vec![1],
            record("web.stats.sys.pid", "I", &pid.to_le_bytes()),
            record("sys.uid", "i", &7_i32.to_le_bytes()),
            record("web.hits", "L", &9_u64.to_le_bytes()),
            record("web.sys.created", "d", &1.5_f64.to_le_bytes()),
            record("note", "4s", b"abcd"),
        ]
        .concat();
        let one = One::parse(&file).unwrap();
        let identity = one.identity();
        assert_eq!((identity.pid, identity.uid, identity.created), (Some(pid), Some(7), Some(1.5)));
        let rules: Vec<_> = one.records.iter().map(|r| r.aggregation).collect();
        use Aggregation::{Each, Sum};
        assert_eq!(rules, [Each, Each, Sum, Each, Each]);
        assert_eq!(one.records[4].count, 4);
        assert_eq!(One::state(&identity), State::Live);
    }

    #[test]
    fn a_process_that_is_not_there_is_dead_and_no_process_is_unknown() {
        let with = |pid| Identity { pid, ..Identity::default() };
        // Above the largest pid of Linux.
        assert_eq!(One::state(&with(Some(99_999_999))), State::Dead);
        assert_eq!(One::state(&with(Some(0))), State::Unknown);
        assert_eq!(One::state(&with(None)), State::Unknown);
        #[cfg(unix)] // whose numbers have a sign, and whose first process is number 1
        {
            assert_eq!(One::state(&with(Some(u32::MAX))), State::Unknown);
            assert_eq!(One::state(&with(Some(1))), State::Live, "another user's");
        }
    }
}
