//! Fields of programs with their values, as the commands show them.

use mmstats_observe::{
    Damage, FieldRef, File, Kind, Level, OwnedValue, Program, Reading, Total, Verdict,
};

/// A program and its fields.
pub(crate) struct Section<'a> {
    pub(crate) program: &'a Program<'a>,
    pub(crate) rows: Vec<Row>,
    /// Fields above the level that is shown.
    pub(crate) hidden: Vec<Row>,
}

/// A field with its value, of all lanes or of one.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Empty if the field is damaged.
    pub(crate) label: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// `u64`, `u64[5]`, `text`, ...
    pub(crate) shape: String,
    pub(crate) kind: &'static str,
    pub(crate) unit: String,
    pub(crate) help: String,
    pub(crate) aggregation: &'static str,
    pub(crate) level: Level,
    /// Part and lane of the value; `None` if it is combined over lanes.
    pub(crate) lane: Option<(u32, u32)>,
    pub(crate) value: Option<OwnedValue>,
    pub(crate) verdict: Verdict,
}

impl Row {
    fn new(field: &FieldRef<'_>, reading: Reading, lane: Option<(u32, u32)>) -> Self {
        Self {
            label: field.label().to_owned(),
            attributes: to_owned(field.attributes()),
            shape: field.shape().to_string(),
            kind: field.kind_name(),
            unit: field.unit().to_owned(),
            help: field.help().to_owned(),
            aggregation: field.aggregation().name(),
            level: field.level(),
            lane,
            value: reading.value,
            verdict: reading.verdict,
        }
    }

    fn from_total(total: Total) -> Self {
        Self {
            attributes: to_owned(total.field.attributes()),
            shape: total.field.shape().to_string(),
            kind: total.field.kind_name(),
            aggregation: total.field.aggregation().name(),
            level: total.field.level(),
            label: total.field.label,
            unit: total.field.unit,
            help: total.field.help,
            lane: None,
            value: total.reading.value,
            verdict: total.reading.verdict,
        }
    }

    /// Whether this is a standard field, `sys.*`; in format 1 the program's prefix precedes it.
    pub(crate) fn is_standard(&self) -> bool {
        self.label.starts_with("sys.") || self.label.contains(".sys.")
    }

    /// The rule that the field or its value breaks.
    pub(crate) const fn damage(&self) -> Option<Damage> {
        match self.verdict {
            Verdict::Damaged(damage) => Some(damage),
            _ => None,
        }
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
            self.kind == Kind::Events.name()
                && matches!(value, OwnedValue::Text { text, .. } if text.is_empty())
        };
        for part in each {
            if part.value.as_ref().is_some_and(is_empty) {
                continue;
            }
            if part.value.is_some() || part.verdict != Verdict::Absent {
                let lane = part.origin.lane.map(|lane| (part.origin.part, lane));
                let (value, verdict) = (part.value, part.verdict);
                rows.push(Self { lane, value, verdict, ..self.clone() });
            }
        }
        if rows.len() == rows_before {
            if self.kind == Kind::Events.name() {
                self.verdict = Verdict::Absent;
            }
            rows.push(self);
        }
    }
}

fn to_owned<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The fields of a program, combined over lanes and parts by the rule of each.
pub(crate) fn combined(program: &Program<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    match program.files() {
        [file] => {
            for (field, reading) in file.fields().zip(file.values()) {
                Row::new(&field, reading, None).push_to(&mut rows);
            }
        }
        files => {
            for total in program.totals() {
                Row::from_total(total).push_to(&mut rows);
            }
            for file in files {
                let damaged = file.fields().zip(file.values());
                let damaged = damaged.filter(|(field, _)| field.damage().is_some());
                rows.extend(damaged.map(|(field, reading)| Row::new(&field, reading, None)));
            }
        }
    }
    rows
}

/// The fields of a program, one row for each lane that was ever used.
pub(crate) fn by_lane(program: &Program<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in program.files() {
        for field in file.fields().filter(|field| field.is_constant() && file.part() == 0) {
            Row::new(&field, file.value(field.index()), None).push_to(&mut rows);
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
        for field in file.fields().filter(|field| !field.is_constant()) {
            lane_rows(file, &field, &lanes, &mut rows);
        }
    }
    rows
}

/// Maximum memory for the values of all lanes of one file, in bytes, about. Past it one lane is
/// shown as damaged, and the remaining ones are left out.
const MAX_MEMORY: usize = 128 << 20;

/// Memory that a value takes, in bytes, about.
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
        return rows.push(Row::new(field, file.value(field.index()), None));
    }
    for (lane, values) in (0..).zip(lanes) {
        if let Some(reading) = values.get(field.index()) {
            rows.push(Row::new(field, reading.clone(), Some((file.part(), lane))));
        }
    }
}

#[cfg(test)]
impl Row {
    /// A counter with two lines of help.
    pub(crate) fn for_test(label: &str, unit: &str, value: Option<OwnedValue>) -> Self {
        Self {
            label: label.into(),
            attributes: Vec::new(),
            shape: "u64".into(),
            kind: "counter",
            unit: unit.into(),
            help: "Line one.\nLine\u{1b} two.".into(),
            aggregation: "sum",
            level: Level::Info,
            lane: None,
            verdict: if value.is_some() { Verdict::Consistent } else { Verdict::Absent },
            value,
        }
    }
}
