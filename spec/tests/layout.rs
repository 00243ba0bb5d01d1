//! FORMAT.md and KINDS.md against the constants of `mmstats_core::layout` and the codes of its types.

use std::collections::BTreeMap;

use mmstats_core::layout::{
    self, Member, descriptor, field_state, flags, header, image_state, lane, table as t,
};
use mmstats_core::{Aggregation, Buckets, DataType, Kind, Level, Storage};
use mmstats_spec::{FORMAT, KINDS, rows};

/// Offset and size of each member, by name.
fn members(members: &[Member]) -> BTreeMap<String, (u32, u32)> {
    members.iter().map(|member| (member.name.to_owned(), (member.offset, member.size))).collect()
}

/// name -> offset and size of the rows that are not reserved; also checks that rows follow each
/// other without gaps and that integers are aligned.
fn table(heading: &str, size: u32) -> BTreeMap<String, (u32, u32)> {
    let mut end = 0;
    let mut found = BTreeMap::new();
    for row in rows(FORMAT, heading) {
        let [offset, length, ty, name, ..] = row.as_slice() else { panic!("{row:?}") };
        let (Ok(offset), Ok(length)) = (offset.parse::<u32>(), length.parse::<u32>()) else {
            continue; // The lane's presence words and cells have no fixed size.
        };
        assert_eq!(offset, end, "{heading}: {name} does not follow the row before");
        end = offset + length;
        let wanted = match ty.as_str() {
            "u8" => 1,
            "u16" => 2,
            "u32" => 4,
            "u64" => 8,
            _ => length,
        };
        assert_eq!(length, wanted, "{heading}: size of {name}");
        if ty.starts_with('u') {
            assert_eq!(offset % length, 0, "{heading}: {name} is misaligned");
        }
        if ty != "bytes" || name != "reserved" {
            found.insert(name.clone(), (offset, length));
        }
    }
    assert_eq!(end, size, "{heading}: size");
    found.remove("reserved");
    found
}

#[test]
fn header_table() {
    assert_eq!(table("## 3. Header", header::SIZE), members(&header::MEMBERS));
}

#[test]
fn descriptor_table() {
    let mut rows = rows(FORMAT, "## 4. Descriptors");
    // The sub-sections have tables of their own.
    rows.truncate(20);
    assert_eq!(rows.len(), 20);
    let found: BTreeMap<String, (u32, u32)> = rows
        .iter()
        .filter(|row| row[3] != "reserved")
        .map(|row| (row[3].clone(), (row[0].parse().unwrap(), row[1].parse().unwrap())))
        .collect();
    assert_eq!(found, members(&descriptor::MEMBERS));
    let last = &rows[19];
    let end = last[0].parse::<u32>().unwrap() + last[1].parse::<u32>().unwrap();
    assert_eq!(end, descriptor::SIZE);
    for pair in rows.windows(2) {
        let end = pair[0][0].parse::<u32>().unwrap() + pair[0][1].parse::<u32>().unwrap();
        assert_eq!(end.to_string(), pair[1][0], "{} does not follow", pair[1][3]);
    }
}

#[test]
fn lane_table() {
    let rows = rows(FORMAT, "## 7. Lanes");
    let offset = |name: &str| {
        let row = rows.iter().find(|row| row[3] == name).unwrap();
        row[0].parse::<u32>().unwrap()
    };
    assert_eq!(offset("state"), lane::STATE);
    assert_eq!(offset("owners"), lane::OWNERS);
    assert_eq!(offset("presence"), lane::PRESENCE);
    assert_eq!(offset("samples_refused"), lane::SAMPLES_REFUSED);
    assert_eq!(offset("reserved") + 48, lane::PRESENCE);
}

#[test]
fn table_table() {
    let rows = rows(FORMAT, "## 6. Storage");
    let offset = |name: &str| {
        let row = rows.iter().find(|row| row.get(3).is_some_and(|found| found == name)).unwrap();
        row[0].parse::<u32>().unwrap()
    };
    let found = ["used", "claimed", "refused", "begun"].map(offset);
    assert_eq!(found, [t::USED, t::CLAIMED, t::REFUSED, t::BEGUN]);
    let row = rows.iter().find(|row| row.get(3).is_some_and(|found| found == "row i")).unwrap();
    assert_eq!(row[0], format!("{} + i * row_size", t::ROWS));
}

#[test]
fn data_types() {
    let rows = rows(FORMAT, "### 4.1 Data types");
    assert_eq!(rows.len(), DataType::ALL.len());
    for (row, ty) in rows.iter().zip(DataType::ALL) {
        let expected = [ty.code().to_string(), ty.name().to_owned(), ty.size().to_string()];
        assert_eq!(row[..3], expected);
    }
}

#[test]
fn kinds_and_aggregations() {
    // Another table of a section does not begin with a code.
    let names = |heading| -> Vec<(String, String)> {
        let rows = rows(KINDS, heading).into_iter();
        let coded = rows.filter(|row| row[0].parse::<u8>().is_ok());
        coded.map(|row| (row[0].clone(), row[1].clone())).collect()
    };
    let kinds: Vec<_> =
        Kind::ALL.iter().map(|k| (k.code().to_string(), k.name().to_owned())).collect();
    assert_eq!(names("## 1. Kinds"), kinds);
    let rules: Vec<_> =
        Aggregation::ALL.iter().map(|a| (a.code().to_string(), a.name().to_owned())).collect();
    assert_eq!(names("## 2. Aggregation"), rules);
}

/// Numbers that the document gives in its text.
#[test]
fn numbers_in_the_text() {
    let has = |text: &str| {
        let flat = FORMAT.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(text), "FORMAT.md does not say {text:?}");
    };
    let magic: Vec<String> = layout::MAGIC.iter().map(|b| format!("{b:02X}")).collect();
    has(&format!("MUST be `{}`", magic.join(" ")));
    has(&format!("MUST be {}; a reader refuses", layout::MAJOR));
    for storage in Storage::ALL {
        has(&format!("{} {}", storage.code(), storage.name()));
    }
    for (code, name) in [
        (image_state::BUILDING, "building"),
        (image_state::LIVE, "live"),
        (image_state::CLOSED, "closed"),
    ] {
        has(&format!("{code} {name}"));
    }
    for (code, name) in [(field_state::LIVE, "live"), (field_state::RETIRED, "retired")] {
        has(&format!("{code} {name}"));
    }
    for (level, name) in
        [(Level::Info, "info"), (Level::Diagnostic, "diagnostic"), (Level::Debug, "debug")]
    {
        has(&format!("{} {name}", level.code()));
    }
    for (bit, name) in
        [(flags::OPTIONAL, "OPTIONAL"), (flags::ARRAY, "ARRAY"), (flags::MEMBER, "MEMBER")]
    {
        has(&format!("bit {} {name}", bit.trailing_zeros()));
    }
    let grouped = |n: u64| {
        let digits = n.to_string();
        let mut out = String::new();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        out
    };
    for limit in [layout::MAX_FIELDS, layout::MAX_LANES, layout::MAX_SLOT, layout::MAX_CAPACITY] {
        has(&format!("| {} ", grouped(u64::from(limit))));
    }
    has(&format!("| slots of a cell | {} |", grouped(1 << layout::MAX_SLOT_BITS)));
    has(&format!("1 to {}, there are 2^slot_bits slots", layout::MAX_SLOT_BITS));
    has(&format!("| rows of a table | {} |", layout::MAX_ROWS));
    has(&format!("| elements of a journal | {} |", grouped(layout::MAX_ELEMENTS.into())));
    has(&format!("| name of a state | 1 to {} bytes;", layout::MAX_STATE));
    has(&format!("| label | 1 to {} bytes |", layout::MAX_LABEL));
    has(&format!("| unit | {} bytes |", layout::MAX_UNIT));
    has(&format!("| help, attributes, detail | {} bytes each |", grouped(layout::MAX_HELP as u64)));
    assert_eq!(layout::MAX_HELP, layout::MAX_ATTRIBUTES);
    assert_eq!(layout::MAX_HELP, layout::MAX_DETAIL);
}

/// The codes of section 10 are those of the reader's errors, no more and no less.
#[test]
fn error_codes() {
    // Each code is defined once, in a row that begins with its anchor.
    let section = FORMAT.split("\n## 10. ").nth(1).unwrap().split("\n## ").next().unwrap();
    let anchored = section.lines().filter_map(|line| line.strip_prefix("| <a id=\""));
    let mut documented: Vec<String> =
        anchored.map(|row| row.split('"').next().unwrap().to_owned()).collect();
    let source = include_str!("../../core/src/read/error.rs");
    let mut coded = Vec::new();
    for body in source.split("fn row(&self) -> (&'static str, u32) {").skip(1) {
        let body = body.split("\n    }\n").next().unwrap();
        coded.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    documented.sort();
    coded.sort();
    assert_eq!(documented, coded);
}

/// The kinds' types and storages in section 1 of KINDS.md are those that the code allows.
#[test]
fn types_and_storages_of_kinds() {
    for row in rows(KINDS, "## 1. Kinds") {
        let kind = Kind::from_code(row[0].parse().unwrap()).unwrap();
        let (types, storage) = (row[2].as_str(), row[3].as_str());
        for ty in DataType::ALL {
            let listed = types.split(", ").any(|item| match item {
                "every type" => true,
                "u8 to u64" => ty.code() <= DataType::U64.code(),
                name => name == ty.name(),
            });
            let (array, count) = match types.split_once("count ") {
                Some((_, count)) => (true, count.trim_start_matches("at least ").parse().unwrap()),
                None => (false, 1),
            };
            assert_eq!(array, types.contains("ARRAY"), "{kind}");
            assert_eq!(kind.allows_type(*ty, count, array), listed, "{kind} of {ty}");
            let scalars_alone = storage != "every" && !array && ty.is_scalar();
            assert_eq!(
                listed && !kind.allows_type(*ty, 1, true),
                listed && (array || scalars_alone)
            );
            assert!(!array || !kind.allows_type(*ty, count - 1, true), "{kind} of {count}");
        }
        for known in Storage::ALL {
            let listed = match storage {
                "every" => *known != Storage::Table,
                "no journal" => !matches!(known, Storage::Journal | Storage::Table),
                name => known.name() == name,
            };
            assert_eq!(kind.allows_storage(*known), listed, "{kind} in {known}");
        }
    }
}

/// The errors of quantiles in section 4 of KINDS.md.
#[test]
fn errors_of_quantiles() {
    let kinds = KINDS.lines().collect::<Vec<_>>();
    let at = kinds.iter().position(|line| line.starts_with("| error in % |")).unwrap();
    let cells = |line: &str| -> Vec<f64> {
        line.split('|').filter_map(|cell| cell.trim().parse().ok()).collect()
    };
    let (scales, errors) = (cells(kinds[at - 2]), cells(kinds[at]));
    assert_eq!((scales.len(), errors.len()), (13, 13));
    for (scale, error) in scales.iter().zip(errors) {
        #[allow(clippy::cast_possible_truncation)] // -4 to 8.
        let [byte, _] = (*scale as i16).to_le_bytes();
        let buckets = Buckets::from_param(u32::from_le_bytes([byte, 4, 0, 0]), 3).unwrap();
        let exact = 100.0 * buckets.relative_error();
        assert!((exact - error).abs() < 0.005 * error, "scale {scale}: {exact}");
    }
}
