//! The directories in which files are removed: opened before the files are looked at.

use std::path::{Path, PathBuf};

use crate::backend::directory::Directory;

/// Open directories by their paths. A path may lead elsewhere later; removal stays in the directory
/// that was opened.
#[derive(Debug, Default)]
pub(super) struct Directories(Vec<(PathBuf, Directory)>);

impl Directories {
    /// Opens the directory, if it can be opened and is not open yet.
    pub(super) fn open(&mut self, path: &Path) {
        if self.get(path).is_none()
            && let Ok(directory) = Directory::open(path)
        {
            self.0.push((path.to_owned(), directory));
        }
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Directory> {
        self.0.iter().find(|(known, _)| known == path).map(|(_, directory)| directory)
    }
}

/// The directory of a file, as it is opened; `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
