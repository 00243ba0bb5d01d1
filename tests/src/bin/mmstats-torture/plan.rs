//! Options of a run: which scenarios, and how large.

use std::time::Duration;

pub(crate) const USAGE: &str = "\
mmstats-torture [--full] [--soak MINUTES] [--list] [SCENARIO...]
  --full           the full size, with a soak of 30 minutes, instead of the quick one
  --soak MINUTES   the length of the scenario soak; without --full 20 seconds
  --list           the names of the scenarios
  SCENARIO...      only those whose names begin with it";

#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    full: bool,
    soak: Option<Duration>,
    pub(crate) list: bool,
    only: Vec<String>,
}

impl Plan {
    /// Reads the arguments; `scenarios` are the names that exist.
    pub(crate) fn from_arguments(
        arguments: impl Iterator<Item = String>,
        scenarios: &[&str],
    ) -> Result<Self, String> {
        let (mut plan, mut arguments) = (Self::default(), arguments);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" => return Err(String::new()),
                "--full" => plan.full = true,
                "--list" => plan.list = true,
                "--soak" => {
                    let minutes = arguments.next().ok_or("--soak needs a value")?;
                    let minutes: u64 =
                        minutes.parse().map_err(|_| format!("{minutes}: no number of minutes"))?;
                    plan.soak = Some(Duration::from_secs(minutes * 60));
                }
                name if scenarios.iter().any(|scenario| scenario.starts_with(name)) => {
                    plan.only.push(argument);
                }
                other => return Err(format!("no scenario {other:?}")),
            }
        }
        Ok(plan)
    }

    pub(crate) fn includes(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| scenario.starts_with(only))
    }

    /// The value for this size.
    pub(crate) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.full { full } else { quick }
    }

    /// Duration of the soak.
    pub(crate) fn soak(&self) -> Duration {
        let default = self.pick(Duration::from_secs(20), Duration::from_secs(30 * 60));
        self.soak.unwrap_or(default)
    }
}
