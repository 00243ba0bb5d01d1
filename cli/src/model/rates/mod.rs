//! Increases in an interval: of families, programs and applications.

pub(crate) mod column;
pub(crate) mod series;
pub(crate) mod subject;
pub(crate) mod views;
