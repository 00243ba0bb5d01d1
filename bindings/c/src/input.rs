//! Texts, lists and structs of the caller.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

/// The text at `text`, up to its first byte that is not UTF-8; `None` for NULL.
///
/// # Safety
///
/// NULL, or bytes that end with a zero byte and do not change for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL; the caller promises the end and that it stays.
    Some(utf8(unsafe { CStr::from_ptr(text) }.to_bytes()))
}

/// The longest prefix that is UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
    }
}

/// The texts at `list`, which ends with NULL; none for NULL.
///
/// # Safety
///
/// NULL, or a list that ends with NULL, of texts as in [`text`].
pub(crate) unsafe fn texts<'a>(list: *const *const c_char) -> Vec<&'a str> {
    let mut all = Vec::new();
    if list.is_null() {
        return all;
    }
    loop {
        // SAFETY: the elements before this one are not NULL, so it is in the list.
        let place = unsafe { list.add(all.len()) };
        // SAFETY: an element of the list.
        let element = unsafe { place.read() };
        // SAFETY: a text of the list, or NULL.
        match unsafe { text(element) } {
            Some(text) => all.push(text),
            None => return all,
        }
    }
}

/// `count` values from `values`; none for NULL.
///
/// # Safety
///
/// NULL, or `count` values that do not change for `'a`.
pub(crate) unsafe fn slice<'a, T>(values: *const T, count: usize) -> &'a [T] {
    if values.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: not NULL; the caller promises `count` values, aligned as C aligns them, which are one object
    // of C and so not longer than `isize::MAX`.
    unsafe { std::slice::from_raw_parts(values, count) }
}

/// The first `size` bytes of the struct at `from`, and zeros: a caller of an older header has a shorter one.
///
/// # Safety
///
/// `from` points to `size` bytes of a value of the header's struct. All-zero bytes are a `T`.
pub(crate) unsafe fn sized<T>(from: *const T, size: usize) -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    let len = size.min(size_of::<T>());
    // SAFETY: `from` has `size` bytes and `value` has those of a `T`; they do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), value.as_mut_ptr().cast(), len) };
    // SAFETY: zeros, in which the leading bytes are those of the caller's value.
    unsafe { value.assume_init() }
}
