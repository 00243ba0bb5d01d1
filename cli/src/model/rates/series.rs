//! Counts of one program, and their increase between two looks.

use std::sync::Arc;
use std::time::Instant;

use mmstats_observe::{Completeness, OwnedValue, Program, Total, Verdict};

use super::column::{Column, Columns, Interval};

/// One look at a program, or at all programs of an application: its parts, and the series that count.
pub(crate) struct Look {
    at: Instant,
    covers: Covers,
    /// Sorted by column and attributes.
    series: Vec<Series>,
}

/// Maximum number of parts of a program of a recording that are compared.
#[cfg(feature = "record")]
const MAX_PARTS: u32 = 1 << 16;

/// The parts of a program that a look covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Covers {
    /// Numbers of the parts of a program, ascending; of an application those of each program.
    pub(crate) parts: Vec<u32>,
    /// Number of lanes whose values are in no file.
    pub(crate) lanes_refused: u32,
    /// Number of ended programs of an application whose counts the ledger has in part.
    pub(crate) instances_incomplete: u64,
    /// Whether all of it was seen.
    pub(crate) is_whole: bool,
    /// Whether the counts of instances that ended are kept by others: parts come and go.
    pub(crate) is_application: bool,
}

impl Covers {
    pub(crate) fn new(programs: &[&Program<'_>], is_application: bool) -> Self {
        let files = programs.iter().flat_map(|program| program.files());
        let mut parts: Vec<u32> = files.map(|file| file.part()).collect();
        parts.dedup();
        let all: Vec<Completeness> = programs.iter().map(|one| one.completeness()).collect();
        Self::from_parts(parts, &all, is_application)
    }

    /// The parts that a look covered of programs whose parts are not at hand.
    #[cfg(feature = "record")]
    pub(crate) fn from_completeness(all: &[Completeness], is_application: bool) -> Self {
        let seen = |one: &Completeness| {
            let missing = one.missing_parts.clone();
            let is_seen = move |part: &u32| !missing.iter().any(|range| range.contains(part));
            (0..one.parts.min(MAX_PARTS)).filter(is_seen)
        };
        Self::from_parts(all.iter().flat_map(seen).collect(), all, is_application)
    }

    fn from_parts(parts: Vec<u32>, all: &[Completeness], is_application: bool) -> Self {
        let lanes_refused = all.iter().map(|one| one.lanes_refused);
        let instances = all.iter().map(|one| one.instances_incomplete);
        Self {
            parts,
            lanes_refused: lanes_refused.fold(0, u32::saturating_add),
            instances_incomplete: instances.fold(0, u64::saturating_add),
            is_whole: all.iter().all(|one| {
                one.missing_parts.is_empty() && one.lanes_refused == 0 && one.fields_refused == 0
            }),
            is_application,
        }
    }

    /// Whether counts may be subtracted: `later` covers the same, or parts that were added since.
    fn leads_to(&self, later: &Self) -> bool {
        if self.is_application || later.is_application {
            // The counts of a program that the ledger took in without some of it went down.
            return self.is_application == later.is_application
                && self.is_whole
                && later.is_whole
                && self.instances_incomplete == later.instances_incomplete;
        }
        // Lanes and parts that were there before and not seen would count from zero.
        let grown = later.parts.len() > self.parts.len();
        later.parts.starts_with(&self.parts)
            && later.lanes_refused >= self.lanes_refused
            && (self.is_whole || !grown)
    }
}

/// A field with certain attributes, over all lanes and parts of a program.
struct Series {
    column: u32,
    attributes: Arc<str>,
    /// Time and value of the last reading that was whole; `None` if there was none yet.
    last: Option<(Instant, OwnedValue)>,
}

/// Since when new series of a program count from zero.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// Not known: the first look at a program that began earlier.
    Unknown,
    /// This many seconds before the look.
    Seconds(f64),
}

impl Look {
    pub(crate) const fn new(at: Instant, covers: Covers) -> Self {
        Self { at, covers, series: Vec::new() }
    }

    /// Adds the counting series of the totals of a view that have a column. The verdict of each decides
    /// whether it is compared.
    pub(crate) fn add(&mut self, view: usize, totals: &[Total], columns: &Columns) {
        for total in totals {
            let Some(column) = columns.find(view, &total.field) else { continue };
            // Other values are not compared, and may be large.
            let counts = columns.all.get(column as usize).and_then(Column::counting);
            if counts.is_none() || total.reading.verdict == Verdict::Absent {
                continue;
            }
            let value = total.reading.value.clone().filter(|_| total.reading.is_consistent());
            let last = value.map(|value| (self.at, value));
            self.series.push(Series {
                column,
                attributes: Arc::clone(&total.field.attributes),
                last,
            });
        }
    }

    /// Adds to `gains`, by column, what was counted since the look before: `seconds` ago.
    ///
    /// Nothing is known of a program of which other parts were seen then.
    pub(crate) fn gains(&mut self, before: Option<Self>, start: Start, gains: &mut [Gain]) {
        self.series.sort_by(|a, b| a.order().cmp(&b.order()));
        let comparable = before.as_ref().is_none_or(|before| before.covers.leads_to(&self.covers));
        let start = match &before {
            // A field that was added since: from zero.
            Some(before) => Start::Seconds((self.at - before.at).as_secs_f64()),
            None => start,
        };
        let mut old = before.map_or_else(Vec::new, |before| before.series).into_iter().peekable();
        for series in &mut self.series {
            let Some(gain) = gains.get_mut(series.column as usize) else { continue };
            while old.next_if(|old| old.order() < series.order()).is_some() {}
            let last = old.next_if(|old| old.order() == series.order());
            if !comparable {
                gain.is_unknown = true;
                continue;
            }
            let is_new = last.is_none();
            let last = last.and_then(|last| last.last);
            match (&series.last, last) {
                // Not read whole now: the next look compares with the one before.
                (None, last) => {
                    series.last = last;
                    gain.is_unknown = true;
                }
                (Some((now, value)), Some((then, before))) => {
                    gain.add(value.since(&before), (*now - then).as_secs_f64());
                }
                (Some((_, value)), None) => match start {
                    Start::Seconds(seconds) if is_new => gain.add(Some(value.clone()), seconds),
                    _ => gain.is_unknown = true,
                },
            }
        }
    }
}

impl Series {
    fn order(&self) -> (u32, &str) {
        (self.column, &self.attributes)
    }
}

/// Increase of the series of a column, added up over programs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gain {
    rate: f64,
    counts: Option<OwnedValue>,
    /// Whether the increase of a series is not known: a sum without it would be wrong.
    is_unknown: bool,
}

impl Gain {
    /// Adds the counts of a series in `seconds`; `None` if they are not known.
    fn add(&mut self, counts: Option<OwnedValue>, seconds: f64) {
        let number = counts.as_ref().and_then(OwnedValue::counted);
        let (Some(counts), Some(number)) = (counts, number.filter(|n| *n >= 0.0)) else {
            self.is_unknown = true;
            return;
        };
        if seconds > 0.0 {
            self.rate += number / seconds;
        } else if number > 0.0 {
            self.is_unknown = true;
        }
        match &mut self.counts {
            Some(sum) => self.is_unknown |= !sum.add_counts(counts.only()),
            sum => *sum = Some(counts.only().clone()),
        }
    }

    /// The sum over all series; `None` without a series, or if the count of one is unknown.
    pub(crate) fn interval(self) -> Option<Interval> {
        let counts = self.counts.filter(|_| !self.is_unknown && self.rate.is_finite())?;
        Some(Interval { rate: Some(self.rate), counts, over_life: false })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mmstats_observe::TimerValue;

    use super::*;

    const START: Start = Start::Unknown;

    fn covers(parts: &[u32]) -> Covers {
        let is_whole = (0..).zip(parts).all(|(number, part)| number == *part);
        let (lanes_refused, instances_incomplete) = (0, 0);
        let parts = parts.to_vec();
        Covers { parts, lanes_refused, instances_incomplete, is_whole, is_application: false }
    }

    fn look(at: Instant, parts: &[u32], series: &[(u32, &str, Option<OwnedValue>)]) -> Look {
        let series = series.iter().map(|(column, attributes, value)| Series {
            column: *column,
            attributes: (*attributes).into(),
            last: value.clone().map(|value| (at, value)),
        });
        Look { at, covers: covers(parts), series: series.collect() }
    }

    fn gains(before: Look, mut now: Look) -> (Vec<Option<f64>>, Look) {
        let mut gains = vec![Gain::default(); 3];
        now.gains(Some(before), START, &mut gains);
        (gains.into_iter().map(|gain| gain.interval().and_then(|i| i.rate)).collect(), now)
    }

    fn n(n: u128) -> Option<OwnedValue> {
        Some(OwnedValue::Unsigned(n))
    }

    #[test]
    fn gains_are_added_by_column_and_compared_by_attributes() {
        let then = Instant::now();
        let now = then + Duration::from_secs(2);
        let before = look(then, &[0], &[(0, "a=1", n(10)), (0, "a=2", n(20)), (2, "", n(7))]);
        // A field of the family is gone, one is new, and one has counted.
        let after = look(now, &[0], &[(0, "a=3", n(5)), (0, "a=2", n(21)), (2, "", n(7))]);
        let (rates, _) = gains(before, after);
        assert_eq!(rates, [Some(3.0), None, Some(0.0)]);
    }

    #[test]
    fn gain_of_lower_value_is_unknown_for_one_interval() {
        let then = Instant::now();
        let at = |seconds| then + Duration::from_secs(seconds);
        let before = look(at(0), &[0], &[(0, "", n(10)), (0, "a=1", n(10))]);
        let lower = look(at(1), &[0], &[(0, "", n(3)), (0, "a=1", n(15))]);
        let (rates, lower) = gains(before, lower);
        assert_eq!(rates[0], None);
        let after = look(at(2), &[0], &[(0, "", n(4)), (0, "a=1", n(16))]);
        assert_eq!(gains(lower, after).0[0], Some(2.0));
    }

    /// The value that could not be read counts in the interval up to the next reading.
    #[test]
    fn gain_of_contended_value_is_compared_with_last_whole_one() {
        let then = Instant::now();
        let at = |seconds| then + Duration::from_secs(seconds);
        let before = look(at(0), &[0], &[(0, "", n(10))]);
        let (rates, contended) = gains(before, look(at(1), &[0], &[(0, "", None)]));
        assert_eq!(rates[0], None);
        let after = look(at(2), &[0], &[(0, "", n(20))]);
        assert_eq!(gains(contended, after).0[0], Some(5.0));
        // Never read whole: not new.
        let first = look(at(0), &[0], &[(0, "", None)]);
        let after = look(at(1), &[0], &[(0, "", n(1_000_000))]);
        assert_eq!(gains(first, after).0[0], None);
    }

    /// A part that was not seen for a while would count from zero when it is back.
    #[test]
    fn gain_with_other_parts_is_unknown() {
        let then = Instant::now();
        let now = then + Duration::from_secs(1);
        let rate = |before: &[u32], after: &[u32]| {
            let before = look(then, before, &[(0, "", n(10))]);
            let after = look(now, after, &[(0, "", n(11)), (0, "a=1", n(1_000))]);
            gains(before, after).0[0]
        };
        assert_eq!(rate(&[0], &[0]), Some(1_001.0));
        assert_eq!(rate(&[0, 1], &[0, 1, 2]), Some(1_001.0));
        assert_eq!(rate(&[1, 2], &[1, 2]), Some(1_001.0));
        for (before, after) in
            [(&[0, 1][..], &[0][..]), (&[0, 2], &[0, 1, 2]), (&[1], &[0, 1]), (&[1], &[1, 2])]
        {
            assert_eq!(rate(before, after), None, "{before:?} {after:?}");
        }
    }

    #[test]
    fn looks_that_cover_other_lanes_are_not_compared() {
        let refused = |lanes_refused| {
            let is_whole = lanes_refused == 0;
            Covers { lanes_refused, is_whole, ..covers(&[0]) }
        };
        for (before, after, wanted) in [(0, 0, true), (0, 2, true), (2, 2, true), (2, 1, false)] {
            assert_eq!(refused(before).leads_to(&refused(after)), wanted, "{before} {after}");
        }
        // The ledger has the counts of parts that are gone, if all was seen.
        let application =
            |parts: &[u32], is_whole| Covers { is_application: true, is_whole, ..covers(parts) };
        assert!(application(&[0, 0, 1], true).leads_to(&application(&[0], true)));
        assert!(!application(&[0], true).leads_to(&application(&[0], false)));
        assert!(!application(&[0], false).leads_to(&application(&[0], true)));
        assert!(!application(&[0], true).leads_to(&covers(&[0])));
        let of = |instances_incomplete| Covers { instances_incomplete, ..application(&[0], true) };
        assert!(of(2).leads_to(&of(2)));
        assert!(!of(2).leads_to(&of(3)) && !of(3).leads_to(&of(2)));
    }

    #[test]
    fn gains_of_new_program_count_from_its_start() {
        let mut rates = Vec::new();
        for start in [Start::Unknown, Start::Seconds(2.0)] {
            let mut gain = vec![Gain::default()];
            let mut now = look(Instant::now(), &[0], &[(0, "", n(10))]);
            now.gains(None, start, &mut gain);
            rates.push(gain.remove(0).interval().and_then(|interval| interval.rate));
        }
        assert_eq!(rates, [None, Some(5.0)]);
    }

    #[test]
    fn gains_of_timers_have_counts_of_interval() {
        let at = |count, sum| {
            let ends = (Some(1), Some(2_000_000_000), Some(5));
            let timer = TimerValue { count, sum, min: ends.0, max: ends.1, last: ends.2 };
            Some(OwnedValue::Timer(timer))
        };
        let then = Instant::now();
        let now = then + Duration::from_secs(2);
        let before = look(then, &[0], &[(0, "a", at(10, 5_000)), (0, "b", at(1, 5))]);
        let mut after = look(now, &[0], &[(0, "a", at(14, 9_000)), (0, "b", at(2, 6))]);
        let mut gain = vec![Gain::default()];
        after.gains(Some(before), START, &mut gain);
        let interval = gain.remove(0).interval().unwrap();
        let counts = TimerValue { count: 5, sum: 4_001, ..TimerValue::default() };
        assert_eq!((interval.rate, interval.counts), (Some(2.5), OwnedValue::Timer(counts)));
    }
}
