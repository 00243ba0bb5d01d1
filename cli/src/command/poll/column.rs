//! Columns of `poll`: the fields of one label that combine, over attributes, lanes and programs.

use std::collections::HashMap;
use std::rc::Rc;

use mmstats_observe::{
    Aggregation, FieldInfo, FieldKey, FieldRef, Kind, OwnedValue, Shape, Verdict,
};

use super::pattern::Pattern;
use crate::model::kin::{Qualifier, qualifiers};

/// Fields that combine: a family is one column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Without attributes and help.
    pub(crate) field: FieldInfo,
    /// What tells it from other columns of the same label.
    pub(crate) qualifier: Qualifier,
}

/// The value of a column in one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// All that was counted so far, or the value now.
    pub(crate) total: Option<OwnedValue>,
    /// The verdict on it.
    pub(crate) verdict: Verdict,
    /// What was counted in the interval; `None` if that is not known, or if nothing is counted.
    pub(crate) interval: Option<Interval>,
}

/// What the fields of a column counted in an interval.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    /// Per second.
    pub(crate) rate: f64,
    pub(crate) counts: OwnedValue,
    /// Whether `counts` are those of the whole life: in the first row, if the interval has none.
    pub(crate) over_life: bool,
}

impl Cell {
    /// Durations and values of the whole life, if the interval has none.
    pub(crate) fn show_life(&mut self) {
        let (Some(interval), Some(total)) = (&mut self.interval, &self.total) else { return };
        let total = total.only();
        let is_distribution = matches!(
            total,
            OwnedValue::Timer(_) | OwnedValue::Histogram(_) | OwnedValue::Average(_)
        );
        if is_distribution && interval.counts.counted() == Some(0.0) && total.counted() != Some(0.0)
        {
            (interval.counts, interval.over_life) = (total.clone(), true);
        }
    }
}

impl Column {
    pub(crate) fn new(mut field: FieldInfo) -> Self {
        (field.attributes, field.help) = Default::default();
        Self { field, qualifier: Qualifier::default() }
    }

    pub(crate) fn label(&self) -> &str {
        &self.field.label
    }

    /// The kind, if what is counted in an interval is shown: a rate, and durations or values.
    pub(crate) fn counting(&self) -> Option<Kind> {
        let (properties, shape) = (self.field.properties, self.field.shape());
        let kind = properties.kind().filter(|_| properties.aggregation() != Aggregation::Each)?;
        let number = matches!(shape, Shape::One(ty) if ty.is_scalar());
        match kind {
            Kind::Counter if number => Some(kind),
            Kind::Timer | Kind::Histogram | Kind::Average => Some(kind),
            _ => None,
        }
    }
}

/// All columns.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) all: Vec<Column>,
    by_key: HashMap<FieldKey, u32>,
}

impl Columns {
    /// The number of the column of a field.
    pub(crate) fn find(&self, field: &FieldInfo) -> Option<u32> {
        self.by_key.get(&field.family_key()).copied()
    }

    /// Adds columns for new fields, in the order of the patterns.
    pub(crate) fn add<'a>(
        &mut self,
        patterns: &[Pattern],
        fields: impl Iterator<Item = FieldRef<'a>>,
    ) {
        let mut new: Vec<Vec<(FieldKey, FieldInfo)>> = vec![Vec::new(); patterns.len()];
        for field in fields {
            let label = field.label();
            let Some(at) = patterns.iter().position(|pattern| pattern.matches(label)) else {
                continue;
            };
            let key = field.family_key();
            if !self.by_key.contains_key(&key) {
                // The number is set below, when all are known.
                self.by_key.insert(key.clone(), u32::MAX);
                new[at].push((key, FieldInfo::from(&field)));
            }
        }
        let before = self.all.len();
        for (key, info) in new.into_iter().flatten() {
            if let Ok(number) = u32::try_from(self.all.len()) {
                self.by_key.insert(key, number);
            }
            self.all.push(Column::new(info));
        }
        if self.all.len() > before {
            self.qualify();
        }
    }

    fn qualify(&mut self) {
        let mut by_label: HashMap<Rc<str>, Vec<usize>> = HashMap::new();
        for (number, column) in self.all.iter().enumerate() {
            by_label.entry(column.label().into()).or_default().push(number);
        }
        for numbers in by_label.into_values().filter(|numbers| numbers.len() > 1) {
            let fields: Vec<&FieldInfo> = numbers.iter().map(|n| &self.all[*n].field).collect();
            let found = qualifiers(&fields);
            for (number, qualifier) in numbers.into_iter().zip(found) {
                self.all[number].qualifier = qualifier;
            }
        }
    }
}

#[cfg(test)]
impl Column {
    pub(crate) fn for_test(label: &str, unit: &str, kind: Kind) -> Self {
        use mmstats_observe::{DataType, Properties};
        let mut field =
            FieldInfo::new(label, Properties::new(DataType::U64, kind, Aggregation::Sum));
        field.unit = unit.to_owned();
        Self::new(field)
    }
}
