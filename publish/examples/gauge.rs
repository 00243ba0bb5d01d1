//! Gauges: numbers that go up and down, flags, gauges without a value, and a value of the whole
//! program that any thread sets. A pool of connections.
//!
//! ```text
//! cargo run -p mmstats --example gauge
//! mmstats show --filter 'pool.*'            # in another terminal
//! ```

use mmstats::{FieldOptions, Flag, Gauge, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "pool")]
struct Pool {
    /// Connections in use: summed over threads, the default of gauges.
    in_use: Gauge<i64>,
    /// Maximum number of connections in use at once.
    #[stats(aggregation = "max")]
    peak: Gauge<i64>,
    /// Lag of the replica.
    #[stats(unit = "seconds")]
    replica_lag: Gauge<f64>,
    /// Duration of the last backup.
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

    // Connections are taken and given back.
    let mut peak = 0;
    for change in [3, 4, -2, 5, -6] {
        stats.in_use.add(change);
        peak = peak.max(stats.in_use.get().unwrap_or(0));
        stats.peak.set(peak);
    }

    // The replica is gone, so its last lag is wrong. Readers see "no value" instead of 0, as for
    // `backup_time`, which was never set.
    stats.replica_lag.clear();
    stats.draining.set(true);

    // Not a sum over threads: the last `set` of any thread wins.
    let help = FieldOptions::new().help("Connections allowed.");
    let limit = pool.shared::<u64>("pool.limit", help)?;
    limit.set(10);
    std::thread::scope(|scope| {
        scope.spawn(|| limit.add(2));
    });

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
