//! A device that publishes from its main loop, and looks at that from a timer's interrupt.
//!
//! Its first life ends with a reset that it asks for, the second one with a hang; what is then
//! in its memory is for the post-mortem. In the third one, after a reset from outside, it tells
//! what is left, and leaves QEMU with an exit status: 0, or what is wrong.
#![no_std]
#![no_main]

mod watch;

use core::panic::PanicInfo;

use mmstats_core::{AttachError, WriteError};
use mmstats_firmware::board::{self, entry};
use mmstats_firmware::fields::{Device, IMAGE, STEP};
use mmstats_firmware::retained::Known;
use semihosting::{eprintln, println, process};

/// Looks by the interrupt in each of the first two lives.
const LOOKS: u32 = 300;
/// Of these, so many at least must come amid an update.
const AMID: u32 = 100;

#[entry]
fn main() -> ! {
    match live() {
        Ok(()) => process::exit(0),
        Err(error) => {
            eprintln!("failed: {error:?}");
            process::exit(1)
        }
    }
}

/// Why the firmware ends with status 1.
#[derive(Debug)]
#[allow(dead_code)] // Shown.
enum Failure {
    Write(WriteError),
    Attach(AttachError),
    /// It began anew where it should not have, or the other way round.
    GoesOn(bool),
    /// Counters that do not belong together.
    Lost {
        boots: u64,
        rounds: u64,
        bytes: u64,
        lines: u32,
    },
    /// A gauge of the time before the reset.
    Remembers,
    /// What the interrupt found.
    Seen(watch::Seen),
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

fn live() -> Result<(), Failure> {
    // A device has a serial number, or a source of noise.
    let (lane, goes_on) = IMAGE.start(Known, *b"a pump, no. 1234")?;
    let device = Device::attach(&lane)?;
    device.boots.incr();
    let boots = device.boots.get();
    if goes_on != (boots > 1) {
        return Err(Failure::GoesOn(goes_on));
    }
    if device.remembers() {
        return Err(Failure::Remembers);
    }
    check(&device)?;
    if boots == 3 {
        println!("left: {}", tale(&device));
        return Ok(());
    }
    board::alarm(1000);
    board::listen();
    let mut n = (device.rounds.get() & 0x3FFF) as u16;
    while watch::looks() < LOOKS {
        n = n.wrapping_add(1) & 0x3FFF;
        watch::amid(|| device.update(n));
    }
    let seen = watch::seen();
    if seen.wrong != 0 || seen.amid < AMID {
        return Err(Failure::Seen(seen));
    }
    check(&device)?;
    println!("life {boots}: {} looks, {} of them amid an update", seen.looks, seen.amid);
    if boots == 1 {
        board::reset();
    }
    println!("hangs: {}", tale(&device));
    board::hang();
}

/// Whether what was counted belongs together.
fn check(device: &Device<Known>) -> Result<(), Failure> {
    let (rounds, bytes) = (device.rounds.get(), device.bytes.get());
    let lines = device.log.number();
    if bytes != rounds.wrapping_mul(STEP) || u64::from(lines) != rounds.div_ceil(64) {
        return Err(Failure::Lost { boots: device.boots.get(), rounds, bytes, lines });
    }
    Ok(())
}

/// What the device knows of itself, for whoever compares.
fn tale(device: &Device<Known>) -> impl core::fmt::Display {
    struct Tale([u64; 4]);
    impl core::fmt::Display for Tale {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            let [boots, rounds, bytes, lines] = self.0;
            write!(f, "boots={boots} rounds={rounds} bytes={bytes} lines={lines}")
        }
    }
    let lines = device.log.number().into();
    Tale([device.boots.get(), device.rounds.get(), device.bytes.get(), lines])
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    process::exit(2)
}
