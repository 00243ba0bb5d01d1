//! The file of a ledger: FILES.md section 3.

use hashbrown::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use mmstats_core::read::ImageState;
use mmstats_core::{Constant, FieldSpec, Geometry, Level, Source, View, Writer};

use super::super::values::fields;
use super::instance::{COMMAND, Constants, Ended, Instance};
use super::sums::Sums;
use crate::backend::directory::Directory;
use crate::backend::ledger::{
    APPLICATION, GENERATION, INCOMPLETE, INSTANCES, KEPT, LedgerName, SUPERSEDES,
};
use crate::backend::{Access, ObservedFile};
use crate::error::Error;

/// The values of ended instances of one application.
#[derive(Debug, Default, Clone)]
pub(super) struct Ledger {
    pub(super) generation: u64,
    /// Number of instances that were taken in.
    pub(super) instances: u64,
    /// Number of incomplete ones among these.
    pub(super) incomplete: u64,
    pub(super) samples_refused: u64,
    /// The instances whose files may still exist, and the last [`KEPT`] ones; the latest last.
    pub(super) supersedes: Vec<Instance>,
    pub(super) sums: Sums,
    /// Name of the program of an instance.
    pub(super) command: String,
}

impl Ledger {
    /// Reads the ledger `name` of `application`; `None` if it is none, or damaged.
    ///
    /// # Errors
    ///
    /// If it cannot be opened: it may have been removed meanwhile.
    pub(super) fn read(
        directory: &Path,
        name: &LedgerName,
        application: &str,
    ) -> Result<Option<Self>, Error> {
        let opened = crate::backend::open(&directory.join(name.to_string()))?;
        if opened.info().owner.unwrap_or(0) != name.owner {
            return Ok(None);
        }
        let Ok(region) = View::new(Arc::clone(opened.mapping())) else { return Ok(None) };
        let read = Self::read_image(&region, name, application);
        Ok(read.filter(|_| !has_shrunk(&opened)))
    }

    fn read_image(region: &impl Source, name: &LedgerName, application: &str) -> Option<Self> {
        let (header, all) = fields(region).ok()?;
        if header.state(region) != Ok(ImageState::Closed) {
            return None;
        }
        let constants = Constants { region, fields: &all };
        let mut ledger = Self {
            generation: constants.number(GENERATION)?,
            instances: constants.number(INSTANCES)?,
            incomplete: constants.number(INCOMPLETE)?,
            supersedes: constants.bytes(SUPERSEDES)?.as_chunks().0.to_vec(),
            command: constants.text(COMMAND).unwrap_or_default(),
            ..Self::default()
        };
        if constants.text(APPLICATION)? != application || ledger.generation != name.generation {
            return None;
        }
        ledger.sums.refused = header.fields_refused(region);
        let rest = ledger.sums.add_image(region, &mut HashSet::new()).ok()?;
        ledger.samples_refused = rest.samples_refused;
        rest.whole.then_some(ledger)
    }

    /// Adds an instance.
    pub(super) fn add(&mut self, ended: &Ended) {
        self.sums.merge(&ended.sums);
        self.instances = self.instances.saturating_add(1);
        self.incomplete = self.incomplete.saturating_add(u64::from(!ended.whole));
        self.samples_refused = self.samples_refused.saturating_add(ended.samples_refused);
        self.supersedes.push(ended.instance);
        if let Some(command) = &ended.command {
            self.command.clone_from(command);
        }
    }

    /// Drops instances without files, but for the last [`KEPT`].
    pub(super) fn prune(&mut self, has_files: impl Fn(&Instance) -> bool) {
        let old = self.supersedes.len().saturating_sub(KEPT);
        let mut at = 0;
        self.supersedes.retain(|instance| {
            at += 1;
            at > old || has_files(instance)
        });
    }

    /// Writes the ledger into a new file that is not yet named, and names it.
    ///
    /// # Errors
    ///
    /// If the name is taken, or the system refuses.
    pub(super) fn publish(
        &self,
        directory: &Directory,
        name: &LedgerName,
        application: &str,
        access: Access,
    ) -> Result<(), Error> {
        let supersedes: Vec<u8> = self.supersedes.concat();
        let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let info = |label, help, value| FieldSpec::info(label, value).help(help);
        let specs = [
            info(COMMAND, "Base name of the program.", Constant::Text(&self.command)),
            info(
                "sys.created",
                "When the ledger was written, since 1970.",
                Constant::F64(created.map_or(0.0, |since| since.as_secs_f64())),
            )
            .unit("seconds"),
            info(APPLICATION, "Name of the application.", Constant::Text(application)),
            info(
                GENERATION,
                "Number of this ledger; the highest is valid.",
                Constant::U64(name.generation),
            ),
            info(INSTANCES, "Number of ended workers.", Constant::U64(self.instances)),
            info(
                INCOMPLETE,
                "Number of ended workers with missing values.",
                Constant::U64(self.incomplete),
            ),
            info(SUPERSEDES, "The last ended workers.", Constant::Bytes(&supersedes))
                .level(Level::Debug),
        ];
        let mut geometry = Geometry::new(1);
        for spec in &specs {
            geometry.add(spec).map_err(Error::image)?;
        }
        self.sums.measure(&mut geometry)?;
        let size = geometry.file_size();
        let fields = geometry.fields as usize;
        let size = size.ok_or(Error::TooLarge { fields, lanes: 1 })?;
        let new = crate::backend::create(directory, &name.to_string(), size, access)?;
        let instance = crate::backend::process::random();
        let memory = Arc::clone(new.mapping());
        let mut writer =
            Writer::create_zeroed(memory, &geometry, instance, 0).map_err(Error::image)?;
        for spec in &specs {
            writer.add(spec).map_err(Error::image)?;
        }
        let lane = writer.claim().map_err(Error::image)?;
        let refused = self.sums.write(&mut writer, lane)?;
        writer.set_fields_refused(refused);
        writer.restore_samples_refused(lane, self.samples_refused);
        writer.hand_back(lane);
        writer.set_parts(1);
        writer.go_live();
        writer.close();
        new.publish().map(drop).map_err(|unpublished| unpublished.error.into())
    }
}

/// The application of a ledger, and when it was written. `None` unless name, owner and constants
/// agree.
pub(super) fn application(directory: &Path, name: &LedgerName) -> Option<(String, SystemTime)> {
    let opened = crate::backend::open(&directory.join(name.to_string())).ok()?;
    let region = View::new(Arc::clone(opened.mapping())).ok()?;
    let (_, fields) = fields(&region).ok()?;
    let constants = Constants { region: &region, fields: &fields };
    let application = constants.text(APPLICATION)?;
    let said = LedgerName::new(&application, name.owner, constants.number(GENERATION)?);
    let agree = said == *name && opened.info().owner.unwrap_or(0) == name.owner;
    agree.then_some((application, opened.info().modified))
}

/// Whether a file was truncated since it was opened: zeros that were read may be no values.
pub(super) fn has_shrunk(opened: &ObservedFile) -> bool {
    let is_smaller = opened.size_now().is_ok_and(|size| size < opened.info().size);
    opened.mapping().is_damaged() || is_smaller
}

#[cfg(all(test, unix))] // Windows truncates no mapped file
mod tests {
    use super::*;

    #[test]
    fn has_shrunk_of_a_file_that_was_truncated_is_true() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.mmst");
        std::fs::write(&path, [1; 9_000]).unwrap();
        let opened = crate::backend::open(&path).unwrap();
        assert!(!has_shrunk(&opened));
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(8_999).unwrap();
        assert!(has_shrunk(&opened));
        // Nothing was lost with the name alone.
        file.set_len(9_000).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!has_shrunk(&opened));
    }
}
