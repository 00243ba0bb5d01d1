//! Files of format 1, of the original library: read whole at each refresh.
//!
//! The format has no protocol: a value that is written while the file is read may be torn.

use std::path::Path;

use mmstats_core::format1::{self, Value};
use mmstats_core::read::{Scalar, Value as RawValue, Verdict};
use mmstats_core::{Aggregation, DataType, Properties};

use super::api::{Format, Refreshed, Refused, Values};
use super::scratch::{Allowance, Scratch};
use super::visitor::Visitor;
use crate::field::FieldRef;
use crate::identity::{FileState, Identity, LaneInfo, Lanes};
use crate::problem::Problem;

/// Maximum size of a file, in bytes: far above that of the original's files.
const MAX_SIZE: u32 = 64 << 20;

/// The content of a file.
#[derive(Debug)]
pub(crate) struct Legacy {
    records: Vec<Record>,
    /// Raised whenever the fields change.
    generation: u32,
    /// The bytes up to the end of the first label.
    start: Vec<u8>,
}

/// A field with its value at the last refresh.
#[derive(Debug)]
struct Record {
    label: Box<str>,
    /// Without a kind; the count is 1, or the capacity of a text in bytes.
    properties: Properties,
    value: Stored,
}

/// A value, copied from the file.
#[derive(Debug)]
enum Stored {
    Scalar(Scalar),
    Text(String),
}

impl Legacy {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Refused> {
        let (_, bytes) = crate::backend::read_all(path, MAX_SIZE)
            .map_err(|error| Refused::damaged(Problem::from_system(path, &error)))?;
        Self::parse(&bytes).map_err(|error| Refused::damaged(Problem::from_format1(path, &error)))
    }

    /// Parses the bytes of a file. A broken record makes all records behind it unreadable, so
    /// the file is refused.
    fn parse(bytes: &[u8]) -> Result<Self, format1::Error> {
        let records = format1::fields(bytes)?
            .map(|record| record.map(|record| Record::new(&record)))
            .collect::<Result<_, _>>()?;
        let label = bytes.get(1..3).and_then(|size| size.first_chunk());
        let end = label.map_or(1, |size| 3 + usize::from(u16::from_le_bytes(*size)));
        let start = bytes.get(..end).unwrap_or(bytes).to_vec();
        Ok(Self { records, generation: 0, start })
    }

    fn indexed(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..).zip(&self.records)
    }
}

/// The values of format 1 are those of lane 0.
impl Format for Legacy {
    fn number(&self) -> Option<u8> {
        Some(1)
    }

    fn refresh(
        &mut self,
        path: &Path,
        _size: u64,
        _allowance: &mut Allowance,
    ) -> Result<Refreshed, Refused> {
        let again = Self::read(path)?;
        let before = self.records.iter().map(Record::description);
        let grown = !before.eq(again.records.iter().map(Record::description));
        self.generation = self.generation.wrapping_add(grown.into());
        self.records = again.records;
        Ok(Refreshed::Same { grown })
    }

    /// The original's rule: a file is live while a process with its pid exists.
    fn judge(&mut self, _path: &Path, identity: &Identity) -> Result<Option<FileState>, Refused> {
        Ok(Some(match identity.pid.and_then(crate::backend::process::exists) {
            Some(true) => FileState::Live,
            Some(false) => FileState::Dead,
            None => FileState::Unknown,
        }))
    }

    /// The standard fields are those of format 3, behind an optional prefix.
    fn identity(&self) -> Identity {
        let mut identity = Identity::default();
        for record in &self.records {
            let label = record.label.rfind("sys.").and_then(|at| record.label.get(at..));
            identity.set(label.unwrap_or(""), &mut || Some(record.value().into()));
        }
        identity
    }

    fn generation(&self) -> u32 {
        self.generation
    }

    fn field_count(&self) -> usize {
        self.records.len()
    }

    fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        let record = self.records.get(index)?;
        let index = u32::try_from(index).ok()?;
        Some(FieldRef::from_legacy(index, &record.label, record.properties))
    }

    fn start(&self) -> Vec<u8> {
        self.start.clone()
    }

    fn lanes(&self) -> Lanes {
        Lanes { used: 1, owned: 1, capacity: 1 }
    }

    fn lanes_used(&self) -> u32 {
        1
    }

    fn lane(&self, lane: u32) -> Option<LaneInfo> {
        (lane == 0).then_some(LaneInfo { index: 0, owned: true, owners: 1 })
    }
}

impl Values for Legacy {
    fn visit_scalars<V: Visitor>(&self, lane: u32, visitor: &mut V) {
        if lane != 0 {
            return;
        }
        visitor.lane(None);
        for (index, record) in self.indexed() {
            if let Stored::Scalar(scalar) = record.value {
                visitor.scalar(index, Verdict::Consistent(scalar));
            }
        }
    }

    fn visit_lane<V: Visitor>(&self, lane: u32, _scratch: &mut Scratch, visitor: &mut V) {
        if lane != 0 {
            return;
        }
        visitor.lane(None);
        for (index, record) in self.indexed() {
            visitor.value(index, Verdict::Consistent(record.value()));
        }
    }

    fn visit_field<V: Visitor>(&self, index: u32, _scratch: &mut Scratch, visitor: &mut V) {
        if let Some(record) = self.records.get(index as usize) {
            visitor.lane(None);
            visitor.value(index, Verdict::Consistent(record.value()));
        }
    }
}

impl Record {
    fn new(record: &format1::Record<'_>) -> Self {
        let (value, wide) = match record.value {
            Value::U64(n) => (Stored::Scalar(Scalar::U64(n)), DataType::U64),
            Value::I64(n) => (Stored::Scalar(Scalar::I64(n)), DataType::I64),
            Value::F32(x) => (Stored::Scalar(Scalar::F32(x)), DataType::F32),
            Value::F64(x) => (Stored::Scalar(Scalar::F64(x)), DataType::F64),
            Value::Bool(b) => (Stored::Scalar(Scalar::Bool(b)), DataType::Bool),
            Value::Text(text) => (Stored::Text(text.to_string()), DataType::Text),
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
        // Standard fields are not added up; any other number may be a counter.
        let number = !matches!(ty, DataType::Bool | DataType::Text);
        let system = label.starts_with("sys.") || label.contains(".sys.");
        let aggregation = if number && !system { Aggregation::Sum } else { Aggregation::Each };
        let count = digits.parse().unwrap_or(1);
        let properties = Properties::without_kind(ty, aggregation).with_count(count);
        Self { label, properties, value }
    }

    /// The value, borrowed.
    fn value(&self) -> RawValue<'_> {
        match &self.value {
            Stored::Scalar(scalar) => RawValue::from(*scalar),
            Stored::Text(text) => RawValue::Text { text, cut: false },
        }
    }

    /// Equal if both describe the same field.
    fn description(&self) -> (&str, Option<DataType>) {
        (&self.label, self.properties.ty())
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

    fn state(legacy: &mut Legacy, identity: &Identity) -> FileState {
        legacy.judge(Path::new("x"), identity).unwrap().unwrap()
    }

    #[test]
    fn identity_is_found_behind_prefix() {
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
        let mut legacy = Legacy::parse(&file).unwrap();
        let identity = legacy.identity();
        assert_eq!((identity.pid, identity.uid, identity.created), (Some(pid), Some(7), Some(1.5)));
        let rules: Vec<_> = legacy.records.iter().map(|r| r.properties.aggregation()).collect();
        use Aggregation::{Each, Sum};
        assert_eq!(rules, [Each, Each, Sum, Each, Each]);
        assert_eq!(legacy.records[4].properties.count(), 4);
        assert_eq!(state(&mut legacy, &identity), FileState::Live);
    }

    #[test]
    fn state_is_dead_without_process_and_unknown_without_pid() {
        let mut legacy = Legacy::parse(&[1]).unwrap();
        let mut with = |pid| state(&mut legacy, &Identity { pid, ..Identity::default() });
        // Above the largest pid of Linux.
        assert_eq!(with(Some(99_999_999)), FileState::Dead);
        assert_eq!(with(Some(0)), FileState::Unknown);
        assert_eq!(with(None), FileState::Unknown);
        #[cfg(unix)] // process ids are signed there, and process 1 exists
        {
            assert_eq!(with(Some(u32::MAX)), FileState::Unknown);
            assert_eq!(with(Some(1)), FileState::Live, "another user's");
        }
    }
}
