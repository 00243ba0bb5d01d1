//! Memory that survives a reset: a backend of one type.

use core::ptr::NonNull;

use mmstats_core::Memory;

use crate::fields::IMAGE;

unsafe extern "C" {
    // The linker script says where they are.
    static mut _retained_start: u8;
    static mut _retained_end: u8;
}

/// The RAM that the linker script keeps apart. It takes no room in a handle.
#[derive(Debug, Clone, Copy)]
pub struct Retained;

// SAFETY:
// - Range, provenance: the linker script keeps this RAM of the board for nothing else, and
//   the pointer is made from its start.
// - Alignment: it starts at a multiple of 4,096.
// - Stability: both are constants.
// - Access: no reference to these bytes is ever made, here or elsewhere.
// - Atomicity, presence: it is RAM of one processor, always there.
unsafe impl Memory for Retained {
    fn base(&self) -> NonNull<u8> {
        let start = &raw mut _retained_start;
        NonNull::new(start).unwrap_or(NonNull::dangling())
    }

    fn len(&self) -> usize {
        let end = &raw const _retained_end;
        let start = &raw const _retained_start;
        end.addr() - start.addr()
    }
}

/// The same for the image of [`fields`](crate::fields), whose places the compiler knows.
#[derive(Debug, Clone, Copy)]
pub struct Known;

// SAFETY: the memory of `Retained`.
unsafe impl Memory for Known {
    fn base(&self) -> NonNull<u8> {
        Retained.base()
    }

    fn len(&self) -> usize {
        Retained.len()
    }

    fn metadata(&self) -> Option<&'static [u32]> {
        Some(IMAGE.metadata())
    }
}
