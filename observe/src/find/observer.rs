//! Finds files and keeps them mapped.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ledgers::{self, Ledgers, Newest};
use super::previous::Previous;
use super::shares::{Holder, SMALL, Shares};
use super::sources::{Candidate, Listing, Places, Reason, Sources};
use crate::backend::FileId;
use crate::backend::directory::environment;
use crate::file::{File, FileRefresh};
use crate::format::Allowance;
use crate::identity::{FileState, ProgramId};
use crate::problem::{NotFound, Problem};
use crate::sum::Program;

/// Default number of files that are kept open: half of the limit of the process.
fn default_handles() -> usize {
    let limit = crate::backend::process::open_files().unwrap_or(u64::MAX);
    usize::try_from(limit / 2).unwrap_or(usize::MAX)
}

/// Maximum number of files that stay mapped: a quarter of the usual limit of the system.
const MAX_MAPPED: usize = 16_384;
/// Maximum size of the files that stay mapped together, in bytes: their pages, or copies of files
/// with holes, are memory of this process.
const MAX_MAPPED_BYTES: u64 = 256 << 20;
/// Number of new files from which live ones are looked for first.
const MANY: usize = 2_000;
/// Pauses before a program from which parts are missing is looked at again: it may be starting,
/// opening a part, or ending.
const PAUSES: [u64; 5] = [1, 2, 5, 10, 20];
/// Number of looks until the ledgers of applications fit to the files.
const LOOKS: usize = 8;
/// Maximum number of owners of files without memory that are reported one by one.
const MAX_OWNERS: usize = 8;
/// Maximum number of directories that a problem names.
const MAX_PLACES: usize = 4;
/// Time after which programs are not looked at again.
const MAX_PAUSES: Duration = Duration::from_millis(250);

/// Finds published files, and follows them from refresh to refresh.
///
/// Files stay mapped between refreshes, so reading their values again takes no system call; beyond
/// 16,384 files or 256 MiB the others are mapped whenever they are read. Files of this user, of root,
/// and those that were named share 320 MiB for their metadata; the owners of the others share
/// 160 MiB equally. A truncated, replaced, removed or hostile file is reported, and the others are
/// still read. A handler for SIGBUS is installed, to survive truncation while a file is read
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
    mapped: usize,
    files: Vec<File>,
    /// Files that are not shown: of other processes than those asked for, and copies.
    others: Vec<File>,
    directories: Vec<PathBuf>,
    closed: Vec<PathBuf>,
    /// Directories in which ledgers take the place of other files, and why these are shown.
    listed: HashMap<PathBuf, Reason>,
    problems: Vec<Problem>,
    /// Number of files for which there is no memory, by owner.
    left_out: BTreeMap<Option<u32>, usize>,
    /// Programs from which parts were missing at the last refresh.
    lacking: HashSet<ProgramId>,
    /// Directories of files that were gone when the last look opened them.
    missed: HashSet<PathBuf>,
    /// The newest ledgers when the last look began.
    before: Newest,
    /// Ledgers that cannot be opened, or find no memory: another look finds out no more.
    unread: HashSet<PathBuf>,
    /// Memory for metadata, after the last look.
    shares: Shares,
    places: Places,
    /// This user.
    user: u32,
    /// Pid namespace of this process.
    pid_namespace: Option<u64>,
    next_key: u64,
    allowance: Allowance,
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
    /// values can be read. Their state is that of now: a program that ends cleanly removes its file.
    pub vanished: Vec<File>,
}

impl Changes {
    /// Whether only values changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added == 0 && self.grown == 0 && self.changed == 0 && self.vanished.is_empty()
    }
}

impl Changes {
    fn add(&mut self, later: Self) {
        self.added += later.added;
        self.grown += later.grown;
        self.changed += later.changed;
        self.vanished.extend(later.vanished);
    }
}

impl Observer {
    /// An observer of these sources, before the first refresh: without files.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self {
            sources,
            handles: None,
            mapped: MAX_MAPPED,
            files: Vec::new(),
            others: Vec::new(),
            directories: Vec::new(),
            closed: Vec::new(),
            listed: HashMap::new(),
            problems: Vec::new(),
            left_out: BTreeMap::new(),
            lacking: HashSet::new(),
            missed: HashSet::new(),
            before: Newest::default(),
            unread: HashSet::new(),
            shares: Shares::default(),
            places: Places::default(),
            user: environment().user,
            pid_namespace: crate::backend::process::facts().pid_ns,
            next_key: 1,
            allowance: Allowance::default(),
        }
    }

    /// Replaces the sources, from the next refresh on. Files that are in both stay open.
    pub fn set_sources(&mut self, sources: Sources) {
        self.sources = sources;
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

    /// Sets the number of files that stay mapped: 16,384 by default. Others are mapped whenever their
    /// values are read, which takes several system calls.
    pub const fn keep_mapped(&mut self, count: usize) {
        self.mapped = count;
    }

    /// Finds new, replaced and vanished files, new and retired fields, and judges which writers
    /// live.
    ///
    /// A program from which parts are missing, and were not before, is looked at again a few times
    /// within a quarter of a second: it may be starting, opening a part, or ending.
    ///
    /// Never fails: see [`problems`](Self::problems). A directory whose file system does not answer
    /// for ten seconds is left out, which is a problem too. Where programs of an application end
    /// faster than they are read, sums may be wrong: then there is a problem with the code `unsettled`.
    pub fn refresh(&mut self) -> Changes {
        let mut changes = self.look();
        self.settle(&mut changes);
        let since = Instant::now();
        for pause in PAUSES {
            let news = self.lacking().any(|id| !self.lacking.contains(&id));
            if !news || since.elapsed() > MAX_PAUSES {
                break;
            }
            std::thread::sleep(Duration::from_millis(pause));
            changes.add(self.look());
            self.settle(&mut changes);
        }
        self.lacking = self.lacking().collect();
        for file in &mut changes.vanished {
            file.judge_vanished();
        }
        changes
    }

    /// Repeats the look until the ledgers of applications and the files fit together.
    fn settle(&mut self, changes: &mut Changes) {
        for _ in 0..LOOKS {
            if self.apply_ledgers(changes).is_ok() {
                return;
            }
            changes.add(self.look());
        }
        if let Err(path) = self.apply_ledgers(changes) {
            let message = "incomplete: programs of an application end faster than they are read";
            self.problems.push(Problem::new(&path, "unsettled", message));
        }
    }

    /// Opens ledgers that are newer than the look, hides outdated ones, and marks the files whose
    /// sums they have. An error if the look is to be repeated: the directory that changed meanwhile.
    fn apply_ledgers(&mut self, changes: &mut Changes) -> Result<(), PathBuf> {
        let mut directories = ledgers::directories(&self.files);
        // What was listed and has gone may be in a ledger that is newer than the list.
        directories.extend(self.before.directories().chain(&self.missed).cloned());
        directories.retain(|directory| self.listed.contains_key(directory));
        if directories.is_empty() {
            return Ok(());
        }
        self.open_newest(&directories, changes)?;
        let ledgers = Ledgers::new(&self.files);
        let files = || self.files.iter().chain(&self.others);
        if let Some(directory) = ledgers.unnamed_since(&self.before, files, &self.unread) {
            return Err(directory.to_owned());
        }
        let outdated = self.files.extract_if(.., |file| ledgers.is_outdated(file));
        self.others.extend(outdated);
        let mut gone = Vec::new();
        for (index, file) in self.files.iter_mut().enumerate() {
            let named = ledgers.name(file);
            if named && !file.state().has_ended() {
                // It has ended since the look, or else the ledger is a lie.
                let holder = Holder::new(file.owner(), self.user, file.named());
                let left = self.shares.left(holder).saturating_add(file.metadata_size());
                self.allowance.set_left(left);
                match file.refresh(&mut self.allowance) {
                    Ok(FileRefresh::Gone) | Err(_) => gone.push(index),
                    Ok(FileRefresh::Same { changed, .. }) => {
                        changes.changed += usize::from(changed);
                    }
                }
            }
            if named && file.state() == FileState::Live && gone.last() != Some(&index) {
                let message = "a ledger claims the sums of this program, which lives";
                self.problems.push(Problem::new(file.path(), "ledger", message));
            }
            file.set_superseded(named && file.state().has_ended());
        }
        for index in gone.into_iter().rev() {
            changes.vanished.push(self.files.remove(index));
        }
        Ok(())
    }

    /// Opens the newest ledgers of the directories, until two lists in a row show the same. An error if
    /// one of them is not known then: its directory.
    fn open_newest(
        &mut self,
        directories: &HashSet<PathBuf>,
        changes: &mut Changes,
    ) -> Result<(), PathBuf> {
        let directory = |path: &Path| path.parent().map(Path::to_path_buf).unwrap_or_default();
        let paths = self.files.iter().chain(&self.others).map(File::path);
        let mut known: HashSet<PathBuf> =
            paths.filter(|path| ledgers::is_ledger_name(path)).map(Path::to_path_buf).collect();
        let mut newest = Newest::list(directories)?;
        for _ in 0..LOOKS {
            for (path, owner) in newest.files() {
                if known.contains(&path) || self.unread.contains(&path) {
                    continue;
                }
                let holder = Holder::new(Some(owner), self.user, false);
                self.allowance.set_left(self.shares.left(holder));
                let reason = path.parent().and_then(|parent| self.listed.get(parent));
                let reason = reason.copied().unwrap_or(Reason::Listed);
                let Some((file, _)) = self.open(&path, reason) else { continue };
                if file.is_for_room() {
                    // The next look decides who gets the memory.
                    return Err(directory(&path));
                }
                self.shares.take(holder, file.metadata_size());
                known.insert(path);
                if reason == Reason::IfAsked && !self.is_asked_for(&file) {
                    self.others.push(file);
                    continue;
                }
                self.files.push(file);
                changes.added += 1;
            }
            let before = std::mem::replace(&mut newest, Newest::list(directories)?);
            if before == newest {
                break;
            }
        }
        let is_known = |path: &PathBuf| known.contains(path) || self.unread.contains(path);
        let unknown = newest.files().map(|(path, _)| path).find(|path| !is_known(path));
        unknown.map_or(Ok(()), |path| Err(directory(&path)))
    }

    /// The programs from which parts are missing.
    fn lacking(&self) -> impl Iterator<Item = ProgramId> {
        let programs = Program::group(&self.files);
        let lacking = programs.iter().filter(|program| program.lacks_parts());
        lacking.filter_map(Program::id).collect::<Vec<_>>().into_iter()
    }

    fn look(&mut self) -> Changes {
        let listing = Listing::new(&self.sources, &mut self.places);
        let shown = self.files.drain(..).map(|file| (true, file));
        let hidden = self.others.drain(..).map(|file| (false, file));
        let mut previous = Previous::new(shown.chain(hidden));
        let mut changes = Changes::default();
        self.problems = listing.problems;
        self.directories = listing.directories;
        self.closed = listing.closed;
        self.listed = listing.listed;
        let is_listed = |one: &&Candidate| {
            one.path.parent().is_some_and(|parent| self.listed.contains_key(parent))
        };
        let listed = listing.candidates.iter().filter(is_listed);
        self.before = Newest::new(listed.map(|one| (&*one.path, one.owner)));
        self.missed.clear();
        self.unread.clear();
        self.left_out.clear();

        let mut opened = self.open_all(&listing.candidates, &mut previous, &mut changes);
        let mut ids = HashSet::new();
        for (candidate, slot) in listing.candidates.iter().zip(&mut opened) {
            let Some((mut file, new)) = slot.take() else { continue };
            // A file with two names, or two spellings of one path, is shown once. An index of 0
            // means that the system does not number files.
            let id = file.id();
            if id.index != 0 && !ids.insert(id) {
                if candidate.reason == Reason::Named
                    && let Some(same) = self.files.iter_mut().find(|other| other.id() == id)
                {
                    same.set_named();
                }
                continue;
            }
            file.set_process(candidate.process.or_else(|| self.own_process(&file)));
            file.set_namespace(candidate.namespace.clone());
            if candidate.reason != Reason::IfAsked || self.is_asked_for(&file) {
                changes.added += usize::from(new);
                self.files.push(file);
            } else {
                self.others.push(file);
            }
        }
        self.hide_copies();
        changes.vanished.extend(previous.into_shown());
        self.report_missing(&listing.hidden);
        self.report_left_out();
        changes
    }

    /// Opens or refreshes the candidates, the most important ones first. Returns each file, and
    /// whether it is new, in the order of the candidates.
    fn open_all(
        &mut self,
        candidates: &[Candidate],
        previous: &mut Previous,
        changes: &mut Changes,
    ) -> Vec<Option<(File, bool)>> {
        let user = self.user;
        let holder = |owner, named| Holder::new(owner, user, named);
        let holders: Vec<Holder> =
            candidates.iter().map(|c| holder(c.owner, c.reason == Reason::Named)).collect();
        let live_first = candidates.len() > previous.len().saturating_add(MANY);
        let mut kept = Kept::new(Shares::new(holders.iter().copied()), candidates.len());
        kept.max_mapped = self.mapped;
        kept.max_handles = self.handles.unwrap_or_else(default_handles);
        for file in previous.files() {
            kept.shares.take(holder(file.owner(), file.named()), file.metadata_size());
        }
        let mut late = Vec::new();
        for index in order(candidates, &holders, live_first) {
            let (Some(candidate), Some(&holder)) = (candidates.get(index), holders.get(index))
            else {
                continue;
            };
            let file = match previous.take(&candidate.path) {
                Some((shown, file)) => {
                    let size = file.metadata_size();
                    kept.shares.give_back(Holder::new(file.owner(), user, file.named()), size);
                    self.allowance.set_left(kept.shares.left(holder));
                    self.refresh_file(file, shown, candidate.reason, changes)
                }
                None => {
                    self.allowance.set_left(kept.shares.left(holder).min(SMALL));
                    self.open(&candidate.path, candidate.reason)
                }
            };
            match file {
                Some((file, _)) if file.is_for_room() => late.push((index, candidate, holder)),
                Some(file) => kept.keep(index, holder, file),
                None => {}
            }
        }
        // What is left are vanished files.
        for file in previous.files() {
            kept.shares.give_back(holder(file.owner(), file.named()), file.metadata_size());
        }
        for (index, candidate, holder) in late {
            self.allowance.set_left(kept.shares.left(holder));
            match self.open(&candidate.path, candidate.reason) {
                Some((file, _)) if file.is_for_room() && !file.named() => {
                    *self.left_out.entry(file.owner()).or_default() += 1;
                    if ledgers::is_ledger_name(file.path()) {
                        self.unread.insert(file.path().to_owned());
                    }
                }
                Some(file) => kept.keep(index, holder, file),
                None => {}
            }
        }
        self.shares = kept.shares;
        kept.files
    }

    /// Hides copies: files with the program and part of another file, which would double sums.
    /// The live file stays, else the first; the others are reported.
    fn hide_copies(&mut self) {
        let mut best: HashMap<(ProgramId, u32), (FileId, bool)> = HashMap::new();
        for file in &self.files {
            let Some(key) = file.program_part() else { continue };
            let this = (file.id(), file.state() == FileState::Live);
            let best = best.entry(key).or_insert(this);
            if this.1 && !best.1 {
                *best = this;
            }
        }
        let is_copy = |file: &mut File| {
            let best = file.program_part().and_then(|key| best.get(&key));
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
        match file.refresh(&mut self.allowance) {
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
        match File::open(path, reason == Reason::Named, key, &mut self.allowance) {
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
        if expected && let Some(directory) = problem.path.parent() {
            self.missed.insert(directory.to_path_buf());
        }
        if !expected && ledgers::is_ledger_name(&problem.path) {
            self.unread.insert(problem.path.clone());
        }
        if !expected && !matches!(reason, Reason::IfAsked | Reason::Elsewhere) {
            self.problems.push(problem);
        }
    }

    fn is_asked_for(&self, file: &File) -> bool {
        let (pids, names, identity) = (self.sources.pids(), self.sources.names(), file.identity());
        let is_pid = |pid: Option<u32>| pid.is_some_and(|pid| pids.contains(&pid));
        let texts = [&identity.command, &identity.application];
        let is_name = |text: &String| names.contains(text);
        is_pid(identity.pid) || is_pid(file.process()) || texts.into_iter().flatten().any(is_name)
    }

    /// The process of a file by its own word, if that is in this pid namespace.
    fn own_process(&self, file: &File) -> Option<u32> {
        let theirs = file.identity().pid_ns;
        file.identity().pid.filter(|_| theirs.is_some() && theirs == self.pid_namespace)
    }

    fn report_missing(&mut self, hidden: &HashMap<u32, (NotFound, String)>) {
        let places: Vec<String> = self
            .directories
            .iter()
            .take(MAX_PLACES)
            .map(|path| path.display().to_string())
            .collect();
        let more = self.directories.len() - places.len();
        let mut places = places.join(", ");
        if more > 0 {
            places.push_str(&format!(" and {more} more directories"));
        }
        // The problem of a directory is another one.
        let (places, more_places) = match &*places {
            "" => (": no directory can be read".to_owned(), ""),
            places => (format!(" in {places}"), self.sources.more_places()),
        };
        let mut missing = Vec::new();
        for pid in self.sources.pids() {
            let is_it =
                |file: &File| file.identity().pid == Some(*pid) || file.process() == Some(*pid);
            if self.files.iter().any(is_it) {
                continue;
            }
            let (kind, why) = match hidden.get(pid) {
                Some((kind, why)) => (*kind, why.as_str()),
                None => (NotFound::NothingMapped, "it has no such file mapped"),
            };
            let message = format!("no file of this process{places}; {why}");
            missing.push((pid.to_string(), "no-such-pid", kind, message));
        }
        for name in self.sources.names() {
            let texts = |file: &File| {
                let identity = file.identity();
                [&identity.command, &identity.application].into_iter().flatten().any(|t| t == name)
            };
            if !self.files.iter().any(texts) {
                let message = format!("no program of this name{places}{more_places}");
                missing.push((name.clone(), "no-such-program", NotFound::NoProgram, message));
            }
        }
        for (name, code, kind, message) in missing {
            let problem = Problem::new(Path::new(&name), code, message);
            self.problems.push(Problem { named: true, not_found: Some(kind), ..problem });
        }
    }

    fn report_left_out(&mut self) {
        let path = self.directories.first().cloned().unwrap_or_default();
        let owners = self.left_out.len();
        for (owner, count) in self.left_out.iter().take(MAX_OWNERS) {
            let files = if *count == 1 { "file" } else { "files" };
            let of = owner.map_or_else(String::new, |owner| format!(" of user {owner}"));
            let message =
                format!("{count} {files}{of} left out: their metadata takes too much memory");
            self.problems.push(Problem::new(&path, "too-large", message));
        }
        if owners > MAX_OWNERS {
            let count: usize = self.left_out.values().skip(MAX_OWNERS).sum();
            let message = format!("{count} files of {} more users left out", owners - MAX_OWNERS);
            self.problems.push(Problem::new(&path, "too-large", message));
        }
    }

    /// Number of files that the last refresh left out, because their metadata takes too much
    /// memory. The problems name their owners.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out.values().sum()
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

    /// The directories of other users that the last refresh could not search, because this process
    /// may not read them.
    #[must_use]
    pub fn closed_directories(&self) -> &[PathBuf] {
        &self.closed
    }
}

/// The order in which candidates are opened: those that the user named, those of this user and of
/// root, and then in turn one of each other owner; in each of these groups live ones first, if
/// `live_first`.
fn order(candidates: &[Candidate], holders: &[Holder], live_first: bool) -> Vec<usize> {
    let mut turns: HashMap<Holder, usize> = HashMap::new();
    let key = |(candidate, holder): (&Candidate, &Holder)| {
        let ended = live_first && !crate::backend::is_locked(&candidate.path).unwrap_or(false);
        let turn = match holder {
            Holder::Own => 0,
            Holder::Other(_) | Holder::Unknown => {
                let next = turns.entry(*holder).or_default();
                *next += 1;
                *next
            }
        };
        (candidate.reason != Reason::Named, *holder != Holder::Own, ended, turn)
    };
    let keys: Vec<_> = candidates.iter().zip(holders).map(key).collect();
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|&index| keys.get(index));
    order
}

/// The files that are kept, and what they take.
struct Kept {
    /// Each file, and whether it is new, by number of the candidate.
    files: Vec<Option<(File, bool)>>,
    shares: Shares,
    handles: usize,
    max_handles: usize,
    mapped: usize,
    mapped_bytes: u64,
    max_mapped: usize,
}

impl Kept {
    fn new(shares: Shares, candidates: usize) -> Self {
        let mut files = Vec::new();
        files.resize_with(candidates, || None);
        Self {
            files,
            shares,
            handles: 0,
            max_handles: 0,
            mapped: 0,
            mapped_bytes: 0,
            max_mapped: 0,
        }
    }

    fn keep(&mut self, index: usize, holder: Holder, (mut file, new): (File, bool)) {
        self.shares.take(holder, file.metadata_size());
        if file.is_mapped() {
            let bytes = self.mapped_bytes.saturating_add(file.size());
            if self.mapped < self.max_mapped && bytes <= MAX_MAPPED_BYTES {
                self.mapped += 1;
                self.mapped_bytes = bytes;
            } else {
                file.park();
            }
        }
        if file.has_handle() {
            if self.handles < self.max_handles {
                self.handles += 1;
            } else {
                file.close_handle();
            }
        }
        if let Some(slot) = self.files.get_mut(index) {
            *slot = Some((file, new));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_named_own_and_others_in_turn() {
        let (own, a, b) = (Holder::Own, Holder::Other(1), Holder::Other(2));
        let holders = [a, a, a, own, b, b, own];
        let candidate = |index: usize| Candidate {
            path: PathBuf::from(index.to_string()),
            reason: if index == 6 { Reason::Named } else { Reason::Listed },
            owner: None,
            process: None,
            namespace: None,
        };
        let candidates: Vec<_> = (0..holders.len()).map(candidate).collect();
        assert_eq!(order(&candidates, &holders, false), [6, 3, 0, 4, 1, 5, 2]);
    }
}
