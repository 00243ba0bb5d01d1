//! A device that publishes from its main loop and reads from a timer interrupt.
//!
//! The first run ends with a reset by itself, the second one with a hang, after which the host
//! reads its memory. The third run, after a reset by the host, prints the retained values and ends
//! QEMU with an exit status: 0, or 1 on failure.
#![no_std]
#![no_main]

mod watch;

use core::panic::PanicInfo;

use mmstats_core::{AttachError, WriteError};
use mmstats_firmware::board::{self, entry};
use mmstats_firmware::fields::{Device, IMAGE, STEP};
use mmstats_firmware::retained::RetainedImage;
use semihosting::{eprintln, println, process};

/// Reads by the interrupt in each of the first two runs.
const READS: u32 = 300;
/// Minimum number of these during an update.
const DURING_UPDATE: u32 = 100;

#[entry]
fn main() -> ! {
    match run() {
        Ok(()) => process::exit(0),
        Err(error) => {
            eprintln!("failed: {error:?}");
            process::exit(1)
        }
    }
}

/// Reason for exit status 1.
#[derive(Debug)]
#[allow(dead_code)] // Printed through `Debug`.
enum Failure {
    Write(WriteError),
    Attach(AttachError),
    /// It resumed where it should not have, or the reverse.
    Resumed(bool),
    /// Counters that are not consistent.
    Counters {
        boots: u64,
        rounds: u64,
        bytes: u64,
        lines: u32,
    },
    /// A gauge has a value from before the reset.
    OldGauge,
    /// Results of the interrupt.
    Interrupt(watch::Results),
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

fn run() -> Result<(), Failure> {
    // A device has a serial number, or a source of noise.
    let (lane, resumed) = IMAGE.start(RetainedImage, *b"a pump, no. 1234")?;
    let device = Device::attach(&lane)?;
    device.boots.incr();
    let boots = device.boots.get();
    if resumed != (boots > 1) {
        return Err(Failure::Resumed(resumed));
    }
    if device.has_old_gauge() {
        return Err(Failure::OldGauge);
    }
    check(&device)?;
    if boots == 3 {
        println!("left: {}", counters(&device));
        return Ok(());
    }
    board::alarm(1000);
    board::listen();
    let mut n = (device.rounds.get() & 0x3FFF) as u16;
    while watch::reads() < READS {
        n = n.wrapping_add(1) & 0x3FFF;
        watch::updating(|| device.update(n));
    }
    let results = watch::results();
    if results.wrong != 0 || results.during_update < DURING_UPDATE {
        return Err(Failure::Interrupt(results));
    }
    check(&device)?;
    println!(
        "run {boots}: {} reads, {} of them during an update",
        results.reads, results.during_update
    );
    if boots == 1 {
        board::reset();
    }
    println!("hangs: {}", counters(&device));
    board::hang();
}

/// Checks that the counters are consistent.
fn check(device: &Device<RetainedImage>) -> Result<(), Failure> {
    let (rounds, bytes) = (device.rounds.get(), device.bytes.get());
    let lines = device.log.number();
    if bytes != rounds.wrapping_mul(STEP) || u64::from(lines) != rounds.div_ceil(64) {
        return Err(Failure::Counters { boots: device.boots.get(), rounds, bytes, lines });
    }
    Ok(())
}

/// The counters, for the comparison by the host.
fn counters(device: &Device<RetainedImage>) -> impl core::fmt::Display {
    struct Counters([u64; 4]);
    impl core::fmt::Display for Counters {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            let [boots, rounds, bytes, lines] = self.0;
            write!(f, "boots={boots} rounds={rounds} bytes={bytes} lines={lines}")
        }
    }
    let lines = device.log.number().into();
    Counters([device.boots.get(), device.rounds.get(), device.bytes.get(), lines])
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    process::exit(2)
}
