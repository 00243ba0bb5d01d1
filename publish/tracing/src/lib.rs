#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `mmstats::SharedActivity`.

// Layers, from the lowest to the highest:
//   settings   the settings of a layer
//   text       the text of a span or an event
//   clock      one monotonic clock, and the time of day from it
//   slots      the state of open spans, by id
//   fields     the fields of a publisher
//   shared     a layer's slots, and the publisher that it uses at present
//   thread     a thread's handles and its stack of spans
//   layer      the layer, and its options
mod clock;
mod fields;
mod layer;
mod settings;
mod shared;
mod slots;
mod text;
mod thread;

pub use layer::{Builder, Layer};

/// A layer with the defaults for the publisher of the program: [`Builder::global`].
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// let _mmstats = mmstats::init();
/// tracing_subscriber::registry().with(mmstats_tracing::layer()).init();
/// ```
#[must_use]
pub fn layer() -> Layer {
    Layer::builder().global()
}
