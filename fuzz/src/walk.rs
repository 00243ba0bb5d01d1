//! Calls every accessor of the core's reader and prints the results.
//!
//! The output is hashed, not kept: walks with equal output have equal hashes, and a walk allocates
//! only its buffers.

use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};

use mmstats_core::read::{
    Field, Header, Image, Lane, Reading, Value, Verdict, check_attributes, constant, decode,
    parse_attributes, sniff,
};
use mmstats_core::{DataType, Source, Storage};

/// Number of lanes that are walked: the code treats all alike.
const LANES: u32 = 3;

/// Output of a walk.
#[derive(Debug, Default)]
pub struct Seen {
    hash: DefaultHasher,
    /// The output as text, if requested.
    text: Option<String>,
}

impl Seen {
    /// Hash of the output.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }
}

impl Write for Seen {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hash.write(text.as_bytes());
        if let Some(all) = &mut self.text {
            all.push_str(text);
        }
        Ok(())
    }
}

/// Prints to a sink that cannot fail.
macro_rules! say {
    ($seen:expr, $($what:tt)*) => { writeln!($seen, $($what)*).unwrap() };
}

/// Walks an image.
pub fn image<S: Source>(source: &S) -> Seen {
    let mut seen = Seen::default();
    walk(source, &mut seen);
    seen
}

/// Walks an image and returns the output as text, to examine a find.
pub fn text<S: Source>(source: &S) -> String {
    let mut seen = Seen { text: Some(String::new()), ..Seen::default() };
    walk(source, &mut seen);
    seen.text.unwrap_or_default()
}

fn walk<S: Source>(source: &S, seen: &mut Seen) {
    say!(seen, "{:?}", sniff(source));
    match Header::read(source) {
        Ok(header) => self::header(source, &header, seen),
        Err(refusal) => say!(seen, "{refusal} {} {}", refusal.code(), refusal.offset()),
    }
    let image = match Image::open(source) {
        Ok(image) => image,
        Err(refusal) => return say!(seen, "{refusal:?} {}", refusal.code()),
    };
    let mut fields = Vec::new();
    let mut buffer = vec![0; 4096];
    for field in image.fields() {
        match field {
            Ok(field) => {
                describe(source, &field, &mut buffer, seen);
                // In total at most the size of the image, or of one group.
                buffer.resize(buffer.len().max(room(&field)), 0);
                fields.push(field);
            }
            Err(error) => say!(seen, "{error} {} {}", error.code(), error.offset()),
        }
    }
    values(source, image.header(), &fields, &mut buffer, seen);
}

/// Size of the buffer for reads of the field, in bytes.
#[must_use]
pub fn room(field: &Field) -> usize {
    field.buffer_size().max(field.slot_size() as usize)
}

/// All accessors of a header.
fn header<S: Source>(source: &S, header: &Header, seen: &mut Seen) {
    say!(seen, "{header:?} {:?} {:?}", header.state(source), header.fields_refused(source));
    say!(seen, "{} {:?}", header.lanes_refused(source), header.parts(source));
    let reuses = header.reuses(source);
    say!(seen, "{reuses} {}", header.reused_since(source, reuses));
    say!(seen, "{:?} {:?}", header.field_count(source), header.heap_used(source));
    say!(seen, "{:?} {} {}", header.lanes_used(source), header.minor(), header.part());
    for index in [0, 1, header.descriptor_capacity().saturating_sub(1), u32::MAX] {
        say!(seen, "{:?}", header.descriptor(index));
    }
    let end = u64::from(header.lanes_offset())
        + u64::from(header.lane_stride()) * u64::from(header.lane_capacity());
    assert!(end <= u64::from(header.file_size()) && header.file_size() <= source.size());
}

/// All accessors of a field.
fn describe<S: Source>(source: &S, field: &Field, buffer: &mut [u8], seen: &mut Seen) {
    say!(seen, "{field:?} {} {:?} {:?}", field.index(), field.ty(), field.kind());
    say!(
        seen,
        "{:?} {:?} {:?}",
        field.properties().aggregation(),
        field.storage(),
        field.properties().level()
    );
    say!(
        seen,
        "{} {} {}",
        field.properties().is_array(),
        field.properties().is_optional(),
        field.properties().is_member()
    );
    say!(seen, "{} {} {}", field.count(), field.value_size(), field.buffer_size());
    say!(seen, "{} {} {} {}", field.place(), field.slot_size(), field.slots(), field.member());
    say!(seen, "{}", field.rows());
    say!(seen, "{} {:?} {}", field.properties().param(), field.buckets(), field.states());
    let strings = [field.label(), field.unit(), field.help(), field.attributes(), field.detail()];
    for (string, most) in strings.into_iter().zip([255, 63, 4096, 4096, 4096]) {
        assert!(string.len() <= most && string.is_empty() == (string.len() == 0));
        let text = string.read(source, buffer);
        assert!(text.len() <= string.len());
        say!(seen, "{text}");
        let _ = string.read(source, &mut [0; 5]);
    }
    let text = field.attributes().read(source, buffer);
    say!(seen, "{:?}", check_attributes(text));
    parse_attributes(text).for_each(|(key, value)| say!(seen, "{key} {value}"));
    if let Some(buckets) = field.buckets() {
        say!(seen, "{} {} {}", buckets.scale(), buckets.lowest(), buckets.elements());
        for n in [0, 1, u64::from(field.properties().param()), u64::MAX] {
            assert!(buckets.element_of_int(n) < buckets.elements());
            assert!(buckets.element_of_float(f64::from_bits(n)) < buckets.elements());
        }
    }
}

/// The values of fields, in some lanes.
pub fn values<S: Source>(
    source: &S,
    header: &Header,
    fields: &[Field],
    buffer: &mut [u8],
    seen: &mut Seen,
) {
    for field in fields {
        say!(seen, "{} {}", field.retired(source), field.is_current(source));
        say!(seen, "{:?}", constant(source, field, buffer));
        say!(seen, "{:?}", mmstats_core::read::read_value(source, header, 0, field, buffer));
        say!(seen, "{:?}", mmstats_core::read::read_slot(source, header, 0, field, buffer));
    }
    let used = header.lanes_used(source).unwrap_or(0);
    for index in (0..used.min(LANES)).chain([used, u32::MAX]) {
        let lane = match Lane::open(source, header, index) {
            Verdict::Consistent(lane) => lane,
            other => {
                say!(seen, "{other:?}");
                continue;
            }
        };
        say!(seen, "{lane:?} {} {:?}", lane.owners(source), lane.state());
        say!(seen, "{:?}", lane.samples_refused(source));
        for (at, field) in fields.iter().enumerate() {
            value(source, &lane, field, buffer, seen);
            // The slots of a group belong to all members: only the first one walks them.
            if at == 0 || !field.same_cell(&fields[at - 1]) {
                slots(source, &lane, field, &fields[at..], buffer, seen);
            }
        }
    }
}

/// One value of one lane, by every accessor.
fn value<S: Source>(source: &S, lane: &Lane, field: &Field, buffer: &mut [u8], seen: &mut Seen) {
    say!(seen, "{} {:?}", lane.has(source, field), lane.scalar(source, field));
    let reading = lane.read(source, field, buffer);
    check(field, &reading);
    match &reading {
        Verdict::Consistent(Value::Table(table)) => {
            say!(seen, "{:x} {:?}", table.used(), table.refused());
            for (number, row) in table.rows() {
                let row = row.map(|row| (row.since(), row.number(), row.text(), row.cut()));
                say!(seen, "{number} {row:?}");
            }
        }
        reading => say!(seen, "{reading:?}"),
    }
    say!(seen, "{:?}", lane.read(source, field, &mut [0; 9]));
    if field.storage() != Some(Storage::Table) {
        assert_eq!(lane.read_table(source, field, buffer), Verdict::Unknown);
    }
    if field.storage() != Some(Storage::Journal) {
        assert_eq!(lane.read_journal(source, field, buffer), Verdict::Unknown);
        return;
    }
    if let Verdict::Consistent(journal) = lane.read_journal(source, field, buffer) {
        let sum = journal.elements().iter().fold(0_u64, |sum, element| match element {
            mmstats_core::read::Scalar::U64(n) => sum.wrapping_add(n),
            other => panic!("{other:?}"),
        });
        assert_eq!(sum, journal.word(0), "the total equals the sum of the elements");
        say!(seen, "{} {}", journal.number(), journal.word(1 << 20));
    }
    if let Verdict::Consistent(histogram) = lane.read_histogram(source, field, buffer) {
        let sum = histogram.counts().fold(0_u64, u64::wrapping_add);
        assert_eq!(sum, histogram.count());
        say!(seen, "{} {:?}", histogram.sum_bits(), histogram.min_bits());
        say!(seen, "{:?} {:?}", histogram.max_bits(), histogram.buckets());
    }
}

/// Checks the rules of the format for a value.
fn check(field: &Field, reading: &Reading<'_>) {
    let Verdict::Consistent(value) = reading else { return };
    match value {
        Value::Text { text, .. } => assert!(text.len() <= field.count() as usize),
        Value::Bytes { bytes, .. } => assert!(bytes.len() <= field.count() as usize),
        Value::Array(array) => {
            assert_eq!(array.len(), field.count() as usize);
            assert_eq!(array.iter().count(), array.len());
            assert!(array.get(array.len()).is_none() && array.get(usize::MAX).is_none());
            let good = array.ty() != DataType::Bool || array.bytes().iter().all(|b| *b < 2);
            assert!(good, "a bool other than 0 and 1");
        }
        Value::Window(sum) => {
            assert!(sum.count() >= 1 && sum.count() <= field.properties().param());
            let _ = sum.sum();
        }
        Value::Table(table) => {
            assert!(table.rows().count() <= field.rows() as usize);
            for (number, row) in table.rows() {
                assert!(number < field.rows() && table.used() >> number & 1 == 1);
                if let Verdict::Consistent(row) = row {
                    assert!(row.text().len() <= field.count() as usize);
                }
            }
        }
        Value::U64(n) if field.states() != 0 => assert!(*n < field.states().into()),
        _ => {}
    }
}

/// The slots of a cell.
fn slots<S: Source>(
    source: &S,
    lane: &Lane,
    field: &Field,
    members: &[Field],
    buffer: &mut [u8],
    seen: &mut Seen,
) {
    let newest = lane.newest(source, field);
    let members = members.iter().take_while(|other| field.same_cell(other)).take(20);
    if let Verdict::Consistent(slot) = lane.read_slot(source, field, buffer) {
        say!(seen, "{} {}", slot.number(), slot.offset());
        for member in members {
            say!(seen, "{:?} {:?}", slot.value(member), decode(member, slot.bytes()));
        }
    }
    for back in [0, 1, 2, field.slots().wrapping_sub(2), field.slots(), newest] {
        let number = newest.wrapping_sub(back);
        let slot = lane.read_number(source, field, number, buffer);
        say!(seen, "{back} {:?}", slot.map(|slot| (slot.number(), slot.value(field))));
    }
}
