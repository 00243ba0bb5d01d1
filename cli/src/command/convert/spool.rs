//! Texts that grow side by side, in a temporary file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};

/// Texts by number. What does not fit in the memory is in a file without a name.
pub(super) struct Spool {
    file: File,
    end: u64,
    texts: Vec<Growing>,
    /// Bytes in memory.
    held: usize,
    max: usize,
}

#[derive(Default)]
struct Growing {
    /// Offsets and lengths in the file.
    chunks: Vec<(u64, usize)>,
    text: String,
}

/// Maximum number of bytes in memory.
const MAX_HELD: usize = 64 << 20;

impl Spool {
    pub(super) fn new() -> io::Result<Self> {
        let (end, held, max) = (0, 0, MAX_HELD);
        Ok(Self { file: tempfile::tempfile()?, end, texts: Vec::new(), held, max })
    }

    /// Adds an empty text; returns its number.
    pub(super) fn add(&mut self) -> usize {
        self.texts.push(Growing::default());
        self.texts.len() - 1
    }

    /// Appends to a text.
    pub(super) fn write(&mut self, number: usize, text: &str) -> io::Result<()> {
        self.texts[number].text.push_str(text);
        self.held += text.len();
        if self.held < self.max {
            return Ok(());
        }
        self.held = 0;
        self.file.seek(SeekFrom::Start(self.end))?;
        for growing in self.texts.iter_mut().filter(|growing| !growing.text.is_empty()) {
            self.file.write_all(growing.text.as_bytes())?;
            growing.chunks.push((self.end, growing.text.len()));
            self.end += growing.text.len() as u64;
            growing.text = String::new();
        }
        Ok(())
    }

    /// Writes a text.
    pub(super) fn copy(&mut self, number: usize, to: &mut dyn Write) -> io::Result<()> {
        let growing = &self.texts[number];
        for (offset, length) in &growing.chunks {
            self.file.seek(SeekFrom::Start(*offset))?;
            let mut part = vec![0; *length];
            self.file.read_exact(&mut part)?;
            to.write_all(&part)?;
        }
        to.write_all(growing.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spool_keeps_texts_apart_and_in_order() {
        let mut spool = Spool { max: 100, ..Spool::new().unwrap() };
        let numbers = [spool.add(), spool.add()];
        for n in 0..100 {
            spool.write(numbers[n % 2], &format!("{n} ")).unwrap();
        }
        for (at, number) in numbers.into_iter().enumerate() {
            let mut out = Vec::new();
            spool.copy(number, &mut out).unwrap();
            let wanted: String = (at..100).step_by(2).map(|n| format!("{n} ")).collect();
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
        assert!(spool.end > 100);
    }
}
