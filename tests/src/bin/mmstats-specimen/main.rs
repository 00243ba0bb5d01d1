//! Writer and reader on each machine of the matrix of `.ci/targets`:
//!
//! - `write DIRECTORY`: `core.mmst`, of the core alone, and `publish.mmst`, as programs publish;
//! - `beat DIRECTORY`: self-checking values as fast as possible, until its standard input ends;
//! - `watch FILE LOOKS`: reads these so many times, and counts verdicts.

use std::io::{Read, Write};
use std::path::Path;

use mmstats::{Counter, Gauge, Group, OnDrop, Options, Publisher, Record, Stats, Text};
use mmstats_core::{Source, StaticBytes};
use mmstats_observe::{RawValue, RawVerdict, Scratch};
use mmstats_tests::everything::Everything;
use mmstats_tests::look::look;
use mmstats_tests::specimen;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", directory] => write(Path::new(directory)),
        ["beat", directory] => beat(Path::new(directory)),
        ["watch", file, looks] => watch(Path::new(file), looks.parse().expect("a number")),
        _ => panic!("write DIRECTORY, beat DIRECTORY or watch FILE LOOKS"),
    }
}

fn write(directory: &Path) {
    std::fs::create_dir_all(directory).expect("a directory");
    let memory = Box::leak(Box::new(StaticBytes::<{ specimen::SIZE }>::new())).into_memory();
    let writer = specimen::make(memory).expect("an image");
    let size = writer.region().load32(mmstats_core::layout::header::FILE_SIZE);
    let mut bytes = vec![0; size as usize];
    writer.region().copy(0, &mut bytes);
    std::fs::write(directory.join("core.mmst"), bytes).expect("a file");

    let options = Options::new().directory(directory).files("publish.mmst").on_drop(OnDrop::Keep);
    let publisher: Publisher<Everything> = options.start().expect("a publisher");
    let stats = publisher.lane().expect("a lane");
    (1..=1000).for_each(|n| stats.update(n << 20));
    let other = publisher.lane().expect("a second lane");
    other.update(77);
    // As it is, with both lanes owned: nothing is dropped.
    std::process::exit(0);
}

/// The first number of `beat`, and the step: it changes every byte.
const FIRST: u32 = 0x9E37_79B9;

/// The same 32 bits twice, and values that follow from them.
#[derive(Debug, Clone, Copy, Record)]
struct Pair {
    up: u64,
    down: i64,
}

#[derive(Debug, Stats)]
struct Beat {
    counter: Counter,
    gauge: Gauge<i64>,
    float: Gauge<f64>,
    narrow: Gauge<u32>,
    text: Text<32>,
    pair: Group<Pair>,
}

/// Both halves of 64 bits are `n`.
fn twice(n: u32) -> u64 {
    u64::from(n) << 32 | u64::from(n)
}

fn beat(directory: &Path) {
    let options = Options::new().directory(directory).files("beat.mmst");
    let publisher: Publisher<Beat> = options.start().expect("a publisher");
    let stats = publisher.lane().expect("a lane");
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let listener = std::sync::Arc::clone(&ended);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        listener.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    // No NaN: a processor may quiet a signalling one.
    let numbers = (1..).map(|n: u32| n.wrapping_mul(FIRST));
    for n in numbers.filter(|n| n >> 20 & 0x7FF != 0x7FF) {
        stats.counter.set(twice(n));
        stats.gauge.set(twice(n).cast_signed());
        stats.float.set(f64::from_bits(twice(n)));
        stats.narrow.set(n);
        // Rarely: an emulator takes longest for this one.
        if n == FIRST || n & 15 == 0 {
            stats.text.set(&format!("{n:016x}{n:016x}"));
        }
        stats.pair.set(&Pair { up: twice(n), down: !twice(n).cast_signed() });
        if n == FIRST {
            println!("ready");
            std::io::stdout().flush().expect("standard output is open");
        }
        if ended.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
    }
}

fn halves_agree(bits: u64) -> bool {
    bits >> 32 == bits & 0xFFFF_FFFF
}

/// Prints `LABEL values=N contended=N` for each field; ends with 1 if anything is torn.
fn watch(path: &Path, looks: u32) {
    let observer = look(path);
    let [file] = observer.files() else { panic!("no file at {}", path.display()) };
    const LABELS: [&str; 7] =
        ["counter", "gauge", "float", "narrow", "text", "pair.up", "pair.down"];
    let (mut values, mut contended, mut torn) = ([0; 7], [0; 7], Vec::new());
    let mut scratch = Scratch::new();
    for _ in 0..looks {
        let mut up = None;
        file.visit_lane(0, &mut scratch, |field, verdict| {
            let Some(at) = LABELS.iter().position(|label| *label == field.label()) else { return };
            let value = match verdict {
                RawVerdict::Consistent(value) => value,
                RawVerdict::Contended => return contended[at] += 1,
                RawVerdict::Absent => return,
                other => return torn.push(format!("{}: {other:?}", field.label())),
            };
            values[at] += 1;
            let whole = match value {
                RawValue::U64(n) if LABELS[at] == "narrow" => u32::try_from(n).is_ok(),
                RawValue::U64(n) => {
                    up = (LABELS[at] == "pair.up").then_some(n);
                    halves_agree(n)
                }
                RawValue::I64(n) if LABELS[at] == "pair.down" => up == Some(!n.cast_unsigned()),
                RawValue::I64(n) => halves_agree(n.cast_unsigned()),
                RawValue::F64(x) => halves_agree(x.to_bits()),
                RawValue::Text { text, .. } => {
                    text.is_char_boundary(16) && text[..16] == text[16..]
                }
                _ => false,
            };
            if !whole {
                torn.push(format!("{}: {value:?}", field.label()));
            }
        });
    }
    for (at, label) in LABELS.iter().enumerate() {
        println!("{label} values={} contended={}", values[at], contended[at]);
    }
    assert!(torn.is_empty(), "{} torn: {:?}", torn.len(), &torn[..torn.len().min(5)]);
}
