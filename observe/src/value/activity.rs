//! Activities: KINDS.md section 7.

use mmstats_core::read::{Table, Verdict};

use crate::problem::Damage;

/// Activities in progress in one lane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActivityValue {
    /// The rows in use, in the order of their begins.
    pub rows: Vec<ActivityRow>,
    /// Number of rows in use that were not read, because their texts were replaced during each attempt.
    pub contended: u32,
    /// Number of rows in use that are damaged.
    pub damaged: u32,
    /// Number of activities that found no row, in the life of the lane; `None` if this machine, of 32 bits,
    /// cannot read it while the program lives.
    pub refused: Option<u64>,
}

/// Something in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActivityRow {
    /// Number of the activity in its lane, from 1.
    pub number: u64,
    /// Time of the begin in nanoseconds since 1970-01-01 UTC; `None` if it is not known.
    pub since: Option<u64>,
    /// The text; may hold control characters, so escape it.
    pub text: String,
    /// Whether the writer cut the text to fit.
    pub cut: bool,
}

impl ActivityRow {
    /// A row in use.
    #[must_use]
    pub const fn new(number: u64, since: Option<u64>, text: String, cut: bool) -> Self {
        Self { number, since, text, cut }
    }
}

impl ActivityValue {
    /// Number of activities in progress, also of those that could not be read.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.rows.len() + self.contended as usize + self.damaged as usize
    }
}

impl ActivityValue {
    /// The rows of a lane, copied, and the rule that the first damaged one breaks.
    pub(crate) fn decode(table: &Table<'_>) -> (Self, Option<Damage>) {
        let mut value = Self { refused: table.refused(), ..Self::default() };
        let mut damage = None;
        for (_, row) in table.rows() {
            match row {
                Verdict::Consistent(row) => value.rows.push(ActivityRow {
                    number: row.number(),
                    since: row.since(),
                    text: row.text().to_owned(),
                    cut: row.cut(),
                }),
                Verdict::Contended => value.contended += 1,
                Verdict::Damaged(error) => {
                    value.damaged += 1;
                    damage.get_or_insert(Damage::from(error));
                }
                _ => value.damaged += 1,
            }
        }
        value.rows.sort_by_key(|row| row.number);
        (value, damage)
    }

    /// Memory of the rows, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.rows.iter().map(|row| row.text.len() + size_of::<ActivityRow>()).sum()
    }
}
