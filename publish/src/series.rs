//! A thread's handles of a family.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::error::Error;
use crate::family::{Definition, FamilyKey, Found, Pause};
use crate::fields::Field;
use crate::lane::Lane;
use crate::pieces::{self, Pieces};
use crate::schema::{FieldOptions, Key, Schema};

/// Fields of one label that differ in the values of `N` attributes.
///
/// A field is made when its values are first asked for, by whichever thread; a family has
/// at most as many as [`FieldOptions::cap`] says. What is beyond, and values that no
/// attribute can have (with a zero byte, or thousands of bytes long), are counted in a
/// field of their own, which has `overflow="true"` in the place of these attributes. So
/// nothing is lost from the sum over the family. So are those for which the system has no
/// room; that is tried again a second later.
///
/// ```
/// # use mmstats::{Counter, Family, Options, Publisher, Stats};
/// #[derive(Stats)]
/// struct Web {
///     /// Requests served.
///     #[stats(labels("method", "code"))]
///     requests: Family<Counter, 2>,
/// }
/// # let dir = std::env::temp_dir().join(format!("mmstats-family-{}", std::process::id()));
/// # let web: Publisher<Web> = Options::new().directory(&dir).start()?;
/// web.with(|stats| stats.requests.get(&["GET", "200"]).incr());
/// # drop(web); std::fs::remove_dir(dir).unwrap();
/// # Ok::<(), mmstats::Error>(())
/// ```
pub struct Family<H, const N: usize> {
    lane: Lane,
    definition: Arc<Definition>,
    overflow: H,
    state: DefaultHashBuilder,
    /// Numbers in `known`.
    table: RefCell<HashTable<u32>>,
    known: Known<H>,
    /// Since a field's file had no place for this thread.
    pause: Cell<Pause>,
}

impl<H: Field, const N: usize> Family<H, N> {
    pub(crate) fn attach(lane: &Lane, key: FamilyKey<H, N>) -> Result<Self, Error> {
        let definition = lane.shared().family(key.number)?;
        let overflow = lane.attach(Key::new(definition.overflow()))?;
        if definition.keys() != N {
            let (found, wanted) = (definition.keys(), N);
            return Err(Error::Labels { found, wanted });
        }
        Ok(Self {
            lane: lane.share(),
            definition,
            overflow,
            state: DefaultHashBuilder::default(),
            table: RefCell::default(),
            known: Known::default(),
            pause: Cell::default(),
        })
    }

    /// The handle for these values, in the order of the declared labels.
    ///
    /// What this thread has asked for before is found in some 20 ns, without a lock and
    /// without an allocation. The first time, the field is looked up, or made, under the
    /// publisher's lock.
    #[inline]
    pub fn get(&self, values: &[&str; N]) -> &H {
        let hash = pieces::hash(&self.state, values.iter().copied());
        // Nothing is borrowed while it is changed; no way to a panic all the same.
        let table = self.table.try_borrow().ok();
        let at = table.and_then(|t| t.find(hash, |&at| self.known.is(at, values)).copied());
        match at.and_then(|at| self.known.get(at)) {
            Some(entry) => entry.handle.as_ref().unwrap_or(&self.overflow),
            None => self.miss(hash, values),
        }
    }

    #[cold]
    #[inline(never)]
    fn miss(&self, hash: u64, values: &[&str; N]) -> &H {
        let handle = match self.definition.find::<H>(self.lane.shared(), values) {
            Found::Overflow => return &self.overflow,
            Found::Never => None,
            Found::Field(_) if self.pause.get().lasts() => return &self.overflow,
            Found::Field(address) => match self.lane.attach(Key::new(address)) {
                Ok(handle) => Some(handle),
                // Without a place in the field's file it is counted with the overflow.
                Err(_) => {
                    self.pause.set(Pause::begin());
                    return &self.overflow;
                }
            },
        };
        let mut table = self.table.borrow_mut();
        let at = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let entry = Entry { values: Pieces::new(values.iter().copied()), handle };
        let Some(entry) = self.known.put(at, entry) else { return &self.overflow };
        let rehash = |&at: &u32| {
            self.known.get(at).map_or(0, |entry| pieces::hash(&self.state, entry.values.iter()))
        };
        table.insert_unique(hash, at, rehash);
        entry.handle.as_ref().unwrap_or(&self.overflow)
    }
}

impl<H, const N: usize> std::fmt::Debug for Family<H, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = self.table.borrow().len();
        f.debug_struct("Family").field("known", &known).finish_non_exhaustive()
    }
}

struct Entry<H> {
    values: Pieces,
    /// None for the overflow's.
    handle: Option<H>,
}

/// A list that grows while references to its elements exist: each block is twice as long
/// as the one before, and none is ever moved.
struct Known<H> {
    blocks: [OnceCell<Block<H>>; BLOCKS],
}

type Block<H> = Box<[OnceCell<Entry<H>>]>;

impl<H> Default for Known<H> {
    fn default() -> Self {
        Self { blocks: [const { OnceCell::new() }; BLOCKS] }
    }
}

impl<H> Known<H> {
    #[inline]
    fn is(&self, at: u32, values: &[&str]) -> bool {
        self.get(at).is_some_and(|entry| entry.values.are(values))
    }

    #[inline]
    fn get(&self, at: u32) -> Option<&Entry<H>> {
        let (block, index) = place(at)?;
        self.blocks.get(block)?.get()?.get(index)?.get()
    }

    /// Element `at`, which was not there.
    fn put(&self, at: u32, entry: Entry<H>) -> Option<&Entry<H>> {
        let (block, index) = place(at)?;
        let empty = || (0..FIRST << block).map(|_| OnceCell::new()).collect();
        let cell = self.blocks.get(block)?.get_or_init(empty).get(index)?;
        Some(cell.get_or_init(|| entry))
    }
}

/// Block of element `at`, and its index there.
#[inline]
fn place(at: u32) -> Option<(usize, usize)> {
    let n = at.checked_add(FIRST)?;
    let block = n.ilog2() - FIRST.ilog2();
    Some((block as usize, (n - (FIRST << block)) as usize))
}

/// Length of the first block.
const FIRST: u32 = 8;
/// So many that 2^24 elements, as many as a file has fields, have room.
const BLOCKS: usize = 22;

/// What `#[derive(Stats)]` calls for a field with `labels(...)`.
#[doc(hidden)]
pub trait AnyFamily: Sized {
    type Key: Copy + Send + Sync + 'static;
    type Labels<'a>;

    fn declare(
        schema: &mut Schema,
        label: String,
        labels: Self::Labels<'_>,
        options: FieldOptions,
    ) -> Self::Key;

    /// # Errors
    ///
    /// As [`Lane::family`].
    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error>;
}

impl<H: Field + 'static, const N: usize> AnyFamily for Family<H, N> {
    type Key = FamilyKey<H, N>;
    type Labels<'a> = [&'a str; N];

    fn declare(
        schema: &mut Schema,
        label: String,
        labels: [&str; N],
        options: FieldOptions,
    ) -> Self::Key {
        schema.add_family(label, labels, options)
    }

    fn attach(lane: &Lane, key: Self::Key) -> Result<Self, Error> {
        lane.family(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_where_they_are() {
        let known = Known::<u32>::default();
        let entry = |at| Entry { values: Pieces::new(["x"]), handle: Some(at) };
        let first = known.put(0, entry(0)).unwrap();
        for at in 1..10_000 {
            assert!(known.get(at).is_none());
            known.put(at, entry(at)).unwrap();
        }
        for at in 0..10_000 {
            assert_eq!(known.get(at).unwrap().handle, Some(at));
        }
        assert!(std::ptr::eq(first, known.get(0).unwrap()));
        let last = place((1 << 24) - 1).unwrap();
        assert!(last.0 < BLOCKS && place(u32::MAX).is_none(), "{last:?}");
    }
}
