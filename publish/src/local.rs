//! The thread-local route: each thread's handles, found by publisher.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

/// A thread's handles of one type, for each publisher of that type.
///
/// `#[derive(Stats)]` makes one; nothing of it is for use by hand.
#[derive(Debug)]
pub struct Local<S> {
    /// The first publisher that this thread met: found by one comparison.
    first: OnceCell<(u64, S)>,
    others: RefCell<Vec<(u64, Rc<S>)>>,
}

impl<S> Local<S> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: OnceCell::new(), others: RefCell::new(Vec::new()) }
    }

    /// The handles of publisher `id`, if it is the first that this thread met.
    #[inline(always)]
    pub(crate) fn first(&self, id: u64) -> Option<&S> {
        self.first.get().filter(|(known, _)| *known == id).map(|(_, stats)| stats)
    }

    /// Calls `work` with the handles of publisher `id`, made by `make` if there are none.
    pub(crate) fn find<R>(
        &self,
        id: u64,
        make: impl FnOnce() -> S,
        work: impl FnOnce(&S) -> R,
    ) -> R {
        if let Some(stats) = self.first(id) {
            return work(stats);
        }
        let known = self.others.borrow().iter().find(|(k, _)| *k == id).map(|(_, s)| Rc::clone(s));
        if let Some(stats) = known {
            return work(&stats);
        }
        // `make` may come here for another publisher, so nothing is borrowed meanwhile.
        let mut made = Some(make());
        let (first, stats) = self.first.get_or_init(|| {
            // Always there: this closure runs at most once.
            (id, made.take().unwrap_or_else(|| unreachable!("initialised once")))
        });
        let Some(made) = made.filter(|_| *first != id) else { return work(stats) };
        let stats = Rc::new(made);
        self.others.borrow_mut().push((id, Rc::clone(&stats)));
        work(&stats)
    }
}

impl<S> Default for Local<S> {
    fn default() -> Self {
        Self::new()
    }
}
