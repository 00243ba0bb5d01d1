//! Histograms: the distribution of values, with quantiles within a chosen relative error. A store
//! that compresses blocks. For durations see the example `latency`.
//!
//! ```text
//! cargo run -p mmstats --example histogram
//! mmstats show --filter 'store.*'           # in another terminal
//! ```

use mmstats::{Histogram, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "store")]
struct Store {
    /// Bytes of a block. From 100 bytes to 1 MB the error of quantiles is at most 2 %; smaller
    /// and larger values are counted too. A smaller error and a larger range take more memory.
    #[stats(unit = "bytes", error = 0.02, range(100, 1_000_000))]
    size: Histogram,
    /// Compressed size divided by the size before. The default type of values is u64.
    #[stats(unit = "ratio", range(0.001, 10))]
    compression: Histogram<f64>,
}

/// Run-length encoding: one byte for the count, one for the value.
fn compress(block: &[u8]) -> Vec<u8> {
    let runs = block.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(255));
    runs.flat_map(|run| [u8::try_from(run.len()).unwrap_or(u8::MAX), run[0]]).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store: Publisher<Store> = Options::new().start()?;
    let stats = store.lane()?;

    // Blocks of 100 to 10,000 bytes. Every fourth has no two equal neighbours; the others have
    // runs of 10.
    for n in 1..=100 {
        let run = if n % 4 == 0 { 1 } else { 10 };
        let block: Vec<u8> =
            (0..n * 100).map(|i| if i / run % 2 == 0 { b'a' } else { b'b' }).collect();
        stats.size.record(block.len() as u64);
        stats.compression.record(compress(&block).len() as f64 / block.len() as f64);
    }

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
