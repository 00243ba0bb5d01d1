//! Windows: the mean of the last `N` values, a moving average. A link that was slow for long
//! is fast now: the window says so, the average of all times does not yet.
//!
//! ```text
//! cargo run -p mmstats --example window
//! mmstats show --filter 'link.*'            # in another terminal
//! ```

use mmstats::{Average, Options, Publisher, Stats, Window};

#[derive(Stats)]
#[stats(prefix = "link")]
struct Link {
    /// Round trip, mean of the last 8.
    #[stats(unit = "milliseconds")]
    round_trip: Window<f64, 8>,
    /// Round trip, mean of all.
    #[stats(unit = "milliseconds")]
    round_trip_ever: Average,
    /// Bytes in flight, mean of the last 8. Integers have windows too.
    #[stats(unit = "bytes")]
    in_flight: Window<u64, 8>,
}

/// What a probe of the link measures: 40 ms while the link is busy, then 9 to 12.
fn probe(n: u32) -> f64 {
    if n < 92 { 40.0 } else { f64::from(9 + n % 4) }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let link: Publisher<Link> = Options::new().start()?;
    let stats = link.lane()?;

    for n in 0..100 {
        let milliseconds = probe(n);
        stats.round_trip.record(milliseconds);
        stats.round_trip_ever.record(milliseconds);
        // The longer the way, the more is on it.
        stats.in_flight.record(if milliseconds > 20.0 { 64_000 } else { 1_500 });
    }

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Enter, or the end of the input, ends it.
    Ok(())
}
