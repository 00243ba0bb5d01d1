//! What cargo-mutants says of a mutant.

use serde_json::Value;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Genre {
    /// The value of a function.
    FnValue,
    /// An operator between two.
    Binary,
    /// An operator before one.
    Unary,
    /// An arm of a match.
    Arm,
    /// The guard of such an arm.
    Guard,
    /// A field of a structure with a base.
    Field,
}

/// Line and column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// One change.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// Its place in the list of both crates.
    pub number: u32,
    /// Its whole name.
    pub name: String,
    /// Of the two.
    pub package: String,
    /// From the root of the workspace.
    pub file: String,
    /// What is changed.
    pub genre: Genre,
    /// Where.
    pub start: Place,
    /// Into what.
    pub replacement: String,
}

impl Mutant {
    /// From `cargo mutants --list --json`.
    pub fn list(text: &str, first: u32) -> Vec<Self> {
        let list: Vec<Value> = serde_json::from_str(text).expect("a list of mutants");
        list.iter().zip(first..).map(|(value, number)| Self::parse(value, number)).collect()
    }

    fn parse(value: &Value, number: u32) -> Self {
        let word = |name: &str| value[name].as_str().expect("a string").to_owned();
        let start = |name: &str| {
            let number = value["span"]["start"][name].as_u64().expect("a number");
            usize::try_from(number).expect("a small number")
        };
        let genre = match value["genre"].as_str() {
            Some("FnValue") => Genre::FnValue,
            Some("BinaryOperator") => Genre::Binary,
            Some("UnaryOperator") => Genre::Unary,
            Some("MatchArm") => Genre::Arm,
            Some("MatchArmGuard") => Genre::Guard,
            Some("StructField") => Genre::Field,
            other => panic!("a genre that nobody knows: {other:?}"),
        };
        Self {
            number,
            name: word("name"),
            package: word("package"),
            file: word("file"),
            genre,
            start: Place { line: start("line"), column: start("column") },
            replacement: word("replacement"),
        }
    }
}
