//! Locks that publish their holder, beside those of `std`.

use std::hint::black_box;
use std::sync;

use mmstats::sync::{Mutex, RwLock};
use mmstats_benches::{Bench, Row, Target};

use mmstats_benches::work::programs::{directory, options};

#[inline(never)]
fn mutex(mutex: &Mutex<u64>, n: u64) {
    for _ in 0..n {
        *mutex.lock().expect("no poison") += 1;
    }
}

#[inline(never)]
fn std_mutex(mutex: &sync::Mutex<u64>, n: u64) {
    for _ in 0..n {
        *mutex.lock().expect("no poison") += 1;
    }
}

#[inline(never)]
fn write(lock: &RwLock<u64>, n: u64) {
    for _ in 0..n {
        *lock.write().expect("no poison") += 1;
    }
}

#[inline(never)]
fn std_write(lock: &sync::RwLock<u64>, n: u64) {
    for _ in 0..n {
        *lock.write().expect("no poison") += 1;
    }
}

#[inline(never)]
fn read(lock: &RwLock<u64>, n: u64) {
    black_box((0..n).map(|_| *lock.read().expect("no poison")).fold(0, u64::wrapping_add));
}

#[inline(never)]
fn std_read(lock: &sync::RwLock<u64>, n: u64) {
    black_box((0..n).map(|_| *lock.read().expect("no poison")).fold(0, u64::wrapping_add));
}

/// A row of a lock of `std`, and one of ours that takes at most so many times as long.
fn pair<T, O>(
    bench: &mut Bench,
    [theirs, ours]: [&'static str; 2],
    new_theirs: fn() -> T,
    new_ours: fn() -> O,
    run_theirs: fn(&T, u64),
    run_ours: fn(&O, u64),
) {
    bench.row(Row::new(theirs), new_theirs, |lock, n| run_theirs(lock, n));
    let ours = Row::new(ours).target(Target::Times(1.3, theirs));
    bench.row(ours, new_ours, |lock, n| run_ours(lock, n));
}

pub(crate) fn rows(bench: &mut Bench) {
    bench.section("locks, without contention");
    let (std_mutex_new, mutex_new) = (|| sync::Mutex::new(0), || Mutex::new("lock", 0));
    let (std_lock_new, lock_new) = (|| sync::RwLock::new(0), || RwLock::new("lock", 0));
    let names = ["std::sync::Mutex, lock and unlock", "  mmstats::sync::Mutex without a publisher"];
    pair(bench, names, std_mutex_new, mutex_new, std_mutex, mutex);

    let place = directory();
    // The publisher of the whole program, for the rows that follow.
    let _mmstats = options(&place).init::<mmstats::Lane>().expect("a publisher");
    let names = ["std::sync::Mutex, lock and unlock again", "  mmstats::sync::Mutex"];
    pair(bench, names, std_mutex_new, mutex_new, std_mutex, mutex);
    let names = ["std::sync::RwLock, write", "  mmstats::sync::RwLock, write"];
    pair(bench, names, std_lock_new, lock_new, std_write, write);
    let names = ["std::sync::RwLock, read", "  mmstats::sync::RwLock, read"];
    pair(bench, names, std_lock_new, lock_new, std_read, read);
}
