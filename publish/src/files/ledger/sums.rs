//! Sums over ended instances: one for each counter, timer, histogram and average.

use hashbrown::{HashMap, HashSet};
use mmstats_core::read::Lane;
use mmstats_core::{DataType, FieldId, Geometry, Memory, Source, Writer};

use super::super::totals::Total;
use super::super::values::{Name, Signature, declaration, fields, name};
use crate::error::Error;
use crate::schema::declaration::{Declaration, FieldDeclaration};

/// Maximum number of fields of a ledger.
const MAX_FIELDS: usize = 1 << 14;
/// Maximum number of combinations of attributes under one label, without that of the overflow.
const MAX_COMBINATIONS: usize = 4096;
/// The attributes of a field that takes the combinations beyond the maximum.
const OVERFLOW: &str = "overflow=true";

/// Sums of fields over ended instances, in the order in which the fields were met.
#[derive(Debug, Default, Clone)]
pub(super) struct Sums {
    fields: Vec<Summed>,
    numbers: HashMap<(Name, Signature), usize>,
    /// The field of the overflow by label and signature.
    overflows: HashMap<(String, Signature), usize>,
    /// Number of combinations of attributes by label.
    combinations: HashMap<String, usize>,
    /// Number of fields without room, and of sums that are larger than their type.
    pub(super) refused: u32,
}

#[derive(Debug, Clone)]
struct Summed {
    name: Name,
    signature: Signature,
    declaration: FieldDeclaration,
    ty: DataType,
    total: Total,
}

/// Contents of an image besides its sums.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rest {
    /// Whether all of it could be read.
    pub(super) whole: bool,
    /// Whether fields or lanes found no room.
    pub(super) refused: bool,
    /// Samples of its lanes that were not recorded.
    pub(super) samples_refused: u64,
}

impl Sums {
    /// Adds the values of an image. `constants` are the constants of the instance so far, which
    /// count once.
    pub(super) fn add_image<S: Source>(
        &mut self,
        region: &S,
        constants: &mut HashSet<Name>,
    ) -> Result<Rest, Error> {
        let (header, fields) = fields(region)?;
        let used = header.lanes_used(region).unwrap_or(0);
        let lanes: Vec<Lane> =
            (0..used).filter_map(|i| Lane::open(region, &header, i).consistent()).collect();
        let mut rest = Rest {
            whole: header.field_count(region).is_ok_and(|count| count as usize == fields.len())
                && lanes.len() == used as usize,
            refused: header.fields_refused(region) != 0 || header.lanes_refused(region) != 0,
            samples_refused: lanes
                .iter()
                .filter_map(|lane| lane.samples_refused(region))
                .fold(0, u64::saturating_add),
        };
        for field in &fields {
            let properties = field.properties();
            if !properties.is_cumulative() || field.retired(region) {
                continue;
            }
            let (total, whole) = Total::combine(region, field, &lanes);
            rest.whole &= whole;
            let (Some(total), Some(ty)) = (total, field.ty()) else { continue };
            let name = name(region, field);
            let constant = field.storage() == Some(mmstats_core::Storage::Constant);
            if constant && !constants.insert(name.clone()) {
                continue;
            }
            let signature = Signature::combined(region, field);
            let slots = properties.ring().unwrap_or(0);
            let properties = properties
                .combined_properties()
                .with_level(properties.level())
                .with_slot_bits(slots);
            let declared = declaration(region, field, properties, &name, &signature);
            let Some(declaration) = declared else { continue };
            self.add(Summed { name, signature, declaration, ty, total });
        }
        Ok(rest)
    }

    /// Adds the sums of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        other.fields.iter().for_each(|field| self.add(field.clone()));
        self.refused = self.refused.saturating_add(other.refused);
    }

    fn add(&mut self, mut field: Summed) {
        let mut key = (field.name.clone(), field.signature.clone());
        if !self.numbers.contains_key(&key) && !self.has_room(&field.name) {
            let overflow = (field.name.0.clone(), field.signature.clone());
            if field.name.1.is_empty() || self.fields.len() >= 2 * MAX_FIELDS {
                self.refused = self.refused.saturating_add(1);
                return;
            }
            match self.overflows.get(&overflow) {
                Some(&number) => return self.merge_into(number, field.total),
                None => {
                    key.0.1 = OVERFLOW.to_owned();
                    field.name.1 = OVERFLOW.to_owned();
                    field.declaration = field.declaration.with_attributes(&[("overflow", "true")]);
                }
            }
        }
        match self.numbers.get(&key) {
            Some(&number) => self.merge_into(number, field.total),
            None => {
                let number = self.fields.len();
                if is_overflow(&field.name) {
                    let overflow = (field.name.0.clone(), field.signature.clone());
                    self.overflows.entry(overflow).or_insert(number);
                } else {
                    *self.combinations.entry(field.name.0.clone()).or_default() += 1;
                }
                self.numbers.insert(key, number);
                self.fields.push(field);
            }
        }
    }

    fn merge_into(&mut self, number: usize, total: Total) {
        if let Some(field) = self.fields.get_mut(number) {
            field.total.merge(total);
        }
    }

    fn has_room(&self, name: &Name) -> bool {
        let combinations = self.combinations.get(&name.0).copied().unwrap_or(0);
        is_overflow(name) || (self.fields.len() < MAX_FIELDS && combinations < MAX_COMBINATIONS)
    }

    /// Adds the room for the fields to `geometry`.
    pub(super) fn measure(&self, geometry: &mut Geometry) -> Result<(), Error> {
        let declared =
            self.fields.iter().map(|field| Declaration::Field(field.declaration.clone()));
        declared.into_iter().try_for_each(|field| field.measure(geometry))
    }

    /// Writes the fields, and their values into `lane`. Sums that are larger than their type are
    /// written as the largest number, and counted as refused.
    pub(super) fn write<M: Memory>(&self, writer: &mut Writer<M>, lane: u32) -> Result<u32, Error> {
        let mut refused = self.refused;
        for field in &self.fields {
            let declaration = Declaration::Field(field.declaration.clone());
            let id: FieldId = declaration.write(writer).map_err(Error::image)?;
            let mut total = field.total.clone();
            refused = refused.saturating_add(u32::from(!total.fit(field.ty)));
            for (units, elements) in total.units(Some(field.ty)) {
                writer.restore(lane, id, &units, elements).map_err(Error::image)?;
            }
        }
        Ok(refused)
    }
}

/// Whether a field takes the combinations of attributes that have no field of their own.
fn is_overflow((_, attributes): &Name) -> bool {
    attributes.split('\0').any(|pair| pair == OVERFLOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmstats_core::merge::Number;
    use mmstats_core::{Aggregation, FieldSpec};

    use crate::schema::options::AnyOptions;

    /// A counter with a value of attribute `path`.
    fn counter(sums: &mut Sums, region: &impl Source, path: &str, value: u64) {
        let (_, fields) = fields(region).unwrap();
        let signature = Signature::combined(region, &fields[0]);
        let spec = FieldSpec::counter("hits");
        let options = AnyOptions::default().attribute("path", path);
        let declaration = FieldDeclaration::new("hits".to_owned(), &spec, options);
        sums.add(Summed {
            name: ("hits".to_owned(), format!("path={path}")),
            signature,
            declaration,
            ty: DataType::U64,
            total: Total::Numbers(Aggregation::Sum, vec![Number::Unsigned(value.into())]),
        });
    }

    #[test]
    fn combinations_beyond_maximum_go_to_overflow() {
        let geometry = Geometry { fields: 1, heap: 64, cells: 64, lanes: 1 };
        let memory = crate::backend::private(geometry.file_size().unwrap()).unwrap();
        let mut writer = Writer::create(memory, &geometry, [1; 16], 0).unwrap();
        writer.add(&FieldSpec::counter("hits")).unwrap();
        let region = writer.region();
        let mut sums = Sums::default();
        for n in 0..MAX_COMBINATIONS + 10 {
            counter(&mut sums, region, &n.to_string(), 1);
            counter(&mut sums, region, "0", 1);
        }
        assert_eq!((sums.fields.len(), sums.refused), (MAX_COMBINATIONS + 1, 0));
        let value = |field: &Summed| match &field.total {
            Total::Numbers(_, numbers) => numbers[0].as_f64(),
            _ => 0.0,
        };
        let overflow = sums.fields.last().unwrap();
        assert_eq!((&*overflow.name.1, value(overflow)), (OVERFLOW, 10.0));
        let all: f64 = sums.fields.iter().map(value).sum();
        #[allow(clippy::cast_precision_loss)] // a small number
        let counted = 2.0 * (MAX_COMBINATIONS + 10) as f64;
        assert_eq!(all, counted);
    }
}
