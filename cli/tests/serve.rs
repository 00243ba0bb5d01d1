//! What `mmstats serve` answers, against what programs published.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mmstats::{Counter, Events, Family, Gauge, Histogram, Lane, Options, Publisher, Stats};
use serde_json::{Value, json};

use common::http::{Server, until};
use common::schema::Schema;
use common::{PATIENCE, Publisher as Demo, json as output, mmstats, wait_for};

#[derive(Stats)]
struct Web {
    /// Requests served.
    hits: Counter,
    #[allow(dead_code)] // It does not change.
    idle: Counter,
    #[stats(unit = "bytes")]
    size: Gauge<u64>,
    #[stats(labels("status"))]
    answers: Family<Counter, 1>,
    #[stats(unit = "seconds", error = 0.05, range(0.001, 60.0))]
    took: Histogram<f64>,
    log: Events<64>,
}

fn publish(directory: &std::path::Path) -> Publisher<Web> {
    Options::new().directory(directory).name("web").start().unwrap()
}

/// The values of the events of a program, one after the other.
fn values<'e>(event: &'e common::http::Event, field: &str) -> Option<&'e Value> {
    event.data["values"].get(field).filter(|_| event.name == "values")
}

#[test]
fn stream_has_each_change_once_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let web = publish(dir.path());
    let stats = web.lane().unwrap();
    stats.hits.add(5);
    let server = Server::start(dir.path());
    let id = server.id();
    let mut stream = server.stream(&format!("program={id}&fields=hits"));
    assert!(stream.head.contains("text/event-stream"), "{}", stream.head);
    // First all.
    let first = stream.find(|event| (event.name == "values").then(|| event.data.clone()));
    assert_eq!(first["program"], id.as_str());
    assert_eq!(first["values"]["hits"]["value"], 5);
    assert_eq!(first["values"]["hits"]["verdict"], "consistent");
    assert_eq!(first["values"]["idle"]["value"], 0);
    assert_eq!(first["values"]["size"]["verdict"], "absent");
    // Until the rates of the start are over: the second look at all fields.
    stream.find(|event| {
        let rate = &values(event, "idle")?["rate"];
        (rate.as_f64()? == 0.0).then_some(())
    });
    let start = Instant::now();
    stats.hits.add(2);
    stream.find(|event| (values(event, "hits")?["value"] == 7).then_some(()));
    assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());
    // A field that is looked at ten times a second.
    let mut seen = Vec::new();
    let writer = std::thread::spawn({
        let web = web.clone();
        move || {
            let stats = web.lane().unwrap();
            for _ in 0..100 {
                stats.hits.add(1);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    stream.find(|event| {
        let all = event.data["values"].as_object().filter(|_| event.name == "values")?;
        assert!(!all.contains_key("idle") && !all.contains_key("size"), "{all:?}");
        let hits = all.get("hits")?["value"].as_u64().unwrap();
        seen.push(hits);
        (hits == 107).then_some(())
    });
    writer.join().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "{seen:?}");
    let mut distinct = seen.clone();
    distinct.dedup();
    assert!(distinct.len() >= 10, "{seen:?}");
}

#[test]
fn stream_has_lines_states_and_new_programs() {
    let dir = tempfile::tempdir().unwrap();
    let web = publish(dir.path());
    let server = Server::start(dir.path());
    let id = server.id();
    let mut stream = server.stream(&format!("home=1&program={id}"));
    let home = stream.find(|event| (event.name == "home").then(|| event.data.clone()));
    assert_eq!(home["programs"].as_array().unwrap().len(), 1);
    assert_eq!(home["problems"], json!([]));
    let state = stream.find(|event| (event.name == "state").then(|| event.data.clone()));
    assert_eq!((&state["state"], &state["gone"]), (&json!("live"), &json!(false)));
    web.lane().unwrap().log.record("one <b>");
    web.lane().unwrap().log.record("two");
    let mut lines: Vec<String> = Vec::new();
    stream.find(|event| {
        for line in event.data["lines"].as_array().filter(|_| event.name == "lines")? {
            lines.push(line["text"].as_str().unwrap().to_owned());
        }
        (lines.len() >= 2).then_some(())
    });
    assert_eq!(lines, ["one <b>", "two"]);
    let other = publish(dir.path());
    let added = stream.find(|event| {
        let programs = event.data["programs"].as_array().filter(|_| event.name == "home")?;
        programs.iter().find(|program| program["id"] != id.as_str()).cloned()
    });
    assert_eq!(added["command"], "web");
    drop(other);
    drop(web);
    let state = stream.find(|event| {
        let is_over = event.name == "state" && event.data["gone"] == true;
        is_over.then(|| event.data.clone())
    });
    assert!(state["died"].is_f64(), "{state}");
}

#[test]
fn slow_reader_gets_the_last_values_and_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let web = publish(dir.path());
    let stats = web.lane().unwrap();
    for status in 0..500 {
        stats.answers.get(&[&format!("{}-{status}", "x".repeat(200))]).add(1);
    }
    let server = Server::start(dir.path());
    let query = format!("program={}", server.id());
    until("all fields are there", || server.program()["fields"].as_u64().unwrap() > 500);
    let mut slow = server.stream(&query);
    let mut quick = server.stream(&query);
    let start = Instant::now();
    // Megabytes of events, more than the buffers of a connection.
    let mut count = 1;
    while start.elapsed() < Duration::from_secs(6) {
        count += 1;
        for status in 0..500 {
            stats.answers.get(&[&format!("{}-{status}", "x".repeat(200))]).add(1);
        }
        stats.hits.add(1);
        std::thread::sleep(Duration::from_millis(100));
        if count % 10 == 0 {
            quick.find(|event| values(event, "hits").map(drop));
        }
    }
    let mut last = 0;
    slow.find(|event| {
        let hits = values(event, "hits")?["value"].as_u64().unwrap();
        assert!(hits >= last, "{hits} after {last}");
        last = hits;
        (hits == count - 1).then_some(())
    });
}

#[test]
fn program_that_was_killed_stays_with_its_last_values() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(dir.path());
    let server = Server::start(dir.path());
    let id = server.id();
    until("it works", || {
        server.json(&format!("/api/1/programs/{id}"))["fields"]
            .as_array()
            .unwrap()
            .iter()
            .any(|field| field["id"] == "demo.blocks" && field["value"].as_u64() > Some(3))
    });
    let mut stream = server.stream(&format!("program={id}"));
    demo.kill();
    let state = stream.find(|event| {
        let is_dead = event.name == "state" && event.data["state"] == "dead";
        is_dead.then(|| event.data.clone())
    });
    assert_eq!((&state["gone"], &state["process"]), (&json!(false), &Value::Null));
    let shown = output(dir.path(), &["show", "--json", demo.path()]);
    let program = server.json(&format!("/api/1/programs/{id}"));
    assert_eq!((&program["state"], &program["died"].is_f64()), (&json!("dead"), &true));
    let died = program["findings"].as_array().unwrap().iter().any(|odd| odd["code"] == "died");
    assert!(died, "{program}");
    assert_eq!(program["busiest"], Value::Null);
    for label in ["demo.blocks", "demo.bytes_in", "demo.compress"] {
        let last = server.field(label);
        let mut expected = common::field(&shown, label)["value"].clone();
        let mut value = last["value"].clone();
        // Quantiles are the same numbers.
        for value in [&mut expected, &mut value] {
            value.as_object_mut().map(|map| map.remove("quantiles"));
        }
        assert_eq!(value, expected, "{label}");
        assert_eq!(last["rate"], Value::Null);
    }
    // Its file goes, its values stay.
    std::fs::remove_file(demo.path()).unwrap();
    until("its file is gone", || server.program()["gone"] == true);
    let last = server.field("demo.blocks");
    assert_eq!(last["value"], common::field(&shown, "demo.blocks")["value"]);
    assert_eq!(server.program()["id"], id.as_str());
}

#[test]
fn series_are_what_was_published() {
    let dir = tempfile::tempdir().unwrap();
    let web = publish(dir.path());
    let stats = web.lane().unwrap();
    let server = Server::start(dir.path());
    let id = server.id();
    let mut stream = server.stream(&format!("program={id}&fields=hits&fields=size"));
    // The value at each time, as the writer knows it.
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs_f64()
    };
    let start = now();
    let mut published = Vec::new();
    for step in 1..=15_u64 {
        stats.hits.add(step);
        stats.size.set(u64::MAX - step);
        stats.answers.get(&["200"]).add(1);
        stats.answers.get(&["500"]).add(2);
        for _ in 0..step {
            stats.took.record(0.5);
        }
        published.push((now(), step * (step + 1) / 2, u64::MAX - step));
        std::thread::sleep(Duration::from_millis(200));
    }
    stream.find(|event| (values(event, "hits")?["value"] == 120).then_some(()));
    until("the slower fields were looked at", || server.field("took")["value"]["count"] == 120);
    let end = now();
    let range = format!("from={start}&to={end}&steps=60");
    let document =
        server.json(&format!("/api/1/series?program={id}&field=hits&field=size&{range}"));
    let step = document["step"].as_f64().unwrap();
    assert!((document["from"].as_f64().unwrap() - start).abs() < 0.001);
    assert!((step * 60.0 - (end - start)).abs() < 0.001);
    let series = document["series"].as_array().unwrap();
    for (one, column) in series.iter().zip(0..) {
        let points = one["last"].as_array().unwrap();
        assert_eq!(points.len(), 60);
        let mut known = 0;
        for (index, point) in points.iter().enumerate() {
            let Some(point) = point.as_u64() else { continue };
            known += 1;
            let time = start + step * (index + 1) as f64;
            // What the writer had published up to then, or within the time between two looks before.
            let allowed: Vec<u64> = published
                .iter()
                .zip(published.iter().skip(1).map(|next| next.0).chain([f64::INFINITY]))
                .filter(|((from, ..), to)| *from <= time + 0.05 && *to >= time - step - 0.4)
                .map(|((_, hits, size), _)| if column == 0 { *hits } else { *size })
                .collect();
            let is_first = index < 5 && point == 0;
            assert!(is_first || allowed.contains(&point), "{point} at {index}: {allowed:?}");
        }
        assert!(known > 50, "{points:?}");
        assert_eq!(points[59], if column == 0 { json!(120) } else { json!(u64::MAX - 15) });
    }
    // Families: split and summed.
    let get = |query: &str| server.json(&format!("/api/1/series?program={id}&{query}&{range}"));
    let last = |document: &Value| -> BTreeMap<String, Value> {
        let series = document["series"].as_array().unwrap().iter();
        let last = series.map(|one| {
            let last = one["last"].as_array().unwrap().last().unwrap().clone();
            (one["field"].as_str().unwrap().to_owned(), last)
        });
        last.collect()
    };
    let split = last(&get("family=answers"));
    let split = split.iter().filter(|(name, _)| !name.contains("overflow"));
    let names: Vec<_> = split.map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(
        names,
        [("answers{status=\"200\"}", json!(15)), ("answers{status=\"500\"}", json!(30))]
    );
    assert_eq!(last(&get("family=answers&sum=1"))["answers"], 45);
    // Rates add up to what was counted.
    let rates = get("field=hits&what=rate");
    assert!(
        rates["series"][0]["last"].as_array().unwrap().iter().any(|rate| rate.as_f64() > Some(5.0))
    );
    // Values of histograms that arrived in each step.
    let heat = &get("field=took&what=heat")["series"][0];
    let bounds: Vec<f64> =
        heat["bounds"].as_array().unwrap().iter().map(|bound| bound.as_f64().unwrap()).collect();
    assert_eq!(bounds.len(), 2);
    assert!(bounds[0] < 0.5 && bounds[1] >= 0.5, "{bounds:?}");
    let sum: u64 = heat["counts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step.as_array()?.first()?.as_u64())
        .sum();
    let quantiles = &get("field=took&what=quantiles")["series"][0];
    let count: u64 = quantiles["counts"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    // Those before the first step are not in it.
    assert!(sum == count && (100..=120).contains(&sum), "{sum} {count}");
    let medians = quantiles["quantiles"]["0.5"].as_array().unwrap();
    let medians: Vec<f64> = medians.iter().filter_map(Value::as_f64).collect();
    assert!(!medians.is_empty() && medians.iter().all(|m| (m - 0.5).abs() < 0.03), "{medians:?}");
    // An earlier moment: the values that were there then.
    let (time, hits, size) = published[7];
    let earlier = server.json(&format!("/api/1/programs/{id}?at={}", time + 0.15));
    let value = |label: &str| {
        let fields = earlier["fields"].as_array().unwrap();
        fields.iter().find(|field| field["id"] == label).unwrap()["value"].clone()
    };
    assert!([hits, hits - 8].map(Value::from).contains(&value("hits")), "{}", value("hits"));
    assert!([size, size + 1].map(Value::from).contains(&value("size")));
}

#[test]
fn series_refuses_what_it_cannot_show() {
    let dir = tempfile::tempdir().unwrap();
    let web = publish(dir.path());
    web.lane().unwrap().hits.add(1);
    let server = Server::start(dir.path());
    let id = server.id();
    for (query, status) in [
        (String::new(), 400),
        (format!("program={id}"), 400),
        ("field=hits".to_owned(), 400),
        (format!("program={id}&field=nothing"), 404),
        (format!("program={id}&family=nothing"), 404),
        ("program=nothing&field=hits".to_owned(), 404),
        (format!("program={id}&field=hits&what=other"), 400),
        (format!("program={id}&field=hits&what=heat"), 400),
        (format!("program={id}&field=log"), 400),
        (format!("program={id}&field=hits&steps=2001"), 400),
        (format!("program={id}&field=hits&steps=0"), 400),
        (format!("program={id}&field=hits&from=2&to=1"), 400),
        (format!("program={id}&field=hits&from=NaN"), 400),
        (format!("program={id}&field=hits&from=-1"), 400),
        (format!("program={id}&field=hits&sum=2"), 400),
        (format!("program={id}{}", "&field=hits".repeat(70)), 400),
        // Long ago, and in the future: nothing is known.
        (format!("program={id}&field=hits&from=0&to=1"), 200),
        (format!("program={id}&field=hits&from=99999999998&to=99999999999"), 200),
        (format!("program={id}&field=hits&from=0&to=99999999999&what=rate"), 200),
    ] {
        let answer = server.get(&format!("/api/1/series?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        let document = answer.json();
        if status != 200 {
            assert!(document["error"].is_string(), "{query}");
        } else if !query.contains("rate") {
            let points = document["series"][0]["last"].as_array().unwrap();
            assert!(points.iter().all(Value::is_null), "{query}: {document}");
        }
    }
}

#[test]
fn labels_and_texts_with_markup_are_plain_json() {
    let dir = tempfile::tempdir().unwrap();
    let web = publish(dir.path());
    let nasty = "</script><img src=x onerror=alert(1)>\"'\\";
    let stats = web.lane().unwrap();
    stats.answers.get(&[nasty]).add(1);
    stats.log.record("<b>\u{202e}\u{9b}[2J&amp;");
    let server = Server::start(dir.path());
    let id = server.id();
    let document = wait_for(|| {
        let document = server.json(&format!("/api/1/programs/{id}"));
        let fields = document["fields"].as_array().unwrap().clone();
        fields.into_iter().find(|field| field["attributes"]["status"].is_string())
    });
    let name = document["id"].as_str().unwrap().to_owned();
    assert_eq!(document["attributes"]["status"], nasty);
    let encoded: String = form(&name);
    let mut stream = server.stream(&format!("program={id}&fields={encoded}"));
    assert_eq!(stream.find(|event| values(event, &name).cloned())["value"], 1);
    for path in [
        "/api/1/programs".to_owned(),
        format!("/api/1/programs/{id}"),
        format!("/api/1/programs/{id}/events"),
        "/api/1/search?q=answers".to_owned(),
        format!("/api/1/series?program={id}&field={encoded}"),
        format!("/api/1/programs/{encoded}"),
        format!("/api/1/series?program={encoded}&field={encoded}"),
        format!("/api/1/about?{encoded}"),
    ] {
        let answer = server.get(&path);
        assert!(answer.status > 0, "{path}");
        assert!(
            !answer.body.contains(['<', '>', '&', '\u{1b}', '\u{202e}', '\u{9b}']),
            "{}",
            answer.body
        );
        answer.json();
    }
}

/// A text in a query or path.
fn form(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn search_finds_fields_of_all_programs() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (publish(dir.path()), publish(dir.path()));
    let server = Server::start(dir.path());
    let hits = |query: &str| -> Vec<String> {
        let document = server.json(&format!("/api/1/search?q={query}"));
        let hits = document["hits"].as_array().unwrap().iter();
        hits.map(|hit| hit["field"].as_str().unwrap().to_owned()).collect()
    };
    until("both programs are there", || hits("HITS").len() == 2);
    assert_eq!(hits("requests+served"), ["hits", "hits"]);
    assert_eq!(hits("web+size"), ["size", "size"]);
    assert_eq!(hits("bytes"), ["size", "size"]);
    assert_eq!(hits("nothing+of+the+kind"), Vec::<String>::new());
    let found = |query: &str| server.json(&format!("/api/1/search?q={query}"))["programs"].clone();
    let programs = |query: &str| found(query).as_array().unwrap().len();
    assert_eq!(programs("WEB"), 2);
    until("the processes are known", || found("WEB")[0]["process"] == "running");
    assert_eq!(programs(&format!("web+{}", std::process::id())), 2);
    assert_eq!(programs("web+size"), 0);
    drop((first, second));
}

/// A program with so many counters `many.N`.
fn publish_many(
    directory: &std::path::Path,
    count: usize,
) -> (Publisher<Lane>, Vec<::mmstats::Key<Counter>>) {
    let mut schema = ::mmstats::Schema::new();
    let add = |number| schema.add(format!("many.{number}"), ::mmstats::FieldOptions::new());
    let keys = (0..count).map(add).collect();
    let options = Options::new().directory(directory).lanes(1).schema(schema);
    (options.start().unwrap(), keys)
}

#[test]
fn series_says_what_was_dropped_for_want_of_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (publisher, keys) = publish_many(dir.path(), 500);
    let lane = publisher.lane().unwrap();
    let counters: Vec<Counter> = keys.iter().map(|key| lane.attach(*key).unwrap()).collect();
    let little = ["serve", "--listen", "127.0.0.1:0", "--memory", "1", "--delay", "0.01"];
    let server = Server::run(mmstats(dir.path()).args(little));
    let id = server.id();
    let path = format!("/api/1/series?program={id}&field=many.7");
    let first = server.json(&path);
    assert_eq!(first["series"][0]["cut"], Value::Null, "{first}");
    until("the past does not fit", || {
        counters.iter().for_each(|counter| counter.add(1));
        let document = server.json(&path);
        let cut = document["series"][0]["cut"].as_f64();
        assert!(cut.is_none_or(|cut| cut > 1e9 && cut < document["from"].as_f64().unwrap() + 60.0));
        cut.is_some()
    });
}

#[test]
fn search_counts_the_hits_that_it_leaves_out() {
    let dir = tempfile::tempdir().unwrap();
    let (publisher, _) = publish_many(dir.path(), 130);
    let server = Server::start(dir.path());
    until("the program is there", || {
        let document = server.json("/api/1/search?q=many.");
        let hits = document["hits"].as_array().unwrap().len();
        assert!(hits < 100 || document["more"] == 30, "{document}");
        hits == 100
    });
    drop(publisher);
}

#[test]
fn events_and_threads_are_those_of_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Demo::start(dir.path());
    let server = Server::start(dir.path());
    let id = server.id();
    let lines = wait_for(|| {
        let document = server.json(&format!("/api/1/programs/{id}/events?limit=2"));
        let lines = document["lines"].as_array().unwrap().clone();
        (lines.len() == 2).then_some(lines)
    });
    assert!(lines[0]["time"].as_f64() <= lines[1]["time"].as_f64());
    let before = lines[1]["time"].as_f64().unwrap();
    let earlier = server.json(&format!("/api/1/programs/{id}/events?before={before}"));
    let earlier = earlier["lines"].as_array().unwrap();
    assert!(earlier.iter().all(|line| line["time"].as_f64() < Some(before)), "{earlier:?}");
    // /proc
    if cfg!(target_os = "linux") {
        let start = Instant::now();
        let document = server.json(&format!("/api/1/programs/{id}/threads"));
        assert!(start.elapsed() < PATIENCE);
        let threads = document["programs"][0]["threads"].as_array().unwrap();
        let names: Vec<&str> = threads.iter().filter_map(|one| one["name"].as_str()).collect();
        assert!(names.contains(&"worker-1") && names.contains(&"worker-2"), "{names:?}");
        let shown = output(dir.path(), &["threads", "--json", &demo.pid()]);
        let keys = |document: &Value| -> Vec<String> {
            document["programs"][0].as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&document), keys(&shown));
    }
}

#[test]
fn answers_have_the_keys_of_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Demo::start(dir.path());
    let server = Server::start(dir.path());
    let id = server.id();
    // Members of `show --json` without those of files.
    let program = server.json(&format!("/api/1/programs/{id}"));
    let shown = output(dir.path(), &["show", "--json", demo.path()]);
    for field in shown["files"][0]["fields"].as_array().unwrap() {
        if field.get("lane").is_some() {
            continue;
        }
        let label = field["label"].as_str().unwrap();
        let served = server.field(label);
        for key in field.as_object().unwrap().keys().filter(|key| *key != "value_text") {
            assert!(served.get(key).is_some(), "{label} has no {key}");
        }
        assert_eq!(served["kind"], field["kind"]);
    }
    let listed = output(dir.path(), &["ls", "--json"]);
    for key in ["instance", "pid", "command", "state", "process", "owner"] {
        assert_eq!(program[key], listed["files"][0][key], "{key}");
    }
    let about = server.json("/api/1/about");
    assert_eq!((&about["api"], &about["live"]), (&json!(1), &json!(true)));
    assert!(
        about["looks"].as_u64() > Some(0) && about["bytes"].as_u64() < about["budget"].as_u64()
    );
    let schema = Schema::load_file("api.json");
    let series = format!("/api/1/series?program={id}&field=");
    for (name, path) in [
        ("about", "/api/1/about".to_owned()),
        ("programs", "/api/1/programs".to_owned()),
        ("program", format!("/api/1/programs/{id}")),
        ("threads", format!("/api/1/programs/{id}/threads")),
        ("events", format!("/api/1/programs/{id}/events")),
        ("search", "/api/1/search?q=demo".to_owned()),
        ("series", format!("{series}demo.blocks&field=demo.ratio")),
        ("series", format!("{series}demo.latency&what=rate")),
        ("series", format!("{series}demo.compress&what=heat")),
        ("series", format!("{series}demo.compress&what=quantiles")),
        ("error", "/api/1/nothing".to_owned()),
    ] {
        let answer = server.get(&path);
        let document = answer.json();
        schema.validate(name, &document).unwrap_or_else(|e| panic!("{name}{e}\n{document}"));
    }
    let mut stream = server.stream(&format!("home=1&program={id}"));
    let mut names = std::collections::BTreeSet::new();
    stream.find(|event| {
        let name = format!("event_{}", event.name);
        schema.validate(&name, &event.data).unwrap_or_else(|e| panic!("{name}{e}\n{}", event.data));
        names.insert(name);
        (names.len() >= 4).then_some(())
    });
}
