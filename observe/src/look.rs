//! The first look at a file: what the system says of it, and what is in it.

use std::path::Path;
use std::time::SystemTime;

use crate::backend::{ErrorKind, FileId, FileInfo};
use mmstats_core::read::{Format, sniff};
use mmstats_core::{Memory, Region, Source};

use crate::one::One;
use crate::problem::Problem;
use crate::state::State;
use crate::three::{Room, Three};

/// What is in a file.
#[derive(Debug)]
pub(crate) enum Content {
    Three(Box<Three>),
    One {
        one: One,
        generation: u32,
    },
    /// Nothing can be read.
    Nothing,
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) id: FileId,
    pub(crate) size: u64,
    pub(crate) owner: Option<u32>,
    pub(crate) modified: SystemTime,
}

impl Facts {
    /// Of whatever has the name, following no link.
    pub(crate) fn of(path: &Path) -> Result<Self, Problem> {
        crate::backend::info(path)
            .map(|info| Self::of_info(&info))
            .map_err(|error| Problem::of_system(path, &error))
    }

    fn of_info(info: &FileInfo) -> Self {
        Self { id: info.id, size: info.size, owner: info.owner, modified: info.modified }
    }
}

/// Opens a file and finds out what it is.
///
/// The outer error says that there is no file to speak of, the inner one that it is
/// refused.
#[allow(clippy::type_complexity)] // two levels of refusal, used once
pub(crate) fn look(
    path: &Path,
    room: &mut Room,
) -> Result<(Facts, Result<Content, (State, Problem)>), Problem> {
    let opened = match crate::backend::open(path) {
        Ok(opened) => opened,
        Err(error) => {
            let problem = Problem::of_system(path, &error);
            return match error.kind() {
                ErrorKind::Empty | ErrorKind::TooLarge { .. } | ErrorKind::Shrunk => {
                    let facts = Facts::of(path)?;
                    Ok((facts, Err((State::Damaged, problem))))
                }
                _ => Err(problem),
            };
        }
    };
    let facts = Facts::of_info(opened.info());
    let mapping = std::sync::Arc::clone(opened.mapping());
    let content = match Region::new(mapping) {
        Err(error) => Err((State::Damaged, Problem::new(path, "io", error.to_string()))),
        Ok(region) => match sniff(&region) {
            Format::Three => {
                Three::load(path, opened, room).map(|three| Content::Three(Box::new(three)))
            }
            Format::One => One::read(path)
                .map(|one| Content::One { one, generation: 0 })
                .map_err(|problem| (State::Damaged, problem)),
            _ => {
                let mut first = [0; 8];
                region.copy(0, &mut first);
                let known = region.memory().len().min(first.len());
                let first = first.get(..known).unwrap_or(&[]);
                Err((State::Foreign, Problem::unknown_format(path, first)))
            }
        },
    };
    Ok((facts, content))
}
