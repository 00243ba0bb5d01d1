//! Checks of a request before it is routed.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderName, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};
use subtle::ConstantTimeEq as _;

use super::answer::Refusal;
use super::host::{Authority, Known};

/// Maximum length of a path, and of a query, in bytes.
const MAX_PATH: usize = 256;
const MAX_QUERY: usize = 8 << 10;

/// Conditions that a server checks for each request.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) known: Known,
    /// `None` on a Unix socket, whose mode says who may connect.
    pub(super) token: Option<Token>,
}

/// The secret that viewers share with the server.
pub(super) struct Token(Arc<str>);

impl Token {
    pub(super) fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Takes the same time wherever the first difference is.
    fn is(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Guard {
    /// Whether a request that arrived at `address` may be routed.
    pub(super) fn check(
        &self,
        request: &Request,
        address: Option<SocketAddr>,
    ) -> Result<(), Refusal> {
        let headers = request.headers();
        let host = self.host(request, address)?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let text = "nothing can be changed here: GET and HEAD only";
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text));
        }
        let query = request.uri().query().unwrap_or_default();
        let path = request.uri().path();
        if path.len() > MAX_PATH || query.len() > MAX_QUERY {
            let text = format!(
                "the path has more than {MAX_PATH} bytes, or the query more than {MAX_QUERY}"
            );
            return Err(Refusal::new(StatusCode::URI_TOO_LONG, text));
        }
        let has_body = headers.contains_key(TRANSFER_ENCODING)
            || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0");
        if has_body {
            let text = "a request has no body here";
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        own_site(headers, path, &host)?;
        if is_public(path) {
            return Ok(());
        }
        self.token(headers)
    }

    /// The host of the request, if it is one of this server.
    fn host(&self, request: &Request, address: Option<SocketAddr>) -> Result<Authority, Refusal> {
        let wrong = |text: &str| Err(Refusal::new(StatusCode::FORBIDDEN, text));
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().and_then(|host| Authority::parse(host.to_str().ok()?));
        let Some(host) = host.filter(|_| hosts.next().is_none()) else {
            return wrong("the request needs one Host, the address of this server");
        };
        let is_known = self.known.contains(&host, address);
        // A request may name its server in the path too.
        let named = request.uri().authority().map(|named| Authority::parse(named.as_str()));
        if !is_known || named.is_some_and(|named| named.as_ref() != Some(&host)) {
            return wrong("this server has another name; --host adds one");
        }
        Ok(host)
    }

    fn token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let refuse = |text: &str| Err(Refusal::new(StatusCode::UNAUTHORIZED, text));
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let (Some(first), None) = (given.next(), given.next()) else {
            return refuse("one token is needed: Authorization: Bearer TOKEN");
        };
        let (scheme, given) = first.as_bytes().split_at(first.len().min("Bearer ".len()));
        if !scheme.eq_ignore_ascii_case(b"Bearer ") || !token.is(given.trim_ascii()) {
            return refuse("this is not the token of this server");
        }
        Ok(())
    }
}

/// Whether the path has nothing of programs: the page itself.
fn is_public(path: &str) -> bool {
    matches!(path, "/" | "/favicon.ico")
        || path.starts_with("/page/")
        || path.starts_with("/vendor/")
}

/// Refuses what the page of another site asks for. It may link to the page, which then has no token.
fn own_site(headers: &HeaderMap, path: &str, host: &Authority) -> Result<(), Refusal> {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");
    const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    let refuse = || {
        let text = "a page of another site asks";
        Err(Refusal::new(StatusCode::FORBIDDEN, text))
    };
    let is = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|v| v == value);
    let is_link = path == "/" && is(&MODE, "navigate") && is(&DESTINATION, "document");
    let is_own = |site: &http::HeaderValue| site == "same-origin" || site == "none";
    if !is_link && !headers.get_all(&SITE).iter().all(is_own) {
        return refuse();
    }
    let is_own = |origin: &http::HeaderValue| {
        let origin = origin.to_str().ok()?;
        let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
        (Authority::parse(named)? == *host).then_some(())
    };
    match headers.get_all(ORIGIN).iter().all(|origin| is_own(origin).is_some()) {
        true => Ok(()),
        false => refuse(),
    }
}
