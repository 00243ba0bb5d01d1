//! The lanes of one thread: one in a file of each segment that it uses.

use std::cell::RefCell;
use std::sync::Arc;

use mmstats_core as core;

use crate::claim::Keep;
use crate::error::Error;
use crate::files::Files;
use crate::files::settings::Fallback;
use crate::handles::Gauge;
use crate::schema::declaration::Field;
use crate::schema::key::Address;

/// The lanes of one thread, one in each segment.
pub(crate) struct ThreadLanes {
    pub(crate) files: Arc<Files>,
    fallback: Fallback,
    /// In the first segment.
    pub(crate) first: core::Lane<Keep>,
    /// In the others, claimed when a field there is attached.
    further: RefCell<Vec<Option<core::Lane<Keep>>>>,
    /// Shows the thread id of the owner for as long as the lane is owned.
    _tid: Option<Gauge<u64>>,
}

impl ThreadLanes {
    /// Claims a lane in the first segment.
    pub(crate) fn claim(files: &Arc<Files>, fallback: Fallback) -> Result<Self, Error> {
        let first = files.claim(0, fallback)?.into_thread_lane()?;
        let mut tid = None;
        if let (Some(key), Some(id)) = (files.tid, crate::backend::process::thread_id()) {
            let gauge = Gauge::<u64>::attach(&first, key.address.id).map_err(Error::Attach)?;
            gauge.set(id);
            tid = Some(gauge);
        }
        let files = Arc::clone(files);
        Ok(Self { files, fallback, first, further: RefCell::default(), _tid: tid })
    }

    /// The handle of the field at `address`; the first one in a segment claims a lane there.
    pub(crate) fn attach<H: Field>(&self, address: Address) -> Result<H, Error> {
        let Address { segment, id } = address;
        if segment == 0 {
            return H::attach(&self.first, id).map_err(Error::Attach);
        }
        let segment = segment as usize;
        let mut further = self.further.borrow_mut();
        if let Some(Some(lane)) = further.get(segment) {
            return H::attach(lane, id).map_err(Error::Attach);
        }
        let lane = self.files.claim(segment, self.fallback)?.into_thread_lane()?;
        if further.len() <= segment {
            further.resize_with(segment + 1, || None);
        }
        H::attach(further[segment].insert(lane), id).map_err(Error::Attach)
    }
}
