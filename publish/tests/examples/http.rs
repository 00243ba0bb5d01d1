//! The HTTP example: under load, killed, and read afterwards.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use mmstats_observe::{FileState, OwnedValue};

use crate::program::{Program, Seen};

/// Requests over one connection; returns the status of each answer.
fn get(address: &str, paths: &[&str], times: usize) -> Vec<u16> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut statuses = Vec::new();
    for path in paths.iter().copied().cycle().take(paths.len() * times) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        (&stream).write_all(request.as_bytes()).unwrap();
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            answers.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(status) = line.strip_prefix("http/1.1 ") {
                statuses.push(status[..3].parse().unwrap());
            } else if let Some(n) = line.strip_prefix("content-length: ") {
                length = n.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        answers.read_exact(&mut vec![0; length]).unwrap();
    }
    statuses
}

/// Requests with these attributes.
fn requests(seen: &Seen, route: &str, status: &str) -> Option<OwnedValue> {
    seen.series("counter", "http.requests", &[("route", route), ("status", status)])
}

#[test]
fn kill_keeps_events_and_quantiles() {
    let (mut program, line) = Program::until("http", &["127.0.0.1:0"], "serving http://");
    let address = line.trim_start_matches("serving http://").split('/').next().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let statuses = get(address, &["/hello/you", "/primes?below=500"], 250);
                assert!(statuses.iter().all(|status| *status == 200));
            });
        }
    });
    let refused = get(address, &["/nothing", "/primes?below=999999999"], 1);
    assert_eq!(refused, [404, 400]);
    program.kill();

    let seen = program.look();
    assert_eq!(seen.state(), FileState::Dead);
    let number = |n| Some(OwnedValue::Unsigned(n));
    assert_eq!(requests(&seen, "/hello/{name}", "200"), number(1_000));
    assert_eq!(requests(&seen, "/primes", "200"), number(1_000));
    assert_eq!(requests(&seen, "/primes", "400"), number(1));
    assert_eq!(requests(&seen, "other", "404"), number(1));
    for (route, count) in [("/hello/{name}", 1_000), ("/primes", 1_001)] {
        let latency = seen.series("histogram", "http.latency", &[("route", route)]);
        let Some(OwnedValue::Histogram(latency)) = latency else { panic!("{latency:?}") };
        assert_eq!(latency.count(), count);
        let [p50, p99, p999] =
            [0.5, 0.99, 0.999].map(|q| latency.quantile(q).unwrap().value().unwrap());
        let [min, max] = [latency.min(), latency.max()].map(|v| v.unwrap().as_f64());
        assert!(0.0 < min && min <= p50 && p50 <= p99 && p99 <= p999 && p999 <= max);
        assert!(latency.relative_error() <= 0.02);
    }
    let mut lines = seen.lines("http.log");
    assert_eq!(lines.remove(0), "serving on 127.0.0.1:0");
    assert_eq!(lines, ["404 Not Found for other", "400 Bad Request for /primes"]);
}
