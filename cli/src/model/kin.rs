//! Fields of one label that do not combine: what tells them apart.

use mmstats_observe::FieldInfo;

/// Maximum number of fields that are compared with each other; more are numbered.
const MAX_COMPARED: usize = 64;

/// For each field the properties that tell it from the others, which have the same label and
/// attributes: unit and kind, type and rule if these are equal. Empty for a single field.
pub(crate) fn qualifiers(fields: &[&FieldInfo]) -> Vec<Qualifier> {
    let mut found = vec![Qualifier::default(); fields.len()];
    if fields.len() < 2 {
        return found;
    }
    if fields.len() > MAX_COMPARED {
        for (number, qualifier) in (1..).zip(&mut found) {
            qualifier.words.push(format!("#{number}"));
        }
        return found;
    }
    let unit = |field: &FieldInfo| match field.unit.as_str() {
        "" => "no unit".to_owned(),
        unit => unit.to_owned(),
    };
    let properties: [&dyn Fn(&FieldInfo) -> String; 4] = [
        &unit,
        &|field| field.kind_name().to_owned(),
        &|field| field.shape().to_string(),
        &|field| field.properties.aggregation().to_string(),
    ];
    for (number, property) in properties.into_iter().enumerate() {
        let is_told = |n: usize| found.iter().filter(|other| **other == found[n]).count() == 1;
        // Unit and kind are always said.
        if number >= 2 && (0..found.len()).all(is_told) {
            break;
        }
        let values: Vec<String> = fields.iter().map(|field| property(field)).collect();
        if values.iter().all(|value| *value == values[0]) {
            continue;
        }
        for (qualifier, value) in found.iter_mut().zip(values) {
            qualifier.has_unit |= number == 0;
            qualifier.words.push(value);
        }
    }
    // Names of states, or windows of a rate.
    let same = |at: usize| found[..at].iter().filter(|other| **other == found[at]).count() + 1;
    let numbers: Vec<usize> = (0..found.len()).map(same).collect();
    for (qualifier, number) in found.iter_mut().zip(numbers) {
        if number > 1 {
            qualifier.words.push(format!("#{number}"));
        }
    }
    found
}

/// The properties that tell a field from others of its label.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Qualifier {
    /// Not escaped.
    pub(crate) words: Vec<String>,
    /// Whether the first word is the unit.
    pub(crate) has_unit: bool,
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Aggregation, DataType, Kind, Properties};

    use super::*;

    #[test]
    fn qualifiers_say_what_differs() {
        let of = |unit: &str, ty, kind, rule| {
            let mut field = FieldInfo::new("x", Properties::new(ty, kind, rule));
            field.unit = unit.to_owned();
            field
        };
        let words = |fields: &[FieldInfo]| -> Vec<String> {
            let all = qualifiers(&fields.iter().collect::<Vec<_>>());
            all.into_iter().map(|qualifier| qualifier.words.join(",")).collect()
        };
        use Aggregation::{Max, Sum};
        use DataType::{F64, U32, U64};
        use Kind::{Counter, Gauge};
        let seconds = of("seconds", F64, Gauge, Sum);
        assert_eq!(words(std::slice::from_ref(&seconds)), [""]);
        let bytes = of("bytes", U64, Gauge, Sum);
        assert_eq!(words(&[bytes.clone(), seconds.clone()]), ["bytes", "seconds"]);
        let none = [of("", U64, Gauge, Sum), of("", U64, Counter, Sum)];
        assert_eq!(words(&none), ["gauge", "counter"]);
        let both = [of("", U64, Counter, Sum), seconds.clone()];
        assert_eq!(words(&both), ["no unit,counter", "seconds,gauge"]);
        let types = [of("", U64, Counter, Sum), of("", U32, Counter, Sum)];
        assert_eq!(words(&types), ["u64", "u32"]);
        let rules = [of("", U64, Gauge, Sum), of("", U64, Gauge, Max)];
        assert_eq!(words(&rules), ["sum", "max"]);
        assert_eq!(words(&[bytes.clone(), bytes.clone()]), ["", "#2"]);
        assert_eq!(words(&vec![bytes.clone(); 3]), ["", "#2", "#3"]);
        let pairs = [bytes.clone(), seconds.clone(), bytes.clone(), seconds, bytes.clone()];
        let numbered =
            ["bytes,u64", "seconds,f64", "bytes,u64,#2", "seconds,f64,#2", "bytes,u64,#3"];
        assert_eq!(words(&pairs), numbered);
        assert_eq!(words(&vec![bytes; 65])[64], "#65");
    }
}
