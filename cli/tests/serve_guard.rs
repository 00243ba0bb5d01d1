//! Who may read what `mmstats serve` shows: hosts, sites, methods, tokens, sockets, limits.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use common::http::{Answer, Server, until};
use common::{PATIENCE, mmstats, run};

/// Headers of each answer.
const HEADERS: [&str; 7] = [
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "cache-control",
];

#[test]
fn host_of_another_server_is_refused_in_each_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let port = server.address.port();
    let ask = |target: &str, hosts: &[String]| {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        let bearer = server.bearer();
        server.raw(format!("GET {target} HTTP/1.1\r\n{hosts}{bearer}\r\n").as_bytes()).status
    };
    let about = "/api/1/about";
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::ffff:127.0.0.1]"] {
        assert_eq!(ask(about, &[format!("{host}:{port}")]), 200, "{host}");
    }
    for host in [
        "evil.test",
        "127.evil",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "evil.test.",
        "evil.test@127.0.0.1",
        "127.0.0.1@evil.test",
        "[::1]",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "127.0.0.2",
        "",
    ] {
        assert_eq!(ask(about, &[format!("{host}:{port}")]), 403, "{host}");
        // Also for what has no secret.
        assert_eq!(ask("/", &[format!("{host}:{port}")]), 403, "{host}");
    }
    let own = format!("127.0.0.1:{port}");
    assert_eq!(ask(about, &["127.0.0.1:1".to_owned()]), 403, "another port");
    assert_eq!(ask(about, &[]), 403, "no host");
    assert_eq!(ask(about, &[own.clone(), "evil.test".to_owned()]), 403, "two hosts");
    assert_eq!(ask(&format!("http://{own}{about}"), std::slice::from_ref(&own)), 200);
    assert_eq!(ask("http://evil.test/api/1/about", std::slice::from_ref(&own)), 403);
    assert_eq!(ask("http://u@127.0.0.1/api/1/about", &[own]), 403);
}

#[test]
fn methods_that_could_change_something_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"] {
        for path in ["/", "/api/1/programs", "/nothing"] {
            let answer = server.ask(method, path, &server.bearer());
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.headers["allow"], "GET, HEAD");
        }
    }
    let head = server.ask("HEAD", "/api/1/about", &server.bearer());
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let body = format!("{}Content-Length: 2\r\n", server.bearer());
    assert_eq!(server.ask("GET", "/api/1/about", &body).status, 413);
    let body = format!("{}Transfer-Encoding: chunked\r\n", server.bearer());
    assert_eq!(server.ask("GET", "/api/1/about", &body).status, 413);
}

#[test]
fn page_of_another_site_reads_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let own = server.address;
    let status = |path: &str, headers: &str| {
        server.ask("GET", path, &format!("{}{headers}", server.bearer())).status
    };
    let about = "/api/1/about";
    for (header, expected) in [
        ("Sec-Fetch-Site: same-origin\r\n".to_owned(), 200),
        ("Sec-Fetch-Site: none\r\n".to_owned(), 200),
        (format!("Origin: http://{own}\r\n"), 200),
        ("Sec-Fetch-Site: cross-site\r\n".to_owned(), 403),
        ("Sec-Fetch-Site: same-site\r\n".to_owned(), 403),
        ("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n".to_owned(), 403),
        ("Sec-Fetch-Site: what\r\n".to_owned(), 403),
        ("Origin: http://evil.test\r\n".to_owned(), 403),
        ("Origin: http://127.0.0.1:1\r\n".to_owned(), 403),
        ("Origin: null\r\n".to_owned(), 403),
        (format!("Origin: http://{own}.evil.test\r\n"), 403),
        (format!("Origin: http://{own}\r\nOrigin: http://evil.test\r\n"), 403),
    ] {
        assert_eq!(status(about, &header), expected, "{header}");
    }
    // A link to the page, which has no secret; not the page as a part of another one.
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: ";
    assert_ne!(status("/", &format!("{link}document\r\n")), 403);
    assert_eq!(status("/", &format!("{link}iframe\r\n")), 403);
    assert_eq!(status(about, &format!("{link}document\r\n")), 403);
    assert_eq!(status("/page/js/main.js", "Sec-Fetch-Site: cross-site\r\n"), 403);
}

#[test]
fn token_is_needed_for_all_but_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let token = server.token.clone();
    assert_eq!(token.len(), 64);
    let (start, end) = token.split_at(63);
    for header in [
        String::new(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Bearer {start}\r\n"),
        format!("Authorization: Bearer {token}0\r\n"),
        format!("Authorization: Bearer {start}{}\r\n", if end == "0" { 1 } else { 0 }),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        format!("Cookie: token={token}\r\n"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
    ] {
        for path in ["/api/1/about", "/api/1/stream?home=1", "/metrics", "/nothing", "/api/2/"] {
            let answer = server.ask("GET", path, &header);
            assert_eq!(answer.status, 401, "{path} {header}");
            assert!(answer.headers["www-authenticate"].starts_with("Bearer"));
        }
    }
    let query = format!("/api/1/about?token={token}");
    assert_eq!(server.ask("GET", &query, "").status, 401);
    let lower = format!("authorization: bearer {token}\r\n");
    assert_eq!(server.ask("GET", "/api/1/about", &lower).status, 200);
    assert_ne!(server.ask("GET", "/", "").status, 401);
    assert_eq!(server.ask("GET", "/favicon.ico", "").status, 204);
    let metrics = server.get("/metrics");
    assert_eq!(metrics.status, 200, "{metrics:?}");
}

#[test]
fn headers_are_on_all_answers() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let host = format!("Host: {}\r\n", server.address);
    let large = format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: x\r\n".repeat(200));
    let long = format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(300));
    let very_long = format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(100_000));
    let bearer = server.bearer();
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\n{host}\r\n"), None),
        (format!("GET /page/nothing.js HTTP/1.1\r\n{host}\r\n"), Some(404)),
        (format!("GET /page/../../Cargo.toml HTTP/1.1\r\n{host}\r\n"), Some(404)),
        (format!("GET /page/%2e%2e/Cargo.toml HTTP/1.1\r\n{host}\r\n"), Some(404)),
        (format!("GET /page//etc/passwd HTTP/1.1\r\n{host}\r\n"), Some(404)),
        (format!("GET /api/1/about HTTP/1.1\r\n{host}\r\n"), Some(401)),
        (format!("GET /api/1/about HTTP/1.1\r\n{host}{bearer}\r\n"), Some(200)),
        (format!("GET /api/1/about?x=1 HTTP/1.1\r\n{host}{bearer}\r\n"), Some(400)),
        (format!("GET /nothing HTTP/1.1\r\n{host}{bearer}\r\n"), Some(404)),
        (format!("GET /api/1/programs/%ff HTTP/1.1\r\n{host}{bearer}\r\n"), Some(400)),
        (format!("POST / HTTP/1.1\r\n{host}\r\n"), Some(405)),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), Some(403)),
        ("GARBAGE\r\n\r\n".to_owned(), Some(400)),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), Some(400)),
        (format!("GET / HTTP/1.1\r\n{host}bad header\r\n\r\n"), Some(400)),
        (large, Some(431)),
        (many, Some(431)),
        (long, Some(414)),
        // As large a head, or as long a path: what is found first depends on how it arrives.
        (very_long, None),
    ] {
        let answer = server.raw(request.as_bytes());
        let shown: String = request.chars().take(60).collect();
        if let Some(status) = status {
            assert_eq!(answer.status, status, "{shown}: {answer:?}");
        }
        for header in HEADERS {
            assert!(answer.headers.contains_key(header), "{header} of {shown}: {answer:?}");
        }
        if answer.status >= 400 {
            assert!(answer.json()["error"].is_string(), "{shown}");
        }
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn slow_senders_and_many_connections_keep_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    // More than it takes, each with the start of a head.
    let mut slow: Vec<_> = (0..200).map(|_| server.connect()).collect();
    let start = Instant::now();
    for stream in &mut slow {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ");
    }
    until("a connection more is told", || {
        let answer = server.get("/api/1/about");
        // Reset before the answer was read, or told.
        assert!([0, 200, 503].contains(&answer.status), "{answer:?}");
        answer.status == 503 && answer.headers.contains_key(HEADERS[0])
    });
    until("slow senders are given up", || {
        for stream in &mut slow {
            let _ = stream.write_all(b"x");
        }
        std::thread::sleep(Duration::from_millis(200));
        server.get("/api/1/about").status == 200
    });
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    // A connection that sends nothing at all.
    let mut silent = server.connect();
    let start = Instant::now();
    let _ = silent.read(&mut [0]);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[test]
fn streams_are_bounded_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let streams: Vec<_> = (0..48).map(|_| server.stream("home=1")).collect();
    let refused = server.get("/api/1/stream?home=1");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(server.get("/api/1/about").status, 200);
    drop(streams);
    until("a stream is free", || {
        let mut stream = server.connect();
        let (host, bearer) = (server.address, server.bearer());
        let head = format!("GET /api/1/stream?home=1 HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).is_ok() && start == *b"HTTP/1.1 200"
    });
}

#[test]
fn listening_beyond_loopback_needs_a_token_of_the_user() {
    let dir = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let printed = run(dir.path(), &["serve", "--listen", address]);
        assert_eq!(printed.code, Some(2), "{}", printed.err);
        assert!(printed.err.contains("--token-file"), "{}", printed.err);
    }
    let file = dir.path().join("token");
    fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
    #[cfg(unix)] // modes
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let path = file.to_str().unwrap();
        let printed = run(dir.path(), &["serve", "--listen", "0.0.0.0:0", "--token-file", path]);
        assert_eq!(printed.code, Some(2), "{}", printed.err);
        assert!(printed.err.contains("chmod 600"), "{}", printed.err);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    // Loopback, so that no test is reached by other machines.
    let mut server = Server::run(
        mmstats(dir.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--host", "web.example"])
            .arg("--token-file")
            .arg(&file),
    );
    assert!(server.said.contains("--token-file"), "{}", server.said);
    assert!(!server.said.contains("0123456789"), "{}", server.said);
    server.token = "0123456789abcdef0123456789abcdef".to_owned();
    assert_eq!(server.get("/api/1/about").status, 200);
    let named =
        format!("GET /api/1/about HTTP/1.1\r\nHost: WEB.example\r\n{}\r\n", server.bearer());
    assert_eq!(server.raw(named.as_bytes()).status, 200);
}

#[cfg(target_os = "linux")] // /proc, modes, signals
#[test]
fn token_is_in_no_argument_and_its_files_end_with_the_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let runtime = tempfile::tempdir().unwrap();
    let (script, seen) = (dir.path().join("browser"), dir.path().join("seen"));
    // Says its arguments and what is in the file.
    let text = format!(
        "#!/bin/sh\nfor a; do echo \"$a\"; done >{0}.new\nstat -c %a \"$1\" >>{0}.new\ncat \"$1\" >>{0}.new\nmv {0}.new {0}\n",
        seen.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let mut server = Server::run(
        mmstats(dir.path())
            .args(["serve", "--open", "--listen", "127.0.0.1:0"])
            .env("BROWSER", &script)
            .env("XDG_RUNTIME_DIR", runtime.path()),
    );
    until("the browser is started", || seen.exists());
    let seen = fs::read_to_string(&seen).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    assert!(!lines[0].contains(&server.token) && lines[0].ends_with(".html"), "{seen}");
    assert_eq!(lines[1], "600");
    let url = format!("http://{}/#token={}", server.address, server.token);
    assert!(seen.contains(&format!("content=\"0;url={url}\"")), "{seen}");
    assert!(!server.said.contains(&server.token), "{}", server.said);
    let process = format!("/proc/{}", server.child.id());
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("{process}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(&server.token));
    }
    let mode = fs::metadata(&server.token_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(runtime.path()).unwrap().count(), 2);
    let mut stream = server.stream("home=1");
    common::signal(server.child.id(), "TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_dir(runtime.path()).unwrap().count(), 0);
    while stream.next().is_some() {}
}

#[cfg(target_os = "linux")] // a terminal by a program of util-linux
#[test]
fn token_is_shown_on_a_terminal_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = mmstats(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let mut terminal = common::pty::Terminal::start(&command, 200, 10);
    let screen = terminal.wait_for("#token=");
    let token = screen.split("#token=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(token.len(), 64, "{screen}");
    terminal.press("\u{3}");
    assert!(terminal.child.wait().unwrap().success());
}

#[cfg(unix)] // Unix sockets
#[test]
fn socket_is_for_its_owner_and_replaces_nothing() {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::os::unix::net::{UnixListener, UnixStream};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let start = || {
        let mut command = mmstats(dir.path());
        command.arg("serve").arg("--socket").arg(&path).spawn().unwrap()
    };
    let ask = |host: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /api/1/about HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Answer::read(stream)
    };
    // The server that made it has ended.
    drop(UnixListener::bind(&path).unwrap());
    let mut server = start();
    until("the socket answers", || UnixStream::connect(&path).is_ok());
    let metadata = fs::metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(ask("localhost").status, 200);
    assert_eq!(ask("evil.test").status, 403);
    // A second server does not take it.
    let second = run(dir.path(), &["serve", "--socket", path.to_str().unwrap()]);
    assert_eq!(second.code, Some(1), "{}", second.err);
    assert_eq!(ask("localhost").status, 200);
    common::signal(server.id(), "INT");
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
    fs::write(&path, "kept").unwrap();
    let refused = run(dir.path(), &["serve", "--socket", path.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn port_in_use_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let printed = run(dir.path(), &["serve", "--listen", &server.address.to_string()]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.err.contains("is in use"), "{}", printed.err);
}
