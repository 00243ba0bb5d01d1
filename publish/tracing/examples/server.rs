//! A server of axum with the `TraceLayer` of tower-http: everything that is said about its requests is
//! said by these libraries. One line publishes it.
//!
//! ```text
//! cargo run -p mmstats-tracing --example server
//! curl http://127.0.0.1:3000/          # answers at once
//! curl http://127.0.0.1:3000/slow      # takes two seconds
//! curl http://127.0.0.1:3000/stuck     # never answers
//! curl http://127.0.0.1:3000/spin      # keeps a thread busy for ever
//! mmstats show server                  # what is it doing?
//! ```
//!
//! An argument is another address to listen on.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tower_http::trace::TraceLayer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// Work that calls no tracing of its own.
#[tracing::instrument]
fn parse(rounds: u64) -> u64 {
    let mut state = 1_u64;
    for round in 0..rounds {
        state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005) ^ round);
    }
    state
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mmstats = mmstats::init();
    mmstats.record_panics()?;
    // The line.
    let spans = mmstats_tracing::layer().with_filter(LevelFilter::DEBUG);
    let log = tracing_subscriber::fmt::layer().with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(spans).with(log).init();

    let app = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(2)).await }))
        .route("/stuck", get(std::future::pending::<()>))
        .route("/spin", get(|| async { parse(u64::MAX).to_string() }))
        .layer(TraceLayer::new_for_http());
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    axum::serve(listener, app).await?;
    Ok(())
}
