//! Reading of recordings.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mmstats_history::{Clock, Days, History, Moment, Sampler};

use crate::bgzf;
use crate::error::{Error, open};
use crate::index::{Cut, Index, Segment, no_block};
use crate::state::{MAX_LINE, State, Takes};

/// A recording: one file, or several that a recorder has rotated.
///
/// ```no_run
/// use mmstats_recording::Recording;
///
/// # fn main() -> Result<(), mmstats_recording::Error> {
/// let recording = Recording::open(["web.jsonl.gz"])?;
/// let mut frames = recording.frames();
/// while let Some(state) = frames.next()? {
///     for program in state.programs() {
///         for total in program.totals() {
///             println!("{:?} {}: {:?}", state.time(), total.field.label, total.reading.value);
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recording {
    files: Vec<Part>,
    from: SystemTime,
    to: SystemTime,
}

/// Number of a file, and of a segment in it.
pub(crate) type Place = (usize, usize);

#[derive(Debug)]
struct Part {
    path: PathBuf,
    index: Index,
}

impl Recording {
    /// Opens files; their order does not matter.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or is no recording. A file whose end is cut is no error: see [`cuts`](Self::cuts).
    pub fn open<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, Error> {
        let mut files = Vec::new();
        for path in paths {
            let path = path.as_ref().to_owned();
            let mut file = open(&path)?;
            let index = Index::new(&path, &mut file)?;
            if index.segments.is_empty() {
                return Err(no_block(&path));
            }
            files.push(Part { path, index });
        }
        if files.is_empty() {
            return Err(Error::new(Path::new(""), "no file is named"));
        }
        let mut recording = Self { files, from: UNIX_EPOCH, to: UNIX_EPOCH };
        recording.sort()?;
        let mut first = recording.frames();
        recording.from = match first.next()? {
            Some(state) => state.time(),
            None => return Err(Error::new(&recording.files[0].path, "it has no look")),
        };
        recording.to = recording.from;
        let last = recording.files.len() - 1;
        let segments = recording.files[last].index.segments.len();
        // The last segment may have been cut before its first line ended.
        for segment in (segments.saturating_sub(2)..segments).rev() {
            let mut frames = recording.start((last, segment));
            let mut end = None;
            while let Ok(Some(state)) = frames.next() {
                end = Some(state.time());
            }
            if let Some(end) = end {
                recording.to = end;
                break;
            }
        }
        Ok(recording)
    }

    /// Brings the files into the order of time: runs of the recorder by the time of day, the files of a run by
    /// its own clock, which is finer and never goes back.
    fn sort(&mut self) -> Result<(), Error> {
        let mut begins = Vec::with_capacity(self.files.len());
        let mut runs: HashMap<String, u32> = HashMap::new();
        for (number, part) in self.files.iter().enumerate() {
            let mut frames = self.start((number, 0));
            frames.next()?;
            let (run, clock) = frames.state.moment();
            let time = part.index.segments.first().map_or(0, |segment| segment.time);
            let since = runs.entry(run.to_owned()).or_insert(time);
            *since = time.min(*since);
            begins.push((run.to_owned(), clock));
        }
        let key = |(run, clock): &(String, u64)| (runs.get(run).copied(), run.clone(), *clock);
        let mut parts: Vec<_> = begins.iter().map(key).zip(self.files.drain(..)).collect();
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.files = parts.into_iter().map(|(_, part)| part).collect();
        Ok(())
    }

    /// Times of the first and of the last look.
    #[must_use]
    pub const fn span(&self) -> (SystemTime, SystemTime) {
        (self.from, self.to)
    }

    /// The files, in the order of time.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|part| part.path.as_path())
    }

    /// The files whose end is cut, and what is left out.
    pub fn cuts(&self) -> impl Iterator<Item = (&Path, &Cut)> {
        self.files.iter().filter_map(|part| Some((part.path.as_path(), part.index.cut.as_ref()?)))
    }

    /// All looks.
    #[must_use]
    pub fn frames(&self) -> Frames<'_> {
        self.start((0, 0))
    }

    /// The looks from the last one at or before `time`, or from the first one if all are later. Only the segment
    /// around `time` is read to find it. [`State::at`] counts from the beginning of that segment.
    ///
    /// # Errors
    ///
    /// If that segment cannot be read.
    pub fn frames_from(&self, time: SystemTime) -> Result<Frames<'_>, Error> {
        let place = self.segment_before(time);
        // How many looks of the segment are not later.
        let (mut looks, mut frames) = (0_usize, self.start(place));
        let mut found = 0;
        while let Some(state) = frames.next()? {
            looks += 1;
            if state.time() > time {
                break;
            }
            found = looks;
        }
        let mut frames = self.start(place);
        for _ in 1..found {
            frames.next()?;
        }
        Ok(frames)
    }

    /// The programs as of the last look at or before `time`; `None` if the first one is later.
    ///
    /// # Errors
    ///
    /// If the segment around `time` cannot be read.
    pub fn at(&self, time: SystemTime) -> Result<Option<State>, Error> {
        let mut frames = self.frames_from(time)?;
        Ok(frames.next()?.filter(|state| state.time() <= time).cloned())
    }

    /// A sampler that stands still at the end of the recording, with the looks from `from` to `to`. Its past takes
    /// `budget` bytes.
    ///
    /// # Errors
    ///
    /// If a segment cannot be read.
    pub fn sampler(
        &self,
        budget: usize,
        from: Option<SystemTime>,
        to: Option<SystemTime>,
    ) -> Result<Sampler, Error> {
        self.sampler_and_segments(budget, from, to).map(|(sampler, _)| sampler)
    }

    /// As [`sampler`](Self::sampler), and the segments with the moments of their first looks.
    pub(crate) fn sampler_and_segments(
        &self,
        budget: usize,
        from: Option<SystemTime>,
        to: Option<SystemTime>,
    ) -> Result<(Sampler, Vec<(Moment, Place)>), Error> {
        let mut history = History::new(budget);
        let mut frames = match from {
            Some(from) => self.frames_from(from)?,
            None => self.frames(),
        };
        frames.state.take(Takes::Fields);
        let mut segments: Vec<(Moment, Place)> = Vec::new();
        let (mut looks, mut end, mut days): (u64, Option<Moment>, _) = (0, None, Days::default());
        while frames.advance()? {
            let state = &frames.state;
            if to.is_some_and(|to| state.time() > to) {
                break;
            }
            if segments.last().is_none_or(|(_, place)| *place != frames.place) {
                segments.push((frames.begin, frames.place));
            }
            if let Some(before) = end.filter(|before| state.is_after_gap(*before)) {
                history.record_absence(before.after(state.every()), |_| false);
            }
            state.record(&mut history);
            looks += 1;
            if looks % 64 == 0 {
                history.fit();
            }
            end = Some(state.at());
            days.take(state.at(), state.time());
        }
        history.fit();
        if end.is_none() {
            days.take(Moment::default(), self.from);
        }
        let clock = Clock::still(days, end.unwrap_or_default());
        Ok((Sampler::still(history, clock), segments))
    }

    /// The looks of the segment there, without fields; the first one is at `at`.
    pub(crate) fn threads_of(&self, place: Place, at: Moment) -> Frames<'_> {
        let mut frames = self.start(place);
        frames.state = State::new(Takes::Threads, at);
        frames
    }

    /// The last segment whose first line is not later than `time`.
    fn segment_before(&self, time: SystemTime) -> Place {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut place = (0, 0);
        for (file, part) in self.files.iter().enumerate() {
            for (segment, Segment { time, .. }) in part.index.segments.iter().enumerate() {
                if u64::from(*time) < seconds {
                    place = (file, segment);
                }
            }
        }
        place
    }

    fn start(&self, place: Place) -> Frames<'_> {
        Frames {
            recording: self,
            place,
            file: None,
            offset: None,
            block: 0,
            text: Vec::new(),
            lines: VecDeque::new(),
            line: 0,
            begin: Moment::default(),
            state: State::default(),
        }
    }
}

/// The looks of a recording, one after the other.
#[derive(Debug)]
pub struct Frames<'a> {
    recording: &'a Recording,
    place: Place,
    file: Option<(usize, File)>,
    /// Offset of the next block; `None` before the first of the segment.
    offset: Option<u64>,
    /// Offset of the block that was read last.
    block: u64,
    /// The beginning of a line.
    text: Vec<u8>,
    /// Whole lines that were read.
    lines: VecDeque<String>,
    line: u64,
    /// The moment of the first look of the segment.
    begin: Moment,
    state: State,
}

impl Frames<'_> {
    /// The next look; `None` after the last one. A line that was cut at the end of a segment is left out.
    ///
    /// # Errors
    ///
    /// If a block or a line is damaged. The next call continues with the segment after it.
    #[allow(clippy::should_implement_trait)] // A look is lent, not given away.
    pub fn next(&mut self) -> Result<Option<&State>, Error> {
        Ok(if self.advance()? { Some(&self.state) } else { None })
    }

    /// All programs, as of the look.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// The segment of the look.
    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// Goes to the next look. Returns whether there is one.
    fn advance(&mut self) -> Result<bool, Error> {
        loop {
            match self.step() {
                Ok(Some(true)) => return Ok(true),
                Ok(Some(false)) => {}
                Ok(None) => return Ok(false),
                Err(error) => {
                    self.next_segment();
                    return Err(error);
                }
            }
        }
    }

    pub(crate) fn recording_id(&self) -> &str {
        self.state.recording()
    }

    /// Takes in a line. Returns whether it is a look; `None` at the end.
    fn step(&mut self) -> Result<Option<bool>, Error> {
        while self.lines.is_empty() {
            let Some(part) = self.recording.files.get(self.place.0) else { return Ok(None) };
            let Some(segment) = part.index.segments.get(self.place.1) else {
                self.place = (self.place.0 + 1, 0);
                continue;
            };
            let offset = self.offset.unwrap_or(segment.start);
            if offset >= segment.end {
                self.next_segment();
                continue;
            }
            self.read(part, offset)?;
        }
        let Some(line) = self.lines.pop_front() else { return Ok(Some(false)) };
        self.line += 1;
        let applied = self.state.apply(&line, self.line == 1);
        if self.line == 1 {
            self.begin = self.state.at();
        }
        applied.map(Some).map_err(|message| self.error(message))
    }

    fn next_segment(&mut self) {
        self.place.1 += 1;
        (self.offset, self.line) = (None, 0);
        self.text.clear();
        self.lines.clear();
    }

    /// Reads the block at `offset`.
    fn read(&mut self, part: &Part, offset: u64) -> Result<(), Error> {
        if self.file.as_ref().is_none_or(|(number, _)| *number != self.place.0) {
            self.file = Some((self.place.0, open(&part.path)?));
        }
        let Some((_, file)) = &mut self.file else { return Ok(()) };
        let mut block = vec![0; bgzf::HEADER];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut block));
        let header = block.as_slice().try_into().ok().and_then(bgzf::header);
        let Some(header) = header.filter(|_| read.is_ok()) else {
            return Err(Error::new(&part.path, "it was changed while it was read"));
        };
        block.resize(header.size as usize, 0);
        let rest = block.get_mut(bgzf::HEADER..).unwrap_or_default();
        file.read_exact(rest).map_err(|error| Error::io(&part.path, "read it", &error))?;
        (self.offset, self.block) = (Some(offset), offset);
        // Only new text is searched for the end of a line.
        let before = self.text.len();
        let result = bgzf::decompress(&block, &mut self.text);
        result.map_err(|message| self.error(message))?;
        self.offset = Some(offset + u64::from(header.size));
        let new = self.text.get(before..).unwrap_or_default();
        if let Some(end) = new.iter().rposition(|byte| *byte == b'\n') {
            let end = before + end;
            let rest = self.text.split_off(end + 1);
            let whole = std::mem::replace(&mut self.text, rest);
            match String::from_utf8(whole) {
                Ok(text) => self.lines.extend(text.lines().map(str::to_owned)),
                Err(_) => return Err(self.error("a line is not UTF-8")),
            }
        } else if self.text.len() > MAX_LINE {
            return Err(self.error("a line is longer than 64 MiB"));
        }
        Ok(())
    }

    fn error(&self, message: impl Into<String>) -> Error {
        let path = self.recording.files.get(self.place.0).map(|part| part.path.as_path());
        let place = Some((self.block, self.line));
        Error { place, ..Error::new(path.unwrap_or(Path::new("")), message) }
    }
}
