//! Memory that survives a reset.

use core::ptr::NonNull;

use mmstats_core::Memory;

use crate::fields::IMAGE;

unsafe extern "C" {
    // Defined by the linker script.
    static mut _retained_start: u8;
    static mut _retained_end: u8;
}

/// RAM reserved by the linker script. It takes no room in a handle.
#[derive(Debug, Clone, Copy)]
pub struct Retained;

// SAFETY:
// - Range, provenance: the linker script reserves this RAM of the board, and the pointer is made
//   from its start.
// - Alignment: it starts at a multiple of 4,096.
// - Stability: both are constants.
// - Access: there is no reference to these bytes.
// - Atomicity, presence: RAM of one processor, always present.
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

/// [`Retained`] for the image of [`fields`](crate::fields), whose metadata is constant.
#[derive(Debug, Clone, Copy)]
pub struct RetainedImage;

// SAFETY: the memory of `Retained`.
unsafe impl Memory for RetainedImage {
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
