//! Lines of Graphite: path, value, time.

use std::fmt::Write as _;

use mmstats_observe::{FieldInfo, Number, OwnedValue, Quantile, Total};

use crate::digits;
use crate::loss::Losses;
use crate::plan::{self, Part, Plan, Type};
use crate::unit::Scale;

/// The quantiles that are sent.
const QUANTILES: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p999")];

/// Appends the lines of a program: `PREFIX.LABEL[.VALUE OF AN ATTRIBUTE]… value time`.
///
/// `prefix` is a path, as [`path`] makes it; `time` is in seconds since 1970. Values are in the base unit, as those of
/// Prometheus: seconds, bytes, ratios. Of two fields with one path the first is sent; `losses` has the other.
pub fn lines(prefix: &str, time: u64, fields: &[Total], losses: &mut Losses, out: &mut String) {
    let mut seen = std::collections::HashSet::new();
    for total in fields {
        let Some(value) = plan::value(&total.reading) else { continue };
        for plan in plan::plans(&total.field, &total.reading, &mut Losses::default()) {
            let base = base(prefix, &total.field, &plan);
            let mut line = |suffix: &str, number: Number, scale: Scale| {
                let path = format!("{base}{suffix}");
                if !is_finite(number) {
                    return;
                }
                if !seen.insert(path.clone()) {
                    losses.collide(|| {
                        format!("{}: another field has the path {path}", total.field.label)
                    });
                    return;
                }
                let _ = write!(out, "{path} ");
                digits::push(out, number, scale);
                let _ = writeln!(out, " {time}");
            };
            match plan.ty {
                Type::Info => {}
                Type::Summary => {
                    if let Some((count, sum)) = plan::summary(value) {
                        line(".count", count, Scale::ONE);
                        line(".sum", sum, plan.scale);
                    }
                }
                Type::Histogram => {
                    let OwnedValue::Histogram(histogram) = value.only() else { continue };
                    line(".count", Number::Unsigned(histogram.count()), Scale::ONE);
                    line(".sum", histogram.sum(), plan.scale);
                    for (q, name) in QUANTILES {
                        // A bound is no quantile.
                        if let Some(Quantile::Value(x)) = histogram.quantile(q) {
                            line(&format!(".{name}"), Number::Float(x), plan.scale);
                        }
                    }
                }
                _ => {
                    if let Some(number) = plan::number(value, plan.part) {
                        line(suffix(plan.part), number, plan.scale);
                    }
                }
            }
        }
    }
}

const fn suffix(part: Part) -> &'static str {
    match part {
        Part::Min => ".min",
        Part::Max => ".max",
        Part::Last => ".last",
        Part::Mean => ".mean",
        Part::InProgress => ".in_progress",
        Part::Oldest => ".oldest",
        Part::Refused => ".refused",
        _ => "",
    }
}

fn is_finite(number: Number) -> bool {
    !matches!(number, Number::Float(x) if !x.is_finite())
}

/// The path of a series without its last part.
fn base(prefix: &str, info: &FieldInfo, plan: &Plan) -> String {
    let label = info.label.split('.').map(component).collect::<Vec<_>>().join(".");
    let mut path = if prefix.is_empty() { label } else { format!("{prefix}.{label}") };
    for (_, value) in &plan.labels {
        path.push('.');
        path.push_str(&component(value));
    }
    path
}

/// A path of these parts.
#[must_use]
pub fn path<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    parts.into_iter().map(component).collect::<Vec<_>>().join(".")
}

/// A part of a path: other characters than letters, digits, `-` and `_` become `_`.
fn component(text: &str) -> String {
    let allowed =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let part: String = text.chars().map(allowed).collect();
    if part.is_empty() { "_".to_owned() } else { part }
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Aggregation, DataType, Kind, Properties, Reading, TimerValue};

    use super::*;

    fn field(label: &str, kind: Kind, value: OwnedValue) -> Total {
        let info = FieldInfo::new(label, Properties::new(DataType::U64, kind, Aggregation::Sum));
        Total::new(info, Reading::consistent(value))
    }

    #[test]
    fn lines_have_path_value_and_time() {
        let timer =
            TimerValue { count: 2, sum: 1_500_000_000, min: Some(1), max: None, last: None };
        let mut counter =
            field("http.requests in", Kind::Counter, OwnedValue::Unsigned(u64::MAX.into()));
        counter.field.attributes = "code=4.4".into();
        let fields = [
            counter,
            field("took", Kind::Timer, OwnedValue::Timer(timer)),
            field("bad", Kind::Gauge, OwnedValue::F64(f64::NAN)),
        ];
        let (mut out, mut losses) = (String::new(), Losses::default());
        lines(&path(["web", "a.b"]), 7, &fields, &mut losses, &mut out);
        assert_eq!(
            out,
            "web.a_b.http.requests_in.4_4 18446744073709551615 7\n\
             web.a_b.took.count 2 7\nweb.a_b.took.sum 1.5 7\nweb.a_b.took.min 0.000000001 7\n"
        );
        assert!(losses.collisions().is_empty());
        lines(
            "",
            7,
            &[
                field("a!", Kind::Gauge, OwnedValue::Unsigned(1)),
                field("a?", Kind::Gauge, OwnedValue::Unsigned(2)),
            ],
            &mut losses,
            &mut out,
        );
        assert_eq!(losses.collisions().len(), 1);
        assert!(out.ends_with("\na_ 1 7\n"));
    }
}
