//! Timers: count, sum, minimum, maximum and last of durations, published together. The program indexes
//! two texts. For quantiles see the example `latency`.
//!
//! ```text
//! cargo run -p mmstats --example timer
//! mmstats show --filter 'index.*'           # in another terminal
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use mmstats::{Options, Publisher, Stats, Timer};

#[derive(Stats)]
#[stats(prefix = "index")]
struct Index {
    /// Time to build the index; builds in progress are published too.
    #[stats(running)]
    build: Timer,
    /// Time of successful lookups.
    hit: Timer,
    /// Time to read the text, as reported by the disk.
    read: Timer,
}

fn index(text: &str) -> BTreeMap<&str, Vec<usize>> {
    let mut places = BTreeMap::<_, Vec<_>>::new();
    for (place, word) in text.split_whitespace().enumerate() {
        places.entry(word).or_default().push(place);
    }
    places
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let publisher: Publisher<Index> = Options::new().start()?;
    let stats = publisher.lane()?;

    for (text, micros) in [("to be or not to be", 300), ("that is the question", 150)] {
        // A known duration.
        stats.read.record(Duration::from_micros(micros));
        // A call.
        let places = stats.build.time(|| index(text));
        for word in ["be", "question", "whether"] {
            // Recorded when dropped, unless discarded.
            let running = stats.hit.start();
            if !places.contains_key(word) {
                running.discard();
            }
        }
    }

    // In progress: not in the totals yet; shown by `index.build.running` with its age.
    let _last = stats.build.start();
    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
