//! Many fields and threads under an observer.
//!
//! With `--release` ten scans a second are required.

use std::time::{Duration, Instant};

use mmstats_observe::{OwnedValue, RawVerdict, Scratch, Totals, Verdict};
use mmstats_tests::look::look;
use mmstats_tests::payload::Numbers;

use mmstats_tests::actor::{Actor, amount, directory};

/// 100,000 counters and a group, 16 threads, ten scans of everything in a second.
#[test]
fn scans_of_many_fields_and_threads_are_exact() {
    let directory = directory();
    let count = amount(100_000, 10_000);
    let fields = count.to_string();
    let mut actor = Actor::start("large", directory.path(), &[&fields, "16", "keep"]);
    assert_eq!(actor.line(), "ready");
    let mut observer = look(directory.path());
    let mut totals = Totals::new();
    let (mut scratch, mut last) = (Scratch::new(), vec![0_u128; count]);
    let (mut scans, mut late, mut groups) = (0_u32, 0_u32, 0_u32);
    let begin = Instant::now();
    while scans < 3 || (scans < 30 && begin.elapsed() < Duration::from_secs(4)) {
        observer.refresh();
        totals.update(observer.files(), None);
        for total in totals.fields() {
            let Some(index) = total.field.label.strip_prefix("field.") else { continue };
            let index: usize = index.parse().unwrap();
            // A program of 32 bits latches its counters: at full speed a reader may be refused.
            if cfg!(target_pointer_width = "32") && total.reading.verdict == Verdict::Contended {
                continue;
            }
            assert_eq!(total.reading.verdict, Verdict::Consistent, "{}", total.field.label);
            let Some(OwnedValue::Unsigned(now)) = total.reading.value else { panic!() };
            assert!(now >= last[index], "{} went back", total.field.label);
            last[index] = now;
        }
        for file in observer.files() {
            for lane in 0..16 {
                let mut numbers = Numbers::default();
                file.visit_lane(lane, &mut scratch, |field, verdict| {
                    if let (true, RawVerdict::Consistent(value)) =
                        (field.label().starts_with("group"), verdict)
                    {
                        numbers.take(&field, value).unwrap();
                    }
                });
                groups += u32::from(numbers.group.is_some());
            }
        }
        scans += 1;
        match (Duration::from_millis(100) * scans).checked_sub(begin.elapsed()) {
            Some(rest) => std::thread::sleep(rest),
            None => late += 1,
        }
    }
    actor.tell("stop");
    let line = actor.line();
    let rounds: u128 = line.split(' ').next().unwrap().parse().unwrap();
    observer.refresh();
    totals.update(observer.files(), None);
    // The first 50 fields have had `count / 50` increments more a round.
    let hot = rounds + rounds * (count as u128 / 50);
    let mut exact = 0;
    for total in totals.fields() {
        let Some(index) = total.field.label.strip_prefix("field.") else { continue };
        let expected = if index.parse::<usize>().unwrap() < 50 { hot } else { rounds };
        assert_eq!(total.reading.value, Some(OwnedValue::Unsigned(expected)), "{index}");
        exact += 1;
    }
    assert_eq!(exact, count);
    println!(
        "{rounds} rounds, {scans} scans ({late} late), {groups} whole groups; ns an increment \
         (first 50, all): {line}"
    );
    assert!(groups > 0);
    // On an idle machine a scan takes half of its time.
    assert!(cfg!(debug_assertions) || late <= scans / 2, "{late} of {scans} scans were late");
}
