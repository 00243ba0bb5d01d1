//! The ledger of an application: the values of its ended instances, in a file that all of them share.
//!
//! A ledger never changes. A process that takes ended instances in reads the newest ledger, adds
//! their values, and links the next generation to its name, which fails if another process was
//! faster: then it begins again. So no lock is held that a stopped or killed process would keep, and at every
//! moment an instance is either in the newest ledger or has its files. FILES.md section 3 and
//! PROTOCOL.md section 10 have the rules.

mod ended;
mod image;
mod instance;
mod members;
mod sums;

use hashbrown::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use mmstats_core::Source;

use self::ended::names;
pub(crate) use self::ended::{EndedInstances, Survey};
use self::image::Ledger;
pub(crate) use self::instance::Ended;
use self::members::Members;
pub(crate) use self::members::{hex, is_member};
use crate::backend::directory::Directory;
use crate::backend::ledger::{KEPT, LedgerName};
use crate::backend::{Access, ErrorKind, process};
use crate::error::Error;

/// Longest time for taking in the instance of a publisher that ends, while other processes do that too.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Number of applications of a user in one directory whose ledgers stay without an instance that
/// lives.
const MAX_APPLICATIONS: usize = 64;

/// The ledger of one application in one directory.
pub(crate) struct Book<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) application: &'a str,
    pub(crate) access: Access,
    /// From this moment on no further attempt is made.
    pub(crate) until: Instant,
}

/// The newest ledger of an application.
struct Newest {
    name: LedgerName,
    ledger: Ledger,
    /// All names, the oldest first.
    names: Vec<LedgerName>,
}

impl Book<'_> {
    /// Takes ended instances in. Afterwards the newest ledger has the values of all of them, and
    /// their files may be removed. `since` is [`instances`] of a moment after which
    /// each of them had its file, or had not ended.
    ///
    /// # Errors
    ///
    /// If the system refuses the file, another user has taken its name, other processes were faster
    /// until `until`, the names of the directory cannot be read by then, or so many instances were taken
    /// in since then that the ledger may have these and not name them any more. Then the files must
    /// stay.
    pub(crate) fn take_in(&self, ended: &[Ended], since: u64) -> Result<(), Error> {
        let of = own_name(self.application);
        let mut pause = Duration::from_micros(100);
        let mut published: Option<LedgerName> = None;
        loop {
            let Newest { name, ledger, names } = self.newest(&of)?;
            let open: Vec<&Ended> =
                ended.iter().filter(|e| !ledger.supersedes.contains(&e.instance)).collect();
            if open.is_empty() {
                self.remove_before(&name, &names);
                return Ok(());
            }
            if ledger.instances.saturating_sub(since) > KEPT as u64 {
                return Err(Error::Image(
                    "too many others have ended meanwhile: the ledger may have these values"
                        .to_owned(),
                ));
            }
            // One more generation would not have them either.
            if published == Some(name) {
                remove(self.directory.path(), &name);
                return Err(Error::Image("the ledger cannot be read back".to_owned()));
            }
            match self.publish_next(name, ledger, &open) {
                // The next round finds out whether this is the newest one.
                Ok(()) => {
                    published = Some(name.next());
                    continue;
                }
                Err(Error::System(error))
                    if error.kind() == ErrorKind::AlreadyExists
                        && Instant::now() < self.until
                        && !is_blocked(self.directory.path(), &name.next()) => {}
                Err(error) => return Err(error),
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(4));
        }
    }

    /// The highest name, and the newest ledger that can be read; an empty one of generation 0 if there
    /// is none. Each that is damaged counts as an incomplete instance: the next one lacks what only
    /// that one had.
    ///
    /// A list may lack the highest name: its file was made after the list had begun, and that of
    /// the name before was removed before the list had come to it. So two lists must agree.
    fn newest(&self, of: &LedgerName) -> Result<Newest, Error> {
        let mut names = self.names(of)?;
        loop {
            let read = self.first_readable(&names);
            let again = self.names(of)?;
            let agree = again.last() == names.last();
            // An outdated one may have been linked again to its name.
            let is_gone = read.as_ref().err().is_some_and(ended::is_not_found);
            if agree && !is_gone {
                let name = again.last().copied().unwrap_or(*of);
                return read.map(|ledger| Newest { name, ledger, names: again });
            }
            if Instant::now() > self.until {
                let no_answer = || ended::no_answer(self.directory.path());
                return Err(read.err().unwrap_or_else(no_answer));
            }
            names = again;
        }
    }

    /// The names of the ledgers of the application, the oldest first.
    fn names(&self, of: &LedgerName) -> Result<Vec<LedgerName>, Error> {
        let mut names = names(self.directory.path(), of, self.until)?;
        names.sort_unstable();
        Ok(names)
    }

    fn first_readable(&self, names: &[LedgerName]) -> Result<Ledger, Error> {
        let mut damaged = 0;
        for name in names.iter().rev() {
            if let Some(ledger) = Ledger::read(self.directory.path(), name, self.application)? {
                let incomplete = ledger.incomplete.saturating_add(damaged);
                return Ok(Ledger { incomplete, ..ledger });
            }
            damaged += 1;
        }
        Ok(Ledger { incomplete: damaged, ..Ledger::default() })
    }

    fn publish_next(
        &self,
        name: LedgerName,
        mut ledger: Ledger,
        ended: &[&Ended],
    ) -> Result<(), Error> {
        ended.iter().for_each(|ended| ledger.add(ended));
        // A look at all files, so not each time.
        if ledger.supersedes.len() >= 2 * KEPT
            && let Some(instances) = members::instances(self.directory.path(), self.until)
        {
            ledger.prune(|instance| instances.contains(instance));
        }
        let Self { directory, application, access, .. } = *self;
        ledger.publish(directory, &name.next(), application, access)
    }

    /// Removes the ledgers before `newest`, the oldest first. One that cannot be removed stays for
    /// the next process: a reader takes the newest.
    fn remove_before(&self, newest: &LedgerName, names: &[LedgerName]) {
        let old = names.iter().filter(|name| name.generation < newest.generation);
        old.for_each(|name| remove(self.directory.path(), name));
    }
}

/// Number of instances that the newest ledger of an application has taken in; less if it is removed
/// at this moment.
pub(crate) fn instances(directory: &Path, application: &str) -> u64 {
    let until = Instant::now() + PATIENCE;
    let ledger = ended::newest(directory, application, process::uid(), until);
    ledger.map_or(0, |ledger| ledger.instances)
}

/// Why instances of an application cannot be taken in: another user has taken the name of its next
/// ledger.
pub(crate) fn blocked(directory: &Path, application: &str, until: Instant) -> Option<Error> {
    let of = own_name(application);
    let next = names(directory, &of, until).ok()?.into_iter().max().unwrap_or(of).next();
    let error = || {
        let path = directory.join(next.to_string());
        crate::backend::Error::new("publish", &path, ErrorKind::AlreadyExists).into()
    };
    is_blocked(directory, &next).then(error)
}

/// Whether another user has taken the name, which will not change.
fn is_blocked(directory: &Path, name: &LedgerName) -> bool {
    ended::is_of_owner(directory, name) == Some(false)
}

/// The values of an instance of this process, which is closed.
pub(crate) fn of_own<'a, S: Source + 'a>(
    instance: [u8; 16],
    images: impl IntoIterator<Item = &'a S>,
    whole: bool,
) -> Ended {
    let mut ended = Ended::new(instance);
    ended.whole = whole;
    let mut constants = HashSet::new();
    images.into_iter().for_each(|image| ended.add(image, &mut constants));
    ended
}

/// Removes the ledgers of an application that is named after an instance, if no member lives. The
/// caller's own instance does not count. Whether there is none now.
pub(crate) fn end(directory: &Path, application: &str, own: [u8; 16]) -> bool {
    let until = Instant::now() + PATIENCE;
    if Members::look(directory, Some(own), until).has(application, true) {
        return false;
    }
    remove_all(directory, &own_name(application), until);
    true
}

/// [`end`] after the files of the instance `own` were removed. Of several that end at the same time, with
/// that after which the application is named, each took the others for ones that live; the last sees none.
pub(crate) fn end_after(directory: &Path, application: &str, own: [u8; 16]) {
    let names = names(directory, &own_name(application), Instant::now() + PATIENCE);
    // Most have none; then the files of others need not be looked at.
    if !names.is_ok_and(|names| names.is_empty()) {
        end(directory, application, own);
    }
}

fn own_name(application: &str) -> LedgerName {
    LedgerName::new(application, process::uid().unwrap_or(0), 0)
}

/// Removes ledgers without use: of applications that are named after an instance of
/// which no file is left, and the oldest of more than [`MAX_APPLICATIONS`] without an instance that
/// lives. `own` is the application of this program. Ends at the moment `until`.
pub(crate) fn sweep(directory: &Path, own: Option<&str>, until: Instant) {
    let owner = process::uid().unwrap_or(0);
    let mut newest = HashMap::new();
    let all = ended::ledgers(directory, |name| name.owner == owner, until);
    let Ok((all, _)) = all else { return };
    for name in all {
        let to = newest.entry(name.application).or_insert(name);
        *to = name.max(*to);
    }
    if let Some(own) = own {
        newest.remove(&own_name(own).application);
    }
    if newest.is_empty() {
        return;
    }
    let members = Members::look(directory, None, until);
    let mut kept = Vec::new();
    for name in newest.into_values() {
        if Instant::now() > until {
            return;
        }
        let Some((application, modified)) = image::application(directory, &name) else { continue };
        if members::is_instance(&application) && !members.has(&application, false) {
            remove_all(directory, &name, until);
        } else {
            kept.push((modified, name, application));
        }
    }
    kept.sort_unstable();
    let surplus = kept.len().saturating_sub(MAX_APPLICATIONS);
    for (_, name, application) in kept.iter().take(surplus) {
        if !members.has(application, true) {
            remove_all(directory, name, until);
        }
    }
}

/// Removes all ledgers of the same application, the oldest first.
fn remove_all(directory: &Path, of: &LedgerName, until: Instant) {
    let Ok(mut names) = names(directory, of, until) else { return };
    names.sort_unstable();
    names.iter().for_each(|name| remove(directory, name));
}

fn remove(directory: &Path, name: &LedgerName) {
    let _ = crate::backend::remove_if_dead(&directory.join(name.to_string()), false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::files::settings::{OnDrop, Settings};
    use crate::schema::Schema;

    fn ended(numbers: std::ops::Range<u32>) -> Vec<Ended> {
        let instance = |n: u32| [n.to_le_bytes(); 4].concat().try_into().unwrap();
        numbers.map(|n| Ended::new(instance(n + 1))).collect()
    }

    /// As by a process that was stopped after it had listed the instance.
    #[test]
    fn instance_that_the_ledger_names_no_more_is_not_taken_in_again() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let until = Instant::now() + PATIENCE;
        let (directory, application, access) = (&directory, "shop", Access::Owner);
        let book = Book { directory, application, access, until };
        let count = || instances(place.path(), "shop");
        let first = ended(0..1);
        book.take_in(&first, count()).unwrap();
        let (half, many) = (u32::try_from(KEPT).unwrap(), u32::try_from(2 * KEPT).unwrap());
        for part in [1..half, half..many, many..many + 1] {
            book.take_in(&ended(part), count()).unwrap();
        }
        let all = u64::from(many) + 1;
        assert_eq!(count(), all);

        assert!(book.take_in(&first, 0).is_err());
        assert_eq!(count(), all);
        // One that is named is known to be there.
        book.take_in(&ended(many..many + 1), 0).unwrap();
        assert_eq!(count(), all);
    }
    /// A list of the directory may lack the newest ledger, and the own one may have gone already.
    #[test]
    fn instances_that_end_at_once_are_all_taken_in() {
        let place = tempfile::tempdir().unwrap();
        let end = &|number: u32| {
            let directory = Directory::open(place.path()).unwrap();
            let until = Instant::now() + 12 * PATIENCE;
            let (directory, application, access) = (&directory, "shop", Access::Owner);
            let book = Book { directory, application, access, until };
            for number in number * 50..(number + 1) * 50 {
                book.take_in(&ended(number..number + 1), instances(place.path(), "shop")).unwrap();
            }
        };
        std::thread::scope(|scope| {
            (0..8).for_each(|number| drop(scope.spawn(move || end(number))));
        });
        assert_eq!(instances(place.path(), "shop"), 400);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    /// It would count twice.
    #[test]
    fn instance_with_a_kept_file_is_named_after_many_others() {
        let place = tempfile::tempdir().unwrap();
        let settings = Settings {
            directory: Some(place.path().to_owned()),
            application: Some("shop".to_owned()),
            on_drop: OnDrop::Keep,
            watched: false,
            ..Settings::default()
        };
        let files = Files::open(settings, Schema::default()).unwrap();
        files.close(false);
        let directory = Directory::open(place.path()).unwrap();
        let until = Instant::now() + 12 * PATIENCE;
        let (directory, application, access) = (&directory, "shop", Access::Owner);
        let book = Book { directory, application, access, until };
        let half = u32::try_from(KEPT).unwrap();
        for part in [0..half, half..2 * half] {
            book.take_in(&ended(part), instances(place.path(), "shop")).unwrap();
        }
        let ledger = book.newest(&own_name("shop")).unwrap().ledger;
        assert_eq!((ledger.instances, ledger.supersedes.len()), (2 * KEPT as u64 + 1, KEPT + 1));
        assert!(ledger.supersedes.contains(&files.instance));
    }

    /// The newest ledger may go between the list and the look at its file.
    #[test]
    fn instances_while_others_end_never_become_fewer() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let until = Instant::now() + 12 * PATIENCE;
        let (directory, application, access) = (&directory, "shop", Access::Owner);
        let book = Book { directory, application, access, until };
        std::thread::scope(|scope| {
            let end = || (0..600).try_for_each(|n| book.take_in(&ended(n..n + 1), u64::from(n)));
            let ends = scope.spawn(end);
            let mut before = 0;
            while !ends.is_finished() {
                let now = instances(place.path(), "shop");
                assert!(now >= before, "{now} after {before}");
                before = now;
            }
            ends.join().unwrap().unwrap();
        });
    }
}
