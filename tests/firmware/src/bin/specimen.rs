//! Makes the image that all machines of `.ci/targets` make, and hangs.
#![no_std]
#![no_main]

#[allow(missing_docs, unreachable_pub)] // The file of another crate.
#[path = "../../../src/specimen.rs"]
mod specimen;

use core::panic::PanicInfo;

use mmstats_core::Memory;
use mmstats_firmware::board::{entry, hang};
use mmstats_firmware::retained::Retained;
use semihosting::{eprintln, println, process};

#[entry]
fn main() -> ! {
    // Too large for the smallest board.
    if Retained.len() < specimen::SIZE {
        process::exit(3);
    }
    match specimen::make(Retained) {
        Ok(_) => println!("hangs:"),
        Err(error) => {
            eprintln!("{error:?}");
            process::exit(1)
        }
    }
    hang()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    process::exit(2)
}
