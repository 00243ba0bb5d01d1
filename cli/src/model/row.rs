//! Fields of programs with their values, as the commands show them.

use std::collections::HashMap;
use std::rc::Rc;

use mmstats_observe::{
    Damage, FieldInfo, FieldKey, FieldRef, File, Kind, OwnedValue, Program, Reading, Verdict,
};

use super::kin::{Qualifier, qualifiers};

/// A field with its value, of all lanes or of one.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The label is empty if the field is damaged.
    pub(crate) field: Rc<FieldInfo>,
    /// Part and lane of the value; `None` if it is combined over lanes.
    pub(crate) lane: Option<(u32, u32)>,
    pub(crate) value: Option<OwnedValue>,
    pub(crate) verdict: Verdict,
    /// Distinguishes fields of the program with the same label and attributes.
    pub(crate) qualifier: Qualifier,
}

impl Row {
    fn new(field: Rc<FieldInfo>, lane: Option<(u32, u32)>, reading: Reading) -> Self {
        let (value, verdict) = (reading.value, reading.verdict);
        Self { field, lane, value, verdict, qualifier: Qualifier::default() }
    }

    fn combined(field: FieldInfo, reading: Reading) -> Self {
        Self::new(Rc::new(field), None, reading)
    }

    /// Whether this is a standard field, `sys.*`; in format 1 the program's prefix precedes it.
    pub(crate) fn is_standard(&self) -> bool {
        self.field.label.starts_with("sys.") || self.field.label.contains(".sys.")
    }

    /// The rule that the field or its value breaks.
    pub(crate) const fn damage(&self) -> Option<Damage> {
        match self.verdict {
            Verdict::Damaged(damage) => Some(damage),
            _ => None,
        }
    }

    /// The value, if all of it could be read: a sum without a lane is another number. Of activities those that could
    /// be read are told beside the number of others.
    pub(crate) fn whole(&self) -> Option<&OwnedValue> {
        let is_partial = matches!(self.verdict, Verdict::Contended | Verdict::Damaged(_));
        let value = self.value.as_ref()?;
        (!is_partial || matches!(value, OwnedValue::Activity(_))).then_some(value)
    }

    /// Adds the row; one for each lane if the field is not combined over lanes.
    fn push_to(mut self, rows: &mut Vec<Self>) {
        let each = match self.value {
            Some(OwnedValue::Each(each)) => each,
            other => {
                self.value = other;
                return rows.push(self);
            }
        };
        self.value = None;
        let rows_before = rows.len();
        // An events field without a line has an empty text.
        let is_empty = |value: &OwnedValue| {
            self.field.properties.kind() == Some(Kind::Events)
                && matches!(value, OwnedValue::Text { text, .. } if text.is_empty())
        };
        // Of many threads only a few do something.
        let is_idle = |value: &OwnedValue| match value {
            OwnedValue::Activity(activity) => {
                activity.in_progress() == 0 && activity.refused.unwrap_or(0) == 0
            }
            _ => false,
        };
        let mut idle = None;
        for mut part in each {
            if part.value.as_ref().is_some_and(&is_empty) {
                continue;
            }
            if let Some(value) = part.value.take_if(|value| is_idle(value)) {
                idle.get_or_insert(value);
                continue;
            }
            if part.value.is_some() || part.verdict != Verdict::Absent {
                let lane = part.origin.lane.map(|lane| (part.origin.part, lane));
                let (value, verdict) = (part.value, part.verdict);
                rows.push(Self { lane, value, verdict, ..self.clone() });
            }
        }
        if rows.len() == rows_before {
            if self.field.properties.kind() == Some(Kind::Events) {
                self.verdict = Verdict::Absent;
            } else if self.field.properties.kind() == Some(Kind::Activity)
                && self.verdict == Verdict::Consistent
            {
                self.value = idle;
            }
            rows.push(self);
        }
    }
}

/// Fields of one name that do not combine, and the place of each.
#[derive(Default)]
struct Group<'a> {
    fields: Vec<&'a FieldInfo>,
    places: HashMap<FieldKey, usize>,
}

/// Sets the qualifiers of fields that share a name and do not combine.
fn qualify(mut rows: Vec<Row>) -> Vec<Row> {
    fn name(row: &Row) -> Option<(&str, &str)> {
        let field = &row.field;
        (!field.label.is_empty()).then_some((&field.label, &field.attributes))
    }
    let mut counts: HashMap<(&str, &str), u32> = HashMap::new();
    rows.iter().filter_map(name).for_each(|name| *counts.entry(name).or_default() += 1);
    // The fields of each name that several rows have, and the places of all their rows.
    let mut groups: HashMap<(&str, &str), Group<'_>> = HashMap::new();
    let mut places = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let Some(name) = name(row).filter(|name| counts[name] > 1) else { continue };
        if row.verdict != Verdict::Retired {
            let group = groups.entry(name).or_default();
            let place = *group.places.entry(row.field.key()).or_insert_with(|| {
                group.fields.push(&row.field);
                group.fields.len() - 1
            });
            places.push((number, name, place));
        }
    }
    groups.retain(|_, group| group.fields.len() > 1);
    let known: HashMap<_, _> =
        groups.iter().map(|(name, group)| (*name, qualifiers(&group.fields))).collect();
    let found: Vec<(usize, Qualifier)> = places
        .into_iter()
        .filter_map(|(number, name, place)| Some((number, known.get(&name)?[place].clone())))
        .collect();
    for (number, qualifier) in found {
        rows[number].qualifier = qualifier;
    }
    rows
}

/// The fields of a program, combined over lanes and parts by the rule of each.
pub(crate) fn combined(program: &Program<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    match program.files() {
        [file] => {
            for (field, reading) in file.fields().zip(file.values()) {
                if !is_in_ledger(file, &field) {
                    Row::combined(FieldInfo::from(&field), reading).push_to(&mut rows);
                }
            }
        }
        files => {
            for total in program.totals() {
                Row::combined(total.field, total.reading).push_to(&mut rows);
            }
            for file in files {
                let damaged = file.fields().zip(file.values());
                let damaged = damaged.filter(|(field, _)| field.damage().is_some());
                rows.extend(
                    damaged.map(|(field, reading)| Row::combined(FieldInfo::from(&field), reading)),
                );
            }
        }
    }
    qualify(rows)
}

/// The fields of a program of a recording.
#[cfg(feature = "record")]
pub(crate) fn recorded(totals: &[mmstats_observe::Total]) -> Vec<Row> {
    let mut rows = Vec::new();
    for total in totals {
        Row::combined(total.field.clone(), total.reading.clone()).push_to(&mut rows);
    }
    qualify(rows)
}

/// The fields of a program, one row for each lane that was ever used.
pub(crate) fn by_lane(program: &Program<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in program.files() {
        for field in file.fields().filter(|field| field.is_constant() && file.part() == 0) {
            Row::combined(FieldInfo::from(&field), file.value(field.index())).push_to(&mut rows);
        }
        let mut left = MAX_MEMORY;
        let mut lanes: Vec<Vec<Reading>> = Vec::new();
        for lane in 0..file.lanes().used {
            let mut values = file.lane_values(lane);
            left = left.saturating_sub(values.iter().map(memory).sum());
            if left == 0 {
                let verdict = Verdict::Damaged(Damage { code: "too-large", offset: 0 });
                values.iter_mut().for_each(|reading| {
                    (reading.value, reading.verdict) = (None, verdict);
                });
            }
            lanes.push(values);
            if left == 0 {
                break;
            }
        }
        let fields = file.fields().filter(|field| !field.is_constant());
        for field in fields.filter(|field| !is_in_ledger(file, field)) {
            lane_rows(file, &field, &lanes, &mut rows);
        }
    }
    qualify(rows)
}

/// Whether the ledger of the application has the sums of the field, so that they are not shown.
fn is_in_ledger(file: &File, field: &FieldRef<'_>) -> bool {
    file.is_superseded() && field.damage().is_none() && field.properties().is_cumulative()
}

/// Maximum memory for the values of all lanes of one file, in bytes, about. Past it one lane is
/// shown as damaged, and the remaining ones are left out.
const MAX_MEMORY: usize = 128 << 20;

/// Approximate memory of a value, in bytes.
fn memory(reading: &Reading) -> usize {
    let own = match &reading.value {
        Some(OwnedValue::Array(values)) => values.len() * size_of::<OwnedValue>(),
        Some(OwnedValue::Text { text, .. }) => text.len(),
        Some(OwnedValue::Bytes { bytes, .. }) => bytes.len(),
        Some(OwnedValue::Histogram(value)) => value.buckets().count() * 48,
        _ => 0,
    };
    // The reading and its row.
    own + 2 * size_of::<Reading>()
}

fn lane_rows(file: &File, field: &FieldRef<'_>, lanes: &[Vec<Reading>], rows: &mut Vec<Row>) {
    // Format 1 has no lanes, and a damaged field has no values.
    if file.format() == Some(1) || field.damage().is_some() || lanes.is_empty() {
        return rows.push(Row::combined(FieldInfo::from(field), file.value(field.index())));
    }
    let info = Rc::new(FieldInfo::from(field));
    for (lane, values) in (0..).zip(lanes) {
        if let Some(reading) = values.get(field.index()) {
            rows.push(Row::new(Rc::clone(&info), Some((file.part(), lane)), reading.clone()));
        }
    }
}

#[cfg(test)]
impl Row {
    /// A counter with two lines of help.
    pub(crate) fn for_test(label: &str, unit: &str, value: Option<OwnedValue>) -> Self {
        use mmstats_observe::{Aggregation, DataType, Properties};
        let counter = Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum);
        let mut field = FieldInfo::new(label, counter);
        field.unit = unit.into();
        field.help = "Line one.\nLine\u{1b} two.".into();
        let verdict = if value.is_some() { Verdict::Consistent } else { Verdict::Absent };
        let qualifier = Qualifier::default();
        Self { field: Rc::new(field), lane: None, value, verdict, qualifier }
    }

    /// The same with a change of its field.
    pub(crate) fn with_field(mut self, change: impl FnOnce(&mut FieldInfo)) -> Self {
        change(Rc::make_mut(&mut self.field));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `show --plain`, `diff` and CSV have no place for a verdict.
    #[test]
    fn sum_without_a_lane_is_not_whole() {
        let mut row = Row::for_test("n", "", Some(OwnedValue::Unsigned(5)));
        assert_eq!(row.whole(), Some(&OwnedValue::Unsigned(5)));
        row.verdict = Verdict::Contended;
        assert_eq!(row.whole(), None);
        row.verdict = Verdict::Damaged(Damage { code: "lane-state", offset: 7 });
        assert_eq!(row.whole(), None);
        row.value = Some(OwnedValue::Activity(mmstats_observe::ActivityValue::default()));
        assert!(row.whole().is_some());
    }
}
