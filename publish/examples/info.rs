//! Infos: constants, known when the program starts: which build this is, and how it is set up.
//! They are in the file once, whatever the number of threads, and cost nothing to keep.
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
    /// The system that it was made for.
    #[stats(value = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))]
    target: Info,
    /// Pages that the cache has room for. The value is any expression; it is asked for once.
    #[stats(value = pages(64 << 20), unit = "pages")]
    cache: Info,
    /// What was chosen when it was built; the attributes say more than one value can.
    #[stats(value = cfg!(debug_assertions), attributes(storage = "sqlite", tls = "rustls"))]
    checked: Info,
}

/// How many pages of 4 KiB with their headers of 64 bytes fit into so many bytes.
fn pages(bytes: u64) -> u64 {
    bytes / (4_096 + 64)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _build: Publisher<Build> = Options::new().start()?;

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Enter, or the end of the input, ends it.
    Ok(())
}
