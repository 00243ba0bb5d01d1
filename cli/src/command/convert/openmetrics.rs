//! Recordings as OpenMetrics text: the samples of a series together, in the order of time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write as _};
use std::time::UNIX_EPOCH;

use mmstats_export::{Catalogue, Format, Target, Text, identity_labels};
use mmstats_history::ProgramKey;
use mmstats_observe::FileState;
use mmstats_recording::{RecordedProgram, State};

use super::spool::Spool;
use crate::output::Output;
use crate::text::escape;

/// The samples of all looks, by series.
pub(super) struct Series {
    catalogue: Catalogue,
    text: Text,
    families: BTreeMap<String, Family>,
    spool: Spool,
    /// Programs that have ended, of which the last values are known.
    ended: HashSet<ProgramKey>,
    /// Number of samples that are not later than the one before.
    late: u64,
    /// Families that changed their type or unit.
    changed: HashSet<String>,
}

struct Family {
    head: String,
    /// Number in the spool and time of the last sample in milliseconds, by labels.
    series: HashMap<String, (usize, u128)>,
    /// In the order of their first samples.
    order: Vec<usize>,
}

impl Series {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            catalogue: Catalogue::new(),
            text: Text::new(Format::OpenMetrics),
            families: BTreeMap::new(),
            spool: Spool::new()?,
            ended: HashSet::new(),
            late: 0,
            changed: HashSet::new(),
        })
    }

    /// Adds the values of a look.
    pub(super) fn add(&mut self, state: &State, programs: &[&RecordedProgram]) -> io::Result<()> {
        let at = state.time().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let stamp = format!("{}.{:03}", at / 1_000, at % 1_000);
        let mut shown: Vec<&RecordedProgram> = Vec::new();
        for program in programs {
            let look = program.look();
            if !look.condition.has_ended() {
                self.ended.remove(&look.key);
            } else if !self.ended.insert(look.key) {
                continue;
            }
            shown.push(program);
        }
        let labels: Vec<Vec<(String, String)>> =
            shown.iter().map(|program| labels(program)).collect();
        let targets: Vec<Target<'_>> =
            shown.iter().zip(&labels).map(|(program, labels)| target(program, labels)).collect();
        self.catalogue.update(&targets);
        let Self { catalogue, text, families, spool, late, changed, .. } = self;
        let mut result = Ok(());
        text.encode_series(catalogue, &targets, &stamp, |samples| {
            let family = families.entry(samples.family.to_owned()).or_insert_with(|| Family {
                head: samples.head.to_owned(),
                series: HashMap::new(),
                order: Vec::new(),
            });
            if kind(&family.head) != kind(samples.head) {
                changed.insert(samples.family.to_owned());
                return;
            }
            let key = format!("{}\u{0}{}", samples.program, samples.own);
            let (number, last) = family.series.entry(key).or_insert_with(|| {
                let number = spool.add();
                family.order.push(number);
                (number, 0)
            });
            if at <= *last {
                *late += 1;
                return;
            }
            *last = at;
            if result.is_ok() {
                result = spool.write(*number, samples.text);
            }
        });
        result
    }

    /// Writes all samples.
    pub(super) fn write(mut self, output: &mut Output) -> io::Result<()> {
        for family in self.families.values() {
            output.write_all(family.head.as_bytes())?;
            for number in &family.order {
                self.spool.copy(*number, output)?;
            }
        }
        output.write_all(b"# EOF\n")?;
        if self.late > 0 {
            let late = self.late;
            output.note(&format!(
                "{late} samples are not later than the ones before, and left out: the clock was set, or looks had the \
                 same millisecond"
            ));
        }
        let mut changed: Vec<String> = self.changed.into_iter().collect();
        changed.sort_unstable();
        for family in changed {
            let family = escape::text(&family);
            output.note(&format!("{family}: samples of another type or unit are left out"));
        }
        Ok(())
    }
}

/// Type and unit of a family: its head without the help.
fn kind(head: &str) -> Vec<&str> {
    head.lines().filter(|line| !line.starts_with("# HELP ")).collect()
}

fn labels(program: &RecordedProgram) -> Vec<(String, String)> {
    let look = program.look();
    let instance = match look.key {
        ProgramKey::Program(id) => Some(id.instance),
        ProgramKey::File(..) => None,
    };
    identity_labels(&look.identity, instance, look.condition.state() == FileState::Ledger)
}

fn target<'a>(program: &'a RecordedProgram, labels: &'a [(String, String)]) -> Target<'a> {
    Target::new(program.id().into(), labels, program.totals())
}
