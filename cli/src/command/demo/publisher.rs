//! The publishing side of the demo: an ordinary program that uses `mmstats`.

use std::io::{self, Read as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use mmstats::{
    Activity, Begun, Counter, Events, Flag, Gauge, Group, Info, Latency, Options, Publisher,
    Record, State, StateSet, Stats, Timer,
};

use super::super::args::up_to;
use super::work;

/// The fields of each thread.
#[derive(Stats)]
#[stats(prefix = "demo")]
struct Work {
    /// The input.
    #[stats(value = "blocks of this program's own file")]
    material: Info,
    /// Bytes hashed with SHA-256 and compressed with DEFLATE.
    #[stats(unit = "bytes")]
    bytes_in: Counter,
    /// Bytes after compression.
    #[stats(unit = "bytes")]
    bytes_out: Counter,
    /// Blocks hashed and compressed.
    blocks: Counter,
    /// Blocks that differ after decompression. Should stay 0.
    failures: Counter,
    /// Size of the last block after compression, divided by its size before.
    #[stats(unit = "ratio", aggregation = "mean")]
    ratio: Gauge<f64>,
    /// Blocks in the queue.
    queue: Gauge<u64>,
    /// Workers with a block.
    busy: Flag,
    /// Step of the workers.
    phase: StateSet<Phase>,
    /// Time to compress a block.
    compress: Latency,
    /// Time to process a block.
    latency: Timer,
    /// Current task of the thread: see `mmstats why`.
    #[stats(rows = 2)]
    doing: Activity,
    /// Lines for the time after a crash: see `mmstats events`.
    #[stats(level = "diagnostic", entries = 31)]
    log: Events<64>,
    /// Blocks decompressed and compared with their hash: two numbers published together.
    verified: Group<Verified>,
}

/// A step of a worker.
#[derive(Debug, Clone, Copy, State)]
enum Phase {
    Waiting,
    Hashing,
    Compressing,
    Verifying,
}

/// The blocks that a worker verified.
#[derive(Debug, Clone, Copy, Default, Record)]
struct Verified {
    /// Blocks that are equal after decompression.
    #[stats(counter)]
    blocks: u64,
    /// Their bytes.
    #[stats(counter, unit = "bytes")]
    bytes: u64,
}

/// One in this many blocks is verified.
const VERIFY: u64 = 8;
/// Time between two bursts of blocks.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(crate) struct DemoPublisher {
    #[arg(long, default_value = "4", value_parser = up_to::<256>)]
    pub(crate) threads: u16,
}

pub(crate) fn run(args: &DemoPublisher) -> ExitCode {
    match publish(args.threads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot publish: {error}");
            ExitCode::FAILURE
        }
    }
}

fn publish(threads: u16) -> Result<(), mmstats::Error> {
    let lanes = u32::from(threads) + 1;
    let publisher: Publisher<Work> = Options::new().name("mmstats-demo").lanes(lanes).start()?;
    let stop = Arc::new(AtomicBool::new(false));
    stop_when_asked(&stop);
    let material = work::material();
    let (sender, queue) = sync_channel(usize::from(threads) * 16);
    let (queue, waiting) = (Mutex::new(queue), AtomicU64::new(0));
    std::thread::scope(|scope| -> Result<(), mmstats::Error> {
        for number in 1..=threads {
            let stats = || publisher.lane();
            let (queue, waiting, material, stop) = (&queue, &waiting, &material, &stop);
            let worker = move || match stats() {
                Ok(stats) => work_off(&stats, queue, waiting, material, stop),
                Err(error) => eprintln!("a worker cannot publish: {error}"),
            };
            let thread = std::thread::Builder::new().name(format!("worker-{number}"));
            if let Err(error) = thread.spawn_scoped(scope, worker) {
                eprintln!("a worker cannot start: {error}");
            }
        }
        let stats = publisher.lane()?;
        feed(&stats, sender, &waiting, threads, &stop);
        Ok(())
    })
}

/// Sets `stop` after Ctrl-C, or when the watching process closes its pipe or dies.
fn stop_when_asked(stop: &Arc<AtomicBool>) {
    let signalled = Arc::clone(stop);
    if let Err(error) = ctrlc::set_handler(move || signalled.store(true, Ordering::Relaxed)) {
        eprintln!("Ctrl-C will not end the publisher cleanly: {error}");
    }
    let ended = Arc::clone(stop);
    std::thread::spawn(move || {
        let mut rest = [0; 64];
        while matches!(io::stdin().read(&mut rest), Ok(1..)) {}
        ended.store(true, Ordering::Relaxed);
    });
}

/// Puts blocks into the queue, in bursts of varying size.
fn feed(
    stats: &Work,
    sender: SyncSender<u64>,
    waiting: &AtomicU64,
    threads: u16,
    stop: &AtomicBool,
) {
    let (mut next, mut high) = (0_u64, false);
    let doing = stats.doing.begin("feeding the queue");
    for turn in 0_u32.. {
        let tide = 1.0 + (f64::from(turn) / 40.0).sin();
        if (tide > 1.0) != high {
            high = tide > 1.0;
            let side = if high { "in" } else { "out" };
            stats.log.record_fmt(format_args!("tide {side} after {next} blocks"));
            doing.set_fmt(format_args!("feeding the queue, tide {side}"));
        }
        // From one to eight times the threads.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let burst = (f64::from(threads) * 4.0 * tide).ceil().max(1.0) as u32;
        for _ in 0..burst {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // Counted before it can be taken, so that the count never falls below zero.
            stats.queue.set(waiting.fetch_add(1, Ordering::Relaxed) + 1);
            match sender.try_send(next) {
                Ok(()) => next += 1,
                Err(refused) => {
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    match refused {
                        TrySendError::Full(_) => break,
                        TrySendError::Disconnected(_) => return,
                    }
                }
            }
        }
        std::thread::sleep(PAUSE);
        stats.queue.set(waiting.load(Ordering::Relaxed));
    }
}

/// Takes blocks off the queue until its other end is dropped. After Ctrl-C the remaining blocks
/// are left.
fn work_off(
    stats: &Work,
    queue: &Mutex<Receiver<u64>>,
    waiting: &AtomicU64,
    material: &[u8],
    stop: &AtomicBool,
) {
    stats.log.record("worker ready");
    let (mut out, mut verified) = (Vec::with_capacity(work::BLOCK), Verified::default());
    loop {
        stats.busy.set(false);
        stats.phase.set(Phase::Waiting);
        let waiting_for = stats.doing.begin("waiting for a block");
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(number) = next else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        drop(waiting_for);
        waiting.fetch_sub(1, Ordering::Relaxed);
        stats.busy.set(true);
        stats.latency.time(|| one(stats, number, material, &mut out, &mut verified));
    }
}

fn one(stats: &Work, number: u64, material: &[u8], out: &mut Vec<u8>, verified: &mut Verified) {
    let block = work::block(material, number);
    let doing: Begun<'_> = stats.doing.begin_fmt(format_args!("hashing block {number}"));
    stats.phase.set(Phase::Hashing);
    let hash = work::hash(block);
    doing.set_fmt(format_args!("compressing block {number}"));
    stats.phase.set(Phase::Compressing);
    let compressed = stats.compress.time(|| work::compress(block, out).is_ok());
    if !compressed {
        failed(stats, number);
    } else if number.is_multiple_of(VERIFY) {
        stats.phase.set(Phase::Verifying);
        doing.set_fmt(format_args!("verifying block {number}"));
        if work::verify(out, &hash) {
            verified.blocks += 1;
            verified.bytes += block.len() as u64;
            stats.verified.set(verified);
        } else {
            failed(stats, number);
        }
    }
    let (before, after) = (block.len() as u64, out.len() as u64);
    stats.blocks.incr();
    stats.bytes_in.add(before);
    stats.bytes_out.add(after);
    #[allow(clippy::cast_precision_loss)] // At most a block.
    stats.ratio.set(after as f64 / before.max(1) as f64);
}

fn failed(stats: &Work, number: u64) {
    stats.failures.incr();
    stats.log.record_fmt(format_args!("block {number} did not come back as it was"));
}
