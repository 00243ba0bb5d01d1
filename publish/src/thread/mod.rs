//! The lanes and handles of one thread.

pub(crate) mod family;
mod lanes;
pub(crate) mod local;
pub(crate) mod own;
pub(crate) mod stats;

use std::marker::PhantomData;
use std::sync::Arc;

use self::family::{DynFamily, Family, FamilyBy};
use self::lanes::Lanes;
pub(crate) use self::lanes::Owner;
use self::local::{Alive, Local};
use crate::error::Error;
use crate::files::Files;
use crate::files::scratch::Scratch;
use crate::files::settings::Fallback;
use crate::handles::Counter;
use crate::schema::declaration::Field;
use crate::schema::key::{DynFamilyKey, FamilyByKey, FamilyKey, Key};
use crate::schema::labels::Labels;

/// A thread's own lane: the source of its handles.
///
/// It and its handles stay on the thread that claimed it: they are neither `Send` nor `Sync`. When
/// the last of them is dropped, the lane is handed back in each file: counters, timers, histograms,
/// averages and events stay for the next thread; gauges, texts and states return to "no value".
pub struct Lane {
    lanes: Lanes,
    /// Its error names [`Publisher::with`](crate::Publisher::with) where a lane is sent.
    handles: PhantomData<Counter>,
}

impl Lane {
    pub(crate) fn claim(files: &Arc<Files>, fallback: Fallback) -> Result<Self, Error> {
        Ok(Self { lanes: Lanes::claim(files, fallback, None)?, handles: PhantomData })
    }

    /// A lane that says that it belongs to another thread than the caller.
    pub(crate) fn claim_for(
        files: &Arc<Files>,
        fallback: Fallback,
        owner: Owner,
    ) -> Result<Self, Error> {
        Ok(Self { lanes: Lanes::claim(files, fallback, Some(owner))?, handles: PhantomData })
    }

    /// The lane of a call that comes from within the library. It allocates nothing.
    pub(crate) fn of_scratch(scratch: &Arc<Scratch>) -> Self {
        Self { lanes: Lanes::Scratch(Arc::clone(scratch)), handles: PhantomData }
    }

    /// The lane of this thread for all calls of [`Publisher::with`]; the first one claims it.
    ///
    /// [`Publisher::with`]: crate::Publisher::with
    pub(crate) fn of_thread(files: &Arc<Files>, alive: &Arc<Alive>) -> Self {
        thread_local! {
            static LANES: Local<Lane> = const { Local::new() };
        }
        let make = || {
            let claim = || Self::claim(files, Fallback::Always);
            // A claim fails if its file is truncated meanwhile; the second one is in another file.
            claim().or_else(|_| claim()).unwrap_or_else(|error| {
                // Fails only if there is no memory for a private image.
                panic!("no memory for a lane: {error}")
            })
        };
        // A thread that is ending has no thread-local variables: a lane for this call only.
        LANES.try_with(|lanes| lanes.find(files.id, alive, make).share()).unwrap_or_else(|_| make())
    }

    /// Counts `n` updates that no reader sees.
    pub(crate) fn refuse(&self, n: u64) {
        if let Lanes::Thread(lanes) = &self.lanes
            && n > 0
        {
            lanes.first.refuse_samples(n);
        }
    }

    /// A clone, on the same thread.
    pub(crate) fn share(&self) -> Self {
        Self { lanes: self.lanes.clone(), handles: PhantomData }
    }

    /// The handle of a field.
    ///
    /// A field that was added at run time may be in another file; its first handle claims a lane
    /// there.
    ///
    /// # Errors
    ///
    /// If the key comes from another publisher and does not fit; or if all lanes of the other
    /// file are taken and no further one can be opened.
    pub fn attach<H: Field>(&self, key: Key<H>) -> Result<H, Error> {
        self.lanes.attach(key.address)
    }

    /// The handles of a family.
    ///
    /// # Errors
    ///
    /// As [`Lane::attach`].
    pub fn family<H: Field, const N: usize>(
        &self,
        key: FamilyKey<H, N>,
    ) -> Result<Family<H, N>, Error> {
        Family::attach(&self.lanes, key)
    }

    /// The handles of a family by labels.
    ///
    /// # Errors
    ///
    /// As [`Lane::attach`].
    pub fn family_by<H: Field, L: Labels>(
        &self,
        key: FamilyByKey<H, L>,
    ) -> Result<FamilyBy<H, L>, Error> {
        FamilyBy::attach(&self.lanes, key)
    }

    /// The handles of a family whose labels are known at run time.
    ///
    /// # Errors
    ///
    /// As [`Lane::attach`].
    pub fn dyn_family<H: Field>(&self, key: DynFamilyKey<H>) -> Result<DynFamily<H>, Error> {
        DynFamily::attach(&self.lanes, key)
    }

    /// The number of the lane within its first file.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.lanes.index()
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("index", &self.index()).finish_non_exhaustive()
    }
}
