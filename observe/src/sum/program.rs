//! The files of one program.

use std::collections::HashMap;

use super::series::Total;
use super::totals::totals;
use crate::file::File;
use crate::identity::{FileState, Identity, Instance};

/// The files of one program: a publisher with more fields or threads than fit in one file has
/// several parts.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// By part; not empty.
    files: Vec<&'a File>,
    first: &'a File,
}

impl<'a> Program<'a> {
    /// Groups files by instance, in the order of their first files. Files without an instance
    /// (of format 1, or unreadable) are programs of their own.
    #[must_use]
    pub fn group(files: impl IntoIterator<Item = &'a File>) -> Vec<Self> {
        let mut programs: Vec<Self> = Vec::new();
        let mut by_instance = HashMap::new();
        for file in files {
            if let Some(instance) = file.instance() {
                let next = programs.len();
                let index = *by_instance.entry(instance).or_insert(next);
                if let Some(program) = programs.get_mut(index) {
                    program.files.push(file);
                    continue;
                }
            }
            programs.push(Self { files: vec![file], first: file });
        }
        for program in &mut programs {
            program.files.sort_by_key(|file| file.part());
            program.first = program.files.first().copied().unwrap_or(program.first);
        }
        programs
    }

    /// The files, by part.
    #[must_use]
    pub fn files(&self) -> &[&'a File] {
        &self.files
    }

    /// Identity of the publisher; `None` for format 1 and unreadable files.
    #[must_use]
    pub fn instance(&self) -> Option<Instance> {
        self.first.instance()
    }

    /// Values of the standard fields.
    #[must_use]
    pub fn identity(&self) -> &'a Identity {
        self.first.identity()
    }

    /// The state: live if one of the files is, closed only if all are.
    #[must_use]
    pub fn state(&self) -> FileState {
        let states = || self.files.iter().map(|file| file.state());
        [
            FileState::Live,
            FileState::Unknown,
            FileState::Dead,
            FileState::Closed,
            FileState::Damaged,
        ]
        .into_iter()
        .find(|state| states().any(|other| other == *state))
        .unwrap_or_else(|| self.first.state())
    }

    /// The fields, combined over all lanes of all files. A constant of several files counts
    /// once.
    #[must_use]
    pub fn totals(&self) -> Vec<Total> {
        totals(self.files.iter().copied())
    }
}
