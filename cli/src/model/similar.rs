//! Names and labels that are similar to a text, for messages.

use super::globs;
use super::pattern::Pattern;
use crate::text::escape;

/// Maximum number of names in a message.
const MAX_SHOWN: usize = 3;

/// Names that may have been meant, the most likely first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Similar<'a> {
    names: Vec<&'a str>,
    /// Whether they differ in case alone.
    differ_in_case: bool,
}

impl<'a> Similar<'a> {
    /// The most likely one.
    pub(crate) fn first(&self) -> Option<&'a str> {
        self.names.first().copied()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// `web, Web: upper and lower case differ`, escaped.
    pub(crate) fn shown(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| escape::text(name)).collect();
        format!("{}{}", names.join(", "), self.remark())
    }

    const fn remark(&self) -> &'static str {
        if self.differ_in_case { ": upper and lower case differ" } else { "" }
    }
}

/// As [`near`], about a pattern that no field matches. Labels may match it: then its attributes are wrong.
pub(crate) fn near_pattern(pattern: &Pattern, labels: &[&str]) -> String {
    let is_known = labels.iter().any(|label| pattern.matches_label(label));
    match (is_known, pattern.selector().is_empty()) {
        (true, false) => NO_ATTRIBUTES.to_owned(),
        // Of brackets and braces alone it is a label.
        _ if is_half_selector(pattern.label()) => {
            "; attributes are written {key=\"value\"}, within quotes of the shell".to_owned()
        }
        _ => near(pattern.label(), labels),
    }
}

const NO_ATTRIBUTES: &str =
    "; the label has no field with such attributes, `mmstats show` lists all";

/// Whether the text seems to have attributes in a wrong form: `a{b="c}`, `a{b="c"`.
fn is_half_selector(text: &str) -> bool {
    let open = text.find('{').and_then(|at| text.get(at..));
    open.is_some_and(|rest| rest.contains('='))
}

/// `; near it are 'a', 'b'`, or how to list all. `text` may be a glob.
pub(crate) fn near(text: &str, labels: &[&str]) -> String {
    let near = labels_like(text, labels);
    if near.is_empty() {
        return "; `mmstats show` lists all".to_owned();
    }
    let names: Vec<_> = near.names.iter().map(|name| format!("'{}'", escape::text(name))).collect();
    let verb = if near.differ_in_case { "there is" } else { "near it are" };
    format!("; {verb} {}{}", names.join(", "), near.remark())
}

/// Names of programs like this one.
pub(crate) fn names<'a>(name: &str, all: &[&'a str]) -> Similar<'a> {
    let lower = name.to_lowercase();
    let same = in_other_case(all, |other| other == lower);
    if !same.is_empty() {
        return same;
    }
    let score = |other: &str| {
        let other = other.to_lowercase();
        let alike = strsim::normalized_damerau_levenshtein(&lower, &other);
        if is_inside(&lower, &other) { 1.0 + alike } else { alike }
    };
    Similar { names: best(all, score), differ_in_case: false }
}

/// Labels like a label or a glob for labels.
fn labels_like<'a>(text: &str, labels: &[&'a str]) -> Similar<'a> {
    let lower = text.to_lowercase();
    let glob = globs::matcher(&lower).ok();
    let same = in_other_case(labels, |label| {
        label == lower || glob.as_ref().is_some_and(|glob| glob.is_match(label))
    });
    if !same.is_empty() {
        return same;
    }
    let plain = lower.replace(['*', '?'], "");
    let score = |label: &str| {
        let label = label.to_lowercase();
        let end = label.rsplit('.').next().unwrap_or_default();
        // A prefix that both have makes no label likely.
        let shared = plain.bytes().zip(label.bytes()).take_while(|(a, b)| a == b).count();
        let shared = plain.get(..shared).and_then(|same| same.rfind('.')).map_or(0, |at| at + 1);
        let (text, rest) = (plain.get(shared..).unwrap_or(&plain), label.get(shared..));
        let alike = strsim::normalized_damerau_levenshtein(text, rest.unwrap_or(&label))
            .max(strsim::normalized_damerau_levenshtein(&plain, end));
        if is_inside(&plain, &label) { 1.0 + alike } else { alike }
    };
    Similar { names: best(labels, score), differ_in_case: false }
}

/// Least length of a text that is looked for inside others.
const MIN_INSIDE: usize = 3;

/// Whether one of two texts is a part of the other.
fn is_inside(text: &str, other: &str) -> bool {
    text.len().min(other.len()) >= MIN_INSIDE && (other.contains(text) || text.contains(other))
}

/// Those whose lower case is the text.
fn in_other_case<'a>(all: &[&'a str], is_same: impl Fn(&str) -> bool) -> Similar<'a> {
    let mut names: Vec<&str> =
        all.iter().copied().filter(|name| is_same(&name.to_lowercase())).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MAX_SHOWN);
    Similar { differ_in_case: !names.is_empty(), names }
}

/// Those with a score of a half or more.
fn best<'a>(all: &[&'a str], score: impl Fn(&str) -> f64) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = all.iter().map(|name| (score(name), *name)).collect();
    scored.retain(|(score, _)| *score >= 0.5);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by_key(|(_, name)| *name);
    scored.into_iter().take(MAX_SHOWN).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_like_orders_by_similarity() {
        let labels = ["http.requests", "http.errors", "db.reads", "sys.pid"];
        let like = |text| labels_like(text, &labels).names;
        assert_eq!(like("requsts"), ["http.requests"]);
        assert_eq!(like("errors")[0], "http.errors");
        assert_eq!(like("http.request*s"), ["http.requests"]);
        assert!(like("zzzzzzzzz").is_empty() && like("http.nosuch").is_empty());
    }

    #[test]
    fn near_pattern_tells_wrong_attributes_from_wrong_labels() {
        let labels = ["http.requests", "http.errors"];
        let hint = |text| near_pattern(&Pattern::new("", text).unwrap(), &labels);
        assert_eq!(hint("http.requests{nope=\"4*\"}"), NO_ATTRIBUTES);
        assert_eq!(hint("http.*{nope=4}"), NO_ATTRIBUTES);
        assert_eq!(hint("http.request{nope=4}"), near("http.request", &labels));
        for half in ["http.requests{nope=\"4}", "http.requests{nope=\"4\"", "{a=\"b}"] {
            assert!(hint(half).contains("attributes are written"), "{half}: {}", hint(half));
        }
    }

    #[test]
    fn near_says_that_case_differs() {
        let labels = ["http.requests", "http.Errors", "db.reads"];
        let case = ": upper and lower case differ";
        assert_eq!(near("HTTP.Requests", &labels), format!("; there is 'http.requests'{case}"));
        let both = format!("; there is 'http.Errors', 'http.requests'{case}");
        assert_eq!(near("HTTP.*", &labels), both);
        assert_eq!(near("requsts", &labels), "; near it are 'http.requests'");
        assert_eq!(near("zzzzzzz", &labels), "; `mmstats show` lists all");
        assert_eq!(names("WEB", &["web", "db"]).shown(), format!("web{case}"));
        assert_eq!(names("WEBB", &["web", "db"]).shown(), "web");
        assert_eq!(names("demo", &["web", "mmstats-demo"]).shown(), "mmstats-demo");
    }
}
