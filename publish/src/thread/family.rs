//! A thread's handles of a family.

use std::cell::{Cell, OnceCell, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::lanes::Lanes;
use crate::error::Error;
use crate::files::family::{FamilyFields, Lookup, Pause};
use crate::lock::Inside;
use crate::schema::declaration::Field;
use crate::schema::key::{DynFamilyKey, FamilyByKey, FamilyKey};
use crate::schema::labels::Labels;
use crate::strings::{self, Strings};

/// Fields of one label that differ in the values of `N` attributes.
///
/// A field is added when a thread first asks for its values. A family has at most
/// [`FieldOptions::cap`](crate::FieldOptions::cap) fields. One more field, which has
/// `overflow="true"` in the place of these attributes, counts all other combinations, so the sum
/// over the family stays right: those beyond the cap, values that no attribute can have (with a
/// zero byte, or thousands of bytes long), and those for which the system has no room; these are
/// tried again a second later.
///
/// ```
/// use mmstats::{Counter, Family, Options, Publisher, Stats};
///
/// #[derive(Stats)]
/// struct Web {
///     /// Requests served.
///     #[stats(labels("method", "code"))]
///     requests: Family<Counter, 2>,
/// }
///
/// let web: Publisher<Web> = Options::new().start()?;
/// web.with(|stats| stats.requests.get(&["GET", "200"]).incr());
/// # Ok::<(), mmstats::Error>(())
/// ```
pub struct Family<H, const N: usize> {
    handles: Handles<H>,
}

impl<H: Field, const N: usize> Family<H, N> {
    pub(crate) fn attach(lanes: &Lanes, key: FamilyKey<H, N>) -> Result<Self, Error> {
        Ok(Self { handles: Handles::attach(lanes, key.number, N)? })
    }

    /// The handle for these values, in the order of the declared labels.
    ///
    /// Values that this thread has asked for before are found in about 15 ns, without a lock and
    /// without an allocation. The first time, the field is looked up or added under the
    /// publisher's lock.
    #[inline]
    pub fn get(&self, values: &[&str; N]) -> &H {
        self.handles.get(values)
    }
}

impl<H, const N: usize> std::fmt::Debug for Family<H, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("known", &self.handles.len()).finish_non_exhaustive()
    }
}

/// Fields of one label that differ in the labels `L`, by name: as a [`Family`], which has them by
/// position.
///
/// `L` is a struct with `#[derive(Labels)]`. If it borrows, the family is declared with `'static`
/// and takes values of any lifetime.
///
/// ```
/// use mmstats::{Counter, FamilyBy, Labels, Options, Publisher, State, Stats};
///
/// #[derive(Labels)]
/// struct Request<'a> {
///     method: Method,
///     route: &'a str,
///     status: u16,
/// }
///
/// #[derive(Clone, Copy, State)]
/// enum Method {
///     Get,
///     Post,
/// }
///
/// #[derive(Stats)]
/// struct Web {
///     /// Requests served.
///     #[stats(cap = 200)]
///     requests: FamilyBy<Counter, Request<'static>>,
/// }
///
/// let web: Publisher<Web> = Options::new().start()?;
/// let route = String::from("/users/:id");
/// let request = Request { method: Method::Get, route: &route, status: 200 };
/// web.with(|stats| stats.requests.get(&request).incr());
/// # Ok::<(), mmstats::Error>(())
/// ```
pub struct FamilyBy<H, L> {
    handles: Handles<H>,
    /// Covariant, so that labels of a shorter lifetime are taken.
    labels: PhantomData<fn() -> L>,
}

impl<H: Field, L: Labels> FamilyBy<H, L> {
    pub(crate) fn attach(lanes: &Lanes, key: FamilyByKey<H, L>) -> Result<Self, Error> {
        let handles = Handles::attach(lanes, key.number, L::KEYS.len())?;
        Ok(Self { handles, labels: PhantomData })
    }

    /// The handle for these labels.
    ///
    /// Labels that this thread has asked for before are found without a lock and without an
    /// allocation, as by [`Family::get`]; numbers are written as text first.
    #[inline]
    pub fn get(&self, labels: &L) -> &H {
        labels.with_values(|values| self.handles.get(values))
    }
}

impl<H, L> std::fmt::Debug for FamilyBy<H, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FamilyBy").field("known", &self.handles.len()).finish_non_exhaustive()
    }
}

/// Fields of one label that differ in the values of attributes whose number is known at run time: as a
/// [`Family`].
///
/// ```
/// use mmstats::{Counter, FieldOptions, Lane, Options};
///
/// let publisher = Options::new().start::<Lane>()?;
/// let labels = ["method", "code"];
/// let requests = publisher.add_dyn_family::<Counter>("requests", &labels, FieldOptions::new())?;
/// let requests = publisher.lane()?.dyn_family(requests)?;
/// requests.get(&["GET", "200"]).incr();
/// # Ok::<(), mmstats::Error>(())
/// ```
pub struct DynFamily<H> {
    handles: Handles<H>,
}

impl<H: Field> DynFamily<H> {
    pub(crate) fn attach(lanes: &Lanes, key: DynFamilyKey<H>) -> Result<Self, Error> {
        let keys = lanes.family(key.number)?.declared.keys.len();
        Ok(Self { handles: Handles::attach(lanes, key.number, keys)? })
    }

    /// Number of labels.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.handles.fields.declared.keys.len()
    }

    /// The handle for these values, in the order of the declared labels: see [`Family::get`]. With
    /// another number of values than labels it is that of the overflow field.
    #[inline]
    pub fn get(&self, values: &[&str]) -> &H {
        self.handles.get(values)
    }
}

impl<H> std::fmt::Debug for DynFamily<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynFamily").field("known", &self.handles.len()).finish_non_exhaustive()
    }
}

/// A thread's handles of a family, by values.
struct Handles<H> {
    lanes: Lanes,
    fields: Arc<FamilyFields>,
    overflow: H,
    state: DefaultHashBuilder,
    /// Indices into `known`.
    table: RefCell<HashTable<u32>>,
    known: Entries<H>,
    /// Begins when a field's file has no lane for this thread.
    pause: Cell<Pause>,
}

impl<H: Field> Handles<H> {
    /// The handles of family `number`, which has `keys` labels.
    fn attach(lanes: &Lanes, number: usize, keys: usize) -> Result<Self, Error> {
        let fields = lanes.family(number)?;
        let overflow = lanes.attach(fields.declared.overflow)?;
        let found = fields.declared.keys.len();
        if found != keys {
            return Err(Error::Labels { found, wanted: keys });
        }
        Ok(Self {
            lanes: lanes.clone(),
            fields,
            overflow,
            state: DefaultHashBuilder::default(),
            table: RefCell::default(),
            known: Entries::default(),
            pause: Cell::default(),
        })
    }

    /// The handle for these values, one for each label.
    ///
    /// Generic, so that the code for an array knows their number.
    #[inline(always)]
    fn get<'a>(&self, values: &(impl AsRef<[&'a str]> + ?Sized)) -> &H {
        let hash = strings::hash(&self.state, values.as_ref().iter().copied());
        // Never borrowed while it is changed; `try_borrow` has no panic in its code.
        let table = self.table.try_borrow().ok();
        let at =
            table.and_then(|t| t.find(hash, |&at| self.known.is(at, values.as_ref())).copied());
        match at.and_then(|at| self.known.get(at)) {
            Some(entry) => entry.handle.as_ref().unwrap_or(&self.overflow),
            None => self.miss(hash, values.as_ref()),
        }
    }

    #[cold]
    #[inline(never)]
    fn miss(&self, hash: u64, values: &[&str]) -> &H {
        if values.len() != self.fields.declared.keys.len() {
            return &self.overflow;
        }
        // A call from within the library must not wait for the lock of the family.
        let (Some(files), Some(_inside)) = (self.lanes.files(), Inside::enter_first()) else {
            return &self.overflow;
        };
        let add = |declaration| files.add(declaration);
        let handle = match self.fields.find::<H>(values, add) {
            Lookup::Overflow => return &self.overflow,
            Lookup::AlwaysOverflow => None,
            Lookup::Field(_) if self.pause.get().lasts() => return &self.overflow,
            Lookup::Field(address) => match self.lanes.attach(address) {
                Ok(handle) => Some(handle),
                // No lane in the field's file.
                Err(_) => {
                    self.pause.set(Pause::begin());
                    return &self.overflow;
                }
            },
        };
        // A signal handler may have interrupted a search.
        let Ok(mut table) = self.table.try_borrow_mut() else { return &self.overflow };
        let at = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let entry = Entry { values: Strings::new(values.iter().copied()), handle };
        let Some(entry) = self.known.put(at, entry) else { return &self.overflow };
        let rehash = |&at: &u32| {
            self.known.get(at).map_or(0, |entry| strings::hash(&self.state, entry.values.iter()))
        };
        table.insert_unique(hash, at, rehash);
        entry.handle.as_ref().unwrap_or(&self.overflow)
    }
}

impl<H> Handles<H> {
    /// Number of handles.
    fn len(&self) -> usize {
        self.table.borrow().len()
    }
}

struct Entry<H> {
    values: Strings,
    /// `None` for the overflow field.
    handle: Option<H>,
}

/// A list that grows while references to its elements exist: each block is twice as long
/// as the one before, and none is ever moved.
struct Entries<H> {
    blocks: [OnceCell<Block<H>>; BLOCKS],
}

type Block<H> = Box<[OnceCell<Entry<H>>]>;

impl<H> Default for Entries<H> {
    fn default() -> Self {
        Self { blocks: [const { OnceCell::new() }; BLOCKS] }
    }
}

impl<H> Entries<H> {
    #[inline]
    fn is(&self, at: u32, values: &[&str]) -> bool {
        self.get(at).is_some_and(|entry| entry.values.equals(values))
    }

    #[inline]
    fn get(&self, at: u32) -> Option<&Entry<H>> {
        let (block, index) = place(at)?;
        self.blocks.get(block)?.get()?.get(index)?.get()
    }

    /// Sets element `at`, which has no value yet.
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
/// Enough for 2^24 elements, the maximum number of fields of a file.
const BLOCKS: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_growth_keeps_elements_in_place() {
        let known = Entries::<u32>::default();
        let entry = |at| Entry { values: Strings::new(["x"]), handle: Some(at) };
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
