//! Structs and numbers of `include/mmstats.h`. A test compares them with what a C compiler makes of it.

use std::ffi::{c_char, c_void};

/// Version of the interface: `MMSTATS_ABI`.
pub const ABI: u32 = 1;

/// Numbers of `enum mmstats_kind`.
#[allow(missing_docs)] // Documented in the header.
pub mod kind {
    pub const COUNTER: u32 = 1;
    pub const FLOAT_COUNTER: u32 = 2;
    pub const GAUGE: u32 = 3;
    pub const TIMESTAMP: u32 = 4;
    pub const TEXT: u32 = 5;
    pub const BLOB: u32 = 6;
    pub const ARRAY: u32 = 7;
    pub const STATE: u32 = 8;
    pub const GROUP: u32 = 9;
    pub const TIMER: u32 = 10;
    pub const LATENCY: u32 = 11;
    pub const HISTOGRAM: u32 = 12;
    pub const FLOAT_HISTOGRAM: u32 = 13;
    pub const AVERAGE: u32 = 14;
    pub const WINDOW: u32 = 15;
    pub const RATE: u32 = 16;
    pub const EVENTS: u32 = 17;
    pub const ACTIVITY: u32 = 18;
    pub const INFO: u32 = 19;
}

/// Flags of fields and members: `enum mmstats_field_flag`.
#[allow(missing_docs)] // Documented in the header.
pub mod field_flag {
    pub const SHARED: u32 = 1;
    pub const RUNNING: u32 = 2;
    pub const GROWS: u32 = 4;
}

/// Flags of options: `enum mmstats_flag_of_options`.
#[allow(missing_docs)] // Documented in the header.
pub mod option_flag {
    pub const OR_PRIVATE: u32 = 1;
    pub const HIDDEN: u32 = 2;
    pub const KEEP: u32 = 4;
    pub const NO_THREAD: u32 = 8;
    pub const NO_ENVIRONMENT: u32 = 16;
    pub const FOR_GROUP: u32 = 32;
    pub const FOR_EVERYBODY: u32 = 64;
}

/// Results: `enum mmstats_result`.
#[allow(missing_docs)] // Documented in the header.
pub mod result {
    pub const OK: i32 = 0;
    pub const ARGUMENT: i32 = 1;
    pub const ABI: i32 = 2;
    pub const FIELD: i32 = 3;
    pub const SYSTEM: i32 = 4;
    pub const FORKED: i32 = 5;
    pub const CLOSED: i32 = 6;
    pub const REENTRANT: i32 = 7;
    pub const OTHER: i32 = 8;
}

/// `mmstats_member`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub struct CMember {
    pub label: *const c_char,
    pub unit: *const c_char,
    pub help: *const c_char,
    pub ty: u32,
    pub flags: u32,
}

/// `mmstats_field`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub struct CField {
    pub label: *const c_char,
    pub help: *const c_char,
    pub unit: *const c_char,
    pub offset: usize,
    pub kind: u32,
    pub ty: u32,
    pub capacity: u32,
    pub count: u32,
    pub flags: u32,
    pub aggregation: u32,
    pub error: f64,
    pub low: f64,
    pub high: f64,
    pub attributes: *const *const c_char,
    pub names: *const *const c_char,
    pub members: *const CMember,
    pub member_count: usize,
    pub labels: *const *const c_char,
    pub value: *const c_char,
    pub cap: u32,
    pub reserved: u32,
}

/// `mmstats_options`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub struct COptions {
    pub size: usize,
    pub abi: u32,
    pub flags: u32,
    pub fields: *const CField,
    pub field_count: usize,
    pub field_size: usize,
    pub name: *const c_char,
    pub directory: *const c_char,
    pub application: *const c_char,
    pub file: *const c_char,
    pub lanes: u32,
    pub reserve_fields: u32,
    pub reserve_text: u32,
    pub reserve_values: u32,
    pub sample_seconds: f64,
}

/// `mmstats_counter`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub struct CCounter {
    pub at: *mut c_void,
}

/// `mmstats_gauge`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub struct CGauge {
    pub at: *mut c_void,
    pub presence: *mut u32,
    pub bit: u32,
    pub reserved: u32,
}

/// `mmstats_handle`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub struct CHandle {
    pub own: *const c_void,
    pub shared: *const c_void,
}

/// `mmstats_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub struct CKey {
    pub number: u64,
}

/// `mmstats_section`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub struct CSection {
    pub begun: u64,
    pub running: u64,
}

/// `mmstats_value`.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)] // Documented in the header.
pub union CValue {
    pub u64: u64,
    pub i64: i64,
    pub f64: f64,
}

impl std::fmt::Debug for CValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CValue").finish_non_exhaustive()
    }
}
