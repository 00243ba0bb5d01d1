//! Updates by call. No update fails: a handle of nothing changes nothing.

use std::ffi::{CStr, c_char, c_void};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use mmstats::{
    ActivityRow, DataType, DynArray, DynFamily, DynField, DynGroup, Scalar, SharedField, Timed,
};

use crate::input::{slice, text, utf8};
use crate::lane::{HAS_CELLS, Target, is_scratch, write_handle};
use crate::layout::{CCounter, CGauge, CHandle, CSection, CValue};
use crate::publisher::Form;

/// Calls `update` with the field of a handle, if there is one and its lock is not held by this thread.
///
/// # Safety
///
/// Both pointers are NULL, or of a handle that is attached.
unsafe fn with<R>(handle: CHandle, update: impl FnOnce(&DynField) -> R) -> Option<R> {
    // SAFETY: NULL or the field of a lane that is not detached.
    if let Some(own) = unsafe { handle.own.cast::<DynField>().as_ref() } {
        return Some(update(own));
    }
    // SAFETY: as above.
    let shared = unsafe { handle.shared.cast::<SharedField<DynField>>().as_ref() };
    shared?.update(update).ok()
}

/// Functions that update a field of one kind.
macro_rules! updates {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? { $pattern:pat => $update:expr })*) => {$(
        /// See the header.
        ///
        /// # Safety
        ///
        /// The handle is attached, or of nothing. Pointers are NULL or valid.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(handle: CHandle $(, $argument: $type)*) $(-> $result)? {
            let update = |field: &DynField| match field {
                $pattern => $update,
                #[allow(unreachable_patterns)] // Some take every kind.
                _ => Default::default(),
            };
            // SAFETY: as the caller promises.
            let updated = unsafe { with(handle, update) };
            updated.unwrap_or_default()
        }
    )*};
}

/// The text of a caller; an empty one for NULL.
///
/// # Safety
///
/// NULL, or a text that does not change for `'a`.
unsafe fn value<'a>(value: *const c_char) -> &'a str {
    // SAFETY: as the caller promises.
    unsafe { text(value) }.unwrap_or("")
}

/// As [`value`], and whether nothing behind it was left out.
///
/// # Safety
///
/// As [`value`].
unsafe fn prefix<'a>(text: *const c_char) -> (&'a str, bool) {
    if text.is_null() {
        return ("", true);
    }
    // SAFETY: not NULL; the caller promises the end and that it stays.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    let good = utf8(bytes);
    (good, good.len() == bytes.len())
}

updates! {
    mmstats_float_counter_add(n: f64) { DynField::FloatCounter(counter) => counter.add(n) }
    mmstats_shared_set_u64(value: u64) { field => set(field, Scalar::U64(value)) }
    mmstats_shared_set_i64(value: i64) { field => set(field, Scalar::I64(value)) }
    mmstats_shared_set_f64(value: f64) { field => set(field, Scalar::F64(value)) }
    mmstats_shared_add_f64(n: f64) { DynField::Gauge(gauge) => { gauge.add(Scalar::F64(n)); } }
    mmstats_shared_add_i64(n: i64) { DynField::Gauge(gauge) => { gauge.add(Scalar::I64(n)); } }
    mmstats_shared_incr(n: u64) { DynField::Counter(counter) => counter.add(n) }
    mmstats_timestamp_now() { DynField::Timestamp(time) => time.set_now() }
    mmstats_timestamp_set(nanos: u64) { DynField::Timestamp(time) => time.set_nanos(nanos) }
    mmstats_timestamp_clear() { DynField::Timestamp(time) => time.clear() }
    mmstats_text_clear() { DynField::Text(text) => text.clear() }
    mmstats_blob_clear() { DynField::Blob(blob) => blob.clear() }
    mmstats_state_set(number: u32) -> i32 { DynField::State(state) => i32::from(state.set(number)) }
    mmstats_state_clear() { DynField::State(state) => state.clear() }
    mmstats_timer_record(nanos: u64) { field => record(field, nanos) }
    mmstats_histogram_record(value: u64) {
        DynField::Latency(histogram) => histogram.record_nanos(value)
    }
    mmstats_float_histogram_record(value: f64) {
        DynField::FloatHistogram(histogram) => histogram.record(value)
    }
    mmstats_average_record(value: f64) { DynField::Average(average) => average.record(value) }
    mmstats_window_record(value: f64) {
        DynField::Window(window) => { window.record(Scalar::F64(value)); }
    }
    mmstats_rate_add(n: u64) { DynField::Rate(rate) => rate.add(n) }
    mmstats_text_set(text: *const c_char) -> i32 {
        DynField::Text(field) => {
            // SAFETY: a text or NULL.
            let (good, is_whole) = unsafe { prefix(text) };
            i32::from(field.set(good) && is_whole)
        }
    }
    mmstats_text_set_n(text: *const u8, length: usize) -> i32 {
        DynField::Text(field) => {
            // SAFETY: `length` bytes or NULL.
            let bytes = unsafe { slice(text, length) };
            let good = utf8(bytes);
            i32::from(field.set(good) && good.len() == bytes.len())
        }
    }
    mmstats_blob_set(bytes: *const u8, length: usize) -> i32 {
        // SAFETY: `length` bytes or NULL.
        DynField::Blob(field) => i32::from(field.set(unsafe { slice(bytes, length) }))
    }
    mmstats_array_set(elements: *const c_void, count: usize) -> i32 {
        // SAFETY: `count` elements of the field's type, or NULL.
        DynField::Array(array) => i32::from(unsafe { set_array(array, elements, count) })
    }
    mmstats_group_set(values: *const CValue, count: usize) -> i32 {
        DynField::Group(group) => {
            // SAFETY: `count` values or NULL.
            let values = unsafe { slice(values, count) };
            i32::from(set_group(group, values))
        }
    }
    mmstats_events_record(line: *const c_char) -> i32 {
        DynField::Events(events) => {
            // SAFETY: a text or NULL.
            let (good, is_whole) = unsafe { prefix(line) };
            i32::from(events.record(good) && is_whole)
        }
    }
    mmstats_activity_begin(text: *const c_char) -> u32 {
        DynField::Activity(activity) => {
            // SAFETY: a text or NULL.
            let row = activity.begin(unsafe { value(text) });
            row.map_or(0, |row| row.into_number() + 1)
        }
    }
    mmstats_activity_set(row: u32, text: *const c_char) {
        DynField::Activity(activity) => if let Some(row) = row.checked_sub(1) {
            let row = ActivityRow::from_number(row);
            // SAFETY: a text or NULL.
            activity.set(&row, unsafe { value(text) });
        }
    }
    mmstats_activity_end(row: u32) {
        DynField::Activity(activity) => if let Some(row) = row.checked_sub(1) {
            activity.end(ActivityRow::from_number(row));
        }
    }
    mmstats_timer_begin() -> CSection {
        field => CSection { begun: now(), running: match field {
            DynField::Timer(timer) => timer.begun(),
            DynField::Latency(latency) => latency.begun(),
            _ => 0,
        } }
    }
    mmstats_timer_end(section: CSection) {
        field => {
            record(field, now().saturating_sub(section.begun));
            match field {
                DynField::Timer(timer) => timer.ended(section.running),
                DynField::Latency(latency) => latency.ended(section.running),
                _ => {}
            }
        }
    }
}

/// Nanoseconds of a clock that does not go back.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn record(field: &DynField, nanos: u64) {
    match field {
        DynField::Timer(timer) => timer.record_nanos(nanos),
        DynField::Latency(latency) => latency.record_nanos(nanos),
        _ => {}
    }
}

/// Sets a gauge, or the sum of a counter.
fn set(field: &DynField, value: Scalar) {
    match (field, value) {
        (DynField::Gauge(gauge), Scalar::U64(value)) if gauge.ty() == DataType::Bool => {
            gauge.set(Scalar::Bool(value != 0));
        }
        (DynField::Gauge(gauge), value) => {
            gauge.set(value);
        }
        (DynField::Counter(counter), Scalar::U64(value)) => counter.set(value),
        _ => {}
    }
}

/// The value of a member of type `ty`; for a type of no number one that fits no member.
fn scalar(value: CValue, ty: DataType) -> Scalar {
    // SAFETY: all members are 8 bytes, and any bits are a number.
    let bits = unsafe { value.u64 };
    match ty {
        DataType::I8 | DataType::I16 | DataType::I32 | DataType::I64 => {
            Scalar::I64(bits.cast_signed())
        }
        #[allow(clippy::cast_possible_truncation)] // A float of half the size, rounded.
        DataType::F32 => Scalar::F32(f64::from_bits(bits) as f32),
        DataType::F64 => Scalar::F64(f64::from_bits(bits)),
        DataType::Bool => Scalar::Bool(bits != 0),
        _ => Scalar::U64(bits),
    }
}

/// Number of members whose values need no allocation.
const MEMBERS: usize = 64;

fn set_group(group: &DynGroup, values: &[CValue]) -> bool {
    let of = |(index, value): (usize, &CValue)| {
        group.member(index).map_or(Scalar::U64(0), |ty| scalar(*value, ty))
    };
    let all = values.iter().enumerate().map(of);
    let mut few = [Scalar::U64(0); MEMBERS];
    match few.get_mut(..values.len()) {
        Some(few) => {
            few.iter_mut().zip(all).for_each(|(to, from)| *to = from);
            group.set(few)
        }
        None => group.set(&all.collect::<Vec<_>>()),
    }
}

/// # Safety
///
/// `elements` is NULL, or has `count` elements of the type of the array.
unsafe fn set_array(array: &DynArray, elements: *const c_void, count: usize) -> bool {
    macro_rules! typed {
        ($($variant:ident => $type:ty),*) => {
            match array.element() {
                // SAFETY: as the caller promises.
                $(DataType::$variant => array.set(unsafe { slice(elements.cast::<$type>(), count) }),)*
                DataType::Bool => {
                    // SAFETY: as the caller promises; a bool of C is a byte here.
                    let bytes = unsafe { slice(elements.cast::<u8>(), count) };
                    array.set(&bytes.iter().map(|byte| *byte != 0).collect::<Vec<bool>>())
                }
                _ => false,
            }
        };
    }
    typed!(U8 => u8, U16 => u16, U32 => u32, U64 => u64, I8 => i8, I16 => i16, I32 => i32, I64 => i64,
        F32 => f32, F64 => f64)
}

/// Number of labels whose values need no allocation.
const LABELS: usize = 32;

/// See the header.
///
/// # Safety
///
/// The handle is attached, or of nothing; `values` has `count` texts, and `handle` is a place for the handle of the
/// family's kind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmstats_family_get(
    family: CHandle,
    values: *const *const c_char,
    count: usize,
    handle: *mut c_void,
) {
    // The second word of a family's handle is the kind of its fields.
    let kind = u32::try_from(family.shared.addr()).unwrap_or(0);
    // SAFETY: NULL or the family of a lane that is not detached.
    let Some(family) = (unsafe { family.own.cast::<DynFamily<DynField>>().as_ref() }) else {
        // SAFETY: as the caller promises.
        unsafe { write_handle(handle, kind, Form::Own, Target::Scratch) };
        return;
    };
    // SAFETY: `count` texts or NULL.
    let given = unsafe { slice(values, count) };
    // SAFETY: a text or NULL.
    let all = given.iter().map(|text| unsafe { value(*text) });
    let mut few = [""; LABELS];
    let field = match few.get_mut(..given.len()) {
        Some(few) => {
            few.iter_mut().zip(all).for_each(|(to, from)| *to = from);
            family.get(few)
        }
        None => family.get(&all.collect::<Vec<_>>()),
    };
    // SAFETY: as the caller promises; the family keeps the field.
    unsafe { write_handle(handle, kind, Form::Own, Target::Own(field)) };
}

/// Functions that update a cell where the machine has one, else the field.
macro_rules! cells {
    ($($name:ident($handle:ident: $type:ty $(, $argument:ident: $value:ty)*) $(-> $result:ty)? {
        $cell:expr, $pattern:pat => $update:expr
    })*) => {$(
        /// See the header.
        ///
        /// # Safety
        ///
        /// The handle is attached, or of nothing.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($handle: $type $(, $argument: $value)*) $(-> $result)? {
            if HAS_CELLS {
                return $cell;
            }
            // SAFETY: NULL or the field of a lane that is not detached.
            match unsafe { $handle.at.cast::<DynField>().as_ref() } {
                Some($pattern) => $update,
                _ => Default::default(),
            }
        }
    )*};
}

cells! {
    mmstats_counter_add_call(counter: CCounter, n: u64) {
        // SAFETY: the cell of an attached counter, or the scratch word.
        unsafe { add(counter.at, n) }, DynField::Counter(counter) => counter.add(n)
    }
    mmstats_counter_set_call(counter: CCounter, value: u64) {
        // SAFETY: as above.
        unsafe { store(counter.at, value) }, DynField::Counter(counter) => counter.set(value)
    }
    mmstats_counter_get_call(counter: CCounter) -> u64 {
        // SAFETY: as above.
        unsafe { load(counter.at) }, DynField::Counter(counter) => counter.get()
    }
    mmstats_gauge_set_call(gauge: CGauge, bits: u64) {
        // SAFETY: the cell and the presence word of an attached gauge, or scratch words.
        unsafe { set_cell(&gauge, bits) }, DynField::Gauge(gauge) => {
            gauge.set(scalar(CValue { u64: bits }, gauge.ty()));
        }
    }
    mmstats_gauge_get_call(gauge: CGauge) -> u64 {
        // SAFETY: as above.
        unsafe { load(gauge.at) }, DynField::Gauge(gauge) => {
            gauge.get().and_then(|value| value.to_bits(gauge.ty())).unwrap_or(0)
        }
    }
    mmstats_flag_set_call(gauge: CGauge, value: i32) {
        // SAFETY: as above; the cell of a flag has 4 bytes.
        unsafe { set_flag(&gauge, value != 0) }, DynField::Gauge(gauge) => {
            gauge.set(Scalar::Bool(value != 0));
        }
    }
    mmstats_gauge_clear(gauge: CGauge) {
        // SAFETY: as above.
        unsafe { hide(&gauge) }, DynField::Gauge(gauge) => gauge.clear()
    }
}

/// The cell of 8 bytes at `at`.
///
/// # Safety
///
/// `at` is an aligned cell that stays for `'a`, and is touched by atomic accesses of its size only.
unsafe fn cell<'a>(at: *mut c_void) -> &'a AtomicU64 {
    // SAFETY: as the caller promises.
    unsafe { AtomicU64::from_ptr(at.cast()) }
}

/// # Safety
///
/// As [`cell`].
unsafe fn load(at: *mut c_void) -> u64 {
    // SAFETY: as the caller promises.
    u64::from_le(unsafe { cell(at) }.load(Ordering::Relaxed))
}

/// # Safety
///
/// As [`cell`].
unsafe fn store(at: *mut c_void, bits: u64) {
    // SAFETY: as the caller promises.
    unsafe { cell(at) }.store(bits.to_le(), Ordering::Relaxed);
}

/// # Safety
///
/// As [`cell`].
unsafe fn add(at: *mut c_void, n: u64) {
    // SAFETY: as the caller promises.
    let sum = unsafe { load(at) }.wrapping_add(n);
    // SAFETY: as the caller promises.
    unsafe { store(at, sum) };
}

/// # Safety
///
/// The places of the gauge are as in [`cell`]; the word of presence bits has one writer.
unsafe fn set_cell(gauge: &CGauge, bits: u64) {
    // SAFETY: as the caller promises.
    unsafe { store(gauge.at, bits) };
    // SAFETY: as the caller promises.
    unsafe { show(gauge) };
}

/// # Safety
///
/// As [`set_cell`]; the cell has 4 bytes.
unsafe fn set_flag(gauge: &CGauge, value: bool) {
    // SAFETY: as the caller promises.
    let cell = unsafe { AtomicU32::from_ptr(gauge.at.cast()) };
    cell.store(u32::from(value).to_le(), Ordering::Relaxed);
    // SAFETY: as the caller promises.
    unsafe { show(gauge) };
}

/// # Safety
///
/// As [`set_cell`].
unsafe fn show(gauge: &CGauge) {
    // SAFETY: as the caller promises.
    let word = unsafe { AtomicU32::from_ptr(gauge.presence) };
    let bits = word.load(Ordering::Relaxed);
    if bits & gauge.bit == 0 {
        // Must be Release: a reader that sees the bit sees the value, stored before.
        word.store(bits | gauge.bit, Ordering::Release);
    }
}

/// # Safety
///
/// As [`set_cell`].
unsafe fn hide(gauge: &CGauge) {
    if is_scratch(gauge.presence) {
        return;
    }
    // SAFETY: as the caller promises.
    let word = unsafe { AtomicU32::from_ptr(gauge.presence) };
    // Must be Release: readers that see the presence bits that stay must see what they were set after.
    word.store(word.load(Ordering::Relaxed) & !gauge.bit, Ordering::Release);
}
