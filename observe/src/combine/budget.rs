//! Memory limit for the values of one read: the values of a hostile sparse file need far more
//! memory than the file does.

use mmstats_core::read::{Value, Verdict};

use crate::problem::Damage;
use crate::value::{ActivityValue, EachValue, OwnedValue};

/// Limit for the values that are listed, in bytes: a hundred times the need of a large program.
const LIMIT: usize = 256 << 20;

/// The damage of a value above the limit.
pub(crate) const TOO_LARGE: Damage = Damage { code: "too-large", offset: 0 };

/// Bytes left for values that are listed.
#[derive(Debug, Clone)]
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(LIMIT)
    }
}

impl Budget {
    /// Takes the memory that a copy of `raw` needs, of a table that of its `rows`; false if too little is
    /// left.
    pub(crate) fn takes(&mut self, raw: &Verdict<Value<'_>>, rows: Option<&ActivityValue>) -> bool {
        let own = match raw {
            Verdict::Consistent(Value::Array(array)) => array.len() * size_of::<OwnedValue>(),
            Verdict::Consistent(Value::Text { text, .. }) => text.len(),
            Verdict::Consistent(Value::Bytes { bytes, .. }) => bytes.len(),
            // Twice the size of a map entry.
            Verdict::Consistent(Value::Histogram(histogram)) => histogram.counts().len() * 48,
            _ => rows.map_or(0, ActivityValue::size),
        };
        let left = self.0.checked_sub(own.saturating_add(size_of::<EachValue>()));
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use mmstats_core::read::Verdict as RawVerdict;
    use mmstats_core::{Aggregation, DataType, Properties};

    use super::*;
    use crate::combine::Accumulator;
    use crate::field::FieldRef;
    use crate::value::{Origin, Verdict};

    #[test]
    fn budget_refuses_value_above_limit_and_keeps_rest() {
        let text = "x".repeat(LIMIT / 2);
        let large = RawVerdict::Consistent(Value::Text { text: &text, cut: false });
        let mut budget = Budget::default();
        assert!(budget.takes(&large, None) && !budget.takes(&large, None));
        assert!(
            budget.takes(&RawVerdict::Consistent(Value::U64(1)), None),
            "there is room for less"
        );
        let mut many = 0_usize;
        while budget.takes(&RawVerdict::Absent, None) {
            many += 1;
        }
        assert!(many * size_of::<EachValue>() <= LIMIT / 2, "{many}");
    }

    #[test]
    fn budget_takes_at_least_size_of_copy() {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/fixtures/valid");
        let mut kinds = HashSet::new();
        let mut scratch = crate::Scratch::new();
        // One at a time: the fixtures have the same instance.
        for path in std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()) {
            let mut observer = crate::Observer::new(crate::Sources::new().path(path));
            observer.refresh();
            let [file] = observer.files() else { continue };
            for lane in 0..file.lanes().used {
                file.visit_lane(lane, &mut scratch, |field, raw| {
                    let mut budget = Budget::default();
                    let rows = match &raw {
                        RawVerdict::Consistent(Value::Table(table)) => {
                            Some(ActivityValue::decode(table).0)
                        }
                        _ => None,
                    };
                    assert!(budget.takes(&raw, rows.as_ref()));
                    let taken = LIMIT - budget.0;
                    let own = match raw.consistent() {
                        Some(Value::Array(array)) => array.len() * size_of::<OwnedValue>(),
                        Some(Value::Text { text, .. }) => text.len(),
                        Some(Value::Bytes { bytes, .. }) => bytes.len(),
                        Some(Value::Histogram(found)) => {
                            found.counts().len() * size_of::<(i32, u128)>()
                        }
                        Some(Value::Table(_)) => rows.map_or(0, |rows| rows.size()),
                        _ => 0,
                    };
                    assert!(taken >= own + size_of::<EachValue>(), "{raw:?}");
                    assert!(taken <= 2 * own + size_of::<EachValue>(), "{raw:?}");
                    if own != 0 {
                        kinds.insert((field.kind_name(), field.properties().ty()));
                    }
                });
            }
        }
        assert!(kinds.len() > 8, "{kinds:?}");
    }

    #[test]
    fn budget_is_for_listed_values_only() {
        let mut none = Budget(0);
        for (rule, absent, there) in [
            (Aggregation::Sum, Verdict::Absent, Verdict::Consistent),
            (Aggregation::Each, Verdict::Absent, Verdict::Damaged(TOO_LARGE)),
        ] {
            let mut all = Accumulator::new(&FieldRef::from_legacy(
                0,
                "n",
                Properties::without_kind(DataType::U64, rule),
            ));
            all.value(&mut none, &Origin::default(), RawVerdict::Absent);
            assert_eq!(all.reading().verdict, absent);
            all.value(&mut none, &Origin::default(), RawVerdict::Consistent(Value::U64(7)));
            assert_eq!(all.reading().verdict, there);
            assert_eq!(all.reading().value.is_some(), there == Verdict::Consistent);
        }
    }
}
