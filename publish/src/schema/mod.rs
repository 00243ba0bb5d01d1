//! The fields of a publisher, collected before its files exist.

pub(crate) mod declaration;
pub(crate) mod family;
pub(crate) mod key;
pub(crate) mod labels;
pub(crate) mod member;
pub(crate) mod options;

use mmstats_core::{FieldId, Geometry, RecentTexts};

use self::declaration::{Declaration, Field, SharedHandle};
use self::family::FamilyDeclaration;

use self::key::{Address, DynFamilyKey, FamilyByKey, FamilyKey, Key};
use self::labels::Labels;
use self::options::{FamilyOf, FieldOptions};
use crate::error::Error;

/// Fields declared one by one, or by `#[derive(Stats)]`.
///
/// Errors (a label twice, a text that is too long) are those of [`Options::start`], so that
/// declaring needs no error handling.
///
/// [`Options::start`]: crate::Options::start
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub(crate) declarations: Vec<Declaration>,
    pub(crate) families: Vec<FamilyDeclaration>,
    fields: u32,
    /// Whether a field is declared for a handle of the whole program.
    pub(crate) has_shared: bool,
}

impl Schema {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a field for handles of type `H`.
    pub fn add<H: Field>(&mut self, label: impl Into<String>, options: FieldOptions<H>) -> Key<H> {
        self.push(H::declaration(label.into(), options.any))
    }

    /// Declares a field of the whole program, for
    /// [`Publisher::attach_shared`](crate::Publisher::attach_shared).
    pub fn add_shared<H: SharedHandle>(
        &mut self,
        label: impl Into<String>,
        options: FieldOptions<H>,
    ) -> Key<H> {
        self.has_shared = true;
        self.push(H::declaration(label.into(), options.any))
    }

    /// Declares a family: fields of one label that differ in the values of the attributes
    /// `labels`, each added when a thread first asks for it.
    pub fn add_family<H: Field, const N: usize>(
        &mut self,
        label: impl Into<String>,
        labels: [&str; N],
        options: FieldOptions<FamilyOf<H>>,
    ) -> FamilyKey<H, N> {
        const { assert!(N > 0, "a family has at least one label") };
        FamilyKey::new(self.push_family(label.into(), &labels, options))
    }

    /// Declares a family: fields of one label that differ in the labels `L`, a struct with
    /// `#[derive(Labels)]`, and are made when they are first asked for.
    pub fn add_family_by<H: Field, L: Labels>(
        &mut self,
        label: impl Into<String>,
        options: FieldOptions<FamilyOf<H>>,
    ) -> FamilyByKey<H, L> {
        const { assert!(!L::KEYS.is_empty(), "a family has at least one label") };
        FamilyByKey::new(self.push_family(label.into(), L::KEYS, options))
    }

    /// Declares a family whose labels are known at run time: see [`Schema::add_family`]. A family without
    /// labels is an error of the start.
    pub fn add_dyn_family<H: Field>(
        &mut self,
        label: impl Into<String>,
        labels: &[&str],
        options: FieldOptions<FamilyOf<H>>,
    ) -> DynFamilyKey<H> {
        DynFamilyKey::new(self.push_family(label.into(), labels, options))
    }

    fn push_family<H: Field>(
        &mut self,
        label: String,
        keys: &[&str],
        options: FieldOptions<FamilyOf<H>>,
    ) -> usize {
        let (mut declared, overflow) = FamilyDeclaration::new::<H>(label, keys, options);
        declared.overflow = self.push::<H>(overflow).address;
        self.families.push(declared);
        self.families.len() - 1
    }

    fn push<H>(&mut self, declaration: Declaration) -> Key<H> {
        let id = FieldId::from_index(self.fields);
        self.fields = self.fields.saturating_add(declaration.count());
        self.declarations.push(declaration);
        Key::new(Address::lasting(0, id))
    }

    /// Number of fields; each member of a group counts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields as usize
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// The room for all fields, or the first broken rule.
    pub(crate) fn measure(&self, lanes: u32) -> Result<Geometry, Error> {
        let mut geometry = Geometry::new(lanes);
        let mut recent = RecentTexts::new();
        for declaration in &self.declarations {
            declaration.measure(&mut geometry)?;
            for field in declaration.fields() {
                geometry.share(&mut recent, &field.description.unit);
                geometry.share(&mut recent, &field.description.help);
            }
        }
        self.families.iter().try_for_each(FamilyDeclaration::check)?;
        Ok(geometry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counter, Info};

    #[test]
    fn measure_names_field_that_breaks_rule() {
        let mut schema = Schema::new();
        schema.add::<Counter>("a", FieldOptions::new().attribute("code", "200"));
        schema.add::<Counter>("a", FieldOptions::new().attribute("code", "500"));
        assert!(schema.measure(1).is_ok());
        schema.add::<Counter>("", FieldOptions::new());
        let error = schema.measure(1).unwrap_err();
        assert_eq!(error.to_string(), "field \"\": a label has 1 to 255 bytes, not 0");
    }

    #[test]
    fn measure_constant_needs_no_cell() {
        let mut schema = Schema::new();
        schema.add::<Info>("version", FieldOptions::new().value("1.2"));
        assert_eq!(schema.measure(1).unwrap().cells, 0);
    }
}
