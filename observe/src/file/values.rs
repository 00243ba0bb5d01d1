//! Reads the values of a file.

use std::ops::Range;

use mmstats_core::read::{Scalar, Value, Verdict as RawVerdict};

use super::File;
use crate::combine::{Accumulator, Budget, Decoder, TOO_LARGE};
use crate::field::FieldRef;
use crate::format::{ScalarFn, Scratch, ValueFn, Values as _, Visitor};
use crate::problem::Damage;
use crate::value::{ActivityValue, Origin, OwnedValue, Reading, Verdict, WindowRate};

/// The damage of every value of a file that was truncated while it was read.
const TRUNCATED: Damage = Damage { code: "truncated", offset: 0 };

impl File {
    /// The values of all fields, combined over lanes, in the order of
    /// [`fields`](Self::fields). In each lane the members of a group are from one publish.
    #[must_use]
    pub fn values(&self) -> Vec<Reading> {
        let mut fields = Combine::new(self, self.fields().collect(), 0);
        let scratch = &mut Scratch::new();
        self.with_content((), |content| {
            content.visit_constants(scratch, &mut fields);
            for lane in 0..content.lanes_used() {
                content.visit_lane(lane, scratch, &mut fields);
            }
        });
        let readings = fields.readings().collect();
        self.unless_lost(readings)
    }

    /// The value of field `index`, combined over lanes.
    #[must_use]
    pub fn value(&self, index: usize) -> Reading {
        let (Some(field), Ok(number)) = (self.field(index), u32::try_from(index)) else {
            return Reading::none(Verdict::Absent);
        };
        let mut fields = Combine::new(self, vec![field], number);
        self.with_content((), |content| {
            content.visit_field(number, &mut Scratch::new(), &mut fields);
        });
        let reading = fields.readings().next();
        match reading {
            Some(reading) if self.is_whole() => reading,
            _ => Reading::none(Verdict::Damaged(TRUNCATED)),
        }
    }

    /// The values of all fields in one lane, in the order of [`fields`](Self::fields).
    /// Constants have their value in every lane.
    #[must_use]
    pub fn lane_values(&self, lane: u32) -> Vec<Reading> {
        let readings = self.fields().map(|field| without_value(&field)).collect();
        let mut values = LaneValues { file: self, readings, budget: Budget::default() };
        let scratch = &mut Scratch::new();
        self.with_content((), |content| {
            content.visit_constants(scratch, &mut values);
            content.visit_lane(lane, scratch, &mut values);
        });
        self.unless_lost(values.readings)
    }

    /// Visits the atomic scalars of a lane with their field numbers: the fastest way to poll.
    ///
    /// Other fields, and damaged and retired ones, are left out. Nothing is allocated. Of
    /// format 1, bools and numbers are visited, in lane 0.
    ///
    /// False means that bytes are missing: discard the visited values. Bytes that were cut off
    /// inside a page are only noticed by [`is_whole`](Self::is_whole).
    #[inline]
    pub fn scan(&self, lane: u32, visit: impl FnMut(u32, RawVerdict<Scalar>)) -> bool {
        let mut visitor = ScalarFn(visit);
        self.with_content((), |content| content.visit_scalars(lane, &mut visitor));
        !self.is_lost()
    }

    /// Visits the constants and the fields of a lane, in no particular order, without damaged
    /// and retired ones. The members of a group are from one publish. Nothing is allocated but
    /// in `scratch`, which grows to the need of the largest value. False as for
    /// [`scan`](Self::scan).
    pub fn visit_lane(
        &self,
        lane: u32,
        scratch: &mut Scratch,
        mut visit: impl FnMut(FieldRef<'_>, RawVerdict<Value<'_>>),
    ) -> bool {
        let mut visitor = ValueFn(|index: u32, raw: RawVerdict<Value<'_>>| {
            if let Some(field) = self.field(index as usize) {
                visit(field, raw);
            }
        });
        self.with_content((), |content| {
            content.visit_constants(scratch, &mut visitor);
            content.visit_lane(lane, scratch, &mut visitor);
        });
        !self.is_lost()
    }

    /// Gives all values to a visitor: first the constants, then lane by lane. False as for
    /// [`scan`](Self::scan).
    ///
    /// ```no_run
    /// use mmstats_observe::{Observer, RawValue, RawVerdict, Scratch, Sources, Visitor};
    ///
    /// /// Adds up the counters of all lanes.
    /// #[derive(Default)]
    /// struct Sum(u64);
    ///
    /// impl Visitor for Sum {
    ///     fn constant(&mut self, _field: u32, _raw: RawVerdict<RawValue<'_>>) {}
    ///
    ///     fn value(&mut self, _field: u32, raw: RawVerdict<RawValue<'_>>) {
    ///         if let RawVerdict::Consistent(RawValue::U64(n)) = raw {
    ///             self.0 = self.0.wrapping_add(n);
    ///         }
    ///     }
    /// }
    ///
    /// let mut observer = Observer::new(Sources::new());
    /// observer.refresh();
    /// for file in observer.files() {
    ///     let mut sum = Sum::default();
    ///     if file.visit(&mut Scratch::new(), &mut sum) && file.is_whole() {
    ///         println!("{}: {}", file.path().display(), sum.0);
    ///     }
    /// }
    /// ```
    pub fn visit<V: Visitor>(&self, scratch: &mut Scratch, visitor: &mut V) -> bool {
        self.with_content((), |content| {
            content.visit_constants(scratch, visitor);
            (0..content.lanes_used()).for_each(|lane| content.visit_lane(lane, scratch, visitor));
        });
        !self.is_lost()
    }

    /// Gives the constants to a visitor: they never change, so one visit of a field is enough.
    /// False as for [`scan`](Self::scan).
    pub fn visit_constants<V: Visitor>(&self, scratch: &mut Scratch, visitor: &mut V) -> bool {
        self.with_content((), |content| content.visit_constants(scratch, visitor));
        !self.is_lost()
    }

    /// Gives the values of some lanes to a visitor, without constants. False as for
    /// [`scan`](Self::scan).
    pub fn visit_lanes<V: Visitor>(
        &self,
        lanes: Range<u32>,
        scratch: &mut Scratch,
        visitor: &mut V,
    ) -> bool {
        self.with_content((), |content| {
            lanes.for_each(|lane| content.visit_lane(lane, scratch, visitor));
        });
        !self.is_lost()
    }

    /// As [`visit_lanes`](Self::visit_lanes) with all lanes that may have values.
    pub(crate) fn visit_all_lanes<V: Visitor>(&self, scratch: &mut Scratch, visitor: &mut V) {
        self.with_content((), |content| {
            (0..content.lanes_used()).for_each(|lane| content.visit_lane(lane, scratch, visitor));
        });
    }

    /// The oldest and the newest moment at which a lane was copied from memory that no reader sees,
    /// in nanoseconds since 1970; `None` if no lane says it.
    pub(crate) fn mirrored(&self) -> Option<(u64, u64)> {
        let index = self.mirrored?;
        let mut times = Times(None);
        self.with_content((), |content| {
            content.visit_field(index, &mut Scratch::new(), &mut times);
        });
        times.0
    }

    /// The origin of constants, if this is file `file` of a list.
    pub(crate) fn origin(&self, file: usize) -> Origin {
        Origin { file, pid: self.identity().pid, part: self.part(), lane: None }
    }

    fn unless_lost(&self, mut readings: Vec<Reading>) -> Vec<Reading> {
        if !self.is_whole() {
            readings.fill(Reading::none(Verdict::Damaged(TRUNCATED)));
        }
        readings
    }
}

/// The smallest and the largest value of a timestamp.
struct Times(Option<(u64, u64)>);

impl Visitor for Times {
    fn value(&mut self, _index: u32, raw: RawVerdict<Value<'_>>) {
        if let RawVerdict::Consistent(Value::U64(time)) = raw {
            let (oldest, newest) = self.0.unwrap_or((time, time));
            self.0 = Some((oldest.min(time), newest.max(time)));
        }
    }
}

/// The reading of a field that is not visited.
fn without_value(field: &FieldRef<'_>) -> Reading {
    Reading::none(match field.damage() {
        Some(damage) => Verdict::Damaged(damage),
        None if field.is_retired() => Verdict::Retired,
        None => Verdict::Absent,
    })
}

/// Combines the values of fields over lanes.
struct Combine<'a> {
    fields: Vec<FieldRef<'a>>,
    /// Number of the first of the fields.
    first: u32,
    sums: Vec<Accumulator>,
    /// Readings of constants, which are not combined; empty if there are none.
    constants: Vec<(u32, Reading)>,
    origin: Origin,
    budget: Budget,
}

impl<'a> Combine<'a> {
    fn new(file: &File, fields: Vec<FieldRef<'a>>, first: u32) -> Self {
        let sums = fields.iter().map(Accumulator::new).collect();
        let (origin, budget) = (file.origin(0), Budget::default());
        Self { fields, first, sums, constants: Vec::new(), origin, budget }
    }

    fn place(&self, index: u32) -> usize {
        index.wrapping_sub(self.first) as usize
    }

    fn readings(self) -> impl Iterator<Item = Reading> {
        let mut constants = self.constants.into_iter().peekable();
        self.fields.into_iter().zip(self.sums).map(move |(field, sum)| {
            let constant = constants.next_if(|(index, _)| *index as usize == field.index());
            match constant {
                Some((_, reading)) => reading,
                None if field.damage().is_some() || field.is_retired() => without_value(&field),
                None => sum.reading(),
            }
        })
    }
}

impl Visitor for Combine<'_> {
    fn lane(&mut self, lane: Option<u32>) {
        self.origin.lane = lane;
    }

    fn constant(&mut self, index: u32, raw: RawVerdict<Value<'_>>) {
        if let Some(field) = self.fields.get(self.place(index)) {
            let reading = Decoder::new(field).reading(raw);
            self.constants.push((index, reading));
        }
    }

    fn scalar(&mut self, index: u32, raw: RawVerdict<Scalar>) {
        let place = self.place(index);
        if let Some(sum) = self.sums.get_mut(place) {
            sum.scalar(&mut self.budget, &self.origin, raw);
        }
    }

    fn value(&mut self, index: u32, raw: RawVerdict<Value<'_>>) {
        let place = self.place(index);
        if let Some(sum) = self.sums.get_mut(place) {
            sum.value(&mut self.budget, &self.origin, raw);
        }
    }

    fn rates(&mut self, index: u32, rates: &dyn Fn() -> Option<Vec<WindowRate>>) {
        let place = self.place(index);
        if let (Some(sum), Some(rates)) = (self.sums.get_mut(place), rates()) {
            sum.rates(&self.origin, rates);
        }
    }
}

/// The readings of one lane.
struct LaneValues<'a> {
    file: &'a File,
    readings: Vec<Reading>,
    budget: Budget,
}

impl Visitor for LaneValues<'_> {
    fn value(&mut self, index: u32, raw: RawVerdict<Value<'_>>) {
        let index = index as usize;
        if let (Some(reading), Some(field)) = (self.readings.get_mut(index), self.file.field(index))
        {
            let rows = match &raw {
                RawVerdict::Consistent(Value::Table(table)) => Some(ActivityValue::decode(table).0),
                _ => None,
            };
            *reading = if self.budget.takes(&raw, rows.as_ref()) {
                Decoder::new(&field).reading(raw)
            } else {
                Reading::none(Verdict::Damaged(TOO_LARGE))
            };
        }
    }

    fn rates(&mut self, index: u32, rates: &dyn Fn() -> Option<Vec<WindowRate>>) {
        let value = self.readings.get_mut(index as usize).and_then(|r| r.value.as_mut());
        if let (Some(value), Some(rates)) = (value, rates()) {
            *value = OwnedValue::Rate(rates);
        }
    }
}
