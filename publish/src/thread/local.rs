//! Thread-local handles, found by publisher.

use std::cell::{OnceCell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::{Arc, Weak};

/// Held by a publisher for as long as it lives; others watch it through a [`Weak`].
#[derive(Debug)]
pub(crate) struct Alive;

/// A thread's handles of one type, for each publisher of that type.
///
/// `#[derive(Stats)]` makes one. Not for use by hand.
#[derive(Debug)]
pub struct Local<S> {
    /// Of the first publisher that this thread used: found by one comparison.
    first: OnceCell<(u64, S)>,
    others: RefCell<Vec<Other<S>>>,
}

/// The handles of a further publisher.
#[derive(Debug)]
struct Other<S> {
    id: u64,
    stats: Rc<S>,
    alive: Weak<Alive>,
}

/// Handles of this thread.
#[derive(Debug)]
pub(crate) enum Found<'a, S> {
    First(&'a S),
    Other(Rc<S>),
}

impl<S> Deref for Found<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        match self {
            Self::First(stats) => stats,
            Self::Other(stats) => stats,
        }
    }
}

impl<S> Local<S> {
    /// No handles.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: OnceCell::new(), others: RefCell::new(Vec::new()) }
    }

    /// The handles of publisher `id`, if it is the first that this thread used.
    #[inline(always)]
    pub(crate) fn first(&self, id: u64) -> Option<&S> {
        self.first.get().filter(|(known, _)| *known == id).map(|(_, stats)| stats)
    }

    /// The handles of publisher `id`, made by `make` if there are none. The caller is
    /// [`Inside`](crate::lock::Inside), so nothing calls this again meanwhile.
    pub(crate) fn find(
        &self,
        id: u64,
        alive: &Arc<Alive>,
        make: impl FnOnce() -> S,
    ) -> Found<'_, S> {
        if let Some(stats) = self.first(id) {
            return Found::First(stats);
        }
        let found = |other: &Other<S>| (other.id == id).then(|| Rc::clone(&other.stats));
        let known = self.others.borrow().iter().find_map(found);
        if let Some(stats) = known {
            return Found::Other(stats);
        }
        self.forget_ended();
        let stats = make();
        if self.first.get().is_none() {
            return Found::First(&self.first.get_or_init(|| (id, stats)).1);
        }
        let stats = Rc::new(stats);
        let alive = Arc::downgrade(alive);
        self.others.borrow_mut().push(Other { id, stats: Rc::clone(&stats), alive });
        Found::Other(stats)
    }

    /// Drops the handles of publishers that have ended, which keep memory and files open.
    fn forget_ended(&self) {
        let gone = |other: &mut Other<S>| other.alive.strong_count() == 0;
        let ended: Vec<_> = self.others.borrow_mut().extract_if(.., gone).collect();
        // Dropped while nothing is borrowed: a destructor may call `find`.
        drop(ended);
    }
}

impl<S> Default for Local<S> {
    fn default() -> Self {
        Self::new()
    }
}
