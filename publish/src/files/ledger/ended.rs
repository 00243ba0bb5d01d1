//! Instances of applications that have ended, and whose values are in no ledger yet.

use hashbrown::{HashMap, HashSet};
use std::cell::{LazyCell, RefCell};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mmstats_core::layout::MAGIC;
use mmstats_core::{Source, View};

use super::super::values::{Name, fields};
use super::image::{Ledger, has_shrunk};
use super::instance::{COMMAND, Constants, Ended, Instance};
use super::members::{Member, has_further_part, published};
use crate::backend::directory::Directory;
use crate::backend::ledger::LedgerName;
use crate::backend::{ErrorKind, Facts, FileId, ObservedFile, SweptProgram, process};
use crate::error::Error;

/// Ended instances by application, and how many others its ledger had taken in before.
pub(crate) type EndedInstances = Vec<(String, Vec<Ended>, u64)>;

/// The images of an ended instance that were found so far.
struct Gathered {
    ended: Ended,
    constants: HashSet<Name>,
    /// Numbers of the images.
    parts: Vec<u32>,
    /// Number of images that there are, if part 0 was found and says it.
    expected: Option<u32>,
}

/// A look at the files of one directory: which of them a sweep may remove, and which belong to ended
/// instances of applications.
///
/// The files of an instance of an application stay until a ledger has its values. A ledger is nothing
/// for a sweep.
pub(crate) struct Survey<'a> {
    directory: &'a Directory,
    /// Most directories have no member to compare with.
    facts: LazyCell<Facts>,
    /// End of the time for reading names of other files.
    until: Instant,
    /// The newest ledgers by application; `None` if there is none.
    ledgers: RefCell<HashMap<String, Option<Ledger>>>,
    /// Ended instances by application.
    ended: RefCell<HashMap<String, HashMap<Instance, Gathered>>>,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(directory: &'a Directory, until: Instant) -> Self {
        let facts = LazyCell::new(process::facts as fn() -> Facts);
        Self { directory, facts, until, ledgers: RefCell::default(), ended: RefCell::default() }
    }

    /// The program of a dead file, if a sweep may remove it: it begins as an image does, and its
    /// values are in a ledger or belong to no application. Keeps the values that are in none.
    pub(crate) fn identify(&self, name: &OsStr, id: FileId) -> Option<SweptProgram> {
        if LedgerName::parse(name).is_some() {
            return None;
        }
        let opened = crate::backend::open_in(self.directory, name).ok()?;
        if opened.info().id != id {
            return None;
        }
        let region = View::new(Arc::clone(opened.mapping())).ok()?;
        let mut start = [0; MAGIC.len()];
        region.copy(0, &mut start);
        if start != MAGIC {
            return None;
        }
        let Ok((header, fields)) = fields(&region) else { return Some(SweptProgram::default()) };
        let program = SweptProgram {
            instance: Some(header.instance()),
            command: Constants { region: &region, fields: &fields }.text(COMMAND),
            parts: header.parts(&region).filter(|_| header.part() == 0),
        };
        let Some(member) = Member::read(&region) else { return Some(program) };
        if self.is_running(&member) {
            return None;
        }
        self.read_ledger(&member.application);
        // An instance that a ledger has taken in is listed there as long as it has files. The file must
        // still exist after the ledger was read: else a newer ledger may have taken the instance in.
        let info = crate::backend::info(&self.directory.path().join(name)).ok()?;
        (info.id == id && self.is_superseded(member, &region, &opened)).then_some(program)
    }

    /// Whether the process is known to run, although the lock of its file is free.
    fn is_running(&self, member: &Member) -> bool {
        let Some((pid, start, boot)) = &member.process else { return false };
        member.pid_ns == self.facts.pid_ns && process::is_running(*pid, *start, boot) == Some(true)
    }

    /// Reads the newest ledger of an application, once.
    fn read_ledger(&self, application: &str) {
        let newest = || newest(self.directory.path(), application, self.facts.uid, self.until);
        self.ledgers.borrow_mut().entry(application.to_owned()).or_insert_with(newest);
    }

    fn is_superseded(&self, member: Member, region: &impl Source, opened: &ObservedFile) -> bool {
        let Member { application, header, .. } = member;
        let instance = header.instance();
        let ledgers = self.ledgers.borrow();
        let ledger = ledgers.get(&application).and_then(Option::as_ref);
        if ledger.is_some_and(|ledger| ledger.supersedes.contains(&instance)) {
            return true;
        }
        let mut ended = self.ended.borrow_mut();
        let instances = ended.entry(application).or_default();
        let gathered = instances.entry(instance).or_insert_with(|| Gathered {
            ended: Ended::new(instance),
            constants: HashSet::new(),
            parts: Vec::new(),
            expected: None,
        });
        gathered.ended.add(region, &mut gathered.constants);
        gathered.ended.whole &= !has_shrunk(opened);
        gathered.parts.push(header.part());
        gathered.expected = gathered.expected.or(header.parts(region));
        false
    }

    /// The ended instances by application, and how many others its ledger had taken in before. After an
    /// incomplete sweep: only instances whose files were all found.
    pub(crate) fn into_ended(self, is_complete: bool) -> EndedInstances {
        let directory = self.directory.path();
        let ledgers = self.ledgers.into_inner();
        let of_application = |(application, instances): (String, HashMap<Instance, Gathered>)| {
            let ended = instances.into_values().filter_map(|gathered| {
                let Gathered { mut ended, mut parts, expected, .. } = gathered;
                parts.sort_unstable();
                // Where the number is not said, a gap tells of a missing one.
                let expected = expected.map_or(parts.len(), |expected| expected as usize);
                let whole = (0..).zip(&parts).take_while(|(a, b)| a == *b).count() == expected;
                ended.whole &= whole;
                // The locks of a process that dies are released one after the other: next time.
                let has_more = || has_further_part(directory, &ended.instance, &parts, self.until);
                let later = !whole && (!is_complete || has_more());
                (!later).then_some(ended)
            });
            let ledger = ledgers.get(&application).and_then(Option::as_ref);
            let since = ledger.map_or(0, |ledger| ledger.instances);
            (application, ended.collect(), since)
        };
        self.ended.into_inner().into_iter().map(of_application).collect()
    }
}

/// The newest ledger that `owner` has for an application; `None` if there is none, or it is not known
/// which one it is. As in [`Book`](super::Book), two lists must agree, and one that has gone before it
/// was read does not make an older one the newest.
pub(super) fn newest(
    directory: &Path,
    application: &str,
    owner: Option<u32>,
    until: Instant,
) -> Option<Ledger> {
    let of = LedgerName::new(application, owner.unwrap_or(0), 0);
    let sorted = || {
        let mut names = names(directory, &of, until).ok()?;
        names.sort_unstable();
        Some(names)
    };
    let read = |name: &LedgerName| Ledger::read(directory, name, application).transpose();
    let mut names = sorted()?;
    loop {
        let newest = names.iter().rev().find_map(read).transpose();
        let again = sorted()?;
        match newest {
            Ok(newest) if again.last() == names.last() => return newest,
            Err(error) if !is_not_found(&error) => return None,
            _ if Instant::now() > until => return None,
            _ => names = again,
        }
    }
}

/// The names of the ledgers of the same owner and application as `of`. All of them were there at one
/// moment: if one has gone when its owner is asked for, a higher one may have come.
///
/// # Errors
///
/// If the names of the directory cannot be read until the moment `until`.
pub(super) fn names(
    directory: &Path,
    of: &LedgerName,
    until: Instant,
) -> Result<Vec<LedgerName>, Error> {
    loop {
        let (found, gone) = ledgers(directory, |name| name.is_of(of), until)?;
        if !gone {
            return Ok(found);
        }
        if Instant::now() > until {
            return Err(no_answer(directory));
        }
    }
}

/// The names of the ledgers that `wanted` accepts, and whose files belong to the owner in the name: in a
/// shared directory another user may make a file with the name of a ledger. The second value is
/// whether one of them has gone meanwhile.
///
/// # Errors
///
/// If the names of the directory cannot be read until the moment `until`.
pub(super) fn ledgers(
    directory: &Path,
    wanted: impl Fn(&LedgerName) -> bool,
    until: Instant,
) -> Result<(Vec<LedgerName>, bool), Error> {
    let (mut found, mut gone) = (Vec::new(), false);
    for (at, name) in published(directory).enumerate() {
        if at % 256 == 255 && Instant::now() > until {
            return Err(no_answer(directory));
        }
        let name = name.map_err(|_| no_answer(directory))?;
        let Some(name) = LedgerName::parse(&name).filter(|name| wanted(name)) else { continue };
        match crate::backend::info(&directory.join(name.to_string())) {
            Ok(info) if info.owner.unwrap_or(0) == name.owner => found.push(name),
            Err(error) if *error.kind() == ErrorKind::NotFound => gone = true,
            _ => {}
        }
    }
    Ok((found, gone))
}

pub(super) fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::System(error) if error.kind() == ErrorKind::NotFound)
}

pub(super) fn no_answer(directory: &Path) -> Error {
    crate::backend::Error::new("read the names of", directory, ErrorKind::NoAnswer).into()
}

/// Whether the file of a ledger belongs to the owner in its name; `None` if there is no file.
pub(super) fn is_of_owner(directory: &Path, name: &LedgerName) -> Option<bool> {
    let info = crate::backend::info(&directory.join(name.to_string())).ok()?;
    Some(info.owner.unwrap_or(0) == name.owner)
}
