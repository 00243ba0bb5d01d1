//! Parameters of a request.

use super::answer::Refusal;

/// The parameters, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// An error for a parameter that is not among `allowed`.
    pub(super) fn parse(text: Option<&str>, allowed: &[&str]) -> Result<Self, Refusal> {
        let text = text.unwrap_or_default();
        let pairs = form_urlencoded::parse(text.as_bytes());
        let pairs: Vec<(String, String)> =
            pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !allowed.contains(&key.as_str())) {
            let known = allowed.join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(Refusal::wrong(format!("no parameter '{key}'; there are: {known}")));
        }
        Ok(Self(pairs))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a parameter that is given once at most.
    pub(super) fn one(&self, key: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.iter().filter(|(k, _)| *k == key).map(|(_, value)| value);
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => Err(Refusal::wrong(format!("'{key}' is given twice"))),
        }
    }

    /// A number in a range.
    pub(super) fn number(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.one(key)? else { return Ok(None) };
        let (first, last) = (range.start(), range.end());
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            Refusal::wrong(format!("'{key}' is not a whole number from {first} to {last}"))
        })
    }

    /// A time, in seconds since 1970.
    pub(super) fn time(&self, key: &str) -> Result<Option<f64>, Refusal> {
        let Some(text) = self.one(key)? else { return Ok(None) };
        let time = text.parse().ok().filter(|time| (0.0..1e11).contains(time));
        let wrong = || Refusal::wrong(format!("'{key}' is not a number of seconds since 1970"));
        time.map(Some).ok_or_else(wrong)
    }

    /// Whether a switch is given as `1`.
    pub(super) fn is_set(&self, key: &str) -> Result<bool, Refusal> {
        match self.one(key)? {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(Refusal::wrong(format!("'{key}' is 0 or 1"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_refuses_what_it_does_not_know() {
        let parse = |text| Query::parse(Some(text), &["at", "limit", "home"]);
        let query = parse("at=1.5&limit=7&home=1").unwrap();
        assert_eq!(query.time("at"), Ok(Some(1.5)));
        assert_eq!(query.number("limit", 1..=10), Ok(Some(7)));
        assert_eq!(query.is_set("home"), Ok(true));
        assert_eq!(parse("x=1").unwrap_err().text, "no parameter 'x'; there are: at, limit, home");
        for (text, key) in [("at=NaN", "at"), ("at=-1", "at"), ("at=1&at=1", "at")] {
            assert!(parse(text).unwrap().time(key).is_err(), "{text}");
        }
        assert!(parse("limit=11").unwrap().number("limit", 1..=10).is_err());
        assert!(parse("home=yes").unwrap().is_set("home").is_err());
    }
}
