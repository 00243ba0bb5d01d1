//! The addresses of the server: API.md describes them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use http::{StatusCode, Uri};
use mmstats_history::{Program, ProgramKey};
use serde::Serialize;
use tokio::sync::Semaphore;
use tower_http::timeout::TimeoutLayer;

use super::answer::{Refusal, document, text, typed};
use super::document::{FieldView, Head, ProgramDocument};
use super::frame::{LineDocument, last_reading, rate};
use super::ids::{Ids, Names, find};
use super::live::{Live, Wanted};
use super::query::Query;
use super::stream::Events;
use super::{assets, home, machine, series};
use crate::backend::ProcessState;
use crate::command::threads::json::ProgramDocument as ThreadsDocument;
use crate::live::program::{process_at, process_state};

/// Maximum time until an answer begins.
const MAX_TIME: Duration = Duration::from_secs(15);
/// Maximum number of streams, of programs of one, and of fields of one that are looked at more often.
const MAX_STREAMS: usize = 48;
const MAX_PROGRAMS: usize = 16;
const MAX_FIELDS: usize = 256;
/// Maximum number of hits of a search, fields and programs, and of lines of events.
const MAX_HITS: usize = 100;
const MAX_PROGRAM_HITS: usize = 20;
const MAX_LINES: usize = 1_000;
const LINES: usize = 200;
/// Maximum age of a report about threads, and maximum time to wait for one.
const FRESH: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Clone)]
struct Shared {
    live: Arc<Live>,
    streams: Arc<Semaphore>,
}

/// All addresses.
pub(super) fn router(live: Arc<Live>, metrics: Router) -> Router {
    let shared = Shared { live, streams: Arc::new(Semaphore::new(MAX_STREAMS)) };
    let page = async |uri: Uri| answered(assets::get(uri.path()));
    Router::new()
        .route("/", get(page))
        .route("/page/{*file}", get(page))
        .route("/vendor/{*file}", get(page))
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .route("/api/1/about", get(about))
        .route("/api/1/programs", get(programs))
        .route("/api/1/programs/{id}", get(program))
        .route("/api/1/programs/{id}/threads", get(threads))
        .route("/api/1/programs/{id}/events", get(events))
        .route("/api/1/series", get(the_series))
        .route("/api/1/search", get(search))
        .route("/api/1/stream", get(stream))
        .fallback(async || Refusal::missing("there is nothing at this address").answer())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, MAX_TIME))
        .with_state(shared)
        .merge(metrics)
}

fn answered(result: Result<Response, Refusal>) -> Response {
    result.unwrap_or_else(|refusal| refusal.answer())
}

/// Makes an answer in a thread that may wait for locks.
async fn blocking(
    shared: Shared,
    make: impl FnOnce(&Arc<Live>) -> Result<Response, Refusal> + Send + 'static,
) -> Response {
    let made = tokio::task::spawn_blocking(move || make(&shared.live)).await;
    let broken = |_| {
        Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; see its terminal"))
    };
    answered(made.unwrap_or_else(broken))
}

fn ready(text: String) -> Response {
    typed(text + "\n", "application/json")
}

async fn about(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    #[derive(Serialize)]
    struct About {
        version: &'static str,
        api: u32,
        user: Option<String>,
        host: Option<String>,
        live: bool,
        from: f64,
        to: f64,
        every: f64,
        plots: bool,
        plots_hint: Option<&'static str>,
        looks: u64,
        missed: u64,
        bytes: usize,
        budget: usize,
    }
    blocking(shared, move |live| {
        Query::parse(query.as_deref(), &[])?;
        let sampler = &live.sampler;
        let (first, bytes, budget) = sampler.read(|history| {
            let first = history.programs().iter().map(|program| program.first).min();
            (first, history.bytes(), history.budget())
        });
        let now = live.times.now();
        let plots = assets::has_plots();
        Ok(document(&About {
            version: env!("CARGO_PKG_VERSION"),
            api: 1,
            user: machine::user(),
            host: machine::host_name(),
            live: live.is_live,
            from: live.times.seconds(first.unwrap_or(now)),
            to: live.times.seconds(now),
            every: live.every.as_secs_f64(),
            plots,
            plots_hint: (!plots).then_some(assets::PLOTS_HINT),
            looks: sampler.looks(),
            missed: sampler.missed_looks(),
            bytes,
            budget,
        }))
    })
    .await
}

async fn programs(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    blocking(shared, move |live| {
        let query = Query::parse(query.as_deref(), &["at"])?;
        Ok(ready(match query.time("at")? {
            None => live.home().document(),
            Some(time) => {
                let processes = live.processes();
                let at = live.times.at(Some(time));
                live.sampler.read(|history| home::at(&live.times, history, &processes, at))
            }
        }))
    })
    .await
}

fn no_program(id: &str) -> Refusal {
    Refusal::missing(format!("no program '{id}'"))
}

async fn program(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    #[derive(Serialize)]
    struct Document<'a> {
        time: f64,
        #[serde(flatten)]
        program: ProgramDocument<'a>,
        fields: Vec<FieldView<'a>>,
    }
    blocking(shared, move |live| {
        let query = Query::parse(query.as_deref(), &["at"])?;
        let time = query.time("at")?;
        let at = live.times.at(time);
        let processes = live.processes();
        live.sampler.read(|history| {
            let program = find(history, &id).ok_or_else(|| no_program(&id))?;
            let names = Names::new(program);
            let document = ProgramDocument::new(&live.times, &id, program, &processes, at);
            let document = document.ok_or_else(|| no_program(&id))?;
            let readings = program.fields().iter().map(|field| match time {
                None => last_reading(field),
                Some(_) => earlier_reading(field, at),
            });
            let readings: Vec<_> = readings.collect();
            let fields = program.fields().iter().zip(&readings).enumerate();
            let fields = fields.map(|(index, (field, reading))| {
                let changed = field.changed(at).map(|moment| live.times.seconds(moment));
                let rate = rate(program, field, at);
                FieldView::new(names.get(index), &field.info, reading, rate, changed)
            });
            let fields = fields.collect();
            Ok(ready(text(&Document { time: live.times.seconds(at), program: document, fields })))
        })
    })
    .await
}

/// The reading of a field by the last look at or before a moment.
fn earlier_reading(
    field: &mmstats_history::Field,
    at: mmstats_history::Moment,
) -> mmstats_observe::Reading {
    use mmstats_observe::{Reading, Tally, Verdict};
    if let Some(reading) = field.readings().and_then(|readings| readings.at(at)) {
        return (**reading).clone();
    }
    let value = field.value_at(at);
    let verdict = if value.is_some() { Verdict::Consistent } else { Verdict::Absent };
    Reading { value, verdict, tally: Tally::default() }
}

async fn threads(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    blocking(shared, move |live| {
        let query = Query::parse(query.as_deref(), &["at"])?;
        let time = query.time("at")?;
        let known = live.sampler.read(|history| {
            find(history, &id).map(|program| (program.key, program.condition().has_ended()))
        });
        let (key, has_ended) = known.ok_or_else(|| no_program(&id))?;
        if time.is_none() && live.is_live {
            live.ask_for_threads(key);
            wait_for_threads(live, key, has_ended);
        }
        let at = live.times.at(time);
        let processes = live.processes();
        live.sampler.read(|history| {
            let program = history.program(key).ok_or_else(|| no_program(&id))?;
            let process = process_at(&processes, program, at);
            let head = Head::new(&live.times, program, process.as_ref(), at);
            let Some((report, _)) = processes.report_at(key, at) else {
                let missing = processes.missing_at(key, at);
                let missing = missing.as_deref().unwrap_or("its threads were not looked at then");
                return Err(Refusal::missing(missing));
            };
            #[derive(Serialize)]
            struct Document<'a> {
                time: f64,
                programs: [ThreadsDocument<'a, Head>; 1],
            }
            let time = Duration::from_nanos(report.at).as_secs_f64();
            let programs = [ThreadsDocument::new(head, &report)];
            Ok(ready(text(&Document { time, programs })))
        })
    })
    .await
}

/// Waits until there is a report that is fresh, or none will come.
fn wait_for_threads(live: &Live, key: ProgramKey, has_ended: bool) {
    let start = std::time::Instant::now();
    let mut seen = live.sampler.looks();
    while start.elapsed() < PATIENCE {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_fresh =
            live.processes().report_at(key, live.times.now()).is_some_and(|(report, _)| {
                has_ended || now.saturating_sub(Duration::from_nanos(report.at)) < FRESH
            });
        if is_fresh {
            return;
        }
        seen = live.sampler.wait(seen, PATIENCE.saturating_sub(start.elapsed()));
        // The thread that makes frames is woken by the same look.
        std::thread::sleep(Duration::from_millis(30));
    }
}

async fn events(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    #[derive(Serialize)]
    struct Document<'a> {
        lines: Vec<LineDocument<'a>>,
        left_out: usize,
    }
    blocking(shared, move |live| {
        let query = Query::parse(query.as_deref(), &["limit", "before"])?;
        let limit = query.number("limit", 1..=MAX_LINES)?.unwrap_or(LINES);
        let before = query.time("before")?.unwrap_or(f64::INFINITY);
        live.sampler.read(|history| {
            let program = find(history, &id).ok_or_else(|| no_program(&id))?;
            let is_before = |line: &&mmstats_history::Line| {
                Duration::from_nanos(line.time).as_secs_f64() < before
            };
            let lines: Vec<_> = program.lines.iter().filter(is_before).collect();
            let skipped = lines.len().saturating_sub(limit);
            let lines = lines.into_iter().skip(skipped).map(LineDocument).collect();
            Ok(ready(text(&Document { lines, left_out: skipped })))
        })
    })
    .await
}

async fn the_series(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    blocking(shared, move |live| {
        let query = Query::parse(query.as_deref(), &series::PARAMETERS)?;
        series::document(live, &query).map(ready)
    })
    .await
}

async fn search(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    blocking(shared, move |live| {
        let query = Query::parse(query.as_deref(), &["q"])?;
        let words = query.one("q")?.unwrap_or_default().to_lowercase();
        let words: Vec<&str> = words.split_whitespace().collect();
        let processes = live.processes();
        live.sampler.read(|history| {
            let ids = Ids::new(history);
            let (mut hits, mut programs) = (Hits::new(MAX_HITS), Hits::new(MAX_PROGRAM_HITS));
            for program in history.programs() {
                let id = ids.get(program.key);
                let process = process_at(&processes, program, live.times.now());
                let process = process_state(program.condition(), process.as_ref());
                search_program((program, process), &words, id, &mut hits, &mut programs);
            }
            Ok(ready(format!(
                "{{\"programs\":[{}],\"more_programs\":{},\"hits\":[{}],\"more\":{}}}",
                programs.texts.join(","),
                programs.more,
                hits.texts.join(","),
                hits.more
            )))
        })
    })
    .await
}

/// The first hits of a search as JSON, and the number of the others.
struct Hits {
    texts: Vec<String>,
    most: usize,
    more: usize,
}

impl Hits {
    const fn new(most: usize) -> Self {
        Self { texts: Vec::new(), most, more: 0 }
    }

    fn add(&mut self, make: impl FnOnce() -> String) {
        match self.texts.len() < self.most {
            true => self.texts.push(make()),
            false => self.more += 1,
        }
    }
}

/// Adds the program if its command, application or process id has all words, and the fields in which all are
/// found: in the command, or in name, help or unit.
fn search_program(
    (program, process): (&Program, Option<ProcessState>),
    words: &[&str],
    id: &str,
    hits: &mut Hits,
    programs: &mut Hits,
) {
    #[derive(Serialize)]
    struct Hit<'a> {
        program: &'a str,
        command: Option<&'a str>,
        pid: Option<u32>,
        field: &'a str,
        help: &'a str,
        unit: &'a str,
    }
    #[derive(Serialize)]
    struct ProgramHit<'a> {
        program: &'a str,
        command: Option<&'a str>,
        pid: Option<u32>,
        state: &'static str,
        process: Option<&'static str>,
    }
    let identity = &program.identity;
    let (command, pid) = (identity.command.as_deref(), identity.pid);
    let lower = command.unwrap_or_default().to_lowercase();
    let application = identity.application.as_deref().unwrap_or_default().to_lowercase();
    let number = pid.map(|pid| pid.to_string()).unwrap_or_default();
    let is_named =
        |word: &&str| lower.contains(word) || application.contains(word) || number == **word;
    if words.iter().all(is_named) {
        let state = program.condition().state().name();
        let process = process.map(ProcessState::name);
        programs.add(|| text(&ProgramHit { program: id, command, pid, state, process }));
    }
    let words: Vec<&str> = words.iter().copied().filter(|word| !lower.contains(word)).collect();
    let mut names = None;
    for (index, field) in program.fields().iter().enumerate() {
        let info = &field.info;
        if !field.present {
            continue;
        }
        let is_hit = words.is_empty() || {
            let texts =
                [&*info.label, &*info.attributes, &*info.help, &*info.unit].map(str::to_lowercase);
            words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
        };
        if is_hit {
            hits.add(|| {
                let names = names.get_or_insert_with(|| Names::new(program));
                let (field, help, unit) = (names.get(index), &*info.help, &*info.unit);
                text(&Hit { program: id, command, pid, field, help, unit })
            });
        }
    }
}

async fn stream(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let Ok(permit) = Arc::clone(&shared.streams).try_acquire_owned() else {
        let text = format!("more than {MAX_STREAMS} streams");
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).answer();
    };
    blocking(shared, move |live| {
        let query = Query::parse(query.as_deref(), &["home", "program", "fields"])?;
        let mut wanted: Vec<(&str, Vec<&str>)> = Vec::new();
        for (key, value) in query.iter() {
            match (key, wanted.last_mut()) {
                ("program", _) => wanted.push((value, Vec::new())),
                ("fields", Some((_, fields))) => fields.push(value),
                ("fields", None) => return Err(Refusal::wrong("no 'program' before 'fields'")),
                _ => {}
            }
        }
        let is_home = query.is_set("home")?;
        let fields: usize = wanted.iter().map(|(_, fields)| fields.len()).sum();
        if wanted.len() > MAX_PROGRAMS || fields > MAX_FIELDS {
            let text = format!("more than {MAX_PROGRAMS} programs or {MAX_FIELDS} fields");
            return Err(Refusal::wrong(text));
        }
        if wanted.is_empty() && !is_home {
            return Err(Refusal::wrong("neither 'home=1' nor a 'program'"));
        }
        let mut views = Vec::new();
        if is_home {
            views.extend(live.view(Wanted::Home).map(|view| (view, String::new())));
        }
        for (id, fields) in wanted {
            let found = live.sampler.read(|history| -> Result<Wanted, Refusal> {
                let program = find(history, id).ok_or_else(|| no_program(id))?;
                let names = Names::new(program);
                let index = |name: &&str| {
                    names.index(name).ok_or_else(|| {
                        Refusal::missing(format!("no field '{name}' in program '{id}'"))
                    })
                };
                let fields = fields.iter().map(index).collect::<Result<_, _>>()?;
                Ok(Wanted::Program { key: program.key, fields })
            })?;
            let view = live.view(found).ok_or_else(|| no_program(id))?;
            views.push((view, id.to_owned()));
        }
        Ok(Events::new(Arc::clone(live), views, permit).response())
    })
    .await
}
