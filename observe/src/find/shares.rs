//! Shares of the memory for metadata: the files of other users cannot use up that of one's own.

use std::collections::HashMap;

/// Memory for the metadata of files of this user, of root, and of those that were named, in bytes.
const OWN: u64 = 320 << 20;
/// Memory for the metadata of the files of all other users, in bytes.
const OTHERS: u64 = 160 << 20;
/// Memory of a file whose metadata is small, in bytes. Such files come before larger ones.
pub(super) const SMALL: u64 = 256 << 10;

/// The owner of a file, as far as its share depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Holder {
    /// This user, root, or a file that the user named.
    Own,
    Other(u32),
    /// On a system with user ids, a file whose owner cannot be asked for: it is gone.
    Unknown,
}

impl Holder {
    pub(super) fn new(owner: Option<u32>, user: u32, named: bool) -> Self {
        // Without user ids all files count as the user's own.
        if named || !cfg!(unix) || owner == Some(user) || owner == Some(0) {
            return Self::Own;
        }
        owner.map_or(Self::Unknown, Self::Other)
    }
}

/// The memory that the metadata of each holder takes.
#[derive(Debug, Default)]
pub(super) struct Shares {
    used: HashMap<Holder, u64>,
    /// Share of each other user, in bytes.
    share: u64,
}

impl Shares {
    /// Shares for files of these holders.
    pub(super) fn new(holders: impl IntoIterator<Item = Holder>) -> Self {
        let mut used: HashMap<Holder, u64> = HashMap::new();
        for holder in holders {
            used.entry(holder).or_default();
        }
        let others = used.len() - usize::from(used.contains_key(&Holder::Own));
        Self { used, share: OTHERS / (others as u64).max(1) }
    }

    /// Memory that is left for the holder, in bytes.
    pub(super) fn left(&self, holder: Holder) -> u64 {
        let total = if holder == Holder::Own { OWN } else { self.share };
        total.saturating_sub(self.used.get(&holder).copied().unwrap_or(0))
    }

    pub(super) fn take(&mut self, holder: Holder, size: u64) {
        let used = self.used.entry(holder).or_default();
        *used = used.saturating_add(size);
    }

    pub(super) fn give_back(&mut self, holder: Holder, size: u64) {
        let used = self.used.entry(holder).or_default();
        *used = used.saturating_sub(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holder_of_root_and_named_files_is_own() {
        assert_eq!(Holder::new(Some(0), 7, false), Holder::Own);
        assert_eq!(Holder::new(Some(7), 7, false), Holder::Own);
        assert_eq!(Holder::new(None, 7, true), Holder::Own);
        let unknown = if cfg!(unix) { Holder::Unknown } else { Holder::Own };
        assert_eq!(Holder::new(None, 7, false), unknown);
        assert_eq!(Holder::new(Some(8), 7, true), Holder::Own);
        let other = if cfg!(unix) { Holder::Other(8) } else { Holder::Own };
        assert_eq!(Holder::new(Some(8), 7, false), other);
    }

    #[test]
    fn shares_of_other_users_are_equal_and_apart_from_own() {
        let others = [Holder::Other(1), Holder::Other(2), Holder::Other(1)];
        let mut shares = Shares::new(others.into_iter().chain([Holder::Own]));
        assert_eq!(shares.left(Holder::Other(1)), OTHERS / 2);
        shares.take(Holder::Other(1), u64::MAX);
        shares.take(Holder::Other(1), 1);
        assert_eq!(shares.left(Holder::Other(1)), 0);
        assert_eq!(shares.left(Holder::Other(2)), OTHERS / 2);
        assert_eq!(shares.left(Holder::Own), OWN);
        shares.take(Holder::Own, 10);
        shares.give_back(Holder::Own, 4);
        assert_eq!(shares.left(Holder::Own), OWN - 6);
    }
}
