//! The fields of the three types of metrics.

use std::sync::{Arc, Weak};

use mmstats::{Counter, Error, FieldOptions, Histogram, Kind, Registry, SharedGauge};

use crate::cache::{Cache, Metrics};
use crate::fields::{Edit, Fields, FieldsByName, Metric, Settings};
use crate::metric::{ProgramGauge, ThreadField, ThreadMetric};

impl Metric for metrics::Counter {
    const KIND: Kind = Kind::Counter;
    const SUFFIX: &'static str = "counter";
    type Handle = Counter;
    type Field = Arc<ThreadField<Counter>>;

    fn fields(fields: &mut Fields) -> &mut FieldsByName<Self::Field> {
        &mut fields.counters
    }

    fn edit(settings: &Settings) -> &Edit<Self::Handle> {
        &*settings.counters
    }

    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<Self::Handle>,
        number: usize,
    ) -> Result<Self::Field, Error> {
        Ok(Arc::new(ThreadField::new(number, registry.add(label, options)?)))
    }

    fn new(recorder: u64, registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(Arc::new(ThreadMetric::new(recorder, registry, field)))
    }

    fn noop() -> Self {
        Self::noop()
    }

    #[inline]
    fn metrics(cache: &Cache) -> &Metrics<Self> {
        &cache.counters
    }

    fn metrics_mut(cache: &mut Cache) -> &mut Metrics<Self> {
        &mut cache.counters
    }
}

impl Metric for metrics::Gauge {
    const KIND: Kind = Kind::Gauge;
    const SUFFIX: &'static str = "gauge";
    type Handle = SharedGauge<f64>;
    type Field = SharedGauge<f64>;

    fn fields(fields: &mut Fields) -> &mut FieldsByName<Self::Field> {
        &mut fields.gauges
    }

    fn edit(settings: &Settings) -> &Edit<Self::Handle> {
        &*settings.gauges
    }

    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<Self::Handle>,
        _number: usize,
    ) -> Result<Self::Field, Error> {
        registry.shared(label, options)
    }

    fn new(_recorder: u64, _registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(Arc::new(ProgramGauge(field)))
    }

    fn noop() -> Self {
        Self::noop()
    }

    #[inline]
    fn metrics(cache: &Cache) -> &Metrics<Self> {
        &cache.gauges
    }

    fn metrics_mut(cache: &mut Cache) -> &mut Metrics<Self> {
        &mut cache.gauges
    }
}

impl Metric for metrics::Histogram {
    const KIND: Kind = Kind::Histogram;
    const SUFFIX: &'static str = "histogram";
    type Handle = Histogram<f64>;
    type Field = Arc<ThreadField<Histogram<f64>>>;

    fn fields(fields: &mut Fields) -> &mut FieldsByName<Self::Field> {
        &mut fields.histograms
    }

    fn options() -> FieldOptions<Self::Handle> {
        FieldOptions::new().range(1e-6, 1e9)
    }

    fn edit(settings: &Settings) -> &Edit<Self::Handle> {
        &*settings.histograms
    }

    fn add(
        registry: &Registry,
        label: String,
        options: FieldOptions<Self::Handle>,
        number: usize,
    ) -> Result<Self::Field, Error> {
        Ok(Arc::new(ThreadField::new(number, registry.add(label, options)?)))
    }

    fn new(recorder: u64, registry: &Weak<Registry>, field: Self::Field) -> Self {
        Self::from_arc(Arc::new(ThreadMetric::new(recorder, registry, field)))
    }

    fn noop() -> Self {
        Self::noop()
    }

    #[inline]
    fn metrics(cache: &Cache) -> &Metrics<Self> {
        &cache.histograms
    }

    fn metrics_mut(cache: &mut Cache) -> &mut Metrics<Self> {
        &mut cache.histograms
    }
}
