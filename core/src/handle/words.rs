//! Words of a record, taken without any code of the record.

use super::ScalarType;

mod sealed {
    /// Code of another crate could set the group whose slot is being filled.
    pub trait Sealed {}
}

/// The values of a [`Record`](super::Record): `[u64; N]` by [`ScalarType::to_bits`], or references to
/// the members, as pairs: `(&self.a, (&self.b, ()))`.
///
/// References keep no register until their member is stored: eight words by value are too many.
pub trait Words: sealed::Sealed {
    /// Number of words.
    const COUNT: usize;

    /// Calls `put` with each word and its index; that of the first is `from`.
    #[doc(hidden)]
    fn each(&self, from: usize, put: &mut impl FnMut(usize, u64));
}

impl<const N: usize> sealed::Sealed for [u64; N] {}

impl<const N: usize> Words for [u64; N] {
    const COUNT: usize = N;

    #[inline(always)]
    fn each(&self, from: usize, put: &mut impl FnMut(usize, u64)) {
        self.iter().enumerate().for_each(|(index, word)| put(from + index, *word));
    }
}

impl sealed::Sealed for () {}

impl Words for () {
    const COUNT: usize = 0;

    #[inline(always)]
    fn each(&self, _from: usize, _put: &mut impl FnMut(usize, u64)) {}
}

impl<T: ScalarType, W: Words> sealed::Sealed for (&T, W) {}

impl<T: ScalarType, W: Words> Words for (&T, W) {
    const COUNT: usize = 1 + W::COUNT;

    #[inline(always)]
    fn each(&self, from: usize, put: &mut impl FnMut(usize, u64)) {
        put(from, self.0.to_bits());
        self.1.each(from + 1, put);
    }
}
