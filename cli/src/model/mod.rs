//! The programs that were selected, and their fields as rows.

pub(crate) mod families;
pub(crate) mod following;
pub(crate) mod globs;
pub(crate) mod head;
pub(crate) mod kin;
pub(crate) mod life;
pub(crate) mod pattern;
pub(crate) mod rates;
#[cfg(feature = "record")]
pub(crate) mod recorded;
pub(crate) mod row;
pub(crate) mod section;
pub(crate) mod selection;
pub(crate) mod similar;
pub(crate) mod threads;
pub(crate) mod watched;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats_observe::{FileState, Identity};

/// Whether the program may still publish.
pub(crate) const fn is_active(state: FileState) -> bool {
    matches!(state, FileState::Live | FileState::Unknown)
}

/// Time since the program began to publish; `None` without a credible start.
pub(crate) fn age(identity: &Identity, now: SystemTime) -> Option<Duration> {
    let created = Duration::try_from_secs_f64(identity.created?).ok()?;
    now.duration_since(UNIX_EPOCH.checked_add(created)?).ok()
}

/// What a recording does not have of a program.
#[cfg(any(feature = "live", feature = "record"))] // the users
pub(crate) fn unrecorded(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 field was not recorded for want of memory".to_owned()),
        count => Some(format!("{count} fields were not recorded for want of memory")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_of_absurd_start_is_none() {
        for created in [f64::NAN, -1.0, 1e300, f64::INFINITY] {
            let mut identity = Identity::default();
            identity.created = Some(created);
            assert_eq!(age(&identity, SystemTime::now()), None);
        }
        let mut identity = Identity::default();
        identity.created = Some(0.0);
        assert!(age(&identity, SystemTime::now()).is_some());
    }
}
