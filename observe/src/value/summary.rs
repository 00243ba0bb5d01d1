//! States, events, and rates over windows of time: KINDS.md sections 3, 5 and 6.

use std::sync::Arc;

use crate::problem::Damage;

/// The state of a state set, or how many lanes are in each state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateValue {
    /// Names of the states, by number.
    pub names: Arc<[String]>,
    /// Number of lanes in each state.
    pub counts: Vec<u64>,
}

impl StateValue {
    /// No lane in any of these states.
    pub(crate) fn new(names: &Arc<[String]>) -> Self {
        Self { names: Arc::clone(names), counts: vec![0; names.len()] }
    }

    /// Counts a lane in state `number`.
    pub(crate) fn count(&mut self, number: u64) {
        // The format reader refuses numbers without a name.
        if let Some(count) = usize::try_from(number).ok().and_then(|n| self.counts.get_mut(n)) {
            *count += 1;
        }
    }

    /// The name of the state, if all lanes that have one are in the same.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        let mut all = self.iter();
        all.next().filter(|_| all.next().is_none()).map(|(name, _)| name)
    }

    /// The states that at least one lane is in, each with the number of lanes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.names.iter().map(String::as_str).zip(self.counts.iter().copied());
        all.filter(|(_, count)| *count != 0)
    }
}

/// One line of an events field, in one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Number of the line in its ring, from 1, modulo 2^32.
    pub number: u32,
    /// Time of the event, in nanoseconds since 1970-01-01 UTC.
    pub time: u64,
    /// The recorded text, or the rule that it breaks.
    pub line: Result<EventLine, Damage>,
}

/// The text of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventLine {
    /// The text; may hold control characters, so escape it.
    pub text: String,
    /// Whether the writer cut the text to fit.
    pub cut: bool,
}

/// The rate of a counter over one window.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct WindowRate {
    /// Length of the window, in seconds.
    pub window: u32,
    /// Increments per second; `None` if no lane has a rate.
    pub rate: Option<f64>,
}

impl WindowRate {
    /// The rate over a window of so many seconds.
    #[must_use]
    pub const fn new(window: u32, rate: Option<f64>) -> Self {
        Self { window, rate }
    }

    /// Adds rates of equal windows; a window without a rate adds nothing.
    pub(crate) fn merge(sum: &mut Vec<Self>, more: &[Self]) {
        for Self { window, rate } in more {
            match sum.iter_mut().find(|entry| entry.window == *window) {
                Some(entry) => {
                    let both = entry.rate.zip(*rate).map(|(a, b)| a + b);
                    entry.rate = both.or(entry.rate).or(*rate);
                }
                None => sum.push(Self { window: *window, rate: *rate }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_rates_of_equal_windows_are_added() {
        let rates = |all: &[(u32, Option<f64>)]| -> Vec<WindowRate> {
            all.iter().map(|&(window, rate)| WindowRate { window, rate }).collect()
        };
        let mut sum = Vec::new();
        WindowRate::merge(&mut sum, &rates(&[(60, Some(1.5)), (300, None), (900, None)]));
        WindowRate::merge(&mut sum, &rates(&[(300, Some(2.0)), (60, Some(0.5)), (10, Some(7.0))]));
        WindowRate::merge(&mut sum, &rates(&[(60, None)]));
        let wanted = [(60, Some(2.0)), (300, Some(2.0)), (900, None), (10, Some(7.0))];
        assert_eq!(sum, rates(&wanted));
    }
}
