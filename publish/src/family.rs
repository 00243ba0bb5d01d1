//! Families: one declaration, a field for each combination of attribute values.

use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hashbrown::{DefaultHashBuilder, HashTable};
use mmstats_core::layout::MAX_ATTRIBUTES;
use mmstats_core::{FieldId, Geometry};

use crate::error::Error;
use crate::fields::Field;
use crate::item::Item;
use crate::parts::Shared;
use crate::pieces::{self, Pieces};
use crate::schema::FieldOptions;
use crate::segment::Address;
use crate::sync::Mutex;

/// A family of a publisher, to be attached as a [`Family`](crate::Family) in each thread.
pub struct FamilyKey<H, const N: usize> {
    pub(crate) number: usize,
    handle: PhantomData<fn() -> H>,
}

impl<H, const N: usize> FamilyKey<H, N> {
    pub(crate) const fn new(number: usize) -> Self {
        Self { number, handle: PhantomData }
    }
}

impl<H, const N: usize> Clone for FamilyKey<H, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H, const N: usize> Copy for FamilyKey<H, N> {}

impl<H, const N: usize> std::fmt::Debug for FamilyKey<H, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FamilyKey").field(&self.number).finish()
    }
}

/// What was said of a family.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    label: String,
    /// The keys of the attributes that tell its fields apart.
    keys: Vec<String>,
    options: FieldOptions,
    /// A field of the family, to check what all have in common.
    example: Item,
    /// The field for what is beyond the cap.
    pub(crate) overflow: Address,
}

impl Declared {
    /// A family, and its overflow field, whose address is still missing.
    pub(crate) fn new<H: Field, const N: usize>(
        label: String,
        keys: &[&str; N],
        options: FieldOptions,
    ) -> (Self, Item) {
        const { assert!(N > 0, "a family has at least one label") };
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        let with = |pairs: &mut dyn Iterator<Item = (&str, &str)>| {
            let all = pairs.fold(options.clone(), |all, (key, value)| all.attribute(key, value));
            H::item(label.clone(), all)
        };
        let overflow = with(&mut [("overflow", "true")].into_iter());
        let example = with(&mut keys.iter().map(|key| (key.as_str(), "")));
        let nowhere = Address { segment: 0, id: FieldId::from_index(0) };
        (Self { label, keys, options, example, overflow: nowhere }, overflow)
    }

    /// Whether keys and options follow the rules.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refused = |error| self.example.refused(error);
        self.example.measure(&mut Geometry::new(1)).map_err(refused)
    }
}

/// A family as all threads of a publisher know it.
#[derive(Debug)]
pub(crate) struct Definition {
    declared: Declared,
    cap: usize,
    /// The fields so far.
    open: Mutex<Open>,
    /// All fields, once there will be no more: found without a lock.
    full: OnceLock<Series>,
}

#[derive(Debug, Default)]
struct Open {
    series: Series,
    pause: Pause,
}

/// What the system refused, for want of room most often, is tried again, but not at once.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Pause(Option<Instant>);

impl Pause {
    const LENGTH: Duration = Duration::from_secs(1);

    pub(crate) fn begin() -> Self {
        Self(Some(Instant::now()))
    }

    pub(crate) fn lasts(self) -> bool {
        self.0.is_some_and(|begin| begin.elapsed() < Self::LENGTH)
    }
}

#[derive(Debug, Default)]
struct Series {
    state: DefaultHashBuilder,
    /// Without an address: what another field has the name of.
    table: HashTable<(Pieces, Option<Address>)>,
}

/// Where a combination is counted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// In this field, from now on.
    Field(Address),
    /// In the overflow field, from now on: to be remembered.
    Never,
    /// In the overflow field, like all that nobody remembers.
    Overflow,
}

impl Definition {
    pub(crate) fn new(declared: Declared) -> Self {
        let cap = declared.options.cap.unwrap_or(CAP) as usize;
        let this = Self { declared, cap, open: Mutex::default(), full: OnceLock::new() };
        if cap == 0 {
            this.fill(Series::default());
        }
        this
    }

    pub(crate) const fn overflow(&self) -> Address {
        self.declared.overflow
    }

    /// Number of attributes that tell its fields apart.
    pub(crate) fn keys(&self) -> usize {
        self.declared.keys.len()
    }

    /// The field for `values`; it is added if there is none and there may be more.
    pub(crate) fn find<H: Field>(&self, shared: &Shared, values: &[&str]) -> Found {
        if let Some(full) = self.full.get() {
            return full.find(values).unwrap_or(Found::Overflow);
        }
        // The usual rules, without making anything.
        let len: usize = values.iter().map(|value| value.len()).sum();
        if len > MAX_ATTRIBUTES || values.iter().any(|value| value.contains('\0')) {
            return Found::Overflow;
        }
        let mut open = self.open.lock();
        if let Some(full) = self.full.get() {
            return full.find(values).unwrap_or(Found::Overflow);
        }
        if let Some(found) = open.series.find(values) {
            return found;
        }
        if open.pause.lasts() {
            return Found::Overflow;
        }
        let address = match shared.add(self.item::<H>(values)) {
            Ok(address) => Some(address),
            // A field of its own has the name.
            Err(Error::Duplicate { .. }) => None,
            // The values are too long together with the other attributes.
            Err(Error::Field { .. }) => return Found::Overflow,
            Err(Error::System(_)) => {
                open.pause = Pause::begin();
                return Found::Overflow;
            }
            // Closed, a fork, a limit of the format: for good.
            Err(_) => {
                self.fill(std::mem::take(&mut open.series));
                return Found::Overflow;
            }
        };
        open.series.insert(values, address);
        if open.series.table.len() >= self.cap {
            self.fill(std::mem::take(&mut open.series));
        }
        address.map_or(Found::Never, Found::Field)
    }

    fn item<H: Field>(&self, values: &[&str]) -> Item {
        let Declared { label, keys, options, .. } = &self.declared;
        let pairs = keys.iter().zip(values);
        let options =
            pairs.fold(options.clone(), |all, (key, value)| all.attribute(key.as_str(), *value));
        H::item(label.clone(), options)
    }

    /// From now on there are these fields and no others.
    fn fill(&self, series: Series) {
        // Done once, under the lock; `full` is empty.
        let _ = self.full.set(series);
    }
}

impl Series {
    fn find(&self, values: &[&str]) -> Option<Found> {
        let hash = pieces::hash(&self.state, values.iter().copied());
        let (_, address) = self.table.find(hash, |(known, _)| known.are(values))?;
        Some(address.map_or(Found::Never, Found::Field))
    }

    fn insert(&mut self, values: &[&str], address: Option<Address>) {
        let Self { state, table } = self;
        let values = Pieces::new(values.iter().copied());
        let hash = pieces::hash(state, values.iter());
        table
            .insert_unique(hash, (values, address), |(known, _)| pieces::hash(state, known.iter()));
    }
}

/// How many combinations a family has at most, unless told otherwise.
const CAP: u32 = 1000;
