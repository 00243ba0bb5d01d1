//! Groups: fields published together as a consistent snapshot.

use core::marker::PhantomData;

use super::scalar::set64;
use super::words::Words;
use crate::descriptor::RawDescriptor;
use crate::protocol::publish;
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
        let raw = member::<R, M>(lane, first, 0)?;
        let mut presence = lane.presence(&raw, first)?;
        for index in 1..R::MEMBERS.len() {
            let other = member::<R, M>(lane, first, index)?;
            if other.place != raw.place || other.member as usize != index * 8 {
                return Err(AttachError::Place { place: other.place });
            }
            if presence.is_none() {
                presence = lane.presence(&other, nth(first, index))?;
            }
        }
        // Else the first member could be inside another group's slot.
        if raw.member != 0 || R::MEMBERS.len() * 8 > raw.slot_size as usize {
            return Err(AttachError::Place { place: raw.place });
        }
        Ok(Self {
            latch: lane.latch(&raw)?,
            presence,
            lane: Lane::new(lane.region().clone(), lane.index()),
            first,
            record: PhantomData,
        })
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

    /// Sets the presence bits of all members; the one that `set` checks is last.
    #[cold]
    fn mark(&self) {
        for index in (0..R::MEMBERS.len()).rev() {
            let field = nth(self.first, index);
            // `attach` checked the descriptor.
            if let Ok(Some(presence)) = self.lane.presence(&self.lane.descriptor(field), field) {
                presence.set();
            }
        }
    }
}

#[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
fn nth(first: FieldId, index: usize) -> FieldId {
    FieldId::from_index(first.index().saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
}

/// The descriptor of member `index`, if it fits `R`.
#[cfg_attr(target_os = "none", inline(always))] // See `Lane`.
fn member<R: Record, M: Memory + Clone>(
    lane: &Lane<M>,
    first: FieldId,
    index: usize,
) -> Result<RawDescriptor, AttachError> {
    let field = nth(first, index);
    // No field has the type of a record without members.
    let member = R::MEMBERS.get(index);
    let ty = member.and_then(|member| member.spec.properties.ty()).unwrap_or(DataType::Bytes);
    let raw = lane.field(field, ty, None)?;
    if !raw.properties.is_member() || raw.properties.count() != 1 {
        return Err(AttachError::OtherCount { found: raw.properties.count(), wanted: 1 });
    }
    Ok(raw)
}

impl<R, M: Memory + Clone> Clone for Group<R, M> {
    fn clone(&self) -> Self {
        Self {
            latch: self.latch.clone(),
            presence: self.presence.clone(),
            lane: Lane::new(self.lane.region().clone(), self.lane.index()),
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
