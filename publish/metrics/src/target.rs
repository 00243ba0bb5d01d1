//! The publisher of a recorder, which changes when the program forks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use metrics::{Key, Level};
use mmstats::recorder_support::{self, Inside, Mutex};
use mmstats::{Counter, FieldOptions, Kind, Registry};

use crate::fields::{Fields, Found, MetricField, Settings};
use crate::naming::Description;
use crate::objects::Objects;

/// A recorder and its metrics share this.
pub(crate) struct Shared {
    pub(crate) id: u64,
    target: Mutex<Target>,
    /// Losses that have not been published yet.
    losses: [AtomicU64; LOSSES.len()],
    is_publishing: AtomicBool,
    /// Objects of threads that are ending, which have no cache.
    objects: Mutex<Objects>,
}

/// Reasons why something is not counted, each with a field.
const LOSSES: [(&str, &str); 3] = [
    (
        "metrics.refused",
        "Metrics that could not be given a field; beyond 100,000 names each use counts.",
    ),
    ("metrics.lost", "Updates that were not counted: from within the library, or without room."),
    (
        "metrics.late_descriptions_refused",
        "Descriptions that came after the first use and differed, or had no room.",
    ),
];

/// A reason of [`LOSSES`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    Metric,
    Update,
    Description,
}

struct Target {
    settings: Settings,
    registry: Registry,
    fields: Arc<Mutex<Fields>>,
    losses: [Option<mmstats::Key<Counter>>; LOSSES.len()],
}

impl Target {
    fn new(settings: Settings, registry: Registry) -> Self {
        recorder_support::record(&registry);
        let fields = fields_of(&registry);
        Self { settings, registry, fields, losses: [None; LOSSES.len()] }
    }
}

/// The publisher of a recorder at one moment.
pub(crate) struct Current {
    pub(crate) registry: Registry,
    fields: Arc<Mutex<Fields>>,
    settings: Settings,
    /// The recorder had no other publisher in this epoch.
    pub(crate) epoch: u32,
}

/// The next [`Shared::id`].
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The fields of each publisher, by its identity.
static FIELDS: Mutex<Vec<(Instance, Weak<Mutex<Fields>>)>> = Mutex::new(Vec::new());

type Instance = [u8; 16];

/// Changes when the program forks, when it begins to publish, and when a recorder gets another
/// publisher, or its own is closed: handles of an earlier epoch may belong to the parent process.
#[inline]
pub(crate) fn epoch() -> u32 {
    recorder_support::epoch()
}

fn fields_of(registry: &Registry) -> Arc<Mutex<Fields>> {
    let mut all = FIELDS.lock();
    all.retain(|(_, fields)| fields.strong_count() > 0);
    let instance = registry.instance();
    let known = all.iter().find(|(known, _)| *known == instance);
    if let Some(fields) = known.and_then(|(_, fields)| fields.upgrade()) {
        return fields;
    }
    let fields = Arc::default();
    all.push((instance, Arc::downgrade(&fields)));
    fields
}

impl Shared {
    pub(crate) fn new(registry: &Registry) -> Arc<Self> {
        let settings = Settings {
            cap: 1_000,
            counters: Arc::new(|_, options| options),
            gauges: Arc::new(|_, options| options),
            histograms: Arc::new(|_, options| options),
        };
        let target = Target::new(settings, registry.clone());
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            id,
            target: Mutex::new(target),
            losses: Default::default(),
            is_publishing: AtomicBool::new(false),
            objects: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, set: impl FnOnce(&mut Settings)) {
        set(&mut self.target.lock().settings);
    }

    /// Whether the publisher publishes: it is not that of the parent process, and not closed.
    pub(crate) fn is_live(&self) -> bool {
        recorder_support::is_live(&self.target.lock().registry)
    }

    /// Takes the publisher and the settings of `other`.
    pub(crate) fn replace_by(&self, other: &Self) {
        let (settings, registry) = {
            let other = other.target.lock();
            (other.settings.clone(), other.registry.clone())
        };
        let replaced = self.follow(&mut self.target.lock(), settings, registry);
        drop(replaced);
    }

    /// Takes another publisher, in a new epoch. Returns the earlier one, to be dropped outside of the lock.
    fn follow(&self, target: &mut Target, settings: Settings, registry: Registry) -> Target {
        let new = Target::new(settings, registry);
        let is_same = Arc::ptr_eq(&new.fields, &target.fields);
        if !is_same {
            let descriptions = target.fields.lock().descriptions().clone();
            new.fields.lock().inherit(descriptions);
        }
        if target.registry.is_forked() {
            // The parent process publishes these. Another thread of it may have begun to.
            self.losses.iter().for_each(|loss| loss.store(0, Ordering::Relaxed));
            self.is_publishing.store(false, Ordering::Release);
        }
        let replaced = std::mem::replace(target, new);
        recorder_support::change_epoch();
        replaced
    }

    pub(crate) fn describe(&self, kind: Kind, name: &str, description: Description) {
        if Inside::is_entered() {
            return self.lose(Loss::Description, 1);
        }
        let fields = self.current().fields;
        let is_taken = fields.lock().describe(kind, name, description);
        if !is_taken {
            self.lose(Loss::Description, 1);
            self.publish_losses();
        }
    }

    /// The publisher and its fields: that of the program, where the recorder's own has ended or
    /// belongs to the parent process.
    fn current(&self) -> Current {
        loop {
            let (current, is_live) = {
                let target = self.target.lock();
                // Before the publisher is asked: one that ends later changes the epoch.
                let epoch = epoch();
                let is_live = recorder_support::is_live(&target.registry);
                let Target { settings, registry, fields, .. } = &*target;
                let (settings, registry) = (settings.clone(), registry.clone());
                (Current { registry, fields: Arc::clone(fields), settings, epoch }, is_live)
            };
            if is_live {
                return current;
            }
            let Some(registry) = mmstats::global().filter(recorder_support::is_live) else {
                return current;
            };
            let replaced = {
                let mut target = self.target.lock();
                // Another thread may have done this meanwhile.
                let is_same = target.registry.instance() == current.registry.instance();
                is_same.then(|| self.follow(&mut target, current.settings, registry))
            };
            drop(replaced);
        }
    }

    /// The field of a metric, and its publisher. `None` if it has none, and for a call from within
    /// the library.
    pub(crate) fn find<F: MetricField>(
        &self,
        key: &Key,
        level: &Level,
    ) -> Option<(Current, Found<F>)> {
        let (current, result) = {
            let _inside = Inside::enter_first()?;
            let current = self.current();
            let Current { registry, fields, settings, .. } = &current;
            let result = fields.lock().find::<F>(key, level, settings, registry);
            (current, result)
        };
        match result {
            Ok(found) => Some((current, found)),
            Err(refused) => {
                if refused.counts {
                    self.lose(Loss::Metric, 1);
                    self.publish_losses();
                }
                None
            }
        }
    }

    /// The largest value that a counter was given by `absolute`. `None` if there are too many, and
    /// for a call from within the library.
    pub(crate) fn largest(&self, key: &Key, level: &Level) -> Option<Arc<AtomicU64>> {
        let (current, _) = self.find::<mmstats::Key<Counter>>(key, level)?;
        let _inside = Inside::enter_first()?;
        current.fields.lock().largest(key)
    }

    /// Calls `work` with the objects that ending threads share.
    pub(crate) fn with_objects<R>(&self, work: impl FnOnce(&mut Objects) -> R) -> R {
        work(&mut self.objects.lock())
    }

    /// Counts losses.
    pub(crate) fn lose(&self, loss: Loss, n: u64) {
        self.losses[loss as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// Publishes the losses in fields that are added after the first one.
    pub(crate) fn publish_losses(&self) {
        // It allocates: the program's allocator may come here again.
        if self.is_publishing.swap(true, Ordering::Acquire) {
            return;
        }
        self.publish_each_loss();
        self.is_publishing.store(false, Ordering::Release);
    }

    fn publish_each_loss(&self) {
        for (index, (label, help)) in LOSSES.iter().enumerate() {
            let count = &self.losses[index];
            if count.load(Ordering::Relaxed) == 0 || Inside::is_entered() {
                continue;
            }
            let (registry, key) = {
                let mut target = self.target.lock();
                let add = || {
                    let options = FieldOptions::new().help(*help);
                    // Without room for this field the publisher counts the refusals.
                    target.registry.add::<Counter>(*label, options).ok()
                };
                let key = target.losses[index].or_else(add);
                target.losses[index] = key;
                (target.registry.clone(), key)
            };
            let Some(key) = key else { continue };
            let _ = registry.with(|lane| {
                lane.attach(key).map(|lost| lost.add(count.swap(0, Ordering::Relaxed)))
            });
        }
    }
}
