//! Parameter and detail of each kind: KINDS.md section 1, rule `kind-param`.

use super::heap::{HeapStr, with_bytes};
use crate::buckets::{Buckets, HISTOGRAM_SLOT};
use crate::descriptor::RawDescriptor;
use crate::layout::{MAX_ROWS, MAX_STATE, MAX_STATES, MAX_WINDOWS, is_window, table};
use crate::region::Source;
use crate::types::{Kind, Storage};

/// Checks parameter and detail. `counter` tells whether the preceding field is a counter that can
/// have a rate. Returns the number of states, 0 for other kinds; `None` if the rule is broken.
/// Kinds without a parameter or detail allow any value.
pub(super) fn check_kind_param<S: Source + ?Sized>(
    source: &S,
    raw: &RawDescriptor,
    detail: HeapStr,
    counter: bool,
) -> Option<u16> {
    let param = raw.properties.param();
    // Needed for the size of the cell, so of unknown kinds too.
    if raw.storage == Storage::Table.code() || raw.properties.is_kind(Kind::Activity) {
        return (raw.member == table::VALUE && (1..=MAX_ROWS).contains(&param)).then_some(0);
    }
    let good = match raw.properties.kind() {
        Some(Kind::State) => {
            let states = with_bytes(source, detail, count_names)?;
            return u16::try_from(states).ok();
        }
        Some(Kind::Histogram) => {
            Buckets::from_param(param, raw.properties.count()).is_some()
                && raw.slot_size >= HISTOGRAM_SLOT
        }
        Some(Kind::Events) => raw.member == 8,
        Some(Kind::Window) => {
            // `slots` is 0 or at least 2.
            param >= 1 && param <= raw.properties.slots().saturating_sub(2)
        }
        Some(Kind::Rate) => counter && param >= 1 && with_bytes(source, detail, are_windows),
        _ => true,
    };
    good.then_some(0)
}

/// Number of names; `None` if there is none, or one is empty or too long.
fn count_names(detail: &[u8]) -> Option<usize> {
    let mut count = 0;
    for name in detail.split(|byte| *byte == 0) {
        count += 1;
        if name.is_empty() || name.len() > MAX_STATE || count > MAX_STATES {
            return None;
        }
    }
    Some(count)
}

/// Whether all items are numbers of seconds above 0.
fn are_windows(detail: &[u8]) -> bool {
    let mut count = 0;
    detail.split(|byte| *byte == 0).all(|item| {
        count += 1;
        count <= MAX_WINDOWS && is_window(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_names_empty_or_long_is_none() {
        assert_eq!(count_names(b"idle"), Some(1));
        assert_eq!(count_names(b"idle\0busy\0x"), Some(3));
        for bad in [&b""[..], b"\0", b"a\0", b"\0a", b"a\0\0b", &[b'x'; 64]] {
            assert_eq!(count_names(bad), None, "{bad:?}");
        }
        assert_eq!(count_names(&[b'x'; 63]), Some(1));
        let many = std::vec![b"a\0".as_slice(); MAX_STATES].concat();
        assert_eq!(count_names(&many[..2 * MAX_STATES - 1]), Some(MAX_STATES));
        assert_eq!(count_names(&std::vec![b"\0a".as_slice(); MAX_STATES + 1].concat()[1..]), None);
    }

    #[test]
    fn are_windows_seconds_above_zero() {
        for good in [&b"60"[..], b"60\x00300\x00900", b"1", b"999999", b"01"] {
            assert!(are_windows(good), "{good:?}");
        }
        for bad in [
            &b""[..],
            b"0",
            b"60\0",
            b"-1",
            b"1.5",
            b"1000000",
            b"1\x002\x003\x004\x005\x006\x007\x008\x009",
        ] {
            assert!(!are_windows(bad), "{bad:?}");
        }
    }
}
