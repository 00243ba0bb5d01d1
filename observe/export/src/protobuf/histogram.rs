//! Histograms as messages.

use mmstats_observe::{HistogramValue, Number};

use super::message::{Bucket, BucketSpan, Histogram, Timestamp};
use crate::classic;
use crate::unit::Scale;

/// A count; a float, of averages, is rounded.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturates.
pub(super) fn integer(number: Number) -> u64 {
    match number {
        Number::Unsigned(n) => u64::try_from(n).unwrap_or(u64::MAX),
        Number::Signed(n) => u64::try_from(n.max(0)).unwrap_or(u64::MAX),
        Number::Float(x) => x as u64,
    }
}

/// A histogram with native buckets.
///
/// Values below all buckets are in the zero bucket, up to its threshold; values above all buckets in
/// that of the infinite ones: where they are is not known.
pub(super) fn native(histogram: &HistogramValue, created: Option<Timestamp>) -> Histogram {
    let count = |count: u128| i64::try_from(count).unwrap_or(i64::MAX);
    let schema = i32::from(histogram.scale());
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut deltas = Vec::new();
    let mut next = 0;
    let mut before = 0;
    let mut push = |index: i32, n: i64| {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: index.saturating_sub(next), length: 1 }),
        }
        next = index.saturating_add(1);
        deltas.push(n.saturating_sub(before));
        before = n;
    };
    for (number, _, _, n) in histogram.buckets() {
        // Prometheus counts from the upper bound.
        push(number.saturating_add(1), count(n));
    }
    if histogram.above() > 0 {
        let exponent = if schema >= 0 { 1024 << schema } else { 1024 >> -schema };
        push(exponent + 1, count(histogram.above()));
    }
    if spans.is_empty() {
        // Tells that the histogram is native.
        spans.push(BucketSpan { offset: 0, length: 0 });
    }
    let (below, _) = histogram.bounds();
    Histogram {
        sample_count: integer(Number::Unsigned(histogram.count())),
        sample_sum: histogram.sum().as_f64(),
        bucket: Vec::new(),
        schema: Some(schema),
        zero_threshold: below.filter(|bound| bound.is_finite()).unwrap_or(0.0),
        zero_count: integer(Number::Unsigned(histogram.below())),
        positive_span: spans,
        positive_delta: deltas,
        created_timestamp: created,
    }
}

/// A histogram with the buckets of octaves, in its base unit.
pub(super) fn octaves(
    histogram: &HistogramValue,
    bounds: &[f64],
    scale: Scale,
    created: Option<Timestamp>,
) -> Histogram {
    let mut bucket = Vec::with_capacity(bounds.len() + 1);
    classic::counts(histogram, bounds, |bound, count| {
        bucket.push(Bucket {
            cumulative_count: integer(Number::Unsigned(count)),
            upper_bound: bound.map_or(f64::INFINITY, |bound| scale.apply(bound)),
        });
    });
    Histogram {
        sample_count: integer(Number::Unsigned(histogram.count())),
        sample_sum: scale.apply(histogram.sum().as_f64()),
        bucket,
        created_timestamp: created,
        ..Histogram::default()
    }
}
