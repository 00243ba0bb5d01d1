//! Writes looks into files.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mmstats_history::{Frame, Moment, OnFrame, OnLook, ProgramKey};
use mmstats_json::{FileHead, to_text};
use mmstats_observe::Program;

use crate::bgzf::{END, MAX_DATA, compress};
use crate::encoder::{Encoder, Others, Session, start};
use crate::looker::{EVERY, Looker};
use crate::state::MAX_LINE;
use crate::store::Store;
use crate::time;

/// Time between two writes: less than half of the second that may be lost.
const FLUSH: Duration = Duration::from_millis(450);
/// Time of a block, which each write replaces by a longer one: short blocks compress badly. A file that is cut loses
/// its last block.
const BLOCK: Duration = Duration::from_millis(700);
/// Maximum time of a segment, and maximum size of its lines after the keyframe.
const SEGMENT: Duration = Duration::from_secs(60);
const SEGMENT_SIZE: usize = 8 << 20;
/// Lines that wait for a write, in bytes.
const MAX_PENDING: usize = 4 << 20;

/// Records every look of a sampler.
#[derive(Debug, Clone)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
    has_threads: bool,
}

/// Progress of a recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The file that is written.
    pub path: PathBuf,
    /// Size of all files, in bytes.
    pub size: u64,
    /// Number of recorded looks.
    pub looks: u64,
    /// Number of looks that could not be recorded.
    pub lost: u64,
    /// Number of looks at the threads of a program that were due and not made, for want of time or room.
    pub threads_left_out: u64,
    /// Why nothing can be written at present.
    pub problem: Option<String>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    encoder: Encoder,
    session: Session,
    /// What the next look knows besides fields.
    others: Others,
    /// Size of the texts about threads since the last look at threads, in bytes.
    threads_size: usize,
    threads_left_out: u64,
    /// Lines of the last block of the file, which the next write replaces, and time of the first of them.
    block: String,
    first: SystemTime,
    since: Instant,
    /// Lines that are not written, and how many looks they are.
    pending: String,
    pending_looks: u64,
    written: Instant,
    looked: Instant,
    segment: Option<Instant>,
    segment_size: usize,
    /// Size of the keyframe in it.
    keyframe_size: usize,
    looks: u64,
    lost: u64,
    /// Why the last write failed, and the last look before it.
    problem: Option<(String, SystemTime)>,
    last: (Moment, SystemTime),
    /// The last look that is in a file.
    last_written: SystemTime,
}

impl Recorder {
    /// A recorder of a sampler that looks each `every`. `tool` is the name and version of the program.
    #[must_use]
    pub fn new(store: Store, every: Duration, tool: &str) -> Self {
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let run = format!("{since:x}-{:x}", std::process::id());
        let recording = store.recording().map_or_else(|| run.clone(), str::to_owned);
        let (every, tool) = (every.as_secs_f64(), tool.to_owned());
        let session = Session { recording, run, every, threads_every: None, tool };
        let inner = Inner {
            store,
            encoder: Encoder::default(),
            session,
            others: Others::default(),
            threads_size: 0,
            threads_left_out: 0,
            block: String::new(),
            first: now,
            since: Instant::now(),
            pending: String::new(),
            pending_looks: 0,
            written: Instant::now(),
            looked: Instant::now(),
            segment: None,
            segment_size: 0,
            keyframe_size: 0,
            looks: 0,
            lost: 0,
            problem: None,
            last: (Moment::default(), now),
            last_written: now,
        };
        Self { inner: Arc::new(Mutex::new(inner)), has_threads: true }
    }

    /// Leaves out what the threads of programs do. Call it before [`on_look`](Self::on_look).
    #[must_use]
    pub const fn without_threads(mut self) -> Self {
        self.has_threads = false;
        self
    }

    /// Takes the heads of programs, and what their threads do: of each program at most once a second, with a tenth of
    /// a processor and 64 KiB of text a second at most. `process` tells the state of the process of a program.
    #[must_use]
    pub fn on_look(
        &self,
        process: impl Fn(&Program<'_>) -> Option<&'static str> + Send + Sync + 'static,
    ) -> OnLook {
        let recorder = self.clone();
        let looker = self.has_threads.then(|| Mutex::new(self.looker()));
        OnLook::new(move |programs, at| {
            let time = SystemTime::now();
            let heads = programs.iter().filter_map(|(key, program)| {
                Some((*key, to_text(&FileHead::from_program(program, process(program))?)))
            });
            let heads: HashMap<ProgramKey, String> = heads.collect();
            // The recorder is not locked while files and the system are read.
            let threads = looker.as_ref().map_or_else(Vec::new, |looker| {
                let mut looker = looker.lock().unwrap_or_else(PoisonError::into_inner);
                let written = std::mem::take(&mut recorder.lock().threads_size);
                looker.look(programs, at, written)
            });
            recorder.lock().take(Others { heads, threads, time: Some(time) });
        })
    }

    /// Takes the looks.
    #[must_use]
    pub fn on_frame(&self) -> OnFrame {
        let recorder = self.clone();
        OnFrame::new(move |frame| recorder.record(frame))
    }

    /// Records a look.
    pub fn record(&self, frame: &Frame<'_>) {
        let mut inner = self.lock();
        let time = inner.others.time.take().unwrap_or_else(SystemTime::now);
        inner.record(frame, time);
    }

    /// The progress until now.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = self.lock();
        Status {
            path: inner.store.path(),
            size: inner.store.size(),
            looks: inner.looks,
            lost: inner.lost,
            threads_left_out: inner.threads_left_out,
            problem: inner.problem.as_ref().map(|(problem, _)| problem.clone()),
        }
    }

    /// Writes the pending lines, and ends the recording.
    pub fn finish(&self) {
        let mut inner = self.lock();
        let (at, now) = inner.last;
        if inner.segment.is_some() {
            let line = start(at, now) + ",\"end\":true}\n";
            inner.pending.push_str(&line);
            inner.write();
            inner.end_block();
            let _ = inner.store.write(&END);
        }
        inner.store.sync();
    }

    /// Looks at threads, which the keyframes say.
    fn looker(&self) -> Looker {
        let mut inner = self.lock();
        let every = Duration::try_from_secs_f64(inner.session.every).unwrap_or(EVERY);
        inner.session.threads_every = Some(every.max(EVERY).as_secs_f64());
        Looker::new(every)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes what the next look knows besides fields.
    fn take(&mut self, others: Others) {
        let left_out = others.threads.iter().map(|(_, looked)| looked.left_out).sum();
        self.threads_left_out = self.threads_left_out.saturating_add(left_out);
        self.others = others;
    }

    fn record(&mut self, frame: &Frame<'_>, now: SystemTime) {
        let is_old = self.segment.is_none_or(|since| since.elapsed() >= SEGMENT);
        let is_long = self.segment_size >= self.keyframe_size + SEGMENT_SIZE;
        if is_old || is_long || self.store.is_full() {
            self.write();
            self.end_block();
            self.begin(frame, now);
        } else {
            if self.block.is_empty() && self.pending.is_empty() {
                (self.first, self.since) = (now, Instant::now());
            }
            self.pending.push_str(&self.encoder.change(frame, &mut self.others, now));
            self.pending_looks += 1;
        }
        self.threads_size += self.encoder.threads_size();
        self.last = (frame.at, now);
        // Of a machine that is busy the looks are late.
        let every = Duration::try_from_secs_f64(self.session.every).unwrap_or_default();
        let next = every.max(self.looked.elapsed());
        self.looked = Instant::now();
        if self.written.elapsed() + next >= FLUSH || self.pending.len() >= MAX_PENDING {
            self.write();
        }
    }

    /// Begins a segment, in another file if this one is full.
    fn begin(&mut self, frame: &Frame<'_>, now: SystemTime) {
        if self.segment.is_some()
            && let Err(error) = self.store.write(&END)
        {
            self.fail(&error.to_string());
        }
        if self.store.is_full()
            && let Err(error) = self.store.rotate()
        {
            // The full file does not grow any more; the next look tries again.
            self.lost += 1;
            return self.fail(&error.to_string());
        }
        self.pending_looks = 1;
        let gap = self.problem.as_ref().map(|(reason, from)| {
            let (from, to) = (time::text(*from), time::text(now));
            format!("{{\"from\":{from},\"to\":{to},\"reason\":{}}}", to_text(reason))
        });
        let gap = gap.as_deref();
        self.pending = self.encoder.keyframe(frame, &mut self.others, now, (&self.session, gap));
        (self.first, self.since) = (now, Instant::now());
        (self.segment, self.segment_size) = (Some(self.since), 0);
        self.keyframe_size = self.pending.len();
    }

    /// Ends the block: further lines begin another one.
    fn end_block(&mut self) {
        self.block.clear();
        self.store.keep();
    }

    /// Writes the pending lines. If that fails they are lost, and the next segment records the gap.
    fn write(&mut self) {
        self.written = Instant::now();
        if self.pending.is_empty() {
            return;
        }
        let seconds = time::milliseconds(self.first) / 1000;
        let time = u32::try_from(seconds).unwrap_or(u32::MAX);
        let (looks, size) = (std::mem::take(&mut self.pending_looks), self.pending.len());
        let pending = std::mem::take(&mut self.pending);
        let is_long = size > MAX_LINE && pending.lines().any(|line| line.len() > MAX_LINE);
        self.block.push_str(&pending);
        let mut blocks = Vec::new();
        let result = match is_long {
            true => Err(io::Error::other("a look takes more than 64 MiB")),
            false => compress(self.block.as_bytes(), time, &mut blocks),
        };
        match result.and_then(|()| self.store.rewrite(&blocks)) {
            Ok(()) => {
                self.looks += looks;
                self.segment_size += size;
                self.problem = None;
                self.last_written = self.last.1;
                if self.block.len() > MAX_DATA || self.since.elapsed() >= BLOCK {
                    self.end_block();
                }
            }
            Err(error) => {
                self.lost += looks;
                self.end_block();
                self.fail(&error.to_string());
            }
        }
    }

    /// Ends the segment, so that no later line depends on lost ones.
    fn fail(&mut self, reason: &str) {
        self.segment = None;
        let from = self.problem.as_ref().map_or(self.last_written, |(_, from)| *from);
        self.problem = Some((reason.to_owned(), from));
    }
}

#[cfg(test)]
mod tests {
    use mmstats::{Lane, Publisher};
    use mmstats_history::{Options, Sampler};
    use mmstats_observe::Sources;

    use super::*;
    use crate::{Limits, Recording};

    #[test]
    fn full_disk_is_a_gap_of_the_recording() {
        let directory = tempfile::tempdir().unwrap();
        let stats = directory.path().join("stats");
        std::fs::create_dir(&stats).unwrap();
        let publisher = mmstats::Options::new().directory(&stats).start::<Lane>();
        let _publisher: Publisher<Lane> = publisher.unwrap();
        let file = directory.path().join("a.jsonl.gz");
        let every = Duration::from_millis(20);
        let store = Store::open(&file, Limits::default()).unwrap().0;
        let recorder = Recorder::new(store, every, "test");
        let mut options = Options::new(Sources::new().path(&stats));
        options.every = every;
        options.on_frame = Some(recorder.on_frame());
        let sampler = Sampler::start(options).unwrap();
        let wait = |is_done: &dyn Fn(&Status) -> bool| {
            let end = Instant::now() + Duration::from_secs(20);
            while !is_done(&recorder.status()) {
                assert!(Instant::now() < end, "{:?}", recorder.status());
                std::thread::sleep(Duration::from_millis(10));
            }
            recorder.status()
        };
        let looks = wait(&|status| status.looks > 0).looks;
        recorder.lock().store.is_broken = true;
        let status = wait(&|status| status.problem.is_some() && status.lost > 0);
        assert!(status.problem.is_some_and(|problem| problem.contains("no room")));
        recorder.lock().store.is_broken = false;
        wait(&|status| status.problem.is_none() && status.looks > looks + 20);
        drop(sampler);
        recorder.finish();
        let status = recorder.status();
        let recording = Recording::open([&file]).unwrap();
        let (mut frames, mut found, mut gaps) = (recording.frames(), 0, Vec::new());
        while let Some(state) = frames.next().unwrap() {
            found += 1;
            gaps.extend(state.gap().cloned());
        }
        assert_eq!((found, gaps.len()), (status.looks, 1));
        let lost = gaps[0].to.duration_since(gaps[0].from).unwrap();
        assert!(lost >= Duration::from_millis(20 * status.lost / 2), "{lost:?} {status:?}");
        assert!(gaps[0].reason.contains("no room"));
    }
}
