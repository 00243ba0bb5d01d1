//! The layer, and its options.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mmstats::{Error, Registry};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, LevelFilter, Subscriber};
use tracing_subscriber::layer::Context;

use crate::fields::level_number;
use crate::settings::{Settings, TABLES};
use crate::shared::Shared;
use crate::slots::{Open, Slots};
use crate::text::{BEYOND, LINE, Line, Recorded, append};
use crate::thread;

/// Publishes spans and events.
///
/// Layers of one publisher share its fields; the options of the first one count. After a fork, and
/// after the publisher was closed, a layer continues with the publisher of the program
/// ([`mmstats::global`]), once there is one.
///
/// A layer keeps its publisher open, as a clone does, and the subscriber of a program is never dropped:
/// call [`Publisher::close`](mmstats::Publisher::close) at the end of `main`, or start the publisher by
/// [`mmstats::init`], whose guard closes it.
///
/// ```
/// use mmstats::{Lane, Options};
/// use mmstats_tracing::Layer;
/// use tracing_subscriber::prelude::*;
///
/// let publisher = Options::new().start::<Lane>()?;
/// let layer = Layer::new(&publisher.registry())?;
/// let subscriber = tracing_subscriber::registry().with(layer);
/// tracing::subscriber::with_default(subscriber, || {
///     let _span = tracing::info_span!("request", path = "/index.html").entered();
///     tracing::warn!(bytes = 17, "short answer");
/// });
/// # Ok::<(), mmstats::Error>(())
/// ```
#[derive(Debug)]
pub struct Layer {
    shared: Arc<Shared>,
}

/// Options of a [`Layer`].
///
/// ```
/// use mmstats::{Lane, Options};
/// use mmstats_tracing::Layer;
/// use tracing_core::LevelFilter;
///
/// let publisher = Options::new().start::<Lane>()?;
/// let layer = Layer::builder().names(50).events(LevelFilter::WARN).build(&publisher.registry())?;
/// # Ok::<(), mmstats::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "options make no layer before `build` or `global`"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Maximum number of span names with latencies of their own. Spans of further names share one more
    /// histogram, with the attribute `overflow="true"`. Default: 200. Each takes about 2.5 KiB in each
    /// thread's lane.
    pub fn names(mut self, names: u32) -> Self {
        self.settings.names = names;
        self
    }

    /// Maximum relative error of the quantiles of latencies, from 0.0055 to 0.17. Default: 0.1. Each
    /// halving doubles the size of the histograms.
    pub fn error(mut self, error: f64) -> Self {
        self.settings.error = error;
        self
    }

    /// Number of spans that can be open at once, from 8 to 2^20, rounded up to a power of two.
    /// Default: 1,024. Spans beyond it, and a few before, are counted in `spans.untracked` and neither
    /// shown nor timed. Each takes about 1 KiB of memory of the process.
    pub fn slots(mut self, slots: u32) -> Self {
        self.settings.slots = slots;
        self
    }

    /// Number of open spans that are shown at once, from 64 to 256, rounded up to a multiple of 64: so
    /// many can hang. Default: 256. Spans that find no row are counted there and timed as others.
    pub fn rows(mut self, rows: u32) -> Self {
        self.settings.tables = (rows.div_ceil(64) as usize).clamp(1, TABLES);
        self
    }

    /// Least important level of events that are kept as lines. Default: info. Events of all levels are
    /// counted.
    pub fn events(mut self, level: impl Into<LevelFilter>) -> Self {
        self.settings.events = level.into();
        self
    }

    /// Number of lines of events that are kept for each thread, rounded up to a power of two less one.
    /// Default: 63. Each takes 256 bytes.
    pub fn lines(mut self, lines: u32) -> Self {
        self.settings.lines = lines;
        self
    }

    /// A layer that publishes through `registry`.
    ///
    /// # Errors
    ///
    /// If the fields cannot be added: see [`Publisher::add`](mmstats::Publisher::add).
    pub fn build(self, registry: &Registry) -> Result<Layer, Error> {
        Ok(Layer { shared: Shared::new(self.settings, Some(registry.clone()))? })
    }

    /// A layer that publishes through the publisher of the program ([`mmstats::global`]) while there is
    /// one. If it has fields of the same names, nothing is published.
    #[must_use]
    pub fn global(self) -> Layer {
        let shared = Shared::new(self.settings, None).unwrap_or_else(|_| unreachable!("no fields"));
        let _ = shared.target();
        Layer { shared }
    }
}

impl Layer {
    /// A layer with the defaults that publishes through `registry`.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        Self::builder().build(registry)
    }

    /// Options for a layer.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Writes the line of an event in the span with this id.
    fn write(&self, event: &Event<'_>, span: Option<u64>, line: &mut String) {
        let most = LINE + BEYOND;
        let metadata = event.metadata();
        let mut name = String::new();
        if let Some((_, slot)) = span.and_then(|span| self.shared.slots.find(span))
            && let Some((_, length)) = slot.read(&mut name)
        {
            name.truncate(length);
        }
        line.clear();
        append(line, most, format_args!("{} {}", metadata.level(), metadata.target()));
        if !name.is_empty() {
            append(line, most, format_args!(" in {name}"));
        }
        append(line, most, format_args!(":"));
        event.record(&mut Line(line));
    }
}

impl<S: Subscriber> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _context: Context<'_, S>) {
        let (shared, id) = (&self.shared, id.into_u64());
        let now = shared.clock.now();
        // The values are formatted while nothing is locked or borrowed: they can use tracing.
        let (mut text, fields, opener) = thread::with(shared, |thread| {
            let fields = thread.handles.as_ref().map(|handles| Arc::clone(&handles.fields));
            (std::mem::take(&mut thread.spare), fields, thread.number)
        })
        .unwrap_or_default();
        text.begin(attributes);
        let is_published = fields.is_some();
        let claimed = shared.slots.claim(id, |slot| {
            slot.created.store(now, Ordering::Relaxed);
            slot.opener.store(opener, Ordering::Relaxed);
            slot.write(&text);
            let row = fields.and_then(|fields| shared.begin_row(&fields, now, text.as_str()));
            let mut open = slot.open.lock();
            open.name = attributes.metadata().name();
            open.row = row;
            std::mem::swap(&mut open.text, &mut text);
        });
        thread::with(shared, |thread| {
            thread.spare = text;
            let Some(slot) = claimed.and_then(|slot| shared.slots.get(slot)) else {
                thread.handles.iter().for_each(|handles| handles.untracked.incr());
                return;
            };
            thread.remember(shared, id);
            // The publisher may have begun since.
            if let Some(handles) = thread.handles.as_ref().filter(|_| !is_published) {
                shared.show(slot, &handles.fields);
            }
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _context: Context<'_, S>) {
        let (shared, id) = (&self.shared, id.into_u64());
        let Some((_, slot)) = shared.slots.find(id) else { return };
        let values = Recorded::new(values);
        {
            let mut open = slot.open.lock();
            let Open { text, row, .. } = &mut *open;
            text.set(&values);
            slot.write(text);
            if let Some(row) = row {
                row.set(text.as_str());
            }
        }
        thread::with(shared, |thread| thread.set_text(shared, id));
    }

    #[inline]
    fn on_enter(&self, id: &Id, _context: Context<'_, S>) {
        let shared = &self.shared;
        thread::with(shared, |thread| thread.enter(shared, id.into_u64()));
    }

    #[inline]
    fn on_exit(&self, id: &Id, _context: Context<'_, S>) {
        let shared = &self.shared;
        thread::with(shared, |thread| thread.exit(shared, id.into_u64()));
    }

    fn on_close(&self, id: Id, _context: Context<'_, S>) {
        let (shared, id) = (&self.shared, id.into_u64());
        let now = shared.clock.now();
        let Some((_, slot)) = shared.slots.find(id) else { return };
        let (name, row) = {
            let mut open = slot.open.lock();
            (std::mem::take(&mut open.name), open.row.take())
        };
        if let Some(row) = row {
            row.end();
        }
        let busy = Duration::from_nanos(slot.busy());
        let open = now.saturating_sub(slot.created.load(Ordering::Relaxed));
        let is_known = !slot.overlapped.load(Ordering::Relaxed);
        let idle = is_known.then(|| Duration::from_nanos(open).saturating_sub(busy));
        Slots::free(slot);
        let recorded = thread::with(shared, |thread| {
            if let Some(handles) = &thread.handles {
                handles.record(name, busy, idle);
            }
        });
        if recorded.is_none() {
            thread::once(shared, |handles| handles.record(name, busy, idle));
        }
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let shared = &self.shared;
        let level = *event.metadata().level();
        let is_line = level <= shared.lines_from();
        // The values are formatted while nothing is borrowed: they can use tracing.
        let prepared = thread::with(shared, |thread| {
            let is_published = thread.handles.is_some();
            if let Some(handles) = &thread.handles {
                handles.levels[level_number(level)].incr();
            }
            let span = match event.parent() {
                Some(id) => Some(id.into_u64()),
                None => event.is_contextual().then(|| thread.innermost()).flatten(),
            };
            (is_line && is_published).then(|| (std::mem::take(&mut thread.line), span))
        });
        match prepared {
            Some(None) => {}
            Some(Some((mut line, span))) => {
                self.write(event, span, &mut line);
                thread::with(shared, |thread| {
                    if let Some(handles) = &thread.handles {
                        handles.events.record(&line);
                    }
                    thread.line = line;
                });
            }
            None => {
                let mut line = String::new();
                if is_line {
                    self.write(event, event.parent().map(Id::into_u64), &mut line);
                }
                thread::once(shared, |handles| {
                    handles.levels[level_number(level)].incr();
                    if is_line {
                        handles.events.record(&line);
                    }
                });
            }
        }
    }
}
