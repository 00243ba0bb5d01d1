//! The timer interrupt: a reader between any two instructions of the writer.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use mmstats_core::Region;
use mmstats_core::read::{Field, Image, Reading, Value, Verdict};
use mmstats_firmware::board;
use mmstats_firmware::fields::{DOING, VOLTS};
use mmstats_firmware::retained::Retained;

/// Whether the main loop is in an update; stored only there.
static BUSY: AtomicU32 = AtomicU32::new(0);
/// Stored only by the interrupt.
static READS: AtomicU32 = AtomicU32::new(0);
static DURING_UPDATE: AtomicU32 = AtomicU32::new(0);
static WRONG: AtomicU32 = AtomicU32::new(0);

/// Results of the interrupt.
#[derive(Debug)]
pub(crate) struct Results {
    /// Number of reads of the image.
    pub(crate) reads: u32,
    /// Number of these during an update.
    pub(crate) during_update: u32,
    /// 0, or 1 more than the number of a field without a value or with one never published.
    pub(crate) wrong: u32,
}

pub(crate) fn reads() -> u32 {
    READS.load(Relaxed)
}

pub(crate) fn results() -> Results {
    Results {
        reads: reads(),
        during_update: DURING_UPDATE.load(Relaxed),
        wrong: WRONG.load(Relaxed),
    }
}

/// Runs an update.
pub(crate) fn updating(update: impl FnOnce()) {
    BUSY.store(1, Relaxed);
    update();
    BUSY.store(0, Relaxed);
}

fn interrupt() {
    let reads = READS.load(Relaxed) + 1;
    DURING_UPDATE.store(DURING_UPDATE.load(Relaxed) + BUSY.load(Relaxed), Relaxed);
    if let Err(field) = read_all() {
        WRONG.store(field + 1, Relaxed);
    }
    READS.store(reads, Relaxed);
    // A varying interval, so that each read interrupts another place.
    board::alarm(400 + reads * 7919 % 613);
}

/// Reads all fields. The error is the number of a field with a wrong value.
fn read_all() -> Result<(), u32> {
    let region = Region::new(Retained).map_err(|_| 100_u32)?;
    let image = Image::open(region).map_err(|_| 101_u32)?;
    let mut buffer = [0; 64];
    for field in image.fields() {
        let field = field.map_err(|_| 102_u32)?;
        if !was_published(&field, &image.read(0, &field, &mut buffer)) {
            return Err(field.index());
        }
        if field.index() == 7 {
            // All members from one slot.
            let slot = match image.read_slot(0, &field, &mut buffer) {
                Verdict::Consistent(slot) => slot,
                Verdict::Absent => continue,
                _ => return Err(7),
            };
            let (units, _) = slot.bytes().as_chunks::<8>();
            let unit = |index| units.get(index).map_or(0, |bytes| u64::from_le_bytes(*bytes));
            if unit(1) != (unit(0) * 20_000).wrapping_neg() {
                return Err(8);
            }
        }
    }
    Ok(())
}

/// Whether a value was ever published.
fn was_published(field: &Field, reading: &Reading<'_>) -> bool {
    let value = match reading {
        Verdict::Consistent(value) => value,
        Verdict::Absent => return field.properties().is_optional(),
        // The writer does not run during the interrupt.
        _ => return false,
    };
    match (field.index(), value) {
        (0 | 1, Value::U64(_)) | (4, Value::I64(_)) | (5, Value::Bool(_)) => true,
        (2, Value::U64(bytes)) => bytes >> 32 == bytes & 0xFFFF_FFFF,
        (3, Value::F64(volts)) => VOLTS.contains(volts),
        (6, Value::Text { text, cut: false }) => DOING.contains(text),
        (7, Value::U64(litres)) => litres & 0xF_FFFF == 0,
        (8, Value::I64(drops)) => *drops <= 0,
        (9, Value::Text { text, .. }) => text.is_empty() || *text == "sixty-four rounds",
        _ => false,
    }
}

#[cfg(target_arch = "arm")]
#[cortex_m_rt::exception]
fn SysTick() {
    interrupt();
}

#[cfg(target_arch = "riscv32")]
#[riscv_rt::core_interrupt(riscv::interrupt::Interrupt::MachineTimer)]
fn machine_timer() {
    interrupt();
}
