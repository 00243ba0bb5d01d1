//! Scalars of one type, combined by a rule.

use mmstats_core::merge::Number;
use mmstats_core::read::Scalar;
use mmstats_core::{Aggregation, DataType};

use crate::value::OwnedValue;

/// Scalars of one field, combined.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalars {
    count: u64,
    /// Sum, minimum or maximum.
    number: Number,
}

impl Default for Scalars {
    fn default() -> Self {
        Self { count: 0, number: Number::Unsigned(0) }
    }
}

impl Scalars {
    /// The scalars whose combined value this is; `None` if it is no scalar.
    #[allow(clippy::cast_precision_loss)] // the weight of a mean
    pub(crate) fn from_value(rule: Aggregation, count: u64, value: &OwnedValue) -> Option<Self> {
        let count = count.max(1);
        let number = match (value, value.as_f64()) {
            (_, Some(mean)) if rule == Aggregation::Mean => Number::Float(mean * count as f64),
            (OwnedValue::Unsigned(n), _) => Number::Unsigned(*n),
            (OwnedValue::Signed(n), _) => Number::Signed(*n),
            (OwnedValue::Bool(b), _) => Number::Unsigned((*b).into()),
            (_, Some(x)) => Number::Float(x),
            (_, None) => return None,
        };
        Some(Self { count, number })
    }

    /// Adds one scalar.
    #[inline]
    pub(crate) fn add(&mut self, rule: Aggregation, scalar: Scalar) {
        let number = match scalar {
            Scalar::U64(n) => Number::Unsigned(n.into()),
            Scalar::I64(n) => Number::Signed(n.into()),
            Scalar::F32(x) => Number::Float(x.into()),
            Scalar::F64(x) => Number::Float(x),
            Scalar::Bool(b) => Number::Unsigned(b.into()),
        };
        self.merge(rule, Self { count: 1, number });
    }

    /// Adds the scalars of another part.
    #[inline]
    pub(crate) fn merge(&mut self, rule: Aggregation, more: Self) {
        if self.count == 0 || more.count == 0 {
            if self.count == 0 {
                *self = more;
            }
            return;
        }
        self.count = self.count.saturating_add(more.count);
        self.number.merge(rule, more.number);
    }

    /// The combined value; `ty` is the type of the field.
    #[allow(clippy::cast_precision_loss)] // a mean is a float
    #[allow(clippy::cast_possible_truncation)] // exact: these came from f32
    pub(crate) fn value(&self, rule: Aggregation, ty: DataType) -> OwnedValue {
        let picked = matches!(rule, Aggregation::Min | Aggregation::Max);
        match self.number {
            number if rule == Aggregation::Mean => {
                OwnedValue::F64(number.as_f64() / self.count as f64)
            }
            Number::Float(x) if ty == DataType::F32 && (picked || self.count == 1) => {
                OwnedValue::F32(x as f32)
            }
            Number::Unsigned(n) if ty == DataType::Bool && picked => OwnedValue::Bool(n != 0),
            number => number.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combine(rule: Aggregation, ty: DataType, all: &[Scalar]) -> OwnedValue {
        let mut scalars = Scalars::default();
        all.iter().for_each(|scalar| scalars.add(rule, *scalar));
        scalars.value(rule, ty)
    }

    #[test]
    fn integer_sums_are_exact_past_64_bits() {
        use Aggregation::{Max, Mean, Min, Sum};
        let big = [Scalar::U64(u64::MAX), Scalar::U64(u64::MAX), Scalar::U64(1)];
        let sum = 2 * u128::from(u64::MAX) + 1;
        assert_eq!(combine(Sum, DataType::U64, &big), OwnedValue::Unsigned(sum));
        assert_eq!(combine(Min, DataType::U64, &big), OwnedValue::Unsigned(1));
        assert_eq!(combine(Max, DataType::U64, &big), OwnedValue::Unsigned(u64::MAX.into()));
        let low = [Scalar::I64(i64::MIN), Scalar::I64(i64::MIN), Scalar::I64(3)];
        let sum = 2 * i128::from(i64::MIN) + 3;
        assert_eq!(combine(Sum, DataType::I64, &low), OwnedValue::Signed(sum));
        assert_eq!(
            combine(Mean, DataType::I8, &[Scalar::I64(-1), Scalar::I64(2)]),
            OwnedValue::F64(0.5)
        );
    }

    #[test]
    fn floats_and_bools_combine_by_rule() {
        use Aggregation::{Max, Mean, Min, Sum};
        let bools = [true, false, true].map(Scalar::Bool);
        assert_eq!(combine(Sum, DataType::Bool, &bools), OwnedValue::Unsigned(2));
        assert_eq!(combine(Min, DataType::Bool, &bools), OwnedValue::Bool(false));
        assert_eq!(combine(Max, DataType::Bool, &bools), OwnedValue::Bool(true));
        let floats = [0.1_f32, 0.2, f32::NAN].map(Scalar::F32);
        assert_eq!(combine(Sum, DataType::F32, &floats[..1]), OwnedValue::F32(0.1));
        assert_eq!(combine(Min, DataType::F32, &floats), OwnedValue::F32(0.1));
        assert_eq!(combine(Max, DataType::F32, &floats), OwnedValue::F32(0.2));
        let sum = f64::from(0.1_f32) + f64::from(0.2_f32);
        assert_eq!(combine(Sum, DataType::F32, &floats[..2]), OwnedValue::F64(sum));
        assert_eq!(combine(Mean, DataType::F32, &floats[..2]), OwnedValue::F64(sum / 2.0));
    }
}
