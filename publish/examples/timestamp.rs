//! Timestamps: moments, which observers show as their age. A service that says when it started,
//! when it last did what it must do from time to time, and until when it may go on.
//!
//! ```text
//! cargo run -p mmstats --example timestamp
//! mmstats show --filter 'service.*'         # in another terminal
//! ```

use std::time::{Duration, SystemTime};

use mmstats::{Options, Publisher, Stats, Timestamp};

#[derive(Stats)]
#[stats(prefix = "service")]
struct Service {
    /// When it was ready to serve.
    started: Timestamp,
    /// When this program was built. Over threads and programs the newest is shown.
    built: Timestamp,
    /// When the certificate ends: times to come are told as well.
    certificate_ends: Timestamp,
    /// The last failure: no value, because there was none since the certificate is new.
    last_failure: Timestamp,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let service: Publisher<Service> = Options::new().start()?;
    let stats = service.lane()?;

    let built = std::env::current_exe()?.metadata()?.modified()?;
    stats.built.set(built);
    stats.last_failure.set_now();
    // A certificate is good for 90 days. The new one makes an end to the failure.
    stats.certificate_ends.set(SystemTime::now() + Duration::from_secs(90 * 24 * 60 * 60));
    stats.last_failure.clear();
    stats.started.set_now();

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Enter, or the end of the input, ends it.
    Ok(())
}
