//! The tables of the format documents, as data.
//!
//! The documents are written for people. This crate reads their tables, so that a test can compare
//! them with the constants of the code. There is nothing here for applications.
#![forbid(unsafe_code)]

/// The program of the Rust page, as a test.
#[cfg(doctest)]
#[doc = include_str!("../languages/rust.md")]
mod rust_page {}

/// The text of FORMAT.md.
pub const FORMAT: &str = include_str!("../FORMAT.md");
/// The text of KINDS.md.
pub const KINDS: &str = include_str!("../KINDS.md");
/// The text of FILES.md.
pub const FILES: &str = include_str!("../FILES.md");
/// The text of REGISTRY.md.
pub const REGISTRY: &str = include_str!("../REGISTRY.md");
/// The text of PROTOCOL.md.
pub const PROTOCOL: &str = include_str!("../PROTOCOL.md");

/// The rows of the tables in the section with this heading, cells trimmed and without
/// backticks and anchors. The header row and the line under it are left out.
///
/// A section ends at the next heading of the same or a higher level.
///
/// # Panics
///
/// If there is no such heading.
#[must_use]
pub fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let level = heading.chars().take_while(|c| *c == '#').count();
    let mut lines = document.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "no heading {heading:?}");
    let ends = |line: &&str| {
        let n = line.chars().take_while(|c| *c == '#').count();
        n == 0 || n > level
    };
    let table = lines.take_while(ends).filter(|line| line.starts_with('|'));
    let rows: Vec<&str> = table.collect();
    let mut data = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let rule = |line: &str| line.chars().all(|c| "|-: ".contains(c));
        let is_header = rows.get(index + 1).is_some_and(|next| rule(next));
        if !is_header && !rule(row) {
            let cells = row.trim_matches('|').split('|');
            let text = |cell: &str| match cell.trim().split_once("</a>") {
                Some((anchor, rest)) if anchor.starts_with("<a id=") => rest.replace('`', ""),
                _ => cell.trim().replace('`', ""),
            };
            data.push(cells.map(text).collect());
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_section() {
        let text = "# a\n| h |\n| --- |\n| `x` | y |\n## b\n| h |\n|---|\n| z |\n# c\n| no |";
        assert_eq!(rows(text, "# a"), [vec!["x", "y"], vec!["z"]]);
        assert_eq!(rows(text, "## b"), [vec!["z"]]);
    }
}
