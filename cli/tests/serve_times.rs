//! Costs of `mmstats serve` with 200 programs of 500 fields and four viewers, for a quiet machine and a release build:
//! `cargo test --release -p mmstats-cli --test serve_times -- --ignored --test-threads 1`.
#![cfg(target_os = "linux")] // /proc

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mmstats::{Counter, FieldOptions, Lane, Options, Publisher, Schema};

use common::http::{Server, until};

const PROGRAMS: usize = 200;
const FIELDS: usize = 500;
/// For how long the costs are measured.
const TIME: Duration = Duration::from_secs(20);

/// Processor time of a process, in seconds.
fn processor(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// Resident memory of a process, in MiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "needs a quiet machine and a release build"]
fn four_viewers_of_100_000_fields_take_a_tenth_of_a_processor() {
    let dir = tempfile::tempdir().unwrap();
    let start = |number: usize| -> (Publisher<Lane>, Vec<_>) {
        let mut schema = Schema::new();
        let keys: Vec<_> = (0..FIELDS)
            .map(|field| {
                let label = format!("group{}.counter{field}", field % 20);
                schema.add::<Counter>(label, FieldOptions::new())
            })
            .collect();
        let name = format!("program-{number}");
        let options = Options::new().directory(dir.path()).name(name).lanes(1).schema(schema);
        (options.start().unwrap(), keys)
    };
    let publishers: Vec<_> = (0..PROGRAMS).map(start).collect();
    let mut handles = Vec::new();
    for (publisher, keys) in &publishers {
        let lane = publisher.lane().unwrap();
        handles.extend(keys.iter().map(|key| lane.attach(*key).unwrap()));
    }
    let server = Server::start(dir.path());
    let pid = server.child.id();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (done, server) = (&done, &server);
        let measuring = scope.spawn(move || {
            until("all programs are there", || {
                let document = server.json("/api/1/programs");
                document["programs"].as_array().unwrap().len() == PROGRAMS
            });
            let begin = Instant::now();
            let document = server.json("/api/1/programs");
            println!("the list of programs takes {:?}", begin.elapsed());
            let id =
                |number: usize| document["programs"][number]["id"].as_str().unwrap().to_owned();
            let cost = |what: &str| {
                std::thread::sleep(Duration::from_secs(5));
                let (begin, before) = (Instant::now(), processor(pid));
                std::thread::sleep(TIME);
                let used = (processor(pid) - before) / begin.elapsed().as_secs_f64();
                println!("{what}: {:.1} % of a processor, {} MiB", used * 100.0, memory(pid));
                used
            };
            cost("without viewers");
            // Two on the home page, two on a program.
            let (first, second) = (format!("program={}", id(0)), format!("program={}", id(1)));
            let streams = ["home=1", "home=1", &first, &second].map(|query| server.stream(query));
            let readers = streams.map(|mut stream| {
                scope.spawn(move || {
                    let mut events = 0;
                    while !done.load(Ordering::Relaxed) && stream.next().is_some() {
                        events += 1;
                    }
                    events
                })
            });
            let used = cost("with four viewers");
            done.store(true, Ordering::Relaxed);
            let events = readers.map(|reader| reader.join().unwrap());
            println!("events: {events:?}");
            assert!(events.iter().all(|count| *count > 10), "{events:?}");
            used
        });
        // Handles stay with their thread.
        while !done.load(Ordering::Relaxed) && !measuring.is_finished() {
            handles.iter().for_each(|handle| handle.add(1));
            std::thread::sleep(Duration::from_millis(200));
        }
        let used = measuring.join().unwrap();
        assert!(used < 0.1, "{used}");
    });
}
