//! The fields of a publisher. Layers of one publisher share them.

use std::sync::{Arc, OnceLock};

use mmstats::recorder_support::{Mutex, Watch};
use mmstats::{
    Activity, ActivityRow, Counter, Error, Events, FamilyKey, FieldOptions, Key, Latency, Registry,
    SharedActivity,
};

use crate::settings::{Settings, TABLES};
use crate::text::{LINE, SPAN};

/// Rows of a thread's stack.
const STACK: u32 = 32;
/// Rows of a table of open spans: the most that a field can have.
const ROWS: u32 = 64;

/// The levels of events, as values of an attribute. The order is that of [`level_number`].
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Number of a level in [`Fields::levels`].
pub(crate) fn level_number(level: tracing_core::Level) -> usize {
    match level {
        tracing_core::Level::ERROR => 0,
        tracing_core::Level::WARN => 1,
        tracing_core::Level::INFO => 2,
        tracing_core::Level::DEBUG => 3,
        _ => 4,
    }
}

/// The fields of one publisher.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) stack: Key<Activity<SPAN>>,
    pub(crate) busy: FamilyKey<Latency, 1>,
    pub(crate) idle: FamilyKey<Latency, 1>,
    pub(crate) events: Key<Events<LINE>>,
    pub(crate) levels: [Key<Counter>; 5],
    pub(crate) untracked: Key<Counter>,
    /// Tables of open spans.
    tables: [OnceLock<SharedActivity<SPAN>>; TABLES],
    /// Number of tables that may be used.
    most: usize,
    growth: Mutex<()>,
}

/// A row of an open span.
#[derive(Debug)]
pub(crate) struct OpenRow {
    fields: Arc<Fields>,
    table: usize,
    row: ActivityRow,
}

/// The fields of each publisher.
static FIELDS: Mutex<Vec<OfPublisher>> = Mutex::new(Vec::new());

struct OfPublisher {
    instance: [u8; 16],
    watch: Watch,
    fields: Arc<Fields>,
}

impl Fields {
    /// The fields of a publisher, added if it has none yet.
    pub(crate) fn of(registry: &Registry, settings: &Settings) -> Result<Arc<Self>, Error> {
        let instance = registry.instance();
        let mut all = FIELDS.lock();
        let ended: Vec<_> = all.extract_if(.., |of| !of.watch.is_live()).collect();
        let known = all.iter().find(|of| of.instance == instance).map(|of| Arc::clone(&of.fields));
        let fields = known.map_or_else(
            || {
                let fields = Arc::new(Self::add(registry, settings)?);
                let (watch, fields_of) = (Watch::new(registry), Arc::clone(&fields));
                all.push(OfPublisher { instance, watch, fields: fields_of });
                Ok(fields)
            },
            Ok,
        );
        drop(all);
        drop(ended); // Outside of the lock: it unmaps files.
        fields
    }

    fn add(registry: &Registry, settings: &Settings) -> Result<Self, Error> {
        let help = "Spans that each thread is in, since when, outermost first.";
        let stack = registry.add("spans", FieldOptions::new().rows(STACK).help(help))?;
        let latency = |label: &str, help: &str| {
            let options = FieldOptions::new().cap(settings.names).error(settings.error).help(help);
            registry.add_family::<Latency, 1>(label, ["span"], options)
        };
        let busy = latency("spans.busy", "Time that a thread was in a span, by spans that ended.")?;
        let idle =
            latency("spans.idle", "Time that no thread was in a span, by spans that ended.")?;
        let help = "Last events, with the innermost span.";
        let options = FieldOptions::new().entries(settings.lines).help(help);
        let events = registry.add("spans.events", options)?;
        let mut levels = Vec::with_capacity(LEVELS.len());
        for level in LEVELS {
            let options = FieldOptions::new().attribute("level", level).help("Events by level.");
            levels.push(registry.add::<Counter>("spans.event_count", options)?);
        }
        let help = "Spans that found no slot: they are neither shown nor timed.";
        let untracked = registry.add("spans.untracked", FieldOptions::new().help(help))?;
        let fields = Self {
            stack,
            busy,
            idle,
            events,
            levels: levels.try_into().unwrap_or_else(|_| unreachable!("one for each of `LEVELS`")),
            untracked,
            tables: Default::default(),
            most: settings.tables,
            growth: Mutex::new(()),
        };
        fields.add_table(registry, 0)?;
        Ok(fields)
    }

    fn add_table(&self, registry: &Registry, number: usize) -> Result<(), Error> {
        let help = "Spans that are open, since when, also those that no thread is in.";
        let mut options = FieldOptions::new().rows(ROWS).help(help);
        if number > 0 {
            options = options.attribute("table", (number + 1).to_string());
        }
        let _ = self.tables[number].set(registry.shared_activity("spans.open", options)?);
        Ok(())
    }

    /// Begins a row of an open span. `None` if all are in use, which is counted. `registry` is asked for
    /// where a further table is added.
    pub(crate) fn begin_row(
        self: &Arc<Self>,
        registry: impl Fn() -> Option<Registry>,
        since: u64,
        text: &str,
    ) -> Option<OpenRow> {
        for number in 0..self.most.clamp(1, TABLES) {
            if self.tables[number].get().is_none() && !self.grow(&registry, number) {
                break;
            }
            let Some(table) = self.tables[number].get() else { break };
            if let Some(row) = table.try_begin_row(since, text) {
                return Some(OpenRow { fields: Arc::clone(self), table: number, row });
            }
        }
        // All rows are in use. The last table counts that.
        self.tables.iter().rev().find_map(OnceLock::get)?.refuse();
        None
    }

    #[cold]
    fn grow(&self, registry: impl Fn() -> Option<Registry>, number: usize) -> bool {
        let Some(registry) = registry() else { return false };
        let _growth = self.growth.lock();
        self.tables[number].get().is_some() || self.add_table(&registry, number).is_ok()
    }
}

impl OpenRow {
    /// Whether the row is one of `fields`.
    pub(crate) fn is_of(&self, fields: &Arc<Fields>) -> bool {
        Arc::ptr_eq(&self.fields, fields)
    }

    /// Replaces the text.
    pub(crate) fn set(&mut self, text: &str) {
        if let Some(table) = self.fields.tables[self.table].get() {
            table.set_row(&mut self.row, text);
        }
    }

    /// Gives the row back.
    pub(crate) fn end(self) {
        if let Some(table) = self.fields.tables[self.table].get() {
            table.end_row(self.row);
        }
    }
}
