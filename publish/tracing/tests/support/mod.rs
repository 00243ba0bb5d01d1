//! What an observer sees of spans and events.
#![allow(dead_code)] // Not every test uses all.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use mmstats::{Lane, Options, Publisher};
use mmstats_observe::{ActivityRow, HistogramValue, Observer, OwnedValue, Sources, totals};
use mmstats_tracing::{Builder, Layer};
use tempfile::TempDir;
use tracing::Dispatch;
use tracing_subscriber::prelude::*;

/// A publisher with a layer.
pub(crate) struct Program {
    pub(crate) place: TempDir,
    pub(crate) publisher: Publisher<Lane>,
    pub(crate) dispatch: Dispatch,
}

/// A program whose layer has these options.
pub(crate) fn program(options: Builder) -> Program {
    let place = tempfile::tempdir().unwrap();
    let publisher = Options::new().directory(place.path()).start::<Lane>().unwrap();
    let layer = options.build(&publisher.registry()).unwrap();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    Program { place, publisher, dispatch }
}

impl Program {
    /// Runs `work` with the layer.
    pub(crate) fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        tracing::dispatcher::with_default(&self.dispatch, work)
    }

    pub(crate) fn seen(&self) -> Seen {
        seen(self.place.path())
    }
}

/// The defaults.
pub(crate) fn defaults() -> Builder {
    Layer::builder()
}

/// What an observer sees.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Name of each thread in a span, with its stack, outermost first.
    pub(crate) stacks: BTreeMap<String, Vec<ActivityRow>>,
    /// Enters that found no row.
    pub(crate) stacks_refused: u64,
    /// Open spans, the oldest first.
    pub(crate) open: Vec<ActivityRow>,
    /// Number of tables of open spans.
    pub(crate) tables: usize,
    /// Open spans that found no row.
    pub(crate) open_refused: u64,
    pub(crate) busy: BTreeMap<String, HistogramValue>,
    pub(crate) idle: BTreeMap<String, HistogramValue>,
    pub(crate) levels: BTreeMap<String, u128>,
    pub(crate) untracked: u128,
    pub(crate) lines: Vec<String>,
}

impl Seen {
    /// The texts of a thread's stack.
    pub(crate) fn stack(&self, thread: &str) -> Vec<&str> {
        texts(self.stacks.get(thread).map_or(&[][..], |rows| rows))
    }

    pub(crate) fn open(&self) -> Vec<&str> {
        texts(&self.open)
    }

    /// Number of ended spans with this name, and mean of a latency in milliseconds.
    pub(crate) fn latency(all: &BTreeMap<String, HistogramValue>, name: &str) -> (u64, f64) {
        all.get(name).map_or((0, 0.0), |histogram| {
            let count = u64::try_from(histogram.count()).unwrap();
            (count, histogram.mean().unwrap_or(0.0) / 1e6)
        })
    }
}

pub(crate) fn texts(rows: &[ActivityRow]) -> Vec<&str> {
    rows.iter().map(|row| &*row.text).collect()
}

/// The age of a row.
pub(crate) fn age(row: &ActivityRow) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now.saturating_sub(Duration::from_nanos(row.since.unwrap()))
}

/// What an observer sees of the programs in a directory.
pub(crate) fn seen(place: &Path) -> Seen {
    seen_of(place, None)
}

/// What an observer sees of the program with this process id.
pub(crate) fn seen_of(place: &Path, pid: Option<u32>) -> Seen {
    let mut observer = Observer::new(Sources::new().path(place));
    observer.refresh();
    let mut seen = Seen::default();
    let files: Vec<_> = observer
        .files()
        .iter()
        .filter(|file| pid.is_none_or(|pid| file.identity().pid == Some(pid)))
        .collect();
    let mut lines = Vec::new();
    for file in &files {
        let place = |label: &str| file.fields().position(|field| field.label() == label);
        for lane in 0..file.lanes().used {
            let values = file.lane_values(lane);
            let thread = match place("sys.thread").and_then(|at| values[at].value.clone()) {
                Some(OwnedValue::Text { text, .. }) => text,
                _ => String::new(),
            };
            for (field, reading) in file.fields().zip(&values) {
                let Some(OwnedValue::Activity(value)) = &reading.value else { continue };
                assert_eq!(value.damaged, 0, "{value:?}");
                if field.label() == "spans" {
                    seen.stacks_refused += value.refused.unwrap();
                    if !value.rows.is_empty() {
                        seen.stacks.entry(thread.clone()).or_default().extend(value.rows.clone());
                    }
                } else if field.label() == "spans.open" {
                    seen.open.extend(value.rows.clone());
                    seen.open_refused += value.refused.unwrap();
                }
            }
            for at in 0..file.field_count() {
                let label = file.field(at).unwrap().label().to_owned();
                if label == "spans.events" {
                    for event in file.events(at, lane, 0).unwrap_or_default() {
                        lines.push((event.time, event.line.unwrap().text));
                    }
                }
            }
        }
        seen.tables += file.fields().filter(|field| field.label() == "spans.open").count();
    }
    seen.open.sort_by_key(|row| row.since);
    lines.sort();
    seen.lines = lines.into_iter().map(|(_, line)| line).collect();
    for total in totals(files.iter().copied()) {
        let attribute = total.field.attributes.split_once('=').map(|(_, value)| value.to_owned());
        let attribute = attribute.unwrap_or_default();
        match (&*total.field.label, total.reading.value) {
            ("spans.busy", Some(OwnedValue::Histogram(value))) => {
                let key = if total.field.attributes.starts_with("overflow") {
                    "(overflow)".to_owned()
                } else {
                    attribute
                };
                seen.busy.insert(key, *value);
            }
            ("spans.idle", Some(OwnedValue::Histogram(value))) => {
                seen.idle.insert(attribute, *value);
            }
            ("spans.event_count", Some(OwnedValue::Unsigned(value))) => {
                seen.levels.insert(attribute, value);
            }
            ("spans.untracked", Some(OwnedValue::Unsigned(value))) => seen.untracked = value,
            _ => {}
        }
    }
    seen
}

/// Looks until it sees what it waits for.
pub(crate) fn wait(place: &Path, mut is_there: impl FnMut(&Seen) -> bool) -> Seen {
    for _ in 0..600 {
        let seen = seen(place);
        if is_there(&seen) {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("never seen: {:?}", seen(place));
}
