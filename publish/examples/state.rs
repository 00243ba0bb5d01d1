//! States: in which of a few named states each thread is. Observers show how many are in each.
//! Replicas, each a thread, take in the entries of a log.
//!
//! ```text
//! cargo run -p mmstats --example state
//! mmstats show --filter 'replica.*'         # in another terminal
//! mmstats show --lanes --filter 'replica.*' # thread by thread
//! ```

use std::sync::Barrier;

use mmstats::{Options, Publisher, State, StateSet, Stats};

/// The names are those of the variants, `catching_up` for instance.
#[derive(Clone, Copy, State)]
enum Phase {
    CatchingUp,
    InSync,
    #[state(name = "out of order")]
    Broken,
}

#[derive(Stats)]
#[stats(prefix = "replica")]
struct Replica {
    /// How far the replica is.
    phase: StateSet<Phase>,
}

/// Takes in entries as long as each is one more than the one before.
fn take_in(stats: &Replica, log: &[u32]) {
    stats.phase.set(Phase::CatchingUp);
    let whole = log.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    stats.phase.set(if whole { Phase::InSync } else { Phase::Broken });
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let replica: Publisher<Replica> = Options::new().start()?;
    let logs = [vec![1, 2, 3, 4], vec![1, 2, 4, 5], vec![7, 8, 9]];
    let together = Barrier::new(logs.len() + 1);

    std::thread::scope(|scope| {
        for log in &logs {
            let (replica, together) = (&replica, &together);
            scope.spawn(move || {
                replica.with(|stats| take_in(stats, log));
                together.wait(); // All are done.
                // A thread that ends has no state any more, so they stay.
                together.wait();
            });
        }
        together.wait();
        println!("ready: mmstats show {}", std::process::id());
        // Enter, or the end of the input, ends it.
        let read = std::io::stdin().read_line(&mut String::new());
        together.wait();
        read
    })?;
    Ok(())
}
