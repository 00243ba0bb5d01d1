//! An observer reads back each attribute of the derive macros; a schema built by calls makes the
//! same file.

use std::path::Path;

use mmstats::{
    Aggregation, Array, Blob, Counter, FieldOptions, Flag, Gauge, Group, Info, Kind, Lane, Level,
    Options, Publisher, Record, Schema, Stats, Text, Timer,
};
use mmstats_observe::{File, Observer, OwnedValue, Sources};

/// The descriptor of a field, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    label: String,
    shape: String,
    kind: &'static str,
    unit: String,
    help: String,
    attributes: Vec<(String, String)>,
    aggregation: Aggregation,
    level: &'static str,
    constant: bool,
    optional: bool,
}

fn known(path: &Path) -> Vec<Known> {
    let observer = look(path);
    let fields = observer.files()[0].fields();
    fields
        .filter(|field| !field.label().starts_with("sys."))
        .map(|field| Known {
            label: field.label().to_owned(),
            shape: field.shape().to_string(),
            kind: field.kind_name(),
            unit: field.unit().to_owned(),
            help: field.help().to_owned(),
            attributes: field.attributes().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            aggregation: field.properties().aggregation(),
            level: match field.properties().level() {
                Level::Info => "info",
                Level::Diagnostic => "diagnostic",
                Level::Debug => "debug",
            },
            constant: field.is_constant(),
            optional: field.properties().is_optional(),
        })
        .collect()
}

fn look(path: &Path) -> Observer {
    let mut observer = Observer::new(Sources::new().path(path));
    observer.refresh();
    assert_eq!(observer.files().len(), 1);
    observer
}

fn in_lane_0(file: &File, label: &str) -> Option<OwnedValue> {
    let field = file.find(label).unwrap_or_else(|| panic!("no {label}"));
    let reading = file.lane_values(0).swap_remove(field.index());
    reading.value.map(|value| value.only().clone())
}

impl Known {
    /// The descriptor of a handle without attributes.
    fn new(label: &str, shape: &str, kind: &'static str) -> Self {
        Self {
            label: label.to_owned(),
            shape: shape.to_owned(),
            kind,
            unit: String::new(),
            help: String::new(),
            attributes: Vec::new(),
            aggregation: Aggregation::Sum,
            level: "info",
            constant: false,
            optional: true,
        }
    }

    fn counts(self) -> Self {
        Self { optional: false, ..self }
    }

    fn each(self) -> Self {
        Self { aggregation: Aggregation::Each, ..self }
    }

    fn help(self, help: &str) -> Self {
        Self { help: help.to_owned(), ..self }
    }

    fn unit(self, unit: &str) -> Self {
        Self { unit: unit.to_owned(), ..self }
    }
}

fn publish<S: Stats>(directory: &Path) -> Publisher<S> {
    Options::new().directory(directory).start().unwrap()
}

#[test]
fn derive_handles_without_attributes() {
    #[derive(Stats)]
    #[allow(dead_code)]
    struct Plain {
        counter: Counter,
        byte: Gauge<u8>,
        ratio: Gauge<f32>,
        flag: Flag,
        text: Text<17>,
        blob: Blob<9>,
        array: Array<i16, 3>,
        timer: Timer,
        r#type: Gauge<u64>,
        info: Info,
    }
    let directory = tempfile::tempdir().unwrap();
    let _publisher: Publisher<Plain> = publish(directory.path());
    let info = Known { constant: true, optional: false, ..Known::new("info", "text", "info") };
    let want = [
        Known::new("counter", "u64", "counter").counts(),
        Known::new("byte", "u8", "gauge"),
        Known::new("ratio", "f32", "gauge"),
        Known::new("flag", "bool", "gauge"),
        Known::new("text", "text", "gauge").each(),
        Known::new("blob", "bytes", "gauge").each(),
        Known::new("array", "i16[3]", "gauge"),
        Known::new("timer", "u64[5]", "timer").counts().unit("nanoseconds"),
        Known::new("type", "u64", "gauge"),
        info.each(),
    ];
    assert_eq!(known(directory.path()), want);
}

/// A struct with every attribute.
#[derive(Stats)]
#[stats(prefix = "web")]
#[allow(dead_code)]
struct Web {
    /// Requests served,
    /// whatever the answer.
    ///
    /// A second paragraph:   with spaces, "quotes" and <b>ümläuts</b>.
    ///
    requests: Counter,
    #[stats(label = "bytes.sent", unit = "bytes", help = "Not the comment.")]
    /// This is not shown.
    sent: Counter,
    #[stats(attributes(method = "GET", "http.code" = "200"))]
    #[stats(aggregation = "max", level = "debug")]
    worst: Gauge<u64>,
    #[stats(
        label = "worst",
        attributes(method = "POST"),
        aggregation = "min",
        level = "diagnostic"
    )]
    best: Gauge<u64>,
    #[stats(aggregation = "mean", level = "info", unit = "ratio")]
    load: Gauge<f64>,
    #[stats(aggregation = "each")]
    r#loop: Gauge<i8>,
    /// Inner.
    #[stats(nested)]
    pool: Pool,
    #[stats(nested, label = "second.pool")]
    other: Pool,
    #[stats(nested)]
    bare: Bare,
}

#[derive(Stats)]
#[allow(dead_code)]
struct Bare {
    x: Flag,
}

#[derive(Stats)]
#[stats(prefix = "threads")]
#[allow(dead_code)]
struct Pool {
    /// Busy ones.
    busy: Gauge<u16>,
}

#[test]
fn derive_attributes_are_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let _publisher: Publisher<Web> = publish(directory.path());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let requests = "Requests served, whatever the answer.\nA second paragraph:   with spaces, \
                    \"quotes\" and <b>ümläuts</b>.";
    let want = [
        Known::new("web.requests", "u64", "counter").counts().help(requests),
        Known::new("web.bytes.sent", "u64", "counter")
            .counts()
            .unit("bytes")
            .help("Not the comment."),
        Known {
            attributes: vec![pair("method", "GET"), pair("http.code", "200")],
            aggregation: Aggregation::Max,
            level: "debug",
            ..Known::new("web.worst", "u64", "gauge")
        },
        Known {
            attributes: vec![pair("method", "POST")],
            aggregation: Aggregation::Min,
            level: "diagnostic",
            ..Known::new("web.worst", "u64", "gauge")
        },
        Known {
            aggregation: Aggregation::Mean,
            ..Known::new("web.load", "f64", "gauge").unit("ratio")
        },
        Known::new("web.loop", "i8", "gauge").each(),
        Known::new("web.pool.threads.busy", "u16", "gauge").help("Busy ones."),
        Known::new("web.second.pool.threads.busy", "u16", "gauge").help("Busy ones."),
        Known::new("web.bare.x", "bool", "gauge"),
    ];
    assert_eq!(known(directory.path()), want);
}

#[test]
fn derive_constants_of_each_type() {
    const LIMIT: u64 = u64::MAX;
    #[derive(Stats)]
    #[allow(dead_code)]
    struct Build {
        #[stats(value = env!("CARGO_PKG_NAME"))]
        name: Info,
        #[stats(value = 4_000_000_000_u32, unit = "bytes")]
        small: Info,
        #[stats(value = LIMIT)]
        large: Info,
        #[stats(value = i64::MIN)]
        negative: Info,
        #[stats(value = -1)]
        plain: Info,
        #[stats(value = 0.1 + 0.2)]
        float: Info,
        #[stats(value = cfg!(unix))] // any condition
        unix: Info,
        #[stats(value = format!("{}-{}", "a", 1))]
        owned: Info,
        /// Without one.
        empty: Info,
    }
    let directory = tempfile::tempdir().unwrap();
    let publisher: Publisher<Build> = publish(directory.path());
    let observer = look(directory.path());
    let file = &observer.files()[0];
    let text = |text: &str| OwnedValue::Text { text: text.to_owned(), cut: false };
    // Without a lane.
    for (label, want, shape) in [
        ("name", text("mmstats"), "text"),
        ("small", OwnedValue::Unsigned(4_000_000_000), "u32"),
        ("large", OwnedValue::Unsigned(u64::MAX.into()), "u64"),
        ("negative", OwnedValue::Signed(i64::MIN.into()), "i64"),
        ("plain", OwnedValue::Signed(-1), "i64"),
        ("float", OwnedValue::F64(0.1 + 0.2), "f64"),
        ("unix", OwnedValue::Bool(cfg!(unix)), "bool"), // the same condition
        ("owned", text("a-1"), "text"),
        ("empty", text(""), "text"),
    ] {
        let field = file.find(label).unwrap();
        assert_eq!(
            (field.shape().to_string().as_str(), field.properties().kind()),
            (shape, Some(Kind::Info))
        );
        assert!(field.is_constant(), "{label}");
        assert_eq!(file.value(field.index()).value.unwrap().only(), &want, "{label}");
    }
    drop(publisher);
}

#[derive(Debug, Clone, Copy, Record)]
struct Totals {
    /// Requests.
    #[stats(counter)]
    requests: u64,
    #[stats(counter, unit = "bytes", label = "sent")]
    bytes: u32,
    /// Of the last minute,
    /// in all.
    #[stats(aggregation = "mean", level = "diagnostic", unit = "ratio")]
    r#final: f64,
    negative: i16,
    up: bool,
}

/// Each member of a group is a field, also counters.
#[test]
fn derive_record_members_are_fields() {
    #[derive(Stats)]
    struct Grouped {
        before: Counter,
        /// Not a field.
        #[stats(attributes(zone = "eu"))]
        totals: Group<Totals>,
        after: Counter,
    }
    let directory = tempfile::tempdir().unwrap();
    let publisher: Publisher<Grouped> = publish(directory.path());
    let stats = publisher.lane().unwrap();
    let attributes = vec![("zone".to_owned(), "eu".to_owned())];
    let member = |label: &str, shape: &str, kind| Known {
        attributes: attributes.clone(),
        ..Known::new(label, shape, kind)
    };
    let fields = known(directory.path());
    assert_eq!(fields.len(), 7);
    let want = [
        member("totals.requests", "u64", "counter").help("Requests."),
        member("totals.sent", "u32", "counter").unit("bytes"),
        Known {
            aggregation: Aggregation::Mean,
            level: "diagnostic",
            ..member("totals.final", "f64", "gauge")
                .unit("ratio")
                .help("Of the last minute, in all.")
        },
        member("totals.negative", "i16", "gauge"),
        member("totals.up", "bool", "gauge"),
    ];
    assert_eq!(fields[1..6], want);

    let values = |path: &Path| {
        let observer = look(path);
        let file = &observer.files()[0];
        ["requests", "sent", "final", "negative", "up"]
            .map(|label| in_lane_0(file, &format!("totals.{label}")))
    };
    assert_eq!(values(directory.path()), [const { None }; 5], "nothing was set");
    stats.before.incr();
    stats.after.add(2);
    let totals = Totals { requests: u64::MAX, bytes: 7, r#final: -0.5, negative: -300, up: true };
    stats.totals.set(&totals);
    let want = [
        OwnedValue::Unsigned(u64::MAX.into()),
        OwnedValue::Unsigned(7),
        OwnedValue::F64(-0.5),
        OwnedValue::Signed(-300),
        OwnedValue::Bool(true),
    ];
    assert_eq!(values(directory.path()), want.map(Some));
    // The fields around the group are not moved.
    let observer = look(directory.path());
    let file = &observer.files()[0];
    assert_eq!(in_lane_0(file, "before"), Some(OwnedValue::Unsigned(1)));
    assert_eq!(in_lane_0(file, "after"), Some(OwnedValue::Unsigned(2)));
}

/// A schema of calls and a struct with attributes make the same fields in the same places.
#[test]
fn derive_and_schema_make_same_file() {
    #[derive(Stats)]
    #[stats(prefix = "p")]
    #[allow(dead_code)]
    struct Derived {
        /// Served.
        #[stats(unit = "requests", attributes(code = "200"))]
        requests: Counter,
        #[stats(aggregation = "max", level = "debug")]
        depth: Gauge<i32>,
        doing: Text<40>,
        #[stats(unit = "seconds")]
        latency: Timer,
        totals: Group<Totals>,
        buckets: Array<u32, 12>,
        #[stats(value = "1.2")]
        version: Info,
    }
    let derived = tempfile::tempdir().unwrap();
    let _derived: Publisher<Derived> = publish(derived.path());

    let mut schema = Schema::new();
    fn new<H>() -> FieldOptions<H> {
        FieldOptions::new()
    }
    let options = new().help("Served.").unit("requests").attribute("code", "200");
    let requests = schema.add::<Counter>("p.requests", options);
    schema.add::<Gauge<i32>>("p.depth", new().aggregation(Aggregation::Max).level(Level::Debug));
    schema.add::<Text<40>>("p.doing", new());
    schema.add::<Timer>("p.latency", new().unit("seconds"));
    let totals = schema.add::<Group<Totals>>("p.totals", new());
    schema.add::<Array<u32, 12>>("p.buckets", new());
    schema.add::<Info>("p.version", new().value("1.2"));
    assert_eq!(schema.len(), 11);
    let procedural = tempfile::tempdir().unwrap();
    let options = Options::new().directory(procedural.path()).schema(schema);
    let publisher = options.start::<Lane>().unwrap();

    assert_eq!(known(derived.path()), known(procedural.path()));
    // Descriptors and strings, byte by byte; the constants of the process come after them.
    let bytes = |path: &Path| {
        let file = std::fs::read_dir(path).unwrap().next().unwrap().unwrap().path();
        std::fs::read(file).unwrap()
    };
    let (a, b) = (bytes(derived.path()), bytes(procedural.path()));
    assert_eq!(a.len(), b.len());
    // FORMAT.md section 2: the descriptors begin at 192 and have 64 bytes each.
    let descriptors = 192..192 + 11 * 64;
    assert!(a[descriptors.clone()] == b[descriptors], "the descriptors differ");

    let lane = publisher.lane().unwrap();
    lane.attach(requests).unwrap().add(3);
    let totals = lane.attach(totals).unwrap();
    totals.set(&Totals { requests: 1, bytes: 2, r#final: 3.0, negative: 4, up: false });
    let observer = look(procedural.path());
    assert_eq!(in_lane_0(&observer.files()[0], "p.requests"), Some(OwnedValue::Unsigned(3)));
    assert_eq!(in_lane_0(&observer.files()[0], "p.totals.sent"), Some(OwnedValue::Unsigned(2)));
}

/// A key of another publisher that does not fit is refused; none writes to another field.
#[test]
fn attach_key_of_other_schema_is_refused() {
    let mut schema = Schema::new();
    schema.add::<Text<8>>("text", FieldOptions::new());
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().directory(directory.path()).schema(schema);
    let publisher = options.without_system_fields().start::<Lane>().unwrap();
    let lane = publisher.lane().unwrap();

    let mut other = Schema::new();
    let counter = other.add::<Counter>("counter", FieldOptions::new());
    let beyond = other.add::<Counter>("beyond", FieldOptions::new());
    assert!(lane.attach(counter).unwrap_err().to_string().contains("type text"));
    assert!(lane.attach(beyond).unwrap_err().to_string().contains("there is no field 1"));
    let mut other = Schema::new();
    let longer = other.add::<Text<16>>("text", FieldOptions::new());
    assert!(lane.attach(longer).unwrap_err().to_string().contains("8"));
}
