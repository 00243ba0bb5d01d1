//! Infos: constants that are known when the program starts, such as its version and settings. They
//! are in the file once, not in each lane.
//!
//! ```text
//! cargo run -p mmstats --example info
//! mmstats show --filter 'build.*'           # in another terminal
//! ```

use mmstats::{Info, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "build")]
struct Build {
    /// Version of the program.
    #[stats(value = env!("CARGO_PKG_VERSION"))]
    version: Info,
    /// Target system of the build.
    #[stats(value = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))]
    target: Info,
    /// Pages that fit into the cache. The value is any expression, evaluated once.
    #[stats(value = pages(64 << 20), unit = "pages")]
    cache: Info,
    /// Settings of the build, as attributes.
    #[stats(value = cfg!(debug_assertions), attributes(storage = "sqlite", tls = "rustls"))]
    checked: Info,
}

/// Number of pages of 4 KiB, with headers of 64 bytes, that fit into a size.
fn pages(bytes: u64) -> u64 {
    bytes / (4_096 + 64)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _build: Publisher<Build> = Options::new().start()?;

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
