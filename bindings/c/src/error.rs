//! The last error of a thread.

use std::cell::RefCell;
use std::ffi::{CString, c_char};

use mmstats::ErrorCode;

use crate::layout::{self, result};

/// A failure, as a number of the header and a text.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    text: String,
}

impl Failure {
    pub(crate) fn new(code: i32, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::new(result::ARGUMENT, text)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl From<mmstats::Error> for Failure {
    fn from(error: mmstats::Error) -> Self {
        let code = match error.code() {
            ErrorCode::Field | ErrorCode::Duplicate | ErrorCode::Labels | ErrorCode::TooLarge => {
                result::FIELD
            }
            ErrorCode::System => result::SYSTEM,
            ErrorCode::Forked => result::FORKED,
            ErrorCode::Closed => result::CLOSED,
            ErrorCode::Reentrant => result::REENTRANT,
            _ => result::OTHER,
        };
        Self::new(code, error.to_string())
    }
}

thread_local! {
    /// The text of the last error.
    static LAST: RefCell<CString> = RefCell::default();
    /// A text that was asked for: a problem, a path.
    static ANSWER: RefCell<CString> = RefCell::default();
}

/// The number of a result, whose text `mmstats_error` has.
pub(crate) fn finish(outcome: Result<(), Failure>) -> i32 {
    match outcome {
        Ok(()) => {
            remember("");
            result::OK
        }
        Err(failure) => fail(&failure),
    }
}

/// Remembers a failure; its number.
pub(crate) fn fail(failure: &Failure) -> i32 {
    remember(&failure.text);
    failure.code
}

fn remember(text: &str) {
    let text = c_string(text);
    // A thread that is ending has no texts.
    let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = text));
}

/// A pointer to the text, until this thread asks for the next one.
pub(crate) fn answer(text: &str) -> *const c_char {
    let text = c_string(text);
    let kept = ANSWER.try_with(|answer| {
        let mut answer = answer.try_borrow_mut().ok()?;
        *answer = text;
        Some(answer.as_ptr())
    });
    kept.ok().flatten().unwrap_or(std::ptr::null())
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// See the header.
#[unsafe(no_mangle)]
pub extern "C" fn mmstats_error() -> *const c_char {
    let last = LAST.try_with(|last| last.try_borrow().map(|last| last.as_ptr()).ok());
    last.ok().flatten().unwrap_or(c"".as_ptr())
}

/// See the header.
#[unsafe(no_mangle)]
pub extern "C" fn mmstats_abi() -> u32 {
    layout::ABI
}
