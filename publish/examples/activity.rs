//! Activities: what each thread is doing, since when. They are shown even when the program hangs, and after
//! `kill -9`.
//!
//! ```text
//! cargo run -p mmstats --example activity
//! mmstats show                              # in another terminal, before and after the end
//! ```

use mmstats::{Activity, Options, Publisher, Stats};

#[derive(Stats)]
#[stats(prefix = "kitchen")]
struct Kitchen {
    /// What each cook is doing: at most 4 things at a time, with at most 24 bytes each. The defaults are
    /// 8 rows and 48 bytes.
    #[stats(rows = 4)]
    doing: Activity<24>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kitchen: Publisher<Kitchen> = Options::new().start()?;
    let stats = kitchen.lane()?;

    // Each ends when its guard is dropped. What crosses threads takes a `SharedActivity`.
    let cooking = stats.doing.begin_fmt(format_args!("cook for table {}", 9));
    for _ in 1..=3 {
        // Nested: it ends with the block.
        let cutting = stats.doing.begin("cut a slice");
        cutting.set("put it on a plate");
    }
    let _baking = stats.doing.begin("bake, which takes longer than 24 bytes");
    cooking.set("cook for table 9: pizza");

    println!("ready: mmstats show {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(())
}
