//! The lanes of one thread: one in a file of each segment that it uses.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use mmstats_core as core;

use super::own;
use crate::claim::{Keep, use_field};
use crate::error::Error;
use crate::files::Files;
use crate::files::family::FamilyFields;
use crate::files::scratch::Scratch;
use crate::files::settings::Fallback;
use crate::files::standard::ThreadName;
use crate::handles::Gauge;
use crate::lock::Inside;
use crate::schema::declaration::Field;
use crate::schema::key::Address;

/// The memory of a thread's handles.
#[derive(Clone)]
pub(crate) enum Lanes {
    Thread(Rc<ThreadLanes>),
    /// For a call that comes from within the library.
    Scratch(Arc<Scratch>),
}

impl Lanes {
    /// Claims a lane in the first segment.
    pub(crate) fn claim(
        files: &Arc<Files>,
        fallback: Fallback,
        owner: Option<Owner>,
    ) -> Result<Self, Error> {
        Ok(Self::Thread(Rc::new(ThreadLanes::claim(files, fallback, owner)?)))
    }

    /// The handle of the field at `address`.
    pub(crate) fn attach<H: Field>(&self, address: Address) -> Result<H, Error> {
        match self {
            Self::Thread(lanes) => {
                lanes.files.refuse_reentry()?;
                // It allocates and locks: the program's allocator may come here again.
                let _inside = Inside::enter();
                lanes.attach(address)
            }
            Self::Scratch(scratch) => scratch.attach(address),
        }
    }

    /// The family with this number.
    pub(crate) fn family(&self, number: usize) -> Result<Arc<FamilyFields>, Error> {
        match self {
            Self::Thread(lanes) => lanes.files.family(number),
            Self::Scratch(scratch) => scratch.family(number),
        }
    }

    /// The lane of `segment` that all threads share.
    #[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // For shared gauges.
    pub(crate) fn shared(&self, segment: usize) -> Result<core::Lane<Keep>, Error> {
        match self {
            Self::Thread(lanes) => lanes.files.lasting_shared_lane(segment)?.open(),
            Self::Scratch(scratch) => scratch.lane(),
        }
    }

    /// The files; `None` for a call that comes from within the library.
    pub(crate) fn files(&self) -> Option<&Arc<Files>> {
        match self {
            Self::Thread(lanes) => Some(&lanes.files),
            Self::Scratch(_) => None,
        }
    }

    /// Number of the lane within its first file.
    pub(crate) fn index(&self) -> u32 {
        match self {
            Self::Thread(lanes) => lanes.first.index(),
            Self::Scratch(_) => 0,
        }
    }
}

/// The thread that a lane is of, if it is not the one that claims it.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
}

/// The lanes of one thread, one in each segment.
pub(crate) struct ThreadLanes {
    pub(crate) files: Arc<Files>,
    fallback: Fallback,
    owner: Option<Owner>,
    /// In the first segment.
    pub(crate) first: core::Lane<Keep>,
    /// In the others, claimed when a field there is attached.
    further: RefCell<Vec<Option<core::Lane<Keep>>>>,
}

impl ThreadLanes {
    /// Claims a lane in the first segment.
    fn claim(files: &Arc<Files>, fallback: Fallback, owner: Option<Owner>) -> Result<Self, Error> {
        let first = claim_in(files, 0, fallback, owner.as_ref())?;
        Ok(Self { files: Arc::clone(files), fallback, owner, first, further: RefCell::default() })
    }

    /// The handle of the field at `address`; the first one in a segment claims a lane there.
    pub(crate) fn attach<H: Field>(&self, address: Address) -> Result<H, Error> {
        let segment = address.segment;
        if segment == 0 {
            return attach_in(&self.first, address);
        }
        let segment = segment as usize;
        // Borrowed while a lane is claimed, which allocates.
        let mut further = self.further.try_borrow_mut().map_err(|_| Error::Reentrant)?;
        if let Some(Some(lane)) = further.get(segment) {
            return attach_in(lane, address);
        }
        let lane = claim_in(&self.files, segment, self.fallback, self.owner.as_ref())?;
        if further.len() <= segment {
            further.resize_with(segment + 1, || None);
        }
        attach_in(further[segment].insert(lane), address)
    }
}

/// The handle of the field at `address` in a lane of its segment.
fn attach_in<H: Field>(lane: &core::Lane<Keep>, address: Address) -> Result<H, Error> {
    if address.tenancy == 0 {
        return H::attach(lane, address.id).map_err(Error::Attach);
    }
    H::attach(&use_field(lane, address)?, address.id).map_err(Error::Attach)
}

/// Claims a lane in a segment for `owner`, or this thread, and says in it whose it is.
fn claim_in(
    files: &Arc<Files>,
    segment: usize,
    fallback: Fallback,
    owner: Option<&Owner>,
) -> Result<core::Lane<Keep>, Error> {
    let (lane, fields) = files.claim(segment, fallback)?.into_thread_lane()?;
    if owner.is_none() {
        own::remember(files.id, &lane);
    }
    let Some(fields) = fields else { return Ok(lane) };
    // The values stay for as long as the lane is owned.
    let id = owner.map_or_else(crate::backend::process::thread_id, |owner| Some(owner.id));
    if let Some(id) = id {
        Gauge::<u64>::attach(&lane, fields.tid).map_err(Error::Attach)?.set(id);
    }
    let set_name = |name: &str| {
        ThreadName::attach(&lane, fields.thread).map(|text| text.set(name)).map_err(Error::Attach)
    };
    match owner {
        Some(owner) => owner.name.as_deref().map(set_name).transpose()?,
        None => std::thread::current().name().map(set_name).transpose()?,
    };
    Ok(lane)
}
