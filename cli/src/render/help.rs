//! The text behind the options, for help and for manual pages: paragraphs, headings, and tables of terms.
//!
//! In the source a paragraph is lines at the margin, a heading a short line of its own that ends with a colon. A row of a
//! table is indented by two spaces, two spaces or more stand behind its term, and lines indented further continue it.

use crate::output::Line;

/// A part of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Heading(String),
    Paragraph(String),
    /// Terms and their texts, which may be empty.
    Table(Vec<(String, String)>),
    /// An empty line.
    Space,
}

/// Maximum length of a heading, in bytes: a longer line is a paragraph before a table.
const MAX_HEADING: usize = 30;
/// Indent of a term.
const INDENT: usize = 2;
/// Spaces between the longest term and the texts.
const GAP: usize = 2;
/// Least width of the texts beside terms; on less they stand below.
const MIN_TEXT: usize = 24;
/// Indent of the text below a term that is too wide for its column.
const HANG: usize = 6;

/// The parts of a text.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim();
        match (indent, blocks.last_mut()) {
            _ if words.is_empty() => blocks.push(Block::Space),
            (0, Some(Block::Paragraph(text) | Block::Heading(text))) => {
                *text = format!("{text} {words}");
                let text = std::mem::take(text);
                blocks.pop();
                blocks.push(Block::Paragraph(text));
            }
            (0, _) if words.ends_with(':') && words.len() <= MAX_HEADING => {
                blocks.push(Block::Heading(words.to_owned()));
            }
            (0, _) => blocks.push(Block::Paragraph(words.to_owned())),
            (INDENT, Some(Block::Table(rows))) => rows.push(row(words)),
            (_, Some(Block::Table(rows))) => {
                if let Some((term, text)) = rows.last_mut() {
                    let continued = if text.is_empty() { term } else { text };
                    *continued = format!("{continued} {words}");
                }
            }
            _ => blocks.push(Block::Table(vec![row(words)])),
        }
    }
    blocks
}

fn row(words: &str) -> (String, String) {
    let (term, text) = words.split_once("  ").unwrap_or((words, ""));
    (term.to_owned(), text.trim_start().to_owned())
}

/// The text in lines of at most `width` columns; a longer word stays whole.
pub(crate) fn lines(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for block in blocks(text) {
        match block {
            Block::Space => lines.push(String::new()),
            Block::Heading(text) | Block::Paragraph(text) => wrap(&text, width, 0, &mut lines),
            Block::Table(rows) => table(&rows, width, &mut lines),
        }
    }
    lines.join("\n")
}

fn table(rows: &[(String, String)], width: usize, lines: &mut Vec<String>) {
    let with_text = rows.iter().filter(|(_, text)| !text.is_empty());
    let longest = with_text.map(|(term, _)| crate::text::escape::width(term)).max().unwrap_or(0);
    let column = INDENT + longest + GAP;
    for (term, text) in rows {
        if text.is_empty() {
            wrap(&format!("{:INDENT$}{term}", ""), width, HANG, lines);
        } else if column + MIN_TEXT <= width {
            let spaces = column - INDENT - crate::text::escape::width(term);
            wrap(&format!("{:INDENT$}{term}{:spaces$}{text}", "", ""), width, column, lines);
        } else {
            wrap(&format!("{:INDENT$}{term}", ""), width, HANG, lines);
            wrap(&format!("{:HANG$}{text}", ""), width, HANG, lines);
        }
    }
}

/// Appends the text in lines, of which the later ones are indented by `hang`.
fn wrap(text: &str, width: usize, hang: usize, lines: &mut Vec<String>) {
    let line = Line::styled(anstyle::Style::new(), text);
    lines.extend(line.wrapped(width, hang).iter().map(Line::text));
}

/// The text as requests of `man`: what stands before the first heading, and the sections behind it.
pub(crate) fn roff(text: &str) -> (String, String) {
    let (mut lead, mut sections) = (String::new(), String::new());
    for block in blocks(text) {
        let out = match block {
            Block::Heading(_) => &mut sections,
            _ if sections.is_empty() => &mut lead,
            _ => &mut sections,
        };
        match block {
            Block::Space => {}
            Block::Heading(text) => {
                let name = text.trim_end_matches(':').to_uppercase();
                out.push_str(&format!(".SH \"{}\"\n", escaped(&name)));
            }
            Block::Paragraph(text) => out.push_str(&format!(".PP\n{}\n", escaped(&text))),
            Block::Table(rows) => {
                out.push_str(".PP\n");
                for (term, text) in rows {
                    match &*text {
                        "" => out.push_str(&format!("{}\n.br\n", escaped(&term))),
                        text => out.push_str(&format!(
                            ".TP\n\\fB{}\\fR\n{}\n",
                            escaped(&term),
                            escaped(text)
                        )),
                    }
                }
            }
        }
    }
    (lead, sections)
}

/// Text without meaning to `roff`.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    // A dot at the begin of a line is a request.
    format!("\\&{}", text.replace('"', "\\(dq").replace('`', "\\(ga"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "One\ntwo.\n\nTable:\n  a     first, and\n        more\n  long  second\n\nExamples:\n  mmstats a\n  \
                        mmstats b --c d\nThree\nfour.\n";

    #[test]
    fn lines_joins_paragraphs_and_rows() {
        let want = "One two.\n\nTable:\n  a     first, and more\n  long  second\n\nExamples:\n  mmstats a\n  \
                    mmstats b --c d\nThree four.";
        assert_eq!(lines(TEXT, 100), want);
    }

    #[test]
    fn lines_breaks_texts_under_their_column() {
        let text = "  ab  one two three four five six seven\n";
        assert_eq!(lines(text, 30), "  ab  one two three four five\n      six seven");
        assert_eq!(lines(text, 20), "  ab\n      one two three\n      four five six\n      seven");
    }

    #[test]
    fn roff_has_sections_and_no_requests_of_texts() {
        let (lead, sections) = roff("Text.\n\nExamples:\n  'a' > 1  b\n  .c\n");
        assert_eq!(lead, ".PP\n\\&Text.\n");
        assert!(sections.starts_with(".SH \"\\&EXAMPLES\"\n.PP\n.TP\n\\fB\\&\\(aqa"), "{sections}");
        assert!(sections.ends_with("\n\\&.c\n.br\n"), "{sections}");
    }
}
