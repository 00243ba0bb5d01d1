//! Values that are set are read back: scalars with their extremes, texts, arrays, timers.

use std::path::Path;
use std::time::Duration;

use mmstats::{
    Array, Blob, Counter, FieldOptions, Flag, Gauge, Info, Key, Lane, Options, Publisher,
    ScalarType, Schema, Stats, Text, Timer, Value,
};
use mmstats_observe::{Observer, OwnedValue, Sources, TimerValue};

/// The value of a field in the only lane of the only file, opened anew.
fn read(path: &Path, label: &str) -> Option<OwnedValue> {
    let mut observer = Observer::new(Sources::new().path(path));
    observer.refresh();
    let file = &observer.files()[0];
    let field = file.find(label).unwrap_or_else(|| panic!("no {label}"));
    let reading = file.lane_values(0).swap_remove(field.index());
    reading.value.map(|value| value.only().clone())
}

struct One<H> {
    directory: tempfile::TempDir,
    _publisher: Publisher<Lane>,
    handle: H,
}

/// A publisher of one field.
fn publish<H: mmstats::Field>() -> One<H> {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::new();
    let key: Key<H> = schema.add("x", FieldOptions::new());
    let options = Options::new().directory(directory.path()).schema(schema);
    let publisher = options.start::<Lane>().unwrap();
    let handle = publisher.lane().unwrap().attach(key).unwrap();
    One { directory, _publisher: publisher, handle }
}

impl<H> One<H> {
    fn read(&self) -> Option<OwnedValue> {
        read(self.directory.path(), "x")
    }
}

/// The value that an observer reads; floats by their bits, to compare NaN and -0.0.
fn bits(value: Option<OwnedValue>) -> String {
    match value {
        Some(OwnedValue::F32(x)) => format!("f32 {:08x}", x.to_bits()),
        Some(OwnedValue::F64(x)) => format!("f64 {:016x}", x.to_bits()),
        other => format!("{other:?}"),
    }
}

fn scalars<T: ScalarType>(values: &[T], seen: impl Fn(T) -> OwnedValue) {
    let one = publish::<Gauge<T>>();
    assert_eq!(one.read(), None, "nothing was set");
    for &value in values {
        one.handle.set(value);
        assert_eq!(bits(one.read()), bits(Some(seen(value))), "{value:?}");
    }
    one.handle.clear();
    assert_eq!((one.read(), one.handle.get()), (None, None));
    one.handle.add(values[0]);
    assert_eq!(bits(one.read()), bits(Some(seen(T::ZERO.plus(values[0])))), "from zero");
}

#[test]
fn gauge_extremes_are_read_back() {
    macro_rules! integers {
        ($($type:ty: $variant:ident),*) => {$(
            scalars::<$type>(
                &[<$type>::MAX, <$type>::MIN, 0, 1, <$type>::MAX - 1, <$type>::MIN + 1, 42],
                |n| OwnedValue::$variant(n.into()),
            );
        )*};
    }
    integers!(u8: Unsigned, u16: Unsigned, u32: Unsigned, u64: Unsigned);
    integers!(i8: Signed, i16: Signed, i32: Signed, i64: Signed);
    macro_rules! floats {
        ($type:ident, $variant:ident, $payload:literal) => {
            scalars::<$type>(
                &[
                    1.5,
                    0.0,
                    -0.0,
                    $type::MAX,
                    $type::MIN,
                    $type::MIN_POSITIVE,
                    $type::from_bits(1),
                    $type::EPSILON,
                    $type::INFINITY,
                    $type::NEG_INFINITY,
                    $type::NAN,
                    -$type::NAN,
                    $type::from_bits($type::NAN.to_bits() | $payload),
                ],
                OwnedValue::$variant,
            );
        };
    }
    floats!(f32, F32, 0x1234);
    floats!(f64, F64, 0x1234_5678);
    scalars::<bool>(&[true, false], OwnedValue::Bool);
}

/// Integers saturate, floats follow IEEE 754.
#[test]
fn gauge_add_saturates() {
    macro_rules! saturates {
        ($($type:ty: $variant:ident),*) => {$(
            let one = publish::<Gauge<$type>>();
            one.handle.set(<$type>::MAX - 1);
            for _ in 0..3 {
                one.handle.add(1);
            }
            assert_eq!(one.read(), Some(OwnedValue::$variant(<$type>::MAX.into())));
            one.handle.set(<$type>::MIN + 1);
            for _ in 0..3 {
                one.handle.sub(1);
            }
            assert_eq!(one.read(), Some(OwnedValue::$variant(<$type>::MIN.into())));
        )*};
    }
    saturates!(u8: Unsigned, u16: Unsigned, u32: Unsigned, u64: Unsigned);
    saturates!(i8: Signed, i16: Signed, i32: Signed, i64: Signed);
    let one = publish::<Gauge<f64>>();
    one.handle.add(f64::MAX);
    one.handle.add(f64::MAX);
    assert_eq!(one.read(), Some(OwnedValue::F64(f64::INFINITY)));
}

#[test]
fn counter_add_wraps() {
    let one = publish::<Counter>();
    assert_eq!(one.read(), Some(OwnedValue::Unsigned(0)), "a counter has a value from the start");
    one.handle.set(u64::MAX - 1);
    one.handle.incr();
    assert_eq!(one.read(), Some(OwnedValue::Unsigned(u64::MAX.into())));
    one.handle.add(3);
    assert_eq!(one.read(), Some(OwnedValue::Unsigned(2)));
}

/// A text that is too long is cut at a character boundary, and both sides see that.
#[test]
fn text_too_long_is_cut_at_character() {
    let one = publish::<Text<8>>();
    assert_eq!(one.read(), None);
    for (text, kept) in [
        ("", ""),
        ("a", "a"),
        ("12345678", "12345678"),
        ("123456789", "12345678"),
        ("1234567é", "1234567"), // 2 bytes, 1 fits
        ("123456é", "123456é"),  // 2 bytes, 2 fit
        ("123456€", "123456"),   // 3 bytes, 2 fit
        ("12345😀", "12345"),    // 4 bytes, 3 fit
        ("1234😀", "1234😀"),    // 4 bytes, 4 fit
        ("😀😀😀", "😀😀"),
        ("a\0b\n\u{1b}[", "a\0b\n\u{1b}["),
    ] {
        let cut = text.len() > kept.len();
        assert_eq!(one.handle.set(text), !cut, "{text:?}");
        let want = OwnedValue::Text { text: kept.to_owned(), cut };
        assert_eq!(one.read(), Some(want), "{text:?}");
    }
    one.handle.clear();
    assert_eq!(one.read(), None);

    let tiny = publish::<Text<1>>();
    assert!(!tiny.handle.set("€"));
    assert_eq!(tiny.read(), Some(OwnedValue::Text { text: String::new(), cut: true }));
}

#[test]
fn blob_and_array_are_read_back() {
    let blob = publish::<Blob<5>>();
    for (bytes, whole) in
        [(&b""[..], true), (b"\0\xff", true), (b"12345", true), (b"123456", false)]
    {
        assert_eq!(blob.handle.set(bytes), whole);
        let bytes = bytes[..bytes.len().min(5)].to_vec();
        assert_eq!(blob.read(), Some(OwnedValue::Bytes { bytes, cut: !whole }));
    }
    let array = publish::<Array<i8, 11>>();
    assert_eq!(array.read(), None);
    let values = [i8::MIN, -1, 0, 1, i8::MAX, 5, 6, 7, 8, 9, 10];
    array.handle.set(&values);
    let want = values.map(|n| OwnedValue::Signed(n.into())).to_vec();
    assert_eq!(array.read(), Some(OwnedValue::Array(want)));
    let array = publish::<Array<bool, 3>>();
    array.handle.set(&[true, false, true]);
    let want = [true, false, true].map(OwnedValue::Bool).to_vec();
    assert_eq!(array.read(), Some(OwnedValue::Array(want)));
    let array = publish::<Array<f32, 3>>();
    array.handle.set(&[-0.0, f32::INFINITY, 1e-40]);
    let want = [-0.0, f32::INFINITY, 1e-40].map(OwnedValue::F32).to_vec();
    assert_eq!(array.read(), Some(OwnedValue::Array(want)));
}

fn timer(one: &One<Timer>) -> TimerValue {
    match one.read() {
        Some(OwnedValue::Timer(timer)) => timer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn timer_totals_are_read_back() {
    let one = publish::<Timer>();
    let empty = timer(&one);
    assert_eq!((empty.count, empty.sum), (0, 0));
    assert_eq!((empty.min, empty.max, empty.last), (None, None, None));
    assert_eq!(empty.mean(), None);
    one.handle.record(Duration::from_micros(5));
    one.handle.record_nanos(0);
    one.handle.record_nanos(300);
    let three = timer(&one);
    assert_eq!((three.count, three.sum), (3, 5300));
    assert_eq!((three.min, three.max, three.last), (Some(0), Some(5000), Some(300)));
    let totals = one.handle.totals();
    assert_eq!((totals.count, totals.sum, totals.min, totals.max), (3, 5300, 0, 5000));
    // Not recorded, whatever their number.
    (0..3).for_each(|_| one.handle.record(Duration::MAX));
    one.handle.record(Duration::from_secs(40 * 365 * 86_400));
    assert_eq!(timer(&one), three);
}

/// With the guard, with a closure, and with a panic.
#[test]
fn timer_section_records_on_drop() {
    const PAUSE: Duration = Duration::from_millis(3);
    let one = publish::<Timer>();
    let running = one.handle.start();
    std::thread::sleep(PAUSE);
    assert!(running.elapsed() >= PAUSE);
    assert_eq!(timer(&one).count, 0, "a running timer counts nothing");
    drop(running);
    let first = timer(&one);
    assert_eq!(first.count, 1);
    assert!(u128::from(first.last.unwrap()) >= PAUSE.as_nanos());

    one.handle.start().discard();
    assert_eq!(timer(&one), first, "a discarded one leaves no trace");

    let result = one.handle.time(|| {
        std::thread::sleep(PAUSE);
        "result"
    });
    assert_eq!((result, timer(&one).count), ("result", 2));

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        one.handle.time(|| {
            std::thread::sleep(PAUSE);
            std::panic::resume_unwind(Box::new("on purpose"));
        });
    }));
    assert!(panicked.is_err());
    let last = timer(&one);
    assert_eq!(last.count, 3);
    assert!(u128::from(last.min.unwrap()) >= PAUSE.as_nanos());
    assert!(last.sum >= 3 * PAUSE.as_nanos());
}

/// Clones of a handle share their value; handles in two lanes do not.
#[test]
fn clone_shares_value_other_lane_does_not() {
    #[derive(Stats)]
    struct Two {
        hits: Counter,
        up: Flag,
    }
    let directory = tempfile::tempdir().unwrap();
    let publisher: Publisher<Two> = Options::new().directory(directory.path()).start().unwrap();
    let (a, b) = (publisher.lane().unwrap(), publisher.lane().unwrap());
    let clone = a.hits.clone();
    a.hits.add(1);
    clone.add(10);
    b.hits.add(100);
    a.up.set(true);
    assert_eq!((a.hits.get(), clone.get(), b.hits.get()), (11, 11, 100));
    assert_eq!(b.up.get(), None);
    assert_eq!(read(directory.path(), "hits"), Some(OwnedValue::Unsigned(11)));
    // The last handle hands the lane back.
    drop(a);
    assert_eq!(read(directory.path(), "up"), Some(OwnedValue::Bool(true)));
    drop(clone);
    assert_eq!(read(directory.path(), "up"), None);
    assert_eq!(read(directory.path(), "hits"), Some(OwnedValue::Unsigned(11)));
}

#[test]
fn info_longest_text_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let long = "ö".repeat(1_048_560 / 2);
    let mut schema = Schema::new();
    schema.add::<Info>("long", FieldOptions::new().value(Value::Text(long.clone())));
    let options = Options::new().directory(directory.path()).schema(schema);
    let publisher = options.start::<Lane>().unwrap();
    let _lane = publisher.lane().unwrap();
    let want = OwnedValue::Text { text: long, cut: false };
    assert!(read(directory.path(), "long") == Some(want));
}
