//! Values from an earlier run of the program: what a persistent publisher goes on from.
//!
//! The old files are opened and locked, their values taken, all lanes combined, and written
//! into lane 0 of the new files before these take the old ones' place. So the old file or the
//! new one is there, whole, at any moment.

use std::collections::HashMap;
use std::path::Path;

use crate::backend::directory::Directory;
use crate::backend::{ErrorKind, OwnedFile, name};
use mmstats_core::read::{Cursor, Field, Header, Lane, parse_attributes};
use mmstats_core::{FieldId, FieldSpec, Kind, Memory, Properties, Region, Source, Writer};

use crate::amount::Amount;
use crate::error::Error;
use crate::item::{Item, Owned};
use crate::schema::FieldOptions;

/// Says how many fields the program declared at its start: the ones before this one.
pub(crate) const DECLARED: &str = "sys.declared";

/// What an earlier run left.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    /// Its files, locked.
    pub(crate) files: Vec<OwnedFile>,
    /// The fields that it declared at its start, in their order.
    declared: Vec<(Name, Shape)>,
    /// What its fields amount to.
    amounts: HashMap<Name, (Shape, Amount)>,
    /// The fields that it added later.
    added: Vec<Item>,
    /// Whether a file of the last run has all fields that were added in the runs before.
    renewed: bool,
}

/// Label and attributes.
type Name = (String, String);

/// What must be the same, so that a value can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    properties: Properties,
    unit: String,
    detail: String,
}

impl Shape {
    fn of<S: Source + ?Sized>(source: &S, field: &Field) -> Self {
        Self {
            properties: field.properties().value_properties(),
            unit: field.unit().read(source, &mut [0; 63]).to_owned(),
            detail: field.detail().read(source, &mut [0; 4096]).to_owned(),
        }
    }

    fn describe(&self) -> String {
        let properties = self.properties;
        let kind = properties.kind().map_or("field", Kind::name);
        let ty = properties.ty().map_or("?", mmstats_core::DataType::name);
        let unit = if self.unit.is_empty() { String::new() } else { format!(" in {}", self.unit) };
        format!("a {kind} of {ty} ({}, {:#x}){unit}", properties.count(), properties.param())
    }
}

fn name_of<S: Source + ?Sized>(source: &S, field: &Field) -> Name {
    (
        field.label().read(source, &mut [0; 255]).to_owned(),
        field.attributes().read(source, &mut [0; 4096]).to_owned(),
    )
}

/// All good fields of an image that may not be live yet.
fn fields<M: Memory>(region: &Region<M>) -> Result<(Header, Vec<Field>), Error> {
    let header = Header::read(region).map_err(|e| Error::Image(e.to_string()))?;
    let mut cursor = Cursor::new();
    let mut fields = Vec::new();
    while let Some((_, field)) = cursor.next(region, &header) {
        fields.extend(field);
    }
    Ok((header, fields))
}

impl Carry {
    /// Takes what the file `name` in `directory` and its further parts have; nothing if there
    /// is no such file.
    pub(crate) fn load(directory: &Directory, name: &str) -> Result<Self, Error> {
        let mut carry = Self::default();
        let mut first = None;
        for part in 0.. {
            let path = directory.path().join(name::part_name(name, part)?);
            let file = match crate::backend::reopen(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error.into()),
            };
            carry.take(&file, &mut first)?;
            carry.files.push(file);
        }
        Ok(carry)
    }

    /// Takes the values of one file. `first` is the instance of the first one.
    fn take(&mut self, file: &OwnedFile, first: &mut Option<[u8; 16]>) -> Result<(), Error> {
        let refused = |what: String| Error::Schema { path: file.path().to_path_buf(), what };
        let region =
            Region::new(file.mapping().clone()).map_err(|e| Error::Image(e.to_string()))?;
        let (header, fields) = fields(&region).map_err(|e| refused(e.to_string()))?;
        let names: Vec<_> = fields.iter().map(|field| name_of(&region, field)).collect();
        let declared = names.iter().position(|(label, _)| label == DECLARED);
        let same = *first.get_or_insert(header.instance()) == header.instance();
        if self.files.is_empty() {
            let Some(count) = declared else {
                return Err(refused("it was not written by a persistent publisher".to_owned()));
            };
            let shapes = fields.iter().map(|field| Shape::of(&region, field));
            self.declared = names.iter().cloned().zip(shapes).take(count).collect();
        } else if !same && (declared.is_some() || self.renewed) {
            // A start that was cut short left it: its values went to the first file, or to the
            // one file for all fields that are added later.
            return Ok(());
        } else if same && declared.is_none() {
            self.renewed = true;
        }
        let lanes = header.lanes_used(&region).unwrap_or(0);
        let lanes: Vec<Lane> =
            (0..lanes).filter_map(|i| header.lane(&region, i).consistent()).collect();
        for (index, (field, name)) in fields.iter().zip(names).enumerate() {
            if field.retired(&region) || field.is_member() {
                continue;
            }
            let Some(amount) = Amount::of(&region, field, &lanes) else { continue };
            let followed = fields.get(index + 1).is_some_and(|f| f.kind() == Some(Kind::Rate));
            if declared.is_none_or(|count| index > count) && !followed {
                self.added.extend(item(&region, field, &name));
            }
            let shape = Shape::of(&region, field);
            match self.amounts.get_mut(&name) {
                Some((known, sum)) if *known == shape => sum.merge(amount),
                _ => drop(self.amounts.insert(name, (shape, amount))),
            }
        }
        Ok(())
    }

    /// Whether there was an earlier run.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The fields that the earlier run added after its start, once each.
    pub(crate) fn added(&mut self) -> Vec<Item> {
        let mut seen = std::collections::HashSet::new();
        let mut items = std::mem::take(&mut self.added);
        items.retain(|item| seen.insert(item.fields().first().map(Owned::key)));
        items
    }

    /// Compares the fields that both runs declared at their start.
    pub(crate) fn check<M: Memory>(&self, writer: &Writer<M>) -> Result<(), Error> {
        let Some(old) = self.files.first() else { return Ok(()) };
        let region = writer.region();
        let refused = |what| Err(Error::Schema { path: old.path().to_path_buf(), what });
        let (_, fields) = fields(region)?;
        let new = fields.iter().map(|field| (name_of(region, field), Shape::of(region, field)));
        let new: Vec<_> = new.take_while(|((label, _), _)| label != DECLARED).collect();
        for (position, (name, shape)) in new.iter().enumerate() {
            match self.declared.get(position) {
                Some((old, was)) if old == name && was == shape => {}
                Some((old, was)) if old == name => {
                    return refused(format!(
                        "field {:?} is {} there and {} here",
                        shown(name),
                        was.describe(),
                        shape.describe()
                    ));
                }
                Some((old, _)) => {
                    return refused(format!(
                        "field {position} is {:?} there and {:?} here",
                        shown(old),
                        shown(name)
                    ));
                }
                None => return refused(format!("it has no field {:?}", shown(name))),
            }
        }
        match self.declared.get(new.len()) {
            Some((name, _)) => refused(format!("it has a field {:?} more", shown(name))),
            None => Ok(()),
        }
    }

    /// Writes the values into a new image, in a lane that is free again afterwards.
    pub(crate) fn fill<M: Memory>(&self, writer: &mut Writer<M>) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let image = |e: mmstats_core::WriteError| Error::Image(e.to_string());
        let (_, fields) = fields(writer.region())?;
        let lane = writer.claim().map_err(image)?;
        for field in fields {
            let name = name_of(writer.region(), &field);
            let Some((shape, amount)) = self.amounts.get(&name) else { continue };
            if *shape == Shape::of(writer.region(), &field) {
                let id = FieldId::from_index(field.index());
                for (units, elements) in amount.units(field.ty()) {
                    writer.restore(lane, id, &units, elements).map_err(image)?;
                }
            }
        }
        writer.hand_back(lane);
        Ok(())
    }

    /// The old file that has this path.
    pub(crate) fn file(&self, path: &Path) -> Option<&OwnedFile> {
        self.files.iter().find(|file| file.path() == path)
    }

    /// Removes the old files that nothing took the place of: their values are elsewhere.
    pub(crate) fn finish(self) {
        for file in self.files {
            // One that has lost its name has been replaced.
            let _ = file.remove();
        }
    }
}

/// A label with its attributes, for messages.
fn shown((label, attributes): &Name) -> String {
    if attributes.is_empty() {
        return label.clone();
    }
    let pairs: Vec<_> =
        parse_attributes(attributes).map(|(key, value)| format!("{key}={value}")).collect();
    format!("{label}{{{}}}", pairs.join(","))
}

/// The field declared anew.
fn item<S: Source + ?Sized>(source: &S, field: &Field, (label, attributes): &Name) -> Option<Item> {
    let detail = field.detail().read(source, &mut [0; 4096]).to_owned();
    let details: Vec<&str> = detail.split('\0').filter(|item| !item.is_empty()).collect();
    let properties = field.properties().declared();
    let _known = (properties.ty()?, properties.kind()?);
    let spec = FieldSpec { details: &details, ..FieldSpec::new(label, properties) };
    let mut options = FieldOptions::new()
        .unit(field.unit().read(source, &mut [0; 63]))
        .help(field.help().read(source, &mut [0; 4096]))
        .level(field.level())
        .aggregation(field.aggregation());
    for (key, value) in parse_attributes(attributes) {
        options = options.attribute(key, value);
    }
    Some(Item::One(Owned::new(label.clone(), &spec, options)))
}
