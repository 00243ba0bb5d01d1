//! The smallest firmware that publishes ten fields: what it has more than `bare` is what that
//! costs in flash.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use mmstats_firmware::board::{entry, hang};
use mmstats_firmware::fields::{Device, IMAGE};
use mmstats_firmware::retained::Known;

#[entry]
fn main() -> ! {
    if let Ok((lane, _)) = IMAGE.start(Known, *b"a pump, no. 1234")
        && let Ok(device) = Device::attach(&lane)
    {
        for n in 0.. {
            device.update(n);
        }
    }
    hang()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    hang()
}
