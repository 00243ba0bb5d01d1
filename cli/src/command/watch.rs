//! Output that is repeated until Ctrl-C.

use std::io::{self, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::Observer;

use super::args::{Form, count, interrupt, seconds};
use crate::output::{Line, Output, style};
use crate::text::{human, time};

/// Repetition.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct Watch {
    /// Repeat until Ctrl-C; on a terminal in place.
    #[arg(short, long)]
    watch: bool,

    /// Seconds between two times [default: 2].
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds, requires = "watch")]
    delay: Option<Duration>,

    /// End after this many times [default: never].
    #[arg(short, long, value_name = "N", value_parser = count, requires = "watch")]
    count: Option<u64>,
}

impl Watch {
    /// Whether to repeat.
    pub(crate) const fn is_on(&self) -> bool {
        self.watch
    }

    /// Refreshes and calls `frame`, again and again; it writes a frame, and returns what has happened since the
    /// one before.
    pub(crate) fn repeat(
        &self,
        form: Form,
        json: bool,
        observer: &mut Observer,
        output: &mut Output,
        mut frame: impl FnMut(&Observer, &mut Output) -> io::Result<Vec<String>>,
    ) -> io::Result<()> {
        let stop = interrupt()?;
        let delay = self.delay.unwrap_or(Duration::from_secs(2));
        let is_table = form.screen(output).is_terminal() && !json;
        // A frame replaces the one before on a terminal.
        let in_place = output.screen().is_terminal() && is_table;
        let (mut times, mut news) = (0, Vec::new());
        loop {
            observer.refresh();
            output.begin();
            if in_place {
                output.hold();
                let now = frame(observer, output)?;
                // The news stay until there are others.
                if !now.is_empty() {
                    news = now;
                }
                news.iter().for_each(|news| output.note(news));
                output.draw(&head(delay))?;
            } else {
                if times > 0 && is_table {
                    writeln!(output)?;
                }
                frame(observer, output)?.iter().for_each(|news| output.note(news));
                output.flush()?;
            }
            times += 1;
            if self.count.is_some_and(|count| times >= count)
                || stop.recv_timeout(delay) != Err(RecvTimeoutError::Timeout)
                || output.is_closed()
            {
                return Ok(());
            }
        }
    }
}

/// `every 2.00 s, 2026-11-29 21:50:07 UTC`.
fn head(delay: Duration) -> Line {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i128::try_from(now.as_nanos()).ok().and_then(time::date).unwrap_or_default();
    let every = human::seconds(delay.as_secs_f64());
    Line::styled(style::DIM, format!("every {every}, {now}; Ctrl-C ends"))
}
