//! Bodies that are compressed.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A body, compressed as it is written.
pub(crate) struct Gzip(GzEncoder<Vec<u8>>);

impl Gzip {
    /// An empty body; `room` is its probable length, in bytes.
    pub(crate) fn new(room: usize) -> Self {
        // Repeated names and labels are found by the fastest level too.
        Self(GzEncoder::new(Vec::with_capacity(room), Compression::fast()))
    }

    pub(crate) fn write(&mut self, part: &[u8]) -> io::Result<()> {
        self.0.write_all(part)
    }

    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        self.0.finish()
    }
}
