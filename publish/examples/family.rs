//! Families: fields of one label that differ in attributes, each added on its first use. Counts
//! mail by domain and result.
//!
//! ```text
//! cargo run -p mmstats --example family
//! mmstats show --filter 'mail.*'            # in another terminal
//! ```

use mmstats::{Counter, Family, Options, Publisher, Stats, Timer};

#[derive(Stats)]
#[stats(prefix = "mail")]
struct Mail {
    /// Mails by domain and result. Domains come from outside, so a cap limits their memory;
    /// further combinations are counted in the field with `overflow="true"`.
    #[stats(labels("domain", "result"), cap = 4)]
    sent: Family<Counter, 2>,
    /// Duration by result. A family can be of any kind.
    #[stats(labels("result"))]
    time: Family<Timer, 1>,
}

/// Delivers a mail; one mailbox of ten is full.
fn deliver(number: u32) -> &'static str {
    if number.is_multiple_of(10) { "full" } else { "ok" }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mail: Publisher<Mail> = Options::new().start()?;
    let stats = mail.lane()?;

    let domains = ["example.org", "example.net", "spam-1.invalid", "spam-2.invalid"];
    for (domain, mails) in domains.into_iter().zip([50, 30, 1, 1]) {
        for number in 1..=mails {
            let start = std::time::Instant::now();
            let result = deliver(number);
            // Values in the order of `labels`.
            stats.sent.get(&[domain, result]).incr();
            stats.time.get(&[result]).record(start.elapsed());
        }
    }

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
