//! `mmstats export graphite`: lines to carbon.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use mmstats_export::{Losses, Target, graphite};

use super::sending::{Outcome, Pace, Sending, send_again, unreached};
use super::what::What;
use crate::backend::reason;
use crate::command::args::{exit_codes, selecting};
use crate::command::serve::host_name;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Paths are PREFIX.COMMAND.PID.LABEL, with --sum PREFIX.COMMAND.LABEL; values of attributes follow.\n",
    "Timers have .count, .sum, .min and .max; histograms quantiles as .p99. Values are in base units:\n",
    "seconds, bytes, ratios. Of two fields with one path the first is sent. A program that ended is sent\n",
    "once more with its final values. While carbon does not answer lines wait (--queue).\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats export graphite --to 127.0.0.1:2003\n",
    "  mmstats export graphite --to carbon:2003 --prefix prod.web1 --sum --delay 60\n"
))]
pub(super) struct Graphite {
    /// Host and port of carbon's line receiver.
    #[arg(long, value_name = "HOST:PORT")]
    to: String,

    /// The begin of all paths [default: mmstats.HOST].
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,

    #[command(flatten)]
    pace: Pace,

    #[command(flatten)]
    what: What,
}

/// Maximum time to connect, and for a write.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(args: &Graphite, output: &mut Output) -> io::Result<()> {
    let is_place = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
    if !args.to.rsplit_once(':').is_some_and(is_place) {
        output.usage("--to needs a host and a port, like 127.0.0.1:2003");
        return Ok(());
    }
    let Some((watched, watching)) = args.what.watch(None, output)? else { return Ok(()) };
    let host = || host_name().unwrap_or_else(|| "localhost".to_owned());
    let prefix = args.prefix.clone().unwrap_or_else(|| graphite::path(["mmstats", &host()]));
    let sending = Sending { to: args.to.clone(), every: args.pace.delay };
    let mut queue = args.pace.queue();
    let mut final_sent = HashSet::new();
    let mut connection = None;
    let result = send_again(
        &sending,
        &mut queue,
        output,
        |queue| {
            let mut scraper = watched.lock();
            scraper.refresh();
            let targets = scraper.targets();
            let mut losses = Losses::default();
            let is_summed = scraper.is_summed();
            let (text, last_words) =
                lines(&prefix, &targets, is_summed, &mut final_sent, &mut losses);
            if !text.is_empty() {
                queue.push((), text.into_bytes());
            }
            if !last_words.is_empty() {
                queue.push_last_words((), last_words.into_bytes());
            }
            losses
        },
        |(), piece| write(&args.to, &mut connection, piece),
    );
    drop(watching);
    result
}

/// The lines of the programs, and those of programs that ended, once. Sums have no end.
fn lines(
    prefix: &str,
    targets: &[Target<'_>],
    is_summed: bool,
    final_sent: &mut HashSet<u128>,
    losses: &mut Losses,
) -> (String, String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut out, mut last_words) = (String::new(), String::new());
    for target in targets {
        let is_live = target.is_live || is_summed;
        if is_live {
            // One whose files were removed and are published again ends once more.
            final_sent.remove(&target.key);
        } else if !final_sent.insert(target.key) {
            continue;
        }
        let value = |name: &str| {
            let found = target.labels.iter().find(|(label, _)| label == name);
            found.map(|(_, value)| &**value)
        };
        // In several containers the same process id may be there.
        let pid = value("host_pid").or(value("pid"));
        let program = graphite::path([value("command"), pid].into_iter().flatten());
        let prefix =
            [prefix, &program].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let out = if is_live { &mut out } else { &mut last_words };
        graphite::lines(&prefix.join("."), now, target.fields, losses, out);
    }
    let keys: HashSet<u128> = targets.iter().map(|target| target.key).collect();
    final_sent.retain(|key| keys.contains(key));
    (out, last_words)
}

/// Writes lines; connects first, if need be.
fn write(to: &str, connection: &mut Option<TcpStream>, piece: &[u8]) -> Outcome {
    let stream = match connection {
        Some(stream) if is_open(stream) => stream,
        _ => match connect(to) {
            Ok(stream) => connection.insert(stream),
            Err(error) => return Outcome::Later(unreached(&error, "carbon"), None),
        },
    };
    match stream.write_all(piece) {
        Ok(()) => Outcome::Sent,
        Err(error) => {
            // Part of the lines may have arrived; the same lines again are the same values.
            *connection = None;
            Outcome::Later(format!("cannot send: {}", reason(&error)), None)
        }
    }
}

/// Whether the other side has not closed: what is written after that is lost without an error.
fn is_open(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return false;
    }
    let mut byte = [0];
    let open = match stream.peek(&mut byte) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    open && stream.set_nonblocking(false).is_ok()
}

fn connect(to: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address of this name");
    for address in to.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
