//! A daemon.

use std::path::Path;

use mmstats::Publisher;
use mmstats_tests::everything::Everything;
use mmstats_tests::system;

use crate::lines::{hear, say};
use crate::publish::of_parent;

/// Publishes `before` it goes into the background, or `after`. The daemon prints its process id,
/// the path of its file, and the problem of the publisher that it inherited.
pub(crate) fn run(directory: &Path, words: &[String]) {
    let [when] = words else { panic!("WHEN") };
    let options = || of_parent(directory);
    let start = || options().start::<Everything>().expect("a publisher");
    let early: Option<(Publisher<Everything>, Everything)> = (when == "before").then(|| {
        let publisher = start();
        let stats = publisher.lane().expect("a lane");
        stats.update(10);
        (publisher, stats)
    });
    go_into_the_background();

    let mut told = "nothing".to_owned();
    if let Some((publisher, stats)) = &early {
        // The mistake: these are not published.
        stats.update(1000);
        publisher.with(|stats| stats.update(1000));
        assert!(publisher.paths().is_empty(), "the file is not ours");
        told = publisher.problem().map_or(told, |problem| format!("{problem}"));
    }
    let own = start();
    let stats = own.lane().expect("a lane");
    stats.update(55);
    say(format_args!("{} {} {told}", std::process::id(), own.paths()[0].display()));
    while hear().is_some() {}
}

/// Forks twice: the first child leads a new session, the second one can never get a terminal. Only
/// the second one returns.
fn go_into_the_background() {
    if let Some(child) = system::fork().expect("a child") {
        let ended = system::wait_for(child);
        // As daemon(3) does: not by way of `main`.
        system::exit_now(i32::from(!ended));
    }
    system::new_session().expect("a session");
    if system::fork().expect("a grandchild").is_some() {
        system::exit_now(0);
    }
}
