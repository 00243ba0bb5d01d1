//! Files of one program together.

use std::collections::HashMap;

use super::series::Total;
use super::totals::totals;
use crate::file::File;
use crate::identity::{Identity, Instance, State};

/// The files of one program: a publisher that needed more room has several parts.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// At least one, by part.
    files: Vec<&'a File>,
    first: &'a File,
}

impl<'a> Program<'a> {
    /// Puts files of the same instance together, in the order in which the instances
    /// come. Files without an instance (format 1, or not readable) stay alone.
    #[must_use]
    pub fn group(files: impl IntoIterator<Item = &'a File>) -> Vec<Self> {
        let mut programs: Vec<Self> = Vec::new();
        let mut known = HashMap::new();
        for file in files {
            if let Some(instance) = file.instance() {
                let next = programs.len();
                let index = *known.entry(instance).or_insert(next);
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

    /// Its files, by part.
    #[must_use]
    pub fn files(&self) -> &[&'a File] {
        &self.files
    }

    /// Its identity; `None` for format 1 and for what cannot be read.
    #[must_use]
    pub fn instance(&self) -> Option<Instance> {
        self.first.instance()
    }

    /// What it says of itself.
    #[must_use]
    pub fn identity(&self) -> &'a Identity {
        self.first.identity()
    }

    /// Live if one of its files is; closed only if all of them are.
    #[must_use]
    pub fn state(&self) -> State {
        let states = || self.files.iter().map(|file| file.state());
        [State::Live, State::Unknown, State::Dead, State::Closed, State::Damaged]
            .into_iter()
            .find(|state| states().any(|other| other == *state))
            .unwrap_or_else(|| self.first.state())
    }

    /// Its fields, combined over all lanes of all its files. A constant that several
    /// files have is taken once.
    #[must_use]
    pub fn totals(&self) -> Vec<Total> {
        totals(self.files.iter().copied())
    }
}
