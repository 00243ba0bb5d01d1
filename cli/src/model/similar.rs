//! Labels that are similar to a text, for messages.

use crate::text::escape;

/// `; near it are 'a', 'b'`, or how to list all.
pub(crate) fn near(text: &str, labels: &[&str]) -> String {
    let near = similar_labels(text, labels);
    if near.is_empty() {
        return "; `mmstats show` lists all".to_owned();
    }
    let near: Vec<_> = near.iter().map(|label| format!("'{}'", escape::text(label))).collect();
    format!("; near it are {}", near.join(", "))
}

/// At most three labels, the most similar to `text` first.
fn similar_labels<'a>(text: &str, labels: &[&'a str]) -> Vec<&'a str> {
    let plain = text.replace(['*', '?'], "").to_lowercase();
    let score = |label: &str| {
        let label = label.to_lowercase();
        let end = label.rsplit('.').next().unwrap_or_default();
        let inside = !plain.is_empty() && (label.contains(&plain) || plain.contains(&label));
        let alike = strsim::normalized_damerau_levenshtein(&plain, &label)
            .max(strsim::normalized_damerau_levenshtein(&plain, end));
        if inside { 1.0 + alike } else { alike }
    };
    let mut scored: Vec<(f64, &str)> = labels.iter().map(|label| (score(label), *label)).collect();
    scored.retain(|(score, _)| *score >= 0.5);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by_key(|(_, label)| *label);
    scored.into_iter().take(3).map(|(_, label)| label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_labels_orders_by_similarity() {
        let labels = ["http.requests", "http.errors", "db.reads", "sys.pid"];
        assert_eq!(similar_labels("requsts", &labels), ["http.requests"]);
        assert_eq!(similar_labels("errors", &labels)[0], "http.errors");
        assert_eq!(similar_labels("HTTP.*", &labels), ["http.errors", "http.requests"]);
        assert!(similar_labels("zzzzzzzzz", &labels).is_empty());
    }
}
