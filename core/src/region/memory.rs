//! Memory of images: the trait and its implementations.

use core::ptr::NonNull;

/// A range of memory for an image.
///
/// Implement it for the memory of a custom runtime: a mapped file, a page shared
/// with a hypervisor, a static array on a microcontroller.
///
/// # Safety
///
/// The implementor guarantees, from the first call of a method until the value and
/// all its clones are dropped:
///
/// - **Range**: the `len()` bytes from `base()` are one allocation (or mapping),
///   readable, and writable if the memory is given to a writer.
/// - **Alignment**: `base()` is a multiple of 64.
/// - **Stability**: `base()` and `len()` always return the same values, and clones
///   return the same values too.
/// - **Provenance**: the pointer may be used for the whole range; on targets where
///   addresses of memory-mapped devices and RAM differ, it is RAM.
/// - **Access**: no Rust reference to any of the bytes exists, and this program touches them only
///   through this crate. Others (interrupts, other processors, other processes) may read them at
///   any time. While a writer of this program uses them, no one else writes them; a violation makes
///   values wrong, without undefined behaviour.
/// - **Atomicity**: naturally aligned 4-byte loads and stores are single accesses,
///   and so are 8-byte ones where pointers are 8 bytes. Ordinary RAM gives this.
/// - **Presence**: touching the bytes does not fault. A mapped file must therefore
///   not be truncated while it is mapped, or the fault must be handled so that the
///   access returns some value (the Unix backend does this for readers).
pub unsafe trait Memory {
    /// The address of the first byte, a multiple of 64.
    fn base(&self) -> NonNull<u8>;

    /// The number of bytes.
    fn len(&self) -> usize;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The words of the image before its lanes, if the program has them as constants:
    /// [`Template::metadata`](crate::Template::metadata) of the template that it starts in this
    /// memory. Then the compiler computes the places of fields, which halves the code of the start.
    ///
    /// Words of another image lead to handles that are refused or that use another place in the
    /// lanes. No access is outside of the memory, whatever the words are.
    #[inline(always)]
    fn metadata(&self) -> Option<&'static [u32]> {
        None
    }
}

/// A range of memory for an image that is only read, as a read-only mapping of a file.
///
/// No safe code of this crate writes to it: a [`View`](crate::View) of it is a
/// [`Source`](crate::Source), and nothing else is made from it.
///
/// # Safety
///
/// As for [`Memory`], except that the bytes need not be writable.
pub unsafe trait ReadMemory {
    /// The address of the first byte, a multiple of 64.
    fn base(&self) -> NonNull<u8>;

    /// The number of bytes.
    fn len(&self) -> usize;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(feature = "alloc")]
mod shared_owners {
    #[cfg(target_has_atomic = "ptr")]
    use super::ReadMemory;
    use super::{Memory, NonNull};
    use alloc::rc::Rc;
    #[cfg(target_has_atomic = "ptr")] // Processors without compare-and-swap have no Arc.
    use alloc::sync::Arc;

    // SAFETY: all promises of `Memory` concern the bytes and the values returned; an `Arc` returns
    // those of its value, keeps that value at one address and drops it only after the last clone.
    #[cfg(target_has_atomic = "ptr")]
    unsafe impl<T: Memory + ?Sized> Memory for Arc<T> {
        fn base(&self) -> NonNull<u8> {
            (**self).base()
        }
        fn len(&self) -> usize {
            (**self).len()
        }
        #[inline(always)]
        fn metadata(&self) -> Option<&'static [u32]> {
            (**self).metadata()
        }
    }

    // SAFETY: as for `Memory` of an `Arc`.
    #[cfg(target_has_atomic = "ptr")]
    unsafe impl<T: ReadMemory + ?Sized> ReadMemory for Arc<T> {
        fn base(&self) -> NonNull<u8> {
            (**self).base()
        }
        fn len(&self) -> usize {
            (**self).len()
        }
    }

    // SAFETY: as for `Arc` above.
    unsafe impl<T: Memory + ?Sized> Memory for Rc<T> {
        fn base(&self) -> NonNull<u8> {
            (**self).base()
        }
        fn len(&self) -> usize {
            (**self).len()
        }
        #[inline(always)]
        fn metadata(&self) -> Option<&'static [u32]> {
            (**self).metadata()
        }
    }
}

/// Memory of a platform without a backend: this type has no value.
#[derive(Debug)]
pub struct NoMemory(core::convert::Infallible);

// SAFETY: there is no value of this type, so no method is ever called.
unsafe impl Memory for NoMemory {
    fn base(&self) -> NonNull<u8> {
        match self.0 {}
    }
    fn len(&self) -> usize {
        match self.0 {}
    }
}

// SAFETY: there is no value of this type, so no method is ever called.
unsafe impl ReadMemory for NoMemory {
    fn base(&self) -> NonNull<u8> {
        match self.0 {}
    }
    fn len(&self) -> usize {
        match self.0 {}
    }
}

impl NoMemory {
    /// Whether bytes were lost.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        match self.0 {}
    }
}

/// Memory together with a value that is dropped just before the memory.
///
/// For example a guard that hands a lane back: all handles of a thread share an
/// `Rc<Guarded<Arc<Mapping>, Guard>>` as their memory.
#[derive(Debug)]
pub struct Guarded<M, G> {
    /// Dropped before the memory.
    pub guard: G,
    memory: M,
}

impl<M, G> Guarded<M, G> {
    /// Joins `memory` and `guard`.
    pub const fn new(memory: M, guard: G) -> Self {
        Self { guard, memory }
    }

    /// The memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }
}

// SAFETY: the memory of the inner value, which lives as long as `self`.
unsafe impl<M: Memory, G> Memory for Guarded<M, G> {
    fn base(&self) -> NonNull<u8> {
        self.memory.base()
    }
    fn len(&self) -> usize {
        self.memory.len()
    }
    #[inline(always)]
    fn metadata(&self) -> Option<&'static [u32]> {
        self.memory.metadata()
    }
}

/// Bytes in static memory, for a program without an allocator.
///
/// ```
/// use mmstats_core::{StaticBytes, StaticMemory};
/// // On a microcontroller: `cortex_m::singleton!(: StaticBytes<1024> = StaticBytes::new())`
/// let bytes: &'static mut StaticBytes<1024> = Box::leak(Box::new(StaticBytes::new()));
/// let memory: StaticMemory = bytes.into_memory();
/// ```
#[repr(C, align(64))]
#[derive(Debug)]
pub struct StaticBytes<const N: usize>([u8; N]);

impl<const N: usize> StaticBytes<N> {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; N])
    }

    /// Turns the bytes into memory for an image.
    #[must_use]
    pub fn into_memory(&'static mut self) -> StaticMemory {
        StaticMemory { base: NonNull::from(&mut self.0).cast(), len: N }
    }
}

impl<const N: usize> Default for StaticBytes<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// [`Memory`] that lives as long as the program.
#[derive(Debug, Clone, Copy)]
pub struct StaticMemory {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY:
// - Range, provenance, stability: made from an exclusive reference to an array of `len` bytes that
//   is never freed.
// - Alignment: `StaticBytes` is aligned to 64 and the array is its first field.
// - Access: the exclusive reference was consumed, so no other reference exists.
// - Atomicity, presence: a static (or leaked) array is ordinary RAM.
unsafe impl Memory for StaticMemory {
    fn base(&self) -> NonNull<u8> {
        self.base
    }
    fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: the bytes are only touched through atomics, so any thread may hold the pointer.
unsafe impl Send for StaticMemory {}
// SAFETY: as for `Send`; `&StaticMemory` gives nothing but the pointer.
unsafe impl Sync for StaticMemory {}
