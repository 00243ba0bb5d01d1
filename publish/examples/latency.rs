//! Latencies: durations with quantiles. A worker answers queries that waited in a queue. A `Timer`
//! (example `timer`) is smaller and has no quantiles.
//!
//! ```text
//! cargo run -p mmstats --example latency
//! mmstats show --filter 'query.*'           # in another terminal
//! ```

use std::time::Duration;

use mmstats::{Latency, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "query")]
struct Query {
    /// From query to answer. The error of quantiles is at most 2 %.
    #[stats(error = 0.02)]
    answer: Latency,
    /// Time in the queue, by the clock of the sender.
    wait: Latency,
    /// From the first query of a batch to the last answer.
    batch: Latency,
}

fn primes_below(limit: u64) -> usize {
    let is_prime = |n: u64| (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    (2..limit).filter(|n| is_prime(*n)).count()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let query: Publisher<Query> = Options::new().start()?;
    let stats = query.lane()?;

    let mut found = 0;
    for batch in 0..10 {
        // Ends when it is dropped: at the end of this iteration, also by `?` or a panic.
        let _running = stats.batch.start();
        for n in 1..=10 {
            // A known duration.
            stats.wait.record(Duration::from_millis(batch * 10 + n));
            // A call.
            found += stats.answer.time(|| primes_below(n * 200));
        }
    }
    println!("{found} primes");

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
