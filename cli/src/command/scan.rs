//! `mmstats scan`: finds images inside other files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use memchr::memmem::Finder;
use mmstats_core::Source;
use mmstats_core::layout::{MAGIC, header};
use mmstats_core::read::{Image, ImageState, Refusal};

use super::args::exit_codes;
use super::show::{self, Show};
use crate::backend::{next_data, open_region};
use crate::output::Output;
use crate::text::{escape, human};

/// Bytes that are searched at a time.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Searches every byte offset for images of format 3. Their fields are printed as by `show`, or\n",
    "the images are written to a directory, as FILE@OFFSET.mmst, for all other commands. Bytes\n",
    "that only begin like an image are counted. The exit code is 1 if there is no image.\n",
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
    let mut paths = Vec::new();
    let mut next = 0;
    let mut search = MagicSearch::new();
    while let Some(at) = search.find(&mut file, next)? {
        next = at + 1;
        match image_at(&mut file, at, size)? {
            Ok(length) => {
                let path = directory.join(format!("{stem}@{at}.mmst"));
                // An existing file is never overwritten.
                let mut to = File::create_new(&path)
                    .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
                copy(&mut file, at, length, &mut to)?;
                drop(to);
                let summary = match inspect(&path) {
                    Ok(summary) => summary,
                    Err(code) => {
                        *refused.entry(code).or_default() += 1;
                        std::fs::remove_file(&path)?;
                        continue;
                    }
                };
                // The search continues behind the image.
                next = at + length;
                let shown = escape::path(&path);
                let more =
                    if args.extract.is_some() { format!(" → {shown}") } else { String::new() };
                writeln!(output, "at byte {at}: {summary}{more}")?;
                paths.push(path);
            }
            Err(code) => *refused.entry(code).or_default() += 1,
        }
    }
    Ok((paths, temporary))
}

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

/// Size of the image at `offset`, up to the end of the file, or the rule that its header breaks.
fn image_at(file: &mut File, offset: u64, size: u64) -> io::Result<Result<u64, &'static str>> {
    let mut start = Vec::new();
    read_at(file, offset, header::SIZE as usize, &mut start)?;
    // The checksum comes before the size is used.
    match Image::open(&start[..]) {
        Ok(_) | Err(Refusal::FileSize { .. } | Refusal::HeaderSize { .. }) => {}
        Err(refusal) => return Ok(Err(refusal.code())),
    }
    let field = header::FILE_SIZE as usize;
    let length = start.get(field..).and_then(|bytes| bytes.first_chunk::<4>());
    let length = length.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    Ok(Ok(length.min(size.saturating_sub(offset))))
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

/// Summary of an extracted image, or the rule that it breaks.
fn inspect(path: &Path) -> Result<String, &'static str> {
    let region = open_region(path).map_err(|_| "io")?;
    match Image::open(&region) {
        Ok(image) => Ok(summary(&image, region.size() as usize)),
        Err(refusal) => Err(refusal.code()),
    }
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
