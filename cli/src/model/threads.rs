//! The threads of a program: the lanes of one thread in several parts are one thread.

use std::collections::{BTreeMap, HashMap};

use mmstats_observe::OwnedValue;

use super::row::Row;

/// A thread, by its own word.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Thread {
    /// `sys.tid`.
    pub(crate) id: Option<u64>,
    /// `sys.thread`.
    pub(crate) name: Option<String>,
}

/// The thread of each lane, by part and lane.
#[derive(Debug, Default)]
pub(crate) struct Threads(HashMap<(u32, u32), Thread>);

impl Threads {
    /// The threads that the rows of a program name.
    pub(crate) fn new(rows: &[Row]) -> Self {
        let mut threads: HashMap<(u32, u32), Thread> = HashMap::new();
        for row in rows {
            let Some(lane) = row.lane else { continue };
            match (&*row.field.label, &row.value) {
                ("sys.tid", Some(OwnedValue::Unsigned(id))) => {
                    threads.entry(lane).or_default().id = u64::try_from(*id).ok();
                }
                ("sys.thread", Some(OwnedValue::Text { text, .. })) if !text.is_empty() => {
                    threads.entry(lane).or_default().name = Some(text.clone());
                }
                _ => {}
            }
        }
        Self(threads)
    }

    /// The thread of a lane, given by part and lane.
    pub(crate) fn get(&self, lane: (u32, u32)) -> Option<&Thread> {
        self.0.get(&lane)
    }

    /// Each thread with its lanes.
    pub(crate) fn lanes(&self) -> BTreeMap<&Thread, Vec<(u32, u32)>> {
        let mut all: BTreeMap<&Thread, Vec<(u32, u32)>> = BTreeMap::new();
        self.0.iter().for_each(|(lane, thread)| all.entry(thread).or_default().push(*lane));
        all.values_mut().for_each(|lanes| lanes.sort_unstable());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_of_several_parts_are_one_thread() {
        let row = |label: &str, lane, value| Row {
            lane: Some(lane),
            ..Row::for_test(label, "", Some(value))
        };
        let name = |text: &str| OwnedValue::Text { text: text.to_owned(), cut: false };
        let rows = [
            row("sys.tid", (0, 2), OwnedValue::Unsigned(17)),
            row("sys.thread", (0, 2), name("worker")),
            row("sys.tid", (1, 4), OwnedValue::Unsigned(17)),
            row("sys.thread", (1, 4), name("worker")),
            row("sys.tid", (0, 0), OwnedValue::Unsigned(9)),
            row("hits", (0, 1), OwnedValue::Unsigned(1)),
        ];
        let threads = Threads::new(&rows);
        let worker = Thread { id: Some(17), name: Some("worker".to_owned()) };
        assert_eq!(threads.get((1, 4)), Some(&worker));
        assert_eq!(threads.get((0, 1)), None);
        assert_eq!(threads.lanes()[&worker], [(0, 2), (1, 4)]);
        assert_eq!(threads.lanes().len(), 2);
    }
}
