//! Room that a writer takes in heap and cells: no more than measured, and none of its neighbours.

use mmstats_core::read::{Field, Image, Value, Verdict};
use mmstats_core::{
    Buckets, Constant, Counter, FieldSpec, Geometry, Region, StaticBytes, StaticMemory, WriteError,
    Writer,
};

fn writer(fields: u32, heap: u32, cells: u32) -> Writer<StaticMemory> {
    let mut geometry = Geometry::new(1);
    geometry.reserve(fields, heap, cells);
    let memory = Box::leak(Box::new(StaticBytes::<16_384>::new())).into_memory();
    Writer::create(memory, &geometry, [7; 16], 0).unwrap()
}

fn image(writer: &mut Writer<StaticMemory>) -> (Image<&Region<StaticMemory>>, Vec<Field>) {
    writer.go_live();
    let image = Image::open(writer.region()).unwrap();
    let fields = image.fields().map(Result::unwrap).collect();
    (image, fields)
}

/// Sixteen recent texts; a new one replaces the oldest.
#[test]
fn help_recent_is_stored_once() {
    let helps: Vec<String> = (0..18).map(|i| format!("Help {i}.")).collect();
    let mut writer = writer(60, 2048, 2048);
    let order = [0, 0, 1].into_iter().chain(1..16).chain([0, 16, 0, 1]);
    let order: Vec<usize> = order.collect();
    for &i in &order {
        writer.add(&FieldSpec::counter("c").help(&helps[i])).unwrap();
    }
    let (_, fields) = image(&mut writer);
    let place = |at: usize| fields[at].help().offset();
    let first = |help: usize| place(order.iter().position(|i| *i == help).unwrap());
    for (at, help) in order.iter().enumerate().take(19) {
        assert_eq!(place(at), first(*help), "field {at}");
    }
    // The seventeenth replaced the first, and that one the second.
    let last = order.len() - 1;
    assert!(place(last - 1) > place(last - 2), "stored again");
    assert!(place(last) > place(last - 1), "stored again");
}

/// Fields take as much of the heap as measured, however many helps are new.
#[test]
fn add_takes_measured_heap() {
    let helps: Vec<String> = (0..40).map(|i| format!("A help, number {i:02}.")).collect();
    let field = |i: &usize| FieldSpec::counter("abc").unit("units").help(&helps[*i]);
    for (before, new) in [
        (0..1, vec![1, 0, 1, 0]),
        (0..7, vec![6, 7, 8, 0, 7]),
        // The new ones replace one, then all; each is stored again.
        (0..15, vec![15, 16, 0, 16]),
        (0..16, vec![16, 0, 17, 1]),
        (0..16, vec![16, 15, 14, 17, 13]),
        (0..16, (16..33).chain([0, 16, 32]).collect()),
    ] {
        let add = |heap: u32| {
            let mut writer = writer(60, heap, 2048);
            for i in before.clone() {
                writer.add(&field(&i)).unwrap();
            }
            let specs: Vec<_> = new.iter().map(field).collect();
            let added = writer.add_all(&specs).map(|_| ());
            let (image, fields) = image(&mut writer);
            let used = image.header().heap_used(image.source()).unwrap();
            (added, used, fields.len())
        };
        let (added, used, count) = add(4096);
        assert_eq!((added, count), (Ok(()), before.len() + new.len()));
        let heap = used.next_multiple_of(8);
        assert_eq!(add(heap).0, Ok(()), "{before:?} {new:?}");
        let (added, left, count) = add(heap - 8);
        assert_eq!(added, Err(WriteError::HeapFull { size: heap - 8 }), "{before:?} {new:?}");
        assert!(left < used && count == before.len(), "nothing has changed");
    }
}

/// A constant text lies between strings without overlap.
#[test]
fn constant_between_strings() {
    for len in 1..=12 {
        let label = "l".repeat(len);
        let mut writer = writer(4, 256, 64);
        let value = &"Constant text"[..len];
        let bytes = Constant::Bytes(value.as_bytes());
        for value in [Constant::Text(value), Constant::U64(u64::MAX), Constant::Text(value), bytes]
        {
            writer.add(&FieldSpec::info(&label, value)).unwrap();
        }
        let (image, fields) = image(&mut writer);
        let text = Value::Text { text: value, cut: false };
        let bytes = Value::Bytes { bytes: value.as_bytes(), cut: false };
        for (field, value) in fields.iter().zip([text, Value::U64(u64::MAX), text, bytes]) {
            let mut out = [0; 64];
            assert_eq!(image.label(field, &mut out), label);
            assert_eq!(image.read(0, field, &mut out), Verdict::Consistent(value), "{len}");
        }
    }
}

/// Restored values fill their cells; surplus units are ignored.
#[test]
fn restore_stays_inside_cells() {
    let buckets = Buckets::integers(0.2, 1, 8);
    let specs = [
        FieldSpec::counter("before"),
        FieldSpec::text("text", 12),
        FieldSpec::counter("between"),
        FieldSpec::histogram("histogram", buckets),
        FieldSpec::counter("after"),
    ];
    let mut writer = writer(5, 256, 2048);
    let ids = specs.map(|spec| writer.add(&spec).unwrap());
    let lane = writer.lane().unwrap();
    for at in [0, 2, 4] {
        Counter::attach(&lane, ids[at]).unwrap().set(41 + at as u64);
    }
    let text = [12, u64::from_le_bytes(*b"restored"), u64::from_le_bytes(*b" too\0\0\0\0")];
    let units = [&text[..], &[u64::MAX; 9]].concat();
    writer.restore(0, ids[1], &units, &[9; 9]).unwrap();
    let elements: Vec<u64> = (1..=u64::from(buckets.elements())).collect();
    let total = elements.iter().sum();
    let units = [[total, 0, 7, 8, 9].as_slice(), &[u64::MAX; 9]].concat();
    writer.restore(0, ids[3], &units, &[&elements[..], &[u64::MAX; 9]].concat()).unwrap();

    let (image, fields) = image(&mut writer);
    let mut out = [0; 4096];
    for at in [0, 2, 4] {
        let value = image.read(0, &fields[at], &mut out);
        assert_eq!(value, Verdict::Consistent(Value::U64(41 + at as u64)), "field {at}");
    }
    let value = Value::Text { text: "restored too", cut: false };
    let lane = image.lane(0).consistent().unwrap();
    assert_eq!(lane.newest(image.source(), &fields[1]), 1);
    // Presence is not restored: the next handle sets it.
    let slot = lane.read_number(image.source(), &fields[1], 1, &mut out).consistent().unwrap();
    assert_eq!(slot.value(&fields[1]), Verdict::Consistent(value));
    let found = lane.read_histogram(image.source(), &fields[3], &mut out).consistent().unwrap();
    assert_eq!((found.count(), found.sum_bits()), (total, 7));
    assert_eq!((found.min_bits(), found.max_bits()), (Some(8), Some(9)));
    assert!(found.counts().eq(elements));
}
