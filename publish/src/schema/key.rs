//! Keys: the typed addresses of fields and families.

use std::marker::PhantomData;

use mmstats_core::FieldId;

/// The address of a field within a publisher: its segment, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) segment: u32,
    pub(crate) id: FieldId,
    /// How many fields had the number before, and this one; 0 if no other one ever has it.
    pub(crate) tenancy: u64,
}

impl Address {
    /// The address of a field that keeps its number for ever.
    pub(crate) const fn lasting(segment: u32, id: FieldId) -> Self {
        Self { segment, id, tenancy: 0 }
    }
}

/// A field of a publisher, to be attached as a handle of type `H` in each thread.
pub struct Key<H> {
    pub(crate) address: Address,
    handle: PhantomData<fn() -> H>,
}

impl<H> Key<H> {
    pub(crate) const fn new(address: Address) -> Self {
        Self { address, handle: PhantomData }
    }

    /// The same field for handles of another type: a [`SharedGauge`](crate::SharedGauge) of a field that
    /// was declared as a [`DynField`](crate::DynField). Where the type does not fit the field, attaching
    /// fails.
    #[must_use]
    pub const fn for_handle<G>(self) -> Key<G> {
        Key::new(self.address)
    }
}

impl<H> Clone for Key<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Key<H> {}

impl<H> std::fmt::Debug for Key<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Address { segment, id, .. } = self.address;
        f.debug_tuple("Key").field(&segment).field(&id.index()).finish()
    }
}

/// A family of a publisher, to be attached as a [`Family`](crate::Family) in each thread.
pub struct FamilyKey<H, const N: usize> {
    pub(crate) number: usize,
    handle: PhantomData<fn() -> H>,
}

impl<H, const N: usize> FamilyKey<H, N> {
    pub(crate) const fn new(number: usize) -> Self {
        Self { number, handle: PhantomData }
    }
}

impl<H, const N: usize> Clone for FamilyKey<H, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H, const N: usize> Copy for FamilyKey<H, N> {}

impl<H, const N: usize> std::fmt::Debug for FamilyKey<H, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FamilyKey").field(&self.number).finish()
    }
}

/// A family of a publisher, to be attached as a [`FamilyBy`](crate::FamilyBy) in each thread.
pub struct FamilyByKey<H, L> {
    pub(crate) number: usize,
    handle: PhantomData<fn() -> (H, L)>,
}

impl<H, L> FamilyByKey<H, L> {
    pub(crate) const fn new(number: usize) -> Self {
        Self { number, handle: PhantomData }
    }
}

impl<H, L> Clone for FamilyByKey<H, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H, L> Copy for FamilyByKey<H, L> {}

impl<H, L> std::fmt::Debug for FamilyByKey<H, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FamilyByKey").field(&self.number).finish()
    }
}

/// A family of a publisher, to be attached as a [`DynFamily`](crate::DynFamily) in each thread.
pub struct DynFamilyKey<H> {
    pub(crate) number: usize,
    handle: PhantomData<fn() -> H>,
}

impl<H> DynFamilyKey<H> {
    pub(crate) const fn new(number: usize) -> Self {
        Self { number, handle: PhantomData }
    }
}

impl<H> Clone for DynFamilyKey<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for DynFamilyKey<H> {}

impl<H> std::fmt::Debug for DynFamilyKey<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DynFamilyKey").field(&self.number).finish()
    }
}
