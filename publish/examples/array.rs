//! Arrays: numbers of one type that are published together. Orders go to the queues of four
//! shards; no reader ever sees an order in two queues, or in none.
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
    /// Orders that wait, by shard. Over threads each element is added.
    waiting: Array<u32, SHARDS>,
    /// The share of all orders that wait at each shard. Shares are not added.
    #[stats(unit = "ratio", aggregation = "mean")]
    share: Array<f64, SHARDS>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shards: Publisher<Shards> = Options::new().start()?;
    let stats = shards.lane()?;

    // By the last digit of the customer's number, so the first two shards have more.
    let mut waiting = [0; SHARDS];
    for customer in 0..1_000 {
        waiting[customer % 10 % SHARDS] += 1;
        stats.waiting.set(&waiting);
    }
    // The last shard is slow, so half of its orders move to the first one: in one `set`,
    // with the sum right at all times.
    let moved = waiting[SHARDS - 1] / 2;
    waiting[SHARDS - 1] -= moved;
    waiting[0] += moved;
    stats.waiting.set(&waiting);

    let all: u32 = waiting.iter().sum();
    stats.share.set(&waiting.map(|n| f64::from(n) / f64::from(all)));

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Enter, or the end of the input, ends it.
    Ok(())
}
