//! The fields of a family: one for each combination of attribute values.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hashbrown::{DefaultHashBuilder, HashTable};
use mmstats_core::layout::MAX_ATTRIBUTES;

use crate::error::Error;
use crate::lock::Mutex;
use crate::schema::declaration::{Declaration, Field};
use crate::schema::family::FamilyDeclaration;
use crate::schema::key::Address;
use crate::strings::{self, Strings};

/// The fields of a family, which all threads of a publisher share.
#[derive(Debug)]
pub(crate) struct FamilyFields {
    pub(crate) declared: FamilyDeclaration,
    /// The fields, while more can be added.
    open: Mutex<Open>,
    /// The fields, once no more can be added: found without a lock.
    full: OnceLock<Combinations>,
}

#[derive(Debug, Default)]
struct Open {
    combinations: Combinations,
    pause: Pause,
}

/// The pause after the system refused room for a field, before the next attempt.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Pause(Option<Instant>);

impl Pause {
    pub(crate) const NONE: Self = Self(None);
    const LENGTH: Duration = Duration::from_secs(1);

    pub(crate) fn begin() -> Self {
        Self(Some(Instant::now()))
    }

    pub(crate) fn lasts(self) -> bool {
        self.0.is_some_and(|begin| begin.elapsed() < Self::LENGTH)
    }
}

/// Combinations of attribute values, with the addresses of their fields.
#[derive(Debug, Default, Clone)]
struct Combinations {
    state: DefaultHashBuilder,
    /// No address where a field outside of the family has the name.
    table: HashTable<(Strings, Option<Address>)>,
}

/// The field that counts a combination.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// This field, now and later.
    Field(Address),
    /// The overflow field, now and later.
    AlwaysOverflow,
    /// The overflow field for this lookup; a later one may differ.
    Overflow,
}

impl FamilyFields {
    pub(crate) fn new(declared: FamilyDeclaration) -> Self {
        let this = Self { declared, open: Mutex::default(), full: OnceLock::new() };
        if this.declared.cap() == 0 {
            this.fill(Combinations::default());
        }
        this
    }

    /// The same family of another publisher with the same fields; `None` if its lock is not released
    /// within about `patience`.
    pub(crate) fn again(&self, patience: Duration) -> Option<Self> {
        let open = self.open.lock_within(patience)?;
        let combinations = self.full.get().unwrap_or(&open.combinations).clone();
        let again = Self::new(self.declared.clone());
        if combinations.table.len() >= self.declared.cap() {
            again.fill(combinations);
        } else {
            again.open.lock().combinations = combinations;
        }
        Some(again)
    }

    /// The field for `values`, which `add` adds if there is none and the cap allows it.
    pub(crate) fn find<H: Field>(
        &self,
        values: &[&str],
        add: impl FnOnce(Declaration) -> Result<Address, Error>,
    ) -> Lookup {
        if let Some(full) = self.full.get() {
            return full.find(values).unwrap_or(Lookup::Overflow);
        }
        // The rules of the format, without an allocation.
        let len: usize = values.iter().map(|value| value.len()).sum();
        if len > MAX_ATTRIBUTES || values.iter().any(|value| value.contains('\0')) {
            return Lookup::Overflow;
        }
        if self.open.is_mine() {
            return Lookup::Overflow;
        }
        let mut open = self.open.lock();
        if let Some(full) = self.full.get() {
            return full.find(values).unwrap_or(Lookup::Overflow);
        }
        if let Some(found) = open.combinations.find(values) {
            return found;
        }
        if open.pause.lasts() {
            return Lookup::Overflow;
        }
        let address = match add(self.declared.field::<H>(values)) {
            Ok(address) => Some(address),
            // A field outside of the family has the name.
            Err(Error::Duplicate { .. }) => None,
            // The values are too long together with the other attributes.
            Err(Error::Field { .. }) => return Lookup::Overflow,
            Err(Error::System(_)) => {
                open.pause = Pause::begin();
                return Lookup::Overflow;
            }
            // Closed, a fork, a limit of the format: no later attempt succeeds.
            Err(_) => {
                self.fill(std::mem::take(&mut open.combinations));
                return Lookup::Overflow;
            }
        };
        open.combinations.insert(values, address);
        if open.combinations.table.len() >= self.declared.cap() {
            self.fill(std::mem::take(&mut open.combinations));
        }
        address.map_or(Lookup::AlwaysOverflow, Lookup::Field)
    }

    /// Ends the adding of fields.
    fn fill(&self, combinations: Combinations) {
        // Called once, under the lock, so `full` is empty.
        let _ = self.full.set(combinations);
    }
}

impl Combinations {
    fn find(&self, values: &[&str]) -> Option<Lookup> {
        let hash = strings::hash(&self.state, values.iter().copied());
        let (_, address) = self.table.find(hash, |(known, _)| known.equals(values))?;
        Some(address.map_or(Lookup::AlwaysOverflow, Lookup::Field))
    }

    fn insert(&mut self, values: &[&str], address: Option<Address>) {
        let Self { state, table } = self;
        let values = Strings::new(values.iter().copied());
        let hash = strings::hash(state, values.iter());
        table.insert_unique(hash, (values, address), |(known, _)| {
            strings::hash(state, known.iter())
        });
    }
}
