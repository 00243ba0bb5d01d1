//! The command of CONFORMANCE.md around `mmstats-core`.
#![forbid(unsafe_code)]

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // as above
use mmstats_windows as backend;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use mmstats_core::read::{
    Cursor, Field, HeapStr, Image, ImageState, Lane, LaneState, Scalar, Table, Value, Verdict,
    constant, parse_attributes,
};
use mmstats_core::{DataType, Kind, Level, Source, Storage, View};
use serde_json::{Map, Value as Json, json};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (times, path) = match arguments.as_slice() {
        [path] => (1, path),
        [repeat, times, path] if repeat == "--repeat" => (times.parse().unwrap_or(1), path),
        _ => {
            eprintln!("usage: conform-reader [--repeat N] FILE");
            return ExitCode::from(3);
        }
    };
    match run(Path::new(path), times) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(Unread::Refused(code))) => {
            println!("{}", json!({ "refused": code }));
            ExitCode::from(1)
        }
        Ok(Some(Unread::Unsettled)) => {
            eprintln!("room of fields was used again during each look");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

/// Why there is no document.
enum Unread {
    /// The code of the refusal.
    Refused(&'static str),
    /// Room of retired fields was used again during each look.
    Unsettled,
}

/// Prints the documents.
fn run(path: &Path, times: u32) -> Result<Option<Unread>, Box<dyn std::error::Error>> {
    // A file too short for an image is not mapped.
    if std::fs::metadata(path)?.len() < 192 {
        let bytes = std::fs::read(path)?;
        return Ok(print(&bytes[..], times));
    }
    let opened = backend::open(path)?;
    Ok(print(View::new(Arc::clone(opened.mapping()))?, times))
}

fn print<S: Source>(source: S, times: u32) -> Option<Unread> {
    for _ in 0..times {
        match look(&source) {
            Ok(document) => println!("{document}"),
            Err(unread) => return Some(unread),
        }
    }
    None
}

/// A document of one moment of the descriptions: PROTOCOL.md section 5.2.
fn look<S: Source>(source: &S) -> Result<Json, Unread> {
    for _ in 0..16 {
        let image = Image::open(source).map_err(|refusal| Unread::Refused(refusal.code()))?;
        let before = image.reuses();
        let document = document(&image);
        if !image.header().reused_since(image.source(), before) {
            return Ok(document);
        }
        // The writer comes to an end meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Err(Unread::Unsettled)
}

fn document<S: Source>(image: &Image<S>) -> Json {
    let (header, source) = (image.header(), image.source());
    let state = match image.state() {
        Ok(ImageState::Closed) => "closed",
        _ => "live",
    };
    let instance: String = header.instance().iter().map(|b| format!("{b:02x}")).collect();
    let lanes = 0..header.lanes_used(source).unwrap_or(0);
    let state_of = |lane| match Lane::open(source, header, lane) {
        Verdict::Consistent(lane) if lane.state() == LaneState::Owned => "owned",
        Verdict::Consistent(_) => "returned",
        Verdict::Absent => "never",
        _ => "damaged",
    };
    let states: Vec<&str> = lanes.clone().map(state_of).collect();
    let mut fields = Vec::new();
    let mut cursor = Cursor::new();
    while let Some((_, field)) = image.next_field(&mut cursor) {
        fields.push(match field {
            Ok(field) => self::field(image, &field, lanes.clone()),
            Err(error) => json!({ "damaged": error.code() }),
        });
    }
    json!({
        "format": format!("3.{}", header.minor()),
        "state": state,
        "instance": instance,
        "part": header.part().to_string(),
        "lanes": states,
        "fields": fields,
    })
}

fn field<S: Source>(image: &Image<S>, field: &Field, lanes: std::ops::Range<u32>) -> Json {
    let source = image.source();
    let text = |string: HeapStr| {
        let mut out = vec![0; 4096];
        string.read(source, &mut out).to_owned()
    };
    let attributes: Map<String, Json> = parse_attributes(&text(field.attributes()))
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    let detail = text(field.detail());
    let detail: Vec<&str> = if detail.is_empty() { vec![] } else { detail.split('\0').collect() };
    let properties = field.properties();
    let unknown = "unknown";
    let known_rule =
        mmstats_core::Aggregation::ALL.iter().find(|r| r.code() == properties.aggregation_code());
    let mut out = json!({
        "label": text(field.label()), "unit": text(field.unit()), "help": text(field.help()),
        "attributes": attributes,
        "type": field.ty().map_or(unknown, DataType::name),
        "kind": field.kind().map_or(unknown, Kind::name),
        "aggregation": known_rule.map_or(unknown, |rule| rule.name()),
        "storage": field.storage().map_or(unknown, Storage::name),
        "level": level(field.properties().level()),
        "count": field.count().to_string(), "param": field.properties().param().to_string(), "detail": detail,
    });
    if field.retired(source) {
        out["retired"] = json!(true);
    } else if let (Some(_), Some(storage)) = (field.ty(), field.storage()) {
        let mut buffer = vec![0; field.buffer_size().max(field.slot_size() as usize)];
        if storage == Storage::Constant {
            out["value"] = verdict(constant(source, field, &mut buffer), |v| value(field, v));
        } else {
            out["lanes"] = lanes.map(|lane| in_lane(image, field, lane, &mut buffer)).collect();
        }
    }
    out
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Diagnostic => "diagnostic",
        _ => "debug",
    }
}

fn in_lane<S: Source>(image: &Image<S>, field: &Field, lane: u32, buffer: &mut [u8]) -> Json {
    let source = image.source();
    let lane = match image.lane(lane) {
        Verdict::Consistent(lane) => lane,
        other => return verdict(other, |_| Json::Null),
    };
    match field.storage() {
        Some(Storage::Journal) => {
            let read = lane.read_journal(source, field, buffer);
            verdict(read, |journal| {
                let elements: Vec<String> = journal.elements().iter().map(number).collect();
                let words =
                    (2..field.slot_size() as usize / 8).map(|i| journal.word(i).to_string());
                let words: Vec<String> = words.collect();
                json!({ "u64": elements, "total": journal.word(0).to_string(), "words": words })
            })
        }
        Some(Storage::Table) => verdict(lane.read_table(source, field, buffer), table),
        // Of a ring the newest value, whatever the kind.
        Some(Storage::Latched) if !lane.has(source, field) => json!({ "verdict": "absent" }),
        Some(Storage::Latched) => {
            let slot = lane.read_slot(source, field, buffer);
            verdict(slot.and_then(|slot| slot.value(field)), |v| value(field, v))
        }
        _ => verdict(lane.scalar(source, field).map(Value::from), |v| value(field, v)),
    }
}

fn table(table: Table<'_>) -> Json {
    let rows = table.rows().map(|(number, row)| {
        let mut out = verdict(row, |row| {
            let since = row.since().unwrap_or(0).to_string();
            let (number, text, cut) = (row.number().to_string(), row.text(), row.cut());
            json!({ "since": since, "number": number, "text": text, "cut": cut })
        });
        out["row"] = json!(number.to_string());
        out
    });
    let rows: Vec<Json> = rows.collect();
    // `None` only on machines of 32 bits, for an image that may change: a test of files has neither.
    let refused = table.refused().expect("a count of 64 bits");
    json!({ "rows": rows, "refused": refused.to_string() })
}

fn verdict<T>(verdict: Verdict<T>, show: impl FnOnce(T) -> Json) -> Json {
    match verdict {
        Verdict::Consistent(value) => show(value),
        Verdict::Contended => json!({ "verdict": "contended" }),
        Verdict::Damaged(error) => json!({ "verdict": "damaged", "code": error.code() }),
        _ => json!({ "verdict": "absent" }),
    }
}

fn value(field: &Field, value: Value<'_>) -> Json {
    let name = field.ty().map_or("unknown", DataType::name);
    let one = |scalar| json!({ name: number(scalar) });
    match value {
        Value::U64(v) => one(Scalar::U64(v)),
        Value::I64(v) => one(Scalar::I64(v)),
        Value::F32(v) => one(Scalar::F32(v)),
        Value::F64(v) => one(Scalar::F64(v)),
        Value::Bool(v) => one(Scalar::Bool(v)),
        Value::Text { text, cut } => json!({ name: text, "cut": cut }),
        Value::Bytes { bytes, cut } => {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            json!({ name: hex, "cut": cut })
        }
        Value::Array(array) => json!({ name: array.iter().map(number).collect::<Vec<_>>() }),
        Value::Histogram(_) | Value::Window(_) | Value::Table(_) => {
            json!({ "verdict": "computed" })
        }
    }
}

fn number(scalar: Scalar) -> String {
    match scalar {
        Scalar::U64(v) => v.to_string(),
        Scalar::I64(v) => v.to_string(),
        Scalar::F32(v) => format!("{:08x}", v.to_bits()),
        Scalar::F64(v) => format!("{:016x}", v.to_bits()),
        Scalar::Bool(v) => v.to_string(),
    }
}
