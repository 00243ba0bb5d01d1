//! Ids of programs and fields in addresses: the same after a restart of the server.

use std::collections::HashMap;

use mmstats_history::{History, Program, ProgramKey};
use mmstats_observe::{FieldInfo, ProgramId};

use crate::live::name;

/// The ids of all programs.
#[derive(Debug, Default)]
pub(super) struct Ids(HashMap<ProgramKey, String>);

impl Ids {
    pub(super) fn new(history: &History) -> Self {
        let mut first = HashMap::new();
        let ids = history.programs().iter().map(|program| {
            let id = match program.key {
                ProgramKey::Program(id) => {
                    // A file of another user may have the instance of a program of this one.
                    let known = *first.entry(id.instance).or_insert(id);
                    if known == id { id.instance.to_string() } else { qualified(&id) }
                }
                ProgramKey::File(device, index) => format!("file-{device:x}-{index:x}"),
            };
            (program.key, id)
        });
        Self(ids.collect())
    }

    pub(super) fn get(&self, key: ProgramKey) -> &str {
        self.0.get(&key).map_or("", String::as_str)
    }
}

fn qualified(id: &ProgramId) -> String {
    let owner = id.owner.map_or_else(String::new, |owner| owner.to_string());
    format!("{}-{owner}-{:x}", id.instance, id.device)
}

/// The program with an id.
pub(super) fn find<'h>(history: &'h History, id: &str) -> Option<&'h Program> {
    let ids = Ids::new(history);
    history.programs().iter().find(|program| ids.get(program.key) == id)
}

/// Names of the fields of a program, by index; a second field of a name has `#2`.
#[derive(Debug, Default, Clone)]
pub(super) struct Names {
    all: Vec<String>,
    indices: HashMap<String, usize>,
    counts: HashMap<String, usize>,
}

impl Names {
    pub(super) fn new(program: &Program) -> Self {
        let mut names = Self::default();
        names.refresh(program);
        names
    }

    /// Adds the names of new fields: their indices never change.
    pub(super) fn refresh(&mut self, program: &Program) {
        for field in program.fields().iter().skip(self.all.len()) {
            self.add(&field.info);
        }
    }

    fn add(&mut self, info: &FieldInfo) {
        let name = name::name(info);
        let count = self.counts.entry(name.clone()).or_default();
        *count += 1;
        let name = if *count == 1 { name } else { format!("{name}#{count}") };
        self.indices.entry(name.clone()).or_insert(self.all.len());
        self.all.push(name);
    }

    pub(super) fn get(&self, index: usize) -> &str {
        self.all.get(index).map_or("", String::as_str)
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Aggregation, DataType, Kind, Properties};

    use super::*;

    #[test]
    fn names_of_equal_fields_are_numbered() {
        let counter = Properties::new(DataType::U64, Kind::Counter, Aggregation::Sum);
        let mut names = Names::default();
        for label in ["hits", "hits", "misses", "hits"] {
            names.add(&FieldInfo::new(label, counter));
        }
        assert_eq!(names.all, ["hits", "hits#2", "misses", "hits#3"]);
        assert_eq!((names.index("hits#2"), names.index("hits#4")), (Some(1), None));
    }
}
