//! The thread-local route: each thread's handles, found by publisher.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use crate::parts::Closer;

/// A thread's handles of one type, for each publisher of that type.
///
/// `#[derive(Stats)]` makes one; nothing of it is for use by hand.
#[derive(Debug)]
pub struct Local<S> {
    /// The first publisher that this thread met: found by one comparison.
    first: OnceCell<(u64, S)>,
    others: RefCell<Vec<Other<S>>>,
}

/// The handles of a further publisher.
#[derive(Debug)]
struct Other<S> {
    id: u64,
    stats: Rc<S>,
    /// Tells when the publisher has gone.
    closer: Weak<Closer>,
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
        closer: &Arc<Closer>,
        make: impl FnOnce() -> S,
        work: impl FnOnce(&S) -> R,
    ) -> R {
        if let Some(stats) = self.first(id) {
            return work(stats);
        }
        let found = |other: &Other<S>| (other.id == id).then(|| Rc::clone(&other.stats));
        let known = self.others.borrow().iter().find_map(found);
        if let Some(stats) = known {
            return work(&stats);
        }
        self.forget_ended();
        // `make` may come here for another publisher, so nothing is borrowed meanwhile.
        let mut made = Some(make());
        let (first, stats) = self.first.get_or_init(|| {
            // Always there: this closure runs at most once.
            (id, made.take().unwrap_or_else(|| unreachable!("initialised once")))
        });
        let Some(made) = made.filter(|_| *first != id) else { return work(stats) };
        let stats = Rc::new(made);
        let closer = Arc::downgrade(closer);
        self.others.borrow_mut().push(Other { id, stats: Rc::clone(&stats), closer });
        work(&stats)
    }

    /// Drops the handles of publishers that have gone, which keep memory and files open.
    fn forget_ended(&self) {
        let gone = |other: &mut Other<S>| other.closer.strong_count() == 0;
        let ended: Vec<_> = self.others.borrow_mut().extract_if(.., gone).collect();
        // Only now, while nothing is borrowed: a destructor may come here again.
        drop(ended);
    }
}

impl<S> Default for Local<S> {
    fn default() -> Self {
        Self::new()
    }
}
