//! Which ledgers are valid, and which files they supersede: PROTOCOL.md section 10.
//!
//! A look is exact although ledgers follow each other meanwhile: files are opened first, and then
//! the newest ledger, which two lists of the directory in a row must show. It names the instances
//! that were taken in since the look began, if they are few enough, and all with files, so that of
//! every instance either its file is counted or the ledger.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::backend::ErrorKind;
use crate::backend::directory::Directory;
use crate::backend::ledger::{KEPT, LedgerName};
use crate::file::File;
use crate::ledger::Ledger;

/// Number of lists of a directory until one is of one moment.
const LISTS: usize = 16;

/// Directory, and ledger of a generation of no meaning.
type Key = (PathBuf, LedgerName);

/// The newest ledgers, by the names of their files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Newest(HashMap<Key, LedgerName>);

impl Newest {
    /// The newest ledgers in a list of paths with the owners of their files. A file of another owner than its
    /// name says is no ledger: anybody may give a file that name.
    pub(super) fn new<'a>(files: impl IntoIterator<Item = (&'a Path, Option<u32>)>) -> Self {
        let mut newest = HashMap::new();
        for (path, owner) in files {
            let Some((key, name)) = key(path) else { continue };
            if owner.unwrap_or(0) != name.owner {
                continue;
            }
            let to = newest.entry(key).or_insert(name);
            *to = name.max(*to);
        }
        Self(newest)
    }

    /// The newest ledgers in the directories now. An error if that cannot be found out for one of
    /// them.
    pub(super) fn list(directories: &HashSet<PathBuf>) -> Result<Self, PathBuf> {
        let mut files = Vec::new();
        for path in directories {
            files.extend(list(path).ok_or_else(|| path.clone())?);
        }
        Ok(Self::new(files.iter().map(|(path, owner)| (path.as_path(), *owner))))
    }

    /// The directories with ledgers.
    pub(super) fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys().map(|(directory, _)| directory)
    }

    /// The paths and owners.
    pub(super) fn files(&self) -> impl Iterator<Item = (PathBuf, u32)> {
        self.0.iter().map(|((directory, _), name)| (directory.join(name.to_string()), name.owner))
    }
}

/// The files with names of ledgers in a directory, and their owners. All of them were there at one moment:
/// if one has gone when its owner is asked for, a newer one may have come.
fn list(path: &Path) -> Option<Vec<(PathBuf, Option<u32>)>> {
    for _ in 0..LISTS {
        let mut ledgers = Vec::new();
        let listed = Directory::open(path).and_then(|directory| {
            directory.list(&mut |name| {
                ledgers.extend(LedgerName::parse(name).map(|_| path.join(name)));
            })
        });
        match listed {
            Ok(()) => {}
            // It has no ledgers.
            Err(error) if *error.kind() == ErrorKind::NotFound => return Some(Vec::new()),
            Err(_) => return None,
        }
        let (mut files, mut gone) = (Vec::new(), false);
        for path in ledgers {
            match crate::backend::info(&path) {
                Ok(info) => files.push((path, info.owner)),
                Err(error) => gone |= *error.kind() == ErrorKind::NotFound,
            }
        }
        if !gone {
            return Some(files);
        }
    }
    None
}

/// Whether a file has the name of a ledger.
pub(super) fn is_ledger_name(path: &Path) -> bool {
    path.file_name().and_then(LedgerName::parse).is_some()
}

/// Directory and name of the ledger in a file, by its name.
fn key(path: &Path) -> Option<(Key, LedgerName)> {
    let name = LedgerName::parse(path.file_name()?)?;
    let directory = path.parent()?.to_path_buf();
    Some(((directory, LedgerName { generation: 0, ..name }), name))
}

/// The directories in which ledgers matter: of the files that are ledgers or belong to applications.
pub(super) fn directories(files: &[File]) -> HashSet<PathBuf> {
    let matters = |file: &&File| {
        !file.named() && (file.ledger().is_some() || file.identity().application.is_some())
    };
    let parents = files.iter().filter(matters).filter_map(|file| file.path().parent());
    parents.map(Path::to_path_buf).collect()
}

/// Directory and name of the ledger, of no generation, that may have the sums of a file's program.
fn key_of_member(file: &File) -> Option<Key> {
    let application = file.identity().application.as_ref()?;
    let directory = file.path().parent().filter(|_| !file.named())?;
    let name = LedgerName::new(application, file.owner().unwrap_or(0), 0);
    Some((directory.to_path_buf(), name))
}

/// Whether a ledger has the sums of a file's program, if it is the one of its key.
fn has_sums(ledger: &Ledger, file: &File) -> bool {
    file.instance().is_some_and(|instance| ledger.supersedes(&instance))
        && file.identity().application.as_ref() == Some(&ledger.application)
}

/// The valid ledgers of a look.
#[derive(Debug, Default)]
pub(super) struct Ledgers(HashMap<Key, Ledger>);

impl Ledgers {
    pub(super) fn new(files: &[File]) -> Self {
        let mut ledgers: HashMap<Key, Ledger> = HashMap::new();
        for file in files.iter().filter(|file| !file.named()) {
            let (Some(ledger), Some((key, _))) = (file.ledger(), key(file.path())) else {
                continue;
            };
            let newest = ledgers.get(&key).is_none_or(|known| known.generation < ledger.generation);
            if newest {
                ledgers.insert(key, ledger.clone());
            }
        }
        Self(ledgers)
    }

    /// A directory in which instances that were taken in since a list of the directories showed
    /// `before` are not all named. They are if they are few, the ledger of that time was read, among
    /// `files`, and it names none with a file there that the newest one does not name any more; or if
    /// that ledger cannot be read or is `unread`: another look finds out no more.
    pub(super) fn unnamed_since<'a, F: Iterator<Item = &'a File>>(
        &self,
        before: &Newest,
        files: impl Fn() -> F,
        unread: &HashSet<PathBuf>,
    ) -> Option<&Path> {
        let names_all = |(key, ledger): &(&Key, &Ledger)| {
            let Some(was) = before.0.get(key) else { return ledger.instances <= KEPT as u64 };
            if ledger.name() == *was {
                return true;
            }
            let path = key.0.join(was.to_string());
            match files().find(|file| file.path() == path).map(File::ledger) {
                Some(Some(was)) => {
                    ledger.instances.saturating_sub(was.instances) <= KEPT as u64
                        && !files().any(|file| {
                            has_sums(was, file)
                                && !has_sums(ledger, file)
                                && key_of_member(file).as_ref() == Some(key)
                        })
                }
                Some(None) => true,
                None => unread.contains(&path),
            }
        };
        let unnamed = self.0.iter().find(|entry| !names_all(entry));
        unnamed.map(|((directory, _), _)| directory.as_path())
    }

    /// Whether another ledger of the same application is newer.
    pub(super) fn is_outdated(&self, file: &File) -> bool {
        let (Some(ledger), Some((key, _))) = (file.ledger(), key(file.path())) else {
            return false;
        };
        !file.named()
            && self.0.get(&key).is_some_and(|newest| newest.generation > ledger.generation)
    }

    /// Whether the ledger of the file's application, in its directory and of its owner, has its
    /// sums.
    pub(super) fn name(&self, file: &File) -> bool {
        let Some(key) = key_of_member(file) else { return false };
        self.0.get(&key).is_some_and(|ledger| has_sums(ledger, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One may go between the list and the question for its owner.
    #[test]
    fn list_of_ledgers_that_follow_each_other_always_has_one() {
        let place = tempfile::tempdir().unwrap();
        let directories = HashSet::from([place.path().to_owned()]);
        let path = |generation: u64| {
            let owner = crate::backend::directory::environment().user;
            let name = LedgerName { generation, ..LedgerName::new("shop", owner, 0) };
            place.path().join(name.to_string())
        };
        std::fs::write(path(1), "x").unwrap();
        std::thread::scope(|scope| {
            let follow = scope.spawn(|| {
                for generation in 1..20_000 {
                    std::fs::hard_link(path(generation), path(generation + 1)).unwrap();
                    std::fs::remove_file(path(generation)).unwrap();
                }
            });
            while !follow.is_finished() {
                // Without one, the look is repeated.
                let listed = Newest::list(&directories);
                assert!(listed.is_err() || listed.is_ok_and(|found| found.files().count() == 1));
            }
        });
        assert!(Newest::list(&HashSet::from([path(20_000)])).is_err(), "not a directory");
        assert_eq!(Newest::list(&HashSet::from([path(0)])), Ok(Newest::default()));
    }
}
