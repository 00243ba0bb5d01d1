//! Texts that several fields share: the strings of a small file may be those of all its fields, and
//! 100,000 copies of 4,096 bytes take far more memory than the file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};

thread_local! {
    static TEXTS: RefCell<Pool<str>> = RefCell::default();
    static LISTS: RefCell<Pool<[String]>> = RefCell::default();
}

/// The text; one copy for all that use it at the same time, of any file.
pub(crate) fn shared(text: &str) -> Arc<str> {
    if text.is_empty() {
        return Arc::default();
    }
    TEXTS.with_borrow_mut(|pool| pool.get(text, |known| known == text, || text.into()))
}

/// The items of a detail, which zero bytes separate; one copy for all that use it at the same time.
pub(crate) fn shared_items(detail: &str) -> Arc<[String]> {
    let items = || detail.split('\0').filter(|item| !item.is_empty());
    LISTS.with_borrow_mut(|pool| {
        let is_same = |known: &[String]| known.iter().map(String::as_str).eq(items());
        pool.get(detail, is_same, || items().map(str::to_owned).collect())
    })
}

/// Values in use, by the hash of the text they were made of.
struct Pool<T: ?Sized> {
    hasher: RandomState,
    known: HashMap<u64, Weak<T>>,
    /// Number of values at which those no longer used are removed.
    limit: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { hasher: RandomState::new(), known: HashMap::new(), limit: MIN_LIMIT }
    }
}

const MIN_LIMIT: usize = 64;

impl<T: ?Sized> Pool<T> {
    fn get(
        &mut self,
        text: &str,
        is_same: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Arc<T>,
    ) -> Arc<T> {
        let hash = self.hasher.hash_one(text);
        let known = self.known.get(&hash).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| is_same(known)) {
            return known;
        }
        if self.known.len() >= self.limit {
            // A weak reference keeps the memory.
            self.known.retain(|_, value| value.strong_count() > 0);
            self.limit = (2 * self.known.len()).max(MIN_LIMIT);
        }
        let value = make();
        self.known.insert(hash, Arc::downgrade(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_has_one_copy_of_equal_texts_in_any_order() {
        let (a, b) = ("a".repeat(4096), "b".repeat(4096));
        let first = [shared(&a), shared(&b)];
        for _ in 0..3 {
            assert!(Arc::ptr_eq(&first[0], &shared(&a)) && Arc::ptr_eq(&first[1], &shared(&b)));
        }
        assert_eq!((&*first[0], &*first[1]), (&*a, &*b));
        assert_eq!(&*shared(""), "");
    }

    #[test]
    fn shared_items_has_one_copy_of_equal_details() {
        let (first, other) = (shared_items("on\0off"), shared_items("on"));
        assert_eq!(*first, ["on", "off"]);
        assert_eq!(*other, ["on"]);
        assert!(Arc::ptr_eq(&first, &shared_items("on\0off")));
    }

    #[test]
    fn pool_removes_values_no_longer_used() {
        let mut pool = Pool::<str>::default();
        let kept: Vec<Arc<str>> = (0..1000)
            .map(|n| {
                let text = n.to_string();
                let value = pool.get(&text, |known| known == text, || text.as_str().into());
                // Every tenth is used.
                (n % 10 == 0).then_some(value)
            })
            .collect::<Vec<_>>()
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(kept.len(), 100);
        assert!(pool.known.len() <= 300, "{}", pool.known.len());
        // Another text with the same hash is not mistaken for it.
        let hash = pool.hasher.hash_one("x");
        pool.known.insert(hash, Arc::downgrade(&kept[0]));
        assert_eq!(&*pool.get("x", |known| known == "x", || "x".into()), "x");
    }
}
