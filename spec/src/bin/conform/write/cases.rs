//! Descriptions of both levels, and what a writer must do with each.

use super::description::Field;

/// A description.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) level: u8,
    pub(super) lines: Vec<u8>,
    /// Those that the lines describe; none if the description is wrong.
    pub(super) fields: Vec<Field>,
    pub(super) wanted: Wanted,
}

/// What the writer must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Write the file, and exit with 0.
    File,
    /// Exit with 1, without a file.
    Refusal,
    /// Exit with 2, without a file: the kind of a later level.
    NotSupported,
    /// Exit with 1, and leave the file that has the name already.
    Kept,
}

fn good(level: u8, name: &'static str, fields: Vec<Field>) -> Case {
    let lines = fields.iter().map(Field::line).collect::<String>().into_bytes();
    Case { name, level, lines, fields, wanted: Wanted::File }
}

fn bad(level: u8, name: &'static str, field: &Field) -> Case {
    bad_lines(level, name, field.line().as_bytes())
}

fn bad_lines(level: u8, name: &'static str, lines: &[u8]) -> Case {
    let lines = lines.to_vec();
    Case { name, level, lines, fields: Vec::new(), wanted: Wanted::Refusal }
}

/// A counter, changed.
fn counter(change: impl Fn(&mut Field)) -> Field {
    let mut field = Field::counter("field", "1");
    change(&mut field);
    field
}

/// All cases up to a level.
pub(super) fn cases(level: u8) -> Vec<Case> {
    let mut all = level_1();
    if level > 1 {
        let more = [numbers(), families(), constants(), arrays(), groups(), journals(), refusals()];
        all.extend(more.into_iter().flatten());
    }
    all
}

fn level_1() -> Vec<Case> {
    let good = |name, fields| good(1, name, fields);
    let bad = |name, field: Field| bad(1, name, &field);
    let text = |capacity, value| vec![Field::text(capacity, "field", value)];
    vec![
        good("nothing", vec![]),
        good("a counter", vec![Field::counter("field", "17")]),
        good("the largest counter", vec![Field::counter("field", "18446744073709551615")]),
        good("a gauge", vec![Field::gauge("field", "-0.125")]),
        good("a gauge without a value", vec![Field::gauge("field", "")]),
        good("a text", text(24, "serving")),
        good("a text of four slots", text(200, "serving requests")),
        good("a text without a value", text(8, "")),
        good("a text that fits exactly", text(4, "abcd")),
        good("a text that is cut", text(4, "abcde")),
        good("a text that is cut between characters", text(4, "abcä")),
        good("a text that is cut in a long character", text(6, "abc😀d")),
        good(
            "forty fields, every third without a value",
            (0..40)
                .map(|n| match n % 3 {
                    0 => Field::counter(&format!("counter.{n}"), &n.to_string()),
                    1 => Field::gauge(&format!("gauge.{n}"), ""),
                    _ => Field::text(1 + n, &format!("text.{n}"), &"ü".repeat(n)),
                })
                .collect(),
        ),
        good("the longest label", vec![counter(|f| f.label = "l".repeat(255))]),
        good(
            "the longest unit and help",
            vec![counter(|f| (f.unit, f.help) = ("u".repeat(63), "h".repeat(4096)))],
        ),
        good(
            "no unit and no help",
            vec![counter(|f| (f.unit, f.help) = (String::new(), String::new()))],
        ),
        good(
            "a label that is not ASCII",
            vec![counter(|f| f.label = "größe \"x\" \\ </a>".to_owned())],
        ),
        bad("a label that is too long", counter(|f| f.label = "l".repeat(256))),
        bad("no label", counter(|f| f.label = String::new())),
        bad("a unit that is too long", counter(|f| f.unit = "u".repeat(64))),
        bad("a help text that is too long", counter(|f| f.help = "h".repeat(4097))),
        bad("a text without capacity", Field::text(0, "field", "")),
        bad("a text of too large a capacity", Field::text(1_048_561, "field", "")),
    ]
}

/// The smallest and largest value of each integer type.
const RANGES: [(&str, &str, &str); 8] = [
    ("u8", "0", "255"),
    ("u16", "0", "65535"),
    ("u32", "0", "4294967295"),
    ("u64", "0", "18446744073709551615"),
    ("i8", "-128", "127"),
    ("i16", "-32768", "32767"),
    ("i32", "-2147483648", "2147483647"),
    ("i64", "-9223372036854775808", "9223372036854775807"),
];

/// Values that a float must have to the last bit.
const FLOATS: [&str; 9] = [
    "0",
    "-0",
    "0.1",
    "-1.5e300",
    "5e-324",
    "1.7976931348623157e308",
    "9007199254740993",
    "Infinity",
    "-Infinity",
];

fn numbers() -> Vec<Case> {
    let mut integers = Vec::new();
    for (ty, least, most) in RANGES {
        integers.push(Field::scalar(ty, "max", &format!("{ty}.least"), least));
        integers.push(Field::scalar(ty, "max", &format!("{ty}.most"), most));
        integers.push(Field::scalar(ty, "max", &format!("{ty}.none"), ""));
    }
    let numbered = |ty: &str, values: &[&str]| {
        let fields = values.iter().zip(0..);
        fields.map(|(value, n)| Field::scalar(ty, "sum", &format!("{ty}.{n}"), value)).collect()
    };
    let rules = ["sum", "min", "max", "mean", "each"];
    vec![
        good(2, "integers at their limits", integers),
        good(2, "floats", numbered("f64", &FLOATS)),
        good(
            2,
            "short floats",
            numbered("f32", &["-0", "0.1", "3.4028235e38", "1e-45", "-Infinity"]),
        ),
        good(2, "flags", numbered("bool", &["true", "false", ""])),
        good(
            2,
            "every aggregation",
            rules.map(|rule| Field::scalar("i32", rule, rule, "-7")).to_vec(),
        ),
        good(
            2,
            "a state",
            vec![
                Field::state(&["idle", "serving", "ended"], "now", "2"),
                Field::state(&["only"], "none", ""),
                Field::state(&["s".repeat(63).as_str(), "größer"], "long", "0"),
            ],
        ),
    ]
}

fn families() -> Vec<Case> {
    let with = |attributes: &[(&str, &str)]| vec![counter(|_| ()).with_attributes(attributes)];
    let codes = ["200", "404", "500"].into_iter().zip(1..);
    let family = codes.map(|(code, n)| {
        Field::counter("requests", &n.to_string())
            .with_attributes(&[("code", code), ("method", "GET")])
    });
    let bad_cell = |name, cells: &str| {
        bad_lines(2, name, format!("counter\tfield\t\t\t1\t{cells}\n").as_bytes())
    };
    let mut all = vec![
        good(2, "a family", family.collect()),
        good(2, "an attribute without text", with(&[("key", "")])),
        good(2, "an attribute with special characters", with(&[("a.B_9-", "x=y \"ö\" \\")])),
        good(2, "the longest key", with(&[(&"k".repeat(63), "value")])),
        good(2, "the longest attributes", with(&[("key", &"v".repeat(4092))])),
        good(
            2,
            "attributes of all kinds",
            vec![
                Field::text(8, "text", "abc").with_attributes(&[("key", "1")]),
                Field::constant("u32", "constant", "3").with_attributes(&[("key", "2")]),
                Field::array("u8", 2, "array", "1 2").with_attributes(&[("key", "3")]),
                Field::group("u8", "sum", "member", "4").with_attributes(&[("key", "4")]),
                Field::histogram((0, 0, 4), "sizes", &[1]).with_attributes(&[("key", "5")]),
            ],
        ),
    ];
    all.extend([
        bad_cell("an attribute without =", "key"),
        bad_cell("an attribute without a key", "=value"),
        bad_cell("a key with a space", "a key=value"),
        bad_cell("a key that is too long", &format!("{}=", "k".repeat(64))),
        bad_cell("a key that is there twice", "key=1\tother=2\tkey=3"),
        bad_cell("attributes that are too long", &format!("key={}", "v".repeat(4093))),
    ]);
    all
}

fn constants() -> Vec<Case> {
    let constant = |ty: &str, value: &str| Field::constant(ty, &format!("constant.{ty}"), value);
    let small = [
        ("u8", "200"),
        ("u16", "60000"),
        ("i8", "-1"),
        ("i16", "-2"),
        ("i32", "-3"),
        ("f32", "0.1"),
    ];
    vec![
        good(
            2,
            "constants",
            [
                ("text", "1.2 (größer)"),
                ("u32", "4294967295"),
                ("u64", "18446744073709551615"),
                ("bytes", "00ff10"),
                ("i64", "-9223372036854775808"),
                ("f64", "-0.125"),
                ("bool", "true"),
            ]
            .map(|(ty, value)| constant(ty, value))
            .to_vec(),
        ),
        good(2, "constants without length", vec![constant("text", ""), constant("bytes", "")]),
        good(
            2,
            "two constants of one value",
            vec![Field::constant("u64", "one", "7"), Field::constant("u64", "two", "7")],
        ),
        good(2, "a long constant", vec![constant("text", &"0123456789".repeat(500))]),
        good(
            2,
            "constants between cells",
            vec![
                Field::counter("first", "1"),
                constant("u32", "2"),
                Field::gauge("second", "3"),
                constant("text", "four"),
                Field::text(8, "third", "five"),
            ],
        ),
        good(2, "small constants", small.map(|(ty, value)| constant(ty, value)).to_vec()),
        good(
            2,
            "arrays that are constant",
            vec![
                Field::constant_array("u8", 3, "bytes", "1 2 3"),
                Field::constant_array("f64", 2, "floats", "0.5 -1"),
                Field::constant_array("u64", 1, "one", "7"),
            ],
        ),
    ]
}

fn arrays() -> Vec<Case> {
    let nine = ["-32768"; 9].join(" ");
    vec![
        good(
            2,
            "arrays",
            vec![
                Field::array("u64", 3, "numbers", "1 18446744073709551615 0"),
                Field::array("u8", 5, "small", "1 2 3 4 255"),
                Field::array("f64", 1, "one", "0.1"),
                Field::array("f32", 3, "short", "0.1 -0 1e-45"),
                Field::array("bool", 4, "flags", "true false true true"),
                Field::array("i32", 2, "none", ""),
                Field::array("i16", 9, "odd", &nine),
                Field::array("u32", 40, "four slots", &["9"; 40].join(" ")),
            ],
        ),
        good(
            2,
            "bytes",
            vec![
                Field::bytes(4, "exact", "00ff10a0"),
                Field::bytes(5, "shorter", "ff"),
                Field::bytes(3, "cut", "0102030405"),
                Field::bytes(8, "none", ""),
                Field::bytes(200, "four slots", &"5a".repeat(150)),
            ],
        ),
    ]
}

fn groups() -> Vec<Case> {
    let mixed = || {
        vec![
            Field::group("f64", "mean", "speed", "20.5"),
            Field::member("i16", "max", "gear", "-1"),
            Field::member("bool", "sum", "on", "true"),
        ]
    };
    let pair = |label: &str| {
        let (first, second) = (format!("{label}.first"), format!("{label}.second"));
        vec![Field::group("u64", "sum", &first, "1"), Field::member("u64", "sum", &second, "2")]
    };
    let wide =
        (1..12).map(|n| Field::member("i64", "sum", &format!("member.{n}"), &format!("-{n}")));
    vec![
        good(2, "a group", mixed()),
        good(2, "a group of one", vec![Field::group("u8", "sum", "alone", "200")]),
        good(2, "two groups", [pair("a"), pair("b")].concat()),
        good(
            2,
            "a group of four slots",
            [Field::group("i64", "sum", "member.0", "9")].into_iter().chain(wide).collect(),
        ),
        good(
            2,
            "groups between other fields",
            [
                vec![Field::counter("before", "1")],
                mixed(),
                vec![Field::constant("u32", "constant", "2")],
                pair("a"),
                vec![Field::text(8, "after", "abc")],
            ]
            .concat(),
        ),
    ]
}

fn journals() -> Vec<Case> {
    let many: Vec<u64> = (0..1000).map(|n| n * n).collect();
    let bounds: Vec<u64> = (0..12).flat_map(|n| [1 << n, (1 << n) + 1]).chain([0]).collect();
    vec![
        good(2, "a histogram", vec![Field::histogram((0, 0, 10), "sizes", &[2, 7])]),
        good(2, "a histogram without a value", vec![Field::histogram((0, 0, 3), "sizes", &[])]),
        good(
            2,
            "a histogram of one value",
            vec![Field::histogram((0, 3, 8), "sizes", &[u64::MAX >> 4])],
        ),
        good(2, "a histogram at its bounds", vec![Field::histogram((0, 2, 9), "sizes", &bounds)]),
        good(2, "a histogram of many values", vec![Field::histogram((0, 0, 22), "sizes", &many)]),
        good(
            2,
            "histograms of low scales",
            vec![
                Field::histogram((-1, 0, 12), "one", &many),
                Field::histogram((-2, 1, 6), "two", &bounds),
                Field::histogram((-4, 0, 4), "four", &many),
            ],
        ),
        good(
            2,
            "samples that are refused",
            vec![Field::histogram((0, 0, 64), "sizes", &[5, 1 << 60, 9, u64::MAX])],
        ),
        good(
            2,
            "ninety fields of all kinds",
            (0..90)
                .map(|n| {
                    let (label, value) = (format!("field.{n}"), n.to_string());
                    match n % 9 {
                        0 => Field::counter(&label, &value),
                        1 => Field::scalar(
                            "u16",
                            "min",
                            &label,
                            if n % 2 == 0 { "" } else { &value },
                        ),
                        2 => Field::text(5 + n, &label, &"ü".repeat(n)),
                        3 => Field::constant("u64", &label, &value),
                        4 => Field::array("u16", 3, &label, "1 2 3"),
                        5 => Field::group("u32", "sum", &label, &value),
                        6 => Field::member("i8", "sum", &label, "-9"),
                        7 => Field::histogram((0, 0, 8), &label, &[1, 2, n as u64]),
                        _ => Field::bytes(9, &label, "c0ffee"),
                    }
                })
                .collect(),
        ),
    ]
}

/// Descriptions that are wrong, or of another level.
fn refusals() -> Vec<Case> {
    let lines = |name, lines: &[u8]| bad_lines(2, name, lines);
    let value = |name, kind: &str, value: &str| {
        bad_lines(2, name, format!("{kind}\tfield\t\t\t{value}\n").as_bytes())
    };
    let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(":");
    let unknown = bad_lines(2, "an unknown kind", b"counter\tone\t\t\t1\nnothing:u8\ttwo\t\t\t2\n");
    let taken = good(2, "a name that is taken", vec![Field::counter("field", "1")]);
    vec![
        value("a counter above its type", "counter", "18446744073709551616"),
        value("a counter below zero", "counter", "-1"),
        value("a counter with a fraction", "counter", "1.5"),
        value("a counter that is no number", "counter", "many"),
        value("a counter without a value", "counter", ""),
        value("a gauge that is no number", "gauge", "half"),
        value("a gauge with more than a number", "gauge", "1,5"),
        value("a u8 above its type", "gauge:u8:sum", "256"),
        value("a u16 below zero", "gauge:u16:sum", "-1"),
        value("an i8 below its type", "gauge:i8:sum", "-129"),
        value("an i32 above its type", "gauge:i32:sum", "2147483648"),
        value("a flag that is neither true nor false", "gauge:bool:sum", "2"),
        value("bytes of half a digit", "bytes4", "abc"),
        value("bytes that are no digits", "bytes4", "xy"),
        value("bytes without capacity", "bytes0", "00"),
        value("bytes of too large a capacity", "bytes1048561", ""),
        value("an array without elements", "gauge:u8*0:sum", ""),
        value("an array that is too large", "gauge:u64*131073:sum", ""),
        value("an array of too few numbers", "gauge:u8*3:sum", "1 2"),
        value("an array of too many numbers", "gauge:u8*2:sum", "1 2 3"),
        value("an array with a number above its type", "gauge:u8*2:sum", "1 256"),
        value("a constant without a number", "constant:u32", ""),
        value("a constant above its type", "constant:u32", "4294967296"),
        value("a member without a group", "member:u8:sum", "1"),
        value("a member without a value", "group:u8:sum", ""),
        value("a state with a name that is there twice", "state:on:off:on", "0"),
        value("a state with an empty name", "state:on:", "0"),
        value("a state with a name that is too long", &format!("state:{}", "s".repeat(64)), "0"),
        value("a state of too many names", &format!("state:{}", names(1025)), "0"),
        value("a state without this number", "state:on:off", "2"),
        value("a histogram of an unknown scale", "histogram:-5:0:10", "1"),
        value("a histogram of two elements", "histogram:0:0:2", "1"),
        value("a histogram of too many elements", "histogram:0:0:65537", "1"),
        value("a histogram of no numbers", "histogram:0:0:10", "1 x"),
        lines("a line of four cells", b"counter\tfield\t\t\n"),
        lines(
            "a member after another field",
            b"group:u8:sum\ta\t\t\t1\ncounter\tb\t\t\t1\nmember:u8:sum\tc\t\t\t1\n",
        ),
        lines("a label that is not UTF-8", b"counter\tfi\xFFeld\t\t\t1\n"),
        lines("a constant that is not UTF-8", b"constant:text\tfield\t\t\t\xC3\x28\n"),
        lines("an attribute that is not UTF-8", b"counter\tfield\t\t\t1\tkey=\xED\xA0\x80\n"),
        bad(
            2,
            "a wrong line after right ones",
            &counter(|f| f.value = "1\ncounter\t\t\t\t1".to_owned()),
        ),
        Case { wanted: Wanted::NotSupported, ..unknown },
        Case { wanted: Wanted::Kept, ..taken },
    ]
}
