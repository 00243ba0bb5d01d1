//! Ten fields of a device, and an update of all of them.

use mmstats_core::{
    AttachError, Counter, DataType, Events, FieldId, FieldSpec, Flag, Gauge, Group, Lane,
    MemberSpec, Memory, Record, Template, Text,
};

/// Increment of `bytes` in each round: changes both halves by the same amount.
pub const STEP: u64 = 0x1_0000_0001;
/// Values of `doing`, in turn.
pub const DOING: [&str; 4] = ["idle", "filling the tank", "größer", "measuring"];
/// Values of `supply` in volts, in turn.
pub const VOLTS: [f64; 4] = [3.3, 3.29, -0.5, 3.31];

/// Flow, published at once.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// Litres.
    pub litres: u64,
    /// 20,000 drops are a litre.
    pub drops: i64,
}

impl Record for Flow {
    const MEMBERS: &'static [MemberSpec] = &[
        MemberSpec { label: "litres", spec: FieldSpec::gauge("", DataType::U64) },
        MemberSpec { label: "drops", spec: FieldSpec::gauge("", DataType::I64) },
    ];

    type Words<'a> = [u64; 2];

    fn words(&self) -> Self::Words<'_> {
        [self.litres, self.drops.cast_unsigned()]
    }
}

/// Ten fields in this order, of which two are published together.
const FIELDS: &[&[FieldSpec<'static>]] = &[
    &[FieldSpec::counter("boots").help("Starts since the power came.")],
    &[FieldSpec::counter("rounds")],
    &[FieldSpec::counter("bytes").unit("bytes")],
    &[FieldSpec::gauge("supply", DataType::F64).unit("volts")],
    &[FieldSpec::gauge("celsius", DataType::I16).unit("celsius")],
    &[FieldSpec::gauge("pumping", DataType::Bool)],
    &[FieldSpec::text("doing", 16)],
    &[
        FieldSpec::gauge("flow.litres", DataType::U64).unit("litres"),
        FieldSpec::gauge("flow.drops", DataType::I64),
    ],
    &[FieldSpec::events("log", 7, 32)],
];

/// The image without values.
pub static IMAGE: Template<{ Template::<0>::words(FIELDS) }> = Template::new(FIELDS);

/// Handles of all fields.
#[derive(Debug)]
pub struct Device<M> {
    /// Number of starts.
    pub boots: Counter<M>,
    /// Number of updates.
    pub rounds: Counter<M>,
    /// [`STEP`] times the number of updates.
    pub bytes: Counter<M>,
    supply: Gauge<f64, M>,
    celsius: Gauge<i16, M>,
    pumping: Flag<M>,
    doing: Text<16, M>,
    flow: Group<Flow, M>,
    /// One line every 64 updates.
    pub log: Events<32, M>,
}

impl<M: Memory + Clone> Device<M> {
    /// Handles in a claimed lane.
    ///
    /// # Errors
    ///
    /// If the image has other fields.
    pub fn attach(lane: &Lane<M>) -> Result<Self, AttachError> {
        let field = FieldId::from_index;
        Ok(Self {
            boots: Counter::attach(lane, field(0))?,
            rounds: Counter::attach(lane, field(1))?,
            bytes: Counter::attach(lane, field(2))?,
            supply: Gauge::attach(lane, field(3))?,
            celsius: Gauge::attach(lane, field(4))?,
            pumping: Flag::attach(lane, field(5))?,
            doing: Text::attach(lane, field(6))?,
            flow: Group::attach(lane, field(7))?,
            log: Events::attach(lane, field(9))?,
        })
    }

    /// Whether a gauge has a value from before the reset.
    #[must_use]
    pub fn has_old_gauge(&self) -> bool {
        self.supply.get().is_some() || self.celsius.get().is_some() || self.pumping.get().is_some()
    }

    /// Update number `n`.
    #[inline(never)]
    pub fn update(&self, n: u16) {
        self.rounds.incr();
        self.bytes.add(STEP);
        let turn = usize::from(n % 4);
        if let (Some(volts), Some(doing)) = (VOLTS.get(turn), DOING.get(turn)) {
            self.supply.set(*volts);
            self.doing.set(doing);
        }
        self.celsius.set(n.cast_signed());
        self.pumping.set(n % 2 == 1);
        let litres = u64::from(n) << 20;
        self.flow.set(&Flow { litres, drops: -(litres * 20_000).cast_signed() });
        if n % 64 == 1 {
            self.log.record(u64::from(n) * 1_000_000_000, "sixty-four rounds");
        }
    }
}
