//! An answer to a scrape, in the form that the scraper asks for.

use std::io;

use mmstats_export::{Catalogue, Format, Protobuf, Text};

use super::gzip::Gzip;
use super::scraper::Scraper;

/// State kept from one scrape to the next.
#[derive(Debug)]
pub(crate) struct Exposition {
    catalogue: Catalogue,
    open: Text,
    old: Text,
    protobuf: Protobuf,
    /// Length of the last answer: the next one has about the same.
    len: usize,
}

impl Default for Exposition {
    fn default() -> Self {
        Self {
            catalogue: Catalogue::new(),
            open: Text::new(Format::OpenMetrics),
            old: Text::new(Format::Prometheus),
            protobuf: Protobuf::new(),
            len: 0,
        }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    OpenMetrics,
    Prometheus,
    Protobuf,
}

impl Form {
    /// The form that a header `Accept` prefers; the text of Prometheus if it names none.
    pub(crate) fn accepted(accept: &str) -> Self {
        let mut best = (0.0, Self::Prometheus);
        for item in accept.split(',') {
            let mut parts = item.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<(&str, &str)> =
                parts.filter_map(|part| part.split_once('=')).collect();
            let parameter = |name: &str| {
                let found =
                    parameters.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim().trim_matches('"'))
            };
            let form = match &*kind {
                "application/vnd.google.protobuf"
                    if parameter("proto") == Some("io.prometheus.client.MetricFamily")
                        && parameter("encoding").is_none_or(|encoding| encoding == "delimited") =>
                {
                    Self::Protobuf
                }
                "application/openmetrics-text" => Self::OpenMetrics,
                "text/plain" => Self::Prometheus,
                _ => continue,
            };
            let quality = parameter("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
            // Of equal ones the first.
            if quality > best.0 {
                best = (quality, form);
            }
        }
        best.1
    }
}

impl Exposition {
    /// The metrics of a look, and their content type; compressed as they are written if `gzip`, so that their text is
    /// never there as a whole.
    pub(crate) fn answer(
        &mut self,
        scraper: &Scraper,
        form: Form,
        gzip: bool,
    ) -> io::Result<(&'static str, Vec<u8>)> {
        let targets = scraper.targets();
        self.catalogue.update(&targets);
        self.catalogue.set_dropped(scraper.dropped());
        // Without it the room is doubled as it grows, and copied.
        let room = self.len + self.len / 8;
        let mut body =
            if gzip { Body::Small(Gzip::new(room)) } else { Body::Plain(Vec::with_capacity(room)) };
        let mut result = Ok(());
        let mut add = |part: &[u8]| {
            if result.is_ok() {
                result = body.add(part);
            }
        };
        let kind = match form {
            Form::OpenMetrics => {
                self.open.encode_parts(&self.catalogue, &targets, |part| add(part.as_bytes()));
                Format::OpenMetrics.content_type()
            }
            Form::Prometheus => {
                self.old.encode_parts(&self.catalogue, &targets, |part| add(part.as_bytes()));
                Format::Prometheus.content_type()
            }
            Form::Protobuf => {
                self.protobuf.encode_parts(&self.catalogue, &targets, add);
                Protobuf::CONTENT_TYPE
            }
        };
        result?;
        let body = body.finish()?;
        self.len = body.len();
        Ok((kind, body))
    }

    /// The fields that were left out because of their names, since the last update.
    #[cfg(feature = "export")] // the only user
    pub(crate) fn collisions(&self) -> &[String] {
        self.catalogue.losses().collisions()
    }
}

/// The body of an answer.
enum Body {
    Plain(Vec<u8>),
    Small(Gzip),
}

impl Body {
    fn add(&mut self, part: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(bytes) => {
                bytes.extend_from_slice(part);
                Ok(())
            }
            Self::Small(gzip) => gzip.write(part),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(bytes) => Ok(bytes),
            Self::Small(gzip) => gzip.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_is_the_one_that_is_preferred() {
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
            application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.2";
        assert_eq!(Form::accepted(prometheus), Form::Protobuf);
        let older = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Form::accepted(older), Form::OpenMetrics);
        for plain in [
            "",
            "*/*",
            "text/html",
            "application/vnd.google.protobuf",
            "application/openmetrics-text;q=0",
        ] {
            assert_eq!(Form::accepted(plain), Form::Prometheus, "{plain}");
        }
    }
}
