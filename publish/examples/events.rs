//! Events: the last lines that a program recorded, with their times. They are kept even after
//! `kill -9`.
//!
//! ```text
//! cargo run -p mmstats --example events
//! mmstats events                            # in another terminal, before and after the end
//! ```

use mmstats::{Events, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "bank")]
struct Bank {
    /// The last 7 lines of each thread, at most 40 bytes each. The defaults are 63 lines and 112
    /// bytes.
    #[stats(entries = 7)]
    log: Events<40>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bank: Publisher<Bank> = Options::new().start()?;
    let stats = bank.lane()?;
    stats.log.record("the bank opens");

    let mut balance = 100_u32;
    for amount in [10, 20, 30, 40, 50, 60, 70] {
        // Formatted without an allocation.
        match balance.checked_sub(amount) {
            Some(rest) => {
                balance = rest;
                stats.log.record_fmt(format_args!("paid {amount}, {balance} left"));
            }
            None => {
                stats.log.record_fmt(format_args!("refused {amount}"));
            }
        }
    }
    // A line that is too long is cut, and readers see that.
    let whole = stats.log.record("the bank closes, and nobody gets anything any more");
    println!("the last line is {}", if whole { "whole" } else { "cut" });

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
