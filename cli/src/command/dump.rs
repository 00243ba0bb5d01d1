//! `mmstats dump`: every byte of an image with its meaning.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use mmstats_core::layout::{CELL_HEAD, descriptor as d, header as h, lane as l};
use mmstats_core::read::{Cursor, Field, Image, LaneState, Verdict};
use mmstats_core::{Region, Source, Storage};

use super::args::exit_codes;
use crate::backend;
use crate::output::Output;
use crate::text::escape;

/// Bytes on a line.
const WIDTH: u32 = 16;

/// Name, offset, size.
type Number = (&'static str, u32, u32);

const HEADER: [Number; 24] = [
    ("major", h::MAJOR, 2),
    ("minor", h::MINOR, 2),
    ("min_minor", h::MIN_MINOR, 2),
    ("header_size", h::HEADER_SIZE, 2),
    ("required_features", h::REQUIRED_FEATURES, 8),
    ("optional_features", h::OPTIONAL_FEATURES, 8),
    ("instance", h::INSTANCE, 16),
    ("part", h::PART, 4),
    ("file_size", h::FILE_SIZE, 4),
    ("descriptor_offset", h::DESCRIPTOR_OFFSET, 4),
    ("descriptor_capacity", h::DESCRIPTOR_CAPACITY, 4),
    ("descriptor_size", h::DESCRIPTOR_SIZE, 2),
    ("heap_offset", h::HEAP_OFFSET, 4),
    ("heap_size", h::HEAP_SIZE, 4),
    ("lanes_offset", h::LANES_OFFSET, 4),
    ("lane_stride", h::LANE_STRIDE, 4),
    ("lane_capacity", h::LANE_CAPACITY, 4),
    ("cells_offset", h::CELLS_OFFSET, 4),
    ("checksum", h::CHECKSUM, 8),
    ("state", h::STATE, 4),
    ("field_count", h::FIELD_COUNT, 4),
    ("heap_used", h::HEAP_USED, 4),
    ("lanes_used", h::LANES_USED, 4),
    ("fields_refused", h::FIELDS_REFUSED, 4),
];

const DESCRIPTOR: [Number; 19] = [
    ("label", d::LABEL, 4),
    ("unit", d::UNIT, 4),
    ("help", d::HELP, 4),
    ("attributes", d::ATTRIBUTES, 4),
    ("type", d::TYPE, 1),
    ("kind", d::KIND, 1),
    ("aggregation", d::AGGREGATION, 1),
    ("storage", d::STORAGE, 1),
    ("count", d::COUNT, 4),
    ("place", d::PLACE, 4),
    ("slot_size", d::SLOT_SIZE, 4),
    ("member", d::MEMBER, 4),
    ("slot_bits", d::SLOT_BITS, 1),
    ("level", d::LEVEL, 1),
    ("flags", d::FLAGS, 2),
    ("param", d::PARAM, 4),
    ("detail", d::DETAIL, 4),
    ("state", d::STATE, 4),
    ("checksum", d::CHECKSUM, 8),
];

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A line is OFFSET, bytes, and what they are, in the order of the file; zeros that mean\n",
    "nothing are left out. Of an image that is refused the header is shown.\n",
    "\nExamples:\n",
    "  mmstats dump web.mmst | less\n"
))]
pub(crate) struct Dump {
    /// A file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

pub(crate) fn run(args: &Dump, output: &mut Output) -> io::Result<()> {
    let opened = match backend::open(&args.file) {
        Ok(opened) => opened,
        Err(error) => {
            output.fail(&escape::text(&error.to_string()));
            return Ok(());
        }
    };
    let region = match Region::new(Arc::clone(opened.mapping())) {
        Ok(region) => region,
        Err(error) => {
            output.fail(&format!("{}: {error}", escape::path(&args.file)));
            return Ok(());
        }
    };
    let mut dump = Dumper { source: &region, output };
    dump.header()?;
    match Image::open(&region) {
        Ok(image) => dump.image(&image),
        Err(refusal) => {
            let (code, offset) = (refusal.code(), refusal.offset());
            let path = escape::path(&args.file);
            let what = format!("{path}: {code} at byte {offset}: {refusal}; the rest is not shown");
            output.fail(&escape::text(&what));
            Ok(())
        }
    }
}

struct Dumper<'a, S> {
    source: &'a S,
    output: &'a mut Output,
}

impl<S: Source> Dumper<'_, S> {
    fn bytes(&self, at: u32, size: u32) -> Vec<u8> {
        // Whole words of 8 bytes, as far as there are any.
        let start = at & !7;
        let end = at.saturating_add(size).next_multiple_of(8).min(self.source.size() & !7);
        let mut words = vec![0; end.saturating_sub(start) as usize];
        self.source.copy(start, &mut words);
        let from = (at - start) as usize;
        words.get(from..words.len().min(from + size as usize)).unwrap_or(&[]).to_vec()
    }

    /// Some bytes; what is longer than a line goes on below, and lines of zeros are left out.
    fn line(&mut self, at: u32, size: u32, what: &str) -> io::Result<()> {
        let mut zeros = 0;
        for start in (0..size.max(1)).step_by(WIDTH as usize) {
            let bytes = self.bytes(at + start, WIDTH.min(size - start));
            if start > 0 && bytes.iter().all(|byte| *byte == 0) {
                zeros += bytes.len();
                continue;
            }
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let what = if start == 0 { what } else { "..." };
            writeln!(self.output, "{:06x}  {:<23}  {what}", at + start, hex.join(" "))?;
        }
        if zeros > 0 {
            writeln!(self.output, "        {:<23}  {zeros} zeros", "")?;
        }
        Ok(())
    }

    fn numbers(&mut self, base: u32, numbers: &[Number], who: &str) -> io::Result<()> {
        for (name, offset, size) in numbers {
            let bytes = self.bytes(base + offset, *size);
            let mut value = [0; 8];
            let what = match value.get_mut(..bytes.len()).filter(|_| *name != "checksum") {
                Some(low) => {
                    low.copy_from_slice(&bytes);
                    format!("{who}{name}: {}", u64::from_le_bytes(value))
                }
                None => format!("{who}{name}"),
            };
            self.line(base + offset, *size, &what)?;
        }
        Ok(())
    }

    fn header(&mut self) -> io::Result<()> {
        self.line(h::MAGIC, 8.min(self.source.size()), "magic")?;
        let there = self.source.size();
        let there: Vec<Number> =
            HEADER.iter().copied().filter(|(_, at, size)| at + size <= there).collect();
        self.numbers(0, &there, "")
    }

    fn image(&mut self, image: &Image<&S>) -> io::Result<()> {
        let header = image.header();
        let mut heap: BTreeMap<u32, (u32, String)> = BTreeMap::new();
        let mut good = Vec::new();
        let mut cursor = Cursor::new();
        while let Some((index, field)) = image.next_field(&mut cursor) {
            let Some(at) = header.descriptor(index) else { break };
            match field {
                Ok(field) => {
                    self.numbers(at, &DESCRIPTOR, &format!("field {index} "))?;
                    self.strings(&field, &mut heap);
                    good.push(field);
                }
                Err(error) => {
                    let who = format!("field {index} (damaged: {}) ", error.code());
                    self.numbers(at, &DESCRIPTOR, &who)?;
                }
            }
        }
        for (at, (size, what)) in heap {
            self.line(at, size, &what)?;
        }
        for lane in 0..header.lanes_used(self.source).unwrap_or(0) {
            let state = match image.lane(lane) {
                Verdict::Consistent(lane) if lane.state() == LaneState::Owned => "owned",
                Verdict::Consistent(_) => "returned",
                Verdict::Absent => "never claimed",
                _ => "damaged",
            };
            let raw = header.raw();
            let base = raw.lanes_offset.saturating_add(lane.saturating_mul(raw.lane_stride));
            self.line(base + l::STATE, 4, &format!("lane {lane} state: {state}"))?;
            self.line(base + l::OWNERS, 4, &format!("lane {lane} owners"))?;
            let presence = raw.cells_offset.saturating_sub(l::PRESENCE);
            let used = header.field_count(self.source).unwrap_or(0).div_ceil(32) * 4;
            self.line(
                base + l::PRESENCE,
                used.min(presence),
                &format!("lane {lane} presence bits"),
            )?;
            for field in &good {
                self.cell(base, field, &format!("lane {lane} field {}", field.index()))?;
            }
        }
        Ok(())
    }

    /// Notes the places in the heap that a field refers to.
    fn strings(&self, field: &Field, heap: &mut BTreeMap<u32, (u32, String)>) {
        let raw = field.raw();
        let index = field.index();
        for (name, at) in [
            ("label", raw.label),
            ("unit", raw.unit),
            ("help", raw.help),
            ("attributes", raw.attributes),
            ("detail", raw.detail),
        ] {
            if at == 0 {
                continue;
            }
            let length = self.source.load32(at) & 0xffff;
            let text = String::from_utf8_lossy(&self.bytes(at + 2, length)).into_owned();
            let shown = escape::text(&text).into_owned();
            let what = format!("{name} of field {index}: \"{}\"", escape::clip(&shown, 60));
            heap.entry(at).or_insert_with(|| ((2 + length).next_multiple_of(4), what));
        }
        if field.storage() == Some(Storage::Constant) {
            let size = if field.ty().is_some_and(|ty| !ty.is_scalar()) {
                8 + self.source.load32(field.place()).min(field.count())
            } else {
                field.value_size()
            };
            let what = format!("value of field {index}");
            heap.insert(field.place(), (size.next_multiple_of(8), what));
        }
    }

    /// A field's cell in a lane; that of a group is its first member's.
    fn cell(&mut self, base: u32, field: &Field, who: &str) -> io::Result<()> {
        let at = base.saturating_add(field.place());
        match field.storage() {
            Some(Storage::Atomic) => self.line(at, 8, who),
            Some(storage @ (Storage::Latched | Storage::Journal))
                if field.member() == 0 || !field.is_member() =>
            {
                self.line(at, 4, &format!("{who} seq: {}", self.source.load32(at)))?;
                for slot in 0..field.slots() {
                    let start = at + CELL_HEAD + slot * field.slot_size();
                    self.line(start, field.slot_size(), &format!("{who} slot {slot}"))?;
                }
                if storage == Storage::Journal {
                    let start = at + CELL_HEAD + field.slots() * field.slot_size();
                    self.line(start, 8 * field.count(), &format!("{who} elements"))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
