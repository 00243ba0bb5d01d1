//! A queue in pieces of one size.
//!
//! Thousands of queues grow and shrink together. Pieces of one size fit into the gaps that others
//! left; one block each that grows leaves gaps that fit none.

use std::collections::VecDeque;

/// Maximum number of entries of a piece.
const PIECE: usize = 32;

/// A queue of values.
#[derive(Debug, Clone)]
pub(crate) struct Ring<T> {
    /// Each but the last is full; the first has `passed` entries that were removed.
    pieces: VecDeque<Vec<T>>,
    passed: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), passed: 0 }
    }
}

impl<T: Copy> Ring<T> {
    pub(crate) fn len(&self) -> usize {
        let last = self.pieces.back().map_or(0, Vec::len);
        let full = self.pieces.len().saturating_sub(1) * PIECE;
        (full + last).saturating_sub(self.passed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let at = index.checked_add(self.passed)?;
        self.pieces.get(at / PIECE)?.get(at % PIECE)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let at = index.checked_add(self.passed)?;
        self.pieces.get_mut(at / PIECE)?.get_mut(at % PIECE)
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.get(0)
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.get_mut(0)
    }

    pub(crate) fn back(&self) -> Option<&T> {
        self.get(self.len().checked_sub(1)?)
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.get_mut(self.len().checked_sub(1)?)
    }

    pub(crate) fn push_back(&mut self, value: T) {
        match self.pieces.back_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => {
                if piece.len() == piece.capacity() {
                    // Of a queue of few entries: 1, 4, 16, 32.
                    let more = (piece.len() * 3).max(3).min(PIECE - piece.len());
                    piece.reserve_exact(more);
                }
                piece.push(value);
            }
            None => {
                let room = if self.pieces.is_empty() { 1 } else { PIECE };
                let mut piece = Vec::with_capacity(room);
                piece.push(value);
                self.pieces.push_back(piece);
            }
        }
    }

    pub(crate) fn pop_front(&mut self) {
        if self.is_empty() {
            return;
        }
        self.passed += 1;
        if self.is_empty() {
            *self = Self::default();
        } else if self.passed == PIECE {
            self.pieces.pop_front();
            self.passed = 0;
            if self.pieces.capacity() > 2 * self.pieces.len() + 8 {
                self.pieces.shrink_to_fit();
            }
        }
    }

    pub(crate) fn pop_back(&mut self) {
        if let Some(piece) = self.pieces.back_mut() {
            piece.pop();
            if piece.is_empty() {
                self.pieces.pop_back();
            }
        }
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// The number of values at the start for which `is` holds; it holds for none after them.
    pub(crate) fn partition_point(&self, is: impl Fn(&T) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.get(middle).is_some_and(&is) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The values from `first` on.
    pub(crate) fn iter_from(&self, first: usize) -> impl Iterator<Item = &T> {
        (first..self.len()).filter_map(|index| self.get(index))
    }

    /// Memory of the pieces, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let pieces = self.pieces.capacity() * size_of::<Vec<T>>();
        let full = self.pieces.len().saturating_sub(1) * PIECE;
        let last = self.pieces.back().map_or(0, Vec::capacity);
        pieces + (full + last) * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The ring against a `VecDeque`.
        #[test]
        fn ring_is_a_queue(steps in prop::collection::vec(0_u8..10, 0..400)) {
            let (mut ring, mut model) = (Ring::default(), VecDeque::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    0..7 => {
                        ring.push_back(number);
                        model.push_back(number);
                    }
                    7 => {
                        ring.pop_back();
                        model.pop_back();
                    }
                    _ => {
                        ring.pop_front();
                        model.pop_front();
                    }
                }
                prop_assert_eq!(ring.len(), model.len());
                prop_assert_eq!((ring.front(), ring.back()), (model.front(), model.back()));
            }
            prop_assert!(ring.iter_from(0).eq(model.iter()));
            let middle = model.len() / 2;
            prop_assert!(ring.iter_from(middle).eq(model.range(middle..)));
            if let Some(limit) = model.get(middle) {
                let found = ring.partition_point(|value| value < limit);
                prop_assert_eq!(found, model.partition_point(|value| value < limit));
            }
        }
    }
}
