//! A layer's slots, and the publisher that it uses at present, which changes when the program forks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mmstats::recorder_support::{self, Inside, Mutex};
use mmstats::{Error, Registry};

use crate::clock::Clock;
use crate::fields::{Fields, OpenRow};
use crate::settings::Settings;
use crate::slots::{Slot, Slots};

/// The state of a layer.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: u64,
    pub(crate) clock: Clock,
    pub(crate) slots: Slots,
    /// Number of exits by threads that had not entered.
    pub(crate) strays: AtomicU64,
    settings: Settings,
    target: Mutex<Option<Target>>,
}

/// A publisher and its fields.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) registry: Registry,
    pub(crate) fields: Arc<Fields>,
}

/// The next [`Shared::id`].
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Changes when the program forks, when it begins to publish, and when a publisher of a layer is
/// closed.
#[inline]
pub(crate) fn epoch() -> u32 {
    recorder_support::epoch()
}

impl Target {
    fn new(registry: Registry, settings: &Settings) -> Result<Self, Error> {
        recorder_support::record(&registry);
        let fields = Fields::of(&registry, settings)?;
        Ok(Self { registry, fields })
    }
}

impl Shared {
    /// The state of a layer for `registry`, or for the publisher of the program.
    pub(crate) fn new(settings: Settings, registry: Option<Registry>) -> Result<Arc<Self>, Error> {
        let target = registry.map(|registry| Target::new(registry, &settings)).transpose()?;
        Ok(Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            clock: Clock::new(),
            slots: Slots::new(settings.slots),
            strays: AtomicU64::new(0),
            settings,
            target: Mutex::new(target),
        }))
    }

    /// Events of this level and more important ones are kept as lines.
    pub(crate) fn lines_from(&self) -> tracing_core::LevelFilter {
        self.settings.events
    }

    /// The publisher: that of the program, where the layer's own has ended, belongs to the parent
    /// process, or there was none. `None` if there is none, and for a call from within the library.
    pub(crate) fn target(&self) -> Option<Target> {
        drop(Inside::enter_first()?);
        let current = self.target.lock().clone();
        let is_live = |target: &Target| recorder_support::is_live(&target.registry);
        if let Some(current) = current.as_ref().filter(|target| is_live(target)) {
            return Some(current.clone());
        }
        let registry = mmstats::global().filter(recorder_support::is_live)?;
        let new = Target::new(registry, &self.settings).ok()?;
        let is_fork = current.is_some_and(|old| old.registry.is_forked());
        let replaced = self.target.lock().replace(new.clone());
        let is_first = !replaced.is_some_and(|old| Arc::ptr_eq(&old.fields, &new.fields));
        // In a forked child these spans are those of threads that it does not have.
        if is_first && !is_fork {
            self.slots.iter().for_each(|slot| self.show(slot, &new.fields));
        }
        Some(new)
    }

    /// The publisher of these fields, if the layer still uses it.
    pub(crate) fn registry_of(&self, fields: &Arc<Fields>) -> Option<Registry> {
        let target = self.target.lock();
        let target = target.as_ref().filter(|target| Arc::ptr_eq(&target.fields, fields))?;
        Some(target.registry.clone())
    }

    /// Begins a row of a span that was opened at `created` by the layer's clock.
    pub(crate) fn begin_row(
        &self,
        fields: &Arc<Fields>,
        created: u64,
        text: &str,
    ) -> Option<OpenRow> {
        let since = self.clock.time_of_day(created);
        fields.begin_row(|| self.registry_of(fields), since, text)
    }

    /// Gives an open span a row among `fields`, if it has none there.
    pub(crate) fn show(&self, slot: &Slot, fields: &Arc<Fields>) {
        let mut open = slot.open.lock();
        // Without a name it is free, or closed meanwhile.
        if open.name.is_empty() || open.row.as_ref().is_some_and(|row| row.is_of(fields)) {
            return;
        }
        if let Some(row) = open.row.take() {
            row.end();
        }
        let created = slot.created.load(Ordering::Relaxed);
        open.row = self.begin_row(fields, created, open.text.as_str());
    }
}
