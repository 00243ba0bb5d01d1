//! Output into memory, for tests.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

/// Output and exit code of a command.
#[doc(hidden)]
#[derive(Debug)]
pub struct Captured {
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
    /// The exit code.
    pub code: u8,
}

/// Both streams, while the command runs.
#[derive(Default)]
pub(crate) struct Capture {
    out: Buffer,
    err: Buffer,
}

impl Capture {
    /// Writers of the two streams; `plain` ones strip styles.
    pub(super) fn streams(&self, plain: bool) -> (Box<dyn Write>, Box<dyn Write>) {
        let stream = |buffer: &Buffer| -> Box<dyn Write> {
            let buffer: Box<dyn Write> = Box::new(Buffer(Rc::clone(&buffer.0)));
            if plain { Box::new(anstream::StripStream::new(buffer)) } else { buffer }
        };
        (stream(&self.out), stream(&self.err))
    }

    pub(crate) fn take(self, code: u8) -> Captured {
        Captured { out: self.out.0.take(), err: self.err.0.take(), code }
    }
}

/// Bytes shared by a writer and the capture.
#[derive(Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
