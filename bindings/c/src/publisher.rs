//! Publishers.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use mmstats::recorder_support::Mutex;
use mmstats::{Access, DynField, FieldOptions, Lane, OnDrop, Options, Publisher, Scalar, Schema};

use crate::declare::{Declared, FieldKey, Target, declare, options_of};
use crate::error::{Failure, answer, fail, finish};
use crate::input::{sized, text, texts};
use crate::layout::{ABI, CField, CKey, COptions, kind, option_flag, result};

/// `mmstats_publisher`.
#[derive(Debug)]
pub struct CPublisher {
    pub(crate) inner: Arc<Inner>,
}

/// What a publisher and its lanes share.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` if the start failed.
    publisher: Option<Publisher<Lane>>,
    /// The table of the start; without keys if it failed.
    table: Vec<Slot>,
    /// Fields that were added since.
    added: Vec<Declared>,
    /// Why the start failed.
    problem: Option<String>,
}

/// A field of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) offset: usize,
    pub(crate) kind: u32,
    pub(crate) form: Form,
    pub(crate) key: Option<FieldKey>,
}

/// What updates a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Own,
    Shared,
    Family,
}

impl Slot {
    pub(crate) const fn of(declared: &Declared) -> Self {
        let form = match declared.key {
            FieldKey::Own(_) => Form::Own,
            FieldKey::Shared(_) => Form::Shared,
            FieldKey::Family(_) => Form::Family,
        };
        let Declared { offset, kind, key } = *declared;
        Self { offset, kind, form, key: Some(key) }
    }

    /// The place of a field that could not be declared.
    ///
    /// # Safety
    ///
    /// Its labels are as the header says.
    unsafe fn without_key(field: &CField) -> Self {
        // SAFETY: a list or NULL.
        let form = if !unsafe { texts(field.labels) }.is_empty() {
            Form::Family
        } else if field.flags & crate::layout::field_flag::SHARED != 0 {
            Form::Shared
        } else {
            Form::Own
        };
        Self { offset: field.offset, kind: field.kind, form, key: None }
    }
}

impl Inner {
    /// The publisher, or why there is none.
    pub(crate) fn publisher(&self) -> Result<Publisher<Lane>, Failure> {
        let state = self.state.lock();
        state.publisher.clone().ok_or_else(|| {
            let problem = state.problem.clone().unwrap_or_default();
            Failure::new(result::CLOSED, format!("nothing is published: {problem}"))
        })
    }

    /// The table of the start.
    pub(crate) fn table(&self) -> Vec<Slot> {
        self.state.lock().table.clone()
    }

    /// A field that was added.
    pub(crate) fn added(&self, key: CKey) -> Result<Declared, Failure> {
        let index = usize::try_from(key.number).ok().and_then(|number| number.checked_sub(1));
        let found = index.and_then(|index| self.state.lock().added.get(index).copied());
        found.ok_or_else(|| Failure::argument(format!("no field has the key {}", key.number)))
    }
}

/// The publisher at `publisher`.
///
/// # Safety
///
/// NULL, or a publisher that is not closed before the end of `'a`.
pub(crate) unsafe fn publisher_at<'a>(
    publisher: *const CPublisher,
) -> Result<&'a CPublisher, Failure> {
    // SAFETY: as the caller promises.
    unsafe { publisher.as_ref() }.ok_or_else(|| Failure::argument("the publisher is NULL"))
}

/// See the header.
///
/// # Safety
///
/// As the header says: pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_start(
    publisher: *mut *mut CPublisher,
    options: *const COptions,
) -> i32 {
    if publisher.is_null() {
        return fail(&Failure::argument("the place for the publisher is NULL"));
    }
    // SAFETY: not NULL; the caller's variable.
    unsafe { publisher.write(std::ptr::null_mut()) };
    // SAFETY: as the caller promises.
    let options = match unsafe { read_options(options) } {
        Ok(options) => options,
        Err(failure) => return fail(&failure),
    };
    // SAFETY: as the caller promises.
    let fields = match unsafe { read_fields(&options) } {
        Ok(fields) => fields,
        Err(failure) => return fail(&failure),
    };
    // SAFETY: as the caller promises.
    let (state, outcome) = match unsafe { start(&options, &fields) } {
        Ok(state) => (state, Ok(())),
        Err(failure) => {
            // SAFETY: as the caller promises.
            let table = fields.iter().map(|field| unsafe { Slot::without_key(field) }).collect();
            let problem = Some(failure.text().to_owned());
            (State { table, problem, ..State::default() }, Err(failure))
        }
    };
    let inner = Arc::new(Inner { state: Mutex::new(state) });
    // SAFETY: not NULL; the caller's variable.
    unsafe { publisher.write(Box::into_raw(Box::new(CPublisher { inner }))) };
    finish(outcome)
}

/// # Safety
///
/// NULL, or a struct of its own `size`.
unsafe fn read_options(options: *const COptions) -> Result<COptions, Failure> {
    if options.is_null() {
        return Err(Failure::argument("the options are NULL"));
    }
    // SAFETY: every version of the struct begins with its size.
    let size = unsafe { options.cast::<usize>().read() };
    if size < std::mem::offset_of!(COptions, fields) {
        return Err(Failure::new(result::ABI, format!("options of {size} bytes: MMSTATS_OPTIONS")));
    }
    // SAFETY: the struct has `size` bytes; numbers and pointers may be zero.
    let options = unsafe { sized(options, size) };
    if options.abi != ABI {
        let text = format!("the library has interface {ABI}, the program {}", options.abi);
        return Err(Failure::new(result::ABI, text));
    }
    Ok(options)
}

/// # Safety
///
/// The table has `field_count` structs of `field_size` bytes.
unsafe fn read_fields(options: &COptions) -> Result<Vec<CField>, Failure> {
    let (count, size) = (options.field_count, options.field_size);
    if count == 0 || options.fields.is_null() {
        return Ok(Vec::new());
    }
    if size < std::mem::offset_of!(CField, ty) {
        return Err(Failure::new(result::ABI, format!("fields of {size} bytes")));
    }
    let read = |index: usize| {
        let from = options.fields.cast::<u8>();
        // SAFETY: inside the table, which is one object.
        let from = unsafe { from.add(index * size) };
        // SAFETY: the struct has `size` bytes; numbers and pointers may be zero.
        unsafe { sized(from.cast::<CField>(), size) }
    };
    Ok((0..count).map(read).collect())
}

/// # Safety
///
/// All that the options and fields point to is as the header says.
unsafe fn start(options: &COptions, fields: &[CField]) -> Result<State, Failure> {
    let has = |flag: u32| options.flags & flag != 0;
    let mut all =
        if has(option_flag::NO_ENVIRONMENT) { Options::new() } else { Options::from_env() };
    // SAFETY: a text or NULL.
    if let Some(name) = unsafe { text(options.name) } {
        all = all.name(name);
    }
    // SAFETY: a text or NULL.
    if let Some(directory) = unsafe { text(options.directory) } {
        all = all.directory(directory);
    }
    // SAFETY: a text or NULL.
    if let Some(application) = unsafe { text(options.application) } {
        all = all.application(application);
    }
    // SAFETY: a text or NULL.
    if let Some(file) = unsafe { text(options.file) } {
        all = all.persistent(file);
    }
    if options.lanes != 0 {
        all = all.lanes(options.lanes);
    }
    let (reserved, strings) = (options.reserve_fields, options.reserve_text);
    if reserved != 0 || strings != 0 {
        all = all.reserve(reserved, strings);
    }
    if options.reserve_values != 0 {
        all = all.reserve_values(options.reserve_values);
    }
    if options.sample_seconds > 0.0 {
        // Clamped to a day at most.
        all = all.sample_every(Duration::from_secs_f64(options.sample_seconds.min(1e6)));
    }
    for (flag, set) in [
        (option_flag::OR_PRIVATE, (|all| all.or_private()) as fn(Options) -> Options),
        (option_flag::HIDDEN, |all| all.hidden()),
        (option_flag::KEEP, |all| all.on_drop(OnDrop::Keep)),
        (option_flag::NO_THREAD, |all| all.without_watcher()),
        (option_flag::FOR_GROUP, |all| all.access(Access::Group)),
        (option_flag::FOR_EVERYBODY, |all| all.access(Access::Everybody)),
    ] {
        if has(flag) {
            all = set(all);
        }
    }
    let mut schema = Schema::new();
    let mut table = Vec::new();
    for field in fields {
        // SAFETY: as the caller promises.
        table.push(Slot::of(&unsafe { declare(field, Target::Schema(&mut schema)) }?));
    }
    let publisher = Some(all.schema(schema).start::<Lane>()?);
    Ok(State { publisher, table, ..State::default() })
}

/// See the header.
///
/// # Safety
///
/// NULL, or a publisher that no other thread uses during this call and none afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_close(publisher: *mut CPublisher) {
    if publisher.is_null() {
        return;
    }
    // SAFETY: of `mmstats_start`, and the caller gives it up.
    let publisher = unsafe { Box::from_raw(publisher) };
    if let Some(publisher) = publisher.inner.state.lock().publisher.clone() {
        publisher.close();
    }
}

/// See the header.
///
/// # Safety
///
/// NULL or a publisher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_problem(publisher: *mut CPublisher) -> *const c_char {
    // SAFETY: as the caller promises.
    let problem = match unsafe { publisher_at(publisher) } {
        Ok(publisher) => match publisher.inner.publisher() {
            Ok(publisher) => publisher.problem().map(|problem| problem.to_string()),
            Err(failure) => Some(failure.text().to_owned()),
        },
        Err(failure) => Some(failure.text().to_owned()),
    };
    problem.map_or(std::ptr::null(), |problem| answer(&problem))
}

/// See the header.
///
/// # Safety
///
/// NULL or a publisher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_path(publisher: *mut CPublisher, index: usize) -> *const c_char {
    // SAFETY: as the caller promises.
    let publisher = unsafe { publisher_at(publisher) };
    let paths = publisher.and_then(|publisher| publisher.inner.publisher());
    let paths = paths.map_or_else(|_| Vec::new(), |publisher| publisher.paths());
    paths.get(index).map_or(std::ptr::null(), |path| answer(&path.to_string_lossy()))
}

/// See the header.
///
/// # Safety
///
/// NULL or a publisher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_flush(publisher: *mut CPublisher) -> i32 {
    // SAFETY: as the caller promises.
    let publisher = unsafe { publisher_at(publisher) };
    let publisher = publisher.and_then(|publisher| publisher.inner.publisher());
    finish(publisher.and_then(|publisher| Ok(publisher.flush(true)?)))
}

/// See the header.
///
/// # Safety
///
/// NULL or a publisher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_is_forked(publisher: *const CPublisher) -> i32 {
    // SAFETY: as the caller promises.
    let publisher = unsafe { publisher_at(publisher) };
    let publisher = publisher.and_then(|publisher| publisher.inner.publisher());
    i32::from(publisher.is_ok_and(|publisher| publisher.is_forked()))
}

/// See the header.
///
/// # Safety
///
/// NULL or a publisher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_restart(publisher: *mut CPublisher) -> i32 {
    // SAFETY: as the caller promises.
    let publisher = unsafe { publisher_at(publisher) };
    finish(publisher.and_then(|publisher| {
        let again = publisher.inner.publisher()?.restart()?;
        // The old one is dropped without the lock: it closes files.
        let old = publisher.inner.state.lock().publisher.replace(again);
        drop(old);
        Ok(())
    }))
}

/// See the header.
///
/// # Safety
///
/// NULL, or a publisher, a field and a variable of the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_add(
    publisher: *mut CPublisher,
    field: *const CField,
    key: *mut CKey,
) -> i32 {
    // SAFETY: as the caller promises.
    let publisher = unsafe { publisher_at(publisher) };
    // SAFETY: as the caller promises.
    let (field, key) = (unsafe { field.as_ref() }, unsafe { key.as_mut() });
    let (Some(field), Some(key)) = (field, key) else {
        return fail(&Failure::argument("the field or the place for its key is NULL"));
    };
    finish(publisher.and_then(|publisher| {
        let target = publisher.inner.publisher()?;
        // SAFETY: as the caller promises.
        let declared = unsafe { declare(field, Target::Publisher(&target)) }?;
        let mut state = publisher.inner.state.lock();
        state.added.push(declared);
        key.number = state.added.len() as u64;
        Ok(())
    }))
}

/// See the header.
///
/// # Safety
///
/// NULL or a publisher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_retire(publisher: *mut CPublisher, key: CKey) -> i32 {
    // SAFETY: as the caller promises.
    let publisher = unsafe { publisher_at(publisher) };
    finish(publisher.and_then(|publisher| {
        let declared = publisher.inner.added(key)?;
        let publisher = publisher.inner.publisher()?;
        match declared.key {
            FieldKey::Own(key) => publisher.retire(key)?,
            FieldKey::Shared(key) => publisher.retire(key)?,
            FieldKey::Family(_) => return Err(Failure::argument("a family is not retired")),
        }
        Ok(())
    }))
}

/// A callback of the caller with its argument.
struct Callback {
    call: unsafe extern "C" fn(*mut c_void) -> f64,
    argument: *mut c_void,
}

// SAFETY: the header says that the library calls it on a thread of its own, so the caller passes an
// argument that this thread may use.
unsafe impl Send for Callback {}

impl Callback {
    fn value(&self) -> f64 {
        // SAFETY: the caller's function with its argument, as the header says.
        unsafe { (self.call)(self.argument) }
    }
}

/// See the header.
///
/// # Safety
///
/// NULL, or a publisher, a field, and a function that may be called with `argument` on another thread until
/// the publisher is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_sample(
    publisher: *mut CPublisher,
    field: *const CField,
    callback: Option<unsafe extern "C" fn(*mut c_void) -> f64>,
    argument: *mut c_void,
) -> i32 {
    // SAFETY: as the caller promises.
    let publisher = unsafe { publisher_at(publisher) };
    // SAFETY: as the caller promises.
    let (Some(field), Some(call)) = (unsafe { field.as_ref() }, callback) else {
        return fail(&Failure::argument("the field or its callback is NULL"));
    };
    let callback = Callback { call, argument };
    finish(publisher.and_then(|publisher| {
        let publisher = publisher.inner.publisher()?;
        let field = CField { kind: kind::GAUGE, ty: 0, ..*field };
        // SAFETY: as the caller promises.
        let (label, options) = unsafe { options_of(&field, FieldOptions::<DynField>::new()) }?;
        publisher.sampled(label, options, move |field: &DynField| {
            if let DynField::Gauge(gauge) = field {
                let value = callback.value();
                if value.is_nan() {
                    gauge.clear();
                } else {
                    gauge.set(Scalar::F64(value));
                }
            }
        })?;
        Ok(())
    }))
}
