//! The content of a file, whatever its format.

use std::ops::{Deref, DerefMut, Range};
use std::path::Path;
use std::sync::Arc;

use mmstats_core::read::{Format as FormatNumber, sniff};
use mmstats_core::{ReadMemory, Source, View};

use super::api::{Format, Refused, Values};
use super::image::{Image, Metadata, Parked};
use super::legacy::Legacy;
use super::scratch::{Allowance, Scratch};
use super::visitor::Visitor;
use crate::backend::{ErrorKind, FileId, FileInfo};
use crate::identity::FileState;
use crate::problem::Problem;
use crate::value::{Event, WindowRate};

/// The content of a file: the one place that tells the formats apart.
#[derive(Debug)]
pub(crate) enum Content {
    Image(Box<Image>),
    Parked(Box<Parked>),
    Legacy(Legacy),
    Unreadable(Unreadable),
}

/// Content of which nothing can be read.
#[derive(Debug)]
pub(crate) struct Unreadable;

impl Format for Unreadable {}
impl Values for Unreadable {}

impl Content {
    /// Content of which nothing can be read.
    pub(crate) const UNREADABLE: Self = Self::Unreadable(Unreadable);

    /// Gives back the mapping of an image.
    pub(crate) fn park(&mut self) {
        if let Self::Image(image) = std::mem::replace(self, Self::UNREADABLE) {
            *self = Self::Parked(Box::new(image.park()));
        }
    }

    /// Whether it is an image without a mapping.
    pub(crate) const fn is_parked(&self) -> bool {
        matches!(self, Self::Parked(_))
    }

    /// Opens an image without a mapping again.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or the file has another image by now.
    pub(crate) fn open_again(&self, path: &Path, id: FileId) -> Result<Self, Problem> {
        let replaced =
            || Problem::new(path, "not-found", "the file was replaced before it was read");
        let Self::Parked(parked) = self else { return Err(replaced()) };
        let opened =
            crate::backend::open(path).map_err(|error| Problem::from_system(path, &error))?;
        if opened.info().id != id {
            return Err(replaced());
        }
        let region = View::new(Arc::clone(opened.mapping()))
            .map_err(|error| Problem::new(path, "io", error.to_string()))?;
        let size = opened.info().size;
        match Image::open_again(parked, opened, region) {
            Some(image) => Ok(Self::Image(Box::new(image))),
            None if size < parked.metadata().file_size() => {
                Err(Problem::truncated(path, Some(size)))
            }
            None => Err(replaced()),
        }
    }

    fn metadata(&self) -> Option<&Metadata> {
        match self {
            Self::Image(image) => Some(image.metadata()),
            Self::Parked(parked) => Some(parked.metadata()),
            _ => None,
        }
    }

    /// Takes the place of `before`, another opening of the same file; whether the fields differ.
    pub(crate) fn follow(&mut self, before: &Self) -> bool {
        match (self, before.metadata()) {
            (Self::Image(image), Some(before)) => image.follow(before),
            _ => true,
        }
    }
}

impl Deref for Content {
    type Target = dyn Format;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Image(image) => &**image,
            Self::Parked(parked) => &**parked,
            Self::Legacy(legacy) => legacy,
            Self::Unreadable(unreadable) => unreadable,
        }
    }
}

impl DerefMut for Content {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Image(image) => &mut **image,
            Self::Parked(parked) => &mut **parked,
            Self::Legacy(legacy) => legacy,
            Self::Unreadable(unreadable) => unreadable,
        }
    }
}

/// Calls a method of the format statically.
macro_rules! by_format {
    ($content:expr, $format:ident => $call:expr) => {
        match $content {
            Content::Image($format) => $call,
            Content::Parked($format) => $call,
            Content::Legacy($format) => $call,
            Content::Unreadable($format) => $call,
        }
    };
}

impl Values for Content {
    fn visit_constants<V: Visitor>(&self, scratch: &mut Scratch, visitor: &mut V) {
        by_format!(self, format => format.visit_constants(scratch, visitor));
    }

    #[inline]
    fn visit_scalars<V: Visitor>(&self, lane: u32, visitor: &mut V) {
        by_format!(self, format => format.visit_scalars(lane, visitor));
    }

    fn visit_lane<V: Visitor>(&self, lane: u32, scratch: &mut Scratch, visitor: &mut V) {
        by_format!(self, format => format.visit_lane(lane, scratch, visitor));
    }

    fn visit_field<V: Visitor>(&self, index: u32, scratch: &mut Scratch, visitor: &mut V) {
        by_format!(self, format => format.visit_field(index, scratch, visitor));
    }

    fn events(&self, field: u32, lane: u32, seen: u32) -> Option<Vec<Event>> {
        by_format!(self, format => format.events(field, lane, seen))
    }

    fn rates(&self, field: u32, lanes: Range<u32>) -> Option<Vec<WindowRate>> {
        by_format!(self, format => format.rates(field, lanes))
    }
}

/// Opens a file and finds its format.
///
/// An error means that the path is no regular file that can be opened. A file whose content is
/// refused is returned with the reason.
pub(crate) fn open(
    path: &Path,
    allowance: &mut Allowance,
) -> Result<(FileInfo, Result<Content, Refused>), Problem> {
    let opened = match crate::backend::open(path) {
        Ok(opened) => opened,
        Err(error) => {
            let problem = Problem::from_system(path, &error);
            return match error.kind() {
                ErrorKind::Empty | ErrorKind::TooLarge { .. } | ErrorKind::Shrunk => {
                    Ok((info(path)?, Err(Refused::damaged(problem))))
                }
                _ => Err(problem),
            };
        }
    };
    let info = opened.info().clone();
    let region = match View::new(Arc::clone(opened.mapping())) {
        Ok(region) => region,
        Err(error) => {
            let problem = Problem::new(path, "io", error.to_string());
            return Ok((info, Err(Refused::damaged(problem))));
        }
    };
    let content = match sniff(&region) {
        FormatNumber::Three => {
            Image::new(path, opened, region, allowance).map(|image| Content::Image(Box::new(image)))
        }
        FormatNumber::One => Legacy::read(path).map(Content::Legacy),
        _ => {
            let mut first = [0; 8];
            region.copy(0, &mut first);
            let len = region.memory().len().min(first.len());
            let problem = Problem::unknown_format(path, first.get(..len).unwrap_or(&[]));
            Err(Refused { state: FileState::Foreign, problem, for_room: false })
        }
    };
    Ok((info, content))
}

/// Size, owner, time and identity of a file; links are not followed.
pub(crate) fn info(path: &Path) -> Result<FileInfo, Problem> {
    crate::backend::info(path).map_err(|error| Problem::from_system(path, &error))
}
