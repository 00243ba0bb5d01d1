//! A plain model of an image: operations on the writer and the model, and a comparison of the
//! reader's result with the model.
//!
//! Used by the property tests and by the fuzz target `write`.
#![allow(dead_code, missing_docs, unreachable_pub)] // Each user takes a part.

mod values;

use mmstats_core::read::{Field, Image, ImageState, LaneState, Refusal, Verdict, parse_attributes};
use mmstats_core::{
    Constant, DataType, FieldId, FieldSpec, Geometry, Lane, Level, StaticBytes, WriteError, Writer,
};

use values::{CAPACITY, ELEMENTS, LINES, ROWS, STATES, WINDOW, buckets, compare, publish};
pub use values::{Held, Memory, What};

/// Size of the memory of images in bytes.
pub const ROOM: usize = 1 << 18;

/// Memory that is used again for each image.
#[must_use]
pub fn memory() -> Memory {
    let bytes: &'static mut StaticBytes<ROOM> = Box::leak(Box::new(StaticBytes::new()));
    bytes.into_memory()
}

/// Specification of a field; strings may break rules.
#[derive(Debug, Clone)]
pub struct Spec {
    pub what: What,
    pub label: String,
    pub unit: String,
    pub help: String,
    pub attributes: Vec<(String, String)>,
    pub level: Level,
}

impl Spec {
    /// Calls `act` with the specification, or with both of a rate.
    fn with<T>(&self, act: impl FnOnce(&[FieldSpec<'_>]) -> T) -> T {
        let attributes: Vec<_> =
            self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let label = self.label.as_str();
        let capacity = u32::try_from(CAPACITY).unwrap();
        let gauge = |ty| FieldSpec::gauge(label, ty);
        let spec = match self.what {
            What::Counter | What::Rate => FieldSpec::counter(label),
            What::U8 => gauge(DataType::U8),
            What::U16 => gauge(DataType::U16),
            What::U64 => gauge(DataType::U64),
            What::I8 => gauge(DataType::I8),
            What::I32 => gauge(DataType::I32),
            What::I64 => gauge(DataType::I64),
            What::F32 => gauge(DataType::F32),
            What::F64 => gauge(DataType::F64),
            What::Bool => gauge(DataType::Bool),
            What::Timestamp => FieldSpec::timestamp(label),
            What::Text => FieldSpec::text(label, capacity),
            What::Bytes => FieldSpec::bytes(label, capacity),
            What::Array => FieldSpec::array(label, DataType::U16, u32::try_from(ELEMENTS).unwrap()),
            What::State => FieldSpec::state(label, STATES),
            What::Timer => FieldSpec::timer(label),
            What::Running => FieldSpec::running(label),
            What::Average => FieldSpec::average(label),
            What::Window => FieldSpec::window(label, DataType::U64, WINDOW),
            What::Histogram => FieldSpec::histogram(label, buckets()),
            What::Events => FieldSpec::events(label, LINES, capacity),
            What::Activity => FieldSpec::activity(label, ROWS, capacity),
            What::InfoNumber => FieldSpec::info(label, Constant::I64(-7)),
            What::InfoText => FieldSpec::info(label, Constant::Text(&self.help)),
        };
        let spec = spec.unit(&self.unit).help(&self.help).level(self.level);
        let spec = spec.attributes(&attributes);
        let rate = FieldSpec::rate(label, 100, &["1", "10"]).level(self.level);
        if self.what == What::Rate { act(&[spec, rate]) } else { act(&[spec]) }
    }
}

/// An operation on an image.
#[derive(Debug, Clone)]
pub enum Op {
    Add(Spec),
    /// A group.
    Group(Vec<Spec>),
    Retire(u32),
    /// Claims a lane.
    Claim,
    /// Hands a lane back.
    HandBack(u32),
    /// Sets a value in a claimed lane.
    Publish {
        lane: u32,
        field: u32,
        n: u64,
    },
    GoLive,
    Close,
    Refuse,
    /// The program dies.
    Die,
}

#[derive(Debug)]
struct Described {
    spec: Spec,
    member: bool,
    /// Whether this is the rate of the counter before it.
    second: bool,
    retired: bool,
}

#[derive(Debug)]
struct Owned {
    lane: Option<Lane<Memory>>,
    owners: u32,
    held: Vec<Held>,
    refused: u64,
}

/// An image with its writer, and its expected content.
#[derive(Debug)]
pub struct World {
    writer: Option<Writer<Memory>>,
    region: mmstats_core::Region<Memory>,
    fields: Vec<Described>,
    lanes: Vec<Owned>,
    state: ImageState,
    refused: u32,
}

impl World {
    /// An image with room for these fields and some more; `None` if it exceeds the memory.
    ///
    /// # Panics
    ///
    /// If the writer refuses valid fields.
    #[must_use]
    pub fn new(memory: Memory, lanes: u32, planned: &[Op], more: [u32; 3]) -> Option<Self> {
        let mut geometry = Geometry::new(lanes);
        let mut good = Vec::new();
        for op in planned {
            let added = match op {
                Op::Add(spec) => spec.with(|specs| geometry.add_all(specs)),
                Op::Group(specs) => with_all(specs, |specs| geometry.add_group(specs)),
                _ => continue,
            };
            if added.is_ok() {
                good.push(op);
            }
        }
        geometry.reserve(more[0], more[1], more[2]);
        let size = geometry.file_size().filter(|size| *size as usize <= ROOM)?;
        let writer = Writer::create(memory, &geometry, [7; 16], 3).unwrap();
        let region = writer.region().clone();
        let state = ImageState::Building;
        let (fields, lanes) = (Vec::new(), Vec::new());
        let mut world = Self { writer: Some(writer), region, fields, lanes, state, refused: 0 };
        for op in good {
            let before = world.fields.len();
            world.act(op);
            assert!(world.fields.len() > before, "no room for a planned field: {op:?}");
        }
        assert!(size <= world.region.size());
        Some(world)
    }

    /// Applies an operation.
    ///
    /// # Panics
    ///
    /// If the writer's result differs from the model.
    pub fn act(&mut self, op: &Op) {
        let Some(writer) = &mut self.writer else { return };
        match op {
            Op::Add(spec) => {
                let added = spec.with(|specs| writer.add_all(specs));
                self.added(added, std::slice::from_ref(spec), false);
            }
            Op::Group(specs) => {
                let added = with_all(specs, |specs| writer.add_group(specs));
                self.added(added, specs, true);
            }
            Op::Retire(field) => {
                let done = writer.retire(FieldId::from_index(*field));
                match self.fields.get_mut(*field as usize) {
                    Some(field) => field.retired = done.is_ok(),
                    None => assert_eq!(done, Err(WriteError::NoSuchField { index: *field })),
                }
            }
            Op::Claim => self.claim(),
            Op::HandBack(lane) => {
                if let Some(owned) = self.lanes.get_mut(*lane as usize)
                    && owned.lane.take().is_some()
                {
                    writer.hand_back(*lane);
                    for (held, field) in owned.held.iter_mut().zip(&self.fields) {
                        held.hand_back(field.spec.what);
                    }
                }
            }
            Op::Publish { lane, field, n } => self.publish(*lane, *field, *n),
            Op::GoLive => {
                writer.go_live();
                self.state = ImageState::Live;
            }
            Op::Close => {
                writer.close();
                self.state = ImageState::Closed;
            }
            Op::Refuse => {
                self.refused += 1;
                writer.set_fields_refused(self.refused);
                writer.set_lanes_refused(self.refused);
            }
            Op::Die => {
                self.writer = None;
                // No lane is handed back.
            }
        }
    }

    fn added(&mut self, added: Result<FieldId, WriteError>, specs: &[Spec], member: bool) {
        let good = specs.iter().all(is_good);
        let good = good && (!member || (!specs.is_empty() && specs.iter().all(can_join)));
        match added {
            Ok(first) => {
                assert!(good, "{specs:?} breaks a rule");
                assert_eq!(first.index() as usize, self.fields.len());
                for spec in specs {
                    let seconds = if spec.what == What::Rate && !member {
                        &[false, true][..]
                    } else {
                        &[false][..]
                    };
                    for second in seconds.iter().copied() {
                        for lane in &mut self.lanes {
                            lane.held.push(initial(spec.what, member));
                        }
                        let spec = spec.clone();
                        self.fields.push(Described { spec, member, second, retired: false });
                    }
                }
            }
            Err(WriteError::Spec(_)) => assert!(!good, "{specs:?} breaks no rule"),
            Err(error) => assert!(error.is_full() && good, "{error}"),
        }
    }

    fn claim(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        let free = self.lanes.iter().position(|owned| owned.lane.is_none());
        match writer.lane() {
            Ok(lane) => {
                let index = lane.index() as usize;
                assert_eq!(index, free.unwrap_or(self.lanes.len()));
                if index == self.lanes.len() {
                    let held =
                        self.fields.iter().map(|field| initial(field.spec.what, field.member));
                    let held = held.collect();
                    self.lanes.push(Owned { lane: None, owners: 0, held, refused: 0 });
                }
                self.lanes[index].owners += 1;
                self.lanes[index].lane = Some(lane);
            }
            Err(error) => assert!(error.is_full() && free.is_none(), "{error}"),
        }
    }

    fn publish(&mut self, lane: u32, field: u32, n: u64) {
        let Some(described) = self.fields.get(field as usize) else { return };
        let what = described.spec.what;
        // A group is set as a whole by another handle; the second field of a rate has none.
        if described.member || described.second {
            return;
        }
        let Some(owned) = self.lanes.get_mut(lane as usize) else { return };
        if let Some(lane) = &owned.lane {
            let held = &mut owned.held[field as usize];
            let refused = publish(lane, FieldId::from_index(field), what, n, held);
            owned.refused += u64::from(refused);
        }
    }

    /// Reads all fields and compares them with the model.
    ///
    /// # Panics
    ///
    /// If anything differs from the model.
    pub fn look(&self) {
        let image = match Image::open(&self.region) {
            Ok(image) => image,
            Err(refusal) => {
                assert_eq!((refusal, self.state), (Refusal::Building, ImageState::Building));
                return;
            }
        };
        assert_eq!(image.state(), Ok(self.state));
        let header = image.header();
        assert_eq!(header.fields_refused(&self.region), self.refused);
        assert_eq!(header.lanes_refused(&self.region), self.refused);
        assert_eq!(header.lanes_used(&self.region), Ok(u32::try_from(self.lanes.len()).unwrap()));
        let fields: Vec<Field> = image.fields().map(Result::unwrap).collect();
        assert_eq!(fields.len(), self.fields.len());
        for (index, (field, described)) in fields.iter().zip(&self.fields).enumerate() {
            describe(&image, field, described);
            for (lane, owned) in (0..).zip(&self.lanes) {
                if described.retired {
                    assert_eq!(image.read(lane, field, &mut []), Verdict::Retired);
                } else if !described.second {
                    one(&image, lane, field, described, &owned.held[index]);
                }
            }
        }
        for (index, owned) in (0..).zip(&self.lanes) {
            let lane = image.lane(index).consistent().unwrap();
            let state = if owned.lane.is_some() { LaneState::Owned } else { LaneState::HandedBack };
            assert_eq!((lane.state(), lane.owners(&self.region)), (state, owned.owners));
            // A machine of 32 bits may not answer while the image is live.
            let refused = lane.samples_refused(&self.region);
            let unknown = refused.is_none() && cfg!(target_pointer_width = "32");
            assert!(unknown || refused == Some(owned.refused), "{refused:?}");
        }
    }
}

fn describe(image: &Image<&mmstats_core::Region<Memory>>, field: &Field, described: &Described) {
    let (mut buffer, spec) = ([0; 4096], &described.spec);
    assert_eq!(image.label(field, &mut buffer), spec.label);
    if !described.second {
        assert_eq!(field.unit().read(image.source(), &mut buffer), spec.unit);
        assert_eq!(field.help().read(image.source(), &mut buffer), spec.help);
        let attributes = field.attributes().read(image.source(), &mut buffer);
        let pairs = spec.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        assert!(parse_attributes(attributes).eq(pairs), "{attributes:?}");
    }
    assert_eq!(field.properties().level(), spec.level);
    assert_eq!(field.properties().is_member(), described.member);
    assert_eq!(field.retired(image.source()), described.retired);
}

fn one(
    image: &Image<&mmstats_core::Region<Memory>>,
    lane: u32,
    field: &Field,
    described: &Described,
    held: &Held,
) {
    let what = described.spec.what;
    let text = &described.spec.help;
    let constant = match what {
        _ if described.member => return compare(image, lane, field, What::U64, held),
        What::InfoNumber => Held::Signed(-7),
        What::InfoText => Held::Text(text.clone(), false),
        _ => return compare(image, lane, field, what, held),
    };
    compare(image, lane, field, what, &constant);
}

fn with_all<T>(specs: &[Spec], act: impl FnOnce(&[FieldSpec<'_>]) -> T) -> T {
    // Pairs that outlive the specification.
    let pairs: Vec<Vec<(&str, &str)>> = specs
        .iter()
        .map(|spec| spec.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect())
        .collect();
    let all: Vec<FieldSpec<'_>> = specs
        .iter()
        .zip(&pairs)
        .map(|(spec, pairs)| {
            let first = match spec.what {
                What::Counter | What::Rate => FieldSpec::counter(&spec.label),
                What::Bool => FieldSpec::gauge(&spec.label, DataType::Bool),
                What::I8 => FieldSpec::gauge(&spec.label, DataType::I8),
                What::F64 => FieldSpec::gauge(&spec.label, DataType::F64),
                What::Window => FieldSpec::window(&spec.label, DataType::U64, WINDOW),
                What::InfoNumber => FieldSpec::info(&spec.label, Constant::I64(-7)),
                _ => FieldSpec::gauge(&spec.label, DataType::U64),
            };
            first.unit(&spec.unit).help(&spec.help).level(spec.level).attributes(pairs)
        })
        .collect();
    act(&all)
}

/// Initial value of a field. Groups here have counters and gauges.
fn initial(what: What, member: bool) -> Held {
    match what {
        What::Counter | What::Rate => Held::Unsigned(0),
        _ if member => Held::Nothing,
        _ => Held::initial(what),
    }
}

/// The rules of FORMAT.md for strings, independently of the crate.
fn is_good(spec: &Spec) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let keys = || spec.attributes.iter().map(|(key, _)| key);
    let bytes: usize = spec.attributes.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
    (1..=255).contains(&spec.label.len())
        && spec.unit.len() <= 63
        && spec.help.len() <= 4096
        && bytes <= 4097
        && keys().all(|key| (1..=63).contains(&key.len()) && key.chars().all(word))
        && keys().enumerate().all(|(at, key)| !keys().take(at).any(|other| other == key))
        && spec.attributes.iter().all(|(_, value)| !value.contains('\0'))
}

/// Rings and constants cannot be members.
fn can_join(spec: &Spec) -> bool {
    !matches!(spec.what, What::Window | What::InfoNumber)
}
