//! An update of each handle, and nothing else. It links only if no update can panic.
#![no_std]
#![no_main]

#[path = "../../../shared/phase.rs"]
mod phase;

use core::panic::PanicInfo;

use mmstats_core::{
    Activity, Array, Average, Blob, Counter, Events, Flag, Gauge, Group, Histogram, Rate, StateSet,
    Text, Timer, Window,
};
use mmstats_firmware::board::{entry, hang};
use mmstats_firmware::fields::Flow;
use mmstats_firmware::retained::Retained;
use phase::Phase;

struct Handles {
    counter: Counter<Retained>,
    byte: Gauge<u8, Retained>,
    signed: Gauge<i64, Retained>,
    float: Gauge<f64, Retained>,
    flag: Flag<Retained>,
    text: Text<20, Retained>,
    blob: Blob<20, Retained>,
    array: Array<i16, 5, Retained>,
    group: Group<Flow, Retained>,
    timer: Timer<Retained>,
    integers: Histogram<u64, Retained>,
    floats: Histogram<f64, Retained>,
    average: Average<Retained>,
    window: Window<i64, Retained>,
    rate: Rate<Retained>,
    state: StateSet<Phase, Retained>,
    events: Events<20, Retained>,
    activity: Activity<20, Retained>,
}

#[allow(improper_ctypes)] // Used only by this program.
unsafe extern "C" {
    // Defined by the linker script. This firmware is linked but never run: code that attaches
    // handles can panic and is left out.
    static HANDLES: Handles;
}

#[entry]
fn main() -> ! {
    for n in 0.. {
        // SAFETY: never run; see above.
        update(unsafe { &HANDLES }, n);
    }
    hang()
}

#[inline(never)]
fn update(handles: &Handles, n: u64) {
    let number = f64::from_bits(n);
    let [byte, ..] = n.to_le_bytes();
    let words = ["", "one", "more than twenty bytes"];
    let text = words.get(usize::from(byte)).copied().unwrap_or("größer");
    handles.counter.add(n);
    handles.byte.add(byte);
    handles.signed.sub(n.cast_signed());
    handles.float.set(number);
    handles.flag.set(n == 7);
    handles.text.set(text);
    handles.text.clear();
    handles.blob.set(text.as_bytes());
    handles.array.set(&[byte.into(); 5]);
    handles.group.set(&Flow { litres: n, drops: 1 });
    handles.timer.record_nanos(n);
    handles.integers.record(n);
    handles.floats.record(number);
    handles.average.record(number);
    handles.window.record(n.cast_signed());
    handles.rate.add(1, n);
    handles.state.set(if byte > 9 { Phase::Busy } else { Phase::Idle });
    handles.events.record(n, text);
    let doing = handles.activity.begin(n, text);
    doing.set("more than twenty bytes");
}

unsafe extern "C" {
    fn an_update_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: never called: the function does not exist, so that linking fails if a panic is
    // possible.
    unsafe { an_update_can_panic() }
}
