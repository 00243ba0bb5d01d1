//! A server of `mmstats serve`, and a client that sends what it is told.
#![allow(dead_code)] // Each test uses a part.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{PATIENCE, mmstats};

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) token_file: PathBuf,
    /// What it said first.
    pub(crate) said: String,
}

impl Server {
    /// Serves the programs of a directory.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::run(mmstats(directory).args(["serve", "--listen", "127.0.0.1:0"]))
    }

    /// Runs a command that says where its page and its token are.
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
        let after = |mark: &str| {
            let (_, rest) = said.split_once(mark).unwrap_or_else(|| panic!("{said}"));
            rest.split([',', '\n', '/']).next().unwrap().to_owned()
        };
        let address = after("http://").parse().unwrap();
        let token_file = said.trim().split_once("is in ").map(|(_, path)| PathBuf::from(path));
        let token_file = token_file.unwrap_or_default();
        let token = std::fs::read_to_string(&token_file).unwrap_or_default().trim().to_owned();
        Self { child, address, token, token_file, said }
    }

    /// What the server answers to these bytes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // The server may refuse before all is sent.
        let _ = stream.write_all(bytes);
        Answer::read(stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A request of a method with further headers, each with its line end.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let host = self.address;
        self.raw(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes())
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }

    /// A request with the token.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.bearer())
    }

    /// The document at a path.
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// The only program.
    pub(crate) fn program(&self) -> Value {
        let document = self.json("/api/1/programs");
        let [program] = document["programs"].as_array().unwrap().as_slice() else {
            panic!("{document}")
        };
        program.clone()
    }

    /// Id of the only program.
    pub(crate) fn id(&self) -> String {
        self.program()["id"].as_str().unwrap().to_owned()
    }

    /// A field of the only program.
    pub(crate) fn field(&self, id: &str) -> Value {
        let document = self.json(&format!("/api/1/programs/{}", self.id()));
        let fields = document["fields"].as_array().unwrap();
        let found = fields.iter().find(|field| field["id"] == id);
        found.unwrap_or_else(|| panic!("no {id} in {document}")).clone()
    }

    pub(crate) fn stream(&self, query: &str) -> Events {
        let mut stream = self.connect();
        let (host, bearer) = (self.address, self.bearer());
        let head = format!("GET /api/1/stream?{query} HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Events::new(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.token_file);
    }
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        // A connection may be reset after the answer.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let (status, headers) = parse_head(head);
        Self { status, headers, body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Status, 0 without an answer, and headers.
fn parse_head(head: &str) -> (u16, BTreeMap<String, String>) {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers = lines.filter_map(|line| line.split_once(": "));
    (status, headers.map(|(k, v)| (k.to_lowercase(), v.to_owned())).collect())
}

/// A stream of events.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
    pub(crate) head: String,
    /// Bytes of an incomplete event.
    rest: String,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Events {
    fn new(stream: TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self { stream, head, rest: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let field = |key: &str| {
                    event.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
                };
                let event = field("event").map(|name| Event {
                    name: name.to_owned(),
                    data: serde_json::from_str(field("data").unwrap()).unwrap(),
                });
                self.rest = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    // A comment.
                    None => continue,
                }
            }
            let mut size = String::new();
            self.stream.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            if size == 0 {
                return None;
            }
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).unwrap();
            chunk.truncate(size);
            self.rest += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// The next event for which `is` gives something.
    pub(crate) fn find<T>(&mut self, mut is: impl FnMut(&Event) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let event = self.next().expect("the stream goes on");
            if let Some(found) = is(&event) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "not in {PATIENCE:?}");
        }
    }
}

/// Sleeps until `is` holds.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
