//! Images that change and shrink while they are read.

use std::cell::{Cell, RefCell};

use mmstats_core::Source;
use mmstats_core::protocol::Site;
use mmstats_core::read::{Cursor, Field, Header};

use crate::limits::Limits;
use crate::mutate;
use crate::walk::{self, Seen};

/// Bytes of one change.
const CHANGE: usize = 8;

/// One change of a hostile writer.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// Number of loads before it.
    pub after: u8,
    /// Kind of change, modulo 8.
    pub what: u8,
    /// Offset in the image, a multiple of 4.
    pub at: u32,
    /// Operand.
    pub value: u16,
}

impl Change {
    /// Decodes the changes for an image of `size` bytes.
    #[must_use]
    pub fn all(bytes: &[u8], size: usize) -> Vec<Self> {
        let words = u32::try_from(size / 4).unwrap_or(u32::MAX).max(1);
        let (chunks, _) = bytes.as_chunks::<CHANGE>();
        let changes = chunks.iter().take(256);
        changes
            .map(|[after, what, a, b, c, d, e, f]| Self {
                after: *after,
                what: *what,
                at: u32::from_le_bytes([*a, *b, *c, *d]) % words * 4,
                value: u16::from_le_bytes([*e, *f]),
            })
            .collect()
    }

    /// Makes the change. Returns the size that the image has then.
    pub fn make(self, bytes: &mut [u8], size: usize) -> usize {
        let at = self.at as usize;
        let Some(word) = bytes.get_mut(at..at + 4).and_then(|word| word.first_chunk_mut()) else {
            return size;
        };
        let (old, value) = (u32::from_le_bytes(*word), u32::from(self.value));
        let new = match self.what % 8 {
            0 => value,
            1 => old.wrapping_add(1),
            2 => old.wrapping_sub(1),
            3 => old.wrapping_add(value),
            4 => old ^ value,
            5 => value << 16,
            6 => u32::MAX - value,
            // Bytes behind the cut read as zero, as in the mapping of a truncated file.
            _ => {
                bytes[at..].fill(0);
                return size.min(at);
            }
        };
        *word = new.to_le_bytes();
        size
    }
}

/// An image that changes after every few loads, in a loop over the changes.
struct Changing<'a> {
    bytes: RefCell<Vec<u8>>,
    size: u32,
    changes: &'a [Change],
    next: Cell<usize>,
    wait: Cell<u8>,
    loads: Cell<u64>,
    /// Whether there are loads of 8 bytes.
    wide: bool,
}

impl Changing<'_> {
    fn tick(&self) {
        self.loads.set(self.loads.get() + 1);
        let Some(change) = self.changes.get(self.next.get() % self.changes.len().max(1)) else {
            return;
        };
        if self.wait.get() >= change.after {
            self.wait.set(0);
            self.next.set(self.next.get() + 1);
            let mut bytes = self.bytes.borrow_mut();
            let size = bytes.len();
            change.make(&mut bytes, size);
        } else {
            self.wait.set(self.wait.get() + 1);
        }
    }
}

impl Source for Changing<'_> {
    fn size(&self) -> u32 {
        self.size
    }
    fn load32(&self, offset: u32) -> u32 {
        self.tick();
        self.bytes.borrow().as_slice().load32(offset)
    }
    fn load64(&self, offset: u32) -> Option<u64> {
        self.tick();
        self.wide.then(|| self.bytes.borrow().as_slice().load64(offset))?
    }
    fn fence(&self, _site: Site) {}
}

/// Walks an image that changes in both ways: all in place, or the values in place and the metadata
/// in a copy.
///
/// # Panics
///
/// If the number of loads exceeds the limit for the size of the image.
pub fn run(data: &[u8]) {
    let (image, schedule) = mutate::split(data);
    let mut bytes = image.to_vec();
    mutate::seal(&mut bytes);
    // A plain fixture has no changes behind it.
    let usual = [3, 1, 0, 3, 0, 0, 0, 0, 40, 3, 17, 2, 0, 0, 9, 0, 90, 7, 255, 255, 255, 0, 0, 0];
    let schedule = if schedule.len() < CHANGE { &usual } else { schedule };
    let changes = Change::all(schedule, bytes.len());
    let source = Changing {
        size: u32::try_from(bytes.len()).unwrap(),
        bytes: RefCell::new(bytes.clone()),
        changes: &changes,
        next: Cell::new(0),
        wait: Cell::new(0),
        loads: Cell::new(0),
        wide: schedule[0].is_multiple_of(2),
    };
    let ((), _) = Limits::CORE.hold(3 * data.len(), || {
        walk::image(&&source);
    });
    // The way with a copy of the metadata.
    source.bytes.borrow_mut().clone_from(&bytes);
    let Ok(header) = Header::read(&source) else { return };
    let mut metadata = vec![0; (header.lanes_offset() as usize).min(bytes.len())];
    source.copy(0, &mut metadata);
    let mut cursor = Cursor::new();
    let mut fields: Vec<Field> = Vec::new();
    while let Some((_, field)) = cursor.next(metadata.as_slice(), &header) {
        fields.extend(field);
    }
    let room = fields.iter().map(walk::room).max().unwrap_or(0);
    walk::values(&&source, &header, &fields, &mut vec![0; room], &mut Seen::default());
    let most = 1_000_000 + 4096 * bytes.len() as u64;
    assert!(source.loads.get() <= most, "{} loads of {}", source.loads.get(), bytes.len());
}
