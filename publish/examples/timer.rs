//! Timers: count, sum, shortest, longest and last duration, always of one moment. A text
//! index, made and used. With quantiles: example `latency`.
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
    /// Making the index.
    build: Timer,
    /// Looking words up, only those that were found.
    hit: Timer,
    /// What the disk says it took to read the text.
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
        // A duration that is known already.
        stats.read.record(Duration::from_micros(micros));
        // A call.
        let places = stats.build.time(|| index(text));
        for word in ["be", "question", "whether"] {
            // From here until it is dropped, unless it is discarded.
            let running = stats.hit.start();
            if !places.contains_key(word) {
                running.discard();
            }
        }
    }

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Enter, or the end of the input, ends it.
    Ok(())
}
