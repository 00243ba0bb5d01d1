//! Activities: what readers see of rows that are begun and ended.
#![allow(clippy::disallowed_types)] // A signal between the threads of a test.

use mmstats_core::layout::{descriptor as d, header as h, table as t};
use mmstats_core::read::{Image, Value, Verdict};
use mmstats_core::{
    Activity, ActivityRow, Counter, FieldId, FieldSpec, Geometry, Lane, Region, Schema, Source,
    StaticBytes, StaticMemory, Still, Template, Tenants, Writer,
};

type M = StaticMemory;

fn memory() -> M {
    Box::leak(Box::new(StaticBytes::<32_768>::new())).into_memory()
}

/// An image with the counter 0 and the activity 1 of so many rows with texts of 16 bytes.
fn image(rows: u32) -> Writer<M> {
    let mut geometry = Geometry::new(2);
    geometry.reserve(4, 1024, 12_000);
    let mut writer = Writer::create(memory(), &geometry, [7; 16], 0).unwrap();
    writer.add(&FieldSpec::counter("count")).unwrap();
    writer.add(&FieldSpec::activity("doing", rows, 16)).unwrap();
    writer.go_live();
    writer
}

fn doing(lane: &Lane<M>) -> Activity<16, M> {
    Activity::attach(lane, FieldId::from_index(1)).unwrap()
}

/// Rows (since, number, text, cut) and refused ones, as a reader sees them.
type Shown = (Vec<(u64, u64, String, bool)>, u64);

/// Field `index` in a lane, while nothing is written.
fn shown_field<S: Source>(source: S, lane: u32, index: usize) -> Shown {
    look(source, lane, index, true)
}

/// Field `index` in a lane. If the image is not still, rows that are contended are left out.
fn look<S: Source>(source: S, lane: u32, index: usize, still: bool) -> Shown {
    let image = Image::open(Still::new(source, still)).unwrap();
    let field = image.fields().nth(index).unwrap().unwrap();
    let mut out = vec![0; field.buffer_size()];
    let Verdict::Consistent(Value::Table(table)) = image.read(lane, &field, &mut out) else {
        panic!("no table");
    };
    let mut rows: Vec<_> = table
        .rows()
        .filter(|(_, row)| still || !matches!(row, Verdict::Contended))
        .map(|(_, row)| {
            let row = row.consistent().unwrap();
            (row.since().unwrap_or(0), row.number(), row.text().to_owned(), row.cut())
        })
        .collect();
    rows.sort_by_key(|row| row.1);
    (rows, table.refused().unwrap())
}

fn shown(writer: &Writer<M>, lane: u32) -> Shown {
    shown_field(writer.region(), lane, 1)
}

fn texts(shown: &Shown) -> Vec<&str> {
    shown.0.iter().map(|row| row.2.as_str()).collect()
}

#[test]
fn begin_nested_and_overlapping_rows_are_shown_until_their_end() {
    let mut writer = image(3);
    let activity = doing(&writer.lane().unwrap());
    assert_eq!(shown(&writer, 0), (vec![], 0));
    let first = activity.begin(100, "first");
    let second = activity.begin(0, "second");
    let row = |since, number, text: &str| (since, number, text.to_owned(), false);
    assert_eq!(shown(&writer, 0).0, [row(100, 1, "first"), row(0, 2, "second")]);
    drop(first);
    assert_eq!(shown(&writer, 0).0, [row(0, 2, "second")]);
    let third = activity.begin(300, "third");
    assert_eq!(shown(&writer, 0).0, [row(0, 2, "second"), row(300, 3, "third")]);
    drop((second, third));
    assert_eq!(shown(&writer, 0), (vec![], 0));
}

#[test]
fn begin_without_free_row_is_counted_and_not_shown() {
    let mut writer = image(2);
    let activity = doing(&writer.lane().unwrap());
    let (a, b) = (activity.begin(1, "a"), activity.begin(2, "b"));
    let c = activity.begin(3, "c");
    assert_eq!((a.is_shown(), b.is_shown(), c.is_shown()), (true, true, false));
    c.set("changed");
    assert_eq!((texts(&shown(&writer, 0)), shown(&writer, 0).1), (vec!["a", "b"], 1));
    drop(c);
    assert_eq!(texts(&shown(&writer, 0)), ["a", "b"]);
    drop(a);
    let d = activity.begin(4, "d");
    assert_eq!((texts(&shown(&writer, 0)), shown(&writer, 0).1), (vec!["b", "d"], 1));
    drop((b, d));
}

#[test]
fn set_replaces_the_text_and_keeps_begin_and_number() {
    let mut writer = image(2);
    let activity = doing(&writer.lane().unwrap());
    let _outer = activity.begin(1, "outer");
    let inner = activity.begin_fmt(2, format_args!("file {}", 1));
    for n in 2..9 {
        inner.set_fmt(format_args!("file {n}"));
        assert_eq!(shown(&writer, 0).0[1], (2, 2, format!("file {n}"), false));
    }
    inner.set("sixteen bytes ok");
    assert_eq!(shown(&writer, 0).0[1], (2, 2, "sixteen bytes ok".to_owned(), false));
    inner.set("sixteen bytes, ü");
    assert_eq!(shown(&writer, 0).0[1], (2, 2, "sixteen bytes, ".to_owned(), true));
    inner.set("");
    assert_eq!(shown(&writer, 0).0[1], (2, 2, String::new(), false));
}

#[test]
fn rows_above_the_first_word_are_shown() {
    let mut writer = image(64);
    let activity = doing(&writer.lane().unwrap());
    let mut rows: Vec<ActivityRow> =
        (0..64).map(|n| activity.begin_row_fmt(n, format_args!("row {n}")).unwrap()).collect();
    assert!(activity.begin_row(1, "one more").is_none());
    let expected: Vec<String> = (0..64).map(|n| format!("row {n}")).collect();
    assert_eq!(texts(&shown(&writer, 0)), expected);
    assert_eq!(shown(&writer, 0).1, 1);
    activity.set_row(&rows[40], "changed");
    assert_eq!(shown(&writer, 0).0[40].2, "changed");
    activity.end_row(rows.remove(33));
    assert_eq!(shown(&writer, 0).0.len(), 63);
    let again = activity.begin_row(7, "again").unwrap();
    assert_eq!(texts(&shown(&writer, 0)).last(), Some(&"again"));
    activity.end_row(again);
    rows.into_iter().for_each(|row| activity.end_row(row));
    assert_eq!(shown(&writer, 0), (vec![], 1));
    // The number of rows does not have to fill a word.
    let mut writer = image(33);
    let activity = doing(&writer.lane().unwrap());
    let shown: Vec<_> = (0..35).map(|_| activity.begin_row(1, "x").is_some()).collect();
    assert_eq!(shown.iter().filter(|shown| **shown).count(), 33);
}

#[test]
fn two_handles_of_a_cell_take_different_rows_and_numbers() {
    let mut writer = image(4);
    let lane = writer.lane().unwrap();
    let (one, other) = (doing(&lane), doing(&lane));
    let clone = one.clone();
    let rows = [one.begin(1, "a"), other.begin(1, "b"), clone.begin(1, "c"), other.begin(1, "d")];
    let numbers: Vec<u64> = shown(&writer, 0).0.iter().map(|row| row.1).collect();
    assert_eq!((texts(&shown(&writer, 0)), numbers), (vec!["a", "b", "c", "d"], vec![1, 2, 3, 4]));
    drop(rows);
}

#[test]
fn hand_back_ends_all_rows_and_a_new_owner_goes_on() {
    let mut writer = image(4);
    let activity = doing(&writer.lane().unwrap());
    std::mem::forget(activity.begin(1, "left"));
    // A writer that dies here leaves the row.
    assert_eq!(texts(&shown(&writer, 0)), ["left"]);
    let used = activity_cell(&writer, 0) + t::USED;
    assert_eq!(writer.region().load32(used), 1);
    writer.hand_back(0);
    assert_eq!((shown(&writer, 0), writer.region().load32(used)), ((vec![], 0), 0));
    // A handle that outlived its lane: not shown, and gone with the next owner.
    std::mem::forget(activity.begin(2, "stale"));
    assert_eq!(shown(&writer, 0), (vec![], 0));
    let next = doing(&writer.lane().unwrap());
    assert_eq!(shown(&writer, 0), (vec![], 0));
    let row = next.begin(3, "next");
    assert_eq!(shown(&writer, 0).0, [(3, 3, "next".to_owned(), false)]);
    drop(row);
    let offset = activity_cell(&writer, 0);
    assert_eq!(writer.region().load32(offset + t::USED), 0);
}

/// Offset of the cell of field 1 in a lane.
fn activity_cell(writer: &Writer<M>, lane: u32) -> u32 {
    let region = writer.region();
    let at = region.load32(h::DESCRIPTOR_OFFSET) + d::SIZE;
    region.load32(h::LANES_OFFSET)
        + lane * region.load32(h::LANE_STRIDE)
        + region.load32(at + d::PLACE)
}

#[test]
fn resume_ends_the_rows_of_the_last_run() {
    const FIELDS: &[&[FieldSpec<'_>]] =
        &[&[FieldSpec::counter("boots")], &[FieldSpec::activity("doing", 3, 16)]];
    static TEMPLATE: Template<{ Template::<0>::words(FIELDS) }> = Template::new(FIELDS);
    let memory = memory();
    for boot in 1..=3 {
        let (lane, resumed) = TEMPLATE.start(memory, [1; 16]).unwrap();
        let boots = Counter::attach(&lane, FieldId::from_index(0)).unwrap();
        boots.incr();
        assert_eq!((resumed, boots.get()), (boot > 1, boot));
        assert_eq!(shown_field(Region::new(memory).unwrap(), 0, 1), (vec![], 0));
        std::mem::forget(doing(&lane).begin(boot, "reset meanwhile"));
        assert_eq!(shown_field(Region::new(memory).unwrap(), 0, 1).0.len(), 1);
    }
    let mut schema = Schema::<4>::new();
    schema.add(FieldSpec::counter("boots")).unwrap();
    schema.add(FieldSpec::activity("doing", 3, 16)).unwrap();
    let memory = self::memory();
    for boot in 1..=3 {
        let (mut writer, resumed) = schema.resume(memory, 1, [1; 16]).unwrap();
        let lane = writer.lane().unwrap();
        assert_eq!((resumed, shown(&writer, 0)), (boot > 1, (vec![], 0)));
        std::mem::forget(doing(&lane).begin(boot, "reset meanwhile"));
    }
}

#[test]
fn room_of_an_activity_is_used_again_without_rows() {
    let mut geometry = Geometry::new(1);
    geometry.reserve(2, 1024, 4096);
    let mut writer = Writer::create(memory(), &geometry, [7; 16], 0).unwrap();
    let first = [FieldSpec::activity("first", 4, 32)];
    let field = writer.add_room(Tenants { specs: &first, is_group: false }, 64).unwrap();
    writer.go_live();
    let lane = writer.lane().unwrap();
    let activity = Activity::<32, _>::attach(&lane, field).unwrap();
    std::mem::forget(activity.begin(1, "first"));
    writer.retire(field).unwrap();
    let second = [FieldSpec::activity("second", 5, 16)];
    writer.reuse(field, Tenants { specs: &second, is_group: false }, 64).unwrap();
    lane.follow_reuse();
    assert_eq!(shown_field(writer.region(), 0, 0), (vec![], 0));
    let activity = Activity::<16, _>::attach(&lane, field).unwrap();
    let _row = activity.begin(2, "second");
    assert_eq!(shown_field(writer.region(), 0, 0).0, [(2, 1, "second".to_owned(), false)]);
    // A larger one does not fit.
    writer.retire(field).unwrap();
    let large = [FieldSpec::activity("large", 8, 64)];
    assert!(writer.reuse(field, Tenants { specs: &large, is_group: false }, 64).is_err());
}

#[test]
fn spec_rows_and_groups_are_checked() {
    for (rows, good) in [(0, false), (1, true), (64, true), (65, false)] {
        assert_eq!(FieldSpec::activity("doing", rows, 16).check().is_ok(), good, "{rows}");
    }
    let mut geometry = Geometry::new(1);
    let group = [FieldSpec::counter("a"), FieldSpec::activity("doing", 2, 16)];
    assert!(geometry.add_group(&group).is_err());
    let text = FieldSpec::text("text", 16);
    assert!(text.kind(mmstats_core::Kind::Activity).check().is_err(), "no rows");
}

#[cfg(feature = "alloc")] // The mirror
mod mirror {
    use super::*;
    use mmstats_core::Mirror;

    #[test]
    fn mirror_shows_the_rows_of_the_moment() {
        let mut from = image(40);
        let activity = doing(&from.lane().unwrap());
        let mut to = from.twin(memory(), 0).unwrap();
        let mut mirror = Mirror::new();
        let mut copy = |from: &_, to: &mut _| assert_eq!(mirror.copy(from, to, None), 0);
        let rows: Vec<_> =
            (0..41).map(|n| activity.begin_fmt(n, format_args!("row {n}"))).collect();
        copy(&from, &mut to);
        to.go_live();
        assert_eq!((shown(&to, 0).0.len(), shown(&to, 0)), (40, shown(&from, 0)));
        rows[35].set("changed");
        copy(&from, &mut to);
        assert_eq!(shown(&to, 0), shown(&from, 0));
        drop(rows);
        let _row = activity.begin(9, "last");
        copy(&from, &mut to);
        assert_eq!(shown(&to, 0).0, [(9, 41, "last".to_owned(), false)]);
        from.hand_back(0);
        // A handle that outlived its lane.
        std::mem::forget(activity.begin(10, "stale"));
        for _ in 0..2 {
            copy(&from, &mut to);
            assert_eq!(shown(&to, 0), (vec![], 1));
        }
        let next = doing(&from.lane().unwrap());
        copy(&from, &mut to);
        assert_eq!(shown(&to, 0), (vec![], 1));
        let _row = next.begin(11, "next");
        copy(&from, &mut to);
        assert_eq!(shown(&to, 0), shown(&from, 0));
    }
}

#[cfg(all(target_pointer_width = "64", target_has_atomic = "64"))] // As `SharedActivity`
mod shared {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;
    use std::thread::ScopedJoinHandle;

    use super::*;
    use mmstats_core::SharedActivity;

    fn shared(lane: &Lane<M>) -> SharedActivity<16, M> {
        SharedActivity::attach(lane, FieldId::from_index(1)).unwrap()
    }

    #[test]
    fn guard_ends_on_another_thread() {
        let mut writer = image(2);
        let activity = shared(&writer.lane().unwrap());
        let begun = activity.begin(5, "over an await");
        begun.set_fmt(format_args!("{} of {}", 1, 2));
        assert_eq!(shown(&writer, 0).0, [(5, 1, "1 of 2".to_owned(), false)]);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                begun.set("elsewhere");
                drop(begun);
            });
        });
        assert_eq!(shown(&writer, 0), (vec![], 0));
        let mut row = activity.begin_row(6, "raw").unwrap();
        activity.set_row(&mut row, "set");
        assert_eq!(texts(&shown(&writer, 0)), ["set"]);
        activity.end_row(row);
    }

    #[test]
    fn try_begin_row_without_a_free_row_counts_no_refusal() {
        let mut writer = image(33);
        let activity = shared(&writer.lane().unwrap());
        let rows: Vec<_> = (0..33).map(|n| activity.try_begin_row(n, "row").unwrap()).collect();
        assert!(activity.try_begin_row(1, "one more").is_none());
        assert_eq!((shown(&writer, 0).0.len(), shown(&writer, 0).1), (33, 0));
        activity.refuse();
        assert!(activity.begin_row(1, "one more").is_none());
        assert_eq!(shown(&writer, 0).1, 2);
        rows.into_iter().for_each(|row| activity.end_row(row));
        let last = activity.try_begin_row(7, "sixteen bytes, ü").unwrap();
        // What was refused took no number.
        assert_eq!(shown(&writer, 0), (vec![(7, 34, "sixteen bytes, ".to_owned(), true)], 2));
        activity.end_row(last);
    }

    #[test]
    fn threads_share_rows_and_count_those_without() {
        let mut writer = image(40);
        let activity = shared(&writer.lane().unwrap());
        let seen = AtomicBool::new(false);
        let refused: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let (activity, seen) = (activity.clone(), &seen);
                    scope.spawn(move || {
                        let mut refused = 0;
                        // Until the reader has seen a row, but not for ever.
                        let goes_on = |n| n < 500 || n < 1_000_000 && !seen.load(Relaxed);
                        for n in (0..).take_while(|n| goes_on(*n)) {
                            let held: Vec<_> = (0..n % 14)
                                .map(|i| activity.begin_fmt(n, format_args!("{thread} {i}")))
                                .collect();
                            refused += held.iter().filter(|begun| !begun.is_shown()).count() as u64;
                        }
                        refused
                    })
                })
                .collect();
            // Each row that is seen is one that a thread wrote.
            while !threads.iter().all(ScopedJoinHandle::is_finished) {
                for (_, number, text, cut) in look(writer.region(), 0, 1, false).0 {
                    assert!(number > 0 && !cut && text.contains(' '), "{number} {text:?}");
                    seen.store(true, Relaxed);
                }
            }
            assert!(seen.load(Relaxed), "no row was seen");
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(shown(&writer, 0), (vec![], refused));
        // No row was lost.
        let all: Vec<_> = (0..40).map(|_| activity.begin(1, "x")).collect();
        assert!(all.iter().all(mmstats_core::SharedBegun::is_shown));
        drop(all);
        let cell = activity_cell(&writer, 0);
        for at in (t::USED..t::REFUSED).step_by(4) {
            assert_eq!(writer.region().load32(cell + at), 0, "{at}");
        }
    }
}
