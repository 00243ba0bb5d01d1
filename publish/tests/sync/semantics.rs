//! Without a publisher: the locks are those of `std`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use mmstats::sync::{Condvar, Mutex, RwLock, TryLockError};

static COUNT: Mutex<u64> = Mutex::new("count", 0);

fn panics(work: impl FnOnce()) {
    catch_unwind(AssertUnwindSafe(work)).unwrap_err();
}

#[test]
fn mutex_excludes_other_threads() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| *COUNT.lock().unwrap() += 1));
        }
    });
    let held = COUNT.lock().unwrap();
    assert_eq!(*held, 40_000);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(matches!(COUNT.try_lock(), Err(TryLockError::WouldBlock))));
    });
    drop(held);
    assert!(COUNT.try_lock().is_ok());
}

#[test]
fn mutex_is_poisoned_by_panic_and_cleared() {
    let mut mutex = Mutex::new("mutex", 1);
    panics(|| {
        let mut held = mutex.lock().unwrap();
        *held = 2;
        panic!("with the lock");
    });
    assert!(mutex.is_poisoned());
    assert_eq!(*mutex.lock().unwrap_err().into_inner(), 2);
    assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
    assert_eq!(*mutex.get_mut().unwrap_err().into_inner(), 2);
    assert_eq!(format!("{mutex:?}"), "Mutex { name: \"mutex\", data: 2, poisoned: true, .. }");
    mutex.clear_poison();
    assert_eq!((mutex.is_poisoned(), *mutex.lock().unwrap()), (false, 2));
    panics(|| {
        // A guard that is dropped before the panic poisons nothing.
        drop(mutex.lock());
        panic!("without the lock");
    });
    assert_eq!(mutex.into_inner().unwrap(), 2);
    let mutex = Mutex::with_name(String::from("other"), 3);
    panics(|| {
        let _held = mutex.lock();
        panic!("with the lock");
    });
    assert_eq!(mutex.into_inner().map_err(PoisonError::into_inner), Err(3));
}

#[test]
fn rwlock_has_many_readers_or_one_writer() {
    let lock = RwLock::new("lock", 1);
    let readers = [lock.read().unwrap(), lock.read().unwrap()];
    assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    assert_eq!(*readers[0] + *readers[1] + *lock.try_read().unwrap(), 3);
    drop(readers);
    *lock.write().unwrap() += 1;
    let writer = lock.try_write().unwrap();
    assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
    assert_eq!(
        format!("{lock:?}"),
        "RwLock { name: \"lock\", data: <locked>, poisoned: false, .. }"
    );
    drop(writer);

    panics(|| {
        let _reader = lock.read();
        panic!("readers poison nothing");
    });
    assert!(!lock.is_poisoned());
    panics(|| {
        let _writer = lock.write();
        panic!("a writer does");
    });
    assert!(lock.is_poisoned());
    assert_eq!(*lock.read().unwrap_err().into_inner(), 2);
    assert_eq!(*lock.write().unwrap_err().into_inner(), 2);
    assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
    lock.clear_poison();
    assert_eq!(lock.into_inner().unwrap(), 2);
}

#[test]
fn condvar_waits_for_notification_or_time() {
    let (mutex, condvar) = (Mutex::new("mutex", 0), Condvar::new("condvar"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=3 {
                *mutex.lock().unwrap() = n;
                condvar.notify_all();
            }
        });
        let held = condvar.wait_while(mutex.lock().unwrap(), |n| *n < 3).unwrap();
        assert_eq!(*held, 3);
    });
    let short = Duration::from_millis(5);
    let mut held = mutex.lock().unwrap();
    let begin = Instant::now();
    loop {
        let (again, result) = condvar.wait_timeout(held, short).unwrap();
        held = again;
        if result.timed_out() {
            break;
        } // It may wake for no reason.
    }
    assert!(begin.elapsed() >= short && mutex.try_lock().is_err());
    let (held, result) = condvar.wait_timeout_while(held, short, |n| *n == 3).unwrap();
    assert!(result.timed_out());
    let (held, result) = condvar.wait_timeout_while(held, short, |n| *n != 3).unwrap();
    assert!(!result.timed_out() && mutex.try_lock().is_err());
    drop(held);
    assert!(mutex.try_lock().is_ok());

    // The mutex is poisoned while a thread waits.
    std::thread::scope(|scope| {
        let poison = scope.spawn(|| {
            let mut held = mutex.lock().unwrap();
            *held = 4;
            condvar.notify_all();
            panic!("with the lock");
        });
        let held = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let result = condvar.wait_while(held, |n| *n < 4);
        // The condition can also hold after the panic only, without a wait.
        let held = result.unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*held, 4);
        drop(held);
        poison.join().unwrap_err();
    });
    assert!(mutex.is_poisoned());
}

#[test]
fn locks_hold_unsized_values_and_cross_catch_unwind() {
    let mutex: Arc<Mutex<[u8]>> = Arc::new(Mutex::new("bytes", [1, 2, 3]));
    let lock: Box<RwLock<dyn Fn() -> u8 + Send + Sync>> = Box::new(RwLock::new("work", || 7));
    assert_eq!((mutex.lock().unwrap().len(), (lock.read().unwrap())()), (3, 7));
    let inside = Arc::clone(&mutex);
    let result = catch_unwind(move || inside.lock().unwrap()[0]);
    assert_eq!(result.unwrap(), 1);

    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    is_send_and_sync(&mutex);
    is_send_and_sync(&lock);
}

#[test]
fn values_are_dropped_once() {
    struct Counted<'a>(&'a AtomicUsize);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let dropped = AtomicUsize::new(0);
    drop(Mutex::new("mutex", Counted(&dropped)));
    assert_eq!(dropped.load(Relaxed), 1);
    let value = RwLock::new("lock", Counted(&dropped)).into_inner().unwrap();
    assert_eq!(dropped.load(Relaxed), 1);
    drop(value);
    assert_eq!(dropped.load(Relaxed), 2);
}
