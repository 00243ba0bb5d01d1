//! Rates: a counter with its rate over the last minutes, which an observer shows at its first
//! look. A table is read row by row.
//!
//! ```text
//! cargo run -p mmstats --example rate
//! mmstats show --filter 'import.*'          # in another terminal, now and a little later
//! ```

use mmstats::{Options, Publisher, Rate, Stats};

#[derive(Stats)]
#[stats(prefix = "import")]
struct Import {
    /// Rows read, with the rate over the last 10 seconds and the last minute. The defaults are 1,
    /// 5 and 15 minutes.
    #[stats(windows(10, 60))]
    rows: Rate,
    /// Bytes read.
    #[stats(unit = "bytes")]
    bytes: Rate,
}

/// The sum of a row such as `17,4`.
fn sum(row: &str) -> Result<u64, std::num::ParseIntError> {
    row.split(',').map(str::parse::<u64>).sum()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let import: Publisher<Import> = Options::new().start()?;
    let stats = import.lane()?;

    let table: String = (1000..6000).map(|n| format!("{n},4\n")).collect();
    let mut total = 0;
    for row in table.lines() {
        total += sum(row)?;
        // As for a counter. The observer computes the rates from the field's history.
        stats.rows.incr();
        stats.bytes.add(row.len() as u64 + 1);
    }
    println!("total {total}");

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
