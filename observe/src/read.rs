//! The values of a file.

use mmstats_core::Kind;
use mmstats_core::read::{Scalar, Value, Verdict as RawVerdict};

use crate::budget::{Budget, TOO_LARGE};
use crate::combine::Combined;
use crate::field::FieldRef;
use crate::file::File;
use crate::kinds::Meaning;
use crate::look::Content;
use crate::problem::Damage;
use crate::scan::{self, Scratch};
use crate::three::Three;
use crate::value::{Origin, OwnedValue, Reading, Verdict};

/// What is said of every value of a file that was truncated while it was read.
const TRUNCATED: Damage = Damage { code: "truncated", offset: 0 };

impl File {
    /// The values of all fields, combined over lanes, in the order of
    /// [`fields`](Self::fields). Members of a group are from one publish in each lane.
    #[must_use]
    pub fn values(&self) -> Vec<Reading> {
        let readings = match self.content() {
            Content::Three(three) => three_values(three, self),
            Content::One { one, .. } => {
                one.records.iter().map(|record| Reading::consistent(record.value.clone())).collect()
            }
            Content::Nothing => Vec::new(),
        };
        self.unless_lost(readings)
    }

    /// The value of field `index`, combined over lanes.
    #[must_use]
    pub fn value(&self, index: usize) -> Reading {
        let Some(field) = self.field(index) else { return Reading::none(Verdict::Absent) };
        let reading = match self.content() {
            Content::Three(three) => three_value(three, self, &field),
            Content::One { one, .. } => match one.records.get(index) {
                Some(record) => Reading::consistent(record.value.clone()),
                None => Reading::none(Verdict::Absent),
            },
            Content::Nothing => Reading::none(Verdict::Absent),
        };
        if self.is_whole() { reading } else { Reading::none(Verdict::Damaged(TRUNCATED)) }
    }

    /// The values of all fields in one lane, in the order of [`fields`](Self::fields).
    /// Constants have their value in every lane.
    #[must_use]
    pub fn lane_values(&self, lane: u32) -> Vec<Reading> {
        let mut readings: Vec<_> = self.fields().map(|field| without_value(&field)).collect();
        let mut budget = Budget::default();
        self.visit_lane(lane, &mut Scratch::new(), |field, raw| {
            if let Some(reading) = readings.get_mut(field.index()) {
                *reading = if budget.takes(&raw) {
                    Reading::of(raw, &Meaning::of(&field))
                } else {
                    Reading::none(Verdict::Damaged(TOO_LARGE))
                };
            }
        });
        if let Content::Three(three) = self.content() {
            for &index in &three.plan().rates {
                let value = readings.get_mut(index as usize).and_then(|r| r.value.as_mut());
                if let (Some(value), Some(rates)) = (value, self.rates_in(three, index, lane)) {
                    *value = OwnedValue::Rate(rates);
                }
            }
        }
        self.unless_lost(readings)
    }

    /// Visits the atomic scalars of a lane with their numbers: the fastest way to poll.
    ///
    /// Other fields, and damaged and retired ones, are not visited. Nothing is allocated.
    /// Of format 1, bools and numbers are visited, in lane 0.
    ///
    /// False means that bytes are missing: throw away what was visited. Bytes that were
    /// cut off inside a page are only seen by [`is_whole`](Self::is_whole).
    #[inline]
    pub fn scan(&self, lane: u32, mut visit: impl FnMut(u32, RawVerdict<Scalar>)) -> bool {
        match self.content() {
            Content::Three(three) => scan::scalars(three, lane, visit),
            Content::One { one, .. } if lane == 0 => {
                for (index, record) in (0..).zip(&one.records) {
                    let scalar = match record.raw().consistent() {
                        Some(Value::U64(n)) => Scalar::U64(n),
                        Some(Value::I64(n)) => Scalar::I64(n),
                        Some(Value::F32(x)) => Scalar::F32(x),
                        Some(Value::F64(x)) => Scalar::F64(x),
                        Some(Value::Bool(b)) => Scalar::Bool(b),
                        _ => continue,
                    };
                    visit(index, RawVerdict::Consistent(scalar));
                }
            }
            _ => {}
        }
        !self.lost()
    }

    /// Visits all fields of a lane that are neither damaged nor retired, in no particular
    /// order. Members of a group are from one publish. Nothing is allocated but in
    /// `scratch`, which grows to what the largest value needs.
    ///
    /// False means that bytes are missing: throw away what was visited. Bytes that were
    /// cut off inside a page are only seen by [`is_whole`](Self::is_whole).
    pub fn visit_lane(
        &self,
        lane: u32,
        scratch: &mut Scratch,
        mut visit: impl FnMut(FieldRef<'_>, RawVerdict<Value<'_>>),
    ) -> bool {
        let mut visit = |index: u32, raw: RawVerdict<Value<'_>>| {
            if let Some(field) = self.field(index as usize) {
                visit(field, raw);
            }
        };
        match self.content() {
            Content::Three(three) => {
                scan::constants(three, scratch, &mut visit);
                scan::scalars(three, lane, |index, raw| visit(index, raw.map(Value::from)));
                scan::others(three, lane, scratch, &mut visit);
            }
            Content::One { one, .. } if lane == 0 => {
                (0..).zip(&one.records).for_each(|(index, record)| visit(index, record.raw()));
            }
            _ => {}
        }
        !self.lost()
    }

    fn unless_lost(&self, mut readings: Vec<Reading>) -> Vec<Reading> {
        if !self.is_whole() {
            readings.fill(Reading::none(Verdict::Damaged(TRUNCATED)));
        }
        readings
    }

    /// Where the values of a lane come from, if this is file `file` of a list.
    pub(crate) fn origin(&self, file: usize, lane: Option<u32>) -> Origin {
        Origin { file, pid: self.identity().pid, part: self.part(), lane }
    }
}

/// What is said of a field that is not visited.
fn without_value(field: &FieldRef<'_>) -> Reading {
    Reading::none(match field.damage() {
        Some(damage) => Verdict::Damaged(damage),
        None if field.is_retired() => Verdict::Retired,
        None => Verdict::Absent,
    })
}

fn three_values(three: &Three, file: &File) -> Vec<Reading> {
    let scratch = &mut Scratch::new();
    let budget = &mut Budget::default();
    let mut all: Vec<_> = file.fields().map(|field| Combined::new(&field)).collect();
    for lane in 0..three.lanes_used() {
        let origin = || file.origin(0, Some(lane));
        scan::scalars(three, lane, |index, raw| {
            if let Some(combined) = all.get_mut(index as usize) {
                combined.scalar(budget, origin, raw);
            }
        });
        scan::others(three, lane, scratch, |index, raw| {
            if let Some(combined) = all.get_mut(index as usize) {
                combined.value(budget, origin(), raw);
            }
        });
        for &index in &three.plan().rates {
            let rates = file.rates_in(three, index, lane);
            if let (Some(combined), Some(rates)) = (all.get_mut(index as usize), rates) {
                combined.rates(&origin(), rates);
            }
        }
    }
    let reading = |(field, combined): (FieldRef<'_>, &Combined)| {
        if field.damage().is_some() || field.is_retired() {
            without_value(&field)
        } else if field.is_constant() {
            three_value(three, file, &field)
        } else {
            combined.reading()
        }
    };
    file.fields().zip(&all).map(reading).collect()
}

fn three_value(three: &Three, file: &File, field: &FieldRef<'_>) -> Reading {
    let index = u32::try_from(field.index()).unwrap_or(u32::MAX);
    let Some(good) = three.good(index) else { return without_value(field) };
    let scratch = &mut Scratch::new();
    if field.is_constant() {
        return Reading::of(scan::constant_of(three, good, scratch), &Meaning::of(field));
    }
    let budget = &mut Budget::default();
    let mut combined = Combined::new(field);
    for lane in 0..three.lanes_used() {
        scan::one(three, lane, index, good, scratch, |raw| {
            combined.value(budget, file.origin(0, Some(lane)), raw);
        });
        if field.kind() == Some(Kind::Rate)
            && let Some(rates) = file.rates_in(three, index, lane)
        {
            combined.rates(&file.origin(0, Some(lane)), rates);
        }
    }
    combined.reading()
}
