//! Quantiles of histograms: KINDS.md section 4.

/// A quantile of a histogram: an estimate, or a bound where the buckets end.
///
/// ```
/// use mmstats_observe::Quantile;
///
/// assert_eq!(Quantile::Value(0.25).value(), Some(0.25));
/// assert_eq!(Quantile::Above(60.0).value(), None);
/// assert_eq!(Quantile::Above(60.0).map(|x| x * 1e3), Quantile::Above(60_000.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantile {
    /// The value, within the [relative error](crate::HistogramValue::relative_error) of the
    /// histogram; the smallest and the largest value exactly.
    Value(f64),
    /// At most this, below all buckets.
    Below(f64),
    /// More than this, above all buckets.
    Above(f64),
}

impl Quantile {
    /// The value; `None` if only a bound is known.
    #[must_use]
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Below(_) | Self::Above(_) => None,
        }
    }

    /// The value or bound.
    #[must_use]
    pub const fn number(self) -> f64 {
        match self {
            Self::Value(number) | Self::Below(number) | Self::Above(number) => number,
        }
    }

    /// The same in another unit; `convert` must rise.
    #[must_use]
    pub fn map(self, convert: impl FnOnce(f64) -> f64) -> Self {
        match self {
            Self::Value(value) => Self::Value(convert(value)),
            Self::Below(bound) => Self::Below(convert(bound)),
            Self::Above(bound) => Self::Above(convert(bound)),
        }
    }
}
