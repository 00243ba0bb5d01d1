//! The files of the refresh before.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::file::File;

/// The files of the refresh before, each with whether it was shown.
pub(super) struct Previous {
    files: Vec<Option<(bool, File)>>,
    /// Index of the next file, if nothing has changed.
    next: usize,
    /// Index by path; made when a file is not at `next`.
    by_path: Option<HashMap<PathBuf, usize>>,
}

impl Previous {
    pub(super) fn new(files: impl Iterator<Item = (bool, File)>) -> Self {
        Self { files: files.map(Some).collect(), next: 0, by_path: None }
    }

    /// Number of files, with those that were taken.
    pub(super) const fn len(&self) -> usize {
        self.files.len()
    }

    /// The files that were not taken.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().flatten().map(|(_, file)| file)
    }

    /// Takes the file with this path.
    pub(super) fn take(&mut self, path: &Path) -> Option<(bool, File)> {
        let is = |slot: &Option<(bool, File)>| {
            slot.as_ref().is_some_and(|(_, file)| file.path() == path)
        };
        let index = if self.files.get(self.next).is_some_and(is) {
            self.next
        } else {
            let files = &self.files;
            let by_path = self.by_path.get_or_insert_with(|| {
                let path = |slot: &Option<(bool, File)>| {
                    slot.as_ref().map(|(_, file)| file.path().to_owned())
                };
                let indexed = files.iter().enumerate();
                indexed.filter_map(|(index, slot)| Some((path(slot)?, index))).collect()
            });
            *by_path.get(path)?
        };
        self.next = index + 1;
        self.files.get_mut(index)?.take()
    }

    /// The shown files that were not taken: their names are gone.
    pub(super) fn into_shown(self) -> impl Iterator<Item = File> {
        self.files.into_iter().flatten().filter(|(shown, _)| *shown).map(|(_, file)| file)
    }
}
