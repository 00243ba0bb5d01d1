//! Programs that come, go and change, in a catalogue and encoders that are kept.

use std::collections::BTreeSet;

use mmstats_export::{Catalogue, Format, Loss, Protobuf, Target, Text};
use mmstats_observe::{
    Aggregation, DataType, EachValue, FieldInfo, Kind, Origin, OwnedValue, Properties, Reading,
    Total, Verdict,
};

struct Program {
    key: u128,
    labels: Vec<(String, String)>,
    fields: Vec<Total>,
    version: Option<u64>,
}

fn field(label: &str, kind: Kind, attributes: &str, value: OwnedValue) -> Total {
    let mut info = FieldInfo::new(label, Properties::new(DataType::U64, kind, Aggregation::Sum));
    info.attributes = attributes.into();
    info.help = "A number.".into();
    info.constant = kind == Kind::Info;
    Total::new(info, Reading::consistent(value))
}

fn each(lanes: &[u32]) -> OwnedValue {
    let value = |lane: &u32| EachValue {
        origin: Origin { lane: Some(*lane), ..Origin::default() },
        value: Some(OwnedValue::Unsigned(u128::from(*lane) + 1)),
        verdict: Verdict::Consistent,
    };
    OwnedValue::Each(lanes.iter().map(value).collect())
}

impl Program {
    /// A program of an executable; `n` makes its values out.
    fn new(key: u128, executable: &str, n: u32) -> Self {
        let number = |n: u32| OwnedValue::Unsigned(n.into());
        let text = OwnedValue::Text { text: format!("host-{}", n % 3), cut: false };
        let lanes: Vec<u32> = (0..n % 4).collect();
        let mut fields = vec![
            field("requests", Kind::Counter, "", number(n)),
            field("load", Kind::Gauge, "", number(n * 2)),
            field("sys.host", Kind::Info, "", text),
            field("queue", Kind::Gauge, "", each(&lanes)),
        ];
        match executable {
            "web" | "later" => {
                for code in ["200", "404"] {
                    fields.push(field("codes", Kind::Counter, &format!("code={code}"), number(n)));
                }
                // A later version: the same names.
                let is_later = executable == "later";
                let list = OwnedValue::Array(vec![number(n); if is_later { 3 } else { 2 }]);
                fields.push(field("list", Kind::Gauge, "", list));
                fields[1].field.unit = if is_later { "bytes" } else { "" }.to_owned();
            }
            // Other fields under the same names: the first program says what they are.
            "job" => {
                fields.push(field("codes", Kind::Gauge, "", number(n)));
                fields.push(field("load-", Kind::Gauge, "", number(1)));
                fields.push(field("load_", Kind::Gauge, "", number(2)));
            }
            _ => {}
        }
        let labels = vec![
            ("command".to_owned(), executable.to_owned()),
            ("pid".to_owned(), key.to_string()),
        ];
        Self { key, labels, fields, version: None }
    }

    fn target(&self) -> Target<'_> {
        let mut target = Target::new(self.key, &self.labels, &self.fields);
        target.created = Some(1_000.5);
        target.version = self.version;
        target
    }
}

/// What is kept from one scrape to the next.
struct Kept {
    catalogue: Catalogue,
    texts: [Text; 2],
    protobuf: Protobuf,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            catalogue: Catalogue::new(),
            texts: [Text::new(Format::OpenMetrics), Text::new(Format::Prometheus)],
            protobuf: Protobuf::new(),
        }
    }
}

impl Kept {
    fn scrape(&mut self, programs: &[Program]) -> (Vec<String>, Vec<u8>) {
        let targets: Vec<Target<'_>> = programs.iter().map(Program::target).collect();
        self.catalogue.update(&targets);
        let mut texts = Vec::new();
        for text in &mut self.texts {
            let (mut whole, mut parts) = (String::new(), String::new());
            text.encode(&self.catalogue, &targets, &mut whole);
            text.encode_parts(&self.catalogue, &targets, |part| parts.push_str(part));
            assert!(whole == parts, "parts differ");
            texts.push(whole);
        }
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        self.protobuf.encode(&self.catalogue, &targets, &mut whole);
        self.protobuf.encode_parts(&self.catalogue, &targets, |part| parts.extend_from_slice(part));
        assert!(whole == parts, "parts differ");
        (texts, whole)
    }
}

#[test]
fn kept_catalogue_has_what_a_new_one_has() {
    let executables = ["web", "job", "later", "other"];
    let mut programs: Vec<Program> = Vec::new();
    let mut kept = Kept::default();
    let mut next = 1;
    for step in 0..60_u32 {
        // They come, go and change.
        for _ in 0..step % 3 + 1 {
            let executable = executables[next as usize % executables.len()];
            programs.push(Program::new(next, executable, step));
            next += 1;
        }
        if step % 4 == 3 {
            programs.remove(step as usize % programs.len());
        }
        let len = programs.len();
        if let Some(program) = programs.get_mut(step as usize * 7 % len) {
            let executable = program.labels[0].1.clone();
            *program = Program::new(program.key, &executable, step + 1);
            program.version = (step % 2 == 0).then(|| u64::from(step) + 1);
        }
        if step % 5 == 4 {
            programs.swap(0, len - 1);
        }
        let (found, wanted) = (kept.scrape(&programs), Kept::default().scrape(&programs));
        assert!(found == wanted, "step {step}");
        let mut new = Catalogue::new();
        new.update(&programs.iter().map(Program::target).collect::<Vec<_>>());
        let (losses, wanted) = (kept.catalogue.losses(), new.losses());
        assert_eq!(losses.iter().collect::<Vec<_>>(), wanted.iter().collect::<Vec<_>>());
        assert_eq!(losses.collisions(), wanted.collisions());
    }
}

#[test]
fn programs_have_the_samples_that_each_has_alone() {
    let executable = |n: u32| ["web", "later"][n as usize % 2];
    let programs: Vec<Program> =
        (0..20_u32).map(|n| Program::new(n.into(), executable(n), n)).collect();
    let mut all = BTreeSet::new();
    for program in programs.chunks(1) {
        let samples = Kept::default().scrape(program).0.remove(0);
        all.extend(samples.lines().filter(|line| is_sample(line)).map(str::to_owned));
    }
    let text = Kept::default().scrape(&programs).0.remove(0);
    let found: BTreeSet<String> =
        text.lines().filter(|line| is_sample(line)).map(str::to_owned).collect();
    assert_eq!(found, all);
    // Counters with start times, gauges, elements, a text and lanes.
    assert_eq!(found.len(), 20 * (6 + 1 + 1 + 4) + 10 * (2 + 3) + 5 * (1 + 2 + 3));
}

/// Whether it is a sample of a program.
fn is_sample(line: &str) -> bool {
    !line.starts_with('#') && line.contains("pid=")
}

#[test]
fn collisions_are_counted_for_each_program() {
    let programs =
        [Program::new(1, "web", 1), Program::new(2, "job", 2), Program::new(3, "job", 3)];
    let mut catalogue = Catalogue::new();
    catalogue.update(&programs.iter().map(Program::target).collect::<Vec<_>>());
    // The gauge `codes`, and `load_` beside `load-`.
    let collisions = catalogue.losses().iter().find(|(loss, _)| *loss == Loss::Collision);
    assert_eq!(collisions, Some((Loss::Collision, 4)), "{:?}", catalogue.losses().collisions());
    assert_eq!(catalogue.losses().collisions().len(), 4);
}
