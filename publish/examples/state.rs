//! States: a named state of each thread. Observers show the number of threads in each state.
//! Replicas, one thread each, apply the entries of a log.
//!
//! ```text
//! cargo run -p mmstats --example state
//! mmstats show --filter 'replica.*'         # in another terminal
//! mmstats show --lanes --filter 'replica.*' # thread by thread
//! ```

use std::sync::Barrier;

use mmstats::{Options, Publisher, State, StateSet, Stats};

/// States have the names of the variants, for instance `catching_up`.
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
    /// State of the replica.
    phase: StateSet<Phase>,
}

/// Applies entries while each is one more than the one before.
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
                // The threads stay, because one that has ended has no state.
                together.wait();
            });
        }
        together.wait();
        println!("ready: mmstats show {}", std::process::id());
        // Until Enter, or the end of the input.
        let read = std::io::stdin().read_line(&mut String::new());
        together.wait();
        read
    })?;
    Ok(())
}
