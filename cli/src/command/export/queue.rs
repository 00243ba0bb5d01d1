//! Queue of data for a server that does not take them now.

use std::collections::VecDeque;

/// Pieces of sendings in their order, within a number of bytes: of those that later ones replace the oldest are
/// dropped first, and counted. Totals of the newest sending come on top if they are more than that.
#[derive(Debug)]
pub(super) struct Queue<T> {
    pieces: VecDeque<Piece<T>>,
    bytes: usize,
    /// Bytes of last words among them.
    last_words: usize,
    max: usize,
    /// Number of the sending that pieces are added to.
    sending: u64,
    /// The last sending of which a piece was dropped.
    broken: Option<u64>,
    dropped: u64,
}

#[derive(Debug)]
struct Piece<T> {
    kind: T,
    bytes: Vec<u8>,
    sending: u64,
    /// Whether no later piece has what it has.
    is_last_words: bool,
}

impl<T> Queue<T> {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            pieces: VecDeque::new(),
            bytes: 0,
            last_words: 0,
            max,
            sending: 0,
            broken: None,
            dropped: 0,
        }
    }

    /// Begins a sending: what is added from here on belongs together.
    pub(super) const fn start(&mut self) {
        self.sending += 1;
    }

    /// Adds totals, which those of a later look replace.
    pub(super) fn push(&mut self, kind: T, bytes: Vec<u8>) {
        self.add(kind, bytes, false);
    }

    /// Adds what comes once: final values of programs, or lines.
    pub(super) fn push_last_words(&mut self, kind: T, bytes: Vec<u8>) {
        self.add(kind, bytes, true);
    }

    fn add(&mut self, kind: T, bytes: Vec<u8>, is_last_words: bool) {
        self.bytes += bytes.len();
        self.last_words += if is_last_words { bytes.len() } else { 0 };
        self.pieces.push_back(Piece { kind, bytes, sending: self.sending, is_last_words });
        while self.bytes > self.max {
            // The totals of the newest sending are kept whatever their size: else one that is larger than all room would
            // never arrive. Last words have all room beside them, and no more: their number has no other bound.
            let others = self.pieces.len().saturating_sub(1);
            let mut others = self.pieces.iter().take(others);
            let is_replaced =
                |piece: &Piece<T>| !piece.is_last_words && piece.sending < self.sending;
            let oldest = others.clone().position(is_replaced);
            let is_full = self.last_words > self.max;
            let oldest = oldest.or_else(|| others.position(|piece| is_full && piece.is_last_words));
            let Some(piece) = oldest.and_then(|index| self.remove(index)) else { break };
            if self.broken.replace(piece.sending) != Some(piece.sending) {
                self.dropped += 1;
            }
        }
    }

    pub(super) fn first(&self) -> Option<(&T, &[u8])> {
        self.pieces.front().map(|piece| (&piece.kind, &*piece.bytes))
    }

    /// Removes the first piece.
    pub(super) fn pop(&mut self) {
        self.remove(0);
    }

    fn remove(&mut self, index: usize) -> Option<Piece<T>> {
        let piece = self.pieces.remove(index)?;
        self.bytes -= piece.bytes.len();
        self.last_words -= if piece.is_last_words { piece.bytes.len() } else { 0 };
        Some(piece)
    }

    /// Number of sendings of which pieces were dropped since the last call.
    pub(super) const fn take_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(queue: &Queue<i32>) -> Vec<i32> {
        queue.pieces.iter().map(|piece| piece.kind).collect()
    }

    #[test]
    fn queue_drops_the_oldest_beyond_its_bytes() {
        let mut queue = Queue::new(10);
        for n in 0..4 {
            queue.start();
            queue.push(n, vec![0; 4]);
        }
        assert_eq!((kept(&queue), queue.take_dropped()), (vec![2, 3], 2));
        queue.start();
        queue.push(9, vec![0; 100]);
        assert_eq!((kept(&queue), queue.take_dropped()), (vec![9], 2));
        queue.pop();
        queue.push(5, vec![0; 10]);
        assert_eq!((kept(&queue), queue.take_dropped()), (vec![5], 0));
    }

    #[test]
    fn queue_keeps_a_sending_that_is_larger_than_it() {
        let mut queue = Queue::new(10);
        for sending in [0, 10, 20] {
            queue.start();
            for n in 0..5 {
                queue.push(sending + n, vec![0; 4]);
            }
        }
        // Two sendings were dropped, in ten pieces.
        assert_eq!((kept(&queue), queue.take_dropped()), (vec![20, 21, 22, 23, 24], 2));
        queue.pop();
        queue.start();
        queue.push(30, vec![0; 4]);
        // The rest of the one before, of which a part was sent.
        assert_eq!((kept(&queue), queue.take_dropped()), (vec![24, 30], 1));
    }

    #[test]
    fn queue_keeps_last_words_longest() {
        let mut queue = Queue::new(10);
        queue.push_last_words(0, vec![0; 4]);
        for n in 1..5 {
            queue.start();
            queue.push(n, vec![0; 4]);
        }
        assert_eq!((kept(&queue), queue.take_dropped()), (vec![0, 4], 3));
        queue.start();
        queue.push_last_words(5, vec![0; 4]);
        queue.push_last_words(6, vec![0; 4]);
        assert_eq!((kept(&queue), queue.take_dropped()), (vec![5, 6], 2));
        // They are bounded within a sending too.
        for n in 7..20 {
            queue.push_last_words(n, vec![0; 4]);
        }
        assert_eq!(kept(&queue), [18, 19]);
        // The totals of a large sending take no room from them.
        let mut queue = Queue::new(10);
        queue.start();
        queue.push(0, vec![0; 100]);
        for n in 1..5 {
            queue.push_last_words(n, vec![0; 4]);
        }
        assert_eq!((kept(&queue), queue.take_dropped()), (vec![0, 3, 4], 1));
        queue.pop();
        queue.push_last_words(5, vec![0; 4]);
        assert_eq!(kept(&queue), [4, 5]);
    }
}
