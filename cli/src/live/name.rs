//! Names of fields.

use mmstats_observe::FieldInfo;

use crate::text::escape;

/// `status="200",route="/"`: the attributes of a field, escaped; empty without any.
pub(crate) fn attributes(info: &FieldInfo) -> String {
    let item = |(key, value): (&str, &str)| {
        format!("{key}=\"{}\"", escape::text(value).replace('"', "\\\""))
    };
    info.attributes().map(item).collect::<Vec<_>>().join(",")
}

/// `requests{status="200"}`, escaped.
pub(crate) fn name(info: &FieldInfo) -> String {
    let label = escape::text(&info.label);
    let attributes = attributes(info);
    if attributes.is_empty() { label.into_owned() } else { format!("{label}{{{attributes}}}") }
}
