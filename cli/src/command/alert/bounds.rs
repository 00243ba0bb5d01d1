//! Knowledge of a value: a number, a bound, or the reason why there is neither.

use mmstats_observe::{Aggregation, Damage, Kind, Number, OwnedValue, Total, Verdict};

use super::threshold::Known;
use crate::value::main_number;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) text: String,
    /// Whether there never is one: the kind of the field has none.
    pub(super) never: bool,
}

impl Why {
    fn never(text: impl Into<String>) -> Self {
        Self { text: text.into(), never: true }
    }

    /// A field of this kind does not have `what`.
    pub(super) fn kind(total: &Total, what: &str) -> Self {
        Self::never(format!("a field of kind {} has no {what}", total.field.kind_name()))
    }
}

impl From<String> for Why {
    fn from(text: String) -> Self {
        Self { text, never: false }
    }
}

impl From<&str> for Why {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// The value, or bounds, of a combined value of which parts could not be read; `incomplete` names the parts
/// that the program lacks.
pub(super) fn bounded(total: &Total, known: Known, incomplete: Option<&str>) -> Result<Known, Why> {
    let verdict = total.reading.verdict;
    if verdict == Verdict::Consistent && incomplete.is_none() {
        return Ok(known);
    }
    let properties = total.field.properties;
    let number = known.number();
    // Counts of things are not negative.
    let is_count = matches!(number, Number::Unsigned(_))
        || matches!(properties.kind(), Some(Kind::Counter | Kind::Activity | Kind::Running));
    match properties.aggregation() {
        Aggregation::Max => Ok(Known::AtLeast(number)),
        Aggregation::Min => Ok(Known::AtMost(number)),
        Aggregation::Sum | Aggregation::Each if is_count => Ok(Known::AtLeast(number)),
        _ => Err(incomplete.map_or_else(|| reason(verdict), Why::from)),
    }
}

/// The begin of the oldest activity.
pub(super) struct Oldest {
    pub(super) at: Option<u64>,
    /// Whether nothing in progress may be older.
    pub(super) is_exact: bool,
}

pub(super) fn oldest(value: &OwnedValue) -> Oldest {
    let none = Oldest { at: None, is_exact: true };
    match value {
        OwnedValue::Activity(activity) => Oldest {
            at: activity.rows.iter().filter_map(|row| row.since).min(),
            is_exact: activity.contended == 0
                && activity.damaged == 0
                && activity.rows.iter().all(|row| row.since.is_some()),
        },
        // It began at this time or before.
        OwnedValue::Running(running) => Oldest {
            at: running.since.filter(|_| running.number > 0),
            is_exact: running.number == 0,
        },
        OwnedValue::Each(all) => {
            all.iter().filter_map(|each| each.value.as_ref()).map(oldest).fold(none, |all, one| {
                Oldest {
                    at: [all.at, one.at].into_iter().flatten().min(),
                    is_exact: all.is_exact && one.is_exact,
                }
            })
        }
        _ => none,
    }
}

/// The number that a single value stands for.
pub(super) fn number(value: &OwnedValue) -> Result<Known, Why> {
    if let Some(known) = Known::from_value(value) {
        return Ok(known);
    }
    match value {
        OwnedValue::Average(_) | OwnedValue::Window(_) | OwnedValue::Rate(_) => main_number(value)
            .map(|x| Known::Exact(Number::Float(x)))
            .ok_or_else(|| "it has no value yet".into()),
        OwnedValue::Timer(_) => Err(Why::never("a timer is no number: rate(FIELD) is")),
        OwnedValue::Histogram(_) => {
            Err(Why::never("a histogram is no number: rate(FIELD) and p99(FIELD) are"))
        }
        _ => Err(Why::never("it is no number")),
    }
}

/// Why there is no value.
pub(super) fn reason(verdict: Verdict) -> Why {
    match verdict {
        Verdict::Absent => "it has no value yet".into(),
        Verdict::Contended => "contended: it changed during each attempt to read it".into(),
        Verdict::Damaged(Damage { code, offset, .. }) => {
            format!("damaged: {code} at byte {offset}").into()
        }
        verdict => verdict.name().into(),
    }
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{DataType, FieldInfo, Properties, Reading};

    use super::*;

    #[test]
    fn value_of_which_parts_could_not_be_read_is_a_bound() {
        let known = |ty, kind, rule, number, verdict| {
            let field = FieldInfo::new("x", Properties::new(ty, kind, rule));
            let value = OwnedValue::from(number);
            let reading = Reading { verdict, ..Reading::consistent(value) };
            bounded(&Total::new(field, reading), Known::Exact(number), None)
        };
        use Aggregation::{Max, Mean, Min, Sum};
        let (number, ty) = (Number::Unsigned(7), DataType::U64);
        let contended = Verdict::Contended;
        let gauge = |rule, verdict| known(ty, Kind::Gauge, rule, number, verdict);
        assert_eq!(gauge(Sum, Verdict::Consistent), Ok(Known::Exact(number)));
        assert_eq!(gauge(Sum, contended), Ok(Known::AtLeast(number)));
        assert_eq!(gauge(Max, contended), Ok(Known::AtLeast(number)));
        assert_eq!(gauge(Min, contended), Ok(Known::AtMost(number)));
        assert!(gauge(Mean, contended).unwrap_err().text.starts_with("contended: "));
        let signed = Number::Signed(-7);
        assert!(known(DataType::I64, Kind::Gauge, Sum, signed, contended).is_err());
        let float = Number::Float(7.5);
        let counter = known(DataType::F64, Kind::Counter, Sum, float, contended);
        assert_eq!(counter, Ok(Known::AtLeast(float)));
    }
}
