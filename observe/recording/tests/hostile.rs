//! Recordings that no recorder writes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use mmstats_recording::{Recording, Threads};

/// A block of BGZF with these data.
fn block(data: &[u8]) -> Vec<u8> {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(data).unwrap();
    let deflated = deflated.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(data);
    let size = u16::try_from(deflated.len() + 25).unwrap();
    let mut block = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, 0x42, 0x43, 2, 0];
    block.extend(size.to_le_bytes());
    block.extend(deflated);
    block.extend(crc.sum().to_le_bytes());
    block.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    block
}

fn keyframe(fields: &str) -> String {
    format!(
        r#"{{"type":"keyframe","version":1,"recording":"r","run":"a","every":1,"time":1.000,"at":1000,"files":[{{"id":1,"identity":{{"instance":"{:032x}","device":"1","files_owner":0}},"fields":[{fields}]}}]}}"#,
        7
    )
}

/// A counter of 64 bits.
const COUNTER: &str = r#"{"id":1,"label":"hits","kind":"counter","codes":[4,1,0,0],"value":5}"#;

struct Place {
    _directory: tempfile::TempDir,
    file: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.jsonl.gz");
    Place { _directory: directory, file }
}

fn write(file: &Path, text: &str) {
    let blocks = text.as_bytes().chunks(60_000).flat_map(block);
    std::fs::write(file, blocks.collect::<Vec<u8>>()).unwrap();
}

/// The first error of a recording with these lines.
fn error(lines: &[&str]) -> String {
    let place = place();
    write(&place.file, &(lines.join("\n") + "\n"));
    let recording = match Recording::open([&place.file]) {
        Ok(recording) => recording,
        Err(error) => return error.to_string(),
    };
    let mut frames = recording.frames();
    loop {
        match frames.next() {
            Ok(Some(state)) => drop(format!("{state:?}")),
            Ok(None) => return String::new(),
            Err(error) => return error.to_string(),
        }
    }
}

#[test]
fn good_lines_have_no_error() {
    let second = r#"{"time":2.000,"at":2000,"values":{"1":6},"events":[{"program":1,"time":"1970-01-01T00:00:01Z","label":"l","text":"t"}]}"#;
    assert_eq!(error(&[&keyframe(COUNTER), second]), "");
}

#[test]
fn broken_lines_are_errors_with_file_line_and_place() {
    let first = keyframe(COUNTER);
    let deep = format!(
        r#"{{"time":2,"at":2000,"values":{{"1":{}1{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    for (line, message) in [
        (r#"{"time":2,"at":2000,"values":{"2":6}}"#, "no field has the number 2"),
        (r#"{"time":2,"at":2000,"values":{"x":6}}"#, "`x` is no number"),
        (r#"{"time":2,"at":2000,"values":{"1":"six"}}"#, "field 1"),
        (r#"{"time":2,"at":2000,"values":{"1":-6}}"#, "field 1"),
        (r#"{"time":2,"at":2000,"values":[6]}"#, "invalid type"),
        (r#"{"time":2,"at":500}"#, "the time goes back, from 1000 to 500 ms"),
        (r#"{"time":-2,"at":2000}"#, "a line has no time"),
        (r#"{"time":2}"#, "a line has no moment"),
        (r#"{"time":2,"at":2000"#, "EOF"),
        (r#"{"time":2,"at":2000,"absent":[9]}"#, "no field has the number 9"),
        (r#"{"time":2,"at":2000,"heads":{"9":{}}}"#, "no program has the number 9"),
        (r#"{"time":2,"at":2000,"fields":{"9":[]}}"#, "no program has the number 9"),
        (r#"{"time":2,"at":2000,"events":[{"program":9}]}"#, "no program has the number 9"),
        (r#"{"time":2,"at":2000,"verdicts":{"1":["fine",[1,0,0,0]]}}"#, "`fine` is no verdict"),
        (r#"{"time":2,"at":2000,"forms":{"1":"fine"}}"#, "unknown variant"),
        (r#"{"time":2,"at":2000,"threads":{"9":{}}}"#, "no program has the number 9"),
        (r#"{"time":2,"at":2000,"threads":{"1":5}}"#, "`threads`: invalid type"),
        (r#"{"time":2,"at":2000,"threads":{"1":{"threads":5}}}"#, "`threads`: invalid type"),
        (r#"{"time":2,"at":2000,"threads":{"1":{"threads":[{"tid":-1}]}}}"#, "`threads`: "),
        (r#"{"time":2,"at":2000,"threads":{"1":{"time":"now"}}}"#, "`threads` have no time"),
        (&deep, ""),
        (&deep_object, ""),
    ] {
        let found = error(&[&first, line]);
        assert!(found.contains(message) && !found.is_empty(), "{found}\n{message}");
        assert!(
            found.contains("a.jsonl.gz: ")
                && found.contains("line 2 of the segment, block at byte "),
            "{found}"
        );
    }
}

/// What the threads did at the last look of a recording with these lines.
fn threads(lines: &[&str]) -> Threads {
    let place = place();
    write(&place.file, &(lines.join("\n") + "\n"));
    let recording = Recording::open([&place.file]).unwrap();
    let state = recording.at(recording.span().1).unwrap().unwrap();
    let threads = state.threads(state.programs().next().unwrap());
    let key = state.programs().next().unwrap().look().key;
    // A replay tells the same.
    let mut replay = recording.replay(1 << 20, None, None).unwrap();
    let now = replay.sampler.clock().now();
    let found = |threads: &Threads| match threads {
        Threads::Looked { report, left_out, .. } => format!("{report:?} {left_out}"),
        other => format!("{other:?}"),
    };
    assert_eq!(found(&replay.threads.at(key, now)), found(&threads));
    threads
}

#[test]
fn recording_of_an_earlier_version_has_no_threads() {
    let second = r#"{"time":2.000,"at":2000,"values":{"1":6}}"#;
    assert!(matches!(threads(&[&keyframe(COUNTER), second]), Threads::NotRecorded));
    let first = keyframe(COUNTER).replace(r#""every":1,"#, r#""every":1,"threads_every":1,"#);
    assert!(matches!(threads(&[&first, second]), Threads::NotLooked));
    let with = first.replace(
        r#""files":"#,
        r#""threads":{"1":{"time":0.500,"threads":[{"tid":7,"name":"a"},{"tid":5}]}},"files":"#,
    );
    let changes = [
        r#"{"time":1.500,"at":1500,"threads":{"1":{"threads":[{"tid":9},{"tid":5,"gone":true}]}}}"#,
        r#"{"time":2.000,"at":2000,"threads":{"1":{"looks_left_out":3,"threads":[{"tid":7,"name":"b"}]}}}"#,
        r#"{"time":3.000,"at":3000,"threads":{"1":{}}}"#,
        r#"{"time":4.000,"at":4000}"#,
    ];
    let looked = |lines: usize| {
        let lines: Vec<&str> = [with.as_str()].into_iter().chain(changes).take(lines).collect();
        let Threads::Looked { report, left_out, .. } = threads(&lines) else { panic!("no report") };
        let names: Vec<String> = report.threads.iter().map(|one| one.title.clone()).collect();
        (names.join(", "), report.at / 100_000_000, left_out)
    };
    assert_eq!(looked(1), ("thread 5, a".to_owned(), 5, 0));
    assert_eq!(looked(2), ("a, thread 9".to_owned(), 15, 0));
    assert_eq!(looked(3), ("b, thread 9".to_owned(), 20, 3));
    assert_eq!(looked(4), ("b, thread 9".to_owned(), 30, 0));
    assert_eq!(looked(5), ("b, thread 9".to_owned(), 30, 0));
}

#[test]
fn value_that_is_too_long_is_an_error() {
    let text = |length: usize| {
        let value = format!("\"form\":\"text\",\"value\":\"{}\"", "x".repeat(length));
        error(&[&keyframe(&COUNTER.replace("\"value\":5", &value))])
    };
    assert!(text(16 << 20).contains("a value is longer than 16 MiB"), "{}", text(16 << 20));
    assert_eq!(text(1 << 20), "");
}

#[test]
fn broken_keyframes_are_errors() {
    let version = keyframe(COUNTER).replace("\"version\":1", "\"version\":2");
    let long = COUNTER.replace("hits", &"x".repeat(300));
    for (line, message) in [
        (version.as_str(), "version 2 of recordings is not known to this program"),
        (r#"{"time":2,"at":2000}"#, "a segment does not begin with a keyframe"),
        (&keyframe(&format!("{COUNTER},{COUNTER}")), "two fields have the number 1"),
        (&keyframe(&COUNTER.replace(",\"codes\":[4,1,0,0]", "")), "a field has no codes"),
        (&keyframe("{}"), "a field has no number"),
        (&keyframe(COUNTER).replace("0007", "000x"), "an instance has no 32 digits"),
    ] {
        assert!(error(&[line]).contains(message), "{}\n{message}", error(&[line]));
    }
    assert_eq!(error(&[&keyframe(&long)]), "");
}

/// 1 GiB of spaces in 1 MiB.
#[test]
fn bomb_is_an_error_in_bounded_memory() {
    let place = place();
    let spaces = block(&[b' '; 65_280]);
    let mut bytes = block((keyframe(COUNTER) + "\n").as_bytes());
    for _ in 0..1_500 {
        bytes.extend(&spaces);
    }
    std::fs::write(&place.file, bytes).unwrap();
    let error = Recording::open([&place.file]).and_then(|recording| {
        let mut frames = recording.frames();
        frames.next()?;
        frames.next().map(|_| ())
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("a line is longer than 64 MiB"), "{error}");
}

#[test]
fn damaged_block_costs_its_segment_alone() {
    let place = place();
    let (first, second) =
        (block((keyframe(COUNTER) + "\n").as_bytes()), block(b"{\"time\":2,\"at\":2000}\n"));
    let end = block(b"");
    let mut damaged = second.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let bytes = [&first[..], &damaged, &end, &first, &second, &end].concat();
    std::fs::write(&place.file, bytes).unwrap();
    let recording = Recording::open([&place.file]).unwrap();
    let mut frames = recording.frames();
    assert!(frames.next().unwrap().is_some());
    let error = frames.next().unwrap_err().to_string();
    assert!(error.contains(&format!("block at byte {}", first.len())), "{error}");
    assert!(frames.next().unwrap().is_some() && frames.next().unwrap().is_some());
    assert!(frames.next().unwrap().is_none());
    assert_eq!(recording.span().1, UNIX_EPOCH + Duration::from_secs(2));
}

fn keyframe_of((recording, run): (&str, &str), time: u64, at: u64, value: u64) -> String {
    let names = |recording, run| format!(r#""recording":"{recording}","run":"{run}""#);
    keyframe(COUNTER)
        .replace(&names("r", "a"), &names(recording, run))
        .replace(r#""time":1.000,"at":1000"#, &format!(r#""time":{time}.000,"at":{at}"#))
        .replace(r#""value":5"#, &format!(r#""value":{value}"#))
}

fn look(time: u64, at: u64, value: u64) -> String {
    format!(r#"{{"time":{time}.000,"at":{at},"values":{{"1":{value}}}}}"#)
}

/// The moments of a recorder stand still while the machine sleeps.
#[test]
fn looks_before_machine_slept_have_their_times_of_day() {
    let place = place();
    let mut lines = vec![keyframe_of(("r", "a"), 1_000, 1_000, 5)];
    lines.push(look(1_001, 2_000, 6));
    lines.extend([look(29_802, 3_000, 7), look(29_803, 4_000, 8)]);
    write(&place.file, &(lines.join("\n") + "\n"));
    let recording = Recording::open([&place.file]).unwrap();
    let sampler = recording.sampler(1 << 20, None, None).unwrap();
    let clock = sampler.clock();
    let first = sampler.read(|history| history.programs()[0].first);
    let times = [first, clock.now()].map(|at| clock.time_of_day(at));
    assert_eq!(times, [1_000, 29_803].map(|time| UNIX_EPOCH + Duration::from_secs(time)));
}

/// How long nothing was recorded is not known: there is a gap, and no rate over it.
#[test]
fn run_that_began_before_the_end_of_the_one_before_is_after_gap() {
    let place = place();
    let other = place.file.with_file_name("b.jsonl.gz");
    let first = [keyframe_of(("r", "a"), 1_000, 1_000, 10), look(1_001, 2_000, 20)];
    let second = [keyframe_of(("r", "b"), 1_000, 500, 9_000), look(1_001, 1_500, 9_010)];
    write(&place.file, &(first.join("\n") + "\n"));
    write(&other, &(second.join("\n") + "\n"));
    let recording = Recording::open([&place.file, &other]).unwrap();
    let (mut frames, mut gaps, mut before) = (recording.frames(), Vec::new(), None);
    while let Some(state) = frames.next().unwrap() {
        gaps.extend(before.map(|before| state.is_after_gap(before)));
        before = Some(state.at());
    }
    assert_eq!(gaps, [false, true, false]);
    let sampler = recording.sampler(1 << 20, None, None).unwrap();
    let clock = sampler.clock();
    let begin = sampler.read(|history| {
        let field = &history.programs()[0].fields()[0];
        let rates = (0..80).filter_map(|back| {
            field
                .rate(clock.now().before(Duration::from_millis(back * 100)), Duration::from_secs(1))
        });
        assert!(rates.into_iter().all(|rate| (rate - 10.0).abs() < 1e-9));
        clock.time_of_day(field.first)
    });
    assert_eq!(begin, UNIX_EPOCH + Duration::from_secs(1_000));
}
