//! Sampled fields: values that are kept elsewhere, read at an interval by a thread of their own.
//! Counts the words of its input in a plain map.
//!
//! ```text
//! cargo run -p mmstats --example sampled    # and type; the end of the input ends it
//! mmstats poll words.seen,words.distinct    # in another terminal
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mmstats::{Counter, FieldOptions, Gauge, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "words")]
struct Words {
    /// Words seen, counted by the thread that reads them.
    seen: Counter,
}

type Counts = Arc<Mutex<HashMap<String, u64>>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The default is once a second.
    let options = Options::new().sample_every(Duration::from_millis(100));
    let words: Publisher<Words> = options.start()?;
    let stats = words.lane()?;

    let counts = Counts::default();
    let sampled = Arc::clone(&counts);
    let help = FieldOptions::new().help("Different words seen.");
    // Called at once and then at every interval, by a thread of its own.
    words.sampled("words.distinct", help, move |distinct: &Gauge<u64>| {
        let counts = sampled.lock().unwrap_or_else(PoisonError::into_inner);
        distinct.set(counts.len() as u64);
    })?;

    println!("ready: mmstats show {}", std::process::id());
    for line in std::io::stdin().lines() {
        for word in line?.split_whitespace() {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(word.to_owned()).or_default() += 1;
            stats.seen.incr();
        }
    }
    Ok(())
}
