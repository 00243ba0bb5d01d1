//! Timestamps: points in time, which observers show as their age. A service with the time of its
//! start, of its last failure, and of the end of its certificate.
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
    /// Time when it was ready to serve.
    started: Timestamp,
    /// Time of the build. Of several threads and programs the newest is shown.
    built: Timestamp,
    /// End of the certificate, a time in the future.
    certificate_ends: Timestamp,
    /// Last failure with this certificate: no value if there was none.
    last_failure: Timestamp,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let service: Publisher<Service> = Options::new().start()?;
    let stats = service.lane()?;

    let built = std::env::current_exe()?.metadata()?.modified()?;
    stats.built.set(built);
    stats.last_failure.set_now();
    // A certificate is valid for 90 days. A new one clears the failure.
    stats.certificate_ends.set(SystemTime::now() + Duration::from_secs(90 * 24 * 60 * 60));
    stats.last_failure.clear();
    stats.started.set_now();

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
