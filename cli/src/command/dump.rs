//! `mmstats dump`: all bytes of an image with their meaning.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use mmstats_core::layout::{
    ATOMIC_CELL, CELL_HEAD, ELEMENT, Member, STRING_ALIGN, TEXT_HEAD, descriptor, header, lane,
    table,
};
use mmstats_core::read::{Cursor, Field, Image, LaneState, Verdict};
use mmstats_core::{Source, Storage};

use super::args::{exit_codes, image};
use crate::backend::open_region;
use crate::output::Output;
use crate::render::missing::file_help;
use crate::text::escape;

/// Bytes on a line.
const WIDTH: u32 = 16;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A line is OFFSET, bytes, and their meaning, in the order of the file; zeros without a\n",
    "meaning are left out. Of a refused image only the header is printed.\n",
    "\nExamples:\n",
    "  mmstats dump web.mmst | less\n"
))]
pub(crate) struct Dump {
    /// The file.
    #[arg(value_name = "FILE", value_parser = image())]
    pub(crate) file: PathBuf,
}

pub(crate) fn run(args: &Dump, output: &mut Output) -> io::Result<()> {
    let opened = open_region(&args.file);
    let region = match opened {
        Ok(region) => region,
        Err(error) => {
            output.fail(&escape::text(&error));
            file_help(&args.file).into_iter().for_each(|help| output.note(&help));
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
            let text = format!("{path}: {code} at byte {offset}: {refusal}; the rest is not shown");
            output.fail(&escape::text(&text));
            Ok(())
        }
    }
}

struct Dumper<'a, S> {
    source: &'a S,
    output: &'a mut Output,
}

impl<S: Source> Dumper<'_, S> {
    /// Bytes of the image, up to its last whole word of 8 bytes.
    fn bytes(&self, at: u32, size: u32) -> Vec<u8> {
        // A source copies whole words of 8 bytes.
        let start = at & !7;
        let end = at.saturating_add(size).next_multiple_of(8).min(self.source.size() & !7);
        let mut words = vec![0; end.saturating_sub(start) as usize];
        self.source.copy(start, &mut words);
        let from = (at - start) as usize;
        words.get(from..words.len().min(from + size as usize)).unwrap_or(&[]).to_vec()
    }

    /// Bytes with their meaning. Long ones take several lines, without those of zeros.
    fn line(&mut self, at: u32, size: u32, meaning: &str) -> io::Result<()> {
        let mut zeros = 0;
        for start in (0..size.max(1)).step_by(WIDTH as usize) {
            let bytes = self.bytes(at + start, WIDTH.min(size - start));
            if start > 0 && bytes.iter().all(|byte| *byte == 0) {
                zeros += bytes.len();
                continue;
            }
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let meaning = if start == 0 { meaning } else { "..." };
            writeln!(self.output, "{:06x}  {:<23}  {meaning}", at + start, hex.join(" "))?;
        }
        if zeros > 0 {
            writeln!(self.output, "        {:<23}  {zeros} zeros", "")?;
        }
        Ok(())
    }

    /// The members of a structure at `base`.
    fn members(&mut self, base: u32, members: &[Member], prefix: &str) -> io::Result<()> {
        for Member { name, offset, size } in members {
            let bytes = self.bytes(base + offset, *size);
            let mut value = [0; 8];
            let text = match value.get_mut(..bytes.len()).filter(|_| *name != "checksum") {
                Some(low) => {
                    low.copy_from_slice(&bytes);
                    format!("{prefix}{name}: {}", u64::from_le_bytes(value))
                }
                None => format!("{prefix}{name}"),
            };
            self.line(base + offset, *size, &text)?;
        }
        Ok(())
    }

    /// The header, up to the end of the file.
    fn header(&mut self) -> io::Result<()> {
        let size = self.source.size();
        let [magic, members @ ..] = &header::MEMBERS;
        self.line(magic.offset, magic.size.min(size), magic.name)?;
        let inside = members.iter().copied().filter(|member| member.offset + member.size <= size);
        self.members(0, &inside.collect::<Vec<_>>(), "")
    }

    fn image(&mut self, image: &Image<&S>) -> io::Result<()> {
        let header = image.header();
        let mut heap: BTreeMap<u32, (u32, String)> = BTreeMap::new();
        let mut fields = Vec::new();
        let mut cursor = Cursor::new();
        while let Some((index, field)) = image.next_field(&mut cursor) {
            let Some(at) = header.descriptor(index) else { break };
            match field {
                Ok(field) => {
                    self.members(at, &descriptor::MEMBERS, &format!("field {index} "))?;
                    self.strings(&field, &mut heap);
                    fields.push(field);
                }
                Err(error) => {
                    let prefix = format!("field {index} (damaged: {}) ", error.code());
                    self.members(at, &descriptor::MEMBERS, &prefix)?;
                }
            }
        }
        for (at, (size, meaning)) in heap {
            self.line(at, size, &meaning)?;
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
            self.line(base + lane::STATE, 4, &format!("lane {lane} state: {state}"))?;
            self.line(base + lane::OWNERS, 4, &format!("lane {lane} owners"))?;
            self.line(base + lane::SAMPLES_REFUSED, 8, &format!("lane {lane} samples_refused"))?;
            let presence = raw.cells_offset.saturating_sub(lane::PRESENCE);
            let used = header.field_count(self.source).unwrap_or(0).div_ceil(32) * 4;
            self.line(
                base + lane::PRESENCE,
                used.min(presence),
                &format!("lane {lane} presence bits"),
            )?;
            for field in &fields {
                self.cell(base, field, &format!("lane {lane} field {}", field.index()))?;
            }
        }
        Ok(())
    }

    /// Adds the strings and the constant of a field to `heap`: by offset, the size and meaning.
    fn strings(&self, field: &Field, heap: &mut BTreeMap<u32, (u32, String)>) {
        let (raw, index) = (field.raw(), field.index());
        for (name, at, string) in [
            ("label", raw.label, field.label()),
            ("unit", raw.unit, field.unit()),
            ("help", raw.help, field.help()),
            ("attributes", raw.attributes, field.attributes()),
            ("detail", raw.detail, field.detail()),
        ] {
            let Ok(length @ 1..) = u32::try_from(string.len()) else { continue };
            let text = String::from_utf8_lossy(&self.bytes(string.offset(), length)).into_owned();
            let shown = escape::text(&text).into_owned();
            let meaning = format!("{name} of field {index}: \"{}\"", escape::clip(&shown, 60));
            let end = (string.offset() + length).next_multiple_of(STRING_ALIGN);
            heap.entry(at).or_insert_with(|| (end - at, meaning));
        }
        if field.storage() == Some(Storage::Constant) {
            let size = if field.ty().is_some_and(|ty| !ty.is_scalar()) {
                TEXT_HEAD + self.source.load32(field.place()).min(field.count())
            } else {
                field.value_size()
            };
            let meaning = format!("value of field {index}");
            heap.insert(field.place(), (size.next_multiple_of(ATOMIC_CELL), meaning));
        }
    }

    /// The cell of a field in a lane; the cell of a group belongs to its first member.
    fn cell(&mut self, base: u32, field: &Field, name: &str) -> io::Result<()> {
        let at = base.saturating_add(field.place());
        match field.storage() {
            Some(Storage::Atomic) => self.line(at, ATOMIC_CELL, name),
            Some(storage @ (Storage::Latched | Storage::Journal))
                if field.member() == 0 || !field.properties().is_member() =>
            {
                self.line(at, 4, &format!("{name} seq: {}", self.source.load32(at)))?;
                for slot in 0..field.slots() {
                    let start = at + CELL_HEAD + slot * field.slot_size();
                    self.line(start, field.slot_size(), &format!("{name} slot {slot}"))?;
                }
                if storage == Storage::Journal {
                    let start = at + CELL_HEAD + field.slots() * field.slot_size();
                    self.line(start, ELEMENT * field.count(), &format!("{name} elements"))?;
                }
                Ok(())
            }
            Some(Storage::Table) => self.table(at, field, name),
            _ => Ok(()),
        }
    }

    /// The head and the rows of a table.
    fn table(&mut self, at: u32, field: &Field, name: &str) -> io::Result<()> {
        let words = [
            (table::USED, "used rows"),
            (table::CLAIMED, "claimed rows"),
            (table::REFUSED, "refused"),
            (table::BEGUN, "begun"),
        ];
        for (offset, what) in words {
            self.line(at + offset, 8, &format!("{name} {what}"))?;
        }
        let used = [0, 4].map(|word| self.source.load32(at + table::USED + word));
        for row in 0..field.rows() {
            let is_used =
                used.get(row as usize / 32).is_some_and(|word| word >> (row % 32) & 1 != 0);
            let state = if is_used { "in use" } else { "not in use" };
            let cell = at + table::ROWS + row * table::row_size(field.slots(), field.slot_size());
            let seq = self.source.load32(cell);
            self.line(cell, 4, &format!("{name} row {row}, {state}, seq: {seq}"))?;
            for slot in 0..field.slots() {
                let start = cell + CELL_HEAD + slot * field.slot_size();
                self.line(start, field.slot_size(), &format!("{name} row {row} slot {slot}"))?;
            }
        }
        Ok(())
    }
}
