//! An update makes no system call, neither for a lock nor for an allocation.
//!
//! The strict mode of seccomp kills a process at any system call but read, write and exit. It also
//! disables the time stamp counter, which the vDSO reads: kinds that read the clock are tested in a
//! mode with a filter.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use mmstats_observe::{
    AverageValue, File, FileState, Number, Observer, OwnedValue, Verdict, totals,
};
use mmstats_tests::everything::TEXTS;
use mmstats_tests::look::{in_lane, look, total};

use mmstats_tests::actor::{Actor, directory, skip};

/// Whether this system has no strict mode; prints then that the test was skipped.
fn skipped(actor: &mut Actor) -> bool {
    assert_eq!(actor.line(), "ready");
    let status = actor.wait();
    // A process that cannot enter it prints another word.
    let word = actor.try_line().filter(|_| status.success());
    word.inspect(|line| skip(line)).is_some()
}

fn plain(file: &File, lane: u32, label: &str) -> OwnedValue {
    let reading = in_lane(file, lane, label);
    assert_eq!(reading.verdict, Verdict::Consistent, "{label}");
    reading.value.unwrap().only().clone()
}

/// Whether clocks are read without a system call on this machine.
fn has_clock(directory: &Path) -> bool {
    let mut actor = Actor::start("strict", directory, &["clock"]);
    assert_eq!(actor.line(), "ready");
    let status = actor.wait();
    // The signal for a bad system call.
    assert!(status.success() || status.signal() == Some(31), "{status:?}");
    if !status.success() {
        skip("a clock is a system call on this machine, so kinds that read it are left out");
    }
    status.success()
}

/// The file that has this field.
fn with<'a>(observer: &'a Observer, label: &str) -> &'a File {
    observer.files().iter().find(|file| file.find(label).is_some()).expect("a file")
}

/// Each way to update each kind, a hundred thousand times: half by plain handles, half by the
/// thread-local route.
#[test]
fn updates_make_no_system_call() {
    updates(50_000, false);
}

/// The same with the kinds that read the clock.
#[test]
fn updates_that_read_the_clock_make_no_system_call() {
    if has_clock(directory().path()) {
        updates(50_000, true);
    }
}

fn updates(number: u32, clock: bool) {
    let directory = directory();
    let word = if clock { "clock" } else { "no-clock" };
    let mut actor = Actor::start("strict", directory.path(), &[&number.to_string(), "0", word]);
    if skipped(&mut actor) {
        return;
    }
    actor.succeeds();

    let observer = look(directory.path());
    for file in observer.files() {
        assert_eq!(file.state(), FileState::Dead, "it could not even close its files");
    }
    everything(with(&observer, "counter"), number);
    further(with(&observer, "sizes"), number, clock);
    whole_program(&observer, number);
}

fn everything(file: &File, number: u32) {
    let n = u128::from(number);
    let [low, second, ..] = number.to_le_bytes();
    let short = u16::from_le_bytes([low, second]);
    for lane in 0..2 {
        let value = |label| plain(file, lane, label);
        assert_eq!(value("counter"), OwnedValue::Unsigned(n));
        // The lane of `with` was updated once before.
        assert_eq!(value("added"), OwnedValue::Unsigned((n + u128::from(lane)) * 3));
        assert_eq!(value("u8"), OwnedValue::Unsigned(low.into()));
        assert_eq!(value("u16"), OwnedValue::Unsigned(short.into()));
        assert_eq!(value("u32"), OwnedValue::Unsigned(n));
        assert_eq!(value("u64"), OwnedValue::Unsigned(n));
        assert_eq!(value("i8"), OwnedValue::Signed(low.cast_signed().into()));
        assert_eq!(value("i16"), OwnedValue::Signed(short.cast_signed().into()));
        assert_eq!(value("i32"), OwnedValue::Signed(number.cast_signed().into()));
        assert_eq!(value("i64"), OwnedValue::Signed(-i128::from(number)));
        assert_eq!(value("f32"), OwnedValue::F32(short.into()));
        assert_eq!(value("f64"), OwnedValue::F64(f64::from(number) / 2.0));
        let updates = i128::from(number) + i128::from(lane);
        assert_eq!(value("level"), OwnedValue::Signed(updates));
        assert_eq!(value("cleared"), OwnedValue::Unsigned(n));
        assert_eq!(value("flag"), OwnedValue::Bool(false));
        let text = TEXTS[(number % 4) as usize].to_owned();
        assert_eq!(value("text"), OwnedValue::Text { text, cut: false });
        let bytes = number.to_le_bytes().to_vec();
        assert_eq!(value("blob"), OwnedValue::Bytes { bytes, cut: false });
        assert_eq!(value("array"), OwnedValue::Array(vec![OwnedValue::Unsigned(n); 8]));
        let OwnedValue::Timer(timer) = value("timer") else { panic!("not a timer") };
        assert_eq!(timer.count, n + u128::from(lane));
        assert_eq!(timer.sum, n * (n + 1) / 2);
        assert_eq!((timer.max, timer.last), (Some(number.into()), Some(number.into())));
        assert_eq!(timer.min, Some(1 - u64::from(lane)));
        assert_eq!(value("group.number"), OwnedValue::Unsigned(n));
        assert_eq!(value("group.negative"), OwnedValue::Signed(-i128::from(number)));
        assert_eq!(value("group.byte"), OwnedValue::Unsigned(low.into()));
        assert_eq!(value("group.half"), OwnedValue::F64(f64::from(number) / 2.0));
        assert_eq!(value("group.odd"), OwnedValue::Bool(false));
    }
}

/// The sum of 0 to 9, which both lanes recorded once before.
const BEFORE: u64 = 45;

#[allow(clippy::cast_precision_loss)]
fn further(file: &File, number: u32, clock: bool) {
    let n = u64::from(number);
    let sum = n * (n + 1) / 2 + BEFORE;
    for lane in 0..2 {
        let value = |label| plain(file, lane, label);
        let histogram = |label| match value(label) {
            OwnedValue::Histogram(histogram) => histogram,
            other => panic!("{label}: {other:?}"),
        };
        let count = u128::from(n) + 10;
        let sizes = histogram("sizes");
        assert_eq!((sizes.count(), sizes.sum()), (count, Number::Unsigned(sum.into())));
        assert_eq!(sizes.max(), Some(Number::Unsigned(n.into())));
        let median = sizes.quantile(0.5).unwrap().value().unwrap();
        assert!((median / (n as f64 / 2.0) - 1.0).abs() <= sizes.relative_error(), "{median}");
        let halves = histogram("halves");
        assert_eq!((halves.count(), halves.sum()), (count, Number::Float(sum as f64 / 2.0)));
        let latency = histogram("latency");
        let twice = Number::Unsigned((2 * sum).into());
        assert_eq!((latency.count(), latency.sum()), (2 * count, twice));
        let average = AverageValue { count: count as f64, sum: sum as f64 };
        assert_eq!(value("average"), OwnedValue::Average(average));
        let last: u64 = (n - 9..=n).sum();
        let window = AverageValue { count: 10.0, sum: last as f64 };
        assert_eq!(value("window"), OwnedValue::Window(window));
        for label in ["phase", "again"] {
            let OwnedValue::State(state) = value(label) else { panic!("{label}: no state") };
            assert_eq!(state.only(), Some(["idle", "busy", "full"][(number % 3) as usize]));
        }
        assert_eq!(value("moment"), OwnedValue::Unsigned(n.into()));
        assert_eq!(value("second"), OwnedValue::Unsigned(u128::from(n) * 1_000_000_000));
        let OwnedValue::Timer(timer) = value("timer") else { panic!("no timer") };
        assert_eq!((timer.count, timer.sum), (count, sum.into()));
        // The lane of `with` was updated once before.
        let updates = u128::from(n) + u128::from(lane);
        assert_eq!(value("rate"), OwnedValue::Unsigned(updates));
        if clock {
            let OwnedValue::Timer(sections) = value("sections") else { panic!("no timer") };
            assert_eq!(sections.count, updates);
            assert_eq!(histogram("latencies").count(), updates);
            let now = value("now").as_f64().unwrap() / 1e9;
            let ago = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - now;
            assert!((-60.0..3600.0).contains(&ago), "{ago} s ago");
            log(file, lane, number);
        }
    }
}

/// Fields that were added at run time, over lanes and files.
fn whole_program(observer: &Observer, number: u32) {
    let n = u128::from(number);
    let all = totals(observer.files());
    // Without the field that counts all values beyond the cap.
    let digits = all.iter().filter(|total| total.field.attributes.starts_with("digit="));
    // Each digit was also counted once before, in each of the two lanes.
    let digits: Vec<_> = digits.map(|total| total.reading.value.clone().unwrap()).collect();
    assert_eq!(digits, vec![OwnedValue::Unsigned(2 * (n / 10 + 1)); 10]);
    for (label, expected) in
        [("shared", OwnedValue::Unsigned(n)), ("shared_added", OwnedValue::Signed(number.into()))]
    {
        assert_eq!(total(observer, label).value.unwrap(), expected, "{label}");
    }
}

/// The last lines, two for each update.
fn log(file: &File, lane: u32, number: u32) {
    let index = file.find("log").unwrap().index();
    let events = file.events(index, lane, 0).unwrap();
    assert_eq!(events.len(), 63);
    for (back, event) in events.iter().rev().enumerate() {
        let n = u64::from(number) - back as u64 / 2;
        let expected = match (back % 2, n % 2) {
            (0, 0) => "even".to_owned(),
            (0, _) => "odd".to_owned(),
            _ => n.to_string(),
        };
        assert_eq!(event.line.as_ref().unwrap().text, expected);
    }
}

/// Shows that the tests above can fail.
#[test]
fn single_system_call_kills_the_program() {
    let directory = directory();
    let mut seen = false;
    // The other mode sends the signal for a bad system call.
    for (word, signal) in [("clock", 31), ("no-clock", 9)] {
        let mut actor = Actor::start("strict", directory.path(), &["10", "1", word]);
        if word == "clock" && !has_clock(directory.path()) || skipped(&mut actor) {
            continue;
        }
        let status = actor.wait();
        assert_eq!(status.signal(), Some(signal), "{status:?}");
        seen = true;
    }
    if !seen {
        return;
    }
    // Its earlier values are readable.
    let observer = look(directory.path());
    assert_eq!(plain(with(&observer, "counter"), 0, "counter"), OwnedValue::Unsigned(10));
}
