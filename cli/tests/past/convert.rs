//! `mmstats convert`, also into a real Prometheus.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::common::{self, run};
use crate::recorded::{at, recorded};

/// The fields of a line of CSV.
fn csv(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    fields
}

#[test]
fn csv_has_a_row_for_each_field_and_look() {
    let web = recorded();
    let printed = run(web.directory.path(), &["convert", "csv", web.file()]);
    assert_eq!((printed.code, &*printed.err), (Some(0), ""));
    let mut lines = printed.out.split_terminator("\r\n").map(csv);
    assert_eq!(lines.next().unwrap(), ["time", "program", "field", "attributes", "value"]);
    let rows: Vec<Vec<String>> = lines.collect();
    assert!(rows.iter().all(|row| row.len() == 5), "{rows:?}");
    let values = |field: &str, attributes: &str| -> Vec<&str> {
        let matches = |row: &&Vec<String>| row[2] == field && row[3] == attributes;
        rows.iter().filter(matches).map(|row| &*row[4]).collect()
    };
    let mut queue = values("queue", "");
    assert!(queue.len() >= 9 && values("requests", "status=\"500\"").len() >= 9, "{queue:?}");
    queue.retain(|value| !value.is_empty());
    queue.dedup();
    assert_eq!(queue, ["1", "2", "3"]);
    assert_eq!(values("requests", "status=\"200\"").last(), Some(&"60"));
    // A part of it.
    let (from, to) = (at(web.moments[0].0), at(web.moments[1].0));
    let part = ["convert", "csv", "--from", &from, "--to", &to, web.file()];
    let printed = run(web.directory.path(), &part);
    let part: Vec<Vec<String>> = printed.out.split_terminator("\r\n").map(csv).collect();
    let queue = part.iter().filter(|row| row[2] == "queue").map(|row| &*row[4]);
    let mut queue: Vec<&str> = queue.collect();
    queue.dedup();
    assert_eq!(queue, ["1", "2"]);
}

#[test]
fn convert_that_finds_nothing_says_what_there_is() {
    let web = recorded();
    let dir = web.directory.path();
    std::fs::write(dir.join("diary.txt"), "my diary").unwrap();
    for (arguments, words) in [
        (&["csv", "absent.gz"][..], "absent.gz: cannot open it: no such file"),
        (&["csv", "diary.txt"], "diary.txt: it is no recording"),
        (&["csv", web.file(), "no-such-program"], ": no-such-program; it has past-"),
        (&["openmetrics", web.file(), "no-such-program"], ": no-such-program; it has past-"),
        (&["csv", "--from", "2100-01-01T00:00:00Z", web.file()], "no look from 2100-01-01"),
        (&["csv", "--from", "-1ms", "--to", "-1h", web.file()], "no look from"),
    ] {
        let output = common::mmstats(dir).arg("convert").args(arguments).current_dir(dir).output();
        let printed = common::printed(output.unwrap());
        assert_eq!(printed.code, Some(1), "{arguments:?}: {}", printed.err);
        assert!(printed.err.contains(words), "{arguments:?}: {}", printed.err);
    }
}

#[test]
fn openmetrics_has_series_together_in_the_order_of_time() {
    let web = recorded();
    let printed = run(web.directory.path(), &["convert", "openmetrics", web.file()]);
    assert_eq!((printed.code, &*printed.err), (Some(0), ""));
    assert!(printed.out.ends_with("# EOF\n"));
    assert!(printed.out.contains("# TYPE requests counter\n"), "{}", printed.out);
    assert!(printed.out.contains("# TYPE busy_seconds summary\n"), "{}", printed.out);
    let mut seen = std::collections::HashMap::new();
    let (mut before, mut values) = (String::new(), Vec::new());
    for line in printed.out.lines().filter(|line| !line.starts_with('#')) {
        let (series, rest) = line.rsplit_once("} ").unwrap();
        let (value, time) = rest.split_once(' ').unwrap();
        let time: f64 = time.parse().unwrap();
        let last = seen.insert(series.to_owned(), time);
        // Those of histograms and summaries alternate.
        let is_single = !series.contains("_bucket{")
            && !series.contains("_sum{")
            && !series.contains("_count{");
        if is_single {
            assert!(last.is_none() || before == series, "{series} is in two places");
            before = series.to_owned();
        }
        assert!(last.is_none_or(|last| last < time), "{line}");
        if series.starts_with("queue_bytes{") {
            values.push(value.to_owned());
        }
    }
    values.dedup();
    assert_eq!(values, ["1", "2", "3"]);
    let none = run(web.directory.path(), &["convert", "openmetrics", "no-such-file.gz"]);
    assert_eq!(none.code, Some(1), "{}", none.err);
}

/// The folder with the binaries of Prometheus and a Python with prometheus-client.
const PROMETHEUS: &str = "MMSTATS_PROMETHEUS";

/// A Prometheus on loopback.
struct Server(std::process::Child, u16);

impl Server {
    fn start(tools: &std::path::Path, data: &std::path::Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = data.join("empty.yml");
        std::fs::write(&config, "").unwrap();
        let mut command = std::process::Command::new(tools.join("prometheus"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", data.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.stderr(std::process::Stdio::null());
        Self(command.spawn().unwrap(), port)
    }

    /// The JSON of an answer; `None` while the server is not ready.
    fn get(&self, path: &str) -> Option<Value> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.1)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs Prometheus: MMSTATS_PROMETHEUS=FOLDER"]
fn converted_blocks_answer_in_prometheus() {
    let Some(tools) = std::env::var_os(PROMETHEUS).map(PathBuf::from) else {
        return common::cannot_be_run("no MMSTATS_PROMETHEUS");
    };
    let web = recorded();
    let dir = web.directory.path();
    let text = run(dir, &["convert", "openmetrics", web.file()]).out;
    let file = dir.join("web.om");
    std::fs::write(&file, &text).unwrap();
    let data = dir.join("data");
    let created = std::process::Command::new(tools.join("promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &data])
        .output()
        .unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    // All samples of a series, as a server has them.
    let server = Server::start(&tools, &data);
    let until = web.moments[2].0 + Duration::from_secs(60);
    let until = until.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let query = format!("requests_total%7Bstatus%3D%22500%22%7D%5B1h%5D&time={until}");
    let answer = common::wait_for(|| {
        let answer = server.get(&format!("/api/v1/query?query={query}"))?;
        (!answer["data"]["result"].as_array()?.is_empty()).then_some(answer)
    });
    let found: Vec<(f64, f64)> = answer["data"]["result"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sample| {
            let time = (sample[0].as_f64().unwrap() * 1e3).round();
            (sample[1].as_str().unwrap().parse().unwrap(), time)
        })
        .collect();
    let wanted: Vec<(f64, f64)> = text
        .lines()
        .filter(|line| line.starts_with("requests_total{") && line.contains("status=\"500\""))
        .map(|line| {
            let (value, time) = line.rsplit_once("} ").unwrap().1.split_once(' ').unwrap();
            (value.parse().unwrap(), (time.parse::<f64>().unwrap() * 1e3).round())
        })
        .collect();
    assert!(wanted.len() >= 9, "{text}");
    assert_eq!(found, wanted);
    // The strict parser of Python's client reads it. Of a series with several samples at a time it keeps those of the
    // first time alone: histograms are given to it one time after the other.
    let script = "import sys\nfrom prometheus_client.openmetrics.parser import text_fd_to_metric_families as read\n\
                  print(sum(len(f.samples) for f in read(open(sys.argv[1]))))";
    let parse = |text: &str| -> usize {
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(tools.join("python"));
        let parsed = command.args(["-c", script]).arg(&file).output().unwrap();
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
        String::from_utf8(parsed.stdout).unwrap().trim().parse().unwrap()
    };
    let is_sample = |line: &str| !line.starts_with('#');
    let keep = |wanted: &dyn Fn(&str) -> bool| -> String {
        text.lines().filter(|line| wanted(line)).map(|line| format!("{line}\n")).collect()
    };
    let single = keep(&|line| !line.contains("sizes") && !line.contains("busy_seconds"));
    assert_eq!(parse(&single), single.lines().filter(|line| is_sample(line)).count());
    let times: std::collections::BTreeSet<&str> = text
        .lines()
        .filter(|line| is_sample(line))
        .map(|line| line.rsplit_once(' ').unwrap().1)
        .collect();
    for time in [times.first().unwrap(), times.last().unwrap()] {
        let one = keep(&|line| !is_sample(line) || line.ends_with(&format!(" {time}")));
        assert!(one.contains("sizes_bucket{"), "{one}");
        assert_eq!(parse(&one), one.lines().filter(|line| is_sample(line)).count());
    }
}
