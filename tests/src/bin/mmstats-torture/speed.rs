//! One publisher at full speed, four readers.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mmstats_observe::Scratch;
use mmstats_tests::actor::Actor;
use mmstats_tests::look::{look, states};
use mmstats_tests::storage::{Class, RING, Seen, read};
use mmstats_tests::word::SharedWord;

use crate::plan::Plan;
use crate::table::Table;
use crate::tools::place;

const READERS: usize = 4;
/// Limit of the time of a read (PROTOCOL.md section 2.3), doubled for readers that wait for a
/// processor.
const BOUND: Duration = Duration::from_secs(4);

pub(crate) fn run(plan: &Plan, table: &mut Table) {
    for class in Class::ALL {
        let seconds = match class {
            Class::Constant => continue,
            Class::Latched8 | Class::Latched64 | Class::Latched4096 | Class::Histogram => {
                plan.pick(2.0, 60.0)
            }
            _ => plan.pick(1.0, 10.0),
        };
        let name = format!("full speed, 4 readers, {}", class.name());
        table.row(name, |row| {
            let (directory, beside) = (place(), place());
            let path = beside.path().join("word");
            let word = SharedWord::open(&path).expect("a word");
            let words = [class.name(), path.to_str().expect("UTF-8")];
            let (_actor, _out) = Actor::start_raw("storage", directory.path(), &words);
            let time = Duration::from_secs_f64(seconds);
            let watch = || watch(directory.path(), class, word.get(), time);
            let tallies: Vec<Tally> = std::thread::scope(|scope| {
                let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(watch)).collect();
                readers.into_iter().map(|reader| reader.join().expect("a reader")).collect()
            });
            let mut contended = 0;
            let (mut torn, mut backward) = (0, 0);
            for tally in &tallies {
                row.add_tried(tally.reads - tally.torn - tally.backward);
                row.time(tally.worst);
                contended += tally.contended;
                torn += tally.torn;
                backward += tally.backward;
                (0..tally.torn + tally.backward).for_each(|_| row.lose(tally.why.clone()));
                if tally.new < 10 {
                    row.lose(format!("the writer did not get on: {tally:?}"));
                }
                if tally.worst > BOUND {
                    row.lose(format!("a read took {:?}", tally.worst));
                }
            }
            row.contended = Some(contended);
            let published = word.get().load(Ordering::Acquire);
            row.remark = format!("{published} published, torn {torn}, backward {backward}");
        });
    }
}

#[derive(Debug, Default)]
struct Tally {
    reads: u64,
    new: u64,
    contended: u64,
    torn: u64,
    backward: u64,
    worst: Duration,
    why: String,
}

/// Reads without a pause: no value is torn, older than the one reported before the read, or newer
/// than the one after that reported at its end.
fn watch(directory: &Path, class: Class, word: &AtomicU64, time: Duration) -> Tally {
    let observer = look(directory);
    let [file] = observer.files() else { panic!("{:?}", states(&observer)) };
    let (mut scratch, mut tally, mut last) = (Scratch::new(), Tally::default(), 0);
    let start = Instant::now();
    // Longer where the machine is busy.
    while start.elapsed() < time || (tally.new < 10 && start.elapsed() < 5 * time) {
        let before = word.load(Ordering::Acquire);
        let begin = Instant::now();
        let seen = read(file, 0, class, &mut scratch);
        tally.worst = tally.worst.max(begin.elapsed());
        let after = word.load(Ordering::Acquire);
        tally.reads += 1;
        match seen {
            // A ring may have only older lines left: the newest were overwritten during the read.
            Ok(Seen::Value(n))
                if class == Class::Events && (before.saturating_sub(RING)..before).contains(&n) =>
            {
                tally.contended += 1;
            }
            Ok(Seen::Value(n)) if n < last.max(before) || n > after + 1 => {
                tally.backward += 1;
                tally.why = format!("{n} after {last}; told of {before} before, {after} after");
            }
            Ok(Seen::Value(n)) => {
                tally.new += u64::from(n > last);
                last = n;
            }
            // As above, and none is left.
            Ok(Seen::Nothing) if class == Class::Events => tally.contended += 1,
            Ok(Seen::Nothing) if before > 0 => {
                tally.backward += 1;
                tally.why = format!("nothing, though told of {before}");
            }
            Ok(Seen::Nothing) => {}
            Ok(Seen::Contended) => tally.contended += 1,
            Err(why) => {
                tally.torn += 1;
                tally.why = why;
            }
        }
    }
    tally
}
