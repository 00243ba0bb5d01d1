//! Arbitrary bytes.

use crate::limits::Limits;
use crate::walk;

/// Opens and walks the unchanged bytes.
pub fn run(data: &[u8]) {
    Limits::CORE.hold(data.len(), || {
        walk::image(&data);
    });
}
