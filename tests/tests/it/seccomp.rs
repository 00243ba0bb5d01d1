//! An update does no system call, no lock that waits, no allocation that asks the system:
//! DESIGN.md section 1, promise 1.
//!
//! The strict mode of seccomp kills a process at any system call but read, write and
//! exit.

use std::os::unix::process::ExitStatusExt;

use mmstats_observe::{File, OwnedValue, State, Verdict};
use mmstats_tests::everything::TEXTS;
use mmstats_tests::look::{in_lane, look};

use crate::actor::{Actor, directory};

/// Whether there is no strict mode here; then the test says that it was skipped.
fn skipped(actor: &mut Actor) -> bool {
    assert_eq!(actor.line(), "ready");
    let status = actor.wait();
    // Only a process that cannot enter it says another word.
    let word = actor.try_line().filter(|_| status.success());
    word.inspect(|line| eprintln!("{line}")).is_some()
}

fn plain(file: &File, lane: u32, label: &str) -> OwnedValue {
    let reading = in_lane(file, lane, label);
    assert_eq!(reading.verdict, Verdict::Consistent, "{label}");
    reading.value.unwrap().only().clone()
}

/// A million updates of every kind: half by plain handles, half by the thread-local route.
#[test]
fn a_million_updates_without_a_system_call() {
    const N: u32 = 500_000;
    let directory = directory();
    let mut actor = Actor::start("strict", directory.path(), &[&N.to_string(), "0"]);
    if skipped(&mut actor) {
        return;
    }
    actor.succeeds();

    let observer = look(directory.path());
    let file = &observer.files()[0];
    assert_eq!(file.state(), State::Dead, "it could not even close its file");
    let n = u128::from(N);
    let [low, second, ..] = N.to_le_bytes();
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
        assert_eq!(value("i32"), OwnedValue::Signed(N.cast_signed().into()));
        assert_eq!(value("i64"), OwnedValue::Signed(-i128::from(N)));
        assert_eq!(value("f32"), OwnedValue::F32(short.into()));
        assert_eq!(value("f64"), OwnedValue::F64(f64::from(N) / 2.0));
        let updates = i128::from(N) + i128::from(lane);
        assert_eq!(value("level"), OwnedValue::Signed(updates));
        assert_eq!(value("cleared"), OwnedValue::Unsigned(n));
        assert_eq!(value("flag"), OwnedValue::Bool(false));
        let text = TEXTS[(N % 4) as usize].to_owned();
        assert_eq!(value("text"), OwnedValue::Text { text, cut: false });
        let bytes = N.to_le_bytes().to_vec();
        assert_eq!(value("blob"), OwnedValue::Bytes { bytes, cut: false });
        assert_eq!(value("array"), OwnedValue::Array(vec![OwnedValue::Unsigned(n); 8]));
        let OwnedValue::Timer(timer) = value("timer") else { panic!("not a timer") };
        assert_eq!(timer.count, n + u128::from(lane));
        assert_eq!(timer.sum, n * (n + 1) / 2);
        assert_eq!((timer.max, timer.last), (Some(N.into()), Some(N.into())));
        assert_eq!(timer.min, Some(1 - u64::from(lane)));
        assert_eq!(value("group.number"), OwnedValue::Unsigned(n));
        assert_eq!(value("group.negative"), OwnedValue::Signed(-i128::from(N)));
        assert_eq!(value("group.byte"), OwnedValue::Unsigned(low.into()));
        assert_eq!(value("group.half"), OwnedValue::F64(f64::from(N) / 2.0));
        assert_eq!(value("group.odd"), OwnedValue::Bool(false));
    }
}

/// The test above could fail: one system call, and the same program is killed.
#[test]
fn a_single_system_call_would_be_seen() {
    let directory = directory();
    let mut actor = Actor::start("strict", directory.path(), &["10", "1"]);
    if skipped(&mut actor) {
        return;
    }
    let status = actor.wait();
    assert_eq!(status.signal(), Some(9), "{status:?}");
    // What it published before is there all the same.
    let observer = look(directory.path());
    assert_eq!(plain(&observer.files()[0], 0, "counter"), OwnedValue::Unsigned(10));
}
