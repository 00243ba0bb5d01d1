//! Parts of the command line that several commands share.

use std::ffi::OsString;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::output::{Output, Screen};

/// The end of messages that no program publishes.
pub(crate) const TRY_DEMO: &str = if cfg!(feature = "demo") { "; try `mmstats demo`" } else { "" };

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

/// A number of rows or times, from 1.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "not a number from 1 on".to_owned())
}

/// A number of lines, from 0.
pub(crate) fn lines(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "not a number of lines".to_owned())
}

/// Seconds with a fraction, from a millisecond to a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "not a number of seconds from 0.001 to 86400".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
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
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
