//! Format 1: files of the original library, compared with the output of its reader.

use std::fmt::Write as _;
use std::path::PathBuf;

use mmstats_core::Source;
use mmstats_core::format1::{self, Error, Record, Value};
use mmstats_core::read::{Format, sniff};
use proptest::prelude::*;

fn fixtures() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/fixtures/format-1");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().unwrap() == "mmstats").collect();
    files.sort();
    assert_eq!(files.len(), 6);
    files
}

/// The values of a file in the form of the fixtures' expected output.
fn answer(file: &[u8]) -> String {
    let records: Vec<_> = format1::fields(file).unwrap().map(Result::unwrap).collect();
    let mut json = String::from("{\n \"format\": 1,\n \"fields\": [");
    for (i, record) in records.iter().enumerate() {
        let (ty, value) = match record.value {
            Value::U64(n) => ("integer", n.to_string()),
            Value::I64(n) => ("integer", n.to_string()),
            Value::F32(x) => ("float", format!("{:016x}", f64::from(x).to_bits())),
            Value::F64(x) => ("float", format!("{:016x}", x.to_bits())),
            Value::Bool(b) => ("bool", b.to_string()),
            Value::Text(text) => ("text", text.to_string()),
        };
        json.push_str(if i == 0 { "\n" } else { ",\n" });
        write!(
            json,
            "  {{\n   \"label\": \"{}\",\n   \"type\": \"{ty}\",\n   \"value\": \"{value}\"\n  }}",
            record.label
        )
        .unwrap();
    }
    json.push_str(if records.is_empty() { "]\n}" } else { "\n ]\n}" });
    json
}

/// The original's output, without lines for people.
fn expected(path: &std::path::Path) -> String {
    let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
    assert!(!json.contains('\\'), "no escapes, so that lines can be compared");
    let mut lines: Vec<String> = Vec::new();
    for line in json.lines() {
        if line.starts_with("   \"approx\"") {
            let last = lines.last_mut().unwrap();
            assert_eq!(last.pop(), Some(','));
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

#[test]
fn fields_equal_original_reader() {
    for path in fixtures() {
        let file = std::fs::read(&path).unwrap();
        assert_eq!(sniff(file.as_slice()), Format::One);
        assert_eq!(answer(&file), expected(&path), "{}", path.display());
    }
}

/// A file of one record.
fn file(label: &[u8], ty: &str, write_buffer: u8, values: &[u8]) -> Vec<u8> {
    let mut file = vec![1];
    file.extend(u16::try_from(label.len()).unwrap().to_le_bytes());
    file.extend(label);
    file.extend(u16::try_from(ty.len()).unwrap().to_le_bytes());
    file.extend(ty.as_bytes());
    file.push(write_buffer);
    file.extend(values);
    file
}

fn one(file: &[u8]) -> Result<Record<'_>, Error> {
    let mut fields = format1::fields(file).unwrap();
    let record = fields.next().unwrap();
    assert_eq!(fields.next(), None);
    record
}

#[test]
fn fields_every_python_type() {
    let bytes = [0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88];
    let negative = i64::from_le_bytes(bytes);
    for (ty, size, value) in [
        ("B", 1, Value::U64(0x81)),
        ("H", 2, Value::U64(0x8281)),
        ("I", 4, Value::U64(0x8483_8281)),
        ("L", 8, Value::U64(0x8887_8685_8483_8281)),
        ("Q", 8, Value::U64(0x8887_8685_8483_8281)),
        ("b", 1, Value::I64(-0x7F)),
        ("h", 2, Value::I64(-0x7D7F)),
        ("i", 4, Value::I64(-0x7B7C_7D7F)),
        ("l", 8, Value::I64(negative)),
        ("q", 8, Value::I64(negative)),
        ("f", 4, Value::F32(f32::from_bits(0x8483_8281))),
        ("d", 8, Value::F64(f64::from_bits(0x8887_8685_8483_8281))),
        ("?", 1, Value::Bool(true)),
    ] {
        let unbuffered = file(b"x", ty, 255, &bytes[..size]);
        let record = one(&unbuffered).unwrap();
        assert_eq!((record.ty, record.value, record.write_buffer), (ty, value, None));
        // The buffer that the writer does not fill next.
        let (first, second) = (&bytes[..size], vec![0; size]);
        let full = file(b"x", ty, 1, &[first, &second].concat());
        assert_eq!(one(&full).unwrap().value, value, "{ty}");
        let full = file(b"x", ty, 0, &[&second, first].concat());
        assert_eq!(one(&full).unwrap().value, value, "{ty}");
        let short = &unbuffered[..unbuffered.len() - 1];
        assert_eq!(one(short).unwrap_err().code(), "format1-truncated");
    }
}

#[test]
fn text_ends_at_zero_byte_and_drops_invalid_utf8() {
    for (ty, bytes, text) in [
        ("5s", b"ab\0cd".as_slice(), "ab"),
        ("5s", b"abcde", "abcde"),
        ("s", b"a", "a"),
        ("0s", b"", ""),
        ("6s", b"a\xFFb\xC3\xA4\xC3", "ab\u{e4}"),
        // The first two bytes of a longer character, then a letter.
        ("3s", b"\xE2\x9Dx", "x"),
    ] {
        let file = file(b"x", ty, 255, bytes);
        let Value::Text(found) = one(&file).unwrap().value else { panic!("{ty}") };
        assert_eq!(found.to_string(), text);
        assert_eq!(found.as_str().is_some(), std::str::from_utf8(found.bytes()).is_ok());
    }
    let file = file(b"a\xFF\0b\"", "B", 255, &[7]);
    let label = one(&file).unwrap().label;
    assert_eq!(label.to_string(), "a\0b\"");
    assert_eq!(
        format!("{label:?}"),
        r#""a\xff\x00b\""#.to_owned() + "\"",
        "all of it, and its end"
    );
}

#[test]
fn error_has_code_and_offset() {
    let good = file(b"ab", "I", 255, &[1, 2, 3, 4]);
    let truncated = |offset, needed, left| Error::Truncated { offset, needed, left };
    for (len, error) in [
        (2, truncated(1, 2, 1)),
        (3, truncated(3, 2, 0)),
        (4, truncated(3, 2, 1)),
        (5, truncated(5, 2, 0)),
        (6, truncated(5, 2, 1)),
        (7, truncated(7, 1, 0)),
        (8, truncated(8, 1, 0)),
        (12, truncated(9, 4, 3)),
    ] {
        assert_eq!(one(&good[..len]), Err(error), "{len}");
    }
    assert_eq!(format1::fields(&[]).err(), Some(Error::Version { found: None }));
    assert_eq!(format1::fields(&[2, 0, 0]).err(), Some(Error::Version { found: Some(2) }));
    for index in 2..255 {
        let error = Error::WriteBuffer { offset: 8, found: index };
        assert_eq!(one(&file(b"ab", "I", index, &[0; 8])), Err(error));
    }
    let long = "1".repeat(300) + "s";
    for ty in ["", "x", "P", "II", "<I", "-1s", "+5s", "1 s", "4294967296s", "s5", "\u{e4}", &long]
    {
        let error = Error::Type { offset: 7, size: ty.len() };
        assert_eq!(one(&file(b"ab", ty, 255, &[0; 8])), Err(error), "{ty}");
        assert!(error.to_string().len() > 10);
    }
    let huge = file(b"ab", "4294967295s", 0, &[0; 8]);
    assert_eq!(one(&huge).unwrap_err().code(), "format1-truncated");
}

#[test]
fn label_size_zero_ends_fields() {
    let good = file(b"ab", "B", 255, &[1]);
    for end in [&[][..], &[0], &[0, 0], &[0, 0, 9, 9]] {
        let whole = [&good, end].concat();
        assert_eq!(format1::fields(&whole).unwrap().count(), 1);
    }
    assert_eq!(format1::fields(&[1]).unwrap().count(), 0);
}

proptest! {
    #[test]
    fn arbitrary_bytes_end(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        if let Ok(fields) = format1::fields(&bytes) {
            let records: Vec<_> = fields.collect();
            prop_assert!(records.len() <= bytes.len());
            let _ = format!("{records:?}");
        }
    }

    #[test]
    fn damaged_files_end(which in 0..6_usize, at in 0..1500_usize, to in any::<u8>(), len in 0..1500_usize) {
        let mut file = std::fs::read(&fixtures()[which]).unwrap();
        file[at] = to;
        file.truncate(if len < 100 { file.len() } else { len });
        prop_assert!(file.as_slice().size() > 0);
        if let Ok(fields) = format1::fields(&file) {
            let mut end = 0;
            for record in fields {
                match record {
                    Ok(record) => {
                        prop_assert!(record.offset >= end);
                        end = record.offset + 1;
                        let _ = format!("{} {:?}", record.label, record.value);
                    }
                    Err(error) => prop_assert!(error.offset() <= file.len()),
                }
            }
        }
    }
}
