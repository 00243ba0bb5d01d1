//! The application to which a publisher belongs, and whose ledger keeps its sums when it ends.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::ledger;
use super::settings::Settings;
use crate::backend::Access;
use crate::backend::directory::Directory;
use crate::backend::ledger::MAX_APPLICATION;
use crate::error::Error;
use crate::lock::Mutex;

/// The application of a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Application {
    pub(crate) name: String,
    /// The first file of the process that the forked workers belong to, if the application is
    /// named after its instance.
    parent: Option<PathBuf>,
}

/// A publisher of this process or, after a fork, of its parent.
#[derive(Debug)]
struct Publisher {
    id: u64,
    /// Number of forks before it began.
    generation: u64,
    /// The application of children that are forked off.
    children: Application,
}

static PUBLISHERS: Mutex<Vec<Publisher>> = Mutex::new(Vec::new());

impl Application {
    /// The application of a publisher that begins after `generation` forks: the one in the settings,
    /// else that of the publisher in the parent process: of `before`, which is started again, or of the latest
    /// one. A persistent publisher keeps its values itself.
    pub(crate) fn find(
        settings: &Settings,
        generation: u64,
        before: Option<u64>,
    ) -> Result<Option<Self>, Error> {
        if settings.hidden || settings.persistent {
            return Ok(None);
        }
        match &settings.application {
            Some(name) if is_name(name) => Ok(Some(Self { name: name.clone(), parent: None })),
            Some(name) => Err(Error::Application { name: name.clone() }),
            None if !settings.system_fields => Ok(None),
            None => {
                let publishers = PUBLISHERS.lock();
                let older = |parent: &&Publisher| parent.generation < generation;
                let parent = publishers
                    .iter()
                    .find(|parent| older(parent) && before == Some(parent.id))
                    .or_else(|| publishers.iter().rev().find(older));
                Ok(parent.map(|parent| parent.children.clone()))
            }
        }
    }

    /// Number of instances that the ledger in `directory` has, to be asked before an instance ends.
    pub(crate) fn taken_in(&self, directory: &Path) -> u64 {
        ledger::instances(directory, &self.name)
    }

    /// Ends an instance of the application whose files are closed: the values of `ended` go into
    /// the ledger, which had taken in `since` others before. The ledger of forked workers goes with
    /// the last of them and their parent.
    pub(crate) fn end(
        &self,
        directory: &Directory,
        settings: &Settings,
        instance: [u8; 16],
        ended: &ledger::Ended,
        since: u64,
    ) -> Result<(), Error> {
        if self.is_orphan() && ledger::end(directory.path(), &self.name, instance) {
            return Ok(());
        }
        let (application, access) = (&*self.name, settings.access);
        let until = Instant::now() + ledger::PATIENCE;
        let book = ledger::Book { directory, application, access, until };
        book.take_in(std::slice::from_ref(ended), since)
    }

    /// The end after [`Application::end`], when the files of the instance are removed.
    pub(crate) fn leave(&self, directory: &Path, instance: [u8; 16]) {
        if self.is_orphan() {
            ledger::end_after(directory, &self.name, instance);
        }
    }

    /// Whether the process that the forked workers belong to has ended.
    fn is_orphan(&self) -> bool {
        self.parent.as_ref().is_some_and(|parent| !parent.exists())
    }
}

/// Whether an application may have this name.
pub(crate) const fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_APPLICATION
}

/// Registers a publisher, so that children that are forked off find its application.
pub(crate) fn register(
    id: u64,
    generation: u64,
    application: Option<&Application>,
    instance: [u8; 16],
    first: &Path,
) {
    let named_after =
        || Application { name: ledger::hex(instance), parent: Some(first.to_path_buf()) };
    let children = application.cloned().unwrap_or_else(named_after);
    PUBLISHERS.lock().push(Publisher { id, generation, children });
}

/// Takes ended instances into the ledgers of their applications, until a moment.
pub(crate) fn take_in(
    directory: &Directory,
    access: Access,
    instances: &ledger::EndedInstances,
    until: Instant,
) {
    for (application, ended, since) in instances {
        let book = ledger::Book { directory, application, access, until };
        // After an error the files stay, and readers count them.
        let _ = book.take_in(ended, *since);
        if Instant::now() > until {
            return;
        }
    }
}

/// Forgets a publisher that is closed. If its files are removed from `directory`, so is the ledger of
/// its children, if none of them lives.
pub(crate) fn unregister(id: u64, directory: Option<&Directory>, instance: [u8; 16]) {
    let mut publishers = PUBLISHERS.lock();
    let Some(at) = publishers.iter().position(|publisher| publisher.id == id) else { return };
    let children = publishers.remove(at).children;
    drop(publishers);
    if let Some(directory) = directory.filter(|_| children.name == ledger::hex(instance)) {
        ledger::end_after(directory.path(), &children.name, instance);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;
    use crate::files::Files;
    use crate::schema::Schema;

    /// Each of them may take the other one for a worker that lives.
    #[test]
    fn workers_that_end_at_once_after_their_parent_leave_no_file() {
        let place = tempfile::tempdir().unwrap();
        let name = ledger::hex([7; 16]);
        let start = || {
            let settings = Settings {
                directory: Some(place.path().to_owned()),
                application: Some(name.clone()),
                watched: false,
                ..Settings::default()
            };
            let files = Files::open(settings, Schema::default()).unwrap();
            let mut files = Arc::into_inner(files).unwrap();
            files.application.as_mut().unwrap().parent = Some(place.path().join("ended.mmst"));
            files
        };
        for _ in 0..50 {
            let (workers, barrier) = ([start(), start()], &Barrier::new(2));
            std::thread::scope(|scope| {
                for worker in &workers {
                    scope.spawn(move || {
                        barrier.wait();
                        worker.close(false);
                    });
                }
            });
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        }
    }
}
