//! The rule for the size of a file that is mapped or read.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Checks that a file of `size` bytes can hold an image: 1 byte to 4 GiB less one.
///
/// # Errors
///
/// [`ErrorKind::Empty`], [`ErrorKind::TooLarge`].
pub fn check_size(operation: &'static str, path: &Path, size: u64) -> Result<u32> {
    let kind = match u32::try_from(size) {
        Ok(0) => ErrorKind::Empty,
        Ok(size) => return Ok(size),
        Err(_) => ErrorKind::TooLarge { size, limit: u32::MAX.into() },
    };
    Err(Error::new(operation, path, kind))
}
