//! The declaration of a family.

use mmstats_core::{FieldId, Geometry};

use super::declaration::{Declaration, Field};

use super::key::Address;
use super::options::{AnyOptions, FamilyOf, FieldOptions};
use crate::error::Error;

/// Maximum number of combinations of a family, unless [`FieldOptions::cap`] is set.
const DEFAULT_CAP: u32 = 1000;

/// The declaration of a family.
#[derive(Debug, Clone)]
pub(crate) struct FamilyDeclaration {
    label: String,
    /// The keys of the attributes in which its fields differ.
    pub(crate) keys: Vec<String>,
    options: AnyOptions,
    /// A field of the family, to check the rules that apply to all its fields.
    example: Declaration,
    /// The field for combinations beyond the cap.
    pub(crate) overflow: Address,
}

impl FamilyDeclaration {
    /// A family and its overflow field. The caller sets [`Self::overflow`] when that field has
    /// an address.
    pub(crate) fn new<H: Field>(
        label: String,
        keys: &[&str],
        options: FieldOptions<FamilyOf<H>>,
    ) -> (Self, Declaration) {
        let options = options.any;
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        let with = |pairs: &mut dyn Iterator<Item = (&str, &str)>| {
            let all = pairs.fold(options.clone(), |all, (key, value)| all.attribute(key, value));
            H::declaration(label.clone(), all)
        };
        let overflow = with(&mut [("overflow", "true")].into_iter());
        let example = with(&mut keys.iter().map(|key| (key.as_str(), "")));
        let unknown = Address::lasting(0, FieldId::from_index(0));
        (Self { label, keys, options, example, overflow: unknown }, overflow)
    }

    /// Checks keys and options against the rules of the format.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.keys.is_empty() {
            return Err(Error::NoLabels { label: self.label.clone() });
        }
        self.example.measure(&mut Geometry::new(1))
    }

    /// Maximum number of combinations.
    pub(crate) fn cap(&self) -> usize {
        self.options.cap.unwrap_or(DEFAULT_CAP) as usize
    }

    /// The field with these attribute values, in the order of the keys.
    pub(crate) fn field<H: Field>(&self, values: &[&str]) -> Declaration {
        let pairs = self.keys.iter().zip(values);
        let options =
            pairs.fold(self.options.clone(), |all, (key, value)| all.attribute(key, value));
        H::declaration(self.label.clone(), options)
    }
}
