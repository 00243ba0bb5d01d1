//! Identity and liveness of a file.

use std::fmt;

use mmstats_core::read::{ImageState, Refusal};

use crate::backend::ledger::{APPLICATION, GENERATION, INCOMPLETE, INSTANCES, SUPERSEDES};
use crate::value::OwnedValue;

/// Whether a file can be read, and whether its writer lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileState {
    /// Its writer lives: it holds the lock; of format 1, its process exists.
    Live,
    /// Its writer closed it: no value changes any more.
    Closed,
    /// Its writer died; the last values can be read.
    Dead,
    /// It is not complete yet, and cannot be read.
    Building,
    /// It breaks a rule of the format, or was truncated, and cannot be read.
    Damaged,
    /// It is not an mmstats file, or of a newer version.
    Foreign,
    /// Whether its writer lives cannot be determined.
    Unknown,
    /// It is the [`Ledger`](crate::Ledger) of an application, which never changes.
    Ledger,
}

impl FileState {
    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Closed => "closed",
            Self::Dead => "dead",
            Self::Building => "building",
            Self::Damaged => "damaged",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
            Self::Ledger => "ledger",
        }
    }

    /// Whether the fields can be read.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        !matches!(self, Self::Building | Self::Damaged | Self::Foreign)
    }

    /// Whether the program has ended: no value of the file changes any more. A ledger is no program.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Closed | Self::Dead)
    }

    /// The state of a refused image.
    pub(crate) const fn from_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Building => Self::Building,
            Refusal::BadMagic { .. }
            | Refusal::UnsupportedMajor { .. }
            | Refusal::UnsupportedMinor { .. }
            | Refusal::RequiredFeatures { .. } => Self::Foreign,
            _ => Self::Damaged,
        }
    }

    /// The state of an image, given whether its lock is held; `None` if that is unknown.
    pub(crate) const fn from_image(state: ImageState, locked: Option<bool>) -> Self {
        match (state, locked) {
            (ImageState::Closed, _) => Self::Closed,
            (ImageState::Building, _) => Self::Building,
            (_, Some(true)) => Self::Live,
            (_, Some(false)) => Self::Dead,
            (_, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Random identity of a publisher; files with equal ones are parts of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance(pub [u8; 16]);

impl fmt::Display for Instance {
    /// 32 hexadecimal digits, as in file names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Identity of a program, as far as files prove it: a file of another user or on another device
/// does not become part of a program by having its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ProgramId {
    /// Instance in the image.
    pub instance: Instance,
    /// User id of the owner of the files; `None` on systems without user ids.
    pub owner: Option<u32>,
    /// Device of the files.
    pub device: u64,
}

impl ProgramId {
    /// The identity of the program with these files.
    #[must_use]
    pub const fn new(instance: Instance, owner: Option<u32>, device: u64) -> Self {
        Self { instance, owner, device }
    }
}

/// Values of the standard fields: FILES.md section 2. They are the word of the writer.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// `sys.pid`: process id in its own namespace.
    pub pid: Option<u32>,
    /// `sys.command`: base name of the program.
    pub command: Option<String>,
    /// `sys.created`: in seconds since 1970-01-01 UTC.
    pub created: Option<f64>,
    /// `sys.host`: host name.
    pub host: Option<String>,
    /// `sys.boot_id`: identity of the boot of the machine.
    pub boot_id: Option<String>,
    /// `sys.start_time`: start of the process in clock ticks since boot.
    pub start_time: Option<u64>,
    /// `sys.pid_ns`: inode of the pid namespace.
    pub pid_ns: Option<u64>,
    /// `sys.uid`: effective user id.
    pub uid: Option<u32>,
    /// `sys.gid`: effective group id.
    pub gid: Option<u32>,
    /// `sys.application`: the application whose ledger keeps the sums of ended programs; of a ledger
    /// too.
    pub application: Option<String>,
    /// `sys.declared`: number of fields that the program declared at its start, in a file whose
    /// values go on from run to run.
    pub declared: Option<u32>,
    pub(crate) ledger: LedgerConstants,
}

/// The constants of a ledger: FILES.md section 3.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LedgerConstants {
    pub(crate) application: Option<String>,
    pub(crate) generation: Option<u64>,
    pub(crate) instances: Option<u64>,
    pub(crate) incomplete: Option<u64>,
    /// 16 bytes for each instance.
    pub(crate) supersedes: Vec<u8>,
}

impl Identity {
    /// Sets the constant with this label, if it is a standard field or one of a ledger. The value of
    /// another one is not read.
    pub(crate) fn set(&mut self, label: &str, value: &mut dyn FnMut() -> Option<OwnedValue>) {
        if let Some(name) = label.strip_prefix("sys.") {
            return self.set_standard(name, value);
        }
        let ledger = &mut self.ledger;
        match label {
            APPLICATION => ledger.application = text(value()),
            GENERATION => ledger.generation = small(value()),
            INSTANCES => ledger.instances = small(value()),
            INCOMPLETE => ledger.incomplete = small(value()),
            SUPERSEDES => {
                if let Some(OwnedValue::Bytes { bytes, .. }) = value() {
                    ledger.supersedes = bytes;
                }
            }
            _ => {}
        }
    }

    /// Sets the standard field `sys.<name>`. The value of another name is not read.
    fn set_standard(&mut self, name: &str, value: &mut dyn FnMut() -> Option<OwnedValue>) {
        let mut text = || text(value());
        match name {
            "command" => self.command = text(),
            "host" => self.host = text(),
            "boot_id" => self.boot_id = text(),
            "application" => self.application = text(),
            "created" => self.created = value().and_then(|value| value.as_f64()),
            "pid" => self.pid = small(value()),
            "uid" => self.uid = small(value()),
            "gid" => self.gid = small(value()),
            "declared" => self.declared = small(value()),
            "start_time" => self.start_time = small(value()),
            "pid_ns" => self.pid_ns = small(value()),
            _ => {}
        }
    }
}

/// The value, if it is a text.
fn text(value: Option<OwnedValue>) -> Option<String> {
    match value {
        Some(OwnedValue::Text { text, .. }) => Some(text),
        _ => None,
    }
}

/// The value, if it is an integer that fits.
fn small<T: TryFrom<u128> + TryFrom<i128>>(value: Option<OwnedValue>) -> Option<T> {
    match value? {
        OwnedValue::Unsigned(n) => T::try_from(n).ok(),
        OwnedValue::Signed(n) => T::try_from(n).ok(),
        _ => None,
    }
}

/// Number of lanes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lanes {
    /// Lanes that were claimed at least once.
    pub used: u32,
    /// Lanes that a writer owns now.
    pub owned: u32,
    /// Lanes that fit in the file.
    pub capacity: u32,
}

/// One lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneInfo {
    /// Number of the lane, from 0.
    pub index: u32,
    /// Whether a writer owns it, or died while it did; else it was handed back.
    pub owned: bool,
    /// Number of times it was claimed.
    pub owners: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_is_shown_in_hexadecimal() {
        let mut bytes = [0; 16];
        (bytes[0], bytes[15]) = (0xAB, 1);
        assert_eq!(Instance(bytes).to_string(), "ab000000000000000000000000000001");
    }

    #[test]
    fn state_from_image_uses_lock_only_while_live() {
        use ImageState as I;
        assert_eq!(FileState::from_image(I::Closed, Some(true)), FileState::Closed);
        assert_eq!(FileState::from_image(I::Live, Some(true)), FileState::Live);
        assert_eq!(FileState::from_image(I::Live, Some(false)), FileState::Dead);
        assert_eq!(FileState::from_image(I::Live, None), FileState::Unknown);
        assert_eq!(FileState::from_image(I::Building, Some(true)), FileState::Building);
        assert!(!FileState::Building.is_readable() && FileState::Dead.is_readable());
    }
}
