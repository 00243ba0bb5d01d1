//! Sections in progress of a timer.

use mmstats_core::merge::RunningValue;
use mmstats_core::read::{Image, Value, Verdict};
use mmstats_core::{
    FieldId, FieldSpec, Geometry, InProgress, StaticBytes, StaticMemory, Still, Timer, Writer,
};

/// A timer, its sections and another timer, in the first of two lanes.
struct Timed {
    writer: Writer<StaticMemory>,
    sections: InProgress<StaticMemory>,
}

impl Timed {
    fn new() -> Self {
        let memory = Box::leak(Box::new(StaticBytes::<4096>::new())).into_memory();
        let specs = [FieldSpec::timer("t"), FieldSpec::running("t.running"), FieldSpec::timer("u")];
        let mut geometry = Geometry::new(2);
        geometry.add_all(&specs).unwrap();
        let mut writer = Writer::create(memory, &geometry, [7; 16], 0).unwrap();
        writer.add_all(&specs).unwrap();
        writer.go_live();
        let sections = Self::attach(&mut writer);
        Self { writer, sections }
    }

    fn attach(writer: &mut Writer<StaticMemory>) -> InProgress<StaticMemory> {
        let lane = writer.lane().unwrap();
        let (first, third) = (FieldId::from_index(0), FieldId::from_index(2));
        Timer::attach(&lane, first).unwrap();
        assert!(InProgress::attach_after(&lane, third).is_none(), "the next is no such field");
        InProgress::attach_after(&lane, first).unwrap()
    }

    /// Back to a number and a time.
    fn restore(&self, number: usize, since: u64) {
        while self.sections.number() > 0 {
            self.sections.end(0, || 1);
        }
        for _ in 0..number {
            self.sections.begin(since).unwrap();
        }
    }

    /// The number and the microseconds that a reader sees; `None` without a value.
    fn seen(&self) -> Option<(u128, u64)> {
        let source = Still::new(self.writer.region(), true);
        let image = Image::open(&source).unwrap();
        let field = image.fields().nth(1).unwrap().unwrap();
        match image.read(0, &field, &mut [0; 8]) {
            Verdict::Consistent(Value::U64(word)) => {
                let value = RunningValue::from_word(word);
                Some((value.number, value.since.unwrap_or(0) / 1000))
            }
            Verdict::Absent => None,
            other => panic!("{other:?}"),
        }
    }
}

/// All orders of at most `left` begins and ends of what is in progress, with a clock that stands still or
/// goes on by one before each. `is_nested`: the begins were at different times and the ends in the
/// reverse order.
fn all_orders(timed: &Timed, open: &mut Vec<u64>, now: u64, left: u32, is_nested: bool) {
    let (number, since) = timed.seen().unwrap_or((0, 0));
    assert_eq!(number, open.len() as u128);
    let oldest = open.iter().min().copied().unwrap_or(0);
    assert!(since >= oldest, "{since} is no lower bound of the age since {oldest}");
    assert!(since <= now);
    if is_nested {
        assert_eq!(since, oldest, "known while ends are in the reverse order");
    }
    if left == 0 {
        return;
    }
    let steps = (0..open.len()).map(Some).chain([None]);
    for (end, now) in steps.flat_map(|end| [(end, now), (end, now + 1)]) {
        let before = open.clone();
        match end {
            None => open.push(timed.sections.begin(now).unwrap()),
            Some(index) => timed.sections.end(open.remove(index), || now),
        }
        let is_nested = is_nested
            && match end {
                None => !before.contains(&now),
                Some(index) => index + 1 == before.len(),
            };
        all_orders(timed, open, now, left - 1, is_nested);
        *open = before;
        timed.restore(open.len(), since);
    }
}

#[test]
fn since_is_never_before_the_oldest_begin_and_exact_while_nested() {
    let timed = Timed::new();
    assert_eq!(timed.seen(), None, "no value before the first begin");
    all_orders(&timed, &mut Vec::new(), 1, 7, true);
}

#[test]
fn sections_beyond_the_largest_number_are_not_counted() {
    let timed = Timed::new();
    let begun: Vec<u64> = (1..=4095).map(|n| timed.sections.begin(n).unwrap()).collect();
    assert_eq!(timed.sections.begin(9), None);
    assert_eq!(timed.seen(), Some((4095, 1)));
    for begun in begun.into_iter().rev() {
        timed.sections.end(begun, || panic!("the time is not needed"));
    }
    assert_eq!(timed.seen(), Some((0, 0)));
    timed.sections.end(3, || 5);
    assert_eq!(timed.sections.number(), 0, "an end too many");
    assert_eq!(timed.sections.begin(u64::MAX), Some((1 << 52) - 1));
    assert_eq!(timed.seen(), Some((1, (1 << 52) - 1)));
    timed.sections.end(1, || 0);
    assert_eq!(timed.sections.begin(0), Some(1), "0 is no time");
}

#[test]
fn sections_end_with_the_owner_of_the_lane() {
    let mut timed = Timed::new();
    timed.sections.begin(7).unwrap();
    assert_eq!(timed.seen(), Some((1, 7)));
    timed.writer.hand_back(0);
    assert_eq!(timed.seen(), None);
    let next = Timed::attach(&mut timed.writer);
    assert_eq!(timed.seen(), None);
    next.begin(9).unwrap();
    assert_eq!(timed.seen(), Some((1, 9)), "of the new owner alone");
}

#[test]
fn sections_of_lanes_are_added_with_the_earliest_time() {
    let value = |number: u64, since: u64| RunningValue::from_word(number << 52 | since);
    let mut sum = RunningValue::default();
    for lane in [value(0, 3), value(2, 9), value(4095, 5), value(1, 0)] {
        sum.merge(&lane);
    }
    assert_eq!(sum, RunningValue { number: 4098, since: Some(5_000) });
}
