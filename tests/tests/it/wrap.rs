//! The number of a value wraps to 0 after 2^32 publishes. The file is edited to be shortly before
//! that, while a program and an observer have it open.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use mmstats::{Events, Histogram, Options, Publisher, Rate, Stats, Text, Timer, Window};
use mmstats_core::read::Image;
use mmstats_observe::{AverageValue, Number, OwnedValue};
use mmstats_tests::look::{in_lane, look};

use mmstats_tests::actor::directory;

#[derive(Stats)]
struct Old {
    text: Text<16>,
    timer: Timer,
    sizes: Histogram,
    window: Window<u64, 5>,
    log: Events<16>,
    rate: Rate,
}

/// Sets the numbers of all cells to nearly 2^32; returns the number of the log's cell.
fn age(path: &Path) -> u32 {
    let bytes = std::fs::read(path).unwrap();
    let image = Image::open(bytes.as_slice()).unwrap();
    let mut file = File::options().write(true).open(path).unwrap();
    let lane = image.lane(0).consistent().unwrap();
    let mut log = 0;
    for field in image.fields().map(Result::unwrap).filter(|field| field.slots() > 0) {
        // The newest slot is the first one, as in a fresh cell.
        let number = 0_u32.wrapping_sub(field.slots());
        let cell = u64::from(lane.offset() + field.place());
        file.seek(SeekFrom::Start(cell)).unwrap();
        file.write_all(&number.to_le_bytes()).unwrap();
        if image.label(&field, &mut [0; 255]) == "log" {
            log = number;
        }
    }
    log
}

#[test]
fn numbers_that_wrap_keep_values_readable() {
    let directory = directory();
    let publisher: Publisher<Old> = Options::new().directory(directory.path()).start().unwrap();
    let old = publisher.lane().unwrap();
    let mut observer = look(directory.path());
    let mut seen = age(observer.files()[0].path());
    for n in 1..=300_u64 {
        old.text.set(&format!("number {n}"));
        old.timer.record_nanos(n);
        old.sizes.record(n);
        old.window.record(n);
        old.log.record_fmt(format_args!("line {n}"));
        old.rate.incr();
        observer.refresh();
        let file = &observer.files()[0];
        let value = |label| in_lane(file, 0, label).value.map(|value| value.only().clone());
        let text = OwnedValue::Text { text: format!("number {n}"), cut: false };
        assert_eq!(value("text"), Some(text));
        let sum = u128::from(n * (n + 1) / 2);
        let Some(OwnedValue::Timer(timer)) = value("timer") else { panic!("no timer at {n}") };
        assert_eq!((timer.count, timer.sum), (n.into(), sum));
        let Some(OwnedValue::Histogram(sizes)) = value("sizes") else { panic!("none at {n}") };
        assert_eq!((sizes.count(), sizes.sum()), (n.into(), Number::Unsigned(sum)));
        // A ring shows fewer values after the wrap.
        if let Some(OwnedValue::Window(AverageValue { count, sum })) = value("window") {
            assert!(count <= 5.0 && sum <= 5.0 * 300.0, "{sum} of {count}");
            #[allow(clippy::cast_precision_loss)]
            let newest = n as f64;
            let expected = count * newest - count * (count - 1.0) / 2.0;
            assert!(n < 5 || (sum - expected).abs() < 1e-9, "{sum} of {count} after {n}");
        }
        // A rate's history is read with its counter, or not.
        let of_rate = file.find("rate").unwrap();
        assert_eq!(
            file.lane_values(0)[of_rate.index()].value,
            Some(OwnedValue::Unsigned(n.into()))
        );
        let index = file.find("log").unwrap().index();
        let events = file.events(index, 0, seen).unwrap();
        let lines: Vec<_> = events.iter().map(|e| e.line.as_ref().unwrap().text.clone()).collect();
        if seen == u32::MAX {
            assert!(lines.is_empty(), "number 0 is none");
            seen = 0;
        } else {
            assert_eq!(lines, [format!("line {n}")]);
            seen = events[0].number;
        }
    }
    assert!(seen < 300, "no wrap: {seen}");
}
