//! The content of a file, whatever its format.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use mmstats_core::read::{Format as FormatNumber, sniff};
use mmstats_core::{Memory, Region, Source};

use super::api::{Format, Refreshed};
use super::image::Image;
use super::legacy::Legacy;
use super::refused::Refused;
use super::scratch::{CheckBuffer, Scratch};
use super::visitor::Visitor;
use crate::backend::{ErrorKind, FileInfo};
use crate::field::FieldRef;
use crate::identity::{FileState, Identity, Instance, LaneInfo, Lanes};
use crate::problem::Problem;
use crate::value::{Event, WindowRate};

/// The content of a file: the one place that tells the formats apart.
#[derive(Debug)]
pub(crate) enum Content {
    Image(Box<Image>),
    Legacy(Legacy),
    /// Nothing can be read.
    Unreadable,
}

/// Opens a file and finds its format.
///
/// An error says that there is no regular file to speak of; a file that is refused is
/// reported with its reason.
pub(crate) fn open(
    path: &Path,
    buffer: &mut CheckBuffer,
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
    let region = match Region::new(Arc::clone(opened.mapping())) {
        Ok(region) => region,
        Err(error) => {
            let problem = Problem::new(path, "io", error.to_string());
            return Ok((info, Err(Refused::damaged(problem))));
        }
    };
    let content = match sniff(&region) {
        FormatNumber::Three => {
            Image::new(path, opened, buffer).map(|image| Content::Image(Box::new(image)))
        }
        FormatNumber::One => Legacy::read(path).map(Content::Legacy),
        _ => {
            let mut first = [0; 8];
            region.copy(0, &mut first);
            let len = region.memory().len().min(first.len());
            let problem = Problem::unknown_format(path, first.get(..len).unwrap_or(&[]));
            Err(Refused { state: FileState::Foreign, problem })
        }
    };
    Ok((info, content))
}

/// Size, owner, time and identity of a file; links are not followed.
pub(crate) fn info(path: &Path) -> Result<FileInfo, Problem> {
    crate::backend::info(path).map_err(|error| Problem::from_system(path, &error))
}

/// Calls a method of the format, with the result for unreadable content behind `else`.
macro_rules! by_format {
    ($content:expr, $format:ident => $call:expr, else $unreadable:expr) => {
        match $content {
            Content::Image($format) => $call,
            Content::Legacy($format) => $call,
            Content::Unreadable => $unreadable,
        }
    };
}

/// The methods of [`Format`]; unreadable content has no fields, no lanes and no values.
impl Content {
    pub(crate) fn number(&self) -> Option<u8> {
        by_format!(self, format => Some(format.number()), else None)
    }

    /// `None` for unreadable content.
    pub(crate) fn refresh(
        &mut self,
        path: &Path,
        size: u64,
        buffer: &mut CheckBuffer,
    ) -> Option<Result<Refreshed, Refused>> {
        by_format!(self, format => Some(format.refresh(path, size, buffer)), else None)
    }

    /// `None` for unreadable content.
    pub(crate) fn judge(
        &mut self,
        path: &Path,
        identity: &Identity,
    ) -> Option<Result<FileState, Refused>> {
        by_format!(self, format => Some(format.judge(path, identity)), else None)
    }

    pub(crate) fn identity(&self) -> Identity {
        by_format!(self, format => format.identity(), else Identity::default())
    }

    pub(crate) fn generation(&self) -> u32 {
        by_format!(self, format => format.generation(), else 0)
    }

    pub(crate) fn field_count(&self) -> usize {
        by_format!(self, format => format.field_count(), else 0)
    }

    pub(crate) fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        by_format!(self, format => format.field(index), else None)
    }

    pub(crate) fn lanes(&self) -> Lanes {
        by_format!(self, format => format.lanes(), else Lanes::default())
    }

    pub(crate) fn lanes_used(&self) -> u32 {
        by_format!(self, format => format.lanes_used(), else 0)
    }

    pub(crate) fn lane(&self, lane: u32) -> Option<LaneInfo> {
        by_format!(self, format => format.lane(lane), else None)
    }

    pub(crate) fn visit_constants<V: Visitor>(&self, scratch: &mut Scratch, visitor: &mut V) {
        by_format!(self, format => format.visit_constants(scratch, visitor), else ());
    }

    #[inline]
    pub(crate) fn visit_scalars<V: Visitor>(&self, lane: u32, visitor: &mut V) {
        by_format!(self, format => format.visit_scalars(lane, visitor), else ());
    }

    pub(crate) fn visit_lane<V: Visitor>(&self, lane: u32, scratch: &mut Scratch, visitor: &mut V) {
        by_format!(self, format => format.visit_lane(lane, scratch, visitor), else ());
    }

    pub(crate) fn visit_field<V: Visitor>(
        &self,
        index: u32,
        scratch: &mut Scratch,
        visitor: &mut V,
    ) {
        by_format!(self, format => format.visit_field(index, scratch, visitor), else ());
    }

    pub(crate) fn instance(&self) -> Option<Instance> {
        by_format!(self, format => format.instance(), else None)
    }

    pub(crate) fn part(&self) -> u32 {
        by_format!(self, format => format.part(), else 0)
    }

    pub(crate) fn fields_refused(&self) -> u32 {
        by_format!(self, format => format.fields_refused(), else 0)
    }

    pub(crate) fn metadata_size(&self) -> u64 {
        by_format!(self, format => format.metadata_size(), else 0)
    }

    pub(crate) fn is_lost(&self) -> bool {
        by_format!(self, format => format.is_lost(), else false)
    }

    pub(crate) fn is_whole(&self) -> bool {
        by_format!(self, format => format.is_whole(), else true)
    }

    pub(crate) fn has_mapping(&self) -> bool {
        by_format!(self, format => format.has_mapping(), else false)
    }

    pub(crate) fn close_handle(&mut self) {
        by_format!(self, format => format.close_handle(), else ());
    }

    pub(crate) fn events(&self, field: u32, lane: u32, seen: u32) -> Option<Vec<Event>> {
        by_format!(self, format => format.events(field, lane, seen), else None)
    }

    pub(crate) fn rates(&self, field: u32, lanes: Range<u32>) -> Option<Vec<WindowRate>> {
        by_format!(self, format => format.rates(field, lanes), else None)
    }
}
