//! Programs as metrics: what `mmstats export` sends, and what the page's server answers.

mod exposition;
mod gzip;
mod held;
mod scraper;
mod settings;

pub(crate) use self::exposition::{Exposition, Form};
#[cfg(feature = "export")] // requests to collectors
pub(crate) use self::gzip::Gzip;
pub(crate) use self::scraper::Scraper;
pub(crate) use self::settings::Settings;
