//! Finds files and keeps them mapped.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::backend::FileId;

use super::sources::{Listing, Reason, Sources};
use crate::file::{File, FileRefresh};
use crate::format::CheckBuffer;
use crate::identity::{FileState, Instance};
use crate::problem::Problem;
use crate::sum::Program;

/// Default number of files that are kept open: half of the limit of the process.
fn default_handles() -> usize {
    let limit = crate::backend::process::open_files().unwrap_or(u64::MAX);
    usize::try_from(limit / 2).unwrap_or(usize::MAX)
}

/// Finds published files, and follows them from refresh to refresh.
///
/// Files stay mapped between refreshes, so reading their values again takes no system call. A
/// truncated, replaced, removed or hostile file is reported, and the others are still read. A
/// handler for SIGBUS is installed, to survive truncation while a file is read
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
    /// Files that are not shown: of other processes than those asked for, and copies.
    others: Vec<File>,
    directories: Vec<PathBuf>,
    problems: Vec<Problem>,
    next_key: u64,
    buffer: CheckBuffer,
}

/// The changes since the refresh before.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// Number of new files; a replaced file is new and vanished.
    pub added: usize,
    /// Number of files with new or newly retired fields.
    pub grown: usize,
    /// Number of files whose state changed.
    pub changed: usize,
    /// Files whose name is gone or refers to another file. They are still mapped: their last
    /// values can be read.
    pub vanished: Vec<File>,
}

impl Changes {
    /// Whether only values changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added == 0 && self.grown == 0 && self.changed == 0 && self.vanished.is_empty()
    }
}

impl Observer {
    /// An observer of these sources, before the first refresh: without files.
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

    /// Sets the number of files that are kept open, besides being mapped. The check of their
    /// lock and size is one system call; other files are opened by name for each check, which
    /// takes three times as long.
    ///
    /// The default is half of the number of files that the process may open, which a tool may
    /// raise first: [`crate::backend::process::raise_open_files`].
    pub const fn keep_handles(&mut self, count: usize) {
        self.handles = Some(count);
    }

    /// Finds new, replaced and vanished files, new and retired fields, and judges which writers
    /// live.
    ///
    /// Never fails: see [`problems`](Self::problems).
    pub fn refresh(&mut self) -> Changes {
        let listing = Listing::new(&self.sources);
        let shown = self.files.drain(..).map(|file| (true, file));
        let hidden = self.others.drain(..).map(|file| (false, file));
        let mut previous = Previous::new(shown.chain(hidden));
        self.buffer.total = previous.metadata_size();
        let mut changes = Changes::default();
        let mut ids = HashSet::new();
        let mut handles = previous.handles();
        let limit = self.handles.unwrap_or_else(default_handles);
        self.problems = listing.problems;
        self.directories = listing.directories;

        for (path, reason) in listing.candidates {
            let file = match previous.take(&path) {
                Some((shown, file)) => self.refresh_file(file, shown, reason, &mut changes),
                None => self.open(&path, reason),
            };
            let Some((mut file, new)) = file else { continue };
            // A file with two names, or two spellings of one path, is shown once. An index of 0
            // means that the system does not number files.
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
                if handles >= limit {
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
        self.hide_copies();
        changes.vanished.extend(previous.into_shown());
        self.report_missing_pids();
        self.buffer.shrink();
        changes
    }

    /// Hides copies: files with the instance and part of another file, which would double sums.
    /// The live file stays, else the first; the others are reported.
    fn hide_copies(&mut self) {
        let mut best: HashMap<(Instance, u32), (FileId, bool)> = HashMap::new();
        for file in &self.files {
            let Some(key) = file.instance_part() else { continue };
            let this = (file.id(), file.state() == FileState::Live);
            let best = best.entry(key).or_insert(this);
            if this.1 && !best.1 {
                *best = this;
            }
        }
        let is_copy = |file: &mut File| {
            let best = file.instance_part().and_then(|key| best.get(&key));
            best.is_some_and(|(id, _)| *id != file.id())
        };
        let copies: Vec<File> = self.files.extract_if(.., is_copy).collect();
        for copy in copies {
            let message =
                "another file is the same part of the same program, and is counted instead";
            let problem = Problem::new(copy.path(), "copy", message);
            self.problems.push(Problem { named: copy.named(), ..problem });
            self.others.push(copy);
        }
    }

    /// Refreshes a file of the refresh before; returns the file that has its name now, and
    /// whether it is new.
    fn refresh_file(
        &mut self,
        mut file: File,
        shown: bool,
        reason: Reason,
        changes: &mut Changes,
    ) -> Option<(File, bool)> {
        match file.refresh(&mut self.buffer) {
            Ok(FileRefresh::Same { grown, changed }) => {
                changes.grown += usize::from(grown && shown);
                changes.changed += usize::from(changed && shown);
                return Some((file, false));
            }
            Ok(FileRefresh::Gone) => {}
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
        // A listed file may be removed before it is opened; an unreadable file is not known to
        // be of a process that is asked for.
        let expected = !problem.named && problem.code == "not-found";
        if !expected && reason != Reason::IfPid {
            self.problems.push(problem);
        }
    }

    fn is_asked_for(&self, file: &File) -> bool {
        file.identity().pid.is_some_and(|pid| self.sources.pids().contains(&pid))
    }

    fn report_missing_pids(&mut self) {
        for pid in self.sources.pids() {
            if !self.files.iter().any(|file| file.identity().pid == Some(*pid)) {
                let path = PathBuf::from(pid.to_string());
                let message = "no file of this process was found";
                let problem = Problem::new(&path, "no-such-pid", message);
                self.problems.push(Problem { named: true, ..problem });
            }
        }
    }

    /// The files as of the last refresh, those of each directory by name.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The files, grouped into programs.
    #[must_use]
    pub fn programs(&self) -> Vec<Program<'_>> {
        Program::group(&self.files)
    }

    /// Problems of paths and directories at the last refresh, and of files that cannot be read
    /// now. A file that is not complete yet is a problem only if the user named it.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let of_file = |file: &'_ File| file.named() || file.state() != FileState::Building;
        let files = self.files.iter().filter(move |file| of_file(file)).filter_map(File::problem);
        self.problems.iter().chain(files)
    }

    /// The directories that the last refresh searched.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }
}

/// The files of the refresh before, each with whether it was shown.
struct Previous {
    files: Vec<Option<(bool, File)>>,
    /// Index of the next file, if nothing has changed.
    next: usize,
    /// Index by path; made when a file is not at `next`.
    by_path: Option<HashMap<PathBuf, usize>>,
}

impl Previous {
    fn new(files: impl Iterator<Item = (bool, File)>) -> Self {
        Self { files: files.map(Some).collect(), next: 0, by_path: None }
    }

    /// Number of files that are kept open.
    fn handles(&self) -> usize {
        self.files.iter().flatten().filter(|(_, file)| file.has_handle()).count()
    }

    /// Size of the metadata of all files, in bytes.
    fn metadata_size(&self) -> u64 {
        self.files.iter().flatten().map(|(_, file)| file.metadata_size()).sum()
    }

    /// Takes the file with this path.
    fn take(&mut self, path: &Path) -> Option<(bool, File)> {
        let is = |slot: &Option<(bool, File)>| {
            slot.as_ref().is_some_and(|(_, file)| file.path() == path)
        };
        let index = if self.files.get(self.next).is_some_and(is) {
            self.next
        } else {
            let files = &self.files;
            let by_path = self.by_path.get_or_insert_with(|| {
                let path = |slot: &Option<(bool, File)>| {
                    slot.as_ref().map(|(_, file)| file.path().to_owned())
                };
                let indexed = files.iter().enumerate();
                indexed.filter_map(|(index, slot)| Some((path(slot)?, index))).collect()
            });
            *by_path.get(path)?
        };
        self.next = index + 1;
        self.files.get_mut(index)?.take()
    }

    /// The shown files that were not taken.
    fn into_shown(self) -> impl Iterator<Item = File> {
        self.files.into_iter().flatten().filter(|(shown, _)| *shown).map(|(_, file)| file)
    }
}
