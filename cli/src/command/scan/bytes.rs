//! Bytes of the searched file: where images may begin, and copies of them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use memchr::memmem::Finder;
use mmstats_core::layout::MAGIC;

use crate::backend::next_data;

/// Bytes that are searched at a time.
const CHUNK: usize = 1 << 20;

/// Finds the magic number of an image, one chunk of the file at a time.
pub(super) struct MagicSearch {
    finder: Finder<'static>,
    chunk: Vec<u8>,
    /// Offset of the chunk in the file.
    start: u64,
}

impl MagicSearch {
    pub(super) fn new() -> Self {
        Self { finder: Finder::new(&MAGIC), chunk: Vec::new(), start: 0 }
    }

    /// Offset of the next magic number from `from` on.
    pub(super) fn find(&mut self, file: &mut File, mut from: u64) -> io::Result<Option<u64>> {
        loop {
            let inside = from.checked_sub(self.start).and_then(|n| usize::try_from(n).ok());
            let left = inside.and_then(|n| self.chunk.get(n..)).unwrap_or(&[]);
            if let Some(at) = self.finder.find(left) {
                return Ok(Some(from + at as u64));
            }
            if !left.is_empty() && self.chunk.len() < CHUNK {
                return Ok(None);
            }
            // A magic number across the end of the chunk is found in the next one.
            from += left.len().saturating_sub(MAGIC.len() - 1) as u64;
            // No byte of the magic number is zero, so it is never in a hole.
            let Some(data) = next_data(file, from) else { return Ok(None) };
            (self.start, from) = (data, data);
            read_at(file, data, CHUNK, &mut self.chunk)?;
            if self.chunk.len() < MAGIC.len() {
                return Ok(None);
            }
        }
    }
}

/// Replaces `to` by at most `size` bytes from `at` on, fewer at the end of the file.
pub(super) fn read_at(file: &mut File, at: u64, size: usize, to: &mut Vec<u8>) -> io::Result<()> {
    to.clear();
    file.seek(SeekFrom::Start(at))?;
    file.take(size as u64).read_to_end(to).map(drop)
}

/// Copies a part of a file in chunks; a chunk of zeros becomes a hole, and holes are not read.
/// Returns the number of bytes, fewer than `length` at the end of the file.
pub(super) fn copy(from: &mut File, offset: u64, length: u64, to: &mut File) -> io::Result<u64> {
    let mut chunk = Vec::new();
    let mut done = 0;
    while done < length {
        done = match next_data(from, offset + done) {
            Some(at) if at < offset + length => at - offset,
            // Zeros up to the end of the part or of the file.
            _ => {
                done = length.min(from.metadata()?.len().saturating_sub(offset));
                break;
            }
        };
        let rest = usize::try_from(length - done).unwrap_or(CHUNK).min(CHUNK);
        read_at(from, offset + done, rest, &mut chunk)?;
        if chunk.iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(done))?;
            to.write_all(&chunk)?;
        }
        done += chunk.len() as u64;
        // The file was truncated.
        if chunk.len() < rest {
            break;
        }
    }
    to.set_len(done).map(|()| done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_sees_magic_across_chunks() {
        let directory = tempfile::tempdir().unwrap();
        let path = &directory.path().join("x");
        for at in [0, 1, CHUNK - 8, CHUNK - 7, CHUNK - 1, CHUNK, 2 * CHUNK - 11] {
            let mut bytes = vec![0x89; 2 * CHUNK + 100];
            bytes[at..at + 8].copy_from_slice(&MAGIC);
            std::fs::write(path, &bytes).unwrap();
            let (mut file, mut search) = (File::open(path).unwrap(), MagicSearch::new());
            assert_eq!(search.find(&mut file, 0).unwrap(), Some(at as u64));
            assert_eq!(search.find(&mut file, at as u64 + 1).unwrap(), None);
            // Backwards.
            assert_eq!(search.find(&mut file, 0).unwrap(), Some(at as u64));
        }
    }

    #[test]
    fn find_sees_adjacent_magics() {
        let directory = tempfile::tempdir().unwrap();
        let path = &directory.path().join("x");
        // Nine bytes each: some lie across the end of a chunk.
        let one = [MAGIC.as_slice(), b"x"].concat();
        let count = CHUNK / 4;
        std::fs::write(path, one.repeat(count)).unwrap();
        let (mut file, mut search, mut found, mut from) =
            (File::open(path).unwrap(), MagicSearch::new(), 0, 0);
        while let Some(at) = search.find(&mut file, from).unwrap() {
            assert_eq!(at, found * 9);
            (found, from) = (found + 1, at + 1);
        }
        assert_eq!(found, count as u64);
    }

    #[test]
    fn find_and_copy_skip_holes() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut file = File::create_new(path("x")).unwrap();
        // Too large to be read without skipping holes.
        let (size, first, second) = (1 << 40, 3 << 30, (1 << 39) + 4_093);
        file.set_len(size).unwrap();
        for at in [first, second] {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&MAGIC).unwrap();
        }
        let mut file = File::open(path("x")).unwrap();
        // The file system does not report holes.
        if next_data(&file, 0) == Some(0) {
            return;
        }
        let mut search = MagicSearch::new();
        assert_eq!(search.find(&mut file, 0).unwrap(), Some(first));
        assert_eq!(search.find(&mut file, first + 1).unwrap(), Some(second));
        assert_eq!(search.find(&mut file, second + 1).unwrap(), None);
        // From between the two to behind the second: a hole at both ends.
        let (begin, length) = (second - (1 << 30), 1 << 31);
        let mut to = File::create_new(path("y")).unwrap();
        assert_eq!(copy(&mut file, begin, length, &mut to).unwrap(), length);
        drop(to);
        let mut copied = File::open(path("y")).unwrap();
        assert_eq!(copied.metadata().unwrap().len(), length);
        assert_eq!(MagicSearch::new().find(&mut copied, 0).unwrap(), Some(1 << 30));
        // Up to the end of the file.
        let mut to = File::create_new(path("z")).unwrap();
        assert_eq!(copy(&mut file, size - 100, 1000, &mut to).unwrap(), 100);
        assert_eq!(to.metadata().unwrap().len(), 100);
    }
}
