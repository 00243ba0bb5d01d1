//! A handle of every kind, and an update of all of them.

use mmstats::{Array, Blob, Counter, Flag, Gauge, Group, Record, Stats, Text, Timer};

/// Members of every width, published together.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
pub struct Moment {
    /// The number of the update.
    pub number: u64,
    /// Its negative.
    pub negative: i64,
    /// Its lowest byte.
    pub byte: u8,
    /// Its half.
    pub half: f64,
    /// Whether it is odd.
    pub odd: bool,
}

/// One field of every type.
#[derive(Debug, Stats)]
pub struct Everything {
    /// Set to the number of the update.
    pub counter: Counter,
    /// Added to.
    pub added: Counter,
    /// Every scalar.
    pub u8: Gauge<u8>,
    /// Every scalar.
    pub u16: Gauge<u16>,
    /// Every scalar.
    pub u32: Gauge<u32>,
    /// Every scalar.
    pub u64: Gauge<u64>,
    /// Every scalar.
    pub i8: Gauge<i8>,
    /// Every scalar.
    pub i16: Gauge<i16>,
    /// Every scalar.
    pub i32: Gauge<i32>,
    /// Every scalar.
    pub i64: Gauge<i64>,
    /// Every scalar.
    pub f32: Gauge<f32>,
    /// Every scalar.
    pub f64: Gauge<f64>,
    /// Goes up and down.
    pub level: Gauge<i64>,
    /// Cleared and set.
    pub cleared: Gauge<u32>,
    /// Whether the number is odd.
    pub flag: Flag,
    /// One of [`TEXTS`], the last one cut.
    pub text: Text<24>,
    /// The bytes of the number.
    pub blob: Blob<8>,
    /// The number in each element.
    pub array: Array<u32, 8>,
    /// The number as a duration.
    pub timer: Timer,
    /// Together.
    pub group: Group<Moment>,
}

/// Texts of [`Everything::text`].
pub const TEXTS: [&str; 4] =
    ["idle", "größer", "reading from the network", "more than twenty-four bytes"];

impl Everything {
    /// Update number `n`: every handle, every way to update it.
    pub fn update(&self, n: u32) {
        let [low, second, ..] = n.to_le_bytes();
        let short = u16::from_le_bytes([low, second]);
        self.counter.set(n.into());
        self.added.incr();
        self.added.add(2);
        self.u8.set(low);
        self.u16.set(short);
        self.u32.set(n);
        self.u64.set(n.into());
        self.i8.set(low.cast_signed());
        self.i16.set(short.cast_signed());
        self.i32.set(n.cast_signed());
        self.i64.set(-i64::from(n));
        self.f32.set(f32::from(short));
        self.f64.set(f64::from(n) / 2.0);
        self.level.add(3);
        self.level.sub(2);
        self.cleared.clear();
        self.cleared.set(n);
        self.flag.set(n % 2 == 1);
        self.text.set(TEXTS[(n % 4) as usize]);
        self.blob.set(&n.to_le_bytes());
        self.array.set(&[n; 8]);
        self.timer.record_nanos(n.into());
        self.group.set(&Moment {
            number: n.into(),
            negative: -i64::from(n),
            byte: low,
            half: f64::from(n) / 2.0,
            odd: n % 2 == 1,
        });
    }
}
