//! Groups: fields published together as a consistent snapshot.

use core::marker::PhantomData;

use super::scalar::set64;
use super::words::Words;
use crate::descriptor::RawDescriptor;
use crate::protocol::publish;
use crate::read::Scalar;
use crate::region::{Latch, Memory};
use crate::types::DataType;
use crate::write::{AttachError, FieldId, FieldSpec, Lane, Presence};

/// A struct of scalars that a [`Group`] publishes, each as a field of its own.
///
/// The `mmstats` crate derives it. `MEMBERS` are the fields in order; `words` returns the value of
/// each, or where it is.
///
/// `words` runs before the group fills a slot, so it may even set the same group.
pub trait Record {
    /// Specifications of the members.
    const MEMBERS: &'static [MemberSpec];

    /// As many as `MEMBERS`. A record with fewer words is not published.
    type Words<'a>: Words
    where
        Self: 'a;

    /// The values of the members, in the order of `MEMBERS`.
    fn words(&self) -> Self::Words<'_>;
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemberSpec {
    /// Label within the group.
    pub label: &'static str,
    /// Specification; its label is not used.
    pub spec: FieldSpec<'static>,
}

/// The fields of a [`Record`], published together. They have no values until set.
pub struct Group<R, M> {
    latch: Latch<M>,
    /// Presence bit of the first optional member.
    presence: Option<Presence<M>>,
    lane: Lane<M>,
    first: FieldId,
    record: PhantomData<fn(&R)>,
}

impl<R: Record, M: Memory + Clone> Group<R, M> {
    /// Attaches to the group whose first member is `first`.
    ///
    /// # Errors
    ///
    /// If the fields from `first` on are not one group with the types of `R`.
    #[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
    pub fn attach(lane: &Lane<M>, first: FieldId) -> Result<Self, AttachError> {
        let (latch, presence) = attach(lane, first, R::MEMBERS.len(), |index| {
            // No field has the type of a record without members.
            let member = R::MEMBERS.get(index);
            member.and_then(|member| member.spec.properties.ty()).unwrap_or(DataType::Bytes)
        })?;
        Ok(Self { latch, presence, lane: again(lane), first, record: PhantomData })
    }

    /// Publishes all members at once.
    #[inline(always)]
    pub fn set(&self, record: &R) {
        if !self.latch.holds_units(R::MEMBERS.len()) {
            return; // Never: `attach` checked it.
        }
        if <R::Words<'_> as Words>::COUNT < R::MEMBERS.len() {
            return;
        }
        // Code of the record runs here, not while a slot is filled.
        let words = record.words();
        publish(&self.latch, |slot| {
            words.each(0, &mut |index, word| {
                if index < R::MEMBERS.len() {
                    set64(slot, index, word);
                }
            });
        });
        if self.presence.as_ref().is_some_and(|first| !first.is_set()) {
            self.mark();
        }
    }

    #[cold]
    fn mark(&self) {
        mark(&self.lane, self.first, R::MEMBERS.len());
    }
}

/// The cell of the group whose members from `first` on have the types that `ty` gives, and the presence
/// bit of the first optional one.
#[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
fn attach<M: Memory + Clone>(
    lane: &Lane<M>,
    first: FieldId,
    count: usize,
    ty: impl Fn(usize) -> DataType,
) -> Result<(Latch<M>, Option<Presence<M>>), AttachError> {
    let raw = member(lane, first, ty(0))?;
    let mut presence = lane.presence(&raw, first)?;
    for index in 1..count {
        let other = member(lane, nth(first, index), ty(index))?;
        if other.place != raw.place || other.member as usize != index * 8 {
            return Err(AttachError::Place { place: other.place });
        }
        if presence.is_none() {
            presence = lane.presence(&other, nth(first, index))?;
        }
    }
    // Else the first member could be inside another group's slot.
    if raw.member != 0 || count * 8 > raw.slot_size as usize {
        return Err(AttachError::Place { place: raw.place });
    }
    Ok((lane.latch(&raw)?, presence))
}

/// The same lane, for the handle's own use.
#[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
fn again<M: Memory + Clone>(lane: &Lane<M>) -> Lane<M> {
    Lane::new(lane.region().clone(), lane.index())
}

/// Sets the presence bits of all members; the one that `set` checks is last.
fn mark<M: Memory + Clone>(lane: &Lane<M>, first: FieldId, count: usize) {
    for index in (0..count).rev() {
        let field = nth(first, index);
        // `attach` checked the descriptor.
        if let Ok(Some(presence)) = lane.presence(&lane.descriptor(field), field) {
            presence.set();
        }
    }
}

#[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
fn nth(first: FieldId, index: usize) -> FieldId {
    FieldId::from_index(first.index().saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
}

/// The descriptor of a member of type `ty`.
#[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
fn member<M: Memory + Clone>(
    lane: &Lane<M>,
    field: FieldId,
    ty: DataType,
) -> Result<RawDescriptor, AttachError> {
    let raw = lane.field(field, ty, None)?;
    if !raw.properties.is_member() || raw.properties.count() != 1 {
        return Err(AttachError::OtherCount { found: raw.properties.count(), wanted: 1 });
    }
    Ok(raw)
}

/// Scalars published together as a consistent snapshot, each as a field of its own, whose number and
/// types are known at run time: see [`Group`].
pub struct DynGroup<M> {
    latch: Latch<M>,
    presence: Option<Presence<M>>,
    lane: Lane<M>,
    first: FieldId,
    count: usize,
}

impl<M: Memory + Clone> DynGroup<M> {
    /// Attaches to the group whose first member is `first`.
    ///
    /// # Errors
    ///
    /// If the field is not the first member of a group of scalars.
    pub fn attach(lane: &Lane<M>, first: FieldId) -> Result<Self, AttachError> {
        let place = lane.field_any(first)?.place;
        // The members of a group follow each other and have one cell.
        let is_member = |index: &usize| {
            let field = lane.field_any(nth(first, *index));
            field.is_ok_and(|raw| raw.properties.is_member() && raw.place == place)
        };
        let count = (0..).take_while(is_member).count();
        if count == 0 {
            return Err(AttachError::OtherCount { found: 0, wanted: 1 });
        }
        let ty = |index| {
            let field = lane.field_any(nth(first, index)).ok();
            field.and_then(|raw| raw.properties.ty()).unwrap_or(DataType::Bytes)
        };
        let (latch, presence) = attach(lane, first, count, ty)?;
        Ok(Self { latch, presence, lane: again(lane), first, count })
    }

    /// Number of members.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Type of a member; `None` past the last.
    #[must_use]
    pub fn member(&self, index: usize) -> Option<DataType> {
        let inside = (index < self.count).then(|| nth(self.first, index))?;
        self.lane.descriptor(inside).properties.ty()
    }

    /// Publishes all members at once. With another number of values than members, or one that its
    /// member cannot hold, nothing changes, and the result is `false`.
    pub fn set(&self, values: &[Scalar]) -> bool {
        let fits = |(index, value): (usize, &Scalar)| {
            self.member(index).is_some_and(|ty| value.to_bits(ty).is_some())
        };
        if values.len() != self.count || !values.iter().enumerate().all(fits) {
            return false;
        }
        if !self.latch.holds_units(self.count) {
            return false; // Never: `attach` checked it.
        }
        publish(&self.latch, |slot| {
            for (index, value) in values.iter().enumerate() {
                let bits = self.member(index).and_then(|ty| value.to_bits(ty));
                set64(slot, index, bits.unwrap_or(0)); // Never `None`: checked above.
            }
        });
        if self.presence.as_ref().is_some_and(|first| !first.is_set()) {
            mark(&self.lane, self.first, self.count);
        }
        true
    }
}

impl<M: Memory + Clone> Clone for DynGroup<M> {
    fn clone(&self) -> Self {
        let (latch, presence) = (self.latch.clone(), self.presence.clone());
        Self { latch, presence, lane: again(&self.lane), ..*self }
    }
}

impl<M> core::fmt::Debug for DynGroup<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DynGroup").field("first", &self.first).field("cell", &self.latch).finish()
    }
}

impl<R, M: Memory + Clone> Clone for Group<R, M> {
    fn clone(&self) -> Self {
        Self {
            latch: self.latch.clone(),
            presence: self.presence.clone(),
            lane: again(&self.lane),
            first: self.first,
            record: PhantomData,
        }
    }
}

impl<R, M> core::fmt::Debug for Group<R, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Group").field("first", &self.first).field("cell", &self.latch).finish()
    }
}
