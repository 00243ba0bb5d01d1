//! The lanes of the current thread, for its panic hook.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use mmstats_core as core;
use mmstats_core::{Guarded, Region};

use crate::backend::Mapping;
use crate::claim::{Claim, Keep};

/// A lane that a thread has claimed, for as long as a handle of it exists.
struct Own {
    /// Identity of the files.
    files: u64,
    index: u32,
    keep: Weak<Guarded<Arc<Mapping>, Claim>>,
}

thread_local! {
    static OWN: RefCell<Vec<Own>> = const { RefCell::new(Vec::new()) };
}

/// Remembers a lane that this thread has claimed.
pub(super) fn remember(files: u64, lane: &core::Lane<Keep>) {
    let keep = Arc::downgrade(lane.region().memory());
    let own = Own { files, index: lane.index(), keep };
    let _ = OWN.try_with(|all| {
        if let Ok(mut all) = all.try_borrow_mut() {
            all.retain(|own| own.keep.strong_count() > 0);
            all.push(own);
        }
    });
}

/// Calls `visit` with each lane that this thread has of the files with this identity: its region and
/// its number. It takes no lock; a lane that is being claimed is left out.
pub(crate) fn visit(files: u64, mut visit: impl FnMut(&Region<Keep>, u32)) {
    let _ = OWN.try_with(|all| {
        let Ok(all) = all.try_borrow() else { return };
        for own in all.iter().filter(|own| own.files == files) {
            // Handles stay on their thread, so none is dropped before the end of this.
            if let Some(Ok(region)) = own.keep.upgrade().map(Region::new) {
                visit(&region, own.index);
            }
        }
    });
}
