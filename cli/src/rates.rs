//! Rates of a counter over windows of time, as they are printed.

use mmstats_observe::WindowRate;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::value::Scale;
use crate::{escape, human};

/// `12.3/s over 1m, 11/s over 5m`; `None` if no window has a rate.
pub(crate) fn humane(rates: &[WindowRate], unit: &str) -> Option<String> {
    let show = |rate: f64| match Scale::of(unit) {
        Scale::Plain if unit.is_empty() => format!("{}/s", human::compact(rate)),
        Scale::Plain => format!("{} {}/s", human::compact(rate), escape::text(unit)),
        scale => format!("{}/s", scale.show(rate)),
    };
    let rates = rates.iter().filter_map(|rate| Some((rate.window, rate.rate?)));
    let texts = rates.map(|(window, rate)| format!("{} over {}", show(rate), length(window)));
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// `60=12.3 300=11`, with seconds and rates per second; `None` if no window has a rate.
pub(crate) fn plain(rates: &[WindowRate]) -> Option<String> {
    let rates = rates.iter().filter_map(|rate| Some((rate.window, rate.rate?)));
    let texts: Vec<String> = rates.map(|(window, rate)| format!("{window}={rate}")).collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}

/// `90s`, `5m`, `2h`.
fn length(seconds: u32) -> String {
    match seconds {
        s if s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// As a JSON object: seconds as keys, rates per second or null as values.
pub(crate) struct Exact<'a>(pub(crate) &'a [WindowRate]);

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for rate in self.0 {
            map.serialize_entry(&rate.window.to_string(), &rate.rate)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_short_names() {
        let names = [1, 90, 60, 900, 3600, 86_400].map(length);
        assert_eq!(names, ["1s", "90s", "1m", "15m", "1h", "24h"]);
        assert_eq!((humane(&[], ""), plain(&[])), (None, None));
    }
}
