//! Parts: the memory of lanes, and the images in which observers see it.

use std::sync::Arc;
use std::time::SystemTime;

use mmstats_core as core;
use mmstats_core::{FieldId, Memory, Mirror, Region, Writer};

use super::earlier_run::EarlierRun;
use super::place::{Place, publish};
use crate::backend::{Access, ErrorKind, Mapping, OwnedFile, Standing, process};
use crate::error::Error;
use crate::handles::kinds::nanos;

/// One image that handles write.
///
/// Handles keep its addresses, so the memory stays for as long as one of its lanes is owned. If
/// observers do not see it (private memory, or a file whose name is gone), a twin in a file of its
/// own takes copies of the lanes.
pub(crate) struct Part {
    pub(crate) segment: usize,
    pub(crate) writer: Writer<Arc<Mapping>>,
    pub(crate) mapping: Arc<Mapping>,
    /// Number of the image in its instance, if it had a name at any time.
    pub(crate) number: Option<u32>,
    /// The file that the memory belongs to; none for private memory.
    file: Option<Arc<OwnedFile>>,
    standing: Standing,
    twin: Option<Twin>,
    /// Effective user of the process when it published the last of the files.
    owner: Option<u32>,
}

/// An image that observers see in place of a part's memory.
struct Twin {
    writer: Writer<Arc<Mapping>>,
    file: Arc<OwnedFile>,
    mirror: Mirror,
    /// Of memory that belongs to a file.
    stage: Option<Stage>,
}

/// A copy in private memory of a file without a name. A file that is truncated while it is copied gives zeros, so
/// the twin gets the copy only after a check that the file has all its bytes.
struct Stage {
    writer: Writer<Arc<Mapping>>,
    mirror: Mirror,
}

/// The files of a part, which can be asked without the lock of the publisher: a file system may not
/// answer.
pub(crate) struct PartFiles {
    memory: Option<Arc<OwnedFile>>,
    twin: Option<Arc<OwnedFile>>,
}

/// The answers for the files of a part.
pub(crate) struct Standings {
    memory: Option<(Arc<OwnedFile>, Standing)>,
    twin: Option<(Arc<OwnedFile>, Standing)>,
}

impl PartFiles {
    /// Looks whether observers find them.
    pub(crate) fn look(self) -> Standings {
        let look = |file: Arc<OwnedFile>| {
            let standing = file.standing();
            (file, standing)
        };
        Standings { memory: self.memory.map(look), twin: self.twin.map(look) }
    }
}

impl Standings {
    /// Sets the time of the files that observers find.
    pub(crate) fn touch(&self) {
        for (file, standing) in self.memory.iter().chain(&self.twin) {
            if *standing == Standing::Published {
                // Without it, the program seems to have died earlier.
                let _ = file.touch();
            }
        }
    }
}

impl Part {
    /// A part in private memory or, with a number, in a published file.
    pub(crate) fn new(
        segment: usize,
        writer: Writer<Arc<Mapping>>,
        mapping: Arc<Mapping>,
        published: Option<(u32, OwnedFile)>,
    ) -> Self {
        let (number, file) = published.map(|(number, file)| (number, Arc::new(file))).unzip();
        let owner = file.as_ref().and_then(|_| process::uid());
        let standing = Standing::Published;
        Self { segment, writer, mapping, number, file, standing, twin: None, owner }
    }

    /// Whether observers see the memory itself.
    pub(crate) fn is_published(&self) -> bool {
        self.file.is_some() && self.standing == Standing::Published
    }

    /// Whether observers see the memory or a copy of it.
    pub(crate) fn is_seen(&self) -> bool {
        self.is_published() || self.twin.is_some()
    }

    /// Whether observers see a copy of the memory.
    pub(crate) fn has_twin(&self) -> bool {
        self.twin.is_some()
    }

    /// Whether the memory has all its bytes.
    pub(crate) fn is_whole(&self) -> bool {
        self.standing != Standing::Truncated && !self.mapping.is_damaged()
    }

    /// Whether observers see copies of the memory, or could.
    pub(crate) fn needs_copies(&self) -> bool {
        self.is_whole() && !self.is_published()
    }

    /// The file that observers see.
    pub(crate) fn seen_file(&self) -> Option<&Arc<OwnedFile>> {
        let file = self.file.as_ref().filter(|_| self.standing == Standing::Published);
        file.or(self.twin.as_ref().map(|twin| &twin.file))
    }

    /// User id of the owner of the file that observers see.
    pub(crate) fn owner(&self) -> Option<u32> {
        self.owner.filter(|_| self.is_seen())
    }

    /// The writer of the image that observers see.
    pub(crate) fn image(&mut self) -> Option<&mut Writer<Arc<Mapping>>> {
        if self.is_published() {
            Some(&mut self.writer)
        } else {
            self.twin.as_mut().map(|twin| &mut twin.writer)
        }
    }

    /// The writers of its images: fields are added to all, and retired in all.
    pub(crate) fn writers(&mut self) -> impl Iterator<Item = &mut Writer<Arc<Mapping>>> {
        let copies = self.twin.iter_mut().flat_map(|Twin { writer, stage, .. }| {
            stage.as_mut().map(|stage| &mut stage.writer).into_iter().chain([writer])
        });
        [&mut self.writer].into_iter().chain(copies)
    }

    /// The image that observers see or, if they see none, the memory; `None` if its bytes are lost.
    pub(crate) fn region(&self) -> Option<&Region<Arc<Mapping>>> {
        let memory = Some(&self.writer).filter(|_| self.is_whole());
        Some(self.twin.as_ref().map(|twin| &twin.writer).or(memory)?.region())
    }

    /// Its files.
    pub(crate) fn files(&self) -> PartFiles {
        let twin = self.twin.as_ref().map(|twin| Arc::clone(&twin.file));
        PartFiles { memory: self.file.clone(), twin }
    }

    /// Takes the answers for its files over. Returns whether observers no longer find one.
    pub(crate) fn note(&mut self, found: &Standings) -> bool {
        let seen = self.is_seen();
        if self.mapping.is_damaged() {
            self.standing = Standing::Truncated;
        }
        // It may have other files by now. A file in whose place there is a twin is never published
        // again, but truncated it may be.
        if let (Some(file), Some((asked, standing))) = (&self.file, &found.memory)
            && Arc::ptr_eq(file, asked)
            && self.standing != Standing::Truncated
            && (self.twin.is_none() || *standing == Standing::Truncated)
        {
            self.standing = *standing;
        }
        let lost = |twin: &mut Twin| {
            let found = found.twin.as_ref().filter(|(asked, _)| Arc::ptr_eq(&twin.file, asked));
            found.is_some_and(|(_, standing)| *standing != Standing::Published)
        };
        if let Some(twin) = self.twin.take_if(lost) {
            // Fails if the name is gone already.
            let _ = twin.file.remove();
        }
        seen && !self.is_seen()
    }

    /// Looks whether the memory has all its bytes, before it is copied or a lane of it is claimed.
    /// Looks no path up. Returns whether observers no longer see the memory.
    pub(crate) fn look_for_truncation(&mut self) -> bool {
        let seen = self.is_seen();
        let is_truncated = |file: &Arc<OwnedFile>| file.is_truncated();
        if self.mapping.is_damaged() || self.file.as_ref().is_some_and(is_truncated) {
            self.standing = Standing::Truncated;
        }
        seen && !self.is_seen()
    }

    /// Whether the program closed the descriptors of the file.
    pub(crate) fn is_unlocked(&self) -> bool {
        self.standing == Standing::Unlocked
    }

    /// The reason why observers do not see the memory, if it is a file.
    pub(crate) fn loss(&self) -> Option<Error> {
        let kind = if self.is_whole() { ErrorKind::Replaced } else { ErrorKind::Shrunk };
        let path = self.file.as_ref()?.path();
        Some(crate::backend::Error::new("publish", path, kind).into())
    }

    /// Publishes a twin as image `number` of `images`. It replaces a file of an earlier run. If another
    /// file has the name, it gets one that no other part has.
    pub(crate) fn publish_twin(
        &mut self,
        place: &mut Place,
        access: Access,
        (number, images): (u32, u32),
        mirrored: Option<FieldId>,
        earlier: &EarlierRun,
    ) -> Result<(), Error> {
        let (first, others) = place.names(number)?;
        let size = u32::try_from(self.mapping.len()).unwrap_or(u32::MAX);
        let new = place.create(&first, size, access)?;
        let stage = self.file.as_ref().map(|_| Stage::new(&self.writer, size));
        let mut stage = stage.transpose()?;
        let missed = stage.as_mut().map_or(0, |stage| stage.copy(&self.writer));
        self.look_for_truncation();
        if let Some(loss) = self.loss().filter(|_| !self.is_whole()) {
            return Err(loss);
        }
        let source = stage.as_ref().map_or(&self.writer, |stage| &stage.writer);
        let mut writer = source.twin(Arc::clone(new.mapping()), number).map_err(Error::image)?;
        let mut mirror = Mirror::new();
        copy(&mut mirror, source, &mut writer, mirrored, missed);
        if number == 0 {
            writer.set_parts(images.max(1));
        }
        writer.go_live();
        // A file without a lock still has its name.
        let unlocked = self.file.as_deref().filter(|_| self.is_unlocked());
        let unlocked = unlocked.filter(|old| old.path() == new.path());
        let file = match earlier.file(new.path()).or(unlocked) {
            Some(old) => new
                .publish_over(old)
                .or_else(|unpublished| publish(unpublished.file, others, access))?,
            None => publish(new, others, access)?,
        };
        self.twin = Some(Twin { writer, file: Arc::new(file), mirror, stage });
        self.owner = process::uid();
        Ok(())
    }

    /// Brings the twin up to date. If no lane is owned any more, the twin becomes the memory.
    pub(crate) fn copy(&mut self, mirrored: Option<FieldId>) {
        if self.standing != Standing::Truncated {
            let missed = self.stage();
            self.show(mirrored, missed);
        }
    }

    /// Brings the stage up to date, if there is one. Returns the number of values that were missed.
    fn stage(&mut self) -> usize {
        let stage = self.twin.as_mut().and_then(|twin| twin.stage.as_mut());
        stage.map_or(0, |stage| stage.copy(&self.writer))
    }

    /// Brings the twin up to date with the stage or the memory.
    fn show(&mut self, mirrored: Option<FieldId>, missed: usize) {
        // After the values were staged: the zeros of a truncated file must not replace others.
        self.look_for_truncation();
        let (Some(twin), true) = (&mut self.twin, self.standing != Standing::Truncated) else {
            return;
        };
        let source = twin.stage.as_ref().map_or(&self.writer, |stage| &stage.writer);
        copy(&mut twin.mirror, source, &mut twin.writer, mirrored, missed);
        if source.owned_lanes().next().is_none()
            && let Some(Twin { writer, file, .. }) = self.twin.take()
        {
            self.mapping = Arc::clone(file.mapping());
            self.writer = writer;
            self.file = Some(file);
            self.standing = Standing::Published;
        }
    }

    /// Gives its files away, to be ended.
    pub(crate) fn take_files(&mut self) -> impl Iterator<Item = Arc<OwnedFile>> + use<> {
        self.file.take().into_iter().chain(self.twin.take().map(|twin| twin.file))
    }
}

impl Stage {
    /// A stage without the values of lanes, for memory of `size` bytes.
    fn new(memory: &Writer<Arc<Mapping>>, size: u32) -> Result<Self, Error> {
        let private = Arc::new(crate::backend::private(size)?);
        let writer = memory.twin(private, 0).map_err(Error::image)?;
        Ok(Self { writer, mirror: Mirror::new() })
    }

    /// Takes over the values of all lanes. Returns the number of those that were missed.
    fn copy(&mut self, memory: &Writer<Arc<Mapping>>) -> usize {
        self.mirror.copy(memory, &mut self.writer, None)
    }
}

/// Ends a file: removes it, or keeps it as it is.
pub(crate) fn end(file: &OwnedFile, remove: bool) {
    // An error means that the file was removed or replaced already, or is the parent's.
    drop(if remove {
        file.remove()
    } else {
        detach(file);
        file.touch()
    });
}

/// Remaining handles do not change the file any more.
pub(crate) fn detach(file: &OwnedFile) {
    // They can where there is no memory for a copy; there is no better way out.
    drop(file.detach());
}

/// Copies all lanes, and sets the time of the copy in those that are owned. If values were missed, by this copy or
/// the one `before` it, only lanes without a time get one.
fn copy(
    mirror: &mut Mirror,
    from: &Writer<Arc<Mapping>>,
    to: &mut Writer<Arc<Mapping>>,
    mirrored: Option<FieldId>,
    before: usize,
) {
    let missed = before + mirror.copy(from, to, mirrored);
    let Some(field) = mirrored else { return };
    let now = nanos(SystemTime::now());
    for index in to.owned_lanes() {
        let memory = Arc::clone(to.region().memory());
        let Ok(region) = Region::new(memory) else { continue };
        let lane = core::Lane::new(region, index);
        // Without a time the lane would be no copy: see `sys.mirrored`.
        if let Ok(time) = core::Gauge::<u64, _>::attach(&lane, field)
            && (missed == 0 || time.get().is_none())
        {
            time.set(now);
        }
    }
}

#[cfg(all(test, unix))] // Windows truncates no mapped file
mod tests {
    use crate::files::Files;
    use crate::files::settings::{Fallback, Settings};
    use crate::schema::Schema;

    #[test]
    fn file_truncated_while_it_is_staged_changes_no_twin() {
        let place = tempfile::tempdir().unwrap();
        let directory = Some(place.path().join("stats"));
        let settings = Settings { directory, watched: false, ..Settings::default() };
        let files = Files::open(settings, Schema::default()).unwrap();
        let _lane = files.claim(0, Fallback::Refuse).unwrap();
        let away = place.path().join("away");
        std::fs::rename(files.paths().remove(0), &away).unwrap();
        files.inventory.lock().attempts.checked = None;
        assert!(files.problem().is_none());

        let mut inventory = files.inventory.lock();
        let part = &mut inventory.parts[0];
        assert!(part.has_twin());
        let file = std::fs::OpenOptions::new().write(true).open(&away).unwrap();
        file.set_len(0).unwrap();
        // It reads zeros: no lane has an owner.
        part.stage();
        part.show(None, 0);
        assert!(!part.is_whole() && part.has_twin());
        let twin = part.twin.as_ref().unwrap();
        assert_eq!(twin.writer.owned_lanes().count(), 1);
        drop(inventory);
        assert!(files.problem().unwrap().to_string().contains("smaller"));
        files.close(false);
    }
}
