//! Settings from the environment.

use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;
use crate::files::settings::{OnDrop, Settings};

/// The settings of the environment, and the error of the first variable that is wrong.
pub(crate) fn settings() -> (Settings, Option<Error>) {
    let mut settings = Settings::default();
    let mut mistake = None;
    let mut set = |name, change: &mut dyn FnMut(&str) -> Option<()>, rule| {
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
            return;
        };
        let value = value.to_string_lossy();
        if change(&value).is_none() {
            let value = value.into_owned();
            mistake.get_or_insert(Error::Environment { name, value, rule });
        }
    };
    let name = &mut |value: &str| {
        settings.name = Some(value.to_owned());
        Some(())
    };
    set("MMSTATS_NAME", name, "");
    let lanes = &mut |value: &str| {
        settings.lanes = number(value).filter(|n| (1..=65536).contains(n))?;
        Some(())
    };
    set("MMSTATS_LANES", lanes, "a number from 1 to 65536");
    let sample = &mut |value: &str| {
        let seconds = value.trim().parse().ok().filter(|n: &f64| (0.001..=86400.0).contains(n));
        settings.sample_every = Duration::from_secs_f64(seconds?);
        Some(())
    };
    set("MMSTATS_SAMPLE", sample, "a number of seconds from 0.001 to 86400");
    let post_mortems = &mut |value: &str| {
        settings.post_mortems = Some(number(value)?);
        Some(())
    };
    set("MMSTATS_POST_MORTEMS", post_mortems, "a number");
    let keep = &mut |value: &str| {
        settings.on_drop = if switch(value)? { OnDrop::Keep } else { OnDrop::Remove };
        Some(())
    };
    set("MMSTATS_KEEP", keep, "0 or 1");
    let disable = &mut |value: &str| {
        settings.hidden = switch(value)?;
        Some(())
    };
    set("MMSTATS_DISABLE", disable, "0 or 1");
    (settings, mistake)
}

fn number<T: FromStr>(value: &str) -> Option<T> {
    value.trim().parse().ok()
}

fn switch(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}
