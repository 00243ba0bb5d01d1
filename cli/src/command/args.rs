//! Parts of the command line that several commands share.

use std::ffi::OsString;
use std::io;
#[cfg(feature = "record")] // recordings
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, PathBufValueParser, TypedValueParser};

#[cfg(feature = "record")] // recordings
use crate::model::recorded;
use crate::model::selection::Selection;
use crate::output::{Output, Screen};

/// The end of the long help of every command, after its own text.
macro_rules! exit_codes {
    ($($more:expr),* $(,)?) => {
        concat!(
            $($more,)*
            "\nExit codes:\n",
            "  0  success\n",
            "  1  a named file or program could not be read, or nothing matched\n",
            "  2  the command line is wrong\n",
            "  3  as 0, but what is shown is incomplete: parts of a program are missing",
        )
    };
}

pub(crate) use exit_codes;

/// How programs are selected, in the long help of the commands that take `PID|NAME|PATH`.
macro_rules! selecting {
    () => {
        concat!(
            "\nSelecting programs:\n",
            "  1234    process 1234 of any user that may be read, wherever its files are\n",
            "  web     the programs of this name; if none lives, the one that ended last\n",
            "  ./web   a file, or the files of a directory; also any/path and x.mmst\n",
        )
    };
}

pub(crate) use selecting;

/// Where programs are looked for.
#[derive(Debug, Default, Clone, Copy, Args)]
pub(crate) struct Scope {
    /// Look into the namespaces of all processes: into each container, also for programs that ended there.
    #[arg(long)]
    all_namespaces: bool,
}

impl Scope {
    /// The programs of the arguments; without arguments those of all users and places.
    pub(crate) fn select_everywhere(self, programs: &[OsString]) -> Selection {
        let explicit = crate::backend::directory::environment().is_explicit();
        let everywhere = programs.is_empty() && !explicit;
        self.select(programs).or_everywhere(everywhere)
    }

    /// The programs of the arguments; without arguments those of the default directories.
    pub(crate) fn select(self, programs: &[OsString]) -> Selection {
        Selection::parse(programs).in_all_namespaces(self.all_namespaces)
    }
}

/// The form of the output.
#[derive(Debug, Default, Clone, Copy, Args)]
pub(crate) struct Form {
    /// Print the table of a terminal in a pipe too, as wide as COLUMNS says.
    #[arg(long, conflicts_with_all = ["plain", "json"])]
    table: bool,

    /// Print the plain lines of a pipe on a terminal too.
    #[arg(long, conflicts_with = "json")]
    plain: bool,
}

impl Form {
    /// The screen for which is printed.
    pub(crate) fn screen(self, output: &Output) -> Screen {
        match self {
            Self { table: true, .. } => output.screen().as_table(),
            Self { plain: true, .. } => Screen { size: None },
            _ => output.screen(),
        }
    }
}

/// Receives a message when the user presses Ctrl-C.
pub(crate) fn interrupt() -> io::Result<Receiver<()>> {
    let (sender, receiver) = channel();
    ctrlc::set_handler(move || {
        let _ = sender.send(());
    })
    .map_err(io::Error::other)?;
    Ok(receiver)
}

/// A process id, name or path: any text but none.
pub(crate) fn program() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|text| match text.is_empty() {
        true => Err("an empty text is no process id, name or path"),
        false => Ok(text),
    })
}

/// As [`program`], of a command that reads no recording: says which ones do.
#[cfg(feature = "record")] // else no command makes one
pub(crate) fn live_program() -> impl TypedValueParser<Value = OsString> {
    program().try_map(|text| match recorded::readers(Path::new(&text)) {
        Some(help) => Err(help),
        None => Ok(text),
    })
}

#[cfg(not(feature = "record"))] // no command makes a recording
pub(crate) use program as live_program;

/// A file with an image, which a recording is not.
pub(crate) fn image() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        #[cfg(feature = "record")] // else no command makes one
        if mmstats_recording::is_recording(&path) {
            return Err(recorded::readers(&path).unwrap_or_default());
        }
        Ok::<_, String>(path)
    })
}

/// A number of rows or times, from 1.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "not a number from 1 on".to_owned())
}

/// A number of lines, from 0.
pub(crate) fn lines(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "not a number of lines".to_owned())
}

/// A number of programs, from 0.
pub(crate) fn programs(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "not a number of programs".to_owned())
}

/// A number from 1 to `MAX`.
#[cfg(any(feature = "live", feature = "record"))] // its users
pub(crate) fn up_to<const MAX: u16>(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX).contains(number));
    number.ok_or_else(|| format!("not a number from 1 to {MAX}"))
}

/// Seconds with a fraction, or a number with the unit `ms`, `s`, `m` or `h`: from a millisecond to a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let wrong =
        || "not a number of seconds from 0.001 to 86400, or a time like 500ms, 2s or 1m".to_owned();
    // A unit of two letters comes before its last one.
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let with_unit = |(unit, factor)| Some((text.strip_suffix(unit)?, factor));
    let (number, factor) = units.into_iter().find_map(with_unit).unwrap_or((text, 1.0));
    let seconds: f64 = number.parse::<f64>().map_err(|_| wrong())? * factor;
    if (0.001..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wrong())
    }
}

/// A duration with a unit: `90s`, `15m`, `12h`, `7d` or `2w`, with a fraction if need be; `0` needs
/// none.
pub(crate) fn long_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a duration like 90s, 15m, 12h, 7d or 2w".to_owned();
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        Some((at, 'd')) => (&text[..at], 86_400),
        Some((at, 'w')) => (&text[..at], 604_800),
        _ if text == "0" => (text, 1),
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = number * f64::from(unit);
    let valid = number.is_sign_positive() && seconds.is_finite();
    Duration::try_from_secs_f64(seconds).ok().filter(|_| valid).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_duration_needs_unit_and_number() {
        let seconds = |text| long_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("1.5h"), Ok(5_400));
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        assert_eq!((seconds("0"), seconds("0s")), (Ok(0), Ok(0)));
        for bad in ["", "7", "d", "-1d", "NaNs", "infd", "1e300w", "7 days", "7é"] {
            assert!(long_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn seconds_refuses_absurd_delays() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for (text, millis) in [("500ms", 500), ("2s", 2_000), ("1.5m", 90_000), ("1h", 3_600_000)] {
            assert_eq!(seconds(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x", "", "ms", "0s", "2 s", "2x", "25h", "1d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
