//! `mmstats serve`: a page of all programs, in the browser.

mod answer;
mod assets;
mod browser;
mod document;
mod frame;
mod guard;
mod home;
mod host;
mod ids;
mod live;
mod machine;
mod metrics;
mod query;
mod reach;
mod routes;
mod series;
mod server;
mod stream;
mod times;
mod wire;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;
use mmstats_history::{Options, ProgramKey, Sampler, Select};
use mmstats_observe::Observer;
use tempfile::NamedTempFile;

use self::guard::Guard;
use self::live::Live;
pub(crate) use self::reach::Reach;
use self::server::Server;
#[cfg(feature = "export")] // the only user
pub(crate) use self::{machine::host_name, metrics::router as metrics_router};
use super::args::{Scope, exit_codes, interrupt, live_program, seconds, selecting, up_to};
use crate::live::looks::Looks;
use crate::live::processes::Processes;
use crate::metrics::{Scraper, Settings};
use crate::output::Output;
use crate::render::problems;
use crate::text::escape;

/// How long the file with which the browser is opened is kept.
const REDIRECT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A page of all programs of this machine, in the browser: live graphs, threads, events, and the last\n",
    "minutes to hours. Nothing can be changed from it. API.md describes the JSON under /api/1/.\n",
    "\nOnly this machine reaches it, and since all its users do, each answer with something of programs\n",
    "needs a token: --open hands it to the browser, and a terminal shows it. From elsewhere:\n",
    "  ssh -L 6678:127.0.0.1:6678 HOST\n",
    selecting!(),
    "\nExamples:\n",
    "  mmstats serve --open\n",
    "  mmstats serve --listen 127.0.0.1:0 web worker\n",
    "  mmstats serve --socket /run/user/1000/mmstats.sock\n",
    "  curl -H @headers http://127.0.0.1:6678/api/1/programs   # Authorization: Bearer TOKEN\n"
))]
pub(crate) struct Serve {
    #[command(flatten)]
    reach: Reach,

    /// Seconds between two looks at all fields; those that are viewed are looked at ten times a second.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    delay: Duration,

    /// Memory for the past, in MiB.
    #[arg(long, value_name = "MIB", default_value = "64",
          value_parser = up_to::<16_384>)]
    memory: u16,

    #[command(flatten)]
    scope: Scope,

    /// Process ids, names of programs, files or directories [default: all programs that can be found].
    #[arg(value_name = "PID|NAME|PATH", value_parser = live_program())]
    programs: Vec<OsString>,
}

pub(crate) fn run(args: &Serve, output: &mut Output) -> io::Result<()> {
    let selection = args.scope.select_everywhere(&args.programs);
    if !selection.is_empty() {
        let mut observer = Observer::new(selection.sources.clone());
        observer.refresh();
        problems::report_waiting(&observer, true, output);
    }
    let mut options = Options::new(selection.sources.clone());
    let selected = selection.clone();
    options.select = Some(Select::new(move |programs| {
        selected.select_or_listed(programs).map(ProgramKey::of).collect()
    }));
    options.every = args.delay;
    options.budget = usize::from(args.memory) << 20;
    let looks = Looks::default();
    options.on_look = Some(looks.on_look());
    let scraper = Scraper::new(selection, Settings::default());
    let scrapes = metrics::router(Arc::new(Mutex::new(scraper)));
    serve(&args.reach, output, args.delay, true, looks, scrapes, || {
        Ok((Sampler::start(options)?, Processes::default()))
    })
}

/// Serves what a sampler finds until a signal; `is_live` is false for a recording, which has its processes too.
pub(crate) fn serve(
    reach: &Reach,
    output: &mut Output,
    every: Duration,
    is_live: bool,
    looks: Looks,
    scrapes: axum::Router,
    start: impl FnOnce() -> io::Result<(Sampler, Processes)>,
) -> io::Result<()> {
    let Some(place) = Place::open_or_tell(reach, output) else { return Ok(()) };
    let interrupted = interrupt()?;
    let (sampler, processes) = match start() {
        Ok(started) => started,
        Err(error) => {
            output.fail(&format!("cannot start to look: {error}"));
            return Ok(());
        }
    };
    // So that the first answers have programs.
    sampler.wait(0, Duration::from_millis(500));
    let live = Arc::new(Live::new((sampler, processes), looks, is_live, every));
    let frames = Arc::clone(&live);
    let frames =
        std::thread::Builder::new().name("mmstats-frames".into()).spawn(move || frames.run())?;
    let router = routes::router(Arc::clone(&live), scrapes);
    let has_failed = || frames.is_finished() || !live.sampler.is_running();
    let result = place.run(reach, router, "page", output, &interrupted, has_failed);
    live.end();
    let _ = frames.join();
    result
}

/// The listener of the server, and how its address is handed to viewers.
pub(crate) struct Place {
    listener: Listener,
    guard: Guard,
    handed: Handed,
}

enum Listener {
    Tcp(std::net::TcpListener),
    #[cfg(unix)] // Windows has none here
    Unix(std::os::unix::net::UnixListener),
}

/// Why there is no server.
enum Failure {
    Usage(String),
    System(String),
}

/// How viewers come to the page and to the token; files are removed at the end.
#[derive(Default)]
struct Handed {
    /// The address without the token, or the path of the socket.
    place: String,
    /// The address with the token, for a terminal.
    secret: Option<String>,
    token_file: Option<NamedTempFile>,
    redirect: Option<NamedTempFile>,
    #[cfg(unix)] // Windows has none here
    socket: Option<reach::Socket>,
}

impl Place {
    /// Listens; `None` after a message if it fails.
    pub(crate) fn open_or_tell(reach: &Reach, output: &mut Output) -> Option<Self> {
        match Self::open(reach) {
            Ok(place) => return Some(place),
            Err(Failure::Usage(text)) => output.usage(&escape::text(&text)),
            Err(Failure::System(text)) => output.fail(&escape::text(&text)),
        }
        None
    }

    /// Answers requests until a signal comes.
    ///
    /// # Errors
    ///
    /// If `has_failed` says that a thread behind the answers has ended.
    pub(crate) fn run(
        self,
        reach: &Reach,
        router: axum::Router,
        what: &str,
        output: &mut Output,
        interrupted: &Receiver<()>,
        has_failed: impl Fn() -> bool,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(16)
            .thread_name("mmstats-serve")
            .enable_io()
            .enable_time()
            .build()?;
        let Self { listener, guard, mut handed } = self;
        let server = Arc::new(Server::new(guard, router));
        let entered = runtime.enter();
        let accepting = match listener {
            Listener::Tcp(listener) => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                runtime.spawn(server.run_tcp(listener))
            }
            #[cfg(unix)] // Windows has none here
            Listener::Unix(listener) => {
                let listener = tokio::net::UnixListener::from_std(listener)?;
                runtime.spawn(server.run_unix(listener))
            }
        };
        drop(entered);
        handed.tell(reach, what, output);
        let started = Instant::now();
        while !has_failed() {
            match interrupted.recv_timeout(Duration::from_millis(500)) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => break,
            }
            if started.elapsed() > REDIRECT {
                handed.redirect = None;
            }
        }
        let has_failed = has_failed();
        accepting.abort();
        runtime.shutdown_timeout(Duration::from_secs(1));
        match has_failed {
            true => Err(io::Error::other("a thread has panicked")),
            false => Ok(()),
        }
    }

    fn open(reach: &Reach) -> Result<Self, Failure> {
        #[cfg(unix)] // Windows has none here
        if let Some(path) = &reach.socket {
            let (listener, socket) = reach::Socket::bind(path).map_err(Failure::System)?;
            let place = path.display().to_string();
            let handed = Handed { place, socket: Some(socket), ..Handed::default() };
            return Ok(Self {
                listener: Listener::Unix(listener),
                guard: reach.guard(None),
                handed,
            });
        }
        let token = reach.token().map_err(Failure::Usage)?;
        let listener = reach::listen(reach.listen).map_err(Failure::System)?;
        let address = listener.local_addr().map_err(|e| Failure::System(e.to_string()))?;
        let url = Reach::url(address);
        let mut handed = Handed { place: url.clone(), ..Handed::default() };
        if reach.makes_token() {
            handed.secret = Some(format!("{url}#token={}", token.reveal()));
            let text = format!("{}\n", token.reveal());
            handed.token_file = Some(reach::secret_file(&text, ".token").map_err(Failure::System)?);
        }
        if reach.open {
            handed.redirect = Some(reach::redirect(&url, &token).map_err(Failure::System)?);
        }
        Ok(Self { listener: Listener::Tcp(listener), guard: reach.guard(Some(token)), handed })
    }
}

impl Handed {
    /// Opens the browser, and says where the page is. The token is shown on a terminal only.
    fn tell(&self, reach: &Reach, what: &str, output: &mut Output) {
        let place = escape::text(&self.place);
        #[cfg(unix)] // Windows has none here
        if self.socket.is_some() {
            output.note(&format!(
                "listening at {place}: curl --unix-socket {place} http://localhost/api/1/programs"
            ));
            return;
        }
        if !reach.is_local() {
            output.note("other machines reach this server, and nothing is encrypted on the way");
        }
        let shown = self.secret.as_ref().filter(|_| io::stderr().is_terminal());
        match (shown, &self.token_file) {
            (Some(secret), _) => output.note(&format!("the {what} is {secret}")),
            (None, Some(file)) => {
                let file = escape::path(file.path());
                output.note(&format!("the {what} is {place}, its token is in {file}"));
            }
            (None, None) => {
                output.note(&format!("the {what} is {place}, its token that of --token-file"));
            }
        }
        if let Some(page) = &self.redirect
            && let Err(error) = browser::open(page.path())
        {
            output.note(&escape::text(&error));
        }
    }
}
