//! The fields of the three types of metrics.

use std::sync::{Arc, Weak};

use mmstats::{Counter, Error, FieldOptions, Histogram, Kind, Registry, SharedGauge};

use crate::cache::{Cache, Metrics};
use crate::fields::{Edit, Fields, FieldsByName, Metric, Settings};
use crate::metric::{CachedHandle, ProgramGauge, ThreadField, ThreadMetric};

/// The members of [`Metric`] that choose by the type of the metric.
macro_rules! members {
    ($kind:ident, $suffix:literal, $all:ident) => {
        const KIND: Kind = Kind::$kind;
        const SUFFIX: &'static str = $suffix;

        fn fields(fields: &mut Fields) -> &mut FieldsByName<Self::Field> {
            &mut fields.$all
        }

        fn edit(settings: &Settings) -> &Edit<Self::Handle> {
            &*settings.$all
        }

        fn noop() -> Self {
            Self::noop()
        }

        #[inline]
        fn metrics(cache: &Cache) -> &Metrics<Self> {
            &cache.$all
        }

        fn metrics_mut(cache: &mut Cache) -> &mut Metrics<Self> {
            &mut cache.$all
        }
    };
}

impl Metric for metrics::Counter {
    type Handle = Counter;
    type Field = Arc<ThreadField<Counter>>;

    members!(Counter, "counter", counters);

    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<Counter>,
        number: usize,
    ) -> Result<Self::Field, Error> {
        add(registry, label, options, number)
    }

    fn new(recorder: u64, registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(Arc::new(ThreadMetric::new(recorder, registry, field)))
    }
}

impl Metric for metrics::Gauge {
    type Handle = SharedGauge<f64>;
    type Field = SharedGauge<f64>;

    members!(Gauge, "gauge", gauges);

    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<SharedGauge<f64>>,
        _number: usize,
    ) -> Result<Self::Field, Error> {
        registry.shared(label, options)
    }

    fn new(_recorder: u64, _registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(Arc::new(ProgramGauge(field)))
    }
}

impl Metric for metrics::Histogram {
    type Handle = Histogram<f64>;
    type Field = Arc<ThreadField<Histogram<f64>>>;

    members!(Histogram, "histogram", histograms);

    fn options() -> FieldOptions<Histogram<f64>> {
        FieldOptions::new().range(1e-6, 1e9)
    }

    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<Histogram<f64>>,
        number: usize,
    ) -> Result<Self::Field, Error> {
        add(registry, label, options, number)
    }

    fn new(recorder: u64, registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(Arc::new(ThreadMetric::new(recorder, registry, field)))
    }
}

/// Adds a field with a value for each thread.
fn add<H: CachedHandle>(
    registry: &Registry,
    label: String,
    options: FieldOptions<H>,
    number: usize,
) -> Result<Arc<ThreadField<H>>, Error> {
    Ok(Arc::new(ThreadField::new(number, registry.add(label, options)?)))
}
