//! REGISTRY.md lists every code and reserved name of the code, and no others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mmstats_core::layout::{field_state, flags, image_state, lane_state};
use mmstats_core::{Aggregation, DataType, Kind, Level, Storage};
use mmstats_spec::{FILES, REGISTRY, rows};

/// Code and name of the rows of a section, as text.
fn listed(heading: &str) -> Vec<(String, String)> {
    rows(REGISTRY, heading).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

#[test]
fn registry_codes_equal_enumerations() {
    let pair = |code: u8, name: &str| (code.to_string(), name.to_owned());
    let types: Vec<_> = DataType::ALL.iter().map(|x| pair(x.code(), x.name())).collect();
    assert_eq!(listed("## 2. Data types"), types);
    let kinds: Vec<_> = Kind::ALL.iter().map(|x| pair(x.code(), x.name())).collect();
    assert_eq!(listed("## 3. Kinds"), kinds);
    let rules: Vec<_> = Aggregation::ALL.iter().map(|x| pair(x.code(), x.name())).collect();
    assert_eq!(listed("## 4. Aggregations"), rules);
    let storages: Vec<_> = Storage::ALL.iter().map(|x| pair(x.code(), x.name())).collect();
    assert_eq!(listed("## 5. Storages"), storages);
}

#[test]
fn registry_levels_flags_states_equal_layout() {
    let mut wanted: Vec<Vec<String>> = Vec::new();
    for (level, name) in
        [(Level::Info, "info"), (Level::Diagnostic, "diagnostic"), (Level::Debug, "debug")]
    {
        wanted.push(vec![level.code().to_string(), name.to_owned()]);
    }
    for (flag, name) in
        [(flags::OPTIONAL, "OPTIONAL"), (flags::ARRAY, "ARRAY"), (flags::MEMBER, "MEMBER")]
    {
        wanted.push(vec![flag.trailing_zeros().to_string(), name.to_owned()]);
    }
    for (subject, code, name) in [
        ("image", image_state::BUILDING, "building"),
        ("image", image_state::LIVE, "live"),
        ("image", image_state::CLOSED, "closed"),
        ("field", field_state::LIVE, "live"),
        ("field", field_state::RETIRED, "retired"),
        ("lane", lane_state::UNUSED, "never claimed"),
        ("lane", lane_state::OWNED, "owned"),
        ("lane", lane_state::FREE, "handed back"),
    ] {
        wanted.push(vec![subject.to_owned(), code.to_string(), name.to_owned()]);
    }
    assert_eq!(rows(REGISTRY, "## 6. Levels, flags, states, features"), wanted);
}

/// Names of a cell that lists several.
fn names(cell: &str) -> impl Iterator<Item = String> {
    cell.split(", ").map(str::to_owned)
}

/// Names in quotes of the arms of `match` that follow `start` in the source of the units.
fn arms(start: &str) -> Vec<(Vec<String>, String)> {
    let source = include_str!("../../observe/export/src/unit.rs");
    let body = source.split(start).nth(1).unwrap().split("match unit {").nth(1).unwrap();
    let arms = body.lines().map(str::trim).take_while(|line| !line.starts_with(['_', 'o', '}']));
    arms.filter(|line| line.contains("=>"))
        .filter_map(|line| {
            let (names, value) = line.split_once(" => ")?;
            let names: Vec<_> =
                names.split(" | ").map(|n| n.trim_matches('"').to_owned()).collect();
            Some((names, value.trim_end_matches(',').to_owned()))
        })
        .filter(|(names, _)| !names[0].is_empty())
        .collect()
}

#[test]
fn registry_units_equal_those_of_exports() {
    let rows = rows(REGISTRY, "## 7. Units");
    let (base, ucum) = (arms("fn of("), arms("pub fn ucum("));
    assert_eq!((rows.len(), rows.len()), (base.len(), ucum.len()));
    for ((row, base), ucum) in rows.iter().zip(base).zip(ucum) {
        let [all, word, factor, code] = row.as_slice() else { panic!("{row:?}") };
        assert_eq!(names(all).collect::<Vec<_>>(), base.0);
        assert_eq!(base.0, ucum.0);
        assert_eq!(ucum.1, format!("\"{code}\""));
        let (times, power) = match factor.split_once('^') {
            Some(("10", power)) => ("1".to_owned(), power),
            Some(("2", power)) => (format!("1 << {power}"), "0"),
            _ => (factor.clone(), "0"),
        };
        assert_eq!(base.1.replace('_', ""), format!("(\"{word}\", {times}, {power})"));
    }
}

/// Labels of the registry that begin with `prefix`.
fn labels(prefix: &str) -> BTreeSet<String> {
    let labels = rows(REGISTRY, "## 9. Labels").into_iter().map(|row| row[0].clone());
    labels.filter(|label| label.starts_with(prefix)).collect()
}

#[test]
fn registry_labels_equal_those_of_files_md() {
    let documented = |heading, prefix: &str| -> BTreeSet<String> {
        let cells = rows(FILES, heading).into_iter().map(|row| row[0].clone());
        cells
            .flat_map(|cell| names(&cell).collect::<Vec<_>>())
            .filter(|l| l.starts_with(prefix))
            .collect()
    };
    assert_eq!(labels("sys."), documented("## 2. Standard fields", "sys."));
    assert_eq!(labels("ledger."), documented("### 3.1 The ledger", "ledger."));
}

/// The Rust files of the workspace outside of tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let skipped = ["target", "tests", "fuzz", "node_modules", "benches"];
            if !skipped.contains(&name.as_str()) && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Every reserved label in the sources, and every one of the registry in one of them.
#[test]
fn registry_labels_equal_those_of_the_code() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut files);
    assert!(files.len() > 100, "{}", files.len());
    let registered = labels("");
    let mut used = BTreeSet::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in code.split('"') {
            let rest = word.strip_prefix("sys.").or_else(|| word.strip_prefix("ledger."));
            let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
            if rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain))
                && !word.ends_with('.')
            {
                assert!(
                    registered.contains(word),
                    "{}: {word} is not in REGISTRY.md",
                    path.display()
                );
                used.insert(word.to_owned());
            }
        }
    }
    assert_eq!(used, registered, "labels that no source names");
}

/// Attributes with a meaning are named where these fields are written.
#[test]
fn registry_attributes_equal_those_of_the_publisher() {
    let listed: BTreeSet<String> =
        rows(REGISTRY, "## 8. Attributes").into_iter().map(|row| row[0].clone()).collect();
    let sources = [
        include_str!("../../publish/src/sync/fields.rs"),
        include_str!("../../publish/src/sync/program.rs"),
        include_str!("../../publish/src/publisher/sampler/lateness.rs"),
    ];
    let mut used = BTreeSet::from(["overflow".to_owned()]);
    for source in sources {
        let calls = source.split(".attribute(\"").skip(1);
        used.extend(calls.map(|call| call.split('"').next().unwrap().to_owned()));
    }
    assert_eq!(listed, used);
    assert!(
        include_str!("../../publish/src/schema/family.rs").contains("(\"overflow\", \"true\")")
    );
}
