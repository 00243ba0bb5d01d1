//! Queue in blocks of one size.
//!
//! Thousands of queues grow and shrink together. Blocks of one size fit into the gaps that freed blocks
//! leave in the heap; one growing block for each queue leaves gaps of sizes that no other fits.

use std::collections::VecDeque;

/// Maximum number of entries of a block.
const BLOCK: usize = 32;

/// A queue of values.
#[derive(Debug, Clone)]
pub(crate) struct Ring<T> {
    /// Blocks, all full except the last; the first `passed` entries of the first are removed.
    blocks: VecDeque<Vec<T>>,
    passed: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { blocks: VecDeque::new(), passed: 0 }
    }
}

impl<T: Copy> Ring<T> {
    pub(crate) fn len(&self) -> usize {
        let last = self.blocks.back().map_or(0, Vec::len);
        let full = self.blocks.len().saturating_sub(1) * BLOCK;
        (full + last).saturating_sub(self.passed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let at = index.checked_add(self.passed)?;
        self.blocks.get(at / BLOCK)?.get(at % BLOCK)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let at = index.checked_add(self.passed)?;
        self.blocks.get_mut(at / BLOCK)?.get_mut(at % BLOCK)
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
        match self.blocks.back_mut().filter(|block| block.len() < BLOCK) {
            Some(block) => {
                if block.len() == block.capacity() {
                    // The first block grows: 1, 4, 16, 32 entries.
                    let more = (block.len() * 3).max(3).min(BLOCK - block.len());
                    block.reserve_exact(more);
                }
                block.push(value);
            }
            None => {
                let room = if self.blocks.is_empty() { 1 } else { BLOCK };
                let mut block = Vec::with_capacity(room);
                block.push(value);
                self.blocks.push_back(block);
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
        } else if self.passed == BLOCK {
            self.blocks.pop_front();
            self.passed = 0;
            if self.blocks.capacity() > 2 * self.blocks.len() + 8 {
                self.blocks.shrink_to_fit();
            }
        }
    }

    pub(crate) fn pop_back(&mut self) {
        if let Some(block) = self.blocks.back_mut() {
            block.pop();
            if block.is_empty() {
                self.blocks.pop_back();
            }
        }
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Number of values at the start for which `is` holds; it must hold for none after them.
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

    /// The values from index `first` to the end.
    pub(crate) fn iter_from(&self, first: usize) -> impl Iterator<Item = &T> {
        (first..self.len()).filter_map(|index| self.get(index))
    }

    /// Memory of the blocks, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let blocks = self.blocks.capacity() * size_of::<Vec<T>>();
        let full = self.blocks.len().saturating_sub(1) * BLOCK;
        let last = self.blocks.back().map_or(0, Vec::capacity);
        blocks + (full + last) * size_of::<T>()
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
