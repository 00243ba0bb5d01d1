//! Self-checking values: every word of a value follows from its number.

use std::fmt::Write as _;

use mmstats::{Array, Counter, Group, Record, Stats, Text};
use mmstats_observe::{FieldRef, RawValue};

/// Elements of [`Payload::array`]: 4 KiB.
pub const ELEMENTS: usize = 512;

/// Eight words of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Record)]
#[allow(missing_docs)] // Word 0 is the number, the others `mix` of it.
pub struct Eight {
    pub w0: u64,
    pub w1: u64,
    pub w2: u64,
    pub w3: u64,
    pub w4: u64,
    pub w5: u64,
    pub w6: u64,
    pub w7: u64,
}

/// Self-checking fields.
#[derive(Debug, Stats)]
pub struct Payload {
    /// The number, published last.
    pub count: Counter,
    /// [`text_of`] the number.
    pub text: Text<64>,
    /// The number and seven words that follow from it.
    pub group: Group<Eight>,
    /// The number and 511 words that follow from it.
    pub array: Array<u64, ELEMENTS>,
}

/// Word `index` of value number `n`.
#[must_use]
pub const fn mix(n: u64, index: u64) -> u64 {
    let mut z = n.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ (z >> 27)
}

/// The text of value number `n`: 16 to 64 bytes, so that lengths change too.
pub fn text_of(n: u64, text: &mut String) {
    text.clear();
    for index in 0..4 {
        let word = if index == 0 { n } else { mix(n, index) };
        // Writing into a string does not fail.
        let _ = write!(text, "{word:016x}");
    }
    text.truncate(16 + (n % 49) as usize);
}

impl Eight {
    /// Value number `n`.
    #[must_use]
    pub const fn of(n: u64) -> Self {
        Self {
            w0: n,
            w1: mix(n, 1),
            w2: mix(n, 2),
            w3: mix(n, 3),
            w4: mix(n, 4),
            w5: mix(n, 5),
            w6: mix(n, 6),
            w7: mix(n, 7),
        }
    }
}

/// Fills in the array of value number `n`.
pub fn array_of(n: u64, array: &mut [u64; ELEMENTS]) {
    for (index, word) in (0..).zip(array.iter_mut()) {
        *word = if index == 0 { n } else { mix(n, index) };
    }
}

/// Numbers of the values of one look at a lane, by field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of `count`.
    pub count: Option<u64>,
    /// Of `text`.
    pub text: Option<u64>,
    /// Of `group`, all members.
    pub group: Option<u64>,
    /// Of `array`.
    pub array: Option<u64>,
    members: [u64; 8],
    seen: usize,
}

impl Numbers {
    /// Takes the value of a field.
    ///
    /// # Errors
    ///
    /// If the value is torn or mixed.
    pub fn take(&mut self, field: &FieldRef<'_>, value: RawValue<'_>) -> Result<(), String> {
        match (field.label(), value) {
            ("count", RawValue::U64(n)) => self.count = Some(n),
            ("text", RawValue::Text { text, cut }) => self.take_text(text, cut)?,
            ("array", RawValue::Array(array)) => {
                let mut words =
                    array.bytes().as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
                let n = words.next().unwrap_or(0);
                if array.len() != ELEMENTS {
                    return Err(format!("array of {} elements", array.len()));
                }
                if let Some(index) =
                    (1..).zip(words).position(|(index, word)| word != mix(n, index))
                {
                    return Err(format!("torn array: element {} is not of number {n}", index + 1));
                }
                self.array = Some(n);
            }
            (label, value) if label.starts_with("group.w") => self.take_member(label, value)?,
            (label, value) => return Err(format!("{label} is {value:?}")),
        }
        Ok(())
    }

    /// Takes a text.
    ///
    /// # Errors
    ///
    /// If it is torn.
    pub fn take_text(&mut self, text: &str, cut: bool) -> Result<(), String> {
        let n = text.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let n = n.ok_or_else(|| format!("torn text {text:?}"))?;
        let mut whole = String::new();
        text_of(n, &mut whole);
        if whole != text || cut {
            return Err(format!("torn text {text:?}, number {n} is {whole:?}"));
        }
        self.text = Some(n);
        Ok(())
    }

    /// Takes the next member of the group.
    ///
    /// # Errors
    ///
    /// If the group is torn.
    pub fn take_member(&mut self, label: &str, value: RawValue<'_>) -> Result<(), String> {
        let RawValue::U64(word) = value else { return Err(format!("{label} is {value:?}")) };
        let place = self.members.get_mut(self.seen).ok_or("too many members")?;
        *place = word;
        self.seen += 1;
        if self.seen == 8 {
            let n = self.members[0];
            for (index, word) in (1..).zip(&self.members[1..]) {
                if *word != mix(n, index) {
                    return Err(format!("torn group: {:?}", self.members));
                }
            }
            self.group = Some(n);
        }
        Ok(())
    }
}
