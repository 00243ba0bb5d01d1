//! Texts and bytes: the activity of each thread, and a checksum. A mirror that fetches files.
//!
//! ```text
//! cargo run -p mmstats --example text
//! mmstats show --filter 'mirror.*'          # in another terminal
//! ```

use mmstats::{Blob, Options, Publisher, Stats, Text};

#[derive(Stats)]
#[stats(prefix = "mirror")]
struct Mirror {
    /// Activity of this thread: at most 32 bytes of UTF-8.
    doing: Text<32>,
    /// The last file.
    last_file: Text<16>,
    /// Checksum of the last file, as bytes.
    checksum: Blob<8>,
    /// Error of the last file.
    error: Text<64>,
}

/// FNV-1a, 64 bits.
fn checksum(content: &[u8]) -> [u8; 8] {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    content.iter().fold(0xcbf2_9ce4_8422_2325, step).to_be_bytes()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mirror: Publisher<Mirror> = Options::new().start()?;
    let stats = mirror.lane()?;
    stats.error.set("index.html: 503, trying again");

    for (file, content) in [("index.html", "<p>It works."), ("pictures/søndag.png", "foobar")] {
        stats.doing.set("fetching");
        // More than 16 bytes are cut at a character boundary, and readers see that.
        if !stats.last_file.set(file) {
            println!("{file} is shown cut");
        }
        stats.doing.set("checking");
        stats.checksum.set(&checksum(content.as_bytes()));
    }
    // No error: no text, which is not the same as an empty one.
    stats.error.clear();
    stats.doing.set("waiting for new files");

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
