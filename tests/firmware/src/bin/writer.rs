//! Smallest firmware that publishes ten fields. Its size less that of `bare` is the cost in flash.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use mmstats_firmware::board::{entry, hang};
use mmstats_firmware::fields::{Device, IMAGE};
use mmstats_firmware::retained::RetainedImage;

#[entry]
fn main() -> ! {
    if let Ok((lane, _)) = IMAGE.start(RetainedImage, *b"a pump, no. 1234")
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
