//! Programs and fields as the tools show them.

use mmstats_observe::{
    Damage, FieldRef, File, Kind, Level, OwnedValue, Program, Reading, Total, Verdict,
};

/// A program with those of its fields that are to be shown.
pub(crate) struct Section<'a> {
    pub(crate) program: &'a Program<'a>,
    pub(crate) rows: Vec<Row>,
    /// Fields that were asked for, but are of a higher level.
    pub(crate) hidden: Vec<Row>,
}

/// One value to be shown: a field, or what one lane says of it.
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
    /// Part and lane, where the value is of one lane.
    pub(crate) lane: Option<(u32, u32)>,
    pub(crate) value: Option<OwnedValue>,
    pub(crate) verdict: Verdict,
}

impl Row {
    fn new(field: &FieldRef<'_>, reading: Reading, lane: Option<(u32, u32)>) -> Self {
        Self {
            label: field.label().to_owned(),
            attributes: own(field.attributes()),
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

    fn of_total(total: Total) -> Self {
        Self {
            attributes: own(total.field.attributes()),
            label: total.field.label,
            shape: total.field.shape.to_string(),
            kind: total.field.kind_name,
            unit: total.field.unit,
            help: total.field.help,
            aggregation: total.field.aggregation.name(),
            level: total.field.level,
            lane: None,
            value: total.reading.value,
            verdict: total.reading.verdict,
        }
    }

    /// Whether this is one of `sys.*`, which in format 1 have the program's prefix.
    pub(crate) fn is_standard(&self) -> bool {
        self.label.starts_with("sys.") || self.label.contains(".sys.")
    }

    /// Where and how the field or its value is damaged.
    pub(crate) const fn damage(&self) -> Option<Damage> {
        match self.verdict {
            Verdict::Damaged(damage) => Some(damage),
            _ => None,
        }
    }

    /// One row for each lane of a field that is not combined over lanes.
    fn spread(mut self, rows: &mut Vec<Self>) {
        let each = match self.value {
            Some(OwnedValue::Each(each)) => each,
            other => {
                self.value = other;
                return rows.push(self);
            }
        };
        self.value = None;
        let before = rows.len();
        // A ring without a line has an empty text.
        let silent = |value: &OwnedValue| {
            self.kind == Kind::Events.name()
                && matches!(value, OwnedValue::Text { text, .. } if text.is_empty())
        };
        for part in each {
            if part.value.as_ref().is_some_and(silent) {
                continue;
            }
            if part.value.is_some() || part.verdict != Verdict::Absent {
                let lane = part.origin.lane.map(|lane| (part.origin.part, lane));
                let (value, verdict) = (part.value, part.verdict);
                rows.push(Self { lane, value, verdict, ..self.clone() });
            }
        }
        if rows.len() == before {
            if self.kind == Kind::Events.name() {
                self.verdict = Verdict::Absent;
            }
            rows.push(self);
        }
    }
}

fn own<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The fields of a program, combined over lanes and parts by their rules.
pub(crate) fn combined(program: &Program<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    match program.files() {
        [file] => {
            for (field, reading) in file.fields().zip(file.values()) {
                Row::new(&field, reading, None).spread(&mut rows);
            }
        }
        files => {
            for total in program.totals() {
                Row::of_total(total).spread(&mut rows);
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
            Row::new(&field, file.value(field.index()), None).spread(&mut rows);
        }
        let mut left = MOST;
        let mut lanes: Vec<Vec<Reading>> = Vec::new();
        for lane in 0..file.lanes().used {
            let mut values = file.lane_values(lane);
            left = left.saturating_sub(values.iter().map(weight).sum());
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

/// About how many bytes the values of all lanes of one file may take: of what a hostile file
/// has beyond that, one lane is shown as damaged, and the rest not at all.
const MOST: usize = 128 << 20;

/// About what a value takes, in bytes.
fn weight(reading: &Reading) -> usize {
    let own = match &reading.value {
        Some(OwnedValue::Array(values)) => values.len() * size_of::<OwnedValue>(),
        Some(OwnedValue::Text { text, .. }) => text.len(),
        Some(OwnedValue::Bytes { bytes, .. }) => bytes.len(),
        Some(OwnedValue::Histogram(found)) => found.buckets().count() * 48,
        _ => 0,
    };
    // The row that is made of it.
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
