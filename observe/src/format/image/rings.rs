//! Reads the rings of events and of checkpoints, from which rates are computed: KINDS.md
//! sections 5 and 6.

use std::time::{SystemTime, UNIX_EPOCH};

use mmstats_core::Kind;
use mmstats_core::protocol::ATTEMPTS;
use mmstats_core::read::{Field, Scalar, Slot, Value, Verdict};

use super::mapped::Image;
use crate::identity::FileState;
use crate::problem::Damage;
use crate::value::{Event, EventLine, WindowRate};

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// The readable lines after number `seen`, oldest first, at most 64 MiB of the newest; `None` if `index` is no events field
/// of the lane.
pub(super) fn events(image: &Image, index: u32, lane: u32, seen: u32) -> Option<Vec<Event>> {
    let field = image.good(index).filter(|field| field.kind() == Some(Kind::Events))?;
    current(image, field, || events_of(image, field, lane, seen))
}

/// The result of `read` for a field, in bounded time; `None` if its room belongs to another field.
fn current<T>(image: &Image, field: &Field, read: impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..ATTEMPTS {
        let begun = image.begin(field)?;
        let value = read();
        if !image.is_stale(begun) {
            return value;
        }
        std::hint::spin_loop();
    }
    None
}

fn events_of(image: &Image, field: &Field, lane: u32, seen: u32) -> Option<Vec<Event>> {
    let region = &image.region();
    let lane = image.claimed(lane).consistent()?;
    if !lane.has(region, field) {
        return None;
    }
    let newest = lane.newest(region, field);
    let most = field.slots().saturating_sub(1).min(newest);
    // A number above `newest` belongs to another ring; the wrapped difference exceeds `most`.
    let count = most.min(newest.wrapping_sub(seen));
    let mut slot = vec![0; field.slot_size() as usize];
    let mut left = MAX_LINES;
    let mut events: Vec<Event> = Vec::new();
    for number in (0..count).map(|back| newest.wrapping_sub(back)) {
        let read = lane.read_number(region, field, number, &mut slot);
        let Some(slot) = read.consistent() else { continue };
        let time = slot.bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let Some(line) = line(field, &slot) else { continue };
        let size = line.as_ref().map_or(0, |line| line.text.len()) + size_of::<Event>();
        // The lines before are as good as overwritten.
        let Some(rest) = left.checked_sub(size) else { break };
        left = rest;
        events.push(Event { number, time, line });
    }
    events.reverse();
    Some(events)
}

/// Maximum memory for the lines of one ring, in bytes: 65,535 lines in the hole of a sparse file take
/// 64 GiB.
const MAX_LINES: usize = 64 << 20;

fn line(field: &Field, slot: &Slot<'_>) -> Option<Result<EventLine, Damage>> {
    match slot.value(field) {
        Verdict::Consistent(Value::Text { text, cut }) => {
            Some(Ok(EventLine { text: text.to_owned(), cut }))
        }
        Verdict::Damaged(error) => Some(Err(Damage::from(error))),
        _ => None,
    }
}

/// The rates of a rate field in one lane: up to now while the program lives, else up to the
/// last checkpoint. `None` if `index` is no rate field.
pub(super) fn rates(image: &Image, index: u32, lane: u32) -> Option<Vec<WindowRate>> {
    let mut rates = windows(image, index)?;
    // The counter is the field before the rate.
    let (field, counter) = (image.good(index)?, image.good(index.checked_sub(1)?)?);
    let history = current(image, field, || History::read(image, field, counter, lane));
    if let Some(history) = history {
        let end = history.end((image.state == FileState::Live).then(now));
        for WindowRate { window, rate } in &mut rates {
            *rate = history.rate(end, *window);
        }
    }
    Some(rates)
}

/// The windows of a rate field, without rates; `None` if `index` is no rate field.
pub(super) fn windows(image: &Image, index: u32) -> Option<Vec<WindowRate>> {
    let field = image.good(index).filter(|field| field.kind() == Some(Kind::Rate))?;
    let windows = image.metadata.heap.string(field.detail()).split('\0');
    let mut rates: Vec<WindowRate> = Vec::new();
    for window in windows.filter_map(|item| item.parse().ok()) {
        // Equal windows are one: in a sum each counts once.
        if !rates.iter().any(|rate| rate.window == window) {
            rates.push(WindowRate { window, rate: None });
        }
    }
    Some(rates)
}

/// Nanoseconds since 1970, and the counter at that time.
type Checkpoint = (u64, u64);

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The checkpoints of one lane, and its counter.
struct History {
    /// Oldest first, with ascending times; not empty.
    checkpoints: Vec<Checkpoint>,
    newest: Checkpoint,
    counter: u64,
    /// Time between two checkpoints, in nanoseconds.
    interval: u64,
}

impl History {
    fn read(image: &Image, field: &Field, counter: &Field, lane: u32) -> Option<Self> {
        let region = &image.region();
        let lane = image.claimed(lane).consistent()?;
        if !lane.has(region, field) || !lane.has(region, counter) {
            return None;
        }
        let newest = lane.newest(region, field);
        let mut slot = vec![0; field.slot_size() as usize];
        let mut checkpoints: Vec<Checkpoint> = Vec::new();
        for back in 0..field.slots().saturating_sub(1).min(newest) {
            let read = lane.read_number(region, field, newest.wrapping_sub(back), &mut slot);
            let Some(slot) = read.consistent() else { break };
            let Some(Value::Array(array)) = slot.value(field).consistent() else { break };
            let (Some(Scalar::U64(time)), Some(Scalar::U64(total))) = (array.get(0), array.get(1))
            else {
                break;
            };
            // The clock was set back: earlier checkpoints have times of another clock.
            if checkpoints.last().is_some_and(|(after, _)| time > *after) {
                break;
            }
            checkpoints.push((time, total));
        }
        checkpoints.reverse();
        // Read after the checkpoints: `newest` and `read_number` end with a fence.
        let mut buffer = vec![0; counter.buffer_size()];
        let Some(Value::U64(counter)) = lane.read(region, counter, &mut buffer).consistent() else {
            return None;
        };
        let interval = u64::from(field.properties().param()) * 1_000_000;
        Some(Self { newest: *checkpoints.last()?, checkpoints, counter, interval })
    }

    /// End of all windows: now, or the last checkpoint.
    fn end(&self, now: Option<u64>) -> Checkpoint {
        now.map_or(self.newest, |now| (now.max(self.newest.0), self.counter))
    }

    #[allow(clippy::cast_precision_loss)] // a rate is a float
    fn rate(&self, (time, counter): Checkpoint, window: u32) -> Option<f64> {
        let begin = time.checked_sub(u64::from(window) * SECOND);
        let after = begin.map_or(0, |begin| self.checkpoints.partition_point(|c| c.0 <= begin));
        let start = match (begin, after.checked_sub(1).and_then(|k| self.checkpoints.get(k))) {
            // The counter did not change from the end of this interval to the next checkpoint.
            (Some(begin), Some(k)) if k.0.saturating_add(self.interval) <= begin => {
                (begin, self.checkpoints.get(after).map_or(counter, |next| next.1))
            }
            (_, Some(k)) => *k,
            (_, None) => *self.checkpoints.first()?,
        };
        let (gain, span) = (counter.wrapping_sub(start.1), time.checked_sub(start.0)?);
        (span > 0).then(|| gain as f64 / span as f64 * SECOND as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(seconds: &[(u64, u64)], counter: u64) -> History {
        let checkpoints: Vec<_> = seconds.iter().map(|(s, n)| (s * SECOND, *n)).collect();
        let newest = *checkpoints.last().unwrap();
        History { checkpoints, newest, counter, interval: SECOND }
    }

    #[test]
    fn rate_window_begins_at_checkpoint() {
        let all: Vec<_> = (0..=100).map(|s| (s, s * 7)).collect();
        let history = history(&all, 703);
        let end = history.end(Some(100 * SECOND + SECOND / 2));
        // Begins at 90, so it is 10.5 s long and 73 came.
        let near = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-9, "{a:?} {b}");
        near(history.rate(end, 10), 73.0 / 10.5);
        // Longer than the history: all of it.
        near(history.rate(end, 1000), 703.0 / 100.5);
        // Dead: to the last checkpoint.
        near(history.rate(history.end(None), 10), 7.0);
        // The reader's clock is behind.
        assert_eq!(history.end(Some(5)), (100 * SECOND, 703));
    }

    #[test]
    fn rate_window_is_exact_where_counter_was_idle() {
        // Nothing from 11 to 50, and nothing since 52.
        let history = history(&[(10, 0), (50, 40), (51, 60)], 90);
        let at = |seconds: u64| history.end(Some(seconds * SECOND));
        // From 30 on: the counter of the checkpoint at 50.
        assert!((history.rate(at(60), 30).unwrap() - 50.0 / 30.0).abs() < 1e-9);
        assert_eq!(history.rate(at(100), 10), Some(0.0));
        // From 51 on, which is a checkpoint.
        assert!((history.rate(at(60), 9).unwrap() - 30.0 / 9.0).abs() < 1e-9);
    }

    #[test]
    fn rate_without_elapsed_time_is_none() {
        let history = history(&[(10, 0)], 3);
        assert_eq!(history.rate(history.end(None), 60), None);
    }
}
