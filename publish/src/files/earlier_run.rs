//! Values of an earlier run of the program, which a persistent publisher continues.
//!
//! The old files are opened and locked; their lanes are combined and written into lane 0 of the
//! new files before these replace the old ones. So there is a complete file at any moment.

use std::path::Path;

use hashbrown::{HashMap, HashSet};
use mmstats_core::read::{Field, Lane};
use mmstats_core::{FieldId, Kind, Memory, Region, Writer};

use super::totals::Total;
use super::values::{Name, Signature, declaration, display, fields, name};
use crate::backend::directory::Directory;
use crate::backend::{ErrorKind, OwnedFile, name as file_name};
use crate::error::Error;
use crate::schema::declaration::{DECLARED, FieldDeclaration};

/// The files of an earlier run, and their values.
#[derive(Debug, Default)]
pub(crate) struct EarlierRun {
    /// Locked.
    files: Vec<OwnedFile>,
    /// The fields that it declared at its start, in their order.
    declared: Vec<(Name, Signature)>,
    /// The combined values of its lanes.
    totals: HashMap<Name, (Signature, Total)>,
    /// The fields that it added later.
    added: Vec<FieldDeclaration>,
    /// Whether a file of the last run has all fields that were added in the runs before.
    renewed: bool,
}

impl EarlierRun {
    /// Reads the file `name` in `directory` and its further parts; none if there is no such
    /// file.
    pub(crate) fn load(directory: &Directory, name: &str) -> Result<Self, Error> {
        let mut earlier = Self::default();
        let mut first = None;
        for part in 0.. {
            let path = directory.path().join(file_name::part_name(name, part)?);
            let file = match crate::backend::reopen(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error.into()),
            };
            earlier.take(file, &mut first)?;
        }
        Ok(earlier)
    }

    /// Takes over a file with its values. `first` is the instance of the first one.
    fn take(&mut self, file: OwnedFile, first: &mut Option<[u8; 16]>) -> Result<(), Error> {
        self.read(&file, first)?;
        // The zeros of a file that was truncated meanwhile are no values.
        if file.is_truncated() || file.mapping().is_damaged() {
            let kind = ErrorKind::Shrunk;
            return Err(crate::backend::Error::new("read", file.path(), kind).into());
        }
        self.files.push(file);
        Ok(())
    }

    /// Reads the values of one file. `first` is the instance of the first one.
    fn read(&mut self, file: &OwnedFile, first: &mut Option<[u8; 16]>) -> Result<(), Error> {
        let refused =
            |difference: String| Error::Schema { path: file.path().to_path_buf(), difference };
        let region = Region::new(file.mapping().clone()).map_err(Error::image)?;
        let (header, fields) = fields(&region).map_err(|e| refused(e.to_string()))?;
        let names: Vec<_> = fields.iter().map(|field| name(&region, field)).collect();
        let declared = names.iter().position(|(label, _)| label == DECLARED);
        let same = *first.get_or_insert(header.instance()) == header.instance();
        if self.files.is_empty() {
            let Some(count) = declared else {
                return Err(refused("it was not written by a persistent publisher".to_owned()));
            };
            let signatures = fields.iter().map(|field| Signature::new(&region, field));
            self.declared = names.iter().cloned().zip(signatures).take(count).collect();
        } else if !same && (declared.is_some() || self.renewed) {
            // Left by a start that was cut short: its values went to the first file, or to the
            // file of all fields that are added later.
            return Ok(());
        } else if same && declared.is_none() {
            self.renewed = true;
        }
        let lanes = header.lanes_used(&region).unwrap_or(0);
        let lanes: Vec<Lane> =
            (0..lanes).filter_map(|i| Lane::open(&region, &header, i).consistent()).collect();
        for (index, (field, name)) in fields.iter().zip(names).enumerate() {
            if field.retired(&region) || field.properties().is_member() {
                continue;
            }
            let Some(total) = Total::new(&region, field, &lanes) else { continue };
            // A handle of two fields is not declared again as one of the first alone.
            let next = fields.get(index + 1).and_then(Field::kind);
            let followed = matches!(next, Some(Kind::Rate | Kind::Running));
            let signature = Signature::new(&region, field);
            if declared.is_none_or(|count| index > count) && !followed {
                let properties = field.properties().declared();
                self.added.extend(declaration(&region, field, properties, &name, &signature));
            }
            match self.totals.get_mut(&name) {
                Some((known, sum)) if *known == signature => sum.merge(total),
                _ => drop(self.totals.insert(name, (signature, total))),
            }
        }
        Ok(())
    }

    /// The fields that the earlier run added after its start, once each.
    pub(crate) fn added(&mut self) -> Vec<FieldDeclaration> {
        let mut seen = HashSet::new();
        let mut added = std::mem::take(&mut self.added);
        added.retain(|field| seen.insert(field.name().clone()));
        added
    }

    /// Compares the fields that both runs declared at their start.
    pub(crate) fn check<M: Memory>(&self, writer: &Writer<M>) -> Result<(), Error> {
        let Some(file) = self.files.first() else { return Ok(()) };
        let region = writer.region();
        let (_, fields) = fields(region)?;
        let new = fields.iter().map(|field| (name(region, field), Signature::new(region, field)));
        let new: Vec<_> = new.take_while(|((label, _), _)| label != DECLARED).collect();
        for position in 0..=new.len() {
            let difference = match (self.declared.get(position), new.get(position)) {
                (None, None) => break,
                (Some(old), Some(new)) if old == new => continue,
                (Some((old, was)), Some((new, now))) if old == new => {
                    let (was, now) = (was.describe(), now.describe());
                    format!("field {:?} is {was} there and {now} here", display(new))
                }
                (Some((old, _)), Some((new, _))) => {
                    let (old, new) = (display(old), display(new));
                    format!("field {position} is {old:?} there and {new:?} here")
                }
                (None, Some((new, _))) => format!("it has no field {:?}", display(new)),
                (Some((old, _)), None) => format!("it has a field {:?} more", display(old)),
            };
            return Err(Error::Schema { path: file.path().to_path_buf(), difference });
        }
        Ok(())
    }

    /// Writes the values into a lane of a new image, which is free again afterwards.
    pub(crate) fn fill<M: Memory>(&self, writer: &mut Writer<M>) -> Result<(), Error> {
        if self.files.is_empty() {
            return Ok(());
        }
        let (_, fields) = fields(writer.region())?;
        let lane = writer.claim().map_err(Error::image)?;
        for field in fields {
            let name = name(writer.region(), &field);
            let Some((signature, total)) = self.totals.get(&name) else { continue };
            if *signature == Signature::new(writer.region(), &field) {
                let id = FieldId::from_index(field.index());
                for (units, elements) in total.units(field.ty()) {
                    writer.restore(lane, id, &units, elements).map_err(Error::image)?;
                }
            }
        }
        writer.hand_back(lane);
        Ok(())
    }

    /// The old file with this path.
    pub(crate) fn file(&self, path: &Path) -> Option<&OwnedFile> {
        self.files.iter().find(|file| file.path() == path)
    }

    /// Removes the old files that no new file has replaced: their values are in the new ones.
    pub(crate) fn finish(self) {
        for file in self.files {
            // Fails for a replaced file, which has no name.
            let _ = file.remove();
        }
    }
}

#[cfg(all(test, unix))] // Windows truncates no mapped file
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::files::settings::{OnDrop, Settings};
    use crate::schema::Schema;

    /// The lanes are at the end of a file.
    #[test]
    fn file_truncated_while_it_is_read_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("web.mmst");
        let start = || {
            let settings = Settings {
                directory: Some(place.path().to_owned()),
                file_name: Some("web.mmst".to_owned()),
                persistent: true,
                on_drop: OnDrop::Keep,
                ..Settings::default()
            };
            Files::open(settings, Schema::default())
        };
        start().unwrap().close(false);
        let file = crate::backend::reopen(&path).unwrap();
        let size = file.mapping().len() as u64;
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size - 1).unwrap();
        let error = EarlierRun::default().take(file, &mut None).unwrap_err();
        assert!(error.to_string().contains("smaller"), "{error}");
    }
}
