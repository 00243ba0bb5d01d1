//! The families of all programs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};

use mmstats_observe::{FieldInfo, OwnedValue, Total};

use crate::classic;
use crate::loss::{Loss, Losses};
use crate::name;
use crate::plan::{self, Part, Plan, Shape, Type};
use crate::unit::Scale;

/// A program to export, with its values now.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Target<'a> {
    /// Identifies the program from one update to the next.
    pub key: u128,
    /// Labels of all its series; names as `[a-zA-Z_][a-zA-Z0-9_]*`.
    pub labels: &'a [(String, String)],
    /// When its counters began, in seconds since 1970.
    pub created: Option<f64>,
    /// Whether it may still publish.
    pub is_live: bool,
    /// Whether it ended without a clean end.
    pub has_died: bool,
    /// Whether a part of it was not seen.
    pub is_incomplete: bool,
    /// The version of the totals, [`mmstats_observe::Totals::version`], if the fields are all of theirs: fields
    /// of the same version are not compared.
    pub version: Option<u64>,
    /// Its fields.
    pub fields: &'a [Total],
}

impl<'a> Target<'a> {
    /// A complete program that lives.
    #[must_use]
    pub const fn new(key: u128, labels: &'a [(String, String)], fields: &'a [Total]) -> Self {
        Self {
            key,
            labels,
            created: None,
            is_live: true,
            has_died: false,
            is_incomplete: false,
            version: None,
            fields,
        }
    }
}

/// The families of all programs: which metrics their fields are.
///
/// While programs and fields stay the same, an update only compares them. When some change, names and labels are made
/// once for all programs with the same fields, as those of one executable have.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub(crate) families: Vec<Family>,
    /// By number.
    mappings: Vec<Mapping>,
    pub(crate) programs: Vec<Program>,
    /// Changes when the families do.
    pub(crate) version: u64,
    losses: Losses,
    /// See [`Catalogue::set_dropped`].
    pub(crate) dropped: u64,
    hasher: RandomState,
    /// The last number of a schema.
    last_schema: u64,
}

/// A family: the series of one name.
#[derive(Debug)]
pub(crate) struct Family {
    /// Without the suffix of counters.
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) unit: String,
    pub(crate) ty: Type,
    /// Name of a histogram with the unit of its buckets, if that is not the base unit; empty if another metric has it.
    pub(crate) native: Option<String>,
    pub(crate) series: Vec<Series>,
}

/// A series: there may be millions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series {
    pub(crate) program: u32,
    mapping: u32,
}

/// How a field becomes a series, the same for all programs with the same fields.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) field: u32,
    pub(crate) part: Part,
    pub(crate) scale: Scale,
    /// Labels besides those of the program, as text.
    pub(crate) labels: Box<str>,
    /// The bounds of a histogram in text formats.
    pub(crate) bounds: Box<[f64]>,
}

/// A program in the catalogue.
#[derive(Debug)]
pub(crate) struct Program {
    key: u128,
    /// Labels as text.
    pub(crate) labels: String,
    pairs: Vec<(String, String)>,
    version: Option<u64>,
    /// Empty if there is a version.
    fields: Vec<FieldInfo>,
    shapes: Vec<Shape>,
    /// Programs of one schema have the same fields, but for values that are names themselves.
    schema: u64,
    /// Hash of the fields.
    hash: u64,
    /// Whether a program before it has the same labels: its samples could not be told from those.
    pub(crate) is_twin: bool,
}

impl Program {
    fn new(target: &Target<'_>, schema: u64, hash: u64) -> Self {
        let fields = target.fields.iter().filter(|_| target.version.is_none());
        let shape = |total: &Total| plan::shape(total.reading.value.as_ref());
        Self {
            key: target.key,
            labels: name::labels(target.labels),
            pairs: target.labels.to_vec(),
            version: target.version,
            fields: fields.map(|total| total.field.clone()).collect(),
            shapes: target.fields.iter().map(shape).collect(),
            schema,
            hash,
            is_twin: false,
        }
    }

    fn fits(&self, target: &Target<'_>) -> bool {
        let is_same_fields = || match (self.version, target.version) {
            (None, None) => {
                let mut pairs = self.fields.iter().zip(target.fields);
                pairs.all(|(info, total)| is_same(info, &total.field))
            }
            (ours, theirs) => ours == theirs,
        };
        self.key == target.key
            && self.shapes.len() == target.fields.len()
            && self.pairs == target.labels
            && is_same_fields()
            && self
                .shapes
                .iter()
                .zip(target.fields)
                .all(|(shape, total)| shape.fits(total.reading.value.as_ref()))
    }
}

/// Whether the description is the same.
fn is_same(a: &FieldInfo, b: &FieldInfo) -> bool {
    a.properties == b.properties
        && a.label == b.label
        && a.unit == b.unit
        && a.attributes == b.attributes
        && a.constant == b.constant
        && a.help == b.help
}

impl Catalogue {
    /// No families.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what has changed. The encoders want the same `targets`.
    pub fn update(&mut self, targets: &[Target<'_>]) {
        let same = self.programs.len() == targets.len()
            && self.programs.iter().zip(targets).all(|(program, target)| program.fits(target));
        if same {
            return;
        }
        self.version += 1;
        self.take_over(targets);
        self.losses = Losses::default();
        let mut known = HashSet::new();
        for program in &mut self.programs {
            program.is_twin = !known.insert(name::distinct(&program.pairs));
        }
        let mut builder = Builder::new(&mut self.losses);
        let mut schemas = HashMap::new();
        for (number, (program, target)) in (0..).zip(self.programs.iter().zip(targets)) {
            if program.is_twin {
                let labels = &program.labels;
                builder.losses.collide(|| format!("another program has the labels {labels}"));
                continue;
            }
            let schema = schemas.entry(program.schema).or_insert_with(|| builder.schema(target));
            builder.add(number, target, schema);
        }
        let Builder { names, families, mappings, .. } = builder;
        let mut families: Vec<Option<Family>> = families.into_iter().map(Some).collect();
        let sorted = names.into_values();
        self.families =
            sorted.filter_map(|number| families.get_mut(number as usize)?.take()).collect();
        self.mappings = mappings;
        self.leave_out_clashes();
    }

    /// How the field of a series becomes one.
    pub(crate) fn mapping(&self, series: Series) -> Option<&Mapping> {
        self.mappings.get(series.mapping as usize)
    }

    /// Calls `each` with the series of a family, in their order, and the value of each, if there is one.
    pub(crate) fn values<'a>(
        &'a self,
        family: &Family,
        targets: &'a [Target<'_>],
        mut each: impl FnMut(Series, Option<(&'a Mapping, &'a OwnedValue)>),
    ) {
        let value = |series: &Series| {
            let mapping = self.mapping(*series)?;
            let total = targets.get(series.program as usize)?.fields.get(mapping.field as usize)?;
            Some((mapping, plan::value(&total.reading)?))
        };
        // Values of one family are far apart in memory. Several are loaded before the first one is used, so that the
        // processor waits for all of them at once.
        for some in family.series.chunks(AHEAD) {
            let mut values = [None; AHEAD];
            values.iter_mut().zip(some).for_each(|(found, series)| *found = value(series));
            some.iter().zip(values).for_each(|(series, value)| each(*series, value));
        }
    }

    /// Keeps the programs that are the same, and finds the schemas of the others.
    fn take_over(&mut self, targets: &[Target<'_>]) {
        let mut before: HashMap<u128, Program> =
            self.programs.drain(..).map(|program| (program.key, program)).collect();
        let mut programs: Vec<Option<Program>> = targets
            .iter()
            .map(|target| before.remove(&target.key).filter(|program| program.fits(target)))
            .collect();
        // By hash: the schemas, each with the first program that has it.
        let mut schemas: HashMap<u64, BTreeMap<u64, usize>> = HashMap::new();
        for (number, program) in programs.iter().enumerate() {
            if let Some(program) = program {
                let same_hash = schemas.entry(program.hash).or_default();
                same_hash.entry(program.schema).or_insert(number);
            }
        }
        for (number, (program, target)) in programs.iter_mut().zip(targets).enumerate() {
            program.get_or_insert_with(|| {
                let hash = hash(&self.hasher, target);
                let same_hash = schemas.entry(hash).or_default();
                let is_alike = |model: &usize| {
                    targets.get(*model).is_some_and(|model| is_same_schema(model, target))
                };
                let mut models = same_hash.iter().take(MAX_MODELS);
                let found = models.find(|(_, model)| is_alike(model));
                let schema = found.map(|(schema, _)| *schema).unwrap_or_else(|| {
                    self.last_schema += 1;
                    same_hash.insert(self.last_schema, number);
                    self.last_schema
                });
                Program::new(target, schema, hash)
            });
        }
        self.programs = programs.into_iter().flatten().collect();
    }

    /// Sets the number of ended programs that were dropped before their final values were sent long enough.
    pub const fn set_dropped(&mut self, programs: u64) {
        self.dropped = programs;
    }

    /// Number of fields and labels that the export of these programs changes or leaves out, by step.
    #[must_use]
    pub const fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Leaves out families whose samples have the names of others: `wait_count` beside the summary
    /// `wait`; and the native buckets of a histogram, `wait_nanoseconds`, if another family has that name.
    fn leave_out_clashes(&mut self) {
        let names: HashMap<String, usize> = self
            .families
            .iter()
            .enumerate()
            .map(|(index, family)| (family.name.clone(), index))
            .collect();
        let mut natives = HashSet::new();
        for family in &mut self.families {
            let Some(native) = &mut family.native else { continue };
            let is_free = !names.contains_key(native) && natives.insert(native.clone());
            if !is_free {
                self.losses.collide(|| {
                    format!(
                        "{}: another metric has the name {native} of its native buckets",
                        family.name
                    )
                });
                native.clear();
            }
        }
        let mut out = HashSet::new();
        for family in &self.families {
            for suffix in family.ty.suffixes() {
                if let Some(clash) = names.get(&format!("{}{suffix}", family.name)) {
                    out.insert(*clash);
                }
            }
        }
        if out.is_empty() {
            return;
        }
        let families = std::mem::take(&mut self.families);
        for (index, family) in families.into_iter().enumerate() {
            if out.contains(&index) {
                self.losses.collide(|| {
                    format!("{}: another metric has samples of this name", family.name)
                });
            } else {
                self.families.push(family);
            }
        }
    }
}

impl Type {
    /// The suffixes of samples.
    const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total", "_created"],
            Self::Summary => &["_count", "_sum", "_created"],
            Self::Histogram => &["_bucket", "_count", "_sum", "_created"],
            Self::Info => &["_info"],
            Self::Gauge | Self::Unknown => &[],
        }
    }
}

/// Number of values that are loaded before the first one is used.
const AHEAD: usize = 32;

/// Maximum number of schemas of one hash that a program is compared with, so that the time stays linear in the number of
/// programs; further ones may be there twice.
const MAX_MODELS: usize = 64;

/// Hash of the fields of a program, and of the names of its labels.
fn hash(hasher: &RandomState, target: &Target<'_>) -> u64 {
    let mut hasher = hasher.build_hasher();
    target.labels.iter().for_each(|(name, _)| name.hash(&mut hasher));
    for total in target.fields {
        total.field.label.hash(&mut hasher);
        total.field.attributes.hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether the fields of two programs become the same families and labels, but for values that are names themselves.
fn is_same_schema(a: &Target<'_>, b: &Target<'_>) -> bool {
    a.labels.len() == b.labels.len()
        && a.labels.iter().zip(b.labels).all(|((a, _), (b, _))| a == b)
        && a.fields.len() == b.fields.len()
        && a.fields.iter().zip(b.fields).all(|(a, b)| {
            is_same(&a.field, &b.field)
                && plan::is_alike(a.reading.value.as_ref(), b.reading.value.as_ref())
        })
}

/// A schema while families are being made.
#[derive(Default)]
struct Schema {
    /// The series of each program: numbers of families and mappings.
    series: Vec<(u32, u32)>,
    /// Their labels, by family.
    seen: HashSet<(u32, Box<str>)>,
    losses: Losses,
    /// Numbers of the fields whose values are names themselves.
    own_fields: Vec<u32>,
}

struct Builder<'a> {
    names: BTreeMap<String, u32>,
    /// By number.
    families: Vec<Family>,
    mappings: Vec<Mapping>,
    losses: &'a mut Losses,
}

impl<'a> Builder<'a> {
    const fn new(losses: &'a mut Losses) -> Self {
        Self { names: BTreeMap::new(), families: Vec::new(), mappings: Vec::new(), losses }
    }

    /// The schema of a program.
    fn schema(&mut self, target: &Target<'_>) -> Schema {
        let mut schema = Schema::default();
        for (number, total) in (0..).zip(target.fields) {
            // The labels of the program have these, or metrics of the export itself.
            if matches!(
                &*total.field.label,
                "sys.pid" | "sys.command" | "sys.created" | "sys.application"
            ) {
                continue;
            }
            if plan::is_own(total.reading.value.as_ref()) {
                schema.own_fields.push(number);
                continue;
            }
            for mut plan in plan::plans(&total.field, &total.reading, &mut schema.losses) {
                let (seen, losses) = (&mut schema.seen, &mut schema.losses);
                rename_taken(&mut plan, target, losses);
                if let Some(series) = self.place(number, &total.field, plan, None, seen, losses) {
                    schema.series.push(series);
                }
            }
        }
        schema
    }

    /// Adds the series of a program.
    fn add(&mut self, program: u32, target: &Target<'_>, schema: &Schema) {
        self.losses.add_all(&schema.losses);
        let push = |families: &mut Vec<Family>, (family, mapping): (u32, u32)| {
            if let Some(family) = families.get_mut(family as usize) {
                family.series.push(Series { program, mapping });
            }
        };
        for series in &schema.series {
            push(&mut self.families, *series);
        }
        if schema.own_fields.is_empty() {
            return;
        }
        let mut losses = Losses::default();
        let mut own = HashSet::new();
        for number in &schema.own_fields {
            let Some(total) = target.fields.get(*number as usize) else { continue };
            for mut plan in plan::plans(&total.field, &total.reading, &mut losses) {
                rename_taken(&mut plan, target, &mut losses);
                let others = Some(&schema.seen);
                let placed = self.place(*number, &total.field, plan, others, &mut own, &mut losses);
                if let Some(series) = placed {
                    push(&mut self.families, series);
                }
            }
        }
        self.losses.add_all(&losses);
    }

    /// Numbers of the family and of a new mapping; `None` if another metric has the name or the labels: they are in
    /// `seen`, or in `others`.
    fn place(
        &mut self,
        field: u32,
        info: &FieldInfo,
        plan: Plan,
        others: Option<&HashSet<(u32, Box<str>)>>,
        seen: &mut HashSet<(u32, Box<str>)>,
        losses: &mut Losses,
    ) -> Option<(u32, u32)> {
        let Plan { name: metric, unit, ty, part, scale, native, labels } = plan;
        let next = u32::try_from(self.families.len()).ok()?;
        let number = *self.names.entry(metric).or_insert_with_key(|name| {
            self.families.push(Family {
                name: name.clone(),
                help: info.help.to_string(),
                unit: unit.clone().into_owned(),
                ty,
                native: native.clone(),
                series: Vec::new(),
            });
            next
        });
        let family = self.families.get(number as usize)?;
        let is_own = name::OWN_NAMES.contains(&&*family.name);
        if family.ty != ty || family.unit != unit || family.native != native || is_own {
            losses.collide(|| {
                format!("{}: the metric {} has another type or unit", info.label, family.name)
            });
            return None;
        }
        let key = (number, name::distinct(&labels));
        if others.is_some_and(|others| others.contains(&key)) || !seen.insert(key) {
            losses.collide(|| twice(info, &family.name));
            return None;
        }
        let labels: Box<str> = name::labels(&labels).into();
        let bounds = if ty == Type::Histogram { classic::bounds(info, scale) } else { Vec::new() };
        let mapping = u32::try_from(self.mappings.len()).ok()?;
        let bounds = bounds.into();
        self.mappings.push(Mapping { field, part, scale, labels, bounds });
        Some((number, mapping))
    }
}

/// Renames labels of a series that its program has too, as `--label` adds them: a sample with a label twice makes a
/// whole scrape invalid.
fn rename_taken(plan: &mut Plan, target: &Target<'_>, losses: &mut Losses) {
    for index in 0..plan.labels.len() {
        let is_taken = |name: &str, labels: &[(String, String)]| {
            let of_program = target.labels.iter().any(|(other, _)| other == name);
            let mut others = labels.iter().enumerate();
            of_program || others.any(|(other, (label, _))| other != index && label == name)
        };
        let Some((name, _)) = plan.labels.get(index) else { continue };
        let mut name = name.clone();
        while is_taken(&name, &plan.labels) {
            name.insert_str(0, "exported_");
        }
        if let Some((old, _)) = plan.labels.get_mut(index).filter(|(old, _)| *old != name) {
            *old = name;
            losses.add(Loss::Renamed, 1);
        }
    }
}

/// Why a series is left out.
fn twice(info: &FieldInfo, metric: &str) -> String {
    format!("{}: the metric {metric} has these labels already", info.label)
}
