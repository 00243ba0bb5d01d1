//! A state with two names, without the derive: for tests of crates below `mmstats`.

use mmstats_core::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Idle,
    Busy,
}

impl State for Phase {
    const NAMES: &'static [&'static str] = &["idle", "busy"];

    fn number(self) -> u32 {
        self as u32
    }

    fn from_number(number: u32) -> Option<Self> {
        [Self::Idle, Self::Busy].get(number as usize).copied()
    }
}
