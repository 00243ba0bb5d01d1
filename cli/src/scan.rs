//! `mmstats scan`: images inside of other files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memmem::Finder;
use mmstats_core::layout::{MAGIC, header};
use mmstats_core::read::{Image, ImageState, Refusal};
use mmstats_core::{Memory, Region, Source};

use crate::args::{Scan, Show};
use crate::backend::next_data;
use crate::output::Output;
use crate::{escape, human, show};

/// Bytes that are searched at a time.
const CHUNK: usize = 1 << 20;
/// Bytes of the header that have to be there.
const HEADER: usize = header::SIZE as usize;

pub(crate) fn run(args: &Scan, output: &mut Output) -> io::Result<()> {
    let name = escape::path(&args.file);
    let mut refused: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (found, keep) = match search(args, output, &mut refused) {
        Ok(done) => done,
        Err(error) => {
            output.fail(&format!("{name}: {}", escape::text(&error.to_string())));
            return Ok(());
        }
    };
    if !refused.is_empty() {
        let text: Vec<String> = refused.iter().map(|(code, n)| format!("{n} × {code}")).collect();
        output.note(&format!("{name}: begins like an image, and is none: {}", text.join(", ")));
    }
    if found.is_empty() {
        output.fail(&format!("{name}: no image in it"));
    } else if !args.list && args.extract.is_none() {
        let targets: Vec<OsString> = found.into_iter().map(PathBuf::into_os_string).collect();
        let (verbose, all) = (args.verbose, true);
        let show =
            Show { verbose, all, targets, lanes: false, filter: vec![], level: None, json: false };
        show::run(&show, output)?;
    }
    drop(keep);
    Ok(())
}

/// Writes each image to a file as it is found; the paths, and what keeps them.
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
    let keep = args.extract.is_none().then(tempfile::tempdir).transpose()?;
    let directory = match (&args.extract, &keep) {
        (Some(directory), _) => {
            std::fs::create_dir_all(directory)?;
            directory.clone()
        }
        (None, Some(keep)) => keep.path().to_path_buf(),
        (None, None) => PathBuf::new(),
    };
    let stem = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    let mut paths = Vec::new();
    let mut next = 0;
    let mut search = Search::new();
    while let Some(at) = search.find(&mut file, next)? {
        next = at + 1;
        match image_at(&mut file, at, size)? {
            Ok(length) => {
                let path = directory.join(format!("{stem}@{at}.mmst"));
                // Never over a file that is there.
                let mut to = File::create_new(&path)
                    .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
                copy(&mut file, at, length, &mut to)?;
                drop(to);
                let summary = match judge(&path) {
                    Ok(summary) => summary,
                    Err(code) => {
                        *refused.entry(code).or_default() += 1;
                        std::fs::remove_file(&path)?;
                        continue;
                    }
                };
                // What is inside of it is it.
                next = at + length;
                let more = if args.extract.is_some() {
                    format!(" → {}", escape::path(&path))
                } else {
                    String::new()
                };
                writeln!(output, "at byte {at}: {summary}{more}")?;
                paths.push(path);
            }
            Err(code) => *refused.entry(code).or_default() += 1,
        }
    }
    Ok((paths, keep))
}

/// Looks for what begins like an image, through a piece of the file at a time.
struct Search {
    finder: Finder<'static>,
    piece: Vec<u8>,
    /// Where in the file the piece begins, and how much of it was read.
    start: u64,
    read: usize,
}

impl Search {
    fn new() -> Self {
        Self { finder: Finder::new(&MAGIC), piece: vec![0; CHUNK], start: 0, read: 0 }
    }

    /// The next place from `from` on.
    fn find(&mut self, file: &mut File, mut from: u64) -> io::Result<Option<u64>> {
        loop {
            let inside = from.checked_sub(self.start).and_then(|n| usize::try_from(n).ok());
            let left = inside.and_then(|n| self.piece.get(n..self.read)).unwrap_or(&[]);
            if let Some(at) = self.finder.find(left) {
                return Ok(Some(from + at as u64));
            }
            if !left.is_empty() && self.read < CHUNK {
                return Ok(None);
            }
            // One that lies on the border is found from here.
            from += left.len().saturating_sub(MAGIC.len() - 1) as u64;
            // No byte of the magic is zero, so none of it lies in a hole.
            let Some(data) = next_data(file, from) else { return Ok(None) };
            (self.start, from) = (data, data);
            self.read = read_at(file, data, &mut self.piece)?;
            if self.read < MAGIC.len() {
                return Ok(None);
            }
        }
    }
}

/// Fills `to` as far as the file goes.
fn read_at(file: &mut File, at: u64, to: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut done = 0;
    while let Some(rest) = to.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// How long the image at `offset` says it is, as far as the file goes, or the code of why it is
/// none.
fn image_at(file: &mut File, offset: u64, size: u64) -> io::Result<Result<u64, &'static str>> {
    let mut start = [0; HEADER];
    let read = read_at(file, offset, &mut start)?;
    let start = start.get(..read).unwrap_or(&[]);
    // Up to its checksum, before a size is believed.
    match Image::open(start) {
        Ok(_) | Err(Refusal::FileSize { .. } | Refusal::HeaderSize { .. }) => {}
        Err(refusal) => return Ok(Err(refusal.code())),
    }
    let place = header::FILE_SIZE as usize;
    let length = start.get(place..).and_then(|bytes| bytes.first_chunk::<4>());
    let length = length.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    Ok(Ok(length.min(size.saturating_sub(offset))))
}

/// Copies a part of a file, piece by piece; a piece of zeros becomes a hole, and holes are not
/// read.
fn copy(from: &mut File, offset: u64, length: u64, to: &mut File) -> io::Result<()> {
    let mut piece = vec![0; CHUNK];
    let mut done = 0;
    while done < length {
        done = match next_data(from, offset + done) {
            Some(at) if at < offset + length => at - offset,
            // Nothing but zeros, as far as the file goes.
            _ => {
                done = length.min(from.metadata()?.len().saturating_sub(offset));
                break;
            }
        };
        let rest = usize::try_from(length - done).unwrap_or(CHUNK).min(CHUNK);
        let read = read_at(from, offset + done, piece.get_mut(..rest).unwrap_or(&mut []))?;
        let bytes = piece.get(..read).unwrap_or(&[]);
        if bytes.iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(done))?;
            to.write_all(bytes)?;
        }
        done += read as u64;
        // The file became shorter meanwhile.
        if read < rest {
            break;
        }
    }
    to.set_len(done)
}

/// What is in an image that was copied; or the code of why it is none.
fn judge(path: &Path) -> Result<String, &'static str> {
    let opened = crate::backend::open(path).map_err(|_| "io")?;
    let region = Region::new(Arc::clone(opened.mapping())).map_err(|_| "io")?;
    match Image::open(&region) {
        Ok(image) => Ok(summary(&image, region.memory().len())),
        Err(refusal) => Err(refusal.code()),
    }
}

fn summary<S: Source>(image: &Image<S>, size: usize) -> String {
    let header = image.header();
    let instance: String = header.instance().iter().map(|byte| format!("{byte:02x}")).collect();
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
    fn the_magic_is_found_across_chunks() {
        let directory = tempfile::tempdir().unwrap();
        let path = &directory.path().join("x");
        for at in [0, 1, CHUNK - 8, CHUNK - 7, CHUNK - 1, CHUNK, 2 * CHUNK - 11] {
            let mut bytes = vec![0x89; 2 * CHUNK + 100];
            bytes[at..at + 8].copy_from_slice(&MAGIC);
            std::fs::write(path, &bytes).unwrap();
            let (mut file, mut search) = (File::open(path).unwrap(), Search::new());
            assert_eq!(search.find(&mut file, 0).unwrap(), Some(at as u64));
            assert_eq!(search.find(&mut file, at as u64 + 1).unwrap(), None);
            // And back again.
            assert_eq!(search.find(&mut file, 0).unwrap(), Some(at as u64));
        }
    }

    #[test]
    fn many_in_a_row_are_all_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = &directory.path().join("x");
        // So that some of them lie across a border.
        let one = [MAGIC.as_slice(), b"x"].concat();
        let count = CHUNK / 4;
        std::fs::write(path, one.repeat(count)).unwrap();
        let (mut file, mut search, mut found, mut from) =
            (File::open(path).unwrap(), Search::new(), 0, 0);
        while let Some(at) = search.find(&mut file, from).unwrap() {
            assert_eq!(at, found * 9);
            (found, from) = (found + 1, at + 1);
        }
        assert_eq!(found, count as u64);
    }

    #[test]
    fn what_lies_between_holes_is_found_and_copied() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut file = File::create_new(path("x")).unwrap();
        // A terabyte that nobody could read here.
        let (size, first, second) = (1 << 40, 3 << 30, (1 << 39) + 4_093);
        file.set_len(size).unwrap();
        for at in [first, second] {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&MAGIC).unwrap();
        }
        let mut file = File::open(path("x")).unwrap();
        // Where holes are not told of it would take too long.
        if next_data(&file, 0) == Some(0) {
            return;
        }
        let mut search = Search::new();
        assert_eq!(search.find(&mut file, 0).unwrap(), Some(first));
        assert_eq!(search.find(&mut file, first + 1).unwrap(), Some(second));
        assert_eq!(search.find(&mut file, second + 1).unwrap(), None);
        // From between the two to behind the second, with a hole at both ends.
        let (begin, length) = (second - (1 << 30), 1 << 31);
        let mut to = File::create_new(path("y")).unwrap();
        copy(&mut file, begin, length, &mut to).unwrap();
        drop(to);
        let mut copied = File::open(path("y")).unwrap();
        assert_eq!(copied.metadata().unwrap().len(), length);
        assert_eq!(Search::new().find(&mut copied, 0).unwrap(), Some(1 << 30));
        // As far as the file goes, and no further.
        let mut to = File::create_new(path("z")).unwrap();
        copy(&mut file, size - 100, 1000, &mut to).unwrap();
        assert_eq!(to.metadata().unwrap().len(), 100);
    }
}
