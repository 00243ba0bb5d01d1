//! The command of CONFORMANCE.md section 7 around `mmstats-observe`.
#![forbid(unsafe_code)]

use mmstats_observe::{
    Aggregation, AverageValue, HistogramValue, Kind, Number, Observer, OwnedValue, Quantile,
    Reading, Sources, Total, Verdict, totals,
};
use serde_json::{Map, Value as Json, json};

/// Quantiles that are printed.
const QUANTILES: [&str; 8] = ["0", "0.2", "0.5", "0.75", "0.8", "0.9", "0.99", "1"];

fn main() {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: conform-values DIRECTORY");
        std::process::exit(3);
    };
    let mut observer = Observer::new(Sources::new().path(directory));
    observer.refresh();
    let complete = observer.programs().iter().all(|program| program.completeness().is_complete());
    let totals = totals(observer.files());
    let fields: Vec<Json> = totals.iter().filter(|total| is_combined(total)).map(field).collect();
    println!("{}", json!({ "complete": complete, "fields": fields }));
}

/// Not constants, and nothing that is listed instead of combined.
fn is_combined(total: &Total) -> bool {
    let properties = total.field.properties;
    let listed = matches!(properties.kind(), Some(Kind::Events | Kind::Activity));
    !total.field.constant && !listed && properties.aggregation() != Aggregation::Each
}

fn field(total: &Total) -> Json {
    let Total { field, reading, .. } = total;
    let attributes: Map<String, Json> =
        field.attributes().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let properties = field.properties;
    let mut out = json!({
        "label": field.label,
        "unit": field.unit,
        "attributes": attributes,
        "type": properties.ty().map_or("unknown", |ty| ty.name()),
        "kind": properties.kind().map_or("unknown", Kind::name),
        "aggregation": properties.aggregation().name(),
        "verdict": verdict(reading),
    });
    if let Some(value) = &reading.value {
        out["value"] = shown(value);
    }
    out
}

fn verdict(reading: &Reading) -> &'static str {
    match reading.verdict {
        Verdict::Consistent => "consistent",
        Verdict::Absent => "absent",
        Verdict::Contended => "contended",
        _ => "damaged",
    }
}

fn shown(value: &OwnedValue) -> Json {
    match value {
        OwnedValue::Array(items) => {
            json!({ "numbers": items.iter().map(number).collect::<Vec<_>>() })
        }
        OwnedValue::Timer(timer) => json!({
            "count": timer.count.to_string(), "sum": timer.sum.to_string(), "min": whole(timer.min),
            "max": whole(timer.max), "last": whole(timer.last),
        }),
        OwnedValue::State(states) => {
            let used = states.iter().filter(|(_, count)| *count > 0);
            let states: Map<String, Json> =
                used.map(|(name, count)| (name.to_owned(), count.to_string().into())).collect();
            json!({ "states": states })
        }
        OwnedValue::Histogram(all) => histogram(all),
        OwnedValue::Average(mean) | OwnedValue::Window(mean) => average(mean),
        OwnedValue::Rate(rates) => {
            let rates: Map<String, Json> = rates
                .iter()
                .map(|rate| (rate.window.to_string(), rate.rate.map(float).into()))
                .collect();
            json!({ "rates": rates })
        }
        OwnedValue::Running(running) => {
            json!({ "number": running.number.to_string(), "since": whole(running.since) })
        }
        other => json!({ "number": number(other) }),
    }
}

fn average(mean: &AverageValue) -> Json {
    json!({ "count": float(mean.count), "sum": float(mean.sum), "mean": mean.mean().map(float) })
}

fn histogram(all: &HistogramValue) -> Json {
    let text = |number: Number| match number {
        Number::Unsigned(n) => n.to_string(),
        Number::Signed(n) => n.to_string(),
        Number::Float(x) => float(x),
    };
    let one = |number: Option<Number>| number.map(text);
    let mut out = json!({
        "count": all.count().to_string(), "sum": text(all.sum()), "min": one(all.min()), "max": one(all.max()),
    });
    let answer = |q: &str| match all.quantile(q.parse().ok()?)? {
        Quantile::Value(value) => Some(float(value)),
        Quantile::Below(bound) => Some(format!("< {}", float(bound))),
        Quantile::Above(bound) => Some(format!("> {}", float(bound))),
    };
    if all.count() > 0 {
        let quantiles: Map<String, Json> =
            QUANTILES.iter().map(|q| ((*q).to_owned(), answer(q).into())).collect();
        out["quantiles"] = quantiles.into();
    }
    out
}

fn whole(number: Option<u64>) -> Json {
    number.map(|number| number.to_string()).into()
}

fn number(value: &OwnedValue) -> Json {
    match value {
        OwnedValue::Unsigned(n) => n.to_string().into(),
        OwnedValue::Signed(n) => n.to_string().into(),
        other => other.as_f64().map(float).into(),
    }
}

fn float(x: f64) -> String {
    match x {
        x if x.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        x => x.to_string(),
    }
}
