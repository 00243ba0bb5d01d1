//! What the values of one look may take: a hostile file has room for far more than there is
//! memory, and in a sparse file that costs it nothing.

use mmstats_core::read::{Value, Verdict};

use crate::problem::Damage;
use crate::value::{EachValue, OwnedValue};

/// Bytes of the values that are kept one by one, in one look. A hundred times what a large
/// program has.
const LIMIT: usize = 256 << 20;

/// What is said of a value that was read and not kept.
pub(crate) const TOO_LARGE: Damage = Damage { code: "too-large", offset: 0 };

/// What is left for this look.
#[derive(Debug, Clone)]
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(LIMIT)
    }
}

impl Budget {
    /// Takes what `raw` will need as a value of its own; false if there is not so much.
    pub(crate) fn takes(&mut self, raw: &Verdict<Value<'_>>) -> bool {
        let own = match raw {
            Verdict::Consistent(Value::Array(array)) => array.len() * size_of::<OwnedValue>(),
            Verdict::Consistent(Value::Text { text, .. }) => text.len(),
            Verdict::Consistent(Value::Bytes { bytes, .. }) => bytes.len(),
            // Twice what an entry of the map has.
            Verdict::Consistent(Value::Histogram(found)) => found.counts().len() * 48,
            _ => 0,
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
    use mmstats_core::{Aggregation, DataType};

    use super::*;
    use crate::combine::Combined;
    use crate::field::FieldRef;
    use crate::one::Record;
    use crate::value::{Origin, Verdict};

    #[test]
    fn what_is_too_much_takes_nothing() {
        let text = "x".repeat(LIMIT / 2);
        let large = RawVerdict::Consistent(Value::Text { text: &text, cut: false });
        let mut budget = Budget::default();
        assert!(budget.takes(&large) && !budget.takes(&large));
        assert!(budget.takes(&RawVerdict::Consistent(Value::U64(1))), "there is room for less");
        let mut many = 0_usize;
        while budget.takes(&RawVerdict::Absent) {
            many += 1;
        }
        assert!(many * size_of::<EachValue>() <= LIMIT / 2, "{many}");
    }

    /// Whatever kind of value it is, no less than a copy of it needs is taken.
    #[test]
    fn every_value_takes_what_its_copy_needs() {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/fixtures/valid");
        let mut kinds = HashSet::new();
        let mut scratch = crate::Scratch::new();
        // One after the other: they say that they are of the same program.
        for path in std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()) {
            let mut observer = crate::Observer::new(crate::Sources::new().path(path));
            observer.refresh();
            let [file] = observer.files() else { continue };
            for lane in 0..file.lanes().used {
                file.visit_lane(lane, &mut scratch, |field, raw| {
                    let mut budget = Budget::default();
                    assert!(budget.takes(&raw));
                    let taken = LIMIT - budget.0;
                    let own = match raw.consistent() {
                        Some(Value::Array(array)) => array.len() * size_of::<OwnedValue>(),
                        Some(Value::Text { text, .. }) => text.len(),
                        Some(Value::Bytes { bytes, .. }) => bytes.len(),
                        Some(Value::Histogram(found)) => {
                            found.counts().len() * size_of::<(i32, u128)>()
                        }
                        _ => 0,
                    };
                    assert!(taken >= own + size_of::<EachValue>(), "{raw:?}");
                    assert!(taken <= 2 * own + size_of::<EachValue>(), "{raw:?}");
                    if own != 0 {
                        kinds.insert((field.kind_name(), field.ty()));
                    }
                });
            }
        }
        assert!(kinds.len() > 8, "{kinds:?}");
    }

    /// What is added up needs no room, nor does what is not there.
    #[test]
    fn only_what_is_kept_one_by_one_takes_from_the_budget() {
        let record = |aggregation| Record {
            label: "n".into(),
            ty: DataType::U64,
            count: 1,
            aggregation,
            value: OwnedValue::Unsigned(0),
        };
        let mut none = Budget(0);
        for (rule, absent, there) in [
            (Aggregation::Sum, Verdict::Absent, Verdict::Consistent),
            (Aggregation::Each, Verdict::Absent, Verdict::Damaged(TOO_LARGE)),
        ] {
            let record = record(rule);
            let mut all = Combined::new(&FieldRef::one(0, &record));
            all.value(&mut none, Origin::default(), RawVerdict::Absent);
            assert_eq!(all.reading().verdict, absent);
            all.value(&mut none, Origin::default(), RawVerdict::Consistent(Value::U64(7)));
            assert_eq!(all.reading().verdict, there);
            assert_eq!(all.reading().value.is_some(), there == Verdict::Consistent);
        }
    }
}
