//! Arrays: numbers of one type, published together. Orders wait in the queues of four shards; no
//! reader sees an order in two queues, or in none.
//!
//! ```text
//! cargo run -p mmstats --example array
//! mmstats show --filter 'shards.*'          # in another terminal
//! ```

use mmstats::{Array, Options, Publisher, Stats};

const SHARDS: usize = 4;

#[derive(Stats)]
#[stats(prefix = "shards")]
struct Shards {
    /// Waiting orders by shard. Each element is summed over threads.
    waiting: Array<u32, SHARDS>,
    /// Share of all waiting orders by shard. Shares are not summed.
    #[stats(unit = "ratio", aggregation = "mean")]
    share: Array<f64, SHARDS>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shards: Publisher<Shards> = Options::new().start()?;
    let stats = shards.lane()?;

    // Sharded by the last digit of the customer's number, so the first two have more.
    let mut waiting = [0; SHARDS];
    for customer in 0..1_000 {
        waiting[customer % 10 % SHARDS] += 1;
        stats.waiting.set(&waiting);
    }
    // Half of the orders of the last shard move to the first one, in one `set`, so that the sum
    // is right at all times.
    let moved = waiting[SHARDS - 1] / 2;
    waiting[SHARDS - 1] -= moved;
    waiting[0] += moved;
    stats.waiting.set(&waiting);

    let all: u32 = waiting.iter().sum();
    stats.share.set(&waiting.map(|n| f64::from(n) / f64::from(all)));

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
