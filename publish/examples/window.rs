//! Windows: the mean of the last `N` values, a moving average. A link that was slow is fast now:
//! the window shows that at once, the average of all values slowly.
//!
//! ```text
//! cargo run -p mmstats --example window
//! mmstats show --filter 'link.*'            # in another terminal
//! ```

use mmstats::{Average, Options, Publisher, Stats, Window};

#[derive(Stats)]
#[stats(prefix = "link")]
struct Link {
    /// Mean round trip of the last 8 probes.
    #[stats(unit = "milliseconds")]
    round_trip: Window<f64, 8>,
    /// Mean round trip of all probes.
    #[stats(unit = "milliseconds")]
    round_trip_ever: Average,
    /// Mean bytes in flight of the last 8 probes. Integers have windows too.
    #[stats(unit = "bytes")]
    in_flight: Window<u64, 8>,
}

/// Round trip of a probe: 40 ms while the link is busy, then 9 to 12 ms.
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
        // A longer round trip has more bytes in flight.
        stats.in_flight.record(if milliseconds > 20.0 { 64_000 } else { 1_500 });
    }

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
