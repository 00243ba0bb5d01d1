//! Groups: a struct whose members are published together, as a consistent snapshot. The hits and
//! misses of a cache always add up to its lookups.
//!
//! ```text
//! cargo run -p mmstats --example group
//! mmstats show --filter 'cache.*'           # in another terminal
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use mmstats::{Group, Options, Publisher, Record, Stats};

#[derive(Stats)]
struct Square {
    cache: Group<CacheStats>,
}

/// Published together, as fields `cache.lookups`, `cache.hits` ...
#[derive(Default, Record)]
struct CacheStats {
    /// Lookups.
    #[stats(counter)]
    lookups: u64,
    /// Lookups found in the cache.
    #[stats(counter)]
    hits: u64,
    /// Lookups that were computed.
    #[stats(counter)]
    misses: u64,
    /// Values in the cache.
    entries: u32,
    /// Hits divided by lookups.
    #[stats(unit = "ratio", aggregation = "mean")]
    hit_ratio: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let publisher: Publisher<Square> = Options::new().start()?;
    let stats = publisher.lane()?;
    let (mut cache, mut now) = (HashMap::new(), CacheStats::default());

    for n in 0..2_000_u64 {
        // The last two digits of squares, which have 22 values.
        let wanted = n * n % 100;
        now.lookups += 1;
        match cache.entry(wanted) {
            Entry::Occupied(_) => now.hits += 1,
            Entry::Vacant(place) => {
                place.insert(wanted.isqrt());
                now.misses += 1;
            }
        }
        now.entries = u32::try_from(cache.len())?;
        now.hit_ratio = now.hits as f64 / now.lookups as f64;
        // Publishes the whole struct in one step.
        stats.cache.set(&now);
    }

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
