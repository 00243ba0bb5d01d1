//! Fields collected before their image exists, without an allocator.

use heapless::Vec;

use super::{FieldId, FieldSpec, Geometry, SpecError, WriteError, Writer};
use crate::region::Memory;

/// One field, or fields that are published together.
#[derive(Debug, Clone, Copy)]
enum Item<'a> {
    One(FieldSpec<'a>),
    All(&'a [FieldSpec<'a>]),
    Group(&'a [FieldSpec<'a>]),
}

/// Up to `N` fields and groups, from which an image of just the right size is made.
///
/// ```
/// use mmstats_core::{DataType, FieldSpec, Schema};
/// let mut schema = Schema::<8>::new();
/// let requests = schema.add(FieldSpec::counter("requests"))?;
/// let load = schema.add(FieldSpec::gauge("load", DataType::F64))?;
/// assert_eq!((requests.index(), load.index()), (0, 1));
/// assert!(schema.geometry(1).file_size().is_some());
/// # Ok::<(), mmstats_core::WriteError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schema<'a, const N: usize> {
    items: Vec<Item<'a>, N>,
    fields: u32,
    geometry: Geometry,
}

impl<'a, const N: usize> Schema<'a, N> {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Vec::new(), fields: 0, geometry: Geometry::new(1) }
    }

    /// Adds a field and returns the number that it will have.
    ///
    /// # Errors
    ///
    /// If the specification breaks a rule, or there are `N` items already.
    pub fn add(&mut self, spec: FieldSpec<'a>) -> Result<FieldId, WriteError> {
        self.push(Item::One(spec), 1, |geometry| geometry.add(&spec))
    }

    /// Adds fields one after the other for [`Writer::add_all`] and returns the first.
    ///
    /// # Errors
    ///
    /// As [`Schema::add`].
    pub fn add_all(&mut self, specs: &'a [FieldSpec<'a>]) -> Result<FieldId, WriteError> {
        let count = u32::try_from(specs.len()).unwrap_or(u32::MAX);
        self.push(Item::All(specs), count, |geometry| geometry.add_all(specs))
    }

    /// Adds fields that are published together and returns the first.
    ///
    /// # Errors
    ///
    /// As [`Schema::add`], and if the group is empty or too large.
    pub fn add_group(&mut self, specs: &'a [FieldSpec<'a>]) -> Result<FieldId, WriteError> {
        let count = u32::try_from(specs.len()).unwrap_or(u32::MAX);
        self.push(Item::Group(specs), count, |geometry| geometry.add_group(specs))
    }

    fn push(
        &mut self,
        item: Item<'a>,
        fields: u32,
        measure: impl FnOnce(&mut Geometry) -> Result<(), SpecError>,
    ) -> Result<FieldId, WriteError> {
        let full = WriteError::TableFull { capacity: u32::try_from(N).unwrap_or(u32::MAX) };
        if self.items.is_full() {
            return Err(full);
        }
        measure(&mut self.geometry).map_err(WriteError::Spec)?;
        self.items.push(item).map_err(|_| full)?;
        let first = FieldId::from_index(self.fields);
        self.fields += fields;
        Ok(first)
    }

    /// The room that the fields need, with `lanes` lanes.
    #[must_use]
    pub const fn geometry(&self, lanes: u32) -> Geometry {
        Geometry { lanes, ..self.geometry }
    }

    /// Makes a live image with these fields.
    ///
    /// `instance` should be random, so that nobody confuses two publishers.
    ///
    /// # Errors
    ///
    /// If the memory is misaligned or too small.
    pub fn create<M: Memory>(
        &self,
        memory: M,
        lanes: u32,
        instance: [u8; 16],
    ) -> Result<Writer<M>, WriteError> {
        let mut writer = Writer::create(memory, &self.geometry(lanes), instance, 0)?;
        for item in &self.items {
            match item {
                Item::One(spec) => writer.add(spec)?,
                Item::All(specs) => writer.add_all(specs)?,
                Item::Group(specs) => writer.add_group(specs)?,
            };
        }
        writer.go_live();
        Ok(writer)
    }
}

impl<const N: usize> Default for Schema<'_, N> {
    fn default() -> Self {
        Self::new()
    }
}
