//! Conditions: a field, its rate, age or quantile against a number; `dead`; `stopped`; `deadlock`.

use super::threshold::{Dimension, Operator, Threshold};
use crate::model::pattern::Pattern;
use crate::text::escape;

/// Severity of a condition that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Warning,
    Critical,
}

/// A condition of the command line.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// As it was written.
    pub(super) text: String,
    pub(super) severity: Severity,
    pub(super) test: Test,
}

#[derive(Debug, Clone)]
pub(super) enum Test {
    Dead,
    /// By a signal or a debugger.
    Stopped,
    Deadlock,
    Field(Box<Comparison>),
}

#[derive(Debug, Clone)]
pub(super) struct Comparison {
    pub(super) function: Function,
    pub(super) pattern: Pattern,
    pub(super) operator: Operator,
    pub(super) threshold: Threshold,
    /// Operator and number, as they were written.
    pub(super) compared: String,
}

/// The quantity of a field that a condition compares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Function {
    Value,
    /// Increase per second.
    Rate,
    /// Time since the moment that it stands for.
    Age,
    /// From 0 to 1.
    Quantile(f64),
}

impl Condition {
    /// # Errors
    ///
    /// The problem in words, escaped.
    pub(super) fn parse(text: &str, severity: Severity) -> Result<Self, String> {
        let trimmed = text.trim();
        let test = match trimmed {
            "dead" => Test::Dead,
            "stopped" => Test::Stopped,
            "deadlock" => Test::Deadlock,
            _ => Test::Field(
                Comparison::parse(trimmed)
                    .map(Box::new)
                    .map_err(|why| format!("condition '{}': {why}", escape::text(trimmed)))?,
            ),
        };
        Ok(Self { text: trimmed.to_owned(), severity, test })
    }
}

impl Comparison {
    fn parse(text: &str) -> Result<Self, String> {
        let forms = "write 'FIELD > 10', 'rate(FIELD) > 10', 'age(FIELD) > 5s', 'p99(FIELD) > 250ms', \
                     'dead', 'stopped' or 'deadlock'";
        let (left, sign, right) = split(text).ok_or_else(|| forms.to_owned())?;
        let operator = operator(sign)?;
        let (function, field) = function(left.trim())?;
        if field.is_empty() {
            return Err(format!("no field is named; {forms}"));
        }
        let pattern = Pattern::new("", field)?;
        if let Some(why) = pattern.bad_glob() {
            return Err(why);
        }
        let right = right.trim();
        let right = match function {
            Function::Rate => right.strip_suffix("/s").unwrap_or(right),
            _ => right,
        };
        let mut threshold = Threshold::parse(right)?;
        if function == Function::Age {
            threshold = threshold.or_seconds();
            if threshold.dimension != Dimension::Time {
                return Err("an age is compared with a time: 5s".to_owned());
            }
        }
        let compared = text[left.len()..].to_owned();
        Ok(Self { function, pattern, operator, threshold, compared })
    }

    /// The left side, for messages and perfdata: `rate(http.errors)`; `field` is a name.
    pub(super) fn name(&self, field: &str) -> String {
        match self.function {
            Function::Value => field.to_owned(),
            Function::Rate => format!("rate({field})"),
            Function::Age => format!("age({field})"),
            Function::Quantile(q) => format!("p{}({field})", percent(q)),
        }
    }
}

/// 0.999 as 99.9.
fn percent(q: f64) -> f64 {
    (q * 1e6).round() / 1e4
}

/// Left side, operator and right side: at the first run of characters of operators outside of braces and
/// quotes.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (mut braces, mut quoted, mut escaped) = (0_u32, false, false);
    for (at, c) in text.char_indices() {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            _ if was_escaped => {}
            '\\' => escaped = true,
            '"' if braces > 0 => quoted = !quoted,
            _ if quoted => {}
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ if braces > 0 => {}
            // A glob may have `[!a]`.
            '!' if !text[at..].starts_with("!=") => {}
            _ if SIGNS.contains(c) => {
                let rest = &text[at..];
                let end = rest.find(|c| !SIGNS.contains(c)).unwrap_or(rest.len());
                return Some((&text[..at], &rest[..end], &rest[end..]));
            }
            _ => {}
        }
    }
    None
}

/// Characters of operators, including unknown ones.
const SIGNS: &str = "<>=!≤≥≠";

/// The operator of a sign.
fn operator(sign: &str) -> Result<Operator, String> {
    if let Some((_, operator)) = Operator::ALL.iter().find(|(known, _)| *known == sign) {
        return Ok(*operator);
    }
    let meant = match sign {
        "=>" | "≥" => "; >= is greater or equal",
        "=<" | "≤" => "; <= is less or equal",
        "=" | "===" => "; == is equal",
        "<>" | "≠" | "=!" | "!==" => "; != is not equal",
        _ => "",
    };
    let known: Vec<&str> = Operator::ALL.iter().map(|(sign, _)| *sign).collect();
    Err(format!("{sign} is no operator: there are {}{meant}", known.join(" ")))
}

/// The function and the field of a left side.
fn function(left: &str) -> Result<(Function, &str), String> {
    let call = left.strip_suffix(')').and_then(|left| left.split_once('('));
    let Some((name, field)) = call else { return Ok((Function::Value, left)) };
    let quantile = |name: &str| {
        let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
        // The nearest float: 99.9 / 100 is above 0.999, so that of 1,000 values it is the 1,000th, not the 999th.
        let q = format!("{percent}e-2").parse().ok()?;
        (percent > 0.0 && percent < 100.0).then_some(Function::Quantile(q))
    };
    let function = match name.trim() {
        "rate" => Function::Rate,
        "age" => Function::Age,
        name => quantile(name).ok_or_else(|| {
            let name = escape::text(name);
            format!(
                "there is no function {name}; there are rate, age, p50, p99, p99.9 and the like"
            )
        })?,
    };
    Ok((function, field.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(text: &str) -> Result<Comparison, String> {
        match Condition::parse(text, Severity::Critical)?.test {
            Test::Field(comparison) => Ok(*comparison),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn condition_has_function_field_operator_and_number() {
        for (text, name, label, operator) in [
            ("queue.depth >= 100", "x", "queue.depth", Operator::GreaterOrEqual),
            ("rate( http.errors )>10/s", "rate(x)", "http.errors", Operator::Greater),
            ("age(worker.beat) > 5s", "age(x)", "worker.beat", Operator::Greater),
            ("p99.9(http.latency) <= 250ms", "p99.9(x)", "http.latency", Operator::LessOrEqual),
            ("a{b=\"x>=1\"} != 1", "x", "a", Operator::NotEqual),
            ("rate(a{b!=5*}) == 0", "rate(x)", "a", Operator::Equal),
            ("[!a]b >-5", "x", "[!a]b", Operator::Greater),
        ] {
            let found = comparison(text).unwrap();
            let pattern = &found.pattern;
            assert_eq!(
                (&*found.name("x"), pattern.label(), found.operator),
                (name, label, operator)
            );
        }
        assert_eq!(comparison("a{b=\"x>=1\"} != 1").unwrap().pattern.selector(), "{b=\"x>=1\"}");
    }

    #[test]
    fn quantile_of_percent_is_the_nearest_float() {
        for (text, wanted) in
            [("p99.9(x) > 1", 0.999), ("p98.9(x) > 1", 0.989), ("p50(x) > 1", 0.5)]
        {
            assert_eq!(comparison(text).unwrap().function, Function::Quantile(wanted), "{text}");
        }
    }

    #[test]
    fn wrong_condition_says_what_is_wrong() {
        for (text, words) in [
            ("", "write 'FIELD > 10'"),
            ("x", "write 'FIELD > 10'"),
            ("x = 5", "= is no operator: there are >= <= == != > <; == is equal"),
            ("x => 5", ">= is greater or equal"),
            ("rate(x) =< 5", "<= is less or equal"),
            ("x <> 5", "!= is not equal"),
            ("x ≥ 5", ">= is greater or equal"),
            ("x >> 5", ">> is no operator"),
            ("> 5", "no field is named"),
            ("rate() > 5", "no field is named"),
            ("x >", "is not a number"),
            ("x > many", "is not a number"),
            ("x > 5 parsecs", "parsecs is not a unit"),
            ("mean(x) > 5", "there is no function mean"),
            ("p100(x) > 5", "there is no function p100"),
            ("age(x) > 5MiB", "an age is compared with a time"),
            ("a[ > 5", "bad glob"),
        ] {
            let why = Condition::parse(text, Severity::Critical).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
