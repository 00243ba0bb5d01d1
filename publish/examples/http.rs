//! A small HTTP server, watched from outside.
//!
//! ```text
//! cargo run --release --example http -p mmstats            # serves on 127.0.0.1:8080
//! wrk -t2 -c16 -d30 http://127.0.0.1:8080/hello/you        # any load tool
//! cargo run --release -- poll 'http.requests*,http.in_flight,http.latency,http.bytes_out'
//! ```
//!
//! Tasks move between threads, so the handlers use `Publisher::with`, which finds the handles of
//! the current thread. No handle is kept across an `await`.

use std::net::SocketAddr;

use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, body::HttpBody};
use mmstats::{Counter, Events, Family, Gauge, Info, Latency, Options, Publisher, Stats, Text};

#[derive(Stats)]
#[stats(prefix = "http")]
struct Http {
    /// Version of the server.
    #[stats(value = env!("CARGO_PKG_VERSION"))]
    version: Info,
    /// Requests answered, by route and status.
    #[stats(labels("route", "status"))]
    requests: Family<Counter, 2>,
    /// Requests being answered now.
    in_flight: Gauge<i64>,
    /// From the first byte of a request to the last header of its answer, by route.
    #[stats(labels("route"), error = 0.02)]
    latency: Family<Latency, 1>,
    /// Bytes of bodies sent.
    #[stats(unit = "bytes")]
    bytes_out: Counter,
    /// Path of the newest request on this thread.
    last_path: Text<64>,
    /// The last actions of the server. `mmstats events` prints them.
    log: Events,
}

type Web = Publisher<Http>;

async fn measure(State(web): State<Web>, request: Request, next: Next) -> Response {
    let start = std::time::Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    web.with(|stats| {
        stats.in_flight.add(1);
        stats.last_path.set(request.uri().path());
    });
    // After the `await` the task may run on another thread, so each part calls `with`.
    let response = next.run(request).await;
    web.with(|stats| {
        stats.in_flight.sub(1);
        let route = route.as_ref().map_or("other", MatchedPath::as_str);
        stats.latency.get(&[route]).record(start.elapsed());
        stats.requests.get(&[route, response.status().as_str()]).incr();
        if !response.status().is_success() {
            stats.log.record_fmt(format_args!("{} for {route}", response.status()));
        }
        stats.bytes_out.add(response.body().size_hint().exact().unwrap_or(0));
    });
    response
}

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

#[derive(serde::Deserialize)]
struct Limit {
    below: u64,
}

/// Work that takes some time: counts primes.
async fn primes(Query(limit): Query<Limit>) -> Result<String, (StatusCode, &'static str)> {
    if limit.below > 200_000 {
        return Err((StatusCode::BAD_REQUEST, "at most 200000\n"));
    }
    let is_prime = |n: u64| n > 1 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    let count = (0..limit.below).filter(|n| is_prime(*n)).count();
    Ok(format!("{count} primes below {}\n", limit.below))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let address: SocketAddr = address.parse()?;
    // The application runs even if publishing is impossible.
    let web: Web = Options::new().name("http").or_private().start()?;
    if let Some(problem) = web.problem() {
        eprintln!("nothing is published: {problem}");
    }
    let app = Router::new()
        .route("/", get(|| async { ([(header::CONTENT_TYPE, "text/plain")], "It works.\n") }))
        .route("/hello/{name}", get(hello))
        .route("/primes", get(primes))
        .layer(middleware::from_fn_with_state(web.clone(), measure))
        .with_state(web.clone());
    let listener = tokio::net::TcpListener::bind(address).await?;
    web.with(|stats| stats.log.record_fmt(format_args!("serving on {address}")));
    println!("serving http://{}/, /hello/NAME, /primes?below=N", listener.local_addr()?);
    println!("watch it:  mmstats show {}", std::process::id());
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}
