//! Losses: fields and labels that an export changes or leaves out.

/// A step that loses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// A label or the key of an attribute has other characters than metrics may have; dots, which become `_`, do not
    /// count.
    Renamed,
    /// A value was converted to its base unit.
    Unit,
    /// A histogram has the buckets of octaves in text formats; the native ones of protobuf are exact.
    ClassicBuckets,
    /// A text that may change, bytes and events are no metrics.
    Text,
    /// Another field has the name of the metric already, with another type or the same labels.
    Collision,
}

/// All of them, by number.
const ALL: [Loss; 5] =
    [Loss::Renamed, Loss::Unit, Loss::ClassicBuckets, Loss::Text, Loss::Collision];

impl Loss {
    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Renamed => "renamed",
            Self::Unit => "unit",
            Self::ClassicBuckets => "classic_buckets",
            Self::Text => "text",
            Self::Collision => "collision",
        }
    }
}

/// Number of fields with each loss, and which fields were left out.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    counts: [u64; ALL.len()],
    collisions: Vec<String>,
}

/// Maximum number of named collisions.
const MAX_NAMED: usize = 100;

impl Losses {
    pub(crate) fn add(&mut self, loss: Loss, count: u64) {
        if let Some(counted) = self.counts.get_mut(loss as usize) {
            *counted += count;
        }
    }

    pub(crate) fn collide(&mut self, text: impl FnOnce() -> String) {
        self.add(Loss::Collision, 1);
        if self.collisions.len() < MAX_NAMED {
            self.collisions.push(text());
        }
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        let room = MAX_NAMED.saturating_sub(self.collisions.len());
        self.collisions.extend(other.collisions.iter().take(room).cloned());
    }

    /// The losses, each with the number of fields or labels.
    pub fn iter(&self) -> impl Iterator<Item = (Loss, u64)> {
        ALL.into_iter().zip(self.counts)
    }

    /// The first hundred fields that were left out because of their names.
    #[must_use]
    pub fn collisions(&self) -> &[String] {
        &self.collisions
    }
}
