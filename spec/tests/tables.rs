//! layout.toml states every structure once; the tables of FORMAT.md are made from it.
//!
//! After a change of layout.toml: `MMSTATS_WRITE=1 cargo test -p mmstats-spec --test tables`.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use mmstats_spec::FORMAT;
use serde::Deserialize;

#[derive(Deserialize)]
struct Layout {
    structure: Vec<Structure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Structure {
    name: String,
    about: String,
    section: String,
    field: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    offset: Place,
    size: Place,
    #[serde(rename = "type")]
    ty: String,
    unit: Option<String>,
    rule: String,
    since: String,
}

/// A number, or how it depends on others.
#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Number(u32),
    Text(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

fn layout() -> Layout {
    toml::from_str(include_str!("../layout.toml")).unwrap()
}

fn row(cells: &[String]) -> String {
    cells.iter().fold("|".to_owned(), |mut row, cell| {
        // An empty cell is one space wide.
        let _ = if cell.is_empty() { write!(row, " |") } else { write!(row, " {cell} |") };
        row
    })
}

/// The rows of a structure's table.
fn rows(structure: &Structure) -> Vec<String> {
    structure
        .field
        .iter()
        .map(|field| {
            let mut cells = vec![
                field.offset.to_string(),
                field.size.to_string(),
                field.ty.clone(),
                field.name.clone(),
            ];
            cells.extend(field.unit.clone());
            cells.push(field.rule.clone());
            row(&cells)
        })
        .collect()
}

/// FORMAT.md with the tables of layout.toml.
fn with_tables(layout: &Layout) -> String {
    let mut of_section: BTreeMap<&str, std::collections::VecDeque<&Structure>> = BTreeMap::new();
    for structure in &layout.structure {
        of_section.entry(&structure.section).or_default().push_back(structure);
    }
    let mut out: Vec<String> = Vec::new();
    let (mut section, mut in_table) = ("", false);
    for line in FORMAT.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        }
        if line.starts_with("| offset | size | type | name |") {
            out.push(line.to_owned());
            let next = of_section.get_mut(section).and_then(std::collections::VecDeque::pop_front);
            let structure =
                next.unwrap_or_else(|| panic!("a table of {section:?} is not in layout.toml"));
            let unit = structure.field.first().is_some_and(|field| field.unit.is_some());
            out.push(
                if unit {
                    "| ---: | ---: | --- | --- | --- | --- |"
                } else {
                    "| ---: | ---: | --- | --- | --- |"
                }
                .to_owned(),
            );
            out.extend(rows(structure));
            in_table = true;
        } else if !(in_table && line.starts_with('|')) {
            in_table = false;
            out.push(line.to_owned());
        }
    }
    assert!(of_section.values().all(std::collections::VecDeque::is_empty), "not in FORMAT.md");
    out.join("\n") + "\n"
}

#[test]
fn the_tables_are_those_of_layout_toml() {
    let wanted = with_tables(&layout());
    if std::env::var_os("MMSTATS_WRITE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("FORMAT.md");
        std::fs::write(path, &wanted).unwrap();
        return;
    }
    for (number, (have, want)) in FORMAT.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(have, want, "FORMAT.md line {}", number + 1);
    }
    assert_eq!(FORMAT.len(), wanted.len());
}

#[test]
fn fields_follow_each_other() {
    for structure in layout().structure {
        assert!(!structure.about.is_empty());
        let mut end = Some(0);
        for field in &structure.field {
            assert!(
                !field.rule.is_empty()
                    || field.name == "reserved"
                    || field.name == "text"
                    || field.ty.ends_with("words")
                    || field.name == "cells",
                "{}: {}",
                structure.name,
                field.name
            );
            assert_eq!(field.since, "3.0");
            if let (Place::Number(offset), Some(end)) = (&field.offset, end) {
                assert_eq!(*offset, end, "{}: {}", structure.name, field.name);
            }
            end = match (&field.offset, &field.size) {
                (Place::Number(offset), Place::Number(size)) => Some(offset + size),
                _ => None,
            };
        }
    }
}

/// The examples of section 11 are fixtures.
#[test]
fn worked_examples_equal_their_fixtures() {
    let shown = FORMAT.split("## 11. A worked example").nth(1).unwrap();
    let mut shown = shown.split("```text\n").skip(1).map(|text| text.split("```").next().unwrap());
    for hex in [
        include_str!("../fixtures/valid/example.hex"),
        include_str!("../fixtures/valid/example-storages.hex"),
    ] {
        let lines: Vec<&str> = hex.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(shown.next().unwrap().lines().collect::<Vec<_>>(), lines);
    }
    assert_eq!(shown.next(), None);
}
