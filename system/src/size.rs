//! The rule for the size of a file that is mapped or read.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Number of bytes of a file of `size` bytes that can belong to an image: all, but less than
/// 4 GiB. FILES.md section 1 has bytes after the image ignored.
///
/// # Errors
///
/// [`ErrorKind::Empty`].
pub fn image_size(operation: &'static str, path: &Path, size: u64) -> Result<u32> {
    match u32::try_from(size).unwrap_or(u32::MAX) {
        0 => Err(Error::new(operation, path, ErrorKind::Empty)),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_size_is_below_4_gib_and_not_0() {
        let size = |size| image_size("open", Path::new("x"), size);
        assert_eq!(size(1).unwrap(), 1);
        assert_eq!(size(u64::from(u32::MAX)).unwrap(), u32::MAX);
        assert_eq!(size(1 << 32).unwrap(), u32::MAX);
        assert_eq!(size(u64::MAX).unwrap(), u32::MAX);
        assert_eq!(size(0).unwrap_err().kind(), ErrorKind::Empty);
    }
}
