//! Measurements for conditions: values, rates, ages and quantiles of the fields of a program.

use std::time::{SystemTime, UNIX_EPOCH};

use mmstats_observe::{
    FieldRef, Kind, Number, OwnedValue, Quantile, Reading, Total, Totals, Verdict,
};

use super::bounds::{Why, bounded, number, oldest, reason};
use super::condition::{Comparison, Function};
use super::finding::Found;
use super::group::Group;
use super::threshold::Known;
use crate::model::pattern::Pattern;
use crate::model::rates::column::{Column, Columns, Interval};
use crate::model::similar;
use crate::text::escape;
use crate::value::{Moment, in_progress, may_be_moment, moment};

/// Measures the fields of a group at one look.
pub(super) struct Measure<'g, 'p, 'a> {
    pub(super) group: &'g Group<'p, 'a>,
    /// When it was looked.
    pub(super) time: SystemTime,
    /// Whether quantiles are those of the interval.
    pub(super) recent: bool,
    pub(super) columns: &'g Columns,
}

impl Measure<'_, '_, '_> {
    /// The values, or bounds of them, of the fields that comparison number `number` selects.
    pub(super) fn field(&self, number: usize, comparison: &Comparison) -> Vec<Found> {
        let totals = &self.group.totals[number];
        if totals.is_empty() {
            return vec![self.without_field(comparison)];
        }
        let mut all = Vec::new();
        for total in totals {
            let selector = comparison.pattern.selector();
            let field = format!("{}{selector}", total.field.label);
            let unit = total.field.unit.clone();
            let mut add = |suffix: &str, is_counter, result: Result<Known, Why>| {
                let (known, reason, never) = match result {
                    Ok(known) => (Some(known), None, false),
                    Err(why) => (None, Some(why.text), why.never),
                };
                let field = escape::text(&format!("{field}{suffix}")).into_owned();
                let (unit, holds) = (unit.clone(), None);
                let is_missing = false;
                all.push(Found {
                    field,
                    unit,
                    is_counter,
                    known,
                    holds,
                    reason,
                    never,
                    is_missing,
                });
            };
            match comparison.function {
                Function::Value => {
                    let is_counter = total.field.properties.kind() == Some(Kind::Counter);
                    let values = self.values(total);
                    values.into_iter().for_each(|(suffix, known)| add(&suffix, is_counter, known));
                }
                Function::Rate => add("", false, self.rate(number, total)),
                Function::Quantile(q) => add("", false, self.quantile(number, total, q)),
                Function::Age => add("", false, self.age(total, &comparison.pattern)),
            }
        }
        all
    }

    /// No series of the program matches: nothing was counted yet, or there is no such field.
    fn without_field(&self, comparison: &Comparison) -> Found {
        let pattern = &comparison.pattern;
        let files = || self.group.programs.iter().flat_map(|program| program.files());
        let fields = || files().flat_map(|file| file.fields()).filter(|f| !f.is_retired());
        let family: Vec<_> =
            fields().filter(|field| pattern.matches_label(field.label())).collect();
        let mut members = family.iter().filter(|field| !is_overflow(field)).peekable();
        let keys: Vec<&str> = pattern.keys().collect();
        let has_keys = members.peek().is_none()
            || members
                .any(|field| keys.iter().all(|key| field.attributes().any(|(k, _)| k == *key)));
        let counts = family.iter().all(|field| {
            matches!(
                field.properties().kind(),
                Some(Kind::Counter | Kind::Timer | Kind::Histogram | Kind::Average)
            )
        });
        let counted_elsewhere = || {
            let mut totals = Totals::filtered(is_overflow);
            totals.update(files().copied(), None);
            totals.fields().iter().any(|total| {
                let value = total.reading.value.as_ref();
                let is_zero = value.is_none_or(|value| value.counted() == Some(0.0));
                pattern.matches_label(&total.field.label) && !is_zero
            })
        };
        let is_number = matches!(comparison.function, Function::Value | Function::Rate);
        if !family.is_empty() && !keys.is_empty() && has_keys && counts && is_number {
            // A member of a family begins to exist when it counts.
            let unit = family.first().map_or("", |field| field.unit()).to_owned();
            if self.group.incomplete.is_some() || counted_elsewhere() {
                let why = "no field has such attributes, and not all that was counted is known";
                return Found { unit, ..Found::told(None, why.to_owned()) };
            }
            if self.group.has_ended && comparison.function == Function::Rate {
                return Found { unit, ..Found::told(None, "it counts nothing now".to_owned()) };
            }
            let known = Some(Known::Exact(Number::Unsigned(0)));
            return Found { known, unit, ..Found::default() };
        }
        let labels: Vec<&str> = fields().map(|field| field.label()).collect();
        let hint = similar::near_pattern(pattern, &labels);
        Found::missing(format!("no field '{}'{hint}", pattern.shown()))
    }

    /// The numbers of a field: one, or those of all lanes or elements.
    fn values(&self, total: &Total) -> Vec<(String, Result<Known, Why>)> {
        let Reading { value, verdict, .. } = &total.reading;
        let incomplete = self.group.incomplete.as_deref();
        let Some(value) = value else {
            return vec![(String::new(), Err(reason(*verdict)))];
        };
        if let Some(count) = in_progress(value) {
            let count = Known::Exact(Number::Float(count));
            return vec![(String::new(), bounded(total, count, incomplete))];
        }
        match value.only() {
            OwnedValue::Each(all) => all
                .iter()
                .filter(|each| each.verdict != Verdict::Absent)
                .map(|each| {
                    let lane =
                        each.origin.lane.map_or_else(String::new, |lane| match each.origin.part {
                            0 => format!("[{lane}]"),
                            part => format!("[{part}.{lane}]"),
                        });
                    let known = each.value.as_ref().ok_or_else(|| reason(each.verdict));
                    (lane, known.and_then(number))
                })
                .collect(),
            OwnedValue::Array(all) => {
                let element = |(n, value): (usize, &OwnedValue)| {
                    let known = number(value).and_then(|known| bounded(total, known, incomplete));
                    (format!("[{n}]"), known)
                };
                all.iter().enumerate().map(element).collect()
            }
            value => {
                let known = number(value).and_then(|known| bounded(total, known, incomplete));
                vec![(String::new(), known)]
            }
        }
    }

    fn interval(&self, number: usize, total: &Total) -> Result<&Interval, Why> {
        let column = self.columns.find(number, &total.field).map(|column| column as usize);
        let counts = column.and_then(|at| self.columns.all.get(at)).and_then(Column::counting);
        if counts.is_none() {
            return Err(Why::kind(total, "rate"));
        }
        if self.group.has_ended {
            let reason = match self.group.is_named() {
                true => format!("{}: it counts nothing now", self.group.ended(self.time)),
                // What became of it stands before.
                false => "it counts nothing now".to_owned(),
            };
            return Err(reason.into());
        }
        let interval = column.and_then(|at| self.group.gains.get(at)?.as_ref());
        interval.ok_or_else(|| match total.reading.verdict {
            Verdict::Consistent => "it went down, or was not seen before".into(),
            verdict => reason(verdict),
        })
    }

    fn rate(&self, number: usize, total: &Total) -> Result<Known, Why> {
        let rate = self.interval(number, total)?.rate.ok_or("it counts nothing now")?;
        let rate = Number::Float(rate);
        // Missing parts can only add to it.
        Ok(if self.group.incomplete.is_some() { Known::AtLeast(rate) } else { Known::Exact(rate) })
    }

    fn quantile(&self, number: usize, total: &Total, q: f64) -> Result<Known, Why> {
        let recent;
        let value = if self.recent {
            recent = self.interval(number, total)?;
            Some(&recent.counts)
        } else {
            total.reading.value.as_ref()
        };
        let value = value.ok_or_else(|| reason(total.reading.verdict))?;
        let OwnedValue::Histogram(histogram) = value.only() else {
            return Err(Why::kind(total, "quantiles"));
        };
        if total.reading.verdict != Verdict::Consistent {
            return Err(reason(total.reading.verdict));
        }
        if let Some(why) = &self.group.incomplete {
            return Err(why.as_str().into());
        }
        match histogram.quantile(q) {
            Some(Quantile::Value(x)) => Ok(Known::Exact(Number::Float(x))),
            Some(Quantile::Below(x)) => Ok(Known::AtMost(Number::Float(x))),
            Some(Quantile::Above(x)) => Ok(Known::MoreThan(Number::Float(x))),
            None => Err("nothing was recorded".into()),
        }
    }

    /// In nanoseconds. `pattern` selects the fields of the total.
    fn age(&self, total: &Total, pattern: &Pattern) -> Result<Known, Why> {
        let now = self.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = i128::try_from(now).unwrap_or(i128::MAX);
        let since = |at: i128| Number::Signed(now.saturating_sub(at));
        let Reading { value, verdict, .. } = &total.reading;
        let incomplete = self.group.incomplete.as_deref();
        if total.field.properties.kind() == Some(Kind::Events) {
            let last = self.last_event(&total.field.label, pattern);
            return match (last, incomplete) {
                (Some(last), None) => Ok(Known::Exact(since(last.into()))),
                // A missing part may have a later line.
                (Some(last), Some(_)) => Ok(Known::AtMost(since(last.into()))),
                (None, Some(why)) => Err(why.into()),
                (None, None) => Err("it has no line yet".into()),
            };
        }
        let value = value.as_ref().ok_or_else(|| reason(*verdict))?;
        if let Some(moment) = moment(&total.field, value.only()) {
            let (Moment::Timestamp(at) | Moment::Epoch(at)) = moment;
            let known = bounded(total, Known::Exact(Number::Signed(at)), incomplete)?;
            return Ok(match known {
                Known::Exact(_) => Known::Exact(since(at)),
                // A later moment is a smaller age.
                Known::AtLeast(_) | Known::MoreThan(_) => Known::AtMost(since(at)),
                Known::AtMost(_) => Known::AtLeast(since(at)),
            });
        }
        let Some(count) = in_progress(value) else {
            return Err(match may_be_moment(&total.field) {
                true => "its value is no moment".into(),
                false => Why::kind(total, "age without a time"),
            });
        };
        let oldest = oldest(value);
        let all_read = *verdict == Verdict::Consistent && self.group.incomplete.is_none();
        match oldest.at {
            Some(at) if all_read && oldest.is_exact => Ok(Known::Exact(since(at.into()))),
            Some(at) => Ok(Known::AtLeast(since(at.into()))),
            None if count == 0.0 && all_read => Ok(Known::Exact(Number::Unsigned(0))),
            None => Err("the time of its begin is not known".into()),
        }
    }

    /// The time of the last line of the events of a label that the pattern selects.
    fn last_event(&self, label: &str, pattern: &Pattern) -> Option<u64> {
        let files = self.group.programs.iter().flat_map(|program| program.files());
        let times = files.flat_map(|file| {
            let is_selected =
                move |field: &FieldRef<'_>| field.label() == label && pattern.matches_ref(field);
            let fields = file.fields().filter(is_selected);
            fields.flat_map(move |field| {
                let lanes = 0..file.lanes().used;
                lanes
                    .filter_map(move |lane| Some(file.events(field.index(), lane, 0)?.last()?.time))
            })
        });
        times.max()
    }
}

/// Whether the field is the overflow of a family: values that found no room of their own.
fn is_overflow(field: &FieldRef<'_>) -> bool {
    field.attributes().eq([("overflow", "true")])
}
