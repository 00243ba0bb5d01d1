//! `mmstats export` beside real programs: what a scraper, carbon and a collector get.
#![cfg(unix)] // signals

#[path = "../common/mod.rs"]
mod common;
mod program;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{mmstats, run, signal, wait_for};
use program::Counting;

const TOKEN: &str = "0123456789abcdef0123";

/// A running exporter.
struct Exporter {
    child: Child,
    address: String,
    _token: tempfile::NamedTempFile,
}

impl Exporter {
    /// Starts one that answers scrapes.
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut token = tempfile::NamedTempFile::new().unwrap();
        writeln!(token, "{TOKEN}").unwrap();
        let mut command = mmstats(directory);
        command.args(["export", "prometheus", "--listen", "127.0.0.1:0", "--token-file"]);
        command.arg(token.path()).args(arguments).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // `mmstats: the exporter is http://127.0.0.1:1234/, its token …`
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        let mut byte = [0];
        while !said.ends_with("/,") {
            assert!(stderr.read(&mut byte).unwrap() > 0, "{said}");
            said.push(byte[0].into());
        }
        let address = said.split("http://").nth(1).unwrap().trim_end_matches("/,").to_owned();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self { child, address, _token: token }
    }

    /// Status and body of a request.
    fn request(&self, head: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
        let head = head.replace("ADDRESS", &self.address);
        stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    fn scrape(&self) -> String {
        let head = format!(
            "GET /metrics HTTP/1.1\r\nHost: ADDRESS\r\nAuthorization: Bearer {TOKEN}\r\nAccept: application/openmetrics-text"
        );
        let (status, body) = self.request(&head);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The values of the series whose names begin so, and that are of this process.
    fn values(&self, name: &str, pid: u32) -> Vec<String> {
        values(&self.scrape(), name, &format!("pid=\"{pid}\""))
    }
}

fn values(text: &str, name: &str, label: &str) -> Vec<String> {
    let lines =
        text.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.to_owned()).collect()
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn killed_program_has_its_final_values_until_it_is_held_no_longer() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = Counting::start(directory.path());
    before.count(5);
    before.kill();
    let exporter = Exporter::start(directory.path(), &["--hold", "3s"]);
    let mut program = Counting::start(directory.path());
    program.count(1_000);
    assert_eq!(exporter.values("jobs_total", program.pid()), ["1000"]);
    assert_eq!(exporter.values("mmstats_up", program.pid()), ["1.0"]);
    program.count(777);
    program.kill();
    // The last 777 were not scraped while it lived.
    assert_eq!(exporter.values("jobs_total", program.pid()), ["1777"]);
    assert_eq!(exporter.values("mmstats_up", program.pid()), ["0.0"]);
    wait_for(|| exporter.values("jobs_total", program.pid()).is_empty().then_some(()));
    // It had ended before the exporter began.
    assert_eq!(exporter.values("jobs_total", before.pid()), [""; 0]);
}

#[test]
fn program_that_publishes_again_after_its_files_were_removed_lives_on() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::start(directory.path(), &["--hold", "1s"]);
    let mut program = Counting::start(directory.path());
    program.count(5);
    assert_eq!(exporter.values("jobs_total", program.pid()), ["5"]);
    for _ in 0..2 {
        for path in common::files(directory.path()) {
            std::fs::remove_file(path).unwrap();
        }
        wait_for(|| (exporter.values("mmstats_up", program.pid()) != ["1.0"]).then_some(()));
        wait_for(|| (exporter.values("mmstats_up", program.pid()) == ["1.0"]).then_some(()));
    }
    program.count(7);
    // What its handles count is copied into the new file several times a second.
    wait_for(|| (exporter.values("jobs_total", program.pid()) == ["12"]).then_some(()));
    // Its end counts as that of any other.
    program.kill();
    assert_eq!(exporter.values("jobs_total", program.pid()), ["12"]);
    assert_eq!(exporter.values("mmstats_up", program.pid()), ["0.0"]);
}

#[test]
fn program_that_lives_between_two_scrapes_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::start(directory.path(), &[]);
    assert_eq!(values(&exporter.scrape(), "jobs_total", ""), [""; 0]);
    let mut pids = Vec::new();
    for killed in [false, true] {
        let mut program = Counting::start(directory.path());
        program.count(250);
        // Long enough to be noticed on a busy machine; a scrape comes every minute, say.
        std::thread::sleep(Duration::from_millis(200));
        // After the last look at the living program.
        program.count(7);
        // A clean end removes the file.
        if killed {
            program.kill();
        } else {
            program.end();
        }
        pids.push((program.pid(), if killed { "1.0" } else { "0.0" }));
    }
    for (pid, died) in pids {
        assert_eq!(exporter.values("jobs_total", pid), ["257"]);
        assert_eq!(exporter.values("mmstats_up", pid), ["0.0"]);
        assert_eq!(exporter.values("mmstats_died", pid), [died]);
    }
}

#[test]
fn sums_of_a_command_never_go_back() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::start(directory.path(), &["--sum"]);
    let value = |name: &str| values(&exporter.scrape(), name, "command=").first().cloned();
    let sum = || value("jobs_total");
    let state = || ["mmstats_up", "mmstats_died"].map(|name| value(name).unwrap());
    let mut total = 0;
    for killed in [true, false, true] {
        let mut program = Counting::start(directory.path());
        program.count(100);
        total += 100;
        assert_eq!(sum(), Some(total.to_string()));
        assert_eq!(state(), ["1.0", "0.0"]);
        if killed {
            program.kill();
        } else {
            program.end();
        }
        assert_eq!(sum(), Some(total.to_string()), "{killed}");
        assert_eq!(state(), ["0.0", if killed { "1.0" } else { "0.0" }], "{killed}");
    }
    assert_eq!(run(directory.path(), &["clean"]).code, Some(0));
    assert_eq!(sum(), Some(total.to_string()));
    assert_eq!(state(), ["0.0", "1.0"]);
    let scraped = exporter.scrape();
    assert!(!scraped.contains("pid="), "{scraped}");
    // Nothing of one process.
    assert!(!scraped.contains("sys_"), "{scraped}");
}

/// A ledger does not say when the programs began whose counts it has.
#[test]
fn sums_with_a_ledger_have_no_start_time() {
    #[derive(mmstats::Stats)]
    struct Worker {
        jobs: mmstats::Counter,
    }
    let directory = tempfile::tempdir().unwrap();
    let worker = || {
        let options = mmstats::Options::new().application("shop").directory(directory.path());
        let worker = options.start::<Worker>().unwrap();
        worker.with(|worker| worker.jobs.add(5));
        worker
    };
    let scraped = || {
        let at = directory.path().to_str().unwrap();
        run(directory.path(), &["export", "prometheus", "--once", "--sum", at]).out
    };
    let first = worker();
    let text = scraped();
    assert_eq!(text.lines().filter(|line| line.starts_with("jobs_created{")).count(), 1, "{text}");
    drop(first);
    let _second = worker();
    let text = scraped();
    assert!(
        text.lines().any(|line| line.starts_with("jobs_total{") && line.ends_with(" 10")),
        "{text}"
    );
    assert!(!text.contains("jobs_created{"), "{text}");
}

#[test]
fn scrape_is_compressed_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::start(directory.path(), &[]);
    let mut program = Counting::start(directory.path());
    program.count(3);
    let head = format!(
        "GET /metrics HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
        exporter.address
    );
    let mut stream = TcpStream::connect(&exporter.address).unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    assert!(headers.contains("content-encoding: gzip"), "{headers}");
    assert!(headers.contains("vary: accept-encoding"), "{headers}");
    let body = &answer[end + 4..];
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
    assert_eq!(values(&text, "jobs_total", ""), ["3"], "{text}");
    assert!(body.len() * 2 < text.len(), "{} of {} bytes", body.len(), text.len());
}

#[test]
fn scrape_without_token_or_from_elsewhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::start(directory.path(), &[]);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for (status, head) in [
        (401, "GET /metrics HTTP/1.1\r\nHost: ADDRESS".to_owned()),
        (401, "GET /metrics HTTP/1.1\r\nHost: ADDRESS\r\nAuthorization: Bearer x".to_owned()),
        (403, format!("GET /metrics HTTP/1.1\r\nHost: evil.test\r\n{bearer}")),
        (
            403,
            format!(
                "GET /metrics HTTP/1.1\r\nHost: ADDRESS\r\nOrigin: http://evil.test\r\n{bearer}"
            ),
        ),
        (405, format!("POST /metrics HTTP/1.1\r\nHost: ADDRESS\r\n{bearer}")),
    ] {
        let (found, body) = exporter.request(&head);
        assert_eq!(found, status, "{head}\n{body}");
        assert!(!body.contains("# EOF"), "{body}");
    }
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let head = format!(
        "GET /metrics HTTP/1.1\r\nHost: ADDRESS\r\n{bearer}\r\nAccept: {protobuf};q=0.9,text/plain;q=0.1"
    );
    let (status, body) = exporter.request(&head);
    assert_eq!(status, 200);
    assert!(body.contains("mmstats_export_losses") && !body.contains("# TYPE"));
}

#[test]
fn textfile_is_whole_and_goes_with_the_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("mmstats.prom");
    let mut program = Counting::start(directory.path());
    program.count(3);
    let mut command = mmstats(directory.path());
    command.args(["export", "prometheus", "--every", "0.05", "--textfile"]).arg(&path);
    let mut exporter = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut message = String::new();
    let messages = exporter.stderr.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(messages), &mut message).unwrap();
    assert!(message.contains("Ctrl-C ends it and removes the file"), "{message}");
    wait_for(|| path.exists().then_some(()));
    for n in 0..200 {
        program.count(1);
        // Each reading is a whole file.
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("# TYPE jobs_total counter\n") && text.ends_with('\n'),
            "{n}: {text}"
        );
    }
    wait_for(|| {
        let text = std::fs::read_to_string(&path).unwrap();
        values(&text, "jobs_total", "pid").first().is_some_and(|value| value == "203").then_some(())
    });
    signal(exporter.id(), "TERM");
    assert!(exporter.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn once_prints_the_metrics_of_named_programs() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Counting::start(directory.path());
    program.count(7);
    let pid = program.pid().to_string();
    let once = ["export", "prometheus", "--once", "--label", "team=a\"b", "-F", "jobs*", &pid];
    let printed = run(directory.path(), &once);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert_eq!(values(&printed.out, "jobs_total", "team=\"a\\\"b\""), ["7"]);
    assert!(!printed.out.contains("sys_") && printed.out.ends_with("# EOF\n"), "{}", printed.out);
    let other = run(directory.path(), &["export", "prometheus", "--once", "nobody"]);
    assert_eq!(values(&other.out, "jobs_total", ""), [""; 0]);
    assert!(other.code == Some(1) && other.err.contains("nobody"), "{}", other.err);
    assert_eq!(run(directory.path(), &["export", "graphite", "--to", "x"]).code, Some(2));
    assert_eq!(run(directory.path(), &["export", "otlp", "--to", "ftp://x"]).code, Some(2));
}

/// Reads what a connection sends until `is_enough`.
fn lines_of(listener: &TcpListener, is_enough: impl Fn(&str) -> bool) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let (mut all, mut part) = (String::new(), [0; 4096]);
    while !is_enough(&all) {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "{all}");
        all.push_str(std::str::from_utf8(&part[..count]).unwrap());
    }
    all
}

#[test]
fn graphite_goes_on_after_carbon_was_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut program = Counting::start(directory.path());
    program.count(40);
    let mut command = mmstats(directory.path());
    command.args([
        "export",
        "graphite",
        "--every",
        "0.1",
        "--prefix",
        "p",
        "--to",
        &address.to_string(),
    ]);
    let mut exporter = command.stderr(Stdio::null()).spawn().unwrap();
    let pid = program.pid();
    let path = |value: u64| format!(".{pid}.jobs {value} ");
    let first = lines_of(&listener, |all| all.contains(&path(40)));
    assert!(first.starts_with("p."), "{first}");
    drop(listener);
    program.count(2);
    program.kill();
    // Final values wait for the next carbon.
    std::thread::sleep(Duration::from_millis(300));
    let listener = TcpListener::bind(address).unwrap();
    let second = lines_of(&listener, |all| all.contains(&path(42)));
    assert_eq!(second.matches(&path(42)).count(), 1, "{second}");
    signal(exporter.id(), "TERM");
    exporter.wait().unwrap();
}

#[test]
fn field_without_a_path_of_its_own_in_graphite_is_told() {
    #[derive(mmstats::Stats)]
    struct Twins {
        #[stats(label = "twin!")]
        one: mmstats::Counter,
        #[stats(label = "twin?")]
        other: mmstats::Counter,
    }
    let directory = tempfile::tempdir().unwrap();
    let options = mmstats::Options::new().directory(directory.path());
    let twins = options.start::<Twins>().unwrap();
    twins.with(|twins| {
        twins.one.incr();
        twins.other.incr();
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let mut command = mmstats(directory.path());
    command.args(["export", "graphite", "--every", "0.1", "--prefix", "p", "--to", &to]);
    let mut exporter = command.stderr(Stdio::piped()).spawn().unwrap();
    lines_of(&listener, |all| all.matches(".twin_ 1 ").count() > 1);
    signal(exporter.id(), "TERM");
    exporter.wait().unwrap();
    let mut said = String::new();
    exporter.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said.matches("left out: twin?: another field has the path p.").count(), 1, "{said}");
}

/// Takes a request; answers with a status. Returns path and body.
fn request(listener: &TcpListener, status: &str) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().unwrap())
            });
            let body = head.len() + 4;
            if all.len() >= body + length.unwrap() {
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
                let path = head.split(' ').nth(1).unwrap().to_owned();
                return (path, all[body..].to_vec());
            }
        }
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "{text}");
        all.extend_from_slice(&part[..count]);
    }
}

#[test]
fn otlp_is_sent_again_until_the_collector_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}", listener.local_addr().unwrap());
    let mut program = Counting::start(directory.path());
    program.count(9);
    let mut command = mmstats(directory.path());
    command.args(["export", "otlp", "--every", "600", "--to", &to, "--header", "x-key=1"]);
    let mut exporter = command.stderr(Stdio::null()).spawn().unwrap();
    let (path, first) = request(&listener, "503 Busy");
    assert_eq!(path, "/v1/metrics");
    let (path, second) = request(&listener, "200 OK");
    assert_eq!((path, &second), ("/v1/metrics".to_owned(), &first));
    let has = |body: &[u8], text: &str| {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        plain.windows(text.len()).any(|part| part == text.as_bytes())
    };
    assert!(has(&first, "jobs") && has(&first, "service.name"));
    // The end sends what is left: values, and the line of an event.
    program.say("something happened");
    signal(exporter.id(), "TERM");
    let bodies = [request(&listener, "200 OK"), request(&listener, "200 OK")];
    assert_eq!(bodies[0].0, "/v1/metrics");
    assert_eq!(bodies[1].0, "/v1/logs");
    assert!(has(&bodies[1].1, "something happened"));
    assert!(exporter.wait().unwrap().success());
}
