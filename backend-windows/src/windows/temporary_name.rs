//! Temporary names, for files before their publication and after their removal.

use std::path::{Path, PathBuf};

use crate::name;

/// A random temporary name in the directory of `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    with_number(path, random())
}

/// The temporary name with this number, in the directory of `path`.
pub(super) fn with_number(path: &Path, random: u64) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(name::temporary(&name, random))
}

/// A random number, so that a temporary name cannot be planted; a taken one is retried anyway.
pub(super) fn random() -> u64 {
    #[allow(clippy::cast_possible_truncation)] // half of the bits
    let half = u128::from_ne_bytes(mmstats_system::stub::process::random()) as u64;
    half
}
