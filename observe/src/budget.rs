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
    use super::*;

    #[test]
    fn what_is_too_much_takes_nothing() {
        let text = "x".repeat(LIMIT / 2);
        let large = Verdict::Consistent(Value::Text { text: &text, cut: false });
        let mut budget = Budget::default();
        assert!(budget.takes(&large) && !budget.takes(&large));
        assert!(budget.takes(&Verdict::Consistent(Value::U64(1))), "there is room for less");
        let mut many = 0_usize;
        while budget.takes(&Verdict::Absent) {
            many += 1;
        }
        assert!(many * size_of::<EachValue>() <= LIMIT / 2, "{many}");
    }
}
