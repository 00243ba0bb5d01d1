//! A writer that makes the stores of PROTOCOL.md one by one, and pauses between any two of them.
//!
//! Each store is a write of one word into the file, in the order of the protocol. The values say their own
//! number, so that a look shows which value it found and whether all of it belongs together.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::time::Instant;

use serde_json::Value;

/// The image whose cells are written: a fresh one of each storage.
pub(crate) const IMAGE: &[u8] = include_bytes!("../../../fixtures/valid/untouched.mmst");

/// Number of moments of a cell that are kept; an answer that is older is not judged.
const KEPT: usize = 1 << 14;

/// Value of the marked element of the journal.
const MARK: u64 = 1000;

/// Number of states of the journal that are kept.
const KEPT_STATES: usize = 1 << 12;

/// A store of one word, and what it makes true.
#[derive(Debug, Clone, Copy)]
struct Store {
    at: u64,
    word: u64,
    /// 4 or 8.
    size: usize,
    event: Event,
}

/// What becomes visible by a store.
#[derive(Debug, Clone, Copy)]
enum Event {
    None,
    /// Value number n of cell `cell`.
    Value(usize),
    /// The bit of cell `cell`.
    Bit(usize, bool),
}

/// Just before and just after a store.
#[derive(Debug, Clone, Copy)]
struct Moment {
    before: Instant,
    after: Instant,
}

/// The values of a cell over time. Value number n is followed by n + 1.
#[derive(Debug, Default)]
struct Track {
    /// Number of the first moment.
    first: u64,
    values: VecDeque<Moment>,
    bits: VecDeque<(bool, Moment)>,
}

/// Layout of a field, from its descriptor.
#[derive(Debug, Clone, Copy)]
struct Place {
    cell: u64,
    slot_size: u64,
    slots: u64,
    count: u64,
}

/// The fields of the image by number; 0 and 1 are latched cells of two and of four slots.
const COMES: usize = 2;
const MOVES: usize = 3;
const ROWS: usize = 4;
const WORD: usize = 5;
/// Cells: the fields, and the second row of the table.
const CELLS: usize = 7;
/// Fields whose stores are chosen: one for each that the image has.
pub(crate) const FIELDS: usize = 6;
const LABELS: [&str; FIELDS] = ["two", "four", "comes", "moves", "rows", "word"];

/// The answer of a reader for a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Contended,
    Absent,
    Value(u64),
}

/// What a look found, compared with what the writer did.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Cells that the reader could not read.
    pub(crate) contended: u64,
    /// Cells whose value was replaced before the look had ended.
    pub(crate) moved: u64,
    /// Whether each cell has the newest value.
    pub(crate) newest: bool,
}

/// The writer's side: file, stores to come, and what each cell held when.
#[derive(Debug)]
pub(crate) struct Steps {
    file: File,
    places: [Place; FIELDS],
    pending: [VecDeque<Store>; FIELDS],
    /// Number of the last value whose stores were chosen, for each field.
    numbers: [u64; FIELDS],
    used: u64,
    tracks: [Track; CELLS],
    journal: Journal,
    random: u64,
    /// No look before this moment is possible any more.
    seen: Instant,
}

/// Elements of the journal after each change. Pairs of changes leave the total as it was, so that elements of one
/// moment with the total of another can be told only by their numbers.
#[derive(Debug, Default)]
struct Journal {
    elements: Vec<u64>,
    total: u64,
    /// Number of the first state that is kept.
    first: u64,
    states: VecDeque<Vec<u64>>,
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or([0; 4]);
    u64::from(u32::from_le_bytes(word))
}

impl Steps {
    pub(crate) fn new(file: File) -> Self {
        let lane = number(IMAGE, 76);
        let places = std::array::from_fn(|index| {
            let d = 192 + 64 * index;
            let bits = number(IMAGE, d + 36) & 0xFF;
            Place {
                cell: lane + number(IMAGE, d + 24),
                slot_size: number(IMAGE, d + 28),
                slots: 1 << bits,
                count: number(IMAGE, d + 20),
            }
        });
        let now = Instant::now();
        let mut tracks: [Track; CELLS] = std::array::from_fn(|_| Track::default());
        for track in &mut tracks {
            track.values.push_back(Moment { before: now, after: now });
            track.bits.push_back((false, Moment { before: now, after: now }));
        }
        let count = usize::try_from(places[MOVES].count).unwrap_or(0);
        let journal = Journal {
            elements: vec![0; count],
            total: 0,
            first: 0,
            states: VecDeque::from([vec![0; count]]),
        };
        Self {
            file,
            places,
            pending: std::array::from_fn(|_| VecDeque::new()),
            numbers: [0; FIELDS],
            used: 0,
            tracks,
            journal,
            random: 0x9E37_79B9_7F4A_7C15,
            seen: now,
        }
    }

    /// A number below `limit`.
    pub(crate) fn random(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) % limit.max(1)
    }

    /// For each field a few whole publishes, and a part of the next one.
    pub(crate) fn burst(&mut self) -> io::Result<()> {
        let first = self.random(FIELDS as u64);
        for k in 0..FIELDS as u64 {
            let field = usize::try_from((first + k) % FIELDS as u64).unwrap_or(0);
            let slots = self.places[field].slots;
            // Around the bounds: a reader may accept up to slots - 2.
            let whole = match self.random(9) {
                0 => 0,
                1 | 2 => 1,
                3 | 4 => 2,
                5 | 6 => slots - 1,
                _ => slots,
            };
            // A row begins anew after eight steps.
            let whole = if field == ROWS && self.random(2) == 0 { 4 * whole } else { whole };
            for _ in 0..whole {
                self.finish(field)?;
            }
            // An even number of changes leaves the total as it was.
            if field == MOVES && whole == 2 && !self.numbers[MOVES].is_multiple_of(2) {
                self.finish(field)?;
            }
            for _ in 0..self.random(6) {
                self.store(field)?;
            }
        }
        Ok(())
    }

    /// Stores up to the end of a publish.
    fn finish(&mut self, field: usize) -> io::Result<()> {
        loop {
            let ends = self.store(field)?;
            if ends {
                return Ok(());
            }
        }
    }

    /// Makes the next store of a field. Returns whether it publishes a value.
    pub(crate) fn store(&mut self, field: usize) -> io::Result<bool> {
        if self.pending[field].is_empty() {
            self.choose(field);
        }
        let Some(store) = self.pending[field].pop_front() else { return Ok(true) };
        let before = Instant::now();
        let bytes = store.word.to_le_bytes();
        write_at(&self.file, &bytes[..store.size], store.at)?;
        let moment = Moment { before, after: Instant::now() };
        match store.event {
            Event::None => return Ok(false),
            Event::Value(cell) => {
                let track = &mut self.tracks[cell];
                track.values.push_back(moment);
                if track.values.len() > KEPT {
                    track.values.pop_front();
                    track.first += 1;
                }
            }
            Event::Bit(cell, on) => {
                let bits = &mut self.tracks[cell].bits;
                bits.push_back((on, moment));
                if bits.len() > KEPT {
                    bits.pop_front();
                }
            }
        }
        Ok(true)
    }

    /// The stores of the next publish of a field.
    fn choose(&mut self, field: usize) {
        self.numbers[field] += 1;
        let n = self.numbers[field];
        let place = self.places[field];
        let mut stores = VecDeque::new();
        let plain = |at, word| Store { at, word, size: 8, event: Event::None };
        let seq = |at, word, cell| Store { at, word, size: 4, event: Event::Value(cell) };
        match field {
            WORD => stores.push_back(Store {
                at: place.cell,
                word: n << 32 | (!n & 0xFFFF_FFFF),
                size: 8,
                event: Event::Value(WORD),
            }),
            ROWS => self.choose_row(n, &mut stores),
            MOVES => {
                let slot = place.cell + 8 + n % place.slots * place.slot_size;
                // A mark goes from element to element: set in the next one, then taken from the one before. (The
                // second change finds no mark to take.)
                let mark = (n - 1) / 2;
                let (index, step) = match (n.is_multiple_of(2), mark) {
                    (false, mark) => (mark % place.count, MARK),
                    (true, 0) => (place.count - 1, 0),
                    (true, mark) => ((mark - 1) % place.count, MARK.wrapping_neg()),
                };
                self.journal.total = self.journal.total.wrapping_add(step);
                let element = &mut self.journal.elements[usize::try_from(index).unwrap_or(0)];
                *element = element.wrapping_add(step);
                let (value, low) = (*element, *element << 16);
                self.journal.states.push_back(self.journal.elements.clone());
                if self.journal.states.len() > KEPT_STATES {
                    self.journal.states.pop_front();
                    self.journal.first += 1;
                }
                stores.push_back(plain(slot, self.journal.total));
                stores.push_back(plain(slot + 8, index | low));
                stores.push_back(plain(slot + 16, n));
                let elements = place.cell + 8 + place.slots * place.slot_size;
                stores.push_back(plain(elements + 8 * index, value));
                stores.push_back(seq(place.cell, n, MOVES));
            }
            _ => {
                let slot = place.cell + 8 + n % place.slots * place.slot_size;
                // COMES: there for 15 values, then for one not.
                if field == COMES && n.is_multiple_of(16) {
                    stores.push_back(self.presence(false));
                }
                stores.extend((0..place.count).map(|k| plain(slot + 8 * k, n * (k + 1))));
                stores.push_back(seq(place.cell, n, field));
                if field == COMES && n % 16 == 1 {
                    stores.push_back(self.presence(true));
                }
            }
        }
        self.pending[field] = stores;
    }

    fn presence(&self, on: bool) -> Store {
        let at = number(IMAGE, 76) + 64;
        Store { at, word: u64::from(on) << COMES, size: 4, event: Event::Bit(COMES, on) }
    }

    /// A begin, another text, or an end, in a row of the table.
    fn choose_row(&mut self, n: u64, stores: &mut VecDeque<Store>) {
        let place = self.places[ROWS];
        // Three steps of a row, then those of the other one.
        let (row, step) = ((n - 1) / 3 % 2, (n - 1) % 3);
        let cell = ROWS + 2 * usize::try_from(row).unwrap_or(0);
        let used = Store { at: place.cell, word: 0, size: 4, event: Event::None };
        if step == 2 {
            self.used &= !(1 << row);
            stores.push_back(Store { word: self.used, event: Event::Bit(cell, false), ..used });
            return;
        }
        // Of each row the values 1, 2, ...
        let value = (n - 1) / 6 * 2 + step + 1;
        let begin = value.div_ceil(2);
        let row_at = place.cell + 32 + row * (8 + place.slots * place.slot_size);
        let slot = row_at + 8 + value % place.slots * place.slot_size;
        let plain = |at, word| Store { at, word, size: 8, event: Event::None };
        if step == 0 {
            stores.push_back(plain(place.cell + 24, n));
        }
        stores.extend([plain(slot, begin), plain(slot + 8, begin), plain(slot + 16, 16)]);
        let text = format!("{value:07}-{value:07}-");
        for (k, chunk) in text.as_bytes().chunks_exact(8).enumerate() {
            let word = chunk.try_into().map_or(0, u64::from_le_bytes);
            stores.push_back(plain(slot + 24 + 8 * k as u64, word));
        }
        stores.push_back(Store { at: row_at, word: value, size: 4, event: Event::Value(cell) });
        if step == 0 {
            self.used |= 1 << row;
            stores.push_back(Store { word: self.used, event: Event::Bit(cell, true), ..used });
        }
    }

    /// Compares a document that was received at `end` with what was in the cells since the look began.
    pub(crate) fn judge(&mut self, document: &Value, end: Instant) -> Result<Found, String> {
        let fields = document["fields"].as_array().map_or(&[][..], Vec::as_slice);
        let mut found = Found { newest: true, ..Found::default() };
        let mut seen = self.seen;
        for (index, label) in LABELS.iter().enumerate() {
            let field =
                fields.get(index).filter(|f| f["label"] == *label).ok_or("a field is missing")?;
            let value = &field["lanes"][0];
            let mixed = |why: &str| format!("{label} is {why}: {value}");
            if index == ROWS {
                for (row, cell) in [("0", ROWS), ("1", ROWS + 2)] {
                    let answer = self.row(value, row).ok_or_else(|| mixed("mixed"))?;
                    self.place(cell, answer, end, &mut found, &mut seen)
                        .map_err(|why| mixed(&why))?;
                }
                continue;
            }
            let answer = match value["verdict"].as_str() {
                Some("contended") => Answer::Contended,
                Some("absent") if index == COMES => Answer::Absent,
                Some(other) => return Err(mixed(other)),
                None => Answer::Value(self.whole(index, value).ok_or_else(|| mixed("mixed"))?),
            };
            self.place(index, answer, end, &mut found, &mut seen).map_err(|why| mixed(&why))?;
        }
        self.seen = seen;
        Ok(found)
    }

    /// Whether the answer was right at a moment between the begin of the look and its end.
    fn place(
        &self,
        cell: usize,
        answer: Answer,
        end: Instant,
        found: &mut Found,
        seen: &mut Instant,
    ) -> Result<(), String> {
        let track = &self.tracks[cell];
        let begin = self.seen;
        let has_bit = matches!(cell, COMES | ROWS) || cell == ROWS + 2;
        // Each state of the bit with the time until which it may be seen.
        let mut bits = track.bits.iter().zip(track.bits.iter().skip(1).map(Some).chain([None]));
        let during = |(bit, next): (&(bool, Moment), Option<&(bool, Moment)>), on: bool| {
            let ends = next.is_none_or(|(_, moment)| moment.after >= begin);
            (bit.0 == on && bit.1.before <= end && ends).then_some(bit.1.before.max(begin))
        };
        let on_now = track.bits.back().is_some_and(|(on, _)| *on);
        match answer {
            Answer::Contended => {
                found.contended += 1;
                found.newest = false;
            }
            Answer::Absent => {
                if track.bits.len() < KEPT && !bits.any(|pair| during(pair, false).is_some()) {
                    return Err("absent, but it was there during the whole look".to_owned());
                }
                found.newest &= !on_now;
            }
            Answer::Value(n) => {
                let index = usize::try_from(n.wrapping_sub(track.first)).unwrap_or(usize::MAX);
                let newest = track.values.len() - 1;
                if n < track.first {
                    return Ok(());
                }
                let Some(moment) = track.values.get(index).filter(|moment| moment.before <= end)
                else {
                    return Err("not published yet".to_owned());
                };
                let replaced = track.values.get(index + 1).map(|next| next.after);
                let earliest = if has_bit {
                    let on = bits.find_map(|pair| during(pair, true));
                    match on {
                        Some(on) => on,
                        None if track.bits.len() >= KEPT => begin,
                        None => {
                            return Err("shown, but it was absent during the whole look".to_owned());
                        }
                    }
                } else {
                    begin
                };
                if replaced.is_some_and(|after| after < earliest) {
                    return Err(format!("value {n}, which was replaced before the look"));
                }
                found.moved += u64::from(replaced.is_some());
                found.newest &= index == newest && (!has_bit || on_now);
                *seen = (*seen).max(moment.before);
            }
        }
        Ok(())
    }

    /// The number of a value, if all of it belongs together.
    fn whole(&self, field: usize, value: &Value) -> Option<u64> {
        let parse = |value: &Value| value.as_str()?.parse::<u64>().ok();
        if field == WORD {
            let word = parse(&value["u64"])?;
            let n = word >> 32;
            return (word == 0 || word & 0xFFFF_FFFF == !n & 0xFFFF_FFFF).then_some(n);
        }
        let elements: Vec<u64> =
            value["u64"].as_array()?.iter().map(parse).collect::<Option<_>>()?;
        if field == MOVES {
            let n = parse(&value["words"][0])?;
            let sum = elements.iter().fold(0, |sum: u64, e| sum.wrapping_add(*e));
            let right = match n.checked_sub(self.journal.first) {
                Some(index) => *self.journal.states.get(usize::try_from(index).ok()?)? == elements,
                // Older than what is kept.
                None => true,
            };
            return (right && parse(&value["total"])? == sum).then_some(n);
        }
        let n = *elements.first()?;
        (1..).zip(&elements).all(|(k, element)| *element == n * k).then_some(n)
    }

    /// The answer for a row of the table.
    fn row(&self, value: &Value, row: &str) -> Option<Answer> {
        let rows = value["rows"].as_array()?;
        let Some(found) = rows.iter().find(|found| found["row"] == row) else {
            return Some(Answer::Absent);
        };
        match found["verdict"].as_str() {
            Some("contended") => return Some(Answer::Contended),
            Some(_) => return None,
            None => {}
        }
        let (first, second) = found["text"].as_str()?.trim_end_matches('-').split_once('-')?;
        let value: u64 = first.parse().ok()?;
        let begin = value.div_ceil(2).to_string();
        (first == second && found["since"] == begin && found["number"] == begin)
            .then_some(Answer::Value(value))
    }
}

/// Writes at a place of the file; one word, so all of it or an error.
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    #[cfg(unix)] // positioned writes have another name there
    let written = std::os::unix::fs::FileExt::write_at(file, bytes, at)?;
    #[cfg(windows)] // as above
    let written = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
    if written == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
