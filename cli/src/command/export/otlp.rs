//! `mmstats export otlp`: metrics and logs to an OpenTelemetry collector.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use mmstats_export::Losses;
use mmstats_export::otlp::{Log, LogLine, Source, logs, metrics, resource};
use mmstats_history::Line;
use ureq::Agent;
use ureq::http::StatusCode;

use super::queue::Queue;
use super::sending::{Outcome, Pace, Sending, send_again, unreached};
use super::what::What;
use crate::command::args::{exit_codes, selecting};
use crate::metrics::{Gzip, Scraper};
use crate::output::Output;
use crate::text::escape;

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Posts protobuf to URL/v1/metrics, and lines of events and panics to URL/v1/logs. Labels, attributes\n",
    "and units stay as they are. A program that ended is sent once more with its final values, then once\n",
    "without a value. While the collector does not answer requests wait (--queue).\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats export otlp --to http://127.0.0.1:4318\n",
    "  mmstats export otlp --to http://collector:4318 --no-logs --delay 60 web\n"
))]
pub(super) struct Otlp {
    /// The address of the collector [default: OTEL_EXPORTER_OTLP_ENDPOINT, http://127.0.0.1:4318].
    #[arg(long, value_name = "URL")]
    to: Option<String>,

    /// Send a header with each request, for a token for instance: NAME=VALUE.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,

    /// Compression of requests [default: OTEL_EXPORTER_OTLP_COMPRESSION, gzip].
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    compression: Option<Compression>,

    /// Send no events and panics.
    #[arg(long)]
    no_logs: bool,

    #[command(flatten)]
    pace: Pace,

    #[command(flatten)]
    what: What,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not a header like NAME=VALUE")?;
    let is_name = ureq::http::HeaderName::try_from(name).is_ok();
    if !is_name || ureq::http::HeaderValue::try_from(value).is_err() {
        return Err("not a header like NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Compression of requests; servers have to take both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compression {
    Gzip,
    None,
}

impl Compression {
    /// The one that is asked for; an error about the variable if that has no known one.
    fn asked(given: Option<Self>) -> Result<Self, String> {
        let variable = "OTEL_EXPORTER_OTLP_COMPRESSION";
        match (given, std::env::var(variable)) {
            (Some(given), _) => Ok(given),
            (None, Ok(text)) if !text.is_empty() => Self::from_str(&text, true).map_err(|_| {
                format!("{variable} is neither gzip nor none: {}", escape::text(&text))
            }),
            (None, _) => Ok(Self::Gzip),
        }
    }
}

/// Content of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Metrics,
    Logs,
}

/// A request that waits: its content, and whether the body is compressed.
type Waiting = (Signal, bool);

/// Maximum time of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum size of a request, in bytes before compression: collectors refuse more than 2 MB, or drop requests of more
/// points than their batches have, often 8,192. A point has 45 bytes or more.
const MAX_BODY: usize = 256 << 10;

pub(super) fn run(args: &Otlp, output: &mut Output) -> io::Result<()> {
    let has_tls = cfg!(feature = "tls");
    let given = args.to.clone().or_else(|| std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok());
    let to = given.unwrap_or_else(|| "http://127.0.0.1:4318".to_owned());
    let is_known = to.starts_with("http://") || (has_tls && to.starts_with("https://"));
    let is_known = is_known && to.parse::<ureq::http::Uri>().is_ok_and(|uri| has_host(&uri));
    if !is_known {
        output.usage(if has_tls {
            "--to needs an address like http://127.0.0.1:4318"
        } else {
            "--to needs an address like http://127.0.0.1:4318; for https build with the feature `tls`"
        });
        return Ok(());
    }
    let compression = match Compression::asked(args.compression) {
        Ok(compression) => compression,
        Err(text) => {
            output.usage(&text);
            return Ok(());
        }
    };
    let start = (!args.no_logs).then(now);
    let Some((watched, watching)) = args.what.watch(start, output)? else { return Ok(()) };
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        // The collector's address may be reached by no other way.
        .proxy(None)
        .build()
        .into();
    let base = to.trim_end_matches('/').to_owned();
    let sending = Sending { to, every: args.pace.delay };
    let mut queue = args.pace.queue();
    let mut ended = HashMap::new();
    let result = send_again(
        &sending,
        &mut queue,
        output,
        |queue| fill(&mut watched.lock(), &mut ended, compression, queue),
        |waiting, body| post(&agent, &base, &args.header, *waiting, body),
    );
    drop(watching);
    result
}

/// Whether the address has a host, and a port that is one, if any.
fn has_host(uri: &ureq::http::Uri) -> bool {
    uri.authority().is_some_and(|authority| {
        let is_port = !authority.as_str().ends_with(':') && authority.port_u16().is_some();
        let has_colon = authority.as_str().rsplit_once(']').map_or(authority.as_str(), |(_, p)| p);
        !authority.host().is_empty() && (is_port || !has_colon.contains(':'))
    })
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Adds the metrics and lines of a look; what has no place among them is in the result. `ended` has the programs that were sent with their final values,
/// and whether they were sent without a value too.
fn fill(
    scraper: &mut Scraper,
    ended: &mut HashMap<u128, bool>,
    compression: Compression,
    queue: &mut Queue<Waiting>,
) -> Losses {
    let mut losses = Losses::default();
    let packed = |body: Vec<u8>| match compression {
        Compression::Gzip => compressed(&body).map_or((false, body), |small| (true, small)),
        Compression::None => (false, body),
    };
    scraper.refresh();
    let time = now();
    let labels = scraper.labels().to_vec();
    if scraper.is_summed() {
        let targets = scraper.targets();
        let resources: Vec<Vec<(String, String)>> =
            targets.iter().map(|target| summed(target.labels)).collect();
        let mut sources = Vec::new();
        for (target, attributes) in targets.iter().zip(&resources) {
            let mut source = Source::new(attributes, time, target.fields);
            source.start = nanos(target.created);
            sources.push(source);
        }
        metrics(&sources, MAX_BODY, &mut losses, |body| {
            let (is_gzip, body) = packed(body);
            queue.push((Signal::Metrics, is_gzip), body);
        });
        return losses;
    }
    let mut held = scraper.held_mut();
    let lines: Vec<Vec<Line>> = held.iter_mut().map(|held| held.take_lines()).collect();
    let resources: Vec<Vec<(String, String)>> = held
        .iter()
        .map(|held| {
            let mut attributes = resource(&held.identity, held.instance.as_deref());
            attributes.extend(held.namespace.iter().map(|(name, value)| {
                let name = match &**name {
                    "container" => "container.id".to_owned(),
                    name => format!("mmstats.{name}"),
                };
                (name, value.clone())
            }));
            attributes.extend(labels.iter().cloned());
            attributes
        })
        .collect();
    let (mut sources, mut final_sources) = (Vec::new(), Vec::new());
    for (held, attributes) in held.iter().zip(&resources) {
        let mut source = Source::new(attributes, time, held.fields()).started(&held.identity);
        if held.ended.is_some() {
            match ended.get_mut(&held.key) {
                None => {
                    ended.insert(held.key, false);
                }
                Some(is_over @ false) => {
                    *is_over = true;
                    source.is_over = true;
                }
                Some(true) => continue,
            }
            final_sources.push(source);
        } else {
            // One whose files were removed and are published again ends once more.
            ended.remove(&held.key);
            sources.push(source);
        }
    }
    metrics(&sources, MAX_BODY, &mut losses, |body| {
        let (is_gzip, body) = packed(body);
        queue.push((Signal::Metrics, is_gzip), body);
    });
    metrics(&final_sources, MAX_BODY, &mut losses, |body| {
        let (is_gzip, body) = packed(body);
        queue.push_last_words((Signal::Metrics, is_gzip), body);
    });
    let texts: Vec<Vec<LogLine<'_>>> =
        lines.iter().map(|lines| lines.iter().filter_map(log_line).collect()).collect();
    let all: Vec<Log<'_>> = resources
        .iter()
        .zip(&texts)
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(attributes, lines)| Log { attributes, lines })
        .collect();
    logs(&all, time, MAX_BODY, |body| {
        let (is_gzip, body) = packed(body);
        queue.push_last_words((Signal::Logs, is_gzip), body);
    });
    let keys: std::collections::HashSet<u128> = held.iter().map(|held| held.key).collect();
    ended.retain(|key, _| keys.contains(key));
    losses
}

fn compressed(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = Gzip::new(body.len() / 8);
    gzip.write(body)?;
    gzip.finish()
}

fn nanos(seconds: Option<f64>) -> u64 {
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.map_or(0, |seconds| u64::try_from(seconds.as_nanos()).unwrap_or(u64::MAX))
}

/// The resource of the programs of a command.
fn summed(labels: &[(String, String)]) -> Vec<(String, String)> {
    let name =
        |name: &str| if name == "command" { "service.name".to_owned() } else { name.to_owned() };
    labels.iter().map(|(key, value)| (name(key), value.clone())).collect()
}

/// A line, but a damaged one.
fn log_line(line: &Line) -> Option<LogLine<'_>> {
    let text = line.text.as_deref().ok()?;
    let mut log = LogLine::new(line.time, &line.label, text);
    log.is_panic = line.label == PANICS;
    Some(log)
}

/// The field of panics: `Publisher::record_panics` adds it.
const PANICS: &str = "panics";

fn post(
    agent: &Agent,
    base: &str,
    headers: &[(String, String)],
    (signal, is_gzip): Waiting,
    body: &[u8],
) -> Outcome {
    let path = match signal {
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    };
    let mut request =
        agent.post(format!("{base}/v1/{path}")).content_type("application/x-protobuf");
    if is_gzip {
        request = request.header("content-encoding", "gzip");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = match request.send(body) {
        Ok(response) => response,
        Err(ureq::Error::Io(error)) => {
            return Outcome::Later(unreached(&error, "a collector"), None);
        }
        Err(error) => return Outcome::Later(format!("cannot send: {error}"), None),
    };
    let status = response.status();
    let wait =
        response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    match status {
        _ if status.is_success() => Outcome::Sent,
        // As the protocol says.
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Outcome::Later(status.to_string(), wait.map(Duration::from_secs))
        }
        _ => Outcome::Refused(format!("{path}: {status}")),
    }
}
