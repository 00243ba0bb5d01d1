//! `mmstats scan`: finds images inside other files.

mod bytes;
mod found;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use mmstats_core::Source;
use mmstats_core::layout::header;
use mmstats_core::protocol::Site;
use mmstats_core::read::{Image, ImageState};

use self::bytes::{MagicSearch, copy, read_at};
use self::found::{Found, Located, SPARE, Taking};
use super::args::{exit_codes, image};
use super::show::{self, Show};
use crate::backend::{open_file, reason, reason_to_make};
use crate::output::Output;
use crate::render::missing::file_help;
use crate::render::paths::Paths;
use crate::text::{escape, human};

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Searches every byte offset for images of format 3, also inside others. Their fields are printed\n",
    "as by `show`, or the images are written to a directory, as FILE@OFFSET.mmst, for all other\n",
    "commands. Of several images of one part of a program an undamaged one is shown, of these an\n",
    "inner one instead of that around it, else the largest. Bytes that only begin like an image, or\n",
    "are a remnant of one that was found, are counted. Images that overlap others or are damaged may\n",
    "take as many bytes as FILE, and 64 MiB; what is left out is an error. The exit code is 1 if\n",
    "there is no image, or if some are left out.\n",
    "\nExamples:\n",
    "  mmstats scan core.1234\n",
    "  mmstats scan --extract /tmp/found ram.bin && mmstats show --all /tmp/found\n"
))]
pub(crate) struct Scan {
    /// Write the images to this directory, which is created if it is missing.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) extract: Option<PathBuf>,

    /// Only list the images.
    #[arg(long, conflicts_with = "extract")]
    pub(crate) list: bool,

    /// Show help, types, attributes and exact values too.
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// The file to search, of any kind.
    #[arg(value_name = "FILE", value_parser = image())]
    pub(crate) file: PathBuf,
}

pub(crate) fn run(args: &Scan, output: &mut Output) -> io::Result<()> {
    let name = escape::path(&args.file);
    let mut refused: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (file, size) = match open_file(&args.file) {
        Ok(opened) => opened,
        Err(error) => {
            output.fail(&escape::text(&error));
            file_help(&args.file).into_iter().for_each(|help| output.note(&help));
            return Ok(());
        }
    };
    let (found, directory) = match search(args, file, size, output, &mut refused) {
        Ok(found) => found,
        Err(Failure::Output(error)) => return Err(error),
        Err(Failure::File(message)) => {
            output.fail(&escape::text(&message));
            return Ok(());
        }
    };
    if let Some(count) = refused.remove(LEFT_OUT) {
        let why = "images that overlap others or are damaged, together too large";
        output.fail(&format!("{name}: {count} × {LEFT_OUT}: {why}"));
    }
    if !refused.is_empty() {
        let text: Vec<String> = refused.iter().map(|(code, n)| format!("{n} × {code}")).collect();
        output.note(&format!("{name}: bytes that only begin like an image: {}", text.join(", ")));
    }
    if found.is_empty() {
        output.fail(&format!("{name}: no image in it"));
    } else if !args.list && args.extract.is_none() {
        let programs = found.shown().into_iter().map(PathBuf::into_os_string);
        let programs: Vec<OsString> = programs.collect();
        let (verbose, all) = (args.verbose, true);
        let show = Show { verbose, all, programs, ..Show::default() };
        let extracted = directory.as_ref().map(|directory| directory.path().to_owned());
        let paths = extracted.map_or_else(Paths::default, Paths::within);
        show::run_with_paths(&show, paths, output)?;
    }
    drop(directory);
    Ok(())
}

/// Code of images for which no bytes are left.
const LEFT_OUT: &str = "left-out";

/// Why a search ended.
enum Failure {
    /// The reader of the output has gone, or it cannot be written.
    Output(io::Error),
    /// A message with the file, not escaped.
    File(String),
}

impl Failure {
    /// A file that could not be made; `help` says what to do about it.
    fn unmade(path: &Path, error: &io::Error, help: &str) -> Self {
        let why = reason_to_make(path, error);
        Self::File(format!("{}: cannot make it: {why}{help}", path.display()))
    }

    /// An error of `verb`ing a file.
    fn of<'a>(verb: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + Copy + use<'a> {
        move |error| Self::File(format!("{}: cannot {verb} it: {}", path.display(), reason(&error)))
    }
}

/// Writes each image that is found in `file`, of `size` bytes, to a file. Returns them, and the directory
/// that is removed when it is dropped.
fn search(
    args: &Scan,
    mut file: File,
    size: u64,
    output: &mut Output,
    refused: &mut BTreeMap<&'static str, u64>,
) -> Result<(Found, Option<tempfile::TempDir>), Failure> {
    let (directory, temporary) = match &args.extract {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| {
                let why =
                    if directory.exists() { "it is no directory".into() } else { reason(&error) };
                let directory = directory.display();
                let help =
                    "--extract takes a directory, which is made if its parent can be written";
                Failure::File(format!("{directory}: cannot make the directory: {why}; {help}"))
            })?;
            (directory.clone(), None)
        }
        None => {
            let temporary = tempfile::tempdir().map_err(|error| {
                let directory = std::env::temp_dir();
                let why = reason(&error);
                let help = "set TMPDIR, or name a directory by --extract";
                Failure::File(format!(
                    "{}: cannot make a directory in it: {why}; {help}",
                    directory.display()
                ))
            })?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let read = Failure::of("read", &args.file);
    let stem = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    let (mut found, mut checked) = (Found::default(), 0);
    let mut next = 0;
    let mut search = MagicSearch::new();
    while let Some(at) = search.find(&mut file, next).map_err(&read)? {
        // Nothing is skipped: a header may claim bytes that are not its own.
        next = at + 1;
        let image = match image_at(&mut file, at, size, &mut checked).map_err(&read)? {
            Ok(image) => image,
            Err(code) => {
                *refused.entry(code).or_default() += 1;
                continue;
            }
        };
        match found.takes(&image, size) {
            Taking::Taken => {}
            Taking::Remnant => {
                *refused.entry("overlap").or_default() += 1;
                continue;
            }
            Taking::LeftOut => {
                *refused.entry(LEFT_OUT).or_default() += 1;
                continue;
            }
        }
        let path = directory.join(format!("{stem}@{at}.mmst"));
        // An existing file is never overwritten.
        let mut to = File::create_new(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::unmade(
                &path,
                &error,
                ", and it is not overwritten; remove it, or name another directory by --extract",
            ),
            _ => Failure::unmade(&path, &error, ""),
        })?;
        let write = Failure::of("write", &path);
        if copy(&mut file, at, image.extent, &mut to).map_err(write)? == image.extent {
            // No field is behind the lanes: a hole.
            to.set_len(image.length).map_err(write)?;
        }
        // When the program changed it last is not known.
        to.set_modified(SystemTime::UNIX_EPOCH).map_err(write)?;
        let shown = escape::path(&path);
        let more = if args.extract.is_some() { format!(" → {shown}") } else { String::new() };
        writeln!(output, "at byte {at}: {}{more}", image.summary).map_err(Failure::Output)?;
        found.add(image, path);
    }
    Ok((found, temporary))
}

/// The image at `offset`, or the rule that its header breaks. Only its metadata is read.
fn image_at(
    file: &mut File,
    offset: u64,
    size: u64,
    checked_bytes: &mut u64,
) -> io::Result<Result<Located, &'static str>> {
    let left = u32::try_from(size.saturating_sub(offset)).unwrap_or(u32::MAX);
    let start = Part::read(file, offset, header::SIZE.min(left), left)?;
    let metadata = match Image::open(&start) {
        Ok(image) => image.header().lanes_offset(),
        Err(refusal) => return Ok(Err(refusal.code())),
    };
    // The time is bounded by the size of the file.
    let total = checked_bytes.saturating_add(metadata.into());
    let checked = metadata <= MAX_METADATA && total <= size.saturating_add(SPARE);
    let part = if checked {
        *checked_bytes = total;
        Part::read(file, offset, metadata.min(left), left)?
    } else {
        start
    };
    let image = match Image::open(&part) {
        Ok(image) => image,
        Err(refusal) => return Ok(Err(refusal.code())),
    };
    let header = image.header();
    let length = u64::from(header.file_size());
    let lanes = u64::from(header.lane_capacity()) * u64::from(header.lane_stride());
    let end = u64::from(header.lanes_offset()) + lanes;
    // Windows gives a file room for its holes too.
    let extent = if cfg!(windows) { length } else { end.min(length) };
    let is_good = checked && image.fields().all(|field| field.is_ok());
    let summary = summary(&image, header.file_size() as usize);
    let program = (header.instance(), header.part());
    Ok(Ok(Located { at: offset, length, extent, program, is_good, summary }))
}

/// Maximum size of metadata that is checked before an image is extracted, in bytes.
const MAX_METADATA: u32 = 256 << 20;

/// The first bytes of an image in a file; those behind read as zero.
struct Part {
    /// A multiple of 8.
    bytes: Vec<u8>,
    size: u32,
}

impl Part {
    fn read(file: &mut File, offset: u64, length: u32, size: u32) -> io::Result<Self> {
        let mut bytes = Vec::new();
        read_at(file, offset, length as usize, &mut bytes)?;
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        Ok(Self { bytes, size })
    }

    fn from(&self, offset: u32) -> &[u8] {
        self.bytes.get(offset as usize..).unwrap_or(&[])
    }
}

impl Source for Part {
    fn size(&self) -> u32 {
        self.size
    }

    fn load32(&self, offset: u32) -> u32 {
        self.from(offset).load32(0)
    }

    fn load64(&self, offset: u32) -> Option<u64> {
        self.from(offset).load64(0)
    }

    // A private copy does not change.
    fn fence(&self, _site: Site) {}

    fn copy(&self, offset: u32, out: &mut [u8]) {
        self.from(offset).copy(0, out);
    }
}

fn summary<S: Source>(image: &Image<S>, size: usize) -> String {
    let header = image.header();
    let instance = escape::hex(&header.instance());
    let state = match image.state() {
        Ok(ImageState::Closed) => "closed",
        _ => "not ended cleanly when it was copied",
    };
    let fields = header.field_count(image.source()).unwrap_or(0);
    let size = human::grouped(&size.to_string());
    format!("image {instance}, part {}, {fields} fields, {size} bytes, {state}", header.part())
}
