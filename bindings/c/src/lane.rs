//! Lanes of threads, and the handles in the caller's struct.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use mmstats::{DynFamily, DynField, Lane, SharedField};

use crate::declare::FieldKey;
use crate::error::{Failure, fail, finish};
use crate::input::text;
use crate::layout::{CCounter, CGauge, CHandle, CKey, kind};
use crate::publisher::{CPublisher, Form, Inner, Slot, publisher_at};

/// `mmstats_lane`.
#[derive(Debug)]
pub struct CLane {
    inner: Arc<Inner>,
    lane: Lane,
    kept: RefCell<Kept>,
}

/// What the handles point to. Reference-counted, so that it stays where it is.
#[derive(Debug, Default)]
struct Kept {
    own: Vec<Rc<DynField>>,
    shared: Vec<Rc<SharedField<DynField>>>,
    families: Vec<Rc<DynFamily<DynField>>>,
}

/// The cell of inline updates that no reader sees.
static SCRATCH: AtomicU64 = AtomicU64::new(0);
/// The presence bits of these: all set, so that none is ever stored.
static PRESENT: AtomicU32 = AtomicU32::new(u32::MAX);

/// Whether inline updates are loads and stores of the cell. On other machines `at` is the field.
pub(crate) const HAS_CELLS: bool = cfg!(target_pointer_width = "64");

/// What a handle points to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// Nothing that a reader sees.
    Scratch,
    Own(&'a DynField),
    Shared(&'a SharedField<DynField>),
    Family(&'a DynFamily<DynField>),
}

/// Writes the handle of a field of this kind.
///
/// # Safety
///
/// `at` is a place for the handle of the kind, or of a shared field or a family.
pub(crate) unsafe fn write_handle(at: *mut c_void, kind: u32, form: Form, target: Target<'_>) {
    let (own, shared): (*const c_void, *const c_void) = match target {
        Target::Scratch => (std::ptr::null(), std::ptr::null()),
        Target::Own(field) => (std::ptr::from_ref(field).cast(), std::ptr::null()),
        Target::Shared(field) => (std::ptr::null(), std::ptr::from_ref(field).cast()),
        Target::Family(family) => (std::ptr::from_ref(family).cast(), std::ptr::null()),
    };
    match (form, kind) {
        (Form::Own, kind::COUNTER) => {
            let cell = match target {
                _ if !HAS_CELLS => own.cast_mut(),
                Target::Own(DynField::Counter(counter)) => {
                    counter.place().map_or(scratch(), |place| place.as_ptr().cast())
                }
                _ => scratch(),
            };
            // SAFETY: a place for an `mmstats_counter`.
            unsafe { at.cast::<CCounter>().write(CCounter { at: cell }) };
        }
        (Form::Own, kind::GAUGE) => {
            // SAFETY: a place for an `mmstats_gauge`.
            unsafe { at.cast::<CGauge>().write(gauge(own, target)) };
        }
        (Form::Family, kind) => {
            // For the handles that it gives.
            let shared = std::ptr::without_provenance(kind as usize);
            // SAFETY: a place for an `mmstats_handle`.
            unsafe { at.cast::<CHandle>().write(CHandle { own, shared }) };
        }
        // SAFETY: a place for an `mmstats_handle`.
        _ => unsafe { at.cast::<CHandle>().write(CHandle { own, shared }) },
    }
}

fn scratch() -> *mut c_void {
    SCRATCH.as_ptr().cast()
}

/// Whether a word is that of [`PRESENT`].
pub(crate) fn is_scratch(presence: *mut u32) -> bool {
    presence == PRESENT.as_ptr()
}

fn gauge(own: *const c_void, target: Target<'_>) -> CGauge {
    let nowhere = CGauge { at: scratch(), presence: PRESENT.as_ptr(), bit: u32::MAX, reserved: 0 };
    if !HAS_CELLS {
        return CGauge { at: own.cast_mut(), ..nowhere };
    }
    let Target::Own(DynField::Gauge(gauge)) = target else { return nowhere };
    let Some(places) = gauge.places() else { return nowhere };
    let at = places.value.as_ptr().cast();
    match places.presence {
        Some((word, bit)) => CGauge { at, presence: word.as_ptr(), bit: bit.to_le(), reserved: 0 },
        None => CGauge { at, ..nowhere },
    }
}

impl CLane {
    /// Attaches a field and writes its handle.
    ///
    /// # Safety
    ///
    /// `at` is a place for the handle of the field.
    unsafe fn attach(&self, slot: &Slot, at: *mut c_void) -> Result<(), Failure> {
        let mut kept = self.kept.borrow_mut();
        let target = match slot.key {
            None => Target::Scratch,
            Some(FieldKey::Own(key)) => {
                kept.own.push(Rc::new(self.lane.attach(key)?));
                kept.own.last().map_or(Target::Scratch, |field| Target::Own(field))
            }
            Some(FieldKey::Shared(key)) => {
                let field = self.inner.publisher()?.attach_shared(key)?;
                kept.shared.push(Rc::new(field));
                kept.shared.last().map_or(Target::Scratch, |field| Target::Shared(field))
            }
            Some(FieldKey::Family(key)) => {
                let family = self.lane.dyn_family(key)?;
                kept.families.push(Rc::new(family));
                kept.families.last().map_or(Target::Scratch, |family| Target::Family(family))
            }
        };
        // SAFETY: as the caller promises. What the target refers to stays in `kept`.
        unsafe { write_handle(at, slot.kind, slot.form, target) };
        Ok(())
    }
}

/// Claims a lane and fills the handles.
///
/// # Safety
///
/// `publisher` is NULL or a publisher, `handles` the caller's struct, with a place for each handle of the
/// table.
unsafe fn attach(
    publisher: *mut CPublisher,
    handles: *mut c_void,
    owner: Option<(u64, Option<&str>)>,
) -> Result<Box<CLane>, Failure> {
    // SAFETY: as the caller promises.
    let CPublisher { inner } = unsafe { publisher_at(publisher) }?;
    let table = inner.table();
    if handles.is_null() && !table.is_empty() {
        return Err(Failure::argument("the struct of handles is NULL"));
    }
    let each = |attach: &dyn Fn(&Slot, *mut c_void) -> Result<(), Failure>| {
        table.iter().try_for_each(|slot| {
            // SAFETY: the offset of a handle in the caller's struct.
            attach(slot, unsafe { handles.cast::<u8>().add(slot.offset) }.cast())
        })
    };
    let nowhere = |slot: &Slot, at| {
        // SAFETY: a place for the handle, as the caller promises.
        unsafe { write_handle(at, slot.kind, slot.form, Target::Scratch) };
        Ok(())
    };
    each(&nowhere)?;
    let publisher = inner.publisher()?;
    let lane = match owner {
        Some((thread, name)) => publisher.lane_for(thread, name)?,
        None => publisher.lane()?,
    };
    let lane = CLane { inner: Arc::clone(inner), lane, kept: RefCell::default() };
    let lane = Box::new(lane);
    // SAFETY: a place for the handle, as the caller promises.
    let attached = each(&|slot, at| unsafe { lane.attach(slot, at) });
    if let Err(failure) = attached {
        // Handles must not point into a lane that is dropped.
        each(&nowhere)?;
        return Err(failure);
    }
    Ok(lane)
}

/// A lane for the caller, or NULL.
fn given(lane: Result<Box<CLane>, Failure>) -> *mut CLane {
    match lane {
        Ok(lane) => {
            finish(Ok(()));
            Box::into_raw(lane)
        }
        Err(failure) => {
            fail(&failure);
            std::ptr::null_mut()
        }
    }
}

/// See the header.
///
/// # Safety
///
/// `publisher` is NULL or a publisher, `handles` the caller's struct, with a place for each handle of the
/// table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_attach(
    publisher: *mut CPublisher,
    handles: *mut c_void,
) -> *mut CLane {
    // SAFETY: as the caller promises.
    given(unsafe { attach(publisher, handles, None) })
}

/// See the header.
///
/// # Safety
///
/// As [`mmstats_attach`]; `name` is NULL or a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_attach_for(
    publisher: *mut CPublisher,
    handles: *mut c_void,
    thread: u64,
    name: *const c_char,
) -> *mut CLane {
    // SAFETY: a text or NULL.
    let name = unsafe { text(name) };
    // SAFETY: as the caller promises.
    given(unsafe { attach(publisher, handles, Some((thread, name))) })
}

/// See the header.
///
/// # Safety
///
/// NULL, or a lane of this thread whose handles are not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_detach(lane: *mut CLane) {
    if !lane.is_null() {
        // SAFETY: of `mmstats_attach`, and the caller gives it up.
        drop(unsafe { Box::from_raw(lane) });
    }
}

/// See the header.
///
/// # Safety
///
/// NULL or a lane of this thread; `handle` is a place for the handle of the field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_attach_key(
    lane: *mut CLane,
    key: CKey,
    handle: *mut c_void,
) -> i32 {
    // SAFETY: NULL or a lane.
    let Some(lane) = (unsafe { lane.as_ref() }) else {
        return fail(&Failure::argument("the lane is NULL"));
    };
    finish(lane.inner.added(key).and_then(|declared| {
        let slot = Slot::of(&declared);
        // SAFETY: a place for the handle, as the caller promises.
        let attached = unsafe { lane.attach(&slot, handle) };
        attached.inspect_err(|_| {
            // SAFETY: as above.
            unsafe { write_handle(handle, slot.kind, slot.form, Target::Scratch) };
        })
    }))
}
