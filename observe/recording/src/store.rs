//! The file that is written, and those before it.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bgzf::END;
use crate::error::Error;
use crate::files::{Limits, name, numbers, open_locked, recording_of};
use crate::index::Index;

/// The files of a recording that is written.
#[derive(Debug)]
pub struct Store {
    base: PathBuf,
    limits: Limits,
    /// Number and size of each file of the recording, ascending; the last one is written.
    files: Vec<(u32, u64)>,
    file: File,
    /// The blocks at the end of the file that [`rewrite`](Self::rewrite) replaces.
    tail: Vec<u8>,
    since: Instant,
    /// Identity of a recording that is continued.
    recording: Option<String>,
    #[cfg(test)] // as a full disk
    pub(crate) is_broken: bool,
}

impl Store {
    /// Opens `path`, or the last of its numbered files, and locks it. A recording that is there is continued; what
    /// is cut at its end is removed. Returns the number of bytes of that.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, is no recording, or another recorder writes it.
    pub fn open(path: &Path, limits: Limits) -> Result<(Self, u64), Error> {
        let numbers = numbers(path);
        let last = numbers.last().copied().unwrap_or(1);
        let active = name(path, last);
        let mut file = open_locked(&active)?;
        let index = Index::new(&active, &mut file)?;
        let mut cut = 0;
        let mut recording = None;
        if !index.segments.is_empty() {
            recording = Some(recording_of(&active)?);
            cut = index.cut.map_or(0, |cut| cut.bytes);
            file.set_len(index.end).map_err(|error| Error::io(&active, "cut it", &error))?;
        } else if index.cut.is_some() {
            return Err(Error::new(&active, "it is no recording, and stays as it is"));
        }
        let mut files = Vec::new();
        for number in numbers.into_iter().filter(|number| *number < last) {
            let path = name(path, number);
            let of = recording_of(&path).ok();
            if of.is_some() && of == recording {
                files.push((number, path.metadata().map_or(0, |metadata| metadata.len())));
            }
        }
        files.push((last, index.end));
        let (base, since) = (path.to_owned(), Instant::now());
        let mut store = Self {
            base,
            limits,
            files,
            file,
            tail: Vec::new(),
            since,
            recording,
            #[cfg(test)] // as a full disk
            is_broken: false,
        };
        if index.end > 0 {
            store.write(&END).map_err(|error| Error::io(&active, "write it", &error))?;
        }
        Ok((store, cut))
    }

    /// The file that is written.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        name(&self.base, self.active().0)
    }

    pub(crate) fn recording(&self) -> Option<&str> {
        self.recording.as_deref()
    }

    fn active(&self) -> (u32, u64) {
        self.files.last().copied().unwrap_or((1, 0))
    }

    /// Size of all files, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }

    /// Whether the next segment belongs into another file.
    pub(crate) fn is_full(&self) -> bool {
        let size = self.active().1;
        let is_old = self.limits.time.is_some_and(|time: Duration| self.since.elapsed() >= time);
        size > 0 && (is_old || size >= self.limits.file_size())
    }

    /// Begins another file.
    pub(crate) fn rotate(&mut self) -> Result<(), Error> {
        let number = self.active().0 + 1;
        let path = name(&self.base, number);
        if path.exists() {
            return Err(Error::new(&path, "it exists, and stays as it is"));
        }
        let file = open_locked(&path)?;
        // The file must be on the disk before the next one, which continues it.
        let _ = self.file.sync_data();
        self.keep();
        (self.file, self.since) = (file, Instant::now());
        self.files.push((number, 0));
        Ok(())
    }

    /// Appends whole blocks that stay.
    pub(crate) fn write(&mut self, blocks: &[u8]) -> io::Result<()> {
        self.keep();
        self.rewrite(blocks)?;
        self.keep();
        Ok(())
    }

    /// What was written stays.
    pub(crate) fn keep(&mut self) {
        self.tail.clear();
    }

    /// Writes whole blocks in place of those that were written since [`keep`](Self::keep). After an error the file is
    /// as before, as far as the system allows.
    pub(crate) fn rewrite(&mut self, blocks: &[u8]) -> io::Result<()> {
        #[cfg(test)] // as a full disk
        if self.is_broken {
            return Err(io::Error::other("the test has no room"));
        }
        let (less, more) = (self.tail.len() as u64, blocks.len() as u64);
        if let Some(quota) = self.limits.quota {
            while self.size() - less + more > quota && self.files.len() > 1 {
                let (number, _) = self.files[0];
                match std::fs::remove_file(name(&self.base, number)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => drop(self.files.remove(0)),
                }
            }
            if self.size() - less + more > quota {
                return Err(io::Error::other("the quota has no room"));
            }
        }
        let size = self.active().1;
        let start = size - less;
        if let Err(error) = write_at(&mut self.file, start, blocks) {
            let _ = write_at(&mut self.file, start, &self.tail);
            let _ = self.file.set_len(size);
            return Err(error);
        }
        if more < less {
            self.file.set_len(start + more)?;
        }
        if let Some((_, size)) = self.files.last_mut() {
            *size = start + more;
        }
        self.tail = blocks.to_vec();
        Ok(())
    }

    pub(crate) fn sync(&self) {
        let _ = self.file.sync_data();
    }
}

fn write_at(file: &mut File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}
