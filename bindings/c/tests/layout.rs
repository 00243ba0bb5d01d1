//! Structs and numbers of the header are those of the library.
#![cfg(unix)] // a compiler called `cc`

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::mem::{align_of, offset_of, size_of};
use std::process::Command;

use mmstats_c::layout::{
    ABI, CCounter, CField, CGauge, CHandle, CKey, CMember, COptions, CSection, CValue, field_flag,
    kind, option_flag, result,
};

/// The value that the library has for each expression of C.
fn expected() -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let mut add = |name: &str, value: u64| assert!(all.insert(name.to_owned(), value).is_none());
    macro_rules! layout {
        ($($name:literal $type:ty: $($member:ident = $field:tt),*;)*) => {$(
            add(concat!("sizeof(", $name, ")"), size_of::<$type>() as u64);
            add(concat!("_Alignof(", $name, ")"), align_of::<$type>() as u64);
            $(add(
                concat!("offsetof(", $name, ", ", stringify!($member), ")"),
                offset_of!($type, $field) as u64,
            );)*
        )*};
    }
    layout! {
        "mmstats_member" CMember: label = label, unit = unit, help = help, type = ty, flags = flags;
        "mmstats_field" CField: label = label, help = help, unit = unit, offset = offset, kind = kind,
            type = ty, capacity = capacity, count = count, flags = flags, aggregation = aggregation,
            error = error, low = low, high = high, attributes = attributes, names = names,
            members = members, member_count = member_count, labels = labels, value = value, cap = cap,
            reserved = reserved;
        "mmstats_options" COptions: size = size, abi = abi, flags = flags, fields = fields,
            field_count = field_count, field_size = field_size, name = name, directory = directory,
            application = application, file = file, lanes = lanes, reserve_fields = reserve_fields,
            reserve_text = reserve_text, reserve_values = reserve_values, sample_seconds = sample_seconds;
        "mmstats_counter" CCounter: at = at;
        "mmstats_gauge" CGauge: at = at, presence = presence, bit = bit, reserved = reserved;
        "mmstats_gauge_u64" CGauge:;
        "mmstats_flag" CGauge:;
        "mmstats_handle" CHandle: own = own, shared = shared;
        "mmstats_text" CHandle:;
        "mmstats_family" CHandle:;
        "mmstats_key" CKey: number = number;
        "mmstats_section" CSection: begun = begun, running = running;
        "mmstats_value" CValue:;
    }
    macro_rules! numbers {
        ($prefix:literal $module:ident: $($name:ident)*) => {
            $(add(
                concat!("MMSTATS_", $prefix, stringify!($name)),
                u64::try_from($module::$name).unwrap(),
            );)*
        };
    }
    numbers!("" kind: COUNTER FLOAT_COUNTER GAUGE TIMESTAMP TEXT BLOB ARRAY STATE GROUP TIMER LATENCY
        HISTOGRAM FLOAT_HISTOGRAM AVERAGE WINDOW RATE EVENTS ACTIVITY INFO);
    numbers!("" field_flag: SHARED RUNNING GROWS);
    numbers!("" option_flag: OR_PRIVATE HIDDEN KEEP NO_THREAD NO_ENVIRONMENT FOR_GROUP FOR_EVERYBODY);
    numbers!("" result: OK);
    numbers!("E_" result: ARGUMENT ABI FIELD SYSTEM FORKED CLOSED REENTRANT OTHER);
    add("MMSTATS_ABI", ABI.into());
    for ty in mmstats::DataType::ALL {
        if !matches!(ty, mmstats::DataType::Text | mmstats::DataType::Bytes) {
            add(&format!("MMSTATS_{}", ty.name().to_uppercase()), ty.code().into());
        }
    }
    for rule in mmstats::Aggregation::ALL {
        add(&format!("MMSTATS_{}", rule.name().to_uppercase()), rule.code().into());
    }
    all
}

#[test]
fn header_is_laid_out_as_the_library() {
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("layout.c"), directory.path().join("layout"));
    let expected = expected();
    let mut text = String::from("#include <mmstats.h>\n#include <stdio.h>\nint main(void) {\n");
    for name in expected.keys() {
        let value = name.trim_start_matches('_');
        assert!(!value.is_empty());
        writeln!(text, "printf(\"{name}=%llu\\n\", (unsigned long long)({name}));").unwrap();
    }
    text.push_str("return 0;\n}\n");
    std::fs::write(&source, text).unwrap();
    support::compile(&source, &support::strict("-std=c11"), &program);
    let out = Command::new(&program).output().unwrap();
    let out = String::from_utf8(out.stdout).unwrap();
    let found = out.lines().map(|line| line.rsplit_once('=').unwrap());
    let found: BTreeMap<_, _> =
        found.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect();
    assert_eq!(found, expected);
}

/// Every function of the header is exported, and every exported function is in the header.
#[test]
fn header_has_the_functions_of_the_library() {
    if support::is_emulated() {
        return; // `nm` is that of this machine.
    }
    let header = std::fs::read_to_string(support::here().join("include/mmstats.h")).unwrap();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let declared = header.lines().filter(|line| !line.starts_with("static inline"));
    let declared = declared.filter(|line| !line.starts_with([' ', '#', '/', '}']));
    let declared: std::collections::BTreeSet<&str> = declared
        .filter_map(|line| line.split_once('(')?.0.rsplit(|c| !is_name(c)).next())
        .filter(|name| name.starts_with("mmstats_"))
        .collect();
    let library = support::library().join("libmmstats_c.so");
    let out = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().unwrap();
    let out = String::from_utf8(out.stdout).unwrap();
    let exported = out.lines().filter_map(|line| line.rsplit(' ').next());
    let exported = exported.filter(|name| name.starts_with("mmstats_")).collect();
    assert_eq!(declared, exported);
}
