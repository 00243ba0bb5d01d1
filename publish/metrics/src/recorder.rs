//! The recorder: which field a metric is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Key, KeyName, Metadata, SetRecorderError, SharedString, Unit};
use mmstats::recorder_support::{Guard, Mutex};
use mmstats::{Counter, Error, Field, FieldOptions, Histogram, Kind, Registry, SharedGauge};

use crate::naming::{Description, Name};
use crate::series::{Common, Kept, Place, Series};
use crate::threads;

/// Publishes metrics as fields of a publisher.
///
/// ```
/// use mmstats::{Kind, Lane, Options};
/// use mmstats_metrics::Recorder;
///
/// # let dir = std::env::temp_dir().join(format!("mmstats-metrics-{}", std::process::id()));
/// let publisher = Options::new().directory(&dir).start::<Lane>()?;
/// let recorder = Recorder::new(&publisher.registry())
///     .cap(100)
///     .fields(|kind, name, options| match (kind, name) {
///         (Kind::Histogram, "body.size") => options.range(1.0, 1e9).error(0.1),
///         _ => options,
///     });
/// metrics::with_local_recorder(&recorder, || {
///     metrics::histogram!("body.size").record(1024.0);
/// });
/// # drop((recorder, publisher)); let _ = std::fs::remove_dir(dir);
/// # Ok::<(), mmstats::Error>(())
/// ```
pub struct Recorder {
    id: u64,
    /// What threads remember does not keep it.
    registry: Arc<Registry>,
    cap: usize,
    fields: Box<Say>,
    /// No thread holds it while another one forks. Boxed so that the error of `install`, which gives
    /// the recorder back, stays small.
    state: Box<Mutex<State>>,
}

/// What the program says of a field: kind, name of the metric, and what is known of it.
type Say = dyn Fn(Kind, &str, FieldOptions) -> FieldOptions + Send + Sync;

#[derive(Default)]
struct State {
    described: HashMap<(Kind, String), Description>,
    /// How many fields each name has.
    names: HashMap<(Kind, String), usize>,
    counters: Known<Arc<Place<Counter>>>,
    gauges: Known<SharedGauge<f64>>,
    histograms: Known<Arc<Place<Histogram<f64>>>>,
    refused: Option<mmstats::Key<Counter>>,
}

/// The fields of one kind. What got none is known too.
type Known<V> = HashMap<Name, Option<V>>;

/// A field, and whether a thread may remember it.
struct Found<V> {
    value: Option<V>,
    remember: bool,
}

/// Tells recorders apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Names of each kind at most: names that are made of data must not fill the memory.
const NAMES: usize = 10_000;

impl Recorder {
    /// A recorder that publishes through `registry`.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            registry: Arc::new(registry.clone()),
            cap: 1_000,
            fields: Box::new(|_, _, options| options),
            state: Box::default(),
        }
    }

    /// How many combinations of labels a metric has at most; what is beyond goes to one more
    /// field, with the attribute `overflow="true"` alone. Default: 1,000.
    #[must_use]
    pub fn cap(mut self, combinations: usize) -> Self {
        self.cap = combinations;
        self
    }

    /// Has `say` change what is said of each field before it is made: the range and error of a
    /// histogram, a level, a unit, a help text. It gets the kind, the name of the metric, and
    /// what is known from the metric's description.
    #[must_use]
    pub fn fields(
        mut self,
        say: impl Fn(Kind, &str, FieldOptions) -> FieldOptions + Send + Sync + 'static,
    ) -> Self {
        self.fields = Box::new(say);
        self
    }

    /// Makes this the recorder of the program.
    ///
    /// # Errors
    ///
    /// If there is one already.
    pub fn install(self) -> Result<(), SetRecorderError<Self>> {
        metrics::set_global_recorder(self)
    }

    fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    fn describe(&self, kind: Kind, name: &KeyName, unit: Option<Unit>, help: &str) {
        let name = (kind, name.as_str().to_owned());
        let mut state = self.lock();
        if state.described.len() < NAMES || state.described.contains_key(&name) {
            state.described.insert(name, Description::new(unit, help));
        }
    }

    /// The field of a metric; it is made if there is none and there may be more.
    fn find<V: Clone>(
        &self,
        (kind, suffix): (Kind, &str),
        key: &Key,
        metadata: &Metadata<'_>,
        known: impl Fn(&mut State) -> &mut Known<V>,
        add: impl Fn(String, FieldOptions, usize) -> Result<V, Error>,
    ) -> Found<V> {
        let name = Name::of(key);
        let mut state = self.lock();
        if let Some(value) = known(&mut state).get(&name) {
            return Found { value: value.clone(), remember: true };
        }
        let family = (kind, name.label.clone());
        let count = state.names.get(&family).copied();
        let (name, remember) = match count {
            None if state.names.len() >= NAMES => {
                self.refuse(&mut state);
                return Found { value: None, remember: false };
            }
            count if count.unwrap_or(0) >= self.cap => (Name::overflow(&name.label), false),
            _ => (name, true),
        };
        // The overflow field, if this is not its first use.
        if let Some(value) = known(&mut state).get(&name) {
            return Found { value: value.clone(), remember };
        }
        let described = state.described.get(&(kind, key.name().to_owned()));
        let options = described.cloned().unwrap_or_default().options(metadata.level());
        let options = match kind {
            Kind::Histogram => options.range(1e-6, 1e9),
            _ => options,
        };
        let options = name.options((self.fields)(kind, key.name(), options));
        let index = known(&mut state).len();
        let added = add(name.label.clone(), options.clone(), index).or_else(|error| match error {
            // A metric of another kind, or a field of the program's own, has the name.
            Error::Duplicate { .. } => add(name.with_suffix(suffix).label, options, index),
            error => Err(error),
        });
        let value = added.ok();
        if value.is_none() {
            self.refuse(&mut state);
        }
        *state.names.entry(family).or_default() += 1;
        known(&mut state).insert(name, value.clone());
        Found { value, remember }
    }

    /// Counts a metric that has no field, in a field of its own.
    fn refuse(&self, state: &mut State) {
        let help = "Metrics that could not be given a field.";
        let options = || FieldOptions::new().help(help);
        let key = match state.refused {
            Some(key) => key,
            None => match self.registry.add::<Counter>("metrics.refused", options()) {
                Ok(key) => key,
                // Where no field has room, the publisher counts this one.
                Err(_) => return,
            },
        };
        state.refused = Some(key);
        let _ = self.registry.with(|lane| lane.attach(key).map(|refused| refused.incr()));
    }

    fn place<H: Field>(
        &self,
        label: String,
        options: FieldOptions,
        index: usize,
    ) -> Result<Arc<Place<H>>, Error> {
        let key = self.registry.add::<H>(label, options)?;
        Ok(Arc::new(Place { index, key, absolute: AtomicU64::new(0) }))
    }

    fn series<H: Kept>(&self, place: Arc<Place<H>>) -> Arc<Series<H>> {
        Arc::new(Series { id: self.id, registry: Arc::downgrade(&self.registry), place })
    }
}

/// Finds a metric in this thread's cache, or makes it and puts it there.
macro_rules! register {
    ($this:ident, $key:ident, $metadata:ident, $kind:expr, $all:ident, $metric:ident, $add:expr, $make:expr) => {{
        if let Some(known) = threads::look($this.id, |cache| cache.$all.find($key)) {
            return known;
        }
        let found = $this.find($kind, $key, $metadata, |state| &mut state.$all, $add);
        let metric = match found.value {
            Some(value) => metrics::$metric::from_arc($make(value)),
            None => metrics::$metric::noop(),
        };
        if found.remember {
            let registry = Arc::downgrade(&$this.registry);
            threads::change($this.id, &registry, |cache| cache.$all.insert($key, metric.clone()));
        }
        metric
    }};
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Counter, &key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Gauge, &key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Kind::Histogram, &key, unit, &description);
    }

    #[inline]
    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Counter {
        let kind = (Kind::Counter, "counter");
        let add = |label, options, index| self.place(label, options, index);
        register!(self, key, metadata, kind, counters, Counter, add, |place| self.series(place))
    }

    #[inline]
    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        let kind = (Kind::Gauge, "gauge");
        let add = |label, options, _| self.registry.shared(label, options);
        register!(self, key, metadata, kind, gauges, Gauge, add, |gauge| Arc::new(Common(gauge)))
    }

    #[inline]
    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Histogram {
        let kind = (Kind::Histogram, "histogram");
        let add = |label, options, index| self.place(label, options, index);
        register!(self, key, metadata, kind, histograms, Histogram, add, |place| self.series(place))
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("registry", &self.registry).finish_non_exhaustive()
    }
}
