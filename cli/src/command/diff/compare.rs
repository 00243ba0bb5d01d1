//! Differences between two sides.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use mmstats_observe::{FieldKey, OwnedValue};

use crate::model::head::Head;
use crate::model::row::Row;
use crate::render::program::head_title;

/// The programs of a side, as of a time.
pub(super) struct Side {
    pub(super) time: SystemTime,
    pub(super) programs: Vec<Compared>,
}

/// A program of a side.
pub(super) struct Compared {
    /// Escaped.
    pub(super) title: String,
    pub(super) pid: Option<u32>,
    /// Names and texts.
    identity: Vec<(&'static str, String)>,
    rows: Vec<Row>,
}

impl Side {
    /// Adds a program. A value that could not be read whole is none: the difference from it would be wrong.
    pub(super) fn add(&mut self, head: &Head<'_>, mut rows: Vec<Row>) {
        for row in &mut rows {
            if row.whole().is_none() {
                row.value = None;
            }
        }
        let identity = head.identity;
        let number = |n: Option<u32>| n.map_or_else(String::new, |n| n.to_string());
        let texts = [
            ("command", identity.command.clone().unwrap_or_default()),
            ("pid", number(identity.pid)),
            ("state", head.life.word().to_owned()),
            ("created", identity.created.map_or_else(String::new, |created| created.to_string())),
            ("host", identity.host.clone().unwrap_or_default()),
            ("application", identity.application.clone().unwrap_or_default()),
            ("owner", number(head.owner)),
        ];
        self.programs.push(Compared {
            title: head_title(head),
            pid: head.process.or(identity.pid),
            identity: texts.into_iter().collect(),
            rows,
        });
    }
}

/// Difference of a field between the sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Same,
    Changed,
    Added,
    Gone,
}

/// A field of both sides or of one.
pub(super) struct Difference<'a> {
    pub(super) change: Change,
    pub(super) before: Option<&'a Row>,
    pub(super) after: Option<&'a Row>,
    /// The second value less the first one, if both are counts or numbers.
    pub(super) difference: Option<OwnedValue>,
}

/// A program of each side, or of one.
pub(super) struct Pair<'a> {
    pub(super) before: Option<&'a Compared>,
    pub(super) after: Option<&'a Compared>,
    /// Name, and texts of both.
    pub(super) identity: Vec<(&'static str, [&'a str; 2])>,
    pub(super) fields: Vec<Difference<'a>>,
}

/// Pairs the programs, and compares their fields that are `wanted`.
pub(super) fn compare<'a>(
    before: &'a Side,
    after: &'a Side,
    wanted: impl Fn(&Row) -> bool,
    all: bool,
) -> Vec<Pair<'a>> {
    let mut left: HashMap<&str, VecDeque<&Compared>> = HashMap::new();
    let mut pairs: Vec<[Option<&Compared>; 2]> = Vec::new();
    if let ([one], [other]) = (&before.programs[..], &after.programs[..]) {
        // Whatever their names are.
        pairs.push([Some(one), Some(other)]);
    } else {
        for program in &after.programs {
            left.entry(&program.title).or_default().push_back(program);
        }
        for program in &before.programs {
            let other = left.get_mut(&*program.title).and_then(VecDeque::pop_front);
            pairs.push([Some(program), other]);
        }
        for program in &after.programs {
            let is_left = left
                .get(&*program.title)
                .is_some_and(|all| all.iter().any(|other| std::ptr::eq(*other, program)));
            if is_left {
                pairs.push([None, Some(program)]);
            }
        }
    }
    pairs.into_iter().map(|[before, after]| pair(before, after, &wanted, all)).collect()
}

/// A field, and part and lane.
type RowKey = (FieldKey, Option<(u32, u32)>);

fn pair<'a>(
    before: Option<&'a Compared>,
    after: Option<&'a Compared>,
    wanted: &impl Fn(&Row) -> bool,
    all: bool,
) -> Pair<'a> {
    let mut identity = Vec::new();
    if let (Some(before), Some(after)) = (before, after) {
        for ((name, a), (_, b)) in before.identity.iter().zip(&after.identity) {
            if a != b {
                identity.push((*name, [&**a, &**b]));
            }
        }
    }
    let rows = |side: Option<&'a Compared>| side.map_or(&[][..], |side| &side.rows);
    // A field may have several rows, one for each lane.
    let mut left: HashMap<RowKey, VecDeque<&Row>> = HashMap::new();
    for row in rows(after) {
        left.entry((row.field.key(), row.lane)).or_default().push_back(row);
    }
    let mut fields = Vec::new();
    for row in rows(before).iter().filter(|row| wanted(row)) {
        let other = left.get_mut(&(row.field.key(), row.lane)).and_then(VecDeque::pop_front);
        let Some(other) = other else {
            let (change, after, difference) = (Change::Gone, None, None);
            fields.push(Difference { change, before: Some(row), after, difference });
            continue;
        };
        let is_same = row.value == other.value && row.verdict == other.verdict;
        if !is_same || all {
            let change = if is_same { Change::Same } else { Change::Changed };
            let difference = row.value.as_ref().zip(other.value.as_ref());
            let difference = difference.and_then(|(before, after)| difference_of(before, after));
            fields.push(Difference { change, before: Some(row), after: Some(other), difference });
        }
    }
    for row in rows(after).iter().filter(|row| wanted(row)) {
        let key = (row.field.key(), row.lane);
        let is_left =
            left.get(&key).is_some_and(|all| all.iter().any(|one| std::ptr::eq(*one, row)));
        if is_left {
            let (change, before, difference) = (Change::Added, None, None);
            fields.push(Difference { change, before, after: Some(row), difference });
        }
    }
    Pair { before, after, identity, fields }
}

/// The second value less the first one: of numbers exactly, of counts what was counted.
fn difference_of(before: &OwnedValue, after: &OwnedValue) -> Option<OwnedValue> {
    use OwnedValue::{F32, F64, Signed, Unsigned};
    let (before, after) = (before.only(), after.only());
    match (before, after) {
        (Unsigned(a), Unsigned(b)) => {
            let size = i128::try_from(a.abs_diff(*b)).ok()?;
            Some(Signed(if b >= a { size } else { -size }))
        }
        (Signed(a), Signed(b)) => b.checked_sub(*a).map(Signed),
        (F32(_) | F64(_), F32(_) | F64(_)) => Some(F64(after.as_f64()? - before.as_f64()?)),
        _ => after.since(before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_exact_and_has_a_sign() {
        use OwnedValue::{F64, Signed, Unsigned};
        let big = u128::from(u64::MAX);
        assert_eq!(difference_of(&Unsigned(big), &Unsigned(big - 1)), Some(Signed(-1)));
        assert_eq!(difference_of(&Unsigned(1), &Unsigned(big)), Some(Signed((1 << 64) - 2)));
        assert_eq!(difference_of(&Signed(-3), &Signed(4)), Some(Signed(7)));
        assert_eq!(difference_of(&F64(1.5), &F64(1.0)), Some(F64(-0.5)));
        assert_eq!(difference_of(&Unsigned(1), &F64(1.0)), None);
    }
}
