//! Enumerations of the format: FORMAT.md sections 4.1 and 6, KINDS.md sections 1 and 2.

use core::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum $name {
            $($(#[$vdoc])* $variant = $code,)*
        }

        impl $name {
            /// All values, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code in the image.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value with this code; `None` if unknown.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in REGISTRY.md.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

codes!(
    /// Data type of a field, or of the elements of an array.
    DataType {
        /// Unsigned, 8 bits.
        U8 = 1, "u8";
        /// Unsigned, 16 bits.
        U16 = 2, "u16";
        /// Unsigned, 32 bits.
        U32 = 3, "u32";
        /// Unsigned, 64 bits.
        U64 = 4, "u64";
        /// Signed, 8 bits.
        I8 = 5, "i8";
        /// Signed, 16 bits.
        I16 = 6, "i16";
        /// Signed, 32 bits.
        I32 = 7, "i32";
        /// Signed, 64 bits.
        I64 = 8, "i64";
        /// IEEE 754 binary32.
        F32 = 9, "f32";
        /// IEEE 754 binary64.
        F64 = 10, "f64";
        /// 0 or 1 in a byte.
        Bool = 11, "bool";
        /// UTF-8 with a capacity.
        Text = 12, "text";
        /// Any bytes with a capacity.
        Bytes = 13, "bytes";
    }
);

codes!(
    /// Meaning of a value.
    Kind {
        /// A sum that only grows while its instance lives.
        Counter = 1, "counter";
        /// A value that goes up and down, or is replaced.
        Gauge = 2, "gauge";
        /// A description of the program.
        Info = 3, "info";
        /// One of a few named states.
        State = 4, "state";
        /// Distribution of values in buckets.
        Histogram = 5, "histogram";
        /// Count and sum of values, whose mean is shown.
        Average = 6, "average";
        /// Durations: count, sum, minimum, maximum, last, in nanoseconds.
        Timer = 7, "timer";
        /// The last lines of text with their times.
        Events = 8, "events";
        /// The last values, whose mean is shown.
        Window = 9, "window";
        /// Checkpoints of the counter that is described just before.
        Rate = 10, "rate";
        /// Nanoseconds since 1970-01-01 UTC.
        Timestamp = 11, "timestamp";
        /// Activities in progress: rows of text, each with the time of its begin.
        Activity = 12, "activity";
        /// How many sections that a timer times are in progress, and since when at least.
        Running = 13, "running";
    }
);

codes!(
    /// Rule for combining a field's values over lanes and processes.
    Aggregation {
        /// Added.
        Sum = 1, "sum";
        /// The smallest.
        Min = 2, "min";
        /// The largest.
        Max = 3, "max";
        /// The sum divided by the number of values.
        Mean = 4, "mean";
        /// Not combined.
        Each = 5, "each";
    }
);

codes!(
    /// Storage class of a value.
    Storage {
        /// One value per image, written before its field is published.
        Constant = 1, "constant";
        /// One atomic word per lane.
        Atomic = 2, "atomic";
        /// A latched cell per lane.
        Latched = 3, "latched";
        /// A cell of counters per lane, of which each update changes one.
        Journal = 4, "journal";
        /// A cell of rows per lane, each latched on its own, of which some are in use.
        Table = 5, "table";
    }
);

impl Storage {
    /// Whether a cell has slots.
    #[must_use]
    pub const fn has_slots(self) -> bool {
        matches!(self, Self::Latched | Self::Journal | Self::Table)
    }
}

impl Kind {
    /// Whether KINDS.md section 1 allows this storage for the kind.
    #[must_use]
    #[inline]
    pub const fn allows_storage(self, storage: Storage) -> bool {
        let journal = matches!(storage, Storage::Journal);
        let table = matches!(storage, Storage::Table);
        match self {
            Self::Activity => table,
            Self::Histogram => journal,
            Self::Events | Self::Window | Self::Rate => matches!(storage, Storage::Latched),
            Self::Counter | Self::Gauge | Self::Info => !table,
            Self::State | Self::Average | Self::Timer | Self::Timestamp | Self::Running => {
                !journal && !table
            }
        }
    }

    /// Whether KINDS.md section 1 allows type `ty` for the kind.
    #[must_use]
    #[inline]
    pub const fn allows_type(self, ty: DataType, count: u32, array: bool) -> bool {
        use DataType::{F32, F64, I64, Text, U8, U16, U32, U64};
        let wide = matches!(ty, U64 | I64 | F64);
        match self {
            Self::Counter => {
                matches!(ty, U8 | U16 | U32 | U64 | F32 | F64)
            }
            Self::Gauge | Self::Info => true,
            Self::Timer => matches!(ty, U64) && array && count == 5,
            Self::State => matches!(ty, U8 | U16 | U32) && !array,
            Self::Histogram => matches!(ty, U64) && array && count > 2,
            Self::Average => wide && array && count == 2,
            Self::Events | Self::Activity => matches!(ty, Text),
            Self::Window => wide && !array,
            Self::Rate => matches!(ty, U64) && array && count == 2,
            Self::Timestamp => matches!(ty, U64 | I64) && !array,
            Self::Running => matches!(ty, U64) && !array,
        }
    }
}

impl DataType {
    /// Size of an element in bytes; 1 for text and bytes.
    #[must_use]
    pub const fn size(self) -> u32 {
        match self {
            Self::U8 | Self::I8 | Self::Bool | Self::Text | Self::Bytes => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether this is a number or bool, not text or bytes.
    #[must_use]
    pub const fn is_scalar(self) -> bool {
        !matches!(self, Self::Text | Self::Bytes)
    }

    /// Size of a value of `count` elements in bytes, with the length words of text and bytes,
    /// without padding. `None` past 32 bits.
    #[must_use]
    pub const fn value_size(self, count: u32) -> Option<u32> {
        match self {
            Self::Text | Self::Bytes => count.checked_add(8),
            _ => self.size().checked_mul(count),
        }
    }
}

/// Level of detail: FORMAT.md section 4, `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Level {
    /// For all users.
    #[default]
    Info,
    /// For the search for a cause.
    Diagnostic,
    /// For developers of the program.
    Debug,
}

impl Level {
    /// The code in the image.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Diagnostic => "diagnostic",
            Self::Debug => "debug",
        }
    }

    /// The level with this code; unknown codes are `Debug`.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Info,
            1 => Self::Diagnostic,
            _ => Self::Debug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_code_round_trip() {
        for code in 0..=u8::MAX {
            if let Some(ty) = DataType::from_code(code) {
                assert_eq!(ty.code(), code);
                assert!(DataType::ALL.contains(&ty));
            }
            if let Some(kind) = Kind::from_code(code) {
                assert_eq!(kind.code(), code);
            }
        }
        assert_eq!(DataType::ALL.len(), 13);
        assert_eq!(DataType::from_code(0), None);
        assert_eq!(DataType::from_code(14), None);
    }

    #[test]
    fn value_size_overflow_is_none() {
        assert_eq!(DataType::U64.value_size(u32::MAX), None);
        assert_eq!(DataType::Text.value_size(u32::MAX), None);
        assert_eq!(DataType::Text.value_size(10), Some(18));
        assert_eq!(DataType::Bool.value_size(3), Some(3));
    }
}
