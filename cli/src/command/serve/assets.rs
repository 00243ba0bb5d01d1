//! The page: files that are compiled in. A debug build reads them from the source.

use axum::response::Response;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use rust_embed::RustEmbed;

use super::answer::{Refusal, typed};

/// The library with which the page draws graphs that can be zoomed.
const PLOTS: &str = "node_modules/uplot/dist/uPlot.esm.js";
/// Hint on the page if that library is missing.
pub(super) const PLOTS_HINT: &str = "npm ci in cli/page, then build again";

#[derive(RustEmbed)]
#[folder = "page/"]
#[allow_missing = true]
#[include = "index.html"]
#[include = "*.css"]
#[include = "*.svg"]
#[include = "js/*.js"]
#[include = "node_modules/uplot/dist/uPlot.esm.js"]
#[include = "node_modules/uplot/dist/uPlot.min.css"]
#[include = "node_modules/uplot/LICENSE"]
struct Page;

/// Whether the library for graphs is there.
pub(super) fn has_plots() -> bool {
    Page::get(PLOTS).is_some()
}

/// A file of the page, by the path of the request.
pub(super) fn get(path: &str) -> Result<Response, Refusal> {
    let name = match path {
        "/" => "index.html".to_owned(),
        "/vendor/uplot/LICENSE" => "node_modules/uplot/LICENSE".to_owned(),
        path => match (path.strip_prefix("/page/"), path.strip_prefix("/vendor/uplot/")) {
            (Some(name), _) if !name.starts_with("node_modules") => name.to_owned(),
            (_, Some(name)) => format!("node_modules/uplot/dist/{name}"),
            _ => return Err(missing()),
        },
    };
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.');
    if !name.split('/').all(is_plain) || name.contains('\\') {
        return Err(missing());
    }
    let file = Page::get(&name).ok_or_else(missing)?;
    let mut response = typed(file.data, kind(&name));
    // The page of this version of the server.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn missing() -> Refusal {
    Refusal::missing("there is no such page")
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}
