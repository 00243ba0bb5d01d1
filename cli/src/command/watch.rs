//! Output that is repeated until Ctrl-C.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use clap::Args;
use mmstats_observe::Observer;

use super::args::{Form, count, seconds};
use crate::output::{Line, Output, style};
use crate::text::{human, time};

/// What has happened at a time.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// Messages about what has happened since the time before.
    pub(crate) news: Vec<String>,
    /// Whether nothing is there any more, and nothing can come.
    pub(crate) is_over: bool,
}

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

    /// Refreshes and calls `frame`, again and again, until `stop` receives Ctrl-C or its end; it writes a frame.
    pub(crate) fn repeat(
        &self,
        stop: &Receiver<()>,
        form: Form,
        json: bool,
        observer: &mut Observer,
        output: &mut Output,
        mut frame: impl FnMut(&Observer, &mut Output) -> io::Result<Frame>,
    ) -> io::Result<()> {
        let delay = self.delay.unwrap_or(Duration::from_secs(2));
        let is_table = form.screen(output).is_terminal() && !json;
        // A frame replaces the one before on a terminal.
        let in_place = output.screen().is_terminal() && is_table;
        let (mut times, mut news) = (0, Vec::new());
        let mut is_over;
        loop {
            observer.refresh();
            output.begin();
            if in_place {
                output.hold();
                let now = frame(observer, output)?;
                is_over = now.is_over;
                // The news stay until there are others.
                if !now.news.is_empty() {
                    news = now.news;
                }
                news.iter().for_each(|news| output.note(news));
                output.draw(&head(delay))?;
            } else {
                if times > 0 && is_table {
                    writeln!(output)?;
                }
                let now = frame(observer, output)?;
                is_over = now.is_over;
                now.news.iter().for_each(|news| output.note(news));
                output.flush()?;
            }
            times += 1;
            if is_over
                || self.count.is_some_and(|count| times >= count)
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
