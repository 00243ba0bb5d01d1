//! Locks that publish their holder, beside those of `std`.

use std::sync;

use mmstats::sync::{Mutex, RwLock};
use mmstats_benches::{Bench, Row, Target};

use crate::programs::{directory, options};

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
fn read(lock: &RwLock<u64>, n: u64) -> u64 {
    (0..n).map(|_| *lock.read().expect("no poison")).fold(0, u64::wrapping_add)
}

#[inline(never)]
fn std_read(lock: &sync::RwLock<u64>, n: u64) -> u64 {
    (0..n).map(|_| *lock.read().expect("no poison")).fold(0, u64::wrapping_add)
}

pub(crate) fn rows(bench: &mut Bench) {
    let std_row = |bench: &mut Bench, name| {
        bench.row(Row::new(name), || sync::Mutex::new(0), |lock, n| std_mutex(lock, n));
    };
    bench.section("locks, without contention");
    let most = Target::Before(1.3);
    std_row(bench, "std::sync::Mutex, lock and unlock");
    let unpublished = Row::new("  mmstats::sync::Mutex without a publisher").target(most);
    bench.row(unpublished, || Mutex::new("lock", 0), |lock, n| mutex(lock, n));

    let place = directory();
    // The publisher of the whole program, for the rows that follow.
    let _mmstats = options(&place).init::<mmstats::Lane>().expect("a publisher");
    std_row(bench, "std::sync::Mutex, lock and unlock again");
    let published = Row::new("  mmstats::sync::Mutex").target(most);
    bench.row(published, || Mutex::new("lock", 0), |lock, n| mutex(lock, n));
    let theirs = Row::new("std::sync::RwLock, write");
    bench.row(theirs, || sync::RwLock::new(0), |lock, n| std_write(lock, n));
    let ours = Row::new("  mmstats::sync::RwLock, write").target(most);
    bench.row(ours, || RwLock::new("lock", 0), |lock, n| write(lock, n));
    let theirs = Row::new("std::sync::RwLock, read");
    let result = &mut 0;
    bench.row(theirs, || sync::RwLock::new(0), |lock, n| *result = std_read(lock, n));
    let ours = Row::new("  mmstats::sync::RwLock, read").target(most);
    bench.row(ours, || RwLock::new("lock", 0), |lock, n| *result = read(lock, n));
}
