//! Firmware that does nothing, for comparison with `writer`.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use mmstats_firmware::board::{entry, hang};

#[entry]
fn main() -> ! {
    hang()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    hang()
}
