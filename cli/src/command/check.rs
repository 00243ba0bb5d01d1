//! `mmstats check`: every rule of FORMAT.md that a file breaks.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use mmstats_core::layout::header;
use mmstats_core::read::{Cursor, Field, Image, Lane, Value, Verdict, constant};
use mmstats_core::{Source, Storage};

use super::args::exit_codes;
use crate::backend::open_region;
use crate::output::{Line, Output, style};
use crate::render::missing::file_help;
use crate::text::escape;

/// Maximum number of lines for one file: a hostile one must not fill the screen.
const MAX_LINES: usize = 1_000;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Each line is FILE: CODE at byte OFFSET: MESSAGE (FORMAT.md#CODE). A refused file has one\n",
    "line, with the first broken rule; any other file one for each damaged field or value, run of\n",
    "reserved bytes that are not zero, and duplicate name. The exit code is 1 if a rule is broken.\n",
    "\nExamples:\n",
    "  mmstats check web.mmst\n",
    "  mmstats check /srv/stats/*.mmst | grep -v 'no rule broken'\n"
))]
pub(crate) struct Check {
    /// Files to check.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// A broken rule.
struct Violation {
    code: &'static str,
    offset: u64,
    message: String,
}

pub(crate) fn run(args: &Check, output: &mut Output) -> io::Result<()> {
    for path in &args.files {
        let report = match check(path) {
            Ok(report) => report,
            Err(error) => {
                output.fail(&escape::text(&error));
                file_help(path).into_iter().for_each(|help| output.note(&help));
                continue;
            }
        };
        let name = escape::path(path);
        for Violation { code, offset, message } in report.violations.iter().take(MAX_LINES) {
            let mut line = Line::new();
            line.plain(format!("{name}: "));
            line.push(style::BAD, (*code).to_owned());
            line.plain(format!(" at byte {offset}: {}", escape::text(message)));
            line.push(style::DIM, format!(" (FORMAT.md#{code})"));
            writeln!(output, "{}", line.render(usize::MAX))?;
        }
        let count = report.violations.len();
        let mut line = Line::new();
        line.plain(format!("{name}: {}, ", report.summary));
        match count {
            0 => line.plain("no rule broken"),
            1 => line.push(style::BAD, "1 rule broken"),
            n => line.push(style::BAD, format!("{n} rules broken")),
        }
        if count > MAX_LINES {
            line.plain(format!("; the first {MAX_LINES} are shown"));
        }
        writeln!(output, "{}", line.render(usize::MAX))?;
        if count > 0 {
            output.set_failed();
            file_help(path).into_iter().for_each(|help| output.note(&help));
        }
    }
    Ok(())
}

struct Report {
    summary: String,
    violations: Vec<Violation>,
}

fn check(path: &Path) -> Result<Report, String> {
    match open_region(path) {
        Ok(region) => Ok(report(&region)),
        // Too short to be mapped: that is a rule of the format too.
        Err(error) => short(path).map(|bytes| report(&bytes[..])).ok_or(error),
    }
}

/// The bytes of a regular file that is too short to be mapped.
fn short(path: &Path) -> Option<Vec<u8>> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    (metadata.is_file() && metadata.len() < header::SIZE.into())
        .then(|| std::fs::read(path).ok())?
}

fn report<S: Source + ?Sized>(source: &S) -> Report {
    let image = match Image::open(source) {
        Ok(image) => image,
        Err(refusal) => {
            let (code, offset) = (refusal.code(), refusal.offset().into());
            let violations = vec![Violation { code, offset, message: refusal.to_string() }];
            return Report { summary: "refused".to_owned(), violations };
        }
    };
    let header = image.header();
    let mut violations = Vec::new();
    reserved(source, header.descriptor_offset(), &mut violations);
    let lanes = header.lanes_used(source).unwrap_or(0);
    for lane in 0..lanes {
        if let Verdict::Damaged(error) = Lane::open(source, header, lane) {
            push(&mut violations, error.code(), error.offset(), format!("lane {lane}: {error}"));
        }
    }
    let (mut fields, mut names) = (0_u32, HashMap::new());
    let mut buffer = Vec::new();
    let mut cursor = Cursor::new();
    while let Some((index, field)) = image.next_field(&mut cursor) {
        fields += 1;
        match field {
            Ok(field) => {
                check_field(&image, &field, lanes, &mut names, &mut buffer, &mut violations);
            }
            Err(error) => {
                let message = format!("field {index}: {error}");
                push(&mut violations, error.code(), error.offset(), message);
            }
        }
    }
    let count = |n: u32, noun| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let summary = format!("{}, {}", count(fields, "field"), count(lanes, "lane"));
    Report { summary, violations }
}

fn push(violations: &mut Vec<Violation>, code: &'static str, offset: u32, message: impl Display) {
    violations.push(Violation { code, offset: offset.into(), message: message.to_string() });
}

/// Reserved bytes of the header MUST be written as zero (section 1). `limit` ends the header.
fn reserved<S: Source + ?Sized>(source: &S, limit: u32, violations: &mut Vec<Violation>) {
    let starts = header::MEMBERS.map(|member| member.offset + member.size);
    let ends = header::MEMBERS.iter().skip(1).map(|member| member.offset).chain([header::SIZE]);
    for (from, to) in starts.into_iter().zip(ends).filter(|(from, to)| from < to) {
        // A source copies whole words of 8 bytes.
        let start = from & !7;
        let mut words = [0; 64];
        let size = (to.next_multiple_of(8) - start) as usize;
        let Some(words) = words.get_mut(..size).filter(|_| to <= limit) else { continue };
        source.copy(start, words);
        let bytes = words.get((from - start) as usize..).unwrap_or(&[]);
        if let Some(at) = (from..to).zip(bytes).find_map(|(at, byte)| (*byte != 0).then_some(at)) {
            let message = format!("reserved bytes {from} to {} are not zero", to - 1);
            push(violations, "reserved", at, message);
        }
    }
}

fn check_field<S: Source>(
    image: &Image<S>,
    field: &Field,
    lanes: u32,
    names: &mut HashMap<(String, String), u32>,
    buffer: &mut Vec<u8>,
    violations: &mut Vec<Violation>,
) {
    let source = image.source();
    let mut text = vec![0; 4096];
    let label = field.label().read(source, &mut text).to_owned();
    let attributes = field.attributes().read(source, &mut text).to_owned();
    let name = format!("field {} {label:?}", field.index());
    if field.retired(source) {
        return;
    }
    if let Some(first) = names.insert((label, attributes), field.index()) {
        let at = image.header().descriptor(field.index()).unwrap_or(0);
        let what = format!("{name}: field {first} has the same label and attributes");
        push(violations, "same-name", at, what);
    }
    buffer.resize(field.buffer_size().max(field.slot_size() as usize), 0);
    if field.storage() == Some(Storage::Constant) {
        if let Verdict::Damaged(error) = constant(source, field, buffer) {
            push(violations, error.code(), error.offset(), format!("{name}: {error}"));
        }
        return;
    }
    for lane in 0..lanes {
        // A damaged lane is reported already.
        let Verdict::Consistent(view) = image.lane(lane) else { continue };
        let place = format!("{name}, lane {lane}");
        match view.read(source, field, buffer) {
            Verdict::Damaged(error) => {
                push(violations, error.code(), error.offset(), format!("{place}: {error}"));
            }
            Verdict::Consistent(Value::Table(table)) => {
                for (row, found) in table.rows() {
                    if let Verdict::Damaged(error) = found {
                        let what = format!("{place}, row {row}: {error}");
                        push(violations, error.code(), error.offset(), what);
                    }
                }
            }
            _ => {}
        }
    }
}
