//! Averages: the mean of all values since the start. Two threads write rows in batches; the mean
//! over both is exact, because counts and sums are added.
//!
//! ```text
//! cargo run -p mmstats --example average
//! mmstats show --filter 'writer.*'          # in another terminal
//! ```

use mmstats::{Average, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "writer")]
struct Writer {
    /// Rows in a batch.
    #[stats(unit = "rows")]
    batch: Average,
    /// Bytes of a row.
    #[stats(unit = "bytes")]
    row: Average,
}

fn write(stats: &Writer, rows: &[String]) {
    for batch in rows.chunks(64) {
        stats.batch.record(batch.len() as f64);
        for row in batch {
            stats.row.record(row.len() as f64);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let writer: Publisher<Writer> = Options::new().start()?;
    // Half of the rows have 3 bytes, half 5. One thread writes more rows than the other.
    let rows: Vec<String> = (0..300).map(|n| "x".repeat(3 + n % 2 * 2)).collect();
    let (many, few) = rows.split_at(200);

    std::thread::scope(|scope| {
        for part in [many, few] {
            let writer = &writer;
            scope.spawn(move || writer.with(|stats| write(stats, part)));
        }
    });

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
