//! Finds files, keeps them mapped, and notices what becomes of them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::backend::FileId;

use super::sources::{Listing, Reason, Sources};
use crate::file::{File, Refreshed};
use crate::format::CheckBuffer;
use crate::identity::{Instance, State};
use crate::problem::Problem;
use crate::totals::Program;

/// How many files are kept open, unless told otherwise: half of what the process may.
fn default_handles() -> usize {
    let limit = crate::backend::process::open_files().unwrap_or(u64::MAX);
    usize::try_from(limit / 2).unwrap_or(usize::MAX)
}

/// Looks at published files, again and again.
///
/// Files stay mapped between refreshes, so reading their values again costs no system
/// call. Nothing that happens to a file ends the observer: what is truncated, replaced,
/// removed or hostile is reported and the others are still read. To survive a file that
/// is truncated while it is read, a handler for SIGBUS is installed
/// ([`crate::backend::fault_handler`]).
///
/// ```no_run
/// use mmstats_observe::{Observer, Sources};
///
/// let mut observer = Observer::new(Sources::new());
/// observer.refresh();
/// for file in observer.files() {
///     println!("{} is {}", file.path().display(), file.state());
///     for (field, reading) in file.fields().zip(file.values()) {
///         println!("  {:?} {:?} {}", field.label(), reading.value, reading.verdict);
///     }
/// }
/// for problem in observer.problems() {
///     eprintln!("{problem}");
/// }
/// ```
#[derive(Debug)]
pub struct Observer {
    sources: Sources,
    handles: Option<usize>,
    files: Vec<File>,
    /// Files that are not of the processes asked for.
    others: Vec<File>,
    directories: Vec<PathBuf>,
    problems: Vec<Problem>,
    next_key: u64,
    buffer: CheckBuffer,
}

/// What a refresh brought.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// How many files are new; a replaced one is new and vanished.
    pub added: usize,
    /// How many files have new or newly retired fields.
    pub grown: usize,
    /// How many files changed their state.
    pub changed: usize,
    /// Files whose name is gone or refers to another file. They are still mapped, so that
    /// their last values can be read.
    pub vanished: Vec<File>,
}

impl Changes {
    /// Whether nothing changed but values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added == 0 && self.grown == 0 && self.changed == 0 && self.vanished.is_empty()
    }
}

impl Observer {
    /// An observer of these sources, which has looked at nothing yet.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self {
            sources,
            handles: None,
            files: Vec::new(),
            others: Vec::new(),
            directories: Vec::new(),
            problems: Vec::new(),
            next_key: 1,
            buffer: CheckBuffer::default(),
        }
    }

    /// Sets how many files are kept open, besides being mapped, so that each look at the
    /// lock and at the size is one system call. Files above that number are looked for
    /// by name again each time, which takes three times as long.
    ///
    /// Without this it is half of what the process may have open; a tool may raise that
    /// limit first: [`crate::backend::process::raise_open_files`].
    pub const fn keep_handles(&mut self, count: usize) {
        self.handles = Some(count);
    }

    /// Looks again at all sources: finds new, replaced and vanished files, new and retired
    /// fields, and judges who lives.
    ///
    /// Never fails: see [`problems`](Self::problems).
    pub fn refresh(&mut self) -> Changes {
        let listing = Listing::of(&self.sources);
        let shown = self.files.drain(..).map(|file| (true, file));
        let hidden = self.others.drain(..).map(|file| (false, file));
        let mut known = Known::of(shown.chain(hidden));
        self.buffer.set_total(known.metadata_size());
        let mut changes = Changes::default();
        let mut ids = HashSet::new();
        let mut handles = known.handles();
        let most = self.handles.unwrap_or_else(default_handles);
        self.problems = listing.problems;
        self.directories = listing.directories;

        for (path, reason) in listing.candidates {
            let file = match known.take(&path) {
                Some((shown, file)) => self.look_again(file, shown, reason, &mut changes),
                None => self.open(&path, reason),
            };
            let Some((mut file, new)) = file else { continue };
            // One file by two names, or two spellings of one path, is looked at once. An
            // index of 0 means that the system gives files none.
            let id = file.id();
            if id.index != 0 && !ids.insert(id) {
                if let Some(same) = self.files.iter_mut().find(|other| other.id() == id)
                    && reason == Reason::Named
                {
                    same.set_named();
                }
                continue;
            }
            if !file.count_handle() {
                if handles >= most {
                    file.close_handle();
                }
                handles += usize::from(file.has_handle());
            }
            if reason != Reason::IfPid || self.is_asked_for(&file) {
                changes.added += usize::from(new);
                self.files.push(file);
            } else {
                self.others.push(file);
            }
        }
        self.set_copies_aside();
        changes.vanished.extend(known.rest());
        self.look_for_pids();
        self.buffer.shrink();
        changes
    }

    /// A copy of a file says that it is the same part of the same program; counted twice, it
    /// would double the sums. The live one is shown, else the first; of the others is told.
    fn set_copies_aside(&mut self) {
        let mut best: HashMap<(Instance, u32), (FileId, bool)> = HashMap::new();
        for file in &self.files {
            let Some(instance) = file.instance() else { continue };
            let this = (file.id(), file.state() == State::Live);
            let best = best.entry((instance, file.part())).or_insert(this);
            if this.1 && !best.1 {
                *best = this;
            }
        }
        let is_copy = |file: &mut File| {
            let key = file.instance().map(|instance| (instance, file.part()));
            key.and_then(|key| best.get(&key)).is_some_and(|(id, _)| *id != file.id())
        };
        let copies: Vec<File> = self.files.extract_if(.., is_copy).collect();
        for copy in copies {
            let message =
                "another file is the same part of the same program: it is not counted twice";
            let mut problem = Problem::new(copy.path(), "copy", message);
            problem.named = copy.named();
            self.problems.push(problem);
            self.others.push(copy);
        }
    }

    /// Looks at a file that was there before; says whether another one is there now.
    fn look_again(
        &mut self,
        mut file: File,
        shown: bool,
        reason: Reason,
        changes: &mut Changes,
    ) -> Option<(File, bool)> {
        match file.refresh(&mut self.buffer) {
            Ok(Refreshed::Same { grown, changed }) => {
                changes.grown += usize::from(grown && shown);
                changes.changed += usize::from(changed && shown);
                return Some((file, false));
            }
            Ok(Refreshed::Gone) => {}
            Err(problem) => self.note(problem, reason),
        }
        let again = self.open(file.path(), reason);
        if shown {
            changes.vanished.push(file);
        }
        again
    }

    fn open(&mut self, path: &Path, reason: Reason) -> Option<(File, bool)> {
        let key = self.next_key;
        self.next_key = key.wrapping_add(1);
        match File::open(path, reason == Reason::Named, key, &mut self.buffer) {
            Ok(file) => Some((file, true)),
            Err(problem) => {
                self.note(problem, reason);
                None
            }
        }
    }

    fn note(&mut self, problem: Problem, reason: Reason) {
        let problem = Problem { named: reason == Reason::Named, ..problem };
        // A name that was listed and is gone before it was opened is nobody's fault, and
        // what cannot be read is not known to be of a process that is asked for.
        let expected = !problem.named && problem.code == "not-found";
        if !expected && reason != Reason::IfPid {
            self.problems.push(problem);
        }
    }

    fn is_asked_for(&self, file: &File) -> bool {
        file.identity().pid.is_some_and(|pid| self.sources.pids().contains(&pid))
    }

    fn look_for_pids(&mut self) {
        for pid in self.sources.pids() {
            if !self.files.iter().any(|file| file.identity().pid == Some(*pid)) {
                let path = PathBuf::from(pid.to_string());
                let message = "no file says that it is of this process";
                let problem = Problem::new(&path, "no-such-pid", message);
                self.problems.push(Problem { named: true, ..problem });
            }
        }
    }

    /// The files, those of each directory by name, as of the last refresh.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The files grouped into programs.
    #[must_use]
    pub fn programs(&self) -> Vec<Program<'_>> {
        Program::group(&self.files)
    }

    /// What is wrong now: with names and directories at the last refresh, and with files
    /// of which nothing is shown. Files that are not complete yet are no problem unless
    /// the user named them.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let of_file = |file: &'_ File| file.named() || file.state() != State::Building;
        let files = self.files.iter().filter(move |file| of_file(file)).filter_map(File::problem);
        self.problems.iter().chain(files)
    }

    /// The directories that the last refresh looked at.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }
}

/// The files of the refresh before, and whether each was shown.
struct Known {
    files: Vec<Option<(bool, File)>>,
    /// Where the next one is, if nothing has changed.
    next: usize,
    /// Made when the first file is not where it was.
    places: Option<HashMap<PathBuf, usize>>,
}

impl Known {
    fn of(files: impl Iterator<Item = (bool, File)>) -> Self {
        Self { files: files.map(Some).collect(), next: 0, places: None }
    }

    fn handles(&self) -> usize {
        self.files.iter().flatten().filter(|(_, file)| file.has_handle()).count()
    }

    /// Size of the metadata of all files, in bytes.
    fn metadata_size(&self) -> u64 {
        self.files.iter().flatten().map(|(_, file)| file.metadata_size()).sum()
    }

    fn take(&mut self, path: &Path) -> Option<(bool, File)> {
        let is = |slot: &Option<(bool, File)>| {
            slot.as_ref().is_some_and(|(_, file)| file.path() == path)
        };
        let place = if self.files.get(self.next).is_some_and(is) {
            self.next
        } else {
            let files = &self.files;
            let places = self.places.get_or_insert_with(|| {
                let path = |slot: &Option<(bool, File)>| {
                    slot.as_ref().map(|(_, file)| file.path().to_owned())
                };
                let places = files.iter().enumerate();
                places.filter_map(|(place, slot)| Some((path(slot)?, place))).collect()
            });
            *places.get(path)?
        };
        self.next = place + 1;
        self.files.get_mut(place)?.take()
    }

    /// The shown ones that were not taken.
    fn rest(self) -> impl Iterator<Item = File> {
        self.files.into_iter().flatten().filter(|(shown, _)| *shown).map(|(_, file)| file)
    }
}
