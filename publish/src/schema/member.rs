//! Members of a group that are known at run time.

use mmstats_core::{Aggregation, DataType, FieldSpec, Properties};

/// A member of a [`DynGroup`](crate::DynGroup): its label within the group, its type, unit and help.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMember {
    pub(crate) label: String,
    properties: Properties,
    unit: String,
    help: String,
}

impl GroupMember {
    fn new(label: String, spec: &FieldSpec<'_>) -> Self {
        Self { label, properties: spec.properties, unit: String::new(), help: String::new() }
    }

    /// A scalar that goes up and down.
    #[must_use]
    pub fn gauge(label: impl Into<String>, ty: DataType) -> Self {
        Self::new(label.into(), &FieldSpec::gauge("", ty))
    }

    /// A u64 that only grows.
    #[must_use]
    pub fn counter(label: impl Into<String>) -> Self {
        Self::new(label.into(), &FieldSpec::counter(""))
    }

    /// The unit.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// A sentence or more for readers of the value.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// How the values of lanes and processes combine.
    #[must_use]
    pub fn aggregation(mut self, aggregation: Aggregation) -> Self {
        self.properties = self.properties.with_aggregation(aggregation);
        self
    }

    pub(crate) fn spec(&self) -> FieldSpec<'_> {
        FieldSpec::new("", self.properties).unit(&self.unit).help(&self.help)
    }
}
