//! Whether `tests/README.md` explains a row, and has no line for a row that is none.

/// The first cells of the tables in the section of this scenario. What is in asterisks stands
/// for anything.
pub(crate) fn lines(scenario: &str) -> impl Iterator<Item = &'static str> {
    let title = format!("## {scenario}");
    let section = README.lines().skip_while(move |line| *line != title).skip(1);
    let section = section.take_while(|line| !line.starts_with("## "));
    let cells = section.filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" | ")?.0));
    cells.filter(|cell| !matches!(*cell, "row" | "---"))
}

/// Whether this line is about the row with this name.
pub(crate) fn is_about(line: &str, name: &str) -> bool {
    match line.split_once('*') {
        None => line == name,
        Some((begin, rest)) => {
            let (_, rest) = rest.split_once('*').expect("asterisks come in pairs");
            let Some(name) = name.strip_prefix(begin) else { return false };
            // At least one character.
            name.char_indices().skip(1).map(|(at, _)| &name[at..]).any(|end| is_about(rest, end))
                || (rest.is_empty() && !name.is_empty())
        }
    }
}

const README: &str = include_str!("../../../README.md");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::SCENARIOS;

    #[test]
    fn each_scenario_has_a_section() {
        for scenario in SCENARIOS {
            assert!(lines(scenario.name).next().is_some(), "{}", scenario.name);
        }
        assert_eq!(lines("nothing").count(), 0);
    }

    #[test]
    fn asterisks_stand_for_anything_but_nothing() {
        assert!(is_about("SIGKILL, *class*", "SIGKILL, latched-8"));
        assert!(is_about("soak: *process* is flat", "soak: the observer is flat"));
        assert!(is_about("one thread", "one thread"));
        for (line, name) in [
            ("SIGKILL, *class*", "SIGKILL, "),
            ("SIGKILL, *class*", "SIGKILL"),
            ("soak: *process* is flat", "soak:  is flat"),
            ("soak: *process* is flat", "soak: the observer is not"),
            ("one thread", "one thread more"),
        ] {
            assert!(!is_about(line, name), "{line}: {name}");
        }
    }
}
