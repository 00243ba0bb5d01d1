//! `mmstats export prometheus`: answers to scrapes, or a file.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use clap::Args;

use super::watcher::Watched;
use super::what::What;
use crate::backend::reason_to_make;
use crate::command::args::{exit_codes, interrupt, seconds, selecting};
use crate::command::serve::{Place, Reach, metrics_router};
use crate::metrics::{Exposition, Form};
use crate::output::Output;
use crate::render::missing::nothing;
use crate::render::problems;
use crate::text::{escape, human};

#[derive(Debug, Args)]
// `mmstats serve` may run too.
#[command(mut_arg("listen", |arg| arg.default_value("127.0.0.1:6679")))]
#[command(after_long_help = exit_codes!(
    "Answers GET /metrics with OpenMetrics text, the text format before it, or protobuf with native\n",
    "histograms, as the scraper asks. Each scrape takes a look of its own. The rules of access are those\n",
    "of `mmstats serve`: loopback, and a token as Bearer, for which --token-file is the way of a service;\n",
    "Prometheus has `authorization: {credentials_file: ...}`.\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats export prometheus --listen 10.0.0.5:6679 --token-file /etc/mmstats/token\n",
    "  mmstats export prometheus --socket /run/mmstats.sock\n",
    "  mmstats export prometheus --textfile /var/lib/node_exporter/mmstats.prom --delay 15\n",
    "  mmstats export prometheus --once | promtool check metrics\n"
))]
pub(super) struct Prometheus {
    #[command(flatten)]
    reach: Reach,

    /// Write a file for the textfile collector of node_exporter, in place of answering. It is replaced as a whole, and
    /// removed when the exporter ends: old values would look new.
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,

    /// Seconds between two writings of the file.
    #[arg(short, long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    delay: Duration,

    /// Print the metrics once, as OpenMetrics text.
    #[arg(long, conflicts_with = "textfile")]
    once: bool,

    #[command(flatten)]
    what: What,
}

pub(super) fn run(args: &Prometheus, output: &mut Output) -> io::Result<()> {
    if args.once {
        let Some(mut scraper) = args.what.scraper(None, output) else { return Ok(()) };
        scraper.refresh();
        let mut exposition = Exposition::default();
        let (_, body) = exposition.answer(&scraper, Form::OpenMetrics, false)?;
        output.write_all(&body)?;
        problems::report(scraper.observer(), output);
        if scraper.targets().is_empty() && !output.has_failed() {
            output.fail(&nothing(scraper.observer(), args.what.looked(), None));
        }
        for collision in exposition.collisions() {
            output.note(&format!("left out: {}", escape::text(collision)));
        }
        return Ok(());
    }
    if let Some(path) = &args.textfile {
        let Some((watched, watching)) = args.what.watch(None, output)? else { return Ok(()) };
        let result = write_again(path, args.delay, &watched, output);
        drop(watching);
        return result;
    }
    let Some(place) = Place::open_or_tell(&args.reach, output) else { return Ok(()) };
    let interrupted = interrupt()?;
    let Some((watched, watching)) = args.what.watch(None, output)? else { return Ok(()) };
    let router = metrics_router(watched.0.clone());
    let result =
        place.run(&args.reach, router, "exporter", output, &interrupted, || !watching.is_running());
    drop(watching);
    result
}

/// Writes the file repeatedly. A failure is reported once, until a write succeeds again.
fn write_again(
    path: &Path,
    every: Duration,
    watched: &Watched,
    output: &mut Output,
) -> io::Result<()> {
    let interrupted = interrupt()?;
    let (shown, seconds) = (escape::path(path), human::seconds(every.as_secs_f64()));
    output.note(&format!("writing {shown} every {seconds}; Ctrl-C ends it and removes the file"));
    let mut exposition = Exposition::default();
    let mut failure = String::new();
    let mut next = Instant::now();
    loop {
        let body = {
            let mut scraper = watched.lock();
            scraper.refresh();
            exposition.answer(&scraper, Form::Prometheus, false)?.1
        };
        match replace(path, &body) {
            Ok(()) => failure.clear(),
            Err(error) => {
                let why = escape::text(&reason_to_make(path, &error)).into_owned();
                let text = format!("cannot write {shown}: {why}; tried again every {seconds}");
                if text != failure {
                    output.note(&text);
                    failure = text;
                }
            }
        }
        next += every;
        match interrupted.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => break,
        }
        // Times that have passed are left out.
        next = next.max(Instant::now().checked_sub(every).unwrap_or(next));
    }
    if failure.is_empty() {
        // node_exporter reads the file as long as it is there: old values would look new.
        let _ = std::fs::remove_file(path);
    } else {
        output.set_failed();
    }
    Ok(())
}

/// Replaces a file as a whole; readers see the one or the other.
fn replace(path: &Path, body: &[u8]) -> io::Result<()> {
    let directory =
        path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mmstats-");
    #[cfg(unix)] // modes
    {
        use std::os::unix::fs::PermissionsExt as _;
        // node_exporter is another user.
        builder.permissions(std::fs::Permissions::from_mode(0o644));
    }
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(body)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
