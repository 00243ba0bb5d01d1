//! Columns: the fields of one label that combine, over attributes, lanes and programs.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use mmstats_observe::{
    Aggregation, FieldInfo, FieldKey, FieldRef, Kind, OwnedValue, Shape, Verdict,
};

use super::views::View;
use crate::model::kin::{Qualifier, qualifiers};
use crate::model::pattern::Described;

/// Fields that combine: a family is one column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Without attributes and help.
    pub(crate) field: FieldInfo,
    /// Conditions on the attributes of its fields, as they are written; empty without one.
    pub(crate) selector: String,
    /// Distinguishes columns of the same label and conditions.
    pub(crate) qualifier: Qualifier,
}

/// The value of a column in one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// The total count so far, or the current value.
    pub(crate) total: Option<OwnedValue>,
    /// The verdict on it.
    pub(crate) verdict: Verdict,
    /// Increase in the interval; `None` if it is unknown, or if nothing is counted.
    pub(crate) interval: Option<Interval>,
}

/// Increase of the fields of a column in an interval.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    /// Per second; `None` where all programs had ended before.
    pub(crate) rate: Option<f64>,
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
    pub(crate) fn new(mut field: FieldInfo, selector: &str) -> Self {
        (field.attributes, field.help) = Default::default();
        Self { field, selector: selector.to_owned(), qualifier: Qualifier::default() }
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
    /// By number of the view.
    by_key: HashMap<(usize, FieldKey), u32>,
}

impl Columns {
    /// The number of the column of a field in a view.
    pub(crate) fn find(&self, view: usize, field: &FieldInfo) -> Option<u32> {
        self.by_key.get(&(view, field.family_key())).copied()
    }

    /// Adds columns for new fields of one view, whose number is given.
    pub(crate) fn add_to<'a>(
        &mut self,
        number: usize,
        view: &View,
        fields: impl Iterator<Item = FieldRef<'a>>,
    ) {
        for field in fields.filter(|field| view.place(field).is_some()) {
            let key = (number, field.family_key());
            if let (false, Ok(at)) = (self.by_key.contains_key(&key), u32::try_from(self.all.len()))
            {
                self.by_key.insert(key, at);
                self.all.push(Column::new(FieldInfo::from(&field), view.selector()));
            }
        }
    }

    /// Adds columns for new fields, in the order of the patterns.
    pub(crate) fn add(&mut self, views: &[View], fields: impl Iterator<Item = impl Described>) {
        // By number of the pattern.
        let mut new: BTreeMap<usize, Vec<(usize, FieldKey, FieldInfo)>> = BTreeMap::new();
        for field in fields {
            for (view, at) in views.iter().enumerate() {
                let Some(at) = at.place(&field) else { continue };
                let key = (view, field.family_key());
                if !self.by_key.contains_key(&key) {
                    // The number is set below, when all are known.
                    self.by_key.insert(key.clone(), u32::MAX);
                    new.entry(at).or_default().push((view, key.1, field.info()));
                }
            }
        }
        let before = self.all.len();
        for (view, key, info) in new.into_values().flatten() {
            if let Ok(number) = u32::try_from(self.all.len()) {
                self.by_key.insert((view, key), number);
            }
            let selector = views.get(view).map_or("", View::selector);
            self.all.push(Column::new(info, selector));
        }
        if self.all.len() > before {
            self.qualify();
        }
    }

    fn qualify(&mut self) {
        let mut by_label: HashMap<(Rc<str>, Rc<str>), Vec<usize>> = HashMap::new();
        for (number, column) in self.all.iter().enumerate() {
            let name = (column.label().into(), column.selector.as_str().into());
            by_label.entry(name).or_default().push(number);
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
        Self::new(field, "")
    }
}
