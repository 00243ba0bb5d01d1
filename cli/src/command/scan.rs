//! `mmstats scan`: finds images inside other files.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use clap::Args;
use memchr::memmem::Finder;
use mmstats_core::Source;
use mmstats_core::layout::{MAGIC, header};
use mmstats_core::protocol::Site;
use mmstats_core::read::{Image, ImageState};

use super::args::exit_codes;
use super::show::{self, Show};
use crate::backend::next_data;
use crate::output::Output;
use crate::text::{escape, human};

/// Bytes that are searched at a time.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Searches every byte offset for images of format 3. Their fields are printed as by `show`, or\n",
    "the images are written to a directory, as FILE@OFFSET.mmst, for all other commands. Of several\n",
    "images of one part of a program the largest is shown. Bytes that only begin like an image, or\n",
    "are a remnant of one that was found, are counted. The exit code is 1 if there is no image.\n",
    "\nExamples:\n",
    "  mmstats scan core.1234\n",
    "  mmstats scan --extract /tmp/found ram.bin && mmstats show --all /tmp/found\n"
))]
pub(crate) struct Scan {
    /// Write the images to this directory, which is created if it is missing.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) extract: Option<PathBuf>,

    /// Only list the images.
    #[arg(short, long, conflicts_with = "extract")]
    pub(crate) list: bool,

    /// Show help, types, attributes and exact values too.
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// The file to search, of any kind.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

pub(crate) fn run(args: &Scan, output: &mut Output) -> io::Result<()> {
    let name = escape::path(&args.file);
    let mut refused: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (paths, directory) = match search(args, output, &mut refused) {
        Ok(found) => found,
        Err(error) => {
            output.fail(&format!("{name}: {}", escape::text(&error.to_string())));
            return Ok(());
        }
    };
    if !refused.is_empty() {
        let text: Vec<String> = refused.iter().map(|(code, n)| format!("{n} × {code}")).collect();
        output.note(&format!("{name}: bytes that only begin like an image: {}", text.join(", ")));
    }
    if paths.is_empty() {
        output.fail(&format!("{name}: no image in it"));
    } else if !args.list && args.extract.is_none() {
        let programs: Vec<OsString> = paths.into_iter().map(PathBuf::into_os_string).collect();
        let (verbose, all) = (args.verbose, true);
        let show =
            Show { verbose, all, programs, lanes: false, filter: vec![], level: None, json: false };
        show::run(&show, output)?;
    }
    drop(directory);
    Ok(())
}

/// Writes each image that is found to a file. Returns the paths, and the directory that is
/// removed when it is dropped.
fn search(
    args: &Scan,
    output: &mut Output,
    refused: &mut BTreeMap<&'static str, u64>,
) -> io::Result<(Vec<PathBuf>, Option<tempfile::TempDir>)> {
    let metadata = std::fs::metadata(&args.file)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut file = File::open(&args.file)?;
    let size = metadata.len();
    let (directory, temporary) = match &args.extract {
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            (directory.clone(), None)
        }
        None => {
            let temporary = tempfile::tempdir()?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let stem = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    let mut found = Found::default();
    let mut next = 0;
    let mut search = MagicSearch::new();
    while let Some(at) = search.find(&mut file, next)? {
        next = at + 1;
        let image = match image_at(&mut file, at, size, &mut found.checked)? {
            Ok(image) => image,
            Err(code) => {
                *refused.entry(code).or_default() += 1;
                continue;
            }
        };
        // The search continues behind an image, but inside one whose fields are damaged: it may be a
        // header without its image.
        if image.is_good {
            next = at + image.length;
        }
        if !found.takes(&image, size) {
            *refused.entry("overlap").or_default() += 1;
            continue;
        }
        let path = directory.join(format!("{stem}@{at}.mmst"));
        // An existing file is never overwritten.
        let mut to = File::create_new(&path)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        copy(&mut file, at, image.length, &mut to)?;
        let shown = escape::path(&path);
        let more = if args.extract.is_some() { format!(" → {shown}") } else { String::new() };
        writeln!(output, "at byte {at}: {}{more}", image.summary)?;
        found.add(&image, path);
    }
    Ok((found.shown(), temporary))
}

/// The images that were found.
#[derive(Default)]
struct Found {
    paths: Vec<PathBuf>,
    /// Size of those that overlap others or may do so, in bytes.
    overlapping: u64,
    /// Size of the metadata that was checked, in bytes.
    checked: u64,
    /// The largest image of each program and part: its size and place.
    programs: HashMap<([u8; 16], u32), (u64, usize)>,
}

impl Found {
    /// Whether the image is extracted: not if it is a remnant of one that was, or if images with
    /// damaged fields, which may overlap, have taken as many bytes as the searched file has.
    fn takes(&mut self, image: &Located, size: u64) -> bool {
        let known = self.programs.contains_key(&image.program);
        if !image.is_good {
            let taken = self.overlapping.saturating_add(image.length);
            if known || taken > size.saturating_add(SPARE) {
                return false;
            }
            self.overlapping = taken;
        }
        true
    }

    fn add(&mut self, image: &Located, path: PathBuf) {
        let largest =
            self.programs.entry(image.program).or_insert((image.length, self.paths.len()));
        if largest.0 < image.length {
            *largest = (image.length, self.paths.len());
        }
        self.paths.push(path);
    }

    /// The largest image of each program and part: memory may have several states of it.
    fn shown(self) -> Vec<PathBuf> {
        let mut places: Vec<usize> = self.programs.into_values().map(|(_, place)| place).collect();
        places.sort_unstable();
        let mut paths: Vec<Option<PathBuf>> = self.paths.into_iter().map(Some).collect();
        places.into_iter().filter_map(|place| paths.get_mut(place)?.take()).collect()
    }
}

/// Bytes of overlapping images that are extracted from a file of any size.
const SPARE: u64 = 64 << 20;

/// Finds the magic number of an image, one chunk of the file at a time.
struct MagicSearch {
    finder: Finder<'static>,
    chunk: Vec<u8>,
    /// Offset of the chunk in the file.
    start: u64,
}

impl MagicSearch {
    fn new() -> Self {
        Self { finder: Finder::new(&MAGIC), chunk: Vec::new(), start: 0 }
    }

    /// Offset of the next magic number from `from` on.
    fn find(&mut self, file: &mut File, mut from: u64) -> io::Result<Option<u64>> {
        loop {
            let inside = from.checked_sub(self.start).and_then(|n| usize::try_from(n).ok());
            let left = inside.and_then(|n| self.chunk.get(n..)).unwrap_or(&[]);
            if let Some(at) = self.finder.find(left) {
                return Ok(Some(from + at as u64));
            }
            if !left.is_empty() && self.chunk.len() < CHUNK {
                return Ok(None);
            }
            // A magic number across the end of the chunk is found in the next one.
            from += left.len().saturating_sub(MAGIC.len() - 1) as u64;
            // No byte of the magic number is zero, so it is never in a hole.
            let Some(data) = next_data(file, from) else { return Ok(None) };
            (self.start, from) = (data, data);
            read_at(file, data, CHUNK, &mut self.chunk)?;
            if self.chunk.len() < MAGIC.len() {
                return Ok(None);
            }
        }
    }
}

/// Replaces `to` by at most `size` bytes from `at` on, fewer at the end of the file.
fn read_at(file: &mut File, at: u64, size: usize, to: &mut Vec<u8>) -> io::Result<()> {
    to.clear();
    file.seek(SeekFrom::Start(at))?;
    file.take(size as u64).read_to_end(to).map(drop)
}

/// An image inside the file.
struct Located {
    /// In bytes.
    length: u64,
    /// Instance and part.
    program: ([u8; 16], u32),
    /// Whether all of its fields are undamaged.
    is_good: bool,
    summary: String,
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
    let part = if checked { Part::read(file, offset, metadata.min(left), left)? } else { start };
    let image = match Image::open(&part) {
        Ok(image) => image,
        Err(refusal) => return Ok(Err(refusal.code())),
    };
    let header = image.header();
    let length = header.file_size();
    *checked_bytes = total;
    let is_good = checked && image.fields().all(|field| field.is_ok());
    let summary = summary(&image, length as usize);
    let program = (header.instance(), header.part());
    Ok(Ok(Located { length: length.into(), program, is_good, summary }))
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
        self.from(offset).first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    fn load64(&self, offset: u32) -> Option<u64> {
        Some(self.from(offset).first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }

    // A private copy does not change.
    fn fence(&self, _site: Site) {}

    fn copy(&self, offset: u32, out: &mut [u8]) {
        let from = self.from(offset);
        let count = from.len().min(out.len());
        let (inside, past) = out.split_at_mut(count);
        inside.copy_from_slice(&from[..count]);
        past.fill(0);
    }
}

/// Copies a part of a file in chunks; a chunk of zeros becomes a hole, and holes are not read.
fn copy(from: &mut File, offset: u64, length: u64, to: &mut File) -> io::Result<()> {
    let mut chunk = Vec::new();
    let mut done = 0;
    while done < length {
        done = match next_data(from, offset + done) {
            Some(at) if at < offset + length => at - offset,
            // Zeros up to the end of the part or of the file.
            _ => {
                done = length.min(from.metadata()?.len().saturating_sub(offset));
                break;
            }
        };
        let rest = usize::try_from(length - done).unwrap_or(CHUNK).min(CHUNK);
        read_at(from, offset + done, rest, &mut chunk)?;
        if chunk.iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(done))?;
            to.write_all(&chunk)?;
        }
        done += chunk.len() as u64;
        // The file was truncated.
        if chunk.len() < rest {
            break;
        }
    }
    to.set_len(done)
}

fn summary<S: Source>(image: &Image<S>, size: usize) -> String {
    let header = image.header();
    let instance = escape::hex(&header.instance());
    let state = match image.state() {
        Ok(ImageState::Closed) => "closed",
        _ => "live when it was copied",
    };
    let fields = header.field_count(image.source()).unwrap_or(0);
    let size = human::grouped(&size.to_string());
    format!("image {instance}, part {}, {fields} fields, {size} bytes, {state}", header.part())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_is_bounded_by_size_of_file() {
        let size = 100 << 20;
        let image = |number: u8, is_good| Located {
            length: size,
            program: ([number; 16], 0),
            is_good,
            summary: String::new(),
        };
        let mut found = Found::default();
        assert!(found.takes(&image(1, true), size));
        found.add(&image(1, true), PathBuf::new());
        assert!(!found.takes(&image(1, false), size), "a remnant of the first");
        let taken = (2..100).filter(|number| found.takes(&image(*number, false), size)).count();
        assert_eq!(taken, 1);
        assert!(found.takes(&image(200, true), size));
    }

    #[test]
    fn find_sees_magic_across_chunks() {
        let directory = tempfile::tempdir().unwrap();
        let path = &directory.path().join("x");
        for at in [0, 1, CHUNK - 8, CHUNK - 7, CHUNK - 1, CHUNK, 2 * CHUNK - 11] {
            let mut bytes = vec![0x89; 2 * CHUNK + 100];
            bytes[at..at + 8].copy_from_slice(&MAGIC);
            std::fs::write(path, &bytes).unwrap();
            let (mut file, mut search) = (File::open(path).unwrap(), MagicSearch::new());
            assert_eq!(search.find(&mut file, 0).unwrap(), Some(at as u64));
            assert_eq!(search.find(&mut file, at as u64 + 1).unwrap(), None);
            // Backwards.
            assert_eq!(search.find(&mut file, 0).unwrap(), Some(at as u64));
        }
    }

    #[test]
    fn find_sees_adjacent_magics() {
        let directory = tempfile::tempdir().unwrap();
        let path = &directory.path().join("x");
        // Nine bytes each: some lie across the end of a chunk.
        let one = [MAGIC.as_slice(), b"x"].concat();
        let count = CHUNK / 4;
        std::fs::write(path, one.repeat(count)).unwrap();
        let (mut file, mut search, mut found, mut from) =
            (File::open(path).unwrap(), MagicSearch::new(), 0, 0);
        while let Some(at) = search.find(&mut file, from).unwrap() {
            assert_eq!(at, found * 9);
            (found, from) = (found + 1, at + 1);
        }
        assert_eq!(found, count as u64);
    }

    #[test]
    fn find_and_copy_skip_holes() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut file = File::create_new(path("x")).unwrap();
        // Too large to be read without skipping holes.
        let (size, first, second) = (1 << 40, 3 << 30, (1 << 39) + 4_093);
        file.set_len(size).unwrap();
        for at in [first, second] {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&MAGIC).unwrap();
        }
        let mut file = File::open(path("x")).unwrap();
        // The file system does not report holes.
        if next_data(&file, 0) == Some(0) {
            return;
        }
        let mut search = MagicSearch::new();
        assert_eq!(search.find(&mut file, 0).unwrap(), Some(first));
        assert_eq!(search.find(&mut file, first + 1).unwrap(), Some(second));
        assert_eq!(search.find(&mut file, second + 1).unwrap(), None);
        // From between the two to behind the second: a hole at both ends.
        let (begin, length) = (second - (1 << 30), 1 << 31);
        let mut to = File::create_new(path("y")).unwrap();
        copy(&mut file, begin, length, &mut to).unwrap();
        drop(to);
        let mut copied = File::open(path("y")).unwrap();
        assert_eq!(copied.metadata().unwrap().len(), length);
        assert_eq!(MagicSearch::new().find(&mut copied, 0).unwrap(), Some(1 << 30));
        // Up to the end of the file.
        let mut to = File::create_new(path("z")).unwrap();
        copy(&mut file, size - 100, 1000, &mut to).unwrap();
        assert_eq!(to.metadata().unwrap().len(), 100);
    }
}
