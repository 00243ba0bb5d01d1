//! Gauges: numbers that go up and down, flags, gauges without a value, and one value of the
//! whole program that any thread sets. A pool of connections.
//!
//! ```text
//! cargo run -p mmstats --example gauge
//! mmstats show --filter 'pool.*'            # in another terminal
//! ```

use mmstats::{FieldOptions, Flag, Gauge, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "pool")]
struct Pool {
    /// Connections in use. Over threads it is added, as gauges are where nothing else is said.
    in_use: Gauge<i64>,
    /// Most connections that were in use at once.
    #[stats(aggregation = "max")]
    peak: Gauge<i64>,
    /// How far the replica is behind.
    #[stats(unit = "seconds")]
    replica_lag: Gauge<f64>,
    /// How long the last backup took.
    #[stats(unit = "seconds")]
    #[expect(dead_code, reason = "no backup was made yet")]
    backup_time: Gauge<f64>,
    /// Whether no new connections are given out.
    draining: Flag,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool: Publisher<Pool> = Options::new().start()?;
    let stats = pool.lane()?;
    stats.draining.set(false);
    stats.replica_lag.set(0.25);

    // Connections that were taken, and given back.
    let mut peak = 0;
    for change in [3, 4, -2, 5, -6] {
        stats.in_use.add(change);
        peak = peak.max(stats.in_use.get().unwrap_or(0));
        stats.peak.set(peak);
    }

    // The replica is gone. Its last lag would be a lie: readers see "no value" instead, as
    // they do of `backup_time`, which was never set. That is not the same as 0.
    stats.replica_lag.clear();
    stats.draining.set(true);

    // Not a sum over the threads: the last one that sets it wins, whichever thread that is.
    let help = FieldOptions::new().help("Connections allowed.");
    let limit = pool.shared::<u64>("pool.limit", help)?;
    limit.set(10);
    std::thread::scope(|scope| {
        scope.spawn(|| limit.add(2));
    });

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Enter, or the end of the input, ends it.
    Ok(())
}
