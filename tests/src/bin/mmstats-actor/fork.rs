//! A publisher that forks.

use std::path::Path;

use mmstats::{Counter, FieldOptions, Options, Publisher};
use mmstats_tests::everything::Everything;
use mmstats_tests::system;

use crate::lines::{hear, say};
use crate::publish::of_parent;

/// The parent publishes 10, forks, and lives until its input ends.
pub(crate) fn run(directory: &Path, words: &[String]) {
    let [scenario] = words else { panic!("SCENARIO") };
    let options = || of_parent(directory).lanes(2);
    let publisher: Publisher<Everything> = options().name("parent").start().expect("a publisher");
    let stats = publisher.lane().expect("a lane");
    stats.update(10);
    publisher.with(|stats| stats.update(10));
    let later = (scenario == "add").then(|| add(&publisher, "later"));
    match system::fork().expect("a child") {
        None => {
            if let Some(later) = &later {
                child_adds(&publisher, later);
            }
            child(scenario, &publisher, &stats, options().name("child"));
            if scenario == "drop" {
                drop((publisher, stats));
                say("dropped");
            }
            // Not the parent's exit handlers, and no output twice.
            system::exit_now(0);
        }
        Some(child) => {
            say(format_args!("parent of {child}"));
            while let Some(line) = hear() {
                match line.as_str() {
                    "wait" => assert!(system::wait_for(child), "the child fails"),
                    n => {
                        let n = n.parse().expect("a number");
                        stats.update(n);
                        publisher.with(|stats| stats.update(n));
                    }
                }
                say("done");
            }
        }
    }
}

/// Adds a field with the value 10.
fn add(publisher: &Publisher<Everything>, label: &str) -> Counter {
    let key = publisher.add::<Counter>(label, FieldOptions::new()).expect("a field");
    let handle = publisher.registry().with(|lane| lane.attach(key).expect("a handle"));
    handle.set(10);
    handle
}

/// The child counts in a field of its parent, and adds more fields than there is room for.
fn child_adds(inherited: &Publisher<Everything>, later: &Counter) {
    later.add(5);
    let own: Vec<_> = (0..200).map(|n| add(inherited, &format!("child{n}"))).collect();
    own.iter().for_each(|handle| handle.add(1));
    assert!(later.get() == 15 && own.iter().all(|handle| handle.get() == 11));
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(add(inherited, "of a thread").get(), 10));
    });
    say("added");
}

fn child(scenario: &str, inherited: &Publisher<Everything>, stats: &Everything, options: Options) {
    // Its handles work on private memory.
    for n in 1..=1000 {
        stats.update(n);
        inherited.with(|stats| stats.update(n));
    }
    assert_eq!(stats.counter.get(), 1000, "the child sees its own values");
    match scenario {
        "drop" | "add" => {}
        "grow" => {
            // Both lanes are taken: the parent would open a further file now.
            let more: Vec<_> = (0..3).map(|_| inherited.lane().expect("a lane")).collect();
            more.iter().for_each(|stats| stats.update(77));
            say(format_args!("grown {:?}", inherited.problem().map(|e| e.to_string())));
        }
        "publish" => {
            let own: Publisher<Everything> = options.start().expect("a publisher of its own");
            let lane = own.lane().expect("a lane");
            lane.update(55);
            say(format_args!("published {}", std::process::id()));
            // Outlives its parent; the test ends it.
            std::thread::sleep(std::time::Duration::from_secs(30));
        }
        other => panic!("no scenario {other:?}"),
    }
}
