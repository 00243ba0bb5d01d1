//! `mmstats check`: every rule of FORMAT.md that a file breaks.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use mmstats_core::read::{Cursor, Field, FieldError, Image, Verdict, constant};
use mmstats_core::{Region, Source, Storage};

use crate::args::Check;
use crate::escape;
use crate::output::{Line, Output, style};

/// The most lines for one file: a hostile one must not fill the screen.
const MOST: usize = 1_000;

/// One broken rule.
struct Broken {
    code: &'static str,
    offset: u64,
    what: String,
}

pub(crate) fn run(args: &Check, output: &mut Output) -> io::Result<()> {
    for path in &args.files {
        let report = match check(path) {
            Ok(report) => report,
            Err(error) => {
                output.fail(&escape::text(&error));
                continue;
            }
        };
        let name = escape::path(path);
        for Broken { code, offset, what } in report.broken.iter().take(MOST) {
            let mut line = Line::new();
            line.plain(format!("{name}: "));
            line.push(style::BAD, (*code).to_owned());
            line.plain(format!(" at byte {offset}: {}", escape::text(what)));
            line.push(style::DIM, format!(" (FORMAT.md#{code})"));
            writeln!(output, "{}", line.render(usize::MAX))?;
        }
        let count = report.broken.len();
        let mut line = Line::new();
        line.plain(format!("{name}: {}, ", report.summary));
        match count {
            0 => line.plain("no rule broken"),
            1 => line.push(style::BAD, "1 rule broken"),
            n => line.push(style::BAD, format!("{n} rules broken")),
        }
        if count > MOST {
            line.plain(format!("; the first {MOST} are shown"));
        }
        writeln!(output, "{}", line.render(usize::MAX))?;
        if count > 0 {
            output.failed();
        }
    }
    Ok(())
}

struct Report {
    summary: String,
    broken: Vec<Broken>,
}

fn check(path: &Path) -> Result<Report, String> {
    let bytes = match crate::backend::open(path) {
        Ok(opened) => {
            let region = Region::new(Arc::clone(opened.mapping()));
            let region = region.map_err(|e| format!("{}: {e}", path.display()))?;
            return Ok(report(&region));
        }
        // What is empty or short has a rule in the document.
        Err(error) => short(path).ok_or_else(|| error.to_string())?,
    };
    Ok(report(&bytes[..]))
}

/// The bytes of a regular file that is too short to be mapped.
fn short(path: &Path) -> Option<Vec<u8>> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    (metadata.is_file() && metadata.len() < 192).then(|| std::fs::read(path).ok())?
}

fn report<S: Source + ?Sized>(source: &S) -> Report {
    let image = match Image::open(source) {
        Ok(image) => image,
        Err(refusal) => {
            let (code, offset) = (refusal.code(), refusal.offset().into());
            let broken = vec![Broken { code, offset, what: refusal.to_string() }];
            return Report { summary: "refused".to_owned(), broken };
        }
    };
    let header = image.header();
    let mut broken = Vec::new();
    reserved(source, header.descriptor_offset(), &mut broken);
    let lanes = header.lanes_used(source).unwrap_or(0);
    for lane in 0..lanes {
        if let Verdict::Damaged(error) = header.lane(source, lane) {
            push(&mut broken, error.code(), error.offset(), format!("lane {lane}: {error}"));
        }
    }
    let (mut fields, mut names) = (0_u32, HashMap::new());
    let mut buffer = Vec::new();
    let mut cursor = Cursor::new();
    while let Some((index, field)) = image.next_field(&mut cursor) {
        fields += 1;
        match field {
            Ok(field) => {
                one(&image, &field, lanes, &mut names, &mut buffer, &mut broken);
            }
            Err(error) => damaged(index, &error, &mut broken),
        }
    }
    let count = |n: u32, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let summary = format!("{}, {}", count(fields, "field"), count(lanes, "lane"));
    Report { summary, broken }
}

fn push(broken: &mut Vec<Broken>, code: &'static str, offset: u32, what: impl Display) {
    broken.push(Broken { code, offset: offset.into(), what: what.to_string() });
}

fn damaged(index: u32, error: &FieldError, broken: &mut Vec<Broken>) {
    push(broken, error.code(), error.offset(), format!("field {index}: {error}"));
}

/// Reserved bytes of the header MUST be written as zero (section 1). `limit` ends the header.
fn reserved<S: Source + ?Sized>(source: &S, limit: u32, broken: &mut Vec<Broken>) {
    for (from, to) in [(66_u32, 68_u32), (92, 120), (148, 192)] {
        // Whole words of 8 bytes, of which some are something else.
        let start = from & !7;
        let mut words = [0; 64];
        let size = (to.next_multiple_of(8) - start) as usize;
        let Some(words) = words.get_mut(..size).filter(|_| to <= limit) else { continue };
        source.copy(start, words);
        let bytes = words.get((from - start) as usize..).unwrap_or(&[]);
        if let Some(at) = (from..to).zip(bytes).find_map(|(at, byte)| (*byte != 0).then_some(at)) {
            let what = format!("reserved bytes {from} to {} are not zero", to - 1);
            push(broken, "reserved", at, what);
        }
    }
}

fn one<S: Source>(
    image: &Image<S>,
    field: &Field,
    lanes: u32,
    names: &mut HashMap<(String, String), u32>,
    buffer: &mut Vec<u8>,
    broken: &mut Vec<Broken>,
) {
    let source = image.source();
    let mut text = vec![0; 4096];
    let label = field.label().read(source, &mut text).to_owned();
    let attributes = field.attributes().read(source, &mut text).to_owned();
    let who = format!("field {} {label:?}", field.index());
    if field.retired(source) {
        return;
    }
    if let Some(first) = names.insert((label, attributes), field.index()) {
        let at = image.header().descriptor(field.index()).unwrap_or(0);
        let what = format!("{who}: field {first} has the same label and attributes");
        push(broken, "same-name", at, what);
    }
    buffer.resize(field.buffer_size().max(field.slot_size() as usize), 0);
    if field.storage() == Some(Storage::Constant) {
        if let Verdict::Damaged(error) = constant(source, field, buffer) {
            push(broken, error.code(), error.offset(), format!("{who}: {error}"));
        }
        return;
    }
    for lane in 0..lanes {
        // What is wrong with the lane itself was said once.
        let Verdict::Consistent(found) = image.lane(lane) else { continue };
        if let Verdict::Damaged(error) = found.read(source, field, buffer) {
            push(broken, error.code(), error.offset(), format!("{who}, lane {lane}: {error}"));
        }
    }
}
