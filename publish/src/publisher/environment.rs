//! Settings from the environment.

use std::str::FromStr;
use std::time::Duration;

use crate::backend::{directory, name, process};
use crate::error::Error;
use crate::files::application::is_name;
use crate::files::settings::{OnDrop, Settings};

/// The variables, each with the values that are allowed.
const VARIABLES: [(&str, &str); 7] = [
    ("MMSTATS_NAME", "text in UTF-8"),
    ("MMSTATS_APPLICATION", "at most 255 bytes"),
    ("MMSTATS_LANES", "a number from 1 to 65536"),
    ("MMSTATS_SAMPLE", "a number of seconds from 0.001 to 86400"),
    ("MMSTATS_POST_MORTEMS", "a number"),
    ("MMSTATS_KEEP", "0 or 1"),
    ("MMSTATS_DISABLE", "0 or 1"),
];

/// The settings of the environment, and the error of the first variable that is wrong.
pub(crate) fn settings() -> (Settings, Option<Error>) {
    let mut settings = Settings::default();
    let mut mistake = None;
    if process::ignores_environment() {
        return (settings, None);
    }
    for (name, rule) in VARIABLES {
        let value = std::env::var_os(name).unwrap_or_default();
        let text = value.to_str();
        if !value.is_empty() && text.and_then(|text| set(&mut settings, name, text)).is_none() {
            let value = value.to_string_lossy().into_owned();
            mistake.get_or_insert(Error::Environment { name, value, rule });
        }
    }
    (settings, mistake)
}

/// The error of a variable that is set, in a process that ignores the environment.
pub(crate) fn ignored() -> Option<Error> {
    let mut names =
        VARIABLES.map(|(name, _)| name).into_iter().chain([directory::VARIABLE, name::VARIABLE]);
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let set = || names.find(is_set);
    Some(Error::EnvironmentIgnored { name: process::ignores_environment().then(set)?? })
}

/// Changes the setting of variable `name`; `None` if `value` is not allowed.
fn set(settings: &mut Settings, name: &str, value: &str) -> Option<()> {
    match name {
        "MMSTATS_NAME" => settings.name = Some(value.to_owned()),
        "MMSTATS_APPLICATION" => {
            settings.application = Some(Some(value.to_owned()).filter(|name| is_name(name))?);
        }
        "MMSTATS_LANES" => settings.lanes = number(value).filter(|n| (1..=65536).contains(n))?,
        "MMSTATS_SAMPLE" => {
            let seconds = number(value).filter(|n| (0.001..=86400.0).contains(n))?;
            settings.sample_every = Duration::from_secs_f64(seconds);
        }
        "MMSTATS_POST_MORTEMS" => settings.post_mortems = Some(number(value)?),
        "MMSTATS_KEEP" => {
            settings.on_drop = if switch(value)? { OnDrop::Keep } else { OnDrop::Remove };
        }
        "MMSTATS_DISABLE" => settings.hidden = switch(value)?,
        _ => {}
    }
    Some(())
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
