//! The backend of the operating system.

use std::path::Path;
use std::sync::Arc;

use mmstats_core::View;
use mmstats_observe::Problem;
#[cfg(not(windows))] // one backend for each system
pub(crate) use mmstats_unix::*;
#[cfg(windows)] // the same functions
pub(crate) use mmstats_windows::*;

/// Maps a file read-only, to read its bytes.
///
/// # Errors
///
/// A message with the path, not escaped, in the words of problems.
pub(crate) fn open_region(path: &Path) -> std::result::Result<View<Arc<ObservedMapping>>, String> {
    let opened = open(path).map_err(|error| Problem::from_system(path, &error).to_string())?;
    View::new(Arc::clone(opened.mapping())).map_err(|e| format!("{}: {e}", path.display()))
}
