//! An image with a field of every type, kind and storage, whose values are the same on every
//! machine that makes it. It needs no operating system: firmware makes it too.

#[path = "../shared/phase.rs"]
mod phase;

use mmstats_core::{
    Aggregation, Array, AttachError, Average, Blob, Buckets, Constant, Counter, DataType, Events,
    FieldId, FieldSpec, Flag, Gauge, Group, Histogram, Lane, Level, MemberSpec, Memory, Rate,
    Record, Schema, State, StateSet, Text, Timer, Window, WriteError, Writer,
};

use phase::Phase;

/// Size of memory that holds the image, in bytes.
pub const SIZE: usize = 48 << 10;
/// 2026-01-01, in nanoseconds.
const THEN: u64 = 1_767_225_600_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// The image could not be made.
#[derive(Debug)]
#[allow(dead_code)] // Shown.
pub enum Failure {
    /// The fields, or the memory.
    Write(WriteError),
    /// A handle.
    Attach(AttachError),
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        Self::Attach(error)
    }
}

struct Moment(u64, i64, u8, i16, f32, f64, bool);

const fn member(label: &'static str, ty: DataType) -> MemberSpec {
    MemberSpec { label, spec: FieldSpec::gauge(label, ty) }
}

impl Record for Moment {
    const MEMBERS: &'static [MemberSpec] = &[
        member("moment.u64", DataType::U64),
        member("moment.i64", DataType::I64),
        member("moment.u8", DataType::U8),
        member("moment.i16", DataType::I16),
        member("moment.f32", DataType::F32),
        member("moment.f64", DataType::F64),
        member("moment.bool", DataType::Bool),
    ];

    type Words<'a> = [u64; 7];

    fn words(&self) -> Self::Words<'_> {
        use mmstats_core::ScalarType;
        [
            self.0,
            self.1.to_bits(),
            self.2.to_bits(),
            ScalarType::to_bits(self.3),
            ScalarType::to_bits(self.4),
            ScalarType::to_bits(self.5),
            ScalarType::to_bits(self.6),
        ]
    }
}

const GROUP: [FieldSpec<'static>; 7] = {
    let members = Moment::MEMBERS;
    let mut specs = [members[0].spec; 7];
    let mut i = 0;
    while i < specs.len() {
        specs[i] = members[i].spec;
        i += 1;
    }
    specs
};

const RATE: &[FieldSpec<'static>] =
    &[FieldSpec::counter("rate"), FieldSpec::rate("rate.checkpoints", 1000, &["60", "300"])];

fn schema() -> Result<Schema<'static, 40>, WriteError> {
    use DataType::{Bool, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    let mut schema = Schema::new();
    schema.add(
        FieldSpec::counter("counter")
            .unit("bytes")
            .help("Größer als 2^32.")
            .attributes(&[("code", "200"), ("route", "/größe={id}")]),
    )?;
    for (label, ty) in [
        ("u8", U8),
        ("u16", U16),
        ("u32", U32),
        ("u64", U64),
        ("i8", I8),
        ("i16", I16),
        ("i32", I32),
        ("i64", I64),
        ("f32", F32),
        ("f64", F64),
        ("bool", Bool),
    ] {
        schema.add(FieldSpec::gauge(label, ty).aggregation(Aggregation::Max))?;
    }
    schema.add(FieldSpec::gauge("unset", U64).level(Level::Debug))?;
    schema.add(FieldSpec::text("text", 25))?;
    schema.add(FieldSpec::text("cut", 5))?;
    schema.add(FieldSpec::bytes("blob", 33))?;
    schema.add(FieldSpec::array("array.u8", U8, 5))?;
    schema.add(FieldSpec::array("array.i16", I16, 5))?;
    schema.add(FieldSpec::array("array.u32", U32, 5))?;
    schema.add(FieldSpec::array("array.f64", F64, 5))?;
    schema.add_group(&GROUP)?;
    schema.add(FieldSpec::timer("timer"))?;
    schema.add(FieldSpec::histogram("integers", Buckets::integers(0.1, 1, 1 << 40)))?;
    schema.add(FieldSpec::histogram("floats", Buckets::floats(0.1, 1e-3, 1e3)))?;
    schema.add(FieldSpec::average("average"))?;
    schema.add(FieldSpec::window("window", I64, 10))?;
    schema.add_all(RATE)?;
    schema.add(FieldSpec::state("state", Phase::NAMES))?;
    schema.add(FieldSpec::timestamp("timestamp"))?;
    schema.add(FieldSpec::events("events", 7, 30))?;
    schema.add(FieldSpec::info("info.u32", Constant::U32(7)))?;
    schema.add(FieldSpec::info("info.i64", Constant::I64(-1 << 40)))?;
    schema.add(FieldSpec::info("info.f64", Constant::F64(-0.1)))?;
    schema.add(FieldSpec::info("info.text", Constant::Text("größer")))?;
    schema.add(FieldSpec::info("info.bytes", Constant::Bytes(&[0, 1, 255])))?;
    Ok(schema)
}

/// Makes the image and sets every field.
///
/// # Errors
///
/// If the memory is too small.
pub fn make<M: Memory + Clone>(memory: M) -> Result<Writer<M>, Failure> {
    let mut writer = schema()?.create(memory, 1, *b"one of each kind")?;
    let lane = writer.lane()?;
    // Twice, so that no value is in its first slot and every bit has changed.
    for last in [false, true] {
        set(&lane, last)?;
    }
    writer.close();
    Ok(writer)
}

#[allow(clippy::cast_precision_loss)] // Of numbers below 2^20.
fn set<M: Memory + Clone>(lane: &Lane<M>, last: bool) -> Result<(), AttachError> {
    let mut index = 0..;
    let mut next = || FieldId::from_index(index.next().unwrap_or(0));
    let bits = if last { 0x0123_4567_89AB_CDEF_u64 } else { u64::MAX };
    let [b0, b1, b2, b3, ..] = bits.to_be_bytes();
    let short = u16::from_be_bytes([b3, b0]);
    let word = u32::from_be_bytes([b3, b2, b1, b0]);
    Counter::attach(lane, next())?.set(bits);
    Gauge::<u8, _>::attach(lane, next())?.set(b3);
    Gauge::<u16, _>::attach(lane, next())?.set(short);
    Gauge::<u32, _>::attach(lane, next())?.set(word);
    Gauge::<u64, _>::attach(lane, next())?.set(bits);
    Gauge::<i8, _>::attach(lane, next())?.set(-b1.cast_signed());
    Gauge::<i16, _>::attach(lane, next())?.set(-short.cast_signed());
    Gauge::<i32, _>::attach(lane, next())?.set(-word.cast_signed());
    Gauge::<i64, _>::attach(lane, next())?.set(-bits.cast_signed());
    Gauge::<f32, _>::attach(lane, next())?.set(if last { 0.1 } else { f32::MIN });
    Gauge::<f64, _>::attach(lane, next())?.set(if last { 0.1 } else { f64::MIN });
    Flag::attach(lane, next())?.set(last);
    next(); // unset
    Text::<25, _>::attach(lane, next())?.set(if last {
        "größer"
    } else {
        "twenty-five bytes of this"
    });
    Text::<5, _>::attach(lane, next())?.set(if last { "größer" } else { "" });
    Blob::<33, _>::attach(lane, next())?.set(&bits.to_be_bytes());
    Array::<u8, 5, _>::attach(lane, next())?.set(&[b0, b1, b2, b3, 9]);
    Array::<i16, 5, _>::attach(lane, next())?.set(&[-1, short.cast_signed(), 2, -3, i16::MIN]);
    Array::<u32, 5, _>::attach(lane, next())?.set(&[word, 1, 2, 3, u32::MAX]);
    Array::<f64, 5, _>::attach(lane, next())?.set(&[0.1, -0.0, 1e300, 5e-324, f64::INFINITY]);
    let moment = Moment(bits, -2, b1, -300, 0.25, -1e-9, last);
    Group::<Moment, _>::attach(lane, next())?.set(&moment);
    (1..Moment::MEMBERS.len()).for_each(|_| _ = next());
    let timer = Timer::attach(lane, next())?;
    for nanos in [5 * SECOND, 1, 1 << 40] {
        timer.record_nanos(nanos);
    }
    let integers = Histogram::<u64, _>::attach(lane, next())?;
    let floats = Histogram::<f64, _>::attach(lane, next())?;
    let average = Average::attach(lane, next())?;
    let window = Window::<i64, _>::attach(lane, next())?;
    for n in 0..200_u32 {
        integers.record(u64::from(n) * u64::from(n) * u64::from(n));
        floats.record(f64::from(n) / 64.0);
        average.record(f64::from(n) / 8.0);
        window.record(-i64::from(n) << 33);
    }
    let rate = Rate::attach(lane, next())?;
    for second in 0..90 {
        rate.add(second * 3_000_000_000, THEN + second * SECOND);
    }
    next(); // its checkpoints
    StateSet::<Phase, _>::attach(lane, next())?.set(if last { Phase::Busy } else { Phase::Idle });
    Gauge::<u64, _>::attach(lane, next())?.set(THEN);
    let events = Events::<30, _>::attach(lane, next())?;
    for second in 0..6 {
        events.record(THEN + second * SECOND, "one");
        events.record_fmt(THEN + second * SECOND + 1, format_args!("größer, number {second}"));
    }
    Ok(())
}
