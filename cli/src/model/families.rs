//! Families: the fields of one label stand together where the first was declared, by attributes.

use std::cmp::Ordering;
use std::collections::HashMap;

use mmstats_observe::{FieldInfo, OwnedValue, Verdict};

use super::row::Row;

/// Puts the fields of each label together, sorted by attributes, numbers as numbers; the
/// overflow is last.
pub(crate) fn arrange(rows: Vec<Row>) -> Vec<Row> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut families: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        // Damaged fields have no label.
        let label = row.field.label.clone();
        let place = if label.is_empty() { None } else { places.get(&label) };
        match place.and_then(|place| families.get_mut(*place)) {
            Some(family) => family.push(row),
            None => {
                places.insert(label, families.len());
                families.push(vec![row]);
            }
        }
    }
    for family in families.iter_mut().filter(|family| is_family(family)) {
        // Stable, so that lanes keep their order.
        family.sort_by(|a, b| compare(&a.field, &b.field));
    }
    families.into_iter().flatten().collect()
}

/// Whether the rows differ in attributes.
fn is_family(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.field.attributes != rows[0].field.attributes)
}

/// Whether the field is the overflow of a family: values that found no room of their own.
fn is_overflow(field: &FieldInfo) -> bool {
    field.attributes().eq([("overflow", "true")])
}

/// Whether the row is an overflow that counted nothing.
pub(crate) fn is_empty_overflow(row: &Row) -> bool {
    let nothing = |value: &OwnedValue| match value {
        OwnedValue::Unsigned(n) => *n == 0,
        OwnedValue::Signed(n) => *n == 0,
        other => other.counted() == Some(0.0),
    };
    let is_read = matches!(row.verdict, Verdict::Consistent | Verdict::Absent);
    is_overflow(&row.field) && is_read && row.value.as_ref().is_none_or(nothing)
}

fn compare(a: &FieldInfo, b: &FieldInfo) -> Ordering {
    let overflow = is_overflow(a).cmp(&is_overflow(b));
    let (mut left, mut right) = (a.attributes(), b.attributes());
    let pairs = std::iter::from_fn(|| match (left.next(), right.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    pairs.fold(overflow, |order, (left, right)| {
        order.then_with(|| match (left, right) {
            (Some((a, x)), Some((b, y))) => a.cmp(b).then_with(|| compare_values(x, y)),
            (left, right) => left.is_some().cmp(&right.is_some()),
        })
    })
}

fn compare_values(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, attributes: &str, value: Option<u128>) -> Row {
        Row::for_test(label, "", value.map(OwnedValue::Unsigned))
            .with_field(|field| field.attributes = attributes.into())
    }

    #[test]
    fn arrange_puts_families_where_they_were_declared() {
        let rows = vec![
            row("sent", "overflow=true", Some(2)),
            row("load", "", Some(1)),
            row("sent", "size=100\0to=b", Some(1)),
            row("other", "", Some(1)),
            row("sent", "size=9\0to=b", Some(1)),
            row("sent", "size=100\0to=a", Some(1)),
            row("sent", "size=x", Some(1)),
            row("", "", None),
            row("", "", None),
        ];
        let name =
            |row: &Row| format!("{} {}", row.field.label, row.field.attributes.replace('\0', ","));
        let found: Vec<String> = arrange(rows).iter().map(name).collect();
        assert_eq!(
            found,
            [
                "sent size=9,to=b",
                "sent size=100,to=a",
                "sent size=100,to=b",
                "sent size=x",
                "sent overflow=true",
                "load ",
                "other ",
                " ",
                " ",
            ]
        );
    }

    #[test]
    fn empty_overflow_is_zero_or_absent() {
        assert!(is_empty_overflow(&row("x", "overflow=true", Some(0))));
        assert!(is_empty_overflow(&row("x", "overflow=true", None)));
        assert!(!is_empty_overflow(&row("x", "overflow=true", Some(1))));
        assert!(!is_empty_overflow(&row("x", "overflow=true\0a=b", Some(0))));
        assert!(!is_empty_overflow(&row("x", "a=b", Some(0))));
    }
}
