//! Names of metrics and labels.

use std::fmt::Write as _;

/// Metrics of the export itself, which no field has.
pub(crate) const OWN_NAMES: [&str; 6] = [
    "mmstats_died",
    "mmstats_export_dropped_programs",
    "mmstats_export_losses",
    "mmstats_incomplete",
    "mmstats_start_time_seconds",
    "mmstats_up",
];

/// Labels that tell the program; attributes of these names become `exported_…`.
pub(crate) const PROGRAM_LABELS: [&str; 7] =
    ["command", "pid", "run", "application", "container", "host_pid", "namespace"];

/// Standard fields whose labels end in what linters take for a unit, and their names.
const STANDARD: [(&str, &str); 1] = [("sys.pid_ns", "sys_pid_namespace")];

/// A label of a field as the name of a metric: other characters than letters, digits and `_` become `_`.
pub(crate) fn metric(label: &str) -> String {
    if let Some((_, name)) = STANDARD.iter().find(|(standard, _)| *standard == label) {
        return (*name).to_owned();
    }
    let mut name = String::with_capacity(label.len() + 1);
    if label.starts_with(|c: char| c.is_ascii_digit()) {
        name.push('_');
    }
    name.extend(label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    name
}

/// Whether the label cannot be told from its metric's name.
pub(crate) fn is_renamed(label: &str) -> bool {
    let is_standard = STANDARD.iter().any(|(standard, _)| *standard == label);
    !is_standard && metric(label) != label.replace('.', "_")
}

/// As [`metric`], with a unit's word at the end, if it is not there.
pub(crate) fn with_unit(label: &str, word: &str) -> String {
    let mut name = metric(label);
    let has_it = name.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'));
    if !word.is_empty() && !has_it {
        if !name.ends_with('_') {
            name.push('_');
        }
        name.push_str(word);
    }
    name
}

/// As [`with_unit`], with another word before the unit: `poll_max_seconds`.
pub(crate) fn with_part(label: &str, part: &str, word: &str) -> String {
    let name = with_unit(label, word);
    let base =
        name.strip_suffix(word).filter(|_| !word.is_empty()).map(|base| base.trim_end_matches('_'));
    match base {
        Some(base) if !base.is_empty() => format!("{base}_{part}_{word}"),
        Some(_) => format!("{part}_{word}"),
        None => format!("{name}_{part}"),
    }
}

/// The key of an attribute as the name of a label.
pub(crate) fn label(key: &str) -> String {
    let name = metric(key);
    // Names with two are Prometheus' own.
    match name.strip_prefix("__") {
        Some(rest) => format!("_{}", rest.trim_start_matches('_')),
        None if name.is_empty() => "_".to_owned(),
        None => name,
    }
}

/// Appends the value of a label, escaped.
pub(crate) fn escape_label(out: &mut String, value: &str) {
    escape(out, value, true);
}

/// Appends a help text, escaped. In the older text format of Prometheus quotes stay as they are.
pub(crate) fn escape_help(out: &mut String, help: &str, quotes: bool) {
    escape(out, help, quotes);
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

/// Labels as text: `a="1",b="2"`.
pub(crate) fn labels(labels: &[(String, String)]) -> String {
    let mut out = String::new();
    for (key, value) in labels {
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write!(out, "{key}=\"");
        escape_label(&mut out, value);
        out.push('"');
    }
    out
}

/// What tells labels from others: their order does not, nor does one with an empty value, which is as if it were not
/// there.
pub(crate) fn distinct(labels: &[(String, String)]) -> Box<str> {
    let mut sorted: Vec<_> =
        labels.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
    sorted.sort();
    self::labels(&sorted).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_has_allowed_characters_only() {
        assert_eq!(metric("http.requests-in/flight"), "http_requests_in_flight");
        assert_eq!(metric("sys.pid_ns"), "sys_pid_namespace");
        assert!(is_renamed("a-b") && !is_renamed("a.b_c") && !is_renamed("sys.pid_ns"));
        assert_eq!((metric("5xx"), metric("a:b é")), ("_5xx".to_owned(), "a_b__".to_owned()));
    }

    #[test]
    fn unit_stands_at_the_end_once() {
        assert_eq!(with_unit("wait", "seconds"), "wait_seconds");
        assert_eq!(with_unit("wait.seconds", "seconds"), "wait_seconds");
        assert_eq!(with_unit("milliseconds", "seconds"), "milliseconds_seconds");
        assert_eq!(with_unit("http.requests", "requests"), "http_requests");
        assert_eq!(with_part("wait", "max", "seconds"), "wait_max_seconds");
        assert_eq!(with_part("seconds", "max", "seconds"), "max_seconds");
        assert_eq!(with_part("size", "max", ""), "size_max");
    }

    #[test]
    fn label_does_not_begin_with_two_underscores() {
        assert_eq!(
            (label("__name__"), label("a-b"), label("")),
            ("_name__".to_owned(), "a_b".to_owned(), "_".to_owned())
        );
    }

    #[test]
    fn label_values_are_escaped() {
        let pairs = [("a".to_owned(), "x\"\\\n".to_owned()), ("b".to_owned(), "é".to_owned())];
        assert_eq!(labels(&pairs), "a=\"x\\\"\\\\\\n\",b=\"é\"");
    }
}
