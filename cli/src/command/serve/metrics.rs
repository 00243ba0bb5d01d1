//! The address `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::answer::{Refusal, typed};
use crate::metrics::{Exposition, Form, Scraper};

/// Answers scrapes: each takes a look of its own.
pub(crate) fn router(scraper: Arc<Mutex<Scraper>>) -> Router {
    let exposition = Arc::new(Mutex::new(Exposition::default()));
    let answer = async move |headers: HeaderMap| {
        let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let form = Form::accepted(&accept.collect::<Vec<_>>().join(","));
        let encodings = headers.get_all(ACCEPT_ENCODING).iter();
        let encodings = encodings.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
        scrape(scraper, exposition, form, accepts_gzip(&encodings.join(","))).await
    };
    Router::new().route("/metrics", get(answer))
}

async fn scrape(
    scraper: Arc<Mutex<Scraper>>,
    exposition: Arc<Mutex<Exposition>>,
    form: Form,
    gzip: bool,
) -> Response {
    // In a thread that may wait for files.
    let made = tokio::task::spawn_blocking(move || {
        // A lock whose holder panicked protects nothing but values of looks.
        let mut exposition = exposition.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scraper = scraper.lock().unwrap_or_else(PoisonError::into_inner);
        scraper.refresh();
        exposition.answer(&scraper, form, gzip)
    });
    match made.await {
        Ok(Ok((kind, body))) => {
            let mut response = typed(body, kind);
            if gzip {
                let gzip = HeaderValue::from_static("gzip");
                response.headers_mut().insert(CONTENT_ENCODING, gzip);
            }
            response
        }
        Ok(Err(_)) | Err(_) => {
            let text = "the server failed; see its terminal";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text).answer()
        }
    }
}

/// Whether a header `Accept-Encoding` has gzip. Nothing else is offered, so its weight only matters if it is 0.
fn accepts_gzip(encodings: &str) -> bool {
    let weight = |wanted: &str| {
        encodings.split(',').find_map(|item| {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let weight = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok());
            name.trim().eq_ignore_ascii_case(wanted).then_some(weight.unwrap_or(1.0))
        })
    };
    weight("gzip").or(weight("*")).is_some_and(|weight: f32| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_accepted_where_its_weight_is_not_0() {
        for yes in ["gzip", "deflate, GZIP;q=0.5", "*", "br, *;q=0.1", "gzip;q=1.0, *;q=0"] {
            assert!(accepts_gzip(yes), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=0, *", "*;q=0", "x-gzipped"] {
            assert!(!accepts_gzip(no), "{no}");
        }
    }
}
