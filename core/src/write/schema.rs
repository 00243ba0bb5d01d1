//! Fields of a future image, without an allocator.

use heapless::Vec;

use super::{FieldId, FieldSpec, Geometry, WriteError, Writer};
use crate::region::Memory;

/// One field or several.
#[derive(Debug, Clone, Copy)]
enum Item<'a> {
    One(FieldSpec<'a>),
    All(&'a [FieldSpec<'a>]),
    Group(&'a [FieldSpec<'a>]),
}

/// Up to `N` fields and groups, for an image of exactly the needed size.
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
    geometry: Geometry,
}

impl<'a, const N: usize> Schema<'a, N> {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Vec::new(), geometry: Geometry::new(1) }
    }

    /// Adds a field. Returns its number in the image.
    ///
    /// # Errors
    ///
    /// If the specification breaks a rule, or there are `N` items already.
    pub fn add(&mut self, spec: FieldSpec<'a>) -> Result<FieldId, WriteError> {
        self.push(Item::One(spec))
    }

    /// Adds consecutive fields, as [`Writer::add_all`]. Returns the first.
    ///
    /// # Errors
    ///
    /// As [`Schema::add`].
    pub fn add_all(&mut self, specs: &'a [FieldSpec<'a>]) -> Result<FieldId, WriteError> {
        self.push(Item::All(specs))
    }

    /// Adds fields that are published together. Returns the first.
    ///
    /// # Errors
    ///
    /// As [`Schema::add`], and if the group is empty or too large.
    pub fn add_group(&mut self, specs: &'a [FieldSpec<'a>]) -> Result<FieldId, WriteError> {
        self.push(Item::Group(specs))
    }

    fn push(&mut self, item: Item<'a>) -> Result<FieldId, WriteError> {
        let full = WriteError::TableFull { capacity: u32::try_from(N).unwrap_or(u32::MAX) };
        if self.items.is_full() {
            return Err(full);
        }
        let mut geometry = self.geometry;
        match &item {
            Item::One(spec) => geometry.add(spec),
            Item::All(specs) => geometry.add_all(specs),
            Item::Group(specs) => geometry.add_group(specs),
        }
        .map_err(WriteError::Spec)?;
        self.items.push(item).map_err(|_| full)?;
        let first = core::mem::replace(&mut self.geometry, geometry).fields;
        Ok(FieldId::from_index(first))
    }

    /// The room that the fields need, with `lanes` lanes.
    #[must_use]
    pub const fn geometry(&self, lanes: u32) -> Geometry {
        Geometry { lanes, ..self.geometry }
    }

    /// Makes a live image with these fields.
    ///
    /// `instance` should be random: it tells publishers apart.
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
        self.fill(&mut writer)?;
        writer.go_live();
        Ok(writer)
    }

    /// Resumes the image that `memory` holds from before a reset, if it has exactly these fields;
    /// else makes one as [`Schema::create`]. Returns the writer and whether it resumed.
    ///
    /// Counters, timers, histograms and events keep their values, as when a lane is claimed again;
    /// gauges and texts have no value until they are set. The image keeps its instance. The memory
    /// must not be cleared at start (a section like `.noinit`), and stores must have reached it (no
    /// cache that a reset drops). It may hold arbitrary bytes: noise, or the image of other fields,
    /// is replaced. A reset during this call loses nothing.
    ///
    /// ```
    /// use mmstats_core::{Counter, FieldSpec, Schema, StaticBytes};
    /// let mut schema = Schema::<8>::new();
    /// let boots = schema.add(FieldSpec::counter("boots"))?;
    /// let memory = Box::leak(Box::new(StaticBytes::<1024>::new())).into_memory();
    /// for boot in 1..=3 {
    ///     let (mut writer, resumed) = schema.resume(memory, 1, *b"a random number.")?;
    ///     assert_eq!(resumed, boot > 1);
    ///     let boots = Counter::attach(&writer.lane()?, boots)?;
    ///     boots.incr();
    ///     assert_eq!(boots.get(), boot);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Schema::create`].
    pub fn resume<M: Memory + Clone>(
        &self,
        memory: M,
        lanes: u32,
        instance: [u8; 16],
    ) -> Result<(Writer<M>, bool), WriteError> {
        let fill = |writer: &mut Writer<M>| self.fill(writer);
        let (mut writer, resumed) = Writer::resume(memory, &self.geometry(lanes), instance, fill)?;
        writer.go_live();
        Ok((writer, resumed))
    }

    fn fill<M: Memory>(&self, writer: &mut Writer<M>) -> Result<(), WriteError> {
        for item in &self.items {
            match item {
                Item::One(spec) => writer.add(spec)?,
                Item::All(specs) => writer.add_all(specs)?,
                Item::Group(specs) => writer.add_group(specs)?,
            };
        }
        Ok(())
    }
}

impl<const N: usize> Default for Schema<'_, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{header as h, image_state};
    use crate::read::{Image, Value, Verdict};
    use crate::{
        Buckets, Counter, DataType, Events, Gauge, Histogram, Region, Source, StaticBytes,
    };
    use std::boxed::Box;

    type Memory = crate::StaticMemory;

    fn memory() -> Memory {
        Box::leak(Box::new(StaticBytes::<16384>::new())).into_memory()
    }

    fn schema(first: &'static str) -> Schema<'static, 8> {
        let mut schema = Schema::new();
        schema.add(FieldSpec::counter(first).help("Of the first.")).unwrap();
        schema.add(FieldSpec::gauge("volts", DataType::F64).unit("volts")).unwrap();
        schema.add(FieldSpec::events("log", 7, 16)).unwrap();
        let buckets = Buckets::integers(0.1, 1, 1000);
        schema.add(FieldSpec::histogram("sizes", buckets)).unwrap();
        schema
    }

    /// One run of a device. Returns whether it resumed, and its values.
    fn live(memory: Memory, first: &'static str) -> (bool, u64, Option<f64>, u32, u64) {
        let (mut writer, resumed) = schema(first).resume(memory, 1, [7; 16]).unwrap();
        let lane = writer.lane().unwrap();
        let counter = Counter::attach(&lane, FieldId::from_index(0)).unwrap();
        let volts = Gauge::<f64, _>::attach(&lane, FieldId::from_index(1)).unwrap();
        let log = Events::<16, _>::attach(&lane, FieldId::from_index(2)).unwrap();
        let sizes = Histogram::<u64, _>::attach(&lane, FieldId::from_index(3)).unwrap();
        let before = volts.get();
        counter.add(0x1_0000_0001);
        volts.set(3.3);
        log.record(1, "began");
        sizes.record(100);
        (resumed, counter.get(), before, log.number(), sizes.count())
    }

    #[test]
    fn resume_after_reset_keeps_counters() {
        let memory = memory();
        assert_eq!(live(memory, "hits"), (false, 0x1_0000_0001, None, 1, 1));
        assert_eq!(live(memory, "hits"), (true, 0x2_0000_0002, None, 2, 2));
        // After a clean end, and after a reset during `resume`.
        let region = Region::new(memory).unwrap();
        for state in [image_state::CLOSED, image_state::BUILDING] {
            region.store32(h::STATE, state);
            assert!(live(memory, "hits").0);
        }
        let image = Image::open(&region).unwrap();
        assert_eq!(image.header().instance(), [7; 16]);
        let field = image.fields().next().unwrap().unwrap();
        let mut buffer = [0; 64];
        let read = image.read(0, &field, &mut buffer);
        assert_eq!(read, Verdict::Consistent(Value::U64(0x4_0000_0004)));
    }

    /// The image keeps its first instance, whatever later runs pass.
    #[test]
    fn resume_keeps_first_instance() {
        let memory = memory();
        live(memory, "hits");
        let (_, resumed) = schema("hits").resume(memory, 1, [8; 16]).unwrap();
        assert!(resumed);
        let region = Region::new(memory).unwrap();
        assert_eq!(Image::open(&region).unwrap().header().instance(), [7; 16]);
        // Another number of lanes is another geometry.
        assert!(!schema("hits").resume(memory, 2, [8; 16]).unwrap().1);
        assert_eq!(Image::open(&region).unwrap().header().instance(), [8; 16]);
    }

    #[test]
    fn create_has_given_number_of_lanes() {
        let mut writer = schema("hits").create(memory(), 3, [7; 16]).unwrap();
        assert!((0..3).all(|_| writer.lane().is_ok()));
        assert_eq!(writer.lane().err(), Some(WriteError::LanesFull { capacity: 3 }));
    }

    #[test]
    fn resume_other_image_is_replaced() {
        let memory = memory();
        let region = Region::new(memory).unwrap();
        // Noise, then the same geometry with another label.
        for offset in (0..16384).step_by(4) {
            region.store32(offset, offset.wrapping_mul(0x9E37_79B9));
        }
        assert!(!live(memory, "hits").0);
        assert_eq!(live(memory, "bits"), (false, 0x1_0000_0001, None, 1, 1));
        for (offset, value) in [
            (h::INSTANCE, 1), // Wrong checksum.
            (h::FIELD_COUNT, 3),
            (h::LANES_USED, 2),
            (h::STATE, 9),
        ] {
            assert!(live(memory, "bits").0);
            region.store32(offset, value);
            // The state does not matter.
            assert_eq!(live(memory, "bits").0, offset == h::STATE, "{offset}");
        }
    }

    #[test]
    fn resume_different_field_clears_count_first() {
        let memory = memory();
        live(memory, "hits");
        let region = Region::new(memory).unwrap();
        let geometry = schema("bits").geometry(1);
        let seen = core::cell::Cell::new(0);
        let fill = |writer: &mut Writer<Memory>| {
            writer.add(&FieldSpec::counter("bits").help("Of the first."))?;
            seen.set(region.load32(h::FIELD_COUNT));
            Err(WriteError::Live) // Stands for a reset.
        };
        assert!(Writer::resume(memory, &geometry, [7; 16], fill).is_err());
        assert_eq!(seen.get(), 0);
        assert_eq!(live(memory, "bits"), (false, 0x1_0000_0001, None, 1, 1));
    }
}
