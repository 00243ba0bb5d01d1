//! Parts of the command line that several commands share.

use std::time::Duration;

/// The end of messages that no program publishes.
pub(crate) const TRY_DEMO: &str = if cfg!(feature = "demo") { "; try `mmstats demo`" } else { "" };

/// The end of the long help of every command, after its own text.
macro_rules! exit_codes {
    ($($more:literal),*) => {
        concat!(
            $($more,)*
            "\nExit codes:\n",
            "  0  success\n",
            "  1  a named file or program could not be read, or nothing matched\n",
            "  2  the command line is wrong\n",
            "  3  as 0, but of a program that is shown parts are missing: incomplete",
        )
    };
}

pub(crate) use exit_codes;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_refuses_absurd_delays() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
