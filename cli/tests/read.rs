//! `show`, `ls` and `poll` on good, damaged and foreign files.

mod common;

#[cfg(unix)] // where a name may be any bytes
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
#[cfg(unix)] // for mkfifo
use std::process::Command;
use std::process::Stdio;

use mmstats_core::layout::header;
use mmstats_core::{
    Array, Blob, Constant, Counter, DataType, Events, FieldSpec, Gauge, Kind, Level, Rate, Schema,
    Text, Timer,
};
use serde_json::{Value, json};

use common::{field, fixtures, image, json, mmstats, printed, run};

/// An image with extreme values.
fn extremes(path: &Path) {
    let help = "Requests served.";
    let attributes = [("code", "200")];
    let mut schema = Schema::<16>::new();
    let max = schema
        .add(FieldSpec::counter("max").unit("requests").help(help).attributes(&attributes))
        .unwrap();
    let min = schema.add(FieldSpec::gauge("min", DataType::I64)).unwrap();
    let nan = schema.add(FieldSpec::gauge("nan", DataType::F64)).unwrap();
    let inf = schema.add(FieldSpec::gauge("inf", DataType::F32)).unwrap();
    let tenth = schema.add(FieldSpec::gauge("tenth", DataType::F32)).unwrap();
    let minus = schema.add(FieldSpec::array("array", DataType::F64, 2)).unwrap();
    let bytes = schema.add(FieldSpec::bytes("bytes", 8)).unwrap();
    let timer = schema.add(FieldSpec::timer("timer")).unwrap();
    schema.add(FieldSpec::timer("idle")).unwrap();
    schema.add(FieldSpec::gauge("absent", DataType::U8)).unwrap();
    let gone = schema.add(FieldSpec::counter("gone")).unwrap();
    schema.add(FieldSpec::info("info", Constant::U64(u64::MAX)).kind(Kind::Info)).unwrap();
    image(path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        Counter::attach(&lane, max).unwrap().set(u64::MAX);
        Gauge::<i64, _>::attach(&lane, min).unwrap().set(i64::MIN);
        Gauge::<f64, _>::attach(&lane, nan).unwrap().set(f64::NAN);
        Gauge::<f32, _>::attach(&lane, inf).unwrap().set(f32::INFINITY);
        Gauge::<f32, _>::attach(&lane, tenth).unwrap().set(0.1);
        Array::<f64, 2, _>::attach(&lane, minus).unwrap().set(&[0.5, f64::NEG_INFINITY]);
        Blob::<8, _>::attach(&lane, bytes).unwrap().set(&[0, 0xff, 0x1b]);
        Timer::attach(&lane, timer).unwrap().record_nanos(1_500_000);
        writer.retire(gone).unwrap();
    });
}

#[test]
fn json_values_are_exact() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    extremes(&path);
    let printed = run(dir.path(), &["show", "--json", path.to_str().unwrap()]);
    assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""));
    assert!(printed.out.contains("\"value\":18446744073709551615"), "{}", printed.out);
    assert!(printed.out.contains("\"value\":-9223372036854775808"), "{}", printed.out);
    let document: Value = serde_json::from_str(&printed.out).unwrap();
    let file = &document["files"][0];
    assert_eq!(file["path"], path.to_str().unwrap());
    assert_eq!((&file["format"], &file["state"]), (&json!(3), &json!("dead")));
    assert_eq!(file["instance"], "6d61646520666f72206120746573742e");
    assert_eq!(
        *field(&document, "max"),
        json!({
            "label": "max", "type": "u64", "kind": "counter", "unit": "requests",
            "help": "Requests served.", "attributes": {"code": "200"},
            "level": "info", "value": u64::MAX, "value_text": "18446744073709551615",
            "verdict": "consistent",
        })
    );
    assert_eq!(field(&document, "nan")["value"], "NaN");
    assert_eq!(field(&document, "inf")["value"], "Infinity");
    assert_eq!(field(&document, "tenth")["value"], json!(0.1));
    assert_eq!(field(&document, "array")["value"], json!([0.5, "-Infinity"]));
    assert_eq!(field(&document, "bytes")["value"], "00ff1b");
    assert_eq!(
        field(&document, "timer")["value"],
        json!({"count": 1, "sum": 1_500_000, "min": 1_500_000, "max": 1_500_000, "last": 1_500_000})
    );
    assert_eq!(
        field(&document, "idle")["value"],
        json!({"count": 0, "sum": 0, "min": null, "max": null, "last": null})
    );
    assert_eq!(field(&document, "info")["value"], u64::MAX);
    for (label, verdict) in [("absent", "absent"), ("gone", "retired")] {
        assert_eq!(field(&document, label)["value"], Value::Null);
        assert_eq!(field(&document, label)["verdict"], verdict);
    }
}

/// The labels of piped lines.
fn labels(printed: &str) -> Vec<&str> {
    printed.lines().map(|line| line.split('\t').next().unwrap()).collect()
}

#[test]
fn show_selects_fields_by_level() {
    let dir = tempfile::tempdir().unwrap();
    let mut schema = Schema::<16>::new();
    schema.add(FieldSpec::info("sys.pid", Constant::U64(7))).unwrap();
    schema.add(FieldSpec::counter("served")).unwrap();
    schema.add(FieldSpec::counter("cache.misses").level(Level::Diagnostic)).unwrap();
    schema.add(FieldSpec::counter("cache.probes").level(Level::Debug)).unwrap();
    image(&dir.path().join("x.mmst"), &schema, |_| ());
    let all = ["sys.pid", "served", "cache.misses", "cache.probes"];
    let show = |arguments: &[&str]| {
        let printed = run(dir.path(), &[&["show", "--all"], arguments].concat());
        assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""), "{arguments:?}");
        printed.out
    };
    for (arguments, want) in [
        (&[][..], &all[..2]),
        (&["--level", "info"], &all[..2]),
        (&["-L", "diagnostic"], &all[..3]),
        (&["-L", "debug"], &all),
        (&["--level=all"], &all),
        // A filter selects all levels, unless --level is given.
        (&["--filter", "cache.*"], &all[2..]),
        (&["--filter", "cache.*", "--level", "diagnostic"], &all[2..3]),
    ] {
        assert_eq!(labels(&show(arguments)), want, "{arguments:?}");
    }
    let verbose = show(&["-v"]);
    assert!(verbose.contains("u64 counter, for debug, lanes: sum"), "{verbose}");
    let levels = |arguments: &[&str]| -> Vec<String> {
        let document: Value = serde_json::from_str(&show(arguments)).unwrap();
        let fields = document["files"][0]["fields"].as_array().unwrap().clone();
        fields.iter().map(|field| field["level"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(levels(&["--json"]), ["info", "info", "diagnostic", "debug"]);
    assert_eq!(levels(&["--json", "-L", "info"]), ["info", "info"]);
    assert_eq!(run(dir.path(), &["show", "--level", "loud"]).code, Some(2));
}

/// Counts 10 a second for a minute, then 20 a second.
#[test]
fn show_prints_rate_of_each_window() {
    const MINUTE: u64 = 60_000_000_000;
    let dir = tempfile::tempdir().unwrap();
    let specs = [
        FieldSpec::counter("hits").unit("bytes"),
        FieldSpec::rate("hits.rate", 1_000, &["60", "300"]).unit("bytes"),
        FieldSpec::counter("none"),
        FieldSpec::rate("none.rate", 1_000, &["60"]),
    ];
    let mut schema = Schema::<16>::new();
    let hits = schema.add_all(&specs[..2]).unwrap();
    schema.add_all(&specs[2..]).unwrap();
    image(&dir.path().join("x.mmst"), &schema, |writer| {
        let lane = writer.lane().unwrap();
        let rate = Rate::attach(&lane, hits).unwrap();
        for second in 0..=120 {
            rate.add(if second < 60 { 10 } else { 20 }, 30 * MINUTE + second * (MINUTE / 60));
        }
    });
    let printed = run(dir.path(), &["show", "--all", "--filter", "*.rate"]);
    let (first, second) = printed.out.split_once('\n').unwrap();
    assert!(first.starts_with("hits.rate\t60=20 300=1"), "{first}");
    assert!(second.starts_with("none.rate\t-\t"), "{second}");
    let verbose = run(dir.path(), &["show", "--all", "-v"]);
    assert!(verbose.out.contains("hits.rate  20 B/s over 1m, 15 B/s over 5m\n"), "{}", verbose.out);
    for more in [&[][..], &["--lanes"]] {
        let document = json(dir.path(), &[&["show", "--all", "--json"], more].concat());
        let rates = &field(&document, "hits.rate")["value"];
        let long = rates["300"].as_f64().unwrap();
        assert!(rates["60"] == 20.0 && (long - 15.0).abs() < 1e-9, "{rates}");
        assert_eq!(field(&document, "none.rate")["value"], json!({"60": null}));
    }
}

#[test]
fn piped_show_has_tab_separated_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    extremes(&path);
    let text = path.to_str().unwrap();
    let printed = run(dir.path(), &["show", text, "--filter", "m*", "--filter", "absent"]);
    let want = format!(
        "max{{code=\"200\"}}\t18446744073709551615\trequests\t-\t{text}\n\
         min[0]\t-9223372036854775808\t\t-\t{text}\n\
         absent\t-\t\t-\t{text}\n"
    );
    // A gauge that is not summed has its lane in the name.
    assert_eq!(printed.out.replace("min\t", "min[0]\t"), want);
    let printed = run(dir.path(), &["show", text, "--lanes", "--filter", "max"]);
    assert!(printed.out.starts_with("max{code=\"200\"}[0]\t18446744073709551615\t"));
}

#[test]
fn show_includes_dead_file_if_named_or_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    extremes(&path);
    let printed = run(dir.path(), &["show"]);
    assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""));
    assert!(printed.err.contains("--all"), "{}", printed.err);
    for arguments in [&["show", "--all"][..], &["show", path.to_str().unwrap()]] {
        assert!(run(dir.path(), arguments).out.contains("18446744073709551615"));
    }
    let printed = run(dir.path(), &["ls"]);
    assert!(printed.out.contains("\tdead\t"), "{}", printed.out);
    let listed = json(dir.path(), &["ls", "--json"]);
    assert_eq!(
        (&listed["files"][0]["state"], &listed["files"][0]["fields"]),
        (&json!("dead"), &json!(12))
    );
}

#[test]
fn output_about_hostile_image_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    #[cfg(unix)] // where a name may be any bytes
    let name = std::ffi::OsStr::from_bytes(b"\x1b[2J\xff\xe2\x80\xae.mmst");
    #[cfg(windows)] // which has no names with control characters
    let name = "\u{202e}\u{9b}31m.mmst";
    let path = dir.path().join(name);
    let nasty = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n\t\u{200b}x";
    let attributes = [("k", nasty)];
    let label = format!("label{nasty}");
    let mut schema = Schema::<16>::new();
    let counter = FieldSpec::counter(&label).unit(nasty).help(nasty).attributes(&attributes);
    schema.add(counter).unwrap();
    let text = schema.add(FieldSpec::text("text", 64)).unwrap();
    let events = schema.add(FieldSpec::events(&label, 3, 64)).unwrap();
    schema.add(FieldSpec::info("sys.command", Constant::Text(nasty))).unwrap();
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        Events::<64, _>::attach(&lane, events).unwrap().record(7, nasty);
        Text::<64, _>::attach(&lane, text).unwrap().set(nasty);
    });
    for arguments in [
        &["ls"][..],
        &["ls", "--json"],
        &["show", "--all"],
        &["show", "--all", "-v"],
        &["show", "--all", "--json"],
        &["show", "--all", "--lanes"],
        &["poll", "-c1", "-d0.01", "*"],
        &["events"],
        &["events", "--json"],
        &["clean", "--dry-run"],
    ] {
        let mut command = mmstats(dir.path());
        command.args(arguments);
        if arguments[0] == "poll" {
            command.arg(&path);
        }
        let printed = printed(command.output().unwrap());
        for c in printed.out.chars().chain(printed.err.chars()) {
            let allowed = !c.is_control() || c == '\n' || c == '\t';
            let deceives = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
            assert!(allowed && !deceives, "{c:?} in {arguments:?}: {}", printed.out);
        }
        assert!(!printed.out.is_empty(), "{arguments:?}: {}", printed.err);
        if arguments.contains(&"--json") {
            serde_json::from_str::<Value>(&printed.out).unwrap();
        } else if arguments[0] == "show" {
            assert!(printed.out.contains("label\\u{1b}]0;owned\\u{7}"), "{}", printed.out);
        }
    }
    let document = json(dir.path(), &["show", "--all", "--json"]);
    assert_eq!(field(&document, "text")["value"], nasty);
    #[cfg(unix)] // where a path need not be text
    assert_eq!(document["files"][0]["path"]["bytes"].as_str().unwrap().split_at(0).0, "");
}

#[test]
fn bad_files_are_reported_and_good_ones_shown() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    extremes(&at("good.mmst"));
    let good = std::fs::read(at("good.mmst")).unwrap();
    std::fs::write(at("empty.mmst"), []).unwrap();
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n * 7919).to_le_bytes()[1]).collect();
    std::fs::write(at("random.mmst"), noise).unwrap();
    std::fs::write(at("short.mmst"), &good[..100]).unwrap();
    std::fs::write(at("cut.mmst"), &good[..good.len() - 64]).unwrap();
    let mut flipped = good.clone();
    flipped[60] ^= 1;
    std::fs::write(at("flipped.mmst"), flipped).unwrap();
    let mut building = good.clone();
    building[header::STATE as usize] = 1;
    std::fs::write(at("building.mmst"), building).unwrap();
    std::fs::File::create(at("huge.mmst")).unwrap().set_len(8 << 30).unwrap();
    std::fs::create_dir(at("directory.mmst")).unwrap();
    #[cfg_attr(windows, allow(unused_mut))] // extended on Unix
    let mut bad = vec![
        ("empty.mmst", "too-short at byte 0"),
        ("random.mmst", "bad-magic at byte 0"),
        ("short.mmst", "too-short at byte 100"),
        ("cut.mmst", "file-size at byte 52"),
        ("flipped.mmst", "header-checksum at byte 120"),
        ("building.mmst", "building at byte 128"),
        ("huge.mmst", "bad-magic at byte 0"),
        ("absent.mmst", "not-found"),
    ];
    #[cfg(unix)] // Windows has no pipes in directories, and links need a privilege
    {
        std::os::unix::fs::symlink("good.mmst", at("link.mmst")).unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe.mmst")).status().unwrap().success());
        bad.extend([("link.mmst", "not-regular"), ("pipe.mmst", "not-regular")]);
    }
    for command in ["ls", "show", "poll", "clean"] {
        for &(name, rule) in &bad {
            let path = at(name);
            // There is no room to map it.
            if name == "huge.mmst" && cfg!(target_pointer_width = "32") {
                continue;
            }
            let mut arguments = vec![command];
            if command == "poll" {
                arguments.extend(["-c1", "-d0.01", "max"]);
            }
            let good = at("good.mmst");
            arguments.push(path.to_str().unwrap());
            if command != "clean" {
                arguments.push(good.to_str().unwrap());
            }
            let printed = run(dir.path(), &arguments);
            assert_eq!(printed.code, Some(1), "{arguments:?}: {}", printed.err);
            assert!(printed.err.contains(name), "{arguments:?}: {}", printed.err);
            assert!(printed.err.contains(rule), "{arguments:?}: {}", printed.err);
            assert!(!printed.err.contains("panicked"), "{}", printed.err);
            if command != "clean" {
                let shown = if command == "poll" { "max" } else { "good.mmst" };
                assert!(printed.out.contains(shown), "{arguments:?}: {}", printed.out);
            }
            assert!(path.symlink_metadata().is_ok() == (name != "absent.mmst"));
        }
    }
    // Found, not named: reported, but no failure.
    let printed = run(dir.path(), &["show", "--all"]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert!(printed.out.contains("good.mmst"));
    // An incomplete image is not reported.
    let is_reported = |name: &str| !["building.mmst", "absent.mmst"].contains(&name);
    for (name, _) in bad.iter().filter(|(name, _)| is_reported(name)) {
        assert!(printed.err.contains(name), "{name} in {}", printed.err);
    }
    // A named directory is read; one inside a directory is refused.
    assert!(printed.err.contains("directory.mmst"), "{}", printed.err);
    // Only the dead one is removed.
    let printed = run(dir.path(), &["clean"]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert!(!at("good.mmst").exists());
    for (name, _) in bad.iter().filter(|(name, _)| *name != "absent.mmst") {
        assert!(at(name).symlink_metadata().is_ok(), "{name}");
    }
}

#[test]
fn damaged_field_is_reported_and_others_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    extremes(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    // The help of the first field.
    let at = bytes.windows(8).position(|window| window == b"Requests").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let text = path.to_str().unwrap();
    for arguments in [&["ls", text][..], &["show", text], &["poll", "-c1", "m*", text]] {
        let printed = run(dir.path(), arguments);
        assert_eq!(printed.code, Some(1), "{arguments:?}");
        assert!(
            printed.err.contains("x.mmst: field 0 is damaged (field-checksum at byte "),
            "{}",
            printed.err
        );
        assert!(!printed.out.is_empty());
    }
    let document = json(dir.path(), &["show", "--json", "--all"]);
    let fields = document["files"][0]["fields"].as_array().unwrap();
    assert_eq!((&fields[0]["label"], &fields[0]["verdict"]), (&json!(""), &json!("damaged")));
    assert_eq!(fields[0]["damage"]["code"], "field-checksum");
    assert_eq!(field(&document, "min")["value"], i64::MIN);
    // Found, not named.
    assert_eq!(run(dir.path(), &["show", "--all"]).code, Some(0));
}

#[test]
fn damaged_value_is_reported_and_others_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmst");
    let mut schema = Schema::<16>::new();
    let text = schema.add(FieldSpec::text("text", 16)).unwrap();
    let count = schema.add(FieldSpec::counter("count")).unwrap();
    image(&path, &schema, |writer| {
        let lane = writer.lane().unwrap();
        Text::<16, _>::attach(&lane, text).unwrap().set("looking for it");
        Counter::attach(&lane, count).unwrap().set(7);
    });
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|window| window == b"looking").unwrap();
    bytes[at] = 0xff;
    std::fs::write(&path, bytes).unwrap();
    let printed = run(dir.path(), &["show", path.to_str().unwrap()]);
    assert_eq!(printed.code, Some(1), "{}", printed.err);
    let message = format!("is damaged (value-utf8 at byte {at})");
    assert!(printed.err.contains(&message), "{} not in {}", message, printed.err);
    assert!(printed.out.contains("count\t7\t"), "{}", printed.out);
}

/// The expectation is the output of the original library's reader.
#[test]
fn format_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "mmstats") {
            continue;
        }
        seen += 1;
        let want: Value =
            serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        let printed = run(dir.path(), &["show", "--json", path.to_str().unwrap()]);
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        let found: Value = serde_json::from_str(&printed.out).unwrap();
        assert_eq!(found["files"][0]["format"], 1);
        let found = found["files"][0]["fields"].as_array().unwrap();
        let want = want["fields"].as_array().unwrap();
        assert_eq!(found.len(), want.len(), "{}", path.display());
        for (found, want) in found.iter().zip(want) {
            assert_eq!(found["label"], want["label"]);
            let text = want["value"].as_str().unwrap();
            match want["type"].as_str().unwrap() {
                "integer" => assert_eq!(found["value"].to_string(), text),
                "float" => {
                    let bits = u64::from_str_radix(text, 16).unwrap();
                    let want = f64::from_bits(bits);
                    match found["value"].as_f64() {
                        // Written with the digits that tell it from other f32.
                        #[allow(clippy::cast_possible_truncation)]
                        Some(value) if found["type"] == "f32" => {
                            assert_eq!(f64::from(value as f32), want);
                        }
                        Some(found) => assert_eq!(found.to_bits(), bits, "{want}"),
                        None => assert!(!want.is_finite(), "{found} is not {want}"),
                    }
                }
                "bool" => assert_eq!(found["value"].to_string(), text),
                _ => assert_eq!(found["value"], want["value"]),
            }
        }
        let listed = json(dir.path(), &["ls", "--json", path.to_str().unwrap()]);
        assert_eq!(listed["files"][0]["format"], 1);
    }
    assert_eq!(seen, 6);
}

#[test]
fn show_ends_quietly_on_broken_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let path = fixtures().join("many-pages.mmstats");
    for arguments in [&["show"][..], &["show", "--json"], &["show", "-v"]] {
        let mut child = mmstats(dir.path())
            .args(arguments)
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let printed = printed(child.wait_with_output().unwrap());
        assert_eq!((printed.code, printed.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
