//! Labels as messages.

use prost::encoding::message;

use super::message::{LABEL, LabelPair};

/// The labels in these texts, in the order of their names.
pub(super) fn encoded_labels<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut labels: Vec<LabelPair> = texts.into_iter().flat_map(pairs).collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    let mut out = Vec::new();
    message::encode_repeated(LABEL, &labels, &mut out);
    out
}

/// Labels from their text: `a="1",b="2"`, as [`crate::name::labels`] writes it.
fn pairs(text: &str) -> Vec<LabelPair> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once("=\"") {
        let mut label = LabelPair { name: name.to_owned(), value: String::new() };
        let mut end = value.len();
        let mut chars = value.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => {
                    label.value.extend(chars.next().map(|(_, c)| if c == 'n' { '\n' } else { c }));
                }
                c => label.value.push(c),
            }
        }
        pairs.push(label);
        rest = value.get(end..).unwrap_or("").trim_start_matches(',');
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_those_that_were_written() {
        let labels = [("a", "x\"\\\n,b=\"1"), ("b", ""), ("c", "é")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        let read: Vec<_> = pairs(&crate::name::labels(&labels))
            .into_iter()
            .map(|pair| (pair.name, pair.value))
            .collect();
        assert_eq!(read, labels);
        assert_eq!(pairs(""), []);
    }
}
