//! Counters: sums that only grow. Three threads parse a log; each counts in its own lane, without
//! a lock. Observers show the sums.
//!
//! ```text
//! cargo run -p mmstats --example counter
//! mmstats show --filter 'log.*'             # in another terminal
//! mmstats poll log.lines,log.bytes          # as rates
//! ```

use mmstats::{Counter, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "log")]
struct Log {
    /// Lines parsed.
    lines: Counter,
    /// Bytes of these lines.
    #[stats(unit = "bytes")]
    bytes: Counter,
    /// Lines that do not end with a status.
    malformed: Counter,
}

/// The status at the end of a line such as `GET /index.html 200`.
fn status(line: &str) -> Option<u16> {
    line.rsplit(' ').next()?.parse().ok()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let log: Publisher<Log> = Options::new().start()?;
    let line = |n| if n % 10 == 0 { "GET /broken -" } else { "GET /index.html 200" };
    let lines: Vec<&str> = (0..3_000).map(line).collect();

    std::thread::scope(|scope| {
        for part in lines.chunks(1_000) {
            let log = &log;
            // `with` finds the handles of the current thread. Its counts stay in the sums when it
            // ends.
            scope.spawn(move || {
                log.with(|stats| {
                    for line in part {
                        stats.lines.incr();
                        stats.bytes.add(line.len() as u64);
                        if status(line).is_none() {
                            stats.malformed.incr();
                        }
                    }
                });
            });
        }
    });

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
